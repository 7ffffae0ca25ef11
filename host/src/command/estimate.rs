//! `derate estimate`: the time, energy and memory of a network on a device, kernel by kernel, and beside a measurement if one is
//! asked for.

mod said;

use anyhow::{Context, Result, bail};
use derate_core::estimate::{Target, op_estimates};
use derate_core::graph::Tables;
#[cfg(feature = "torch")]
use derate_core::shape::Precision;

use self::said::{Subject, describe, said};
use super::estimates::{estimates, fit, profile, threads};
use super::{Outcome, hardware, hardware_file, json, print_json, with_threads};
use crate::cli::{Estimate, Format, Fusion};
#[cfg(feature = "torch")]
use crate::graph_buf::GraphBuf;
use crate::import::Unsupported;
use crate::on_device::{Mode, described_in, in_precision, on_device, precision_of, target};

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
    let import = args.network.read(described_in(args.precision))?;
    refuse_unsupported(args, &import.unsupported)?;
    let file = match &args.hardware {
        Some(named) => hardware::find(named)?.1,
        None => hardware_file(None)?.1,
    };
    let own = precision_of(&import.graph);
    let (graph, precision) = in_precision(&import.graph, own, args.precision, &file)?;
    if precision != own && args.precision.is_none() {
        eprintln!("note: {} has no units for {}: estimated in {}", file.name, own.name(), precision.name());
    }
    #[cfg(feature = "torch")]
    if args.measure {
        runs(&graph)?;
    }
    let profile = profile(args.profile.as_deref())?;
    let threads = threads(args.threads, profile.as_ref(), &file);
    let fit = fit(profile.as_ref(), precision, &file, threads, runtime(args.measure).as_deref())?;
    let mut mode = args.place.mode();
    if fit.is_some() {
        if args.place.fusion.is_some_and(|fusion| fusion != Fusion::Eager) {
            bail!("--fusion: the profile is of a runtime that runs op by op; leave the option out, or say eager");
        }
        mode = Mode { policy: Some(Fusion::Eager.policy()), ..mode };
    }
    let file = with_threads(&file, threads)?;
    let parts = file.parts()?;
    let device = parts.hardware()?;
    let target = target(&device, mode)?;
    let place = || format!("{} on {}", graph.name(), device.name());
    let mapped = on_device(&graph, &file, mode)?;
    let got = estimates(&graph, &target, fit.as_ref(), Some(&mapped)).with_context(place)?;
    let calibration = fit.as_ref().map(|fit| fit.calibration);
    let calibrated = Target { calibration: calibration.as_ref(), ..target };
    // With a profile a kernel is an op, and takes the time that the profile says.
    let ops = match calibration {
        Some(_) => Some(op_estimates(graph.view(), &calibrated)?.collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
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
    let subject = Subject { graph: &graph, file: &file, threads, precision, clock_state: mode.clock_state };
    let said = said(&subject, &mapped, &got, ops.as_deref(), import.unsupported, measured)?;
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
