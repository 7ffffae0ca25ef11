//! `derate estimate`: the time and memory of a network on a device, op by op, and beside a measurement if one is asked for.

use std::cmp::Reverse;

use anyhow::{Context, Result, bail};
use derate_core::estimate::{OpEstimate, Target, op_estimates};
use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::roofline::Bound;
use derate_core::shape::{DataType, Precision};
use derate_core::tensor::TensorKind;
use serde::Serialize;

use super::estimates::{Estimates, error_pct, estimates, fit, profile, threads};
use super::{Outcome, hardware, hardware_file, json, print_json, target, with_threads};
use crate::cli::{Estimate, Format};
use crate::graph_buf::GraphBuf;
use crate::import::Unsupported;
use crate::report::Table;
use crate::report::table::Column::{Left, Right};
use crate::retype::retyped;

/// Everything `estimate` says; `--format json`. Times in milliseconds where no other unit is in the name.
#[derive(Debug, Serialize)]
struct Said {
    /// Name of the network.
    model: String,
    /// Name of the hardware description.
    hardware: String,
    /// Threads of every op.
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
    /// Estimate by the description's two factors.
    described_ms: f64,
    /// Estimate by the MAC-only baseline, with a profile.
    mac_only_ms: Option<f64>,
    /// Estimate by the plain-roofline baseline, with a profile.
    plain_roofline_ms: Option<f64>,
    /// One for each op, in execution order.
    ops: Vec<OpSaid>,
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

/// One op.
#[derive(Debug, Serialize)]
struct OpSaid {
    /// Its name in the network.
    name: String,
    /// Its kind.
    op: &'static str,
    /// Its time, in microseconds.
    latency_us: f64,
    /// What takes most of it.
    bound: String,
}

/// A measurement: times in milliseconds.
#[derive(Debug)]
struct Measured {
    median_ms: f64,
    p10_ms: f64,
    mad_ms: f64,
    status: String,
}

pub(super) fn run(args: &Estimate, format: Format) -> Result<Outcome> {
    #[cfg(not(feature = "torch"))]
    if args.measure {
        return super::torch::hand_over();
    }
    let described = args.precision.map_or(DataType::Fp32, Precision::data_type);
    let import = args.network.read(described)?;
    refuse_unsupported(args, &import.unsupported)?;
    let graph = match args.precision {
        Some(precision) if precision.data_type().precision() != Some(precision) => {
            bail!("--precision {}: no tensor is stored in it; convert to fp32", precision.name())
        }
        Some(precision) => retyped(&import.graph, precision.data_type())?,
        None => import.graph,
    };
    #[cfg(feature = "torch")]
    if args.measure {
        runs(&graph)?;
    }
    let precision = args.precision.unwrap_or_else(|| precision_of(&graph));
    let file = match &args.hardware {
        Some(named) => hardware::find(named)?.1,
        None => hardware_file(None)?.1,
    };
    let profile = profile(args.profile.as_deref())?;
    let threads = threads(args.threads, profile.as_ref(), &file);
    let fit = fit(profile.as_ref(), precision, &file, threads, runtime(args.measure).as_deref())?;
    let file = with_threads(&file, threads)?;
    let parts = file.parts()?;
    let device = parts.hardware()?;
    let target = target(&device, args.thermal_profile.as_deref())?;
    let place = || format!("{} on {}", graph.name(), device.name());
    let got = estimates(&graph, &target, fit.as_ref(), precision).with_context(place)?;
    let calibration = fit.as_ref().map(|fit| fit.calibration);
    let calibrated = Target { calibration: calibration.as_ref(), ..target };
    let ops = op_estimates(graph.view(), &calibrated)?.collect::<Result<Vec<_>, _>>()?;
    #[cfg(not(feature = "torch"))]
    let measured = None;
    #[cfg(feature = "torch")]
    let measured = if args.measure {
        match measure(&graph, precision, &file, threads, args.block_time)? {
            Some(measured) => Some(measured),
            None => return Ok(Outcome::Interrupted),
        }
    } else {
        None
    };
    let said = said(&graph, &device, (threads, precision), &got, &ops, import.unsupported, measured)?;
    if json(format) {
        print_json(&said)?
    } else {
        say_part!("{}", describe(&said, args.top, fit.is_some()))
    }
    Ok(Outcome::Done)
}

fn refuse_unsupported(args: &Estimate, unsupported: &[Unsupported]) -> Result<()> {
    if unsupported.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> =
        unsupported.iter().map(|node| format!("  {} ({}): {}", node.name, node.op, node.reason)).collect();
    let (count, listed) = (listed.len(), listed.join("\n"));
    if args.allow_unsupported {
        eprintln!("{}: {count} of its nodes are not counted:\n{listed}", args.network.source);
        return Ok(());
    }
    bail!(
        "{}: {count} of its nodes cannot be counted; --allow-unsupported estimates the rest:\n{listed}",
        args.network.source
    )
}

/// The precision in which the graph does most of its arithmetic; fp32 where it does none.
fn precision_of(graph: &GraphBuf) -> Precision {
    let view = graph.view();
    let mut flops = [0_u64; Precision::ALL.len()];
    for node in view.nodes() {
        let precision = view.operands(node).at(0).ok().and_then(|operand| operand.data_type.precision());
        let at = precision.and_then(|precision| Precision::ALL.iter().position(|known| *known == precision));
        if let (Some(sum), Ok(work)) = (at.and_then(|at| flops.get_mut(at)), view.work(node)) {
            *sum = sum.saturating_add(work.flops.0);
        }
    }
    let most = Precision::ALL.into_iter().zip(flops).filter(|(_, flops)| *flops > 0).max_by_key(|(_, flops)| *flops);
    most.map_or(Precision::Fp32, |(precision, _)| precision)
}

#[cfg(feature = "torch")]
fn runtime(measure: bool) -> Option<String> {
    measure.then(crate::torch::runtime)
}

#[cfg(not(feature = "torch"))]
const fn runtime(_measure: bool) -> Option<String> {
    None
}

/// Whether libtorch runs the network; the node that is in its way is named.
#[cfg(feature = "torch")]
fn runs(graph: &GraphBuf) -> Result<()> {
    let network = crate::torch::Network::new(graph.view());
    network.map(drop).with_context(|| format!("--measure: {}", graph.name()))
}

#[cfg(feature = "torch")]
fn measure(
    graph: &GraphBuf,
    precision: Precision,
    file: &crate::hardware_file::HardwareFile,
    threads: u32,
    block_time: f64,
) -> Result<Option<Measured>> {
    use crate::measure::Outcome as Measurement;

    super::sweep::precisions(&[precision], file)?;
    crate::torch::set_threads(threads);
    hardware::warn_if_disturbed();
    let Some(records) = super::measured::measure_all(std::slice::from_ref(graph), block_time)? else { return Ok(None) };
    match records.first().map(|record| &record.outcome) {
        Some(Measurement::Measured(measured)) => Ok(Some(Measured {
            median_ms: measured.summary.median_ns / 1e6,
            p10_ms: measured.summary.p10_ns / 1e6,
            mad_ms: measured.summary.mad_ns / 1e6,
            status: measured.status.word().to_owned(),
        })),
        Some(Measurement::Skipped { reason }) => bail!("{} could not be measured: {reason}", graph.name()),
        None => bail!("{} could not be measured", graph.name()),
    }
}

fn said(
    graph: &GraphBuf,
    device: &Hardware<'_>,
    (threads, precision): (u32, Precision),
    got: &Estimates,
    ops: &[OpEstimate],
    unsupported: Vec<Unsupported>,
    measured: Option<Measured>,
) -> Result<Said> {
    let view = graph.view();
    let bound = |bound: Bound| match bound {
        Bound::Compute => "compute".to_owned(),
        Bound::Overhead => "overhead".to_owned(),
        Bound::Memory(level) => {
            let name = device.memory().get(usize::from(level)).map_or("", |level| level.name);
            format!("memory {name}").trim_end().to_owned()
        }
    };
    let footprint = graph.footprint()?;
    let input = view.tensors().iter().find(|tensor| tensor.kind == TensorKind::Input);
    let p10 = measured.as_ref().map(|measured| measured.p10_ms);
    let error = |estimated: Option<f64>| Some(error_pct(estimated?, p10?));
    let ops = view.nodes().iter().zip(graph.names()).zip(ops);
    Ok(Said {
        model: graph.name().to_owned(),
        hardware: device.name().to_owned(),
        threads,
        precision: precision.name(),
        batch: input.and_then(|input| input.shape.extent(0)),
        latency_ms: got.estimated_ms,
        interval_ms: got.interval_ms,
        confidence: got.got.confidence.name(),
        bound: bound(got.got.bound),
        macs: got.got.work.macs.0,
        flops: got.got.work.flops.0,
        params: view.total_work()?.params,
        weight_bytes: footprint.weights.0,
        peak_activation_bytes: footprint.peak_activations.0,
        described_ms: got.described_ms,
        mac_only_ms: got.mac_only_ms,
        plain_roofline_ms: got.plain_roofline_ms,
        ops: ops
            .map(|((node, name), estimate)| OpSaid {
                name: name.clone(),
                op: node.op.name(),
                latency_us: f64::from(estimate.latency.0) * 1e6,
                bound: bound(estimate.bound),
            })
            .collect(),
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

fn describe(said: &Said, top: usize, calibrated: bool) -> String {
    let batch = said.batch.map_or(String::new(), |batch| format!(" @{batch}"));
    let by = if calibrated { "the profile" } else { "the description's two factors" };
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let mut text = format!(
        "{}{batch} on {}, {} threads, {}\n\nlatency     {:.3} ms by {by}\n",
        said.model, said.hardware, said.threads, said.precision, said.latency_ms
    );
    if let Some([low, high]) = said.interval_ms {
        text += &format!("interval    {low:.3} to {high:.3} ms, for 90 % of measurements\n");
    }
    text += &format!("confidence  {}\nbound       {}\n", said.confidence, said.bound);
    text += &format!(
        "memory      {:.3} MB: weights {:.3}, activations {:.3} at most\n",
        megabytes(said.weight_bytes + said.peak_activation_bytes),
        megabytes(said.weight_bytes),
        megabytes(said.peak_activation_bytes)
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
            (if calibrated { "profile" } else { "two factors" }, Some(said.latency_ms)),
            ("two factors", calibrated.then_some(said.described_ms)),
            ("MAC-only", said.mac_only_ms),
            ("plain roofline", said.plain_roofline_ms),
        ] {
            if let Some(ms) = ms {
                table.row([name.to_owned(), format!("{ms:.3}"), format!("{:+.1}", error_pct(ms, p10))]);
            }
        }
        text += &table.text();
    }
    let mut slowest: Vec<&OpSaid> = said.ops.iter().collect();
    // Nanoseconds order alike, and are whole.
    slowest.sort_by_key(|op| Reverse((op.latency_us * 1e3) as u64));
    let shown = top.min(slowest.len());
    if shown > 0 {
        let mut table = Table::new([Left("op"), Left("kind"), Right("µs"), Right("%"), Left("bound")]);
        for op in slowest.iter().take(shown) {
            let share = op.latency_us / (said.latency_ms * 10.0);
            let cells = [format!("{:.1}", op.latency_us), format!("{share:.1}")];
            let [time, share] = cells;
            table.row([op.name.clone(), op.op.to_owned(), time, share, op.bound.clone()]);
        }
        text += &format!("\nthe slowest {shown} of {} ops\n{}", said.ops.len(), table.text());
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn args(line: &str) -> Estimate {
        match Cli::parse_from(line.split(' ')).verb {
            Verb::Estimate(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_counted_is_listed_and_refused_unless_allowed() {
        let nodes = [Unsupported {
            name: "nms".into(),
            op: "NonMaxSuppression".into(),
            reason: "its shape follows from values".into(),
        }];
        let refused = refuse_unsupported(&args("derate estimate x.onnx"), &nodes).expect_err("listed").to_string();
        for said in
            ["x.onnx: 1 of its nodes", "--allow-unsupported", "nms (NonMaxSuppression): its shape follows from values"]
        {
            assert!(refused.contains(said), "{refused}");
        }
        assert!(refuse_unsupported(&args("derate estimate x.onnx --allow-unsupported"), &nodes).is_ok());
        assert!(refuse_unsupported(&args("derate estimate x.onnx"), &[]).is_ok());
    }
}
