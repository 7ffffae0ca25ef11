//! Sweeps: which configurations are measured, how a row is written, and the run that can be killed at any point.

mod lists;
pub mod net;
pub mod operators;
pub mod plan;
pub mod row;
#[cfg(feature = "torch")]
pub mod run;
mod spec;

pub use net::{Kind, Net};
pub use plan::{Configuration, Plan, PlanError, Scenario, Scope};
