//! `derate explain`: what a kernel's time is made of on a device, and which limit binds, in a sentence.

use std::cmp::Reverse;

use anyhow::Result;
use derate_core::mapping::{Loss, Lost};
use derate_core::roofline::Bound;
use serde::Serialize;

use super::hardware::find;
use super::{Outcome, json, print_json};
use crate::cli::{Explain, Format};
use crate::hardware_file::HardwareFile;
use crate::on_device::{KernelOnDevice, KernelSaid, OnDevice, described_in, in_precision, on_device, precision_of};
use crate::report::Table;
use crate::report::table::Column::{Left, Right};

/// What `--format json` says of a kernel.
#[derive(Debug, Serialize)]
struct Said {
    /// Which limit binds, in a sentence.
    sentence: String,
    /// Why units idle, and the share that each reason leaves.
    losses: Vec<LossSaid>,
    /// The kernel.
    #[serde(flatten)]
    kernel: KernelSaid,
}

/// A loss.
#[derive(Debug, Serialize)]
struct LossSaid {
    /// Why.
    loss: Loss,
    /// Share of the peak that is left.
    left: f32,
}

pub(super) fn run(args: &Explain, format: Format) -> Result<Outcome> {
    let file = find(&args.hardware)?.1;
    let graph = args.network.read(described_in(args.precision))?.graph;
    let (graph, precision) = in_precision(&graph, precision_of(&graph), args.precision, &file)?;
    let got = on_device(&graph, &file, args.place.mode())?;
    let mut slowest: Vec<&KernelOnDevice> = got.kernels.iter().collect();
    slowest.sort_by_key(|kernel| Reverse((f64::from(kernel.estimate.op.latency.0) * 1e12) as u64));
    slowest.truncate(usize::try_from(args.top).unwrap_or(usize::MAX));
    if json(format) {
        let said = slowest.into_iter().map(|kernel| {
            Ok(Said {
                sentence: sentence(kernel, &got, &file),
                losses: kernel.mapping.losses.iter().map(|&Lost { loss, left }| LossSaid { loss, left }).collect(),
                kernel: kernel.said(&got.levels)?,
            })
        });
        print_json(&said.collect::<Result<Vec<_>>>()?)?;
        return Ok(Outcome::Done);
    }
    say!("{} on {}, {}, thermal profile {}", graph.name(), file.description, precision.name(), got.thermal_profile);
    for kernel in slowest {
        say!("\n{} ({})\n{}\n", kernel.name, kernel.op, sentence(kernel, &got, &file));
        say_part!("{}", parts(kernel, &got, &file).text());
    }
    Ok(Outcome::Done)
}

/// Which limit binds.
fn sentence(kernel: &KernelOnDevice, got: &OnDevice, file: &HardwareFile) -> String {
    let op = &kernel.estimate.op;
    let us = |seconds: f32| format!("{:.3} µs", f64::from(seconds) * 1e6);
    let losses = losses(&kernel.mapping.losses);
    match op.bound {
        Bound::Compute => {
            let lost =
                if losses.is_empty() { "all units are full".to_owned() } else { format!("units lose to {losses}") };
            format!(
                "Arithmetic binds: {} of {}, {:.1} % of the peak in {} cycles; {lost}.",
                us(op.compute.0),
                us(op.latency.0),
                kernel.estimate.utilization * 100.0,
                kernel.estimate.compute_cycles.0,
            )
        }
        Bound::Memory(level) => {
            let index = usize::from(level);
            let name = got.levels.get(index).map_or("", String::as_str);
            let bytes = kernel.estimate.traffic.get(index).map_or(0, |bytes| bytes.0);
            let rate = file.memory.get(index).map_or(0.0, |level| level.bandwidth_bytes_per_s.value / 1e9);
            format!(
                "{name} binds: {bytes} bytes at {rate:.3} GB/s and what software reaches of it, {} of {}; arithmetic alone takes {}.",
                us(op.memory.0),
                us(op.latency.0),
                us(op.compute.0)
            )
        }
        Bound::Overhead => format!(
            "Overhead binds: {} of {} pass before the work, which is {} of arithmetic and {} of traffic.",
            us(op.overhead.0),
            us(op.latency.0),
            us(op.compute.0),
            us(op.memory.0)
        ),
    }
}

/// The losses that matter, in words.
fn losses(losses: &[Lost]) -> String {
    let mut sorted: Vec<&Lost> = losses.iter().filter(|lost| lost.left < 0.995).collect();
    sorted.sort_by(|a, b| a.left.total_cmp(&b.left));
    let words = |lost: &&Lost| format!("{} ({:.0} % left)", name(lost.loss), lost.left * 100.0);
    sorted.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// A loss in words.
const fn name(loss: Loss) -> &'static str {
    match loss {
        Loss::EdgeTiles => "tiles at the edge",
        Loss::Padding => "padded channels",
        Loss::Waves => "the last wave",
        Loss::Imbalance => "unequal shares of the units",
        Loss::FillDrain => "filling and draining the array",
        Loss::Latency => "latency of instructions",
        Loss::Issue => "instructions that are no MACs",
        Loss::WeightLoad => "loading weights into the array",
        Loss::Emulation => "emulated instructions",
        Loss::Movement => "waiting for moves",
    }
}

/// Arithmetic and each level: what it does, and how long that takes at the roof.
fn parts(kernel: &KernelOnDevice, got: &OnDevice, file: &HardwareFile) -> Table<'static> {
    let mut table =
        Table::new([Left("part"), Right("work"), Right("footprint"), Right("µs at the roof"), Left("tile")]);
    let tilings = kernel.mapping.tiling.as_ref().map_or(&[][..], |tiling| &tiling.levels);
    table.row([
        "arithmetic".to_owned(),
        format!("{} MACs", kernel.estimate.op.work.macs.0),
        String::new(),
        format!("{:.3}", f64::from(kernel.estimate.op.compute.0) * 1e6),
        String::new(),
    ]);
    let levels = got.levels.iter().zip(&file.memory).zip(kernel.estimate.traffic).zip(kernel.mapping.footprint);
    for (index, (((name, level), traffic), footprint)) in levels.enumerate() {
        let tile = tilings.get(index).map_or(String::new(), |tiling| {
            let loops = tiling.loops.iter().map(|each| format!("{} {}", each.dim.name(), each.tile));
            format!("{}; {} stationary", loops.collect::<Vec<_>>().join(", "), tiling.stationary.name())
        });
        table.row([
            name.clone(),
            format!("{} B", traffic.0),
            if footprint.0 == 0 { String::new() } else { format!("{} B", footprint.0) },
            format!("{:.3}", traffic.0 as f64 / level.bandwidth_bytes_per_s.value * 1e6),
            tile,
        ]);
    }
    table
}
