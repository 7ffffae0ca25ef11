//! The report: latency of each op and of the network, in µs, its bound and what it holds, in bytes; one fact a line.
//!
//! The last line gives the bits of the total latency (IEEE 754 binary32, in seconds), the ones that a host must reproduce.

use core::fmt::{self, Write};

use derate_core::Error;
use derate_core::estimate::{Target, estimate, op_estimates};
use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::memory::{Buffer, footprint};
use derate_core::roofline::Bound;
use derate_core::units::Seconds;

use crate::network::{TENSORS, autoencoder};

/// Why there is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The estimate was refused.
    Estimate(Error),
    /// The writer refused the text.
    Write,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Estimate(error)
    }
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::Write
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Estimate(error) => write!(f, "no estimate: {error}"),
            Self::Write => f.write_str("the report could not be written"),
        }
    }
}

impl core::error::Error for Failure {}

/// Total latency of the autoencoder on a device, from its description alone.
///
/// # Errors
/// [`Failure::Estimate`] where the device does not compute in fp32.
pub fn latency(hardware: &Hardware<'_>) -> Result<Seconds, Failure> {
    Ok(estimate(autoencoder()?.view(), &Target::new(hardware)?)?.latency)
}

/// Writes the report of the autoencoder on a device.
///
/// # Errors
/// [`Failure::Estimate`] where the device does not compute in fp32; [`Failure::Write`] where `out` refuses.
pub fn write(out: &mut impl Write, hardware: &Hardware<'_>) -> Result<(), Failure> {
    let graph = autoencoder()?;
    let graph = graph.view();
    let target = Target::new(hardware)?;

    writeln!(out, "network: MLPerf Tiny anomaly detection autoencoder, fp32, batch 1")?;
    writeln!(out, "device: {}", hardware.name())?;
    writeln!(out, "{:<8}{:>8}{:>14}  bound", "op", "macs", "latency_us")?;
    for (node, op) in graph.nodes().iter().zip(op_estimates(graph, &target)?) {
        let op = op?;
        let bound = name(op.bound, hardware);
        writeln!(out, "{:<8}{:>8}{:>14.3}  {bound}", node.op.name(), op.work.macs.0, microseconds(op.latency))?;
    }

    let total = estimate(graph, &target)?;
    let held = footprint(graph, &mut [Buffer::EMPTY; TENSORS])?;
    writeln!(out, "macs: {}", total.work.macs.0)?;
    writeln!(out, "latency: {:.3} us", microseconds(total.latency))?;
    writeln!(out, "bound: {}", name(total.bound, hardware))?;
    writeln!(out, "confidence: {}", total.confidence.name())?;
    writeln!(out, "weights: {}", held.weights)?;
    writeln!(out, "peak activations: {}", held.peak_activations)?;
    writeln!(out, "latency bits: 0x{:08x}", total.latency.0.to_bits())?;
    Ok(())
}

fn microseconds(time: Seconds) -> f32 {
    time.0 * 1e6
}

/// What limits, in a word: arithmetic, the name of a memory level, or what lies beside both.
fn name<'a>(bound: Bound, hardware: &Hardware<'a>) -> &'a str {
    match bound {
        Bound::Compute => "compute",
        Bound::Memory(level) => hardware.memory().get(usize::from(level)).map_or("memory", |level| level.name),
        Bound::Overhead => "overhead",
    }
}
