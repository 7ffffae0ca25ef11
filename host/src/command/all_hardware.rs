//! `derate verify --all-hardware`: the ResNet family on every shipped device, estimated: MACs exact, times finite and in order.

use anyhow::Result;
use derate_core::graph::Tables;
use derate_core::shape::DataType;
use serde::Serialize;

use super::hardware::find;
use super::{Outcome, json, print_json};
use crate::cli::Format;
use crate::on_device::{Mode, in_precision, on_device, precision_of};
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

/// A device: the keys of `--format json`.
#[derive(Debug, Serialize)]
struct Row {
    hardware: String,
    precision: &'static str,
    /// Latencies of the family, in its order.
    latency_ms: Vec<f64>,
    /// What is wrong; empty where nothing is.
    problems: Vec<String>,
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
    }
    Ok(if failed == 0 { Outcome::Done } else { Outcome::CheckFailed })
}

fn row(name: &str) -> Result<Row> {
    let file = find(name)?.1;
    let mut row = Row { hardware: file.name.clone(), precision: "", latency_ms: Vec::new(), problems: Vec::new() };
    for (network, macs) in FAMILY {
        let graph = zoo::network(network, 1, DataType::Fp32)?;
        let (graph, precision) = in_precision(&graph, precision_of(&graph), None, &file)?;
        row.precision = precision.name();
        let counted = graph.view().total_work()?.macs.0;
        if counted != macs {
            row.problems.push(format!("{network} has {counted} MACs, not {macs}"));
        }
        match on_device(&graph, &file, Mode::default()) {
            Ok(got) => row.latency_ms.push(f64::from(got.network.estimate.latency.0) * 1e3),
            Err(error) => row.problems.push(format!("{network}: {error:#}")),
        }
    }
    if let Some(time) = row.latency_ms.iter().find(|time| !time.is_finite() || **time <= 0.0) {
        row.problems.push(format!("a time of {time} ms"));
    }
    let pairs = row.latency_ms.iter().zip(row.latency_ms.iter().skip(1));
    if let Some((smaller, larger)) = pairs.into_iter().find(|(smaller, larger)| larger <= smaller) {
        row.problems.push(format!("out of order: {smaller} ms before {larger} ms"));
    }
    Ok(row)
}
