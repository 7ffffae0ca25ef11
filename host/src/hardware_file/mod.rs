//! Hardware descriptions: TOML files that say what a device can do, read, checked, written and edited.
//!
//! Numbers are in base units (Hz, bytes, bytes per second, seconds, watts, MACs per cycle of one unit) and each says
//! where it comes from: `{ value, basis, source }` with a basis of `spec` (a document or the operating system),
//! `measured` (a clock), `fitted` (from measurements) or `assumed`. Format 1, here with every part:
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! [`check`] lists everything that is wrong with a text, with line, key, value and what is allowed. [`HardwareFile::read`]
//! refuses a file with any such [`Problem`]; [`HardwareFile::parts`] lends what it read to [`derate_core`];
//! [`HardwareFile::to_toml`] writes a new file and [`apply_factors`] sets fitted factors in an old one, keeping its
//! comments. The keys stand once, in `keys.rs`: the check and [`json_schema`] both follow them.

mod check;
mod edit;
mod entries;
mod files;
mod json_schema;
mod keys;
mod mapper;
mod mapper_cpu_gpu;
mod mapper_mcu;
mod mapper_npu;
mod mapper_systolic;
mod parts;
mod problem;
mod rules;
mod threads;
mod write;

pub use check::check;
pub use edit::{Change, Edit, Edited, apply_factors, diff};
pub use entries::{
    ComputeEntry, DeviceKind, FactorsEntry, HardwareFile, MemoryEntry, Number, OverheadEntry, Provenance, ThermalEntry,
};
pub use files::write_atomic;
pub use json_schema::json_schema;
pub use mapper_cpu_gpu::{CpuEntry, GpuEntry};
pub use mapper_mcu::McuEntry;
pub use mapper_npu::{CgraEntry, DepthwiseEntry, DpuEntry, NpuEntry};
pub use mapper_systolic::{SystolicEntry, TileFabricEntry};
pub use parts::HardwareParts;
pub use problem::{Problem, ProblemKind, SpecError};

/// The version of the format that this crate reads and writes: the key `schema`.
pub const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests;
