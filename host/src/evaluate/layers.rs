//! Measured layers: rows of a CSV that name nodes of a graph, each timed by itself in an eager runtime.
//!
//! ```text
//! model,batch,subgraph,nodes,mean_ms,…        further columns are passed over; `median_ms` or `p10_ms` may stand for `mean_ms`
//! resnet18,1,0,conv1|bn1|relu|maxpool,0.81,…
//! ```
//! `nodes` are names of nodes of the model's graph, in execution order, joined by `|`; the time is the sum of theirs. The graph is
//! `<folder>/<model>` with the ending of any format that is imported. A node that the graph leaves out (shape arithmetic, an identity) is a view.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use derate_core::calibration::{Call, Calls, Reuse};
use derate_core::graph::Tables;
use derate_core::shape::{DataType, Precision};
use derate_core::units::Bytes;
use derate_core::work::{Class, Work};

use super::columns::Columns;
use crate::calibrate::sample::{Sample, ops};
use crate::graph_buf::GraphBuf;
use crate::import::{self, import};
use crate::retype::retyped;

/// Columns that tell such a file.
pub const COLUMNS: [&str; 3] = ["model", "batch", "nodes"];

/// Columns that may stand for the time, the first that is there.
const TIMES: [&str; 3] = ["mean_ms", "median_ms", "p10_ms"];

/// Graphs that were read, by model and batch.
#[derive(Debug, Default)]
pub struct Graphs(HashMap<(String, u32), GraphBuf>);

/// Reads rows of one file; `number` tells it from others of the same models.
///
/// # Errors
/// A file, line, column, model or node that is wrong, with what is allowed.
pub fn read(
    file: &Columns,
    number: usize,
    folder: &Path,
    precision: Precision,
    graphs: &mut Graphs,
) -> Result<Vec<Sample>> {
    let time = file.first(&TIMES)?;
    let mut samples = Vec::new();
    for line in file.lines() {
        let key = (line.text("model").to_owned(), line.count("batch")?);
        let seconds = line.positive(time)? * 1e-3;
        if !graphs.0.contains_key(&key) {
            let graph = graph_of(folder, &key.0, key.1, precision).with_context(|| line.at("model"))?;
            graphs.0.insert(key.clone(), graph);
        }
        let group = format!("{} {} @{} {number}", key.0, precision.name(), key.1);
        let graph = &graphs.0[&key];
        samples.push(sample(graph, line.text("nodes"), group, &key.0, seconds).with_context(|| line.at("nodes"))?);
    }
    Ok(samples)
}

/// The graph of a model, from the first file of the folder that bears its name.
fn graph_of(folder: &Path, model: &str, batch: u32, precision: Precision) -> Result<GraphBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let file = files.iter().find(|file| file.file_stem().is_some_and(|stem| stem == model));
    let Some(file) = file else {
        let stems: Vec<_> = files.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy())).collect();
        bail!("{} holds no graph of that name; it holds {}", folder.display(), stems.join(", "));
    };
    let options = import::Options { batch: Some(batch), ..import::Options::default() };
    let read = import(&file.display().to_string(), &options)?;
    if let Some(first) = read.unsupported.first() {
        bail!("{}: node {} ({}) cannot be counted: {}", file.display(), first.name, first.op, first.reason);
    }
    if precision.data_type() == DataType::Fp32 {
        return Ok(read.graph);
    }
    Ok(retyped(&read.graph, precision.data_type())?)
}

/// A row: some nodes of a graph.
fn sample(graph: &GraphBuf, nodes: &str, group: String, model: &str, seconds: f64) -> Result<Sample> {
    if nodes.split('|').any(|name| name.trim().is_empty()) {
        bail!("names of nodes are needed, with `|` between");
    }
    let view = graph.view();
    let (mut calls, mut works) = (Vec::new(), Vec::new());
    let mut known = 0;
    for name in nodes.split('|') {
        match graph.names().iter().position(|other| other == name) {
            Some(node) => {
                let (more_calls, more_works) = ops(view, std::iter::once(node))?;
                calls.extend(more_calls);
                works.extend(more_works);
                known += 1;
            }
            None => {
                calls.push(Calls::One(Call::VIEW));
                works.push(Work::none(Class::View));
            }
        }
    }
    if known == 0 && nodes.split('|').count() > 4 {
        bail!("the graph has none of these nodes");
    }
    Ok(Sample {
        name: format!("{group} {}", nodes.split('|').next().unwrap_or("")),
        kinds: [format!("{model} {nodes}"), model.to_owned(), family(model)],
        group,
        ops: calls,
        works,
        weights: Bytes(view.bytes_stored()?.0),
        reuse: Reuse::Network,
        seconds,
        graph: None,
    })
}

/// Family of a model: its name up to the first digit, sign or size.
#[must_use]
pub fn family(model: &str) -> String {
    let letters: String = model.chars().take_while(char::is_ascii_alphabetic).collect();
    if letters.is_empty() { model.to_owned() } else { letters }
}
