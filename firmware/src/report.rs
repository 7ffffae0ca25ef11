//! The report: latency of each op and of the network, in µs, its bound and what it holds, in bytes; one fact a line.
//!
//! Twice: op by op by the roofs of the description, and kernel by kernel by the mapper of the device. Each ends with the bits of
//! its total latency (IEEE 754 binary32, in seconds), the ones that a host must reproduce.

use core::fmt::{self, Write};

use derate_core::Error;
use derate_core::estimate::{Memo, Target, estimate, estimate_mapped, mapped_kernels, op_estimates};
use derate_core::fusion::{Fused, Link, MCU, Readers, fuse};
use derate_core::graph::{GraphView, Tables};
use derate_core::hardware::Hardware;
use derate_core::mapping::{Device, Mapper};
use derate_core::memory::{Buffer, footprint};
use derate_core::roofline::Bound;
use derate_core::units::Seconds;

use crate::network::{OPS, TENSORS, autoencoder};

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
pub fn write<M: Mapper>(out: &mut impl Write, device: &Device<'_, M>) -> Result<(), Failure> {
    let hardware = &device.hardware;
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

    let (mut readers, mut links) = ([Readers::NOBODY; TENSORS], [Link::FREE; OPS]);
    let fused = fuse(graph, &MCU, &mut readers, &mut links)?;
    writeln!(out, "{:<8}{:>8}{:>10}{:>14}  bound", "kernel", "macs", "cycles", "latency_us")?;
    let mut memos = [Memo::EMPTY; KERNELS];
    for (kernel, got) in fused.kernels().zip(mapped_kernels(fused, &target, &device.mapper, &mut memos)?) {
        let got = got?;
        let (op, bound) = (kernel.main().map_or("", |node| node.op.name()), name(got.op.bound, hardware));
        let (macs, cycles) = (got.op.work.macs.0, got.compute_cycles.0);
        writeln!(out, "{op:<8}{macs:>8}{cycles:>10}{:>14.3}  {bound}", microseconds(got.op.latency))?;
    }
    let mapped = mapped(fused, device)?;
    writeln!(out, "mapped latency: {:.3} us", microseconds(mapped))?;
    writeln!(out, "mapped latency bits: 0x{:08x}", mapped.0.to_bits())?;
    Ok(())
}

/// Different kernels that are remembered: the layers of the autoencoder have four shapes.
const KERNELS: usize = 4;

/// Total latency of a network's kernels, each laid on the device by its mapper.
///
/// # Errors
/// [`Failure::Estimate`] where the device does not compute in the network's precision.
fn mapped<M: Mapper>(fused: Fused<'_>, device: &Device<'_, M>) -> Result<Seconds, Failure> {
    let mut memos = [Memo::EMPTY; KERNELS];
    let target = Target::new(&device.hardware)?;
    Ok(estimate_mapped(fused, &target, &device.mapper, &mut memos)?.estimate.latency)
}

/// Total latency of a graph by the mapper of a device.
///
/// # Errors
/// [`Failure::Estimate`] where the graph has more ops or tensors than the autoencoder, or the device does not compute in its precision.
pub fn mapped_latency<M: Mapper>(graph: GraphView<'_>, device: &Device<'_, M>) -> Result<Seconds, Failure> {
    let (mut readers, mut links) = ([Readers::NOBODY; TENSORS], [Link::FREE; OPS]);
    mapped(fuse(graph, &MCU, &mut readers, &mut links)?, device)
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
