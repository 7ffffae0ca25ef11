//! Measured layers: rows of a CSV that name nodes of a graph, each timed by itself in an eager runtime.
//!
//! ```text
//! model,batch,subgraph,nodes,mean_ms,…        further columns are passed over; `median_ms` or `p10_ms` may stand for `mean_ms`
//! resnet18,1,0,conv1|bn1|relu|maxpool,0.81,…
//! ```
//! `nodes` are names of nodes of the model's graph, in execution order, joined by `|`; the time is the sum of theirs. The graph is
//! `<folder>/<model>` with the ending of any format that is imported. A node that the graph leaves out (shape arithmetic, an identity) is a view.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use derate_core::calibration::{Call, Calls, Evidence, Machine, Reuse};
use derate_core::graph::Tables;
use derate_core::shape::Precision;
use derate_core::units::Bytes;
use derate_core::work::{Class, Work};

use super::{HeldOut, Prediction};
use crate::calibrate::fit::Options;
use crate::calibrate::model::{Bench, Model};
use crate::calibrate::sample::{Sample, ops};
use crate::graph_buf::GraphBuf;
use crate::import::{self, import};
use crate::retype::retyped;

/// Columns that may stand for the time, the first that is there.
const TIMES: [&str; 3] = ["mean_ms", "median_ms", "p10_ms"];

/// Reads rows of some files of one device and precision.
///
/// # Errors
/// A file, line, column, model or node that is wrong, with what is allowed.
pub fn read(files: &[PathBuf], graphs: &Path, precision: Precision) -> Result<Vec<Sample>> {
    let mut known: HashMap<(String, u32), GraphBuf> = HashMap::new();
    let mut samples = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let mut reader = csv::Reader::from_path(file).with_context(|| file.display().to_string())?;
        let headers = reader.headers().with_context(|| file.display().to_string())?.clone();
        let column = |names: &[&str]| {
            let found = names.iter().find_map(|name| headers.iter().position(|header| header.trim() == *name));
            found.with_context(|| format!("{}:1: there is no column {}", file.display(), names.join(" or ")))
        };
        let [model, batch, nodes] = [column(&["model"])?, column(&["batch"])?, column(&["nodes"])?];
        let time = column(&TIMES)?;
        for record in reader.records() {
            let record = record.with_context(|| file.display().to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let at = |column: usize| {
                format!("{}:{line}: `{}` is {:?}", file.display(), &headers[column], record.get(column).unwrap_or(""))
            };
            let text = |column: usize| record.get(column).unwrap_or("").trim();
            let count = text(batch).parse::<u32>().ok().filter(|&count| count > 0);
            let count = count.with_context(|| format!("{}; a whole number from 1 is needed", at(batch)))?;
            let ms = text(time).parse::<f64>().ok().filter(|ms| *ms > 0.0 && ms.is_finite());
            let ms = ms.with_context(|| format!("{}; a positive number is needed", at(time)))?;
            let key = (text(model).to_owned(), count);
            if !known.contains_key(&key) {
                let graph = graph_of(graphs, &key.0, count, precision).with_context(|| at(model))?;
                known.insert(key.clone(), graph);
            }
            let group = format!("{} {} @{count} {}", key.0, precision.name(), number + 1);
            let sample = sample(&known[&key], text(nodes), group, &key.0, ms * 1e-3).with_context(|| at(nodes))?;
            samples.push(sample);
        }
    }
    if samples.is_empty() {
        bail!("no measured row");
    }
    Ok(samples)
}

/// The graph of a model, from the first file of the folder that bears its name.
fn graph_of(folder: &Path, model: &str, batch: u32, precision: Precision) -> Result<GraphBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let file = files.iter().find(|file| file.file_stem().is_some_and(|stem| stem == model));
    let file = file.with_context(|| format!("{} holds no graph of that name", folder.display()))?;
    let options = import::Options { batch: Some(batch), ..import::Options::default() };
    let read = import(&file.display().to_string(), &options)?;
    if let Some(first) = read.unsupported.first() {
        bail!("{}: node {} ({}) cannot be counted: {}", file.display(), first.name, first.op, first.reason);
    }
    if precision.data_type() == derate_core::shape::DataType::Fp32 {
        return Ok(read.graph);
    }
    Ok(retyped(&read.graph, precision.data_type())?)
}

/// A row: some nodes of a graph.
fn sample(graph: &GraphBuf, nodes: &str, group: String, model: &str, seconds: f64) -> Result<Sample> {
    let view = graph.view();
    let (mut calls, mut works) = (Vec::new(), Vec::new());
    for name in nodes.split('|') {
        match graph.names().iter().position(|other| other == name) {
            Some(node) => {
                let (more_calls, more_works) = ops(view, std::iter::once(node))?;
                calls.extend(more_calls);
                works.extend(more_works);
            }
            None => {
                calls.push(Calls::One(Call::VIEW));
                works.push(Work::none(Class::View));
            }
        }
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
fn family(model: &str) -> String {
    model.chars().take_while(|c| c.is_ascii_alphabetic()).collect()
}

/// What is held out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Holdout {
    /// The same nodes of a model, at all batches.
    Configuration,
    /// All rows of a model.
    Model,
    /// All rows of a family of models.
    Family,
}

impl Holdout {
    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Model => "model",
            Self::Family => "family",
        }
    }
}

/// Folds of a configuration holdout; models and families are held out one by one.
const FOLDS: usize = 10;

/// Predicts each row by fits that saw no row of its kind: by ours and by the two baselines.
///
/// # Errors
/// A fit that finds no values.
pub fn evaluate(samples: &[Sample], machine: Machine, precision: Precision, holdout: Holdout) -> Result<Vec<HeldOut>> {
    let bench = Bench { samples, machine, evidence: Evidence::Networks, target: None, precision };
    let kind = |sample: &Sample| sample.kinds[holdout as usize].clone();
    let mut kinds: BTreeMap<String, usize> = samples.iter().map(|sample| (kind(sample), 0)).collect();
    for (place, fold) in kinds.values_mut().enumerate() {
        *fold = if holdout == Holdout::Configuration { place % FOLDS } else { place };
    }
    let fold: Vec<usize> = samples.iter().map(|sample| kinds[&kind(sample)]).collect();
    let all: Vec<usize> = (0..samples.len()).collect();
    let mut results = Vec::new();
    for model in [Model::Calibrated, Model::PlainRoofline, Model::MacOnly] {
        // A baseline leaves errors twice as large.
        let options = Options { scale: if model == Model::Calibrated { 0.15 } else { 0.3 }, ..Options::default() };
        let fit = |rows: &[usize]| bench.fit(model, rows, &options).ok().map(|fit| fit.values);
        let no_fit = || format!("{}: no values give finite times", model.name());
        let times = bench.held_out(model, &fold, fit).with_context(no_fit)?;
        let ours = match model {
            Model::Calibrated => Some(fit(&all).and_then(|values| bench.coefficients(&values)).with_context(no_fit)?),
            _ => None,
        };
        let intervals = ours.as_ref().and_then(|coefficients| bench.intervals(coefficients, &times));
        let predictions = samples.iter().zip(&times).map(|(sample, &predicted)| {
            let character = ours.as_ref().map(|coefficients| bench.character(sample, coefficients));
            let interval = character.zip(intervals).map(|((group, regime), intervals)| {
                let latency = derate_core::units::Seconds(predicted as f32);
                intervals.of_op(latency, group, regime, 1.0).map(|bound| f64::from(bound.0))
            });
            Prediction {
                name: sample.name.clone(),
                group: sample.group.clone(),
                class: character.map_or("", |(group, _)| group.name()),
                regime: character.map_or("", |(_, regime)| regime.name()),
                measured: sample.seconds,
                predicted,
                interval,
            }
        });
        results.push(HeldOut {
            holdout: format!("one {}", holdout.name()),
            predictor: model.name().to_owned(),
            coefficients: bench.parameters(model).len(),
            predictions: predictions.collect(),
        });
    }
    Ok(results)
}
