//! What `derate estimate` says: for programs, and for people.

use std::cmp::Reverse;

use anyhow::Result;
use derate_core::estimate::{ClockState, OpEstimate};
use derate_core::graph::Tables;
use derate_core::shape::Precision;
use derate_core::tensor::TensorKind;
use serde::Serialize;

use super::Measured;
use crate::command::estimates::{Estimates, error_pct};
use crate::graph_buf::GraphBuf;
use crate::hardware_file::{DeviceKind, HardwareFile};
use crate::import::Unsupported;
use crate::on_device::{KernelSaid, OnDevice, bound_name, joules};
use crate::report::Table;
use crate::report::table::Column::{Left, Right};

/// What is estimated.
pub(super) struct Subject<'a> {
    pub(super) graph: &'a GraphBuf,
    pub(super) file: &'a HardwareFile,
    pub(super) threads: u32,
    pub(super) precision: Precision,
    pub(super) clock_state: ClockState,
}

/// Everything `estimate` says; `--format json`. Times in milliseconds where no other unit is in the name.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    /// Name of the network.
    model: String,
    /// Name of the hardware description.
    hardware: String,
    /// The device's sort.
    kind: &'static str,
    /// Power mode, and which of its clocks.
    thermal_profile: String,
    clock: ClockState,
    /// Policy by which the runtime groups ops into kernels.
    fusion: &'static str,
    /// Threads of every op, on a processor.
    threads: u32,
    /// Precision of most of its arithmetic.
    precision: &'static str,
    /// Extent of the outermost axis of the first input.
    batch: Option<u32>,
    /// Time of one run.
    latency_ms: f64,
    /// Interval that holds 90 % of measurements, where the calibration is sure of one.
    interval_ms: Option<[f64; 2]>,
    /// How sure the estimate says it is.
    confidence: &'static str,
    /// What takes most of the time: `compute`, `overhead`, or `memory` with the name of its level.
    bound: String,
    /// Energy of one run in millijoules; null where the description does not say enough.
    energy_mj: Option<f64>,
    /// Energy times delay, in millijoule-milliseconds.
    edp_mj_ms: Option<f64>,
    /// Multiply-accumulates of one run.
    macs: u64,
    /// FLOPs of one run.
    flops: u64,
    /// Learned parameters.
    params: u64,
    /// Bytes stored with the network.
    weight_bytes: u64,
    /// Most bytes of activations alive at once.
    peak_activation_bytes: u64,
    /// Whether both fit the device.
    fits: bool,
    /// Estimate by the description's two factors.
    described_ms: f64,
    /// Estimate by the MAC-only baseline, with a profile.
    mac_only_ms: Option<f64>,
    /// Estimate by the plain-roofline baseline, with a profile.
    plain_roofline_ms: Option<f64>,
    /// One for each kernel, in execution order.
    kernels: Vec<KernelSaid>,
    /// Nodes that could not be counted.
    unsupported: Vec<Unsupported>,
    /// Measured median, with `--measure`.
    measured_ms: Option<f64>,
    /// Measured 10th percentile, with `--measure`.
    p10_ms: Option<f64>,
    /// Median absolute deviation of the measurement, with `--measure`.
    mad_ms: Option<f64>,
    /// (latency − 10th percentile) / 10th percentile, in percent, with `--measure`.
    error_pct: Option<f64>,
    /// The same of the MAC-only baseline, with a profile.
    mac_only_error_pct: Option<f64>,
    /// The same of the plain-roofline baseline, with a profile.
    plain_roofline_error_pct: Option<f64>,
    /// `ok` or `disturbed`, with `--measure`.
    status: Option<String>,
}

pub(super) fn said(
    subject: &Subject<'_>,
    mapped: &OnDevice,
    got: &Estimates,
    ops: Option<&[OpEstimate]>,
    unsupported: Vec<Unsupported>,
    measured: Option<Measured>,
) -> Result<Said> {
    let view = subject.graph.view();
    let input = view.tensors().iter().find(|tensor| tensor.kind == TensorKind::Input);
    let p10 = measured.as_ref().map(|measured| measured.p10_ms);
    let error = |estimated: Option<f64>| Some(error_pct(estimated?, p10?));
    let kernel = |kernel: &crate::on_device::KernelOnDevice| kernel.said(&mapped.levels);
    let mut kernels = mapped.kernels.iter().map(kernel).collect::<Result<Vec<_>, _>>()?;
    for (kernel, op) in kernels.iter_mut().zip(ops.unwrap_or_default()) {
        kernel.latency_us = f64::from(op.latency.0) * 1e6;
        kernel.bound = bound_name(op.bound, &mapped.levels);
    }
    let energy = mapped.network.energy.map(|energy| joules(&energy) * 1e3);
    Ok(Said {
        model: subject.graph.name().to_owned(),
        hardware: subject.file.name.clone(),
        kind: subject.file.kind.name(),
        thermal_profile: mapped.thermal_profile.clone(),
        clock: subject.clock_state,
        fusion: mapped.policy,
        threads: subject.threads,
        precision: subject.precision.name(),
        batch: input.and_then(|input| input.shape.extent(0)),
        latency_ms: got.estimated_ms,
        interval_ms: got.interval_ms,
        confidence: got.got.confidence.name(),
        bound: bound_name(got.got.bound, &mapped.levels),
        energy_mj: energy,
        edp_mj_ms: energy.map(|energy| energy * got.estimated_ms),
        macs: got.got.work.macs.0,
        flops: got.got.work.flops.0,
        params: view.total_work()?.params,
        weight_bytes: mapped.weights.0,
        peak_activation_bytes: mapped.peak_activations.0,
        fits: mapped.fits,
        described_ms: got.described_ms,
        mac_only_ms: got.mac_only_ms,
        plain_roofline_ms: got.plain_roofline_ms,
        kernels,
        unsupported,
        error_pct: error(Some(got.estimated_ms)),
        mac_only_error_pct: error(got.mac_only_ms),
        plain_roofline_error_pct: error(got.plain_roofline_ms),
        p10_ms: p10,
        mad_ms: measured.as_ref().map(|measured| measured.mad_ms),
        measured_ms: measured.as_ref().map(|measured| measured.median_ms),
        status: measured.map(|measured| measured.status),
    })
}

pub(super) fn describe(said: &Said, top: usize, calibrated: bool) -> String {
    let batch = said.batch.map_or(String::new(), |batch| format!(" @{batch}"));
    let by = if calibrated { "the profile" } else { "the description and its mapper" };
    let threads = match said.kind {
        kind if kind == DeviceKind::Cpu.name() => format!(", {} threads", said.threads),
        _ => String::new(),
    };
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let mut text = format!(
        "{}{batch} on {}{threads}, {}\n\nlatency     {:.3} ms by {by}\n",
        said.model, said.hardware, said.precision, said.latency_ms
    );
    if let Some([low, high]) = said.interval_ms {
        text += &format!("interval    {low:.3} to {high:.3} ms, for 90 % of measurements\n");
    }
    let clock = if said.clock == ClockState::Boost { "boost clock" } else { "sustained clock" };
    text += &format!("confidence  {}\nbound       {}\n", said.confidence, said.bound);
    text += &format!("mode        {}, {clock}; kernels as in {}\n", said.thermal_profile, said.fusion);
    if let (Some(energy), Some(edp)) = (said.energy_mj, said.edp_mj_ms) {
        text += &format!("energy      {energy:.4} mJ, {edp:.4} mJ·ms\n");
    }
    text += &format!(
        "memory      {:.3} MB: weights {:.3}, activations {:.3} at most; {}\n",
        megabytes(said.weight_bytes + said.peak_activation_bytes),
        megabytes(said.weight_bytes),
        megabytes(said.peak_activation_bytes),
        if said.fits { "fits" } else { "does not fit" }
    );
    text += &format!(
        "work        {:.3} GMAC, {:.3} GFLOP, {:.3} M parameters\n",
        said.macs as f64 / 1e9,
        said.flops as f64 / 1e9,
        said.params as f64 / 1e6
    );
    if !said.unsupported.is_empty() {
        text += &format!("not counted {} nodes\n", said.unsupported.len());
    }
    if let (Some(median), Some(p10), Some(mad)) = (said.measured_ms, said.p10_ms, said.mad_ms) {
        let status = said.status.as_deref().unwrap_or_default();
        text += &format!("\nmeasured    {p10:.3} ms (10th percentile), median {median:.3} ± {mad:.3} ms, {status}\n\n");
        let mut table = Table::new([Left("estimate"), Right("ms"), Right("error %")]);
        for (name, ms) in [
            (if calibrated { "profile" } else { "mapper" }, Some(said.latency_ms)),
            ("two factors", Some(said.described_ms)),
            ("MAC-only", said.mac_only_ms),
            ("plain roofline", said.plain_roofline_ms),
        ] {
            if let Some(ms) = ms {
                table.row([name.to_owned(), format!("{ms:.3}"), format!("{:+.1}", error_pct(ms, p10))]);
            }
        }
        text += &table.text();
    }
    let mut slowest: Vec<&KernelSaid> = said.kernels.iter().collect();
    // Nanoseconds order alike, and are whole.
    slowest.sort_by_key(|kernel| Reverse((kernel.latency_us * 1e3) as u64));
    let shown = top.min(slowest.len());
    if shown > 0 {
        let headings = [Left("kernel"), Left("op"), Right("µs"), Right("%"), Right("util %"), Left("bound")];
        let mut table = Table::new(headings);
        for kernel in slowest.iter().take(shown) {
            let share = kernel.latency_us / (said.latency_ms * 10.0);
            table.row([
                kernel.name.clone(),
                kernel.op.to_owned(),
                format!("{:.1}", kernel.latency_us),
                format!("{share:.1}"),
                format!("{:.1}", kernel.utilization * 100.0),
                kernel.bound.clone(),
            ]);
        }
        text += &format!("\nthe slowest {shown} of {} kernels\n{}", said.kernels.len(), table.text());
    }
    text
}
