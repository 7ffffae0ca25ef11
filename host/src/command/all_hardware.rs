//! `derate verify --all-hardware`: the ResNet family on every shipped device, estimated: MACs exact, times above the roof of
//! arithmetic and in order.

use anyhow::Result;
use derate_core::estimate::NetworkEstimate;
use derate_core::graph::Tables;
use derate_core::roofline::Bound;
use derate_core::shape::DataType;
use derate_core::tile::MAX_LEVELS;
use derate_core::units::{Bytes, Macs};
use serde::Serialize;

use super::hardware::find;
use super::{Outcome, json, print_json};
use crate::cli::Format;
use crate::on_device::{Mode, in_precision, least_seconds, network_on, precision_of, target};
use crate::report::Table;
use crate::report::table::Column::{Left, Right};
use crate::zoo;

/// The family from the smallest on, with its MACs of an image: torchvision's models, counted by torch's `FlopCounterMode`.
const FAMILY: [(&str, u64); 5] = [
    ("resnet18", 1_814_073_344),
    ("resnet34", 3_663_761_408),
    ("resnet50", 4_089_184_256),
    ("resnet101", 7_801_405_440),
    ("resnet152", 11_513_626_624),
];

/// The two networks that are neighbours by MACs, but of different blocks: two windows of 3 × 3, or one between two of 1 × 1.
const OTHER_BLOCKS: (&str, &str) = ("resnet34", "resnet50");

/// A device: the keys of `--format json`.
#[derive(Debug, Serialize)]
struct Row {
    hardware: String,
    precision: &'static str,
    /// Latencies of the family, in its order.
    latency_ms: Vec<f64>,
    /// What is wrong; empty where nothing is.
    problems: Vec<String>,
    /// What is out of the usual order, and why.
    notes: Vec<String>,
}

pub(super) fn run(format: Format) -> Result<Outcome> {
    let rows = derate_hw_specs::DEVICES.iter().map(|(name, _)| row(name)).collect::<Result<Vec<_>>>()?;
    let failed = rows.iter().filter(|row| !row.problems.is_empty()).count();
    if json(format) {
        print_json(&rows)?;
    } else {
        let headings = [Left("hardware"), Left("precision")].into_iter();
        let headings = headings.chain(FAMILY.iter().map(|(name, _)| Right(name))).chain([Left("problems")]);
        let mut table = Table::new(headings.collect::<Vec<_>>());
        for row in &rows {
            let cells = [row.hardware.clone(), row.precision.to_owned()].into_iter();
            let times = row.latency_ms.iter().map(|ms| format!("{ms:.4}"));
            table.row(cells.chain(times).chain([row.problems.join("; ")]));
        }
        say_part!("{}", table.text());
        say!("\n{} devices, {failed} with problems; times in ms, by description and mapper alone", rows.len());
        for row in &rows {
            row.notes.iter().for_each(|note| say!("note: {}: {note}", row.hardware));
        }
    }
    Ok(if failed == 0 { Outcome::Done } else { Outcome::CheckFailed })
}

/// A network on a device, as far as the checks look at it.
#[derive(Clone, Copy, Debug)]
struct Got {
    name: &'static str,
    latency_ms: f64,
    /// Time that the units need at their peak in this mode, all of them full.
    least_ms: f64,
    bound: Bound,
    traffic: [Bytes; MAX_LEVELS],
}

fn row(name: &str) -> Result<Row> {
    let file = find(name)?.1;
    let mut row = Row {
        hardware: file.name.clone(),
        precision: "",
        latency_ms: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let mut all = Vec::new();
    for (network, macs) in FAMILY {
        let graph = zoo::network(network, 1, DataType::Fp32)?;
        let (graph, precision) = in_precision(&graph, precision_of(&graph), None, &file)?;
        row.precision = precision.name();
        let counted = graph.view().total_work()?.macs.0;
        if counted != macs {
            row.problems.push(format!("{network} has {counted} MACs, not {macs}"));
        }
        let parts = file.parts()?;
        let hardware = parts.hardware()?;
        let least_ms = least_seconds(&target(&hardware, Mode::default())?, precision, Macs(macs))? * 1e3;
        match network_on(&graph, &file, Mode::default()) {
            Ok(NetworkEstimate { estimate, traffic, .. }) => {
                let latency_ms = f64::from(estimate.latency.0) * 1e3;
                row.latency_ms.push(latency_ms);
                all.push(Got { name: network, latency_ms, least_ms, bound: estimate.bound, traffic });
            }
            Err(error) => row.problems.push(format!("{network}: {error:#}")),
        }
    }
    let levels: Vec<&str> = file.memory.iter().map(|level| level.name.as_str()).collect();
    let (problems, notes) = judged(&all, &levels);
    row.problems.extend(problems);
    row.notes = notes;
    Ok(row)
}

/// What is wrong with the times of the family on a device, and what only looks so.
///
/// A time is finite and at least that of the arithmetic at the peak. The networks of one kind of block hold all kernels of the
/// smaller ones and more: they take longer. ResNet-34 has other kernels than ResNet-50, whose MACs are 12 % more: it takes longer
/// only where memory bounds it, and where it moves more bytes through the level that does.
fn judged(all: &[Got], levels: &[&str]) -> (Vec<String>, Vec<String>) {
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    for Got { name, latency_ms, least_ms, .. } in all {
        // Sums of 32 bits: the last digits are theirs.
        if !latency_ms.is_finite() || *latency_ms < least_ms * (1.0 - 1e-4) || *latency_ms <= 0.0 {
            problems.push(format!("{name} takes {latency_ms} ms, its MACs alone {least_ms} ms at the peak"));
        }
    }
    for pair in all.windows(2) {
        let [smaller, larger] = pair else { continue };
        if smaller.latency_ms < larger.latency_ms {
            continue;
        }
        let said = format!(
            "{} takes {:.4} ms, {} of more MACs {:.4} ms",
            smaller.name, smaller.latency_ms, larger.name, larger.latency_ms
        );
        let moved = |got: &Got, level: u8| got.traffic.get(usize::from(level)).map_or(0, |bytes| bytes.0);
        match smaller.bound {
            Bound::Memory(level)
                if (smaller.name, larger.name) == OTHER_BLOCKS && moved(smaller, level) > moved(larger, level) =>
            {
                let name = levels.get(usize::from(level)).unwrap_or(&"");
                let [more, less] = [smaller, larger].map(|got| moved(got, level));
                notes.push(format!("{said}: it is bound by {name}, through which {more} bytes pass, not {less}"));
            }
            _ => problems.push(format!("out of order: {said}")),
        }
    }
    (problems, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [&str; 2] = ["SRAM", "flash"];

    fn got(name: &'static str, latency_ms: f64, bound: Bound, flash: u64) -> Got {
        let mut traffic = [Bytes::ZERO; MAX_LEVELS];
        traffic[1] = Bytes(flash);
        Got { name, latency_ms, least_ms: 1.0, bound, traffic }
    }

    #[test]
    fn times_in_order_are_right() {
        let all = [got("resnet34", 2.0, Bound::Compute, 9), got("resnet50", 3.0, Bound::Compute, 8)];
        assert_eq!(judged(&all, &LEVELS), (vec![], vec![]));
    }

    #[test]
    fn a_time_below_the_peak_or_of_no_number_is_a_problem() {
        for latency_ms in [0.9, 0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (problems, _) = judged(&[got("resnet18", latency_ms, Bound::Compute, 0)], &LEVELS);
            assert_eq!(problems.len(), 1, "{latency_ms}");
        }
    }

    #[test]
    fn only_more_bytes_of_other_kernels_excuse_a_longer_time() {
        let judged = |first, second, bound, [more, less]: [u64; 2]| {
            let (problems, notes) = judged(&[got(first, 3.0, bound, more), got(second, 2.0, bound, less)], &LEVELS);
            (problems.len(), notes.len())
        };
        assert_eq!(judged("resnet34", "resnet50", Bound::Memory(1), [9, 8]), (0, 1));
        assert_eq!(judged("resnet34", "resnet50", Bound::Memory(1), [8, 8]), (1, 0), "no more bytes");
        assert_eq!(judged("resnet34", "resnet50", Bound::Memory(0), [9, 8]), (1, 0), "at another level");
        assert_eq!(judged("resnet34", "resnet50", Bound::Compute, [9, 8]), (1, 0), "arithmetic binds");
        assert_eq!(judged("resnet50", "resnet101", Bound::Memory(1), [9, 8]), (1, 0), "the same kernels and more");
    }
}
