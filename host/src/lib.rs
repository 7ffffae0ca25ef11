//! `derate` on the host: measures networks through libtorch, fits the coefficients of [`derate_core`], reports, applies and verifies them.

pub mod boards;
pub mod calibrate;
pub mod cli;
mod closest;
pub mod command;
pub mod describe;
pub mod detect;
pub mod digits;
pub mod evaluate;
pub mod export;
pub mod fits;
pub mod graph_buf;
pub mod hardware_file;
pub mod import;
pub mod measure;
pub mod on_device;
pub mod process_memory;
pub mod profile;
pub mod progress;
pub mod rebatch;
pub mod report;
pub mod retype;
pub mod sweep;
#[cfg(feature = "torch")]
pub mod torch;
pub mod zoo;
