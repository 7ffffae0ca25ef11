//! Sweeps: which configurations are measured, how a row is written, and the run that can be killed at any point.

pub mod plan;
pub mod row;
#[cfg(feature = "torch")]
pub mod run;

pub use plan::{Configuration, Plan, PlanError, Scenario, Scope};
pub use row::COLUMNS;
