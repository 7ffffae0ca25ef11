//! Measured networks: the general form of a CSV of measurements, for one's own.
//!
//! ```text
//! graph,precision,protocol,median_ms,…      further columns are passed over
//! zoo:resnet18@4,fp32,whole_run,31.2,…
//! ```
//! `graph` is a short description ([`crate::import::inline`]) or a file, from the folder of the CSV or of the graphs; `protocol` how it was
//! timed; the time is `p10_ms`, `median_ms`, `mean_ms` or `empirical_time_ms`, the first that is there. `model` and `family`, where there
//! are such columns, say what is held out together.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use derate_core::calibration::Reuse;
use derate_core::graph::Tables;
use derate_core::shape::Precision;

use super::columns::{Columns, Line};
use super::layers::family;
use crate::calibrate::sample::{Sample, ops};
use crate::graph_buf::GraphBuf;
use crate::import::{self, import, inline};
use crate::on_device::precision_of;
use crate::retype::retyped;

/// Columns that tell such a file.
pub const COLUMNS: [&str; 3] = ["graph", "precision", "protocol"];

/// Columns that may stand for the time, the first that is there.
const TIMES: [&str; 4] = ["p10_ms", "median_ms", "mean_ms", "empirical_time_ms"];

/// How a row was timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Again and again, its data in the caches.
    Warm,
    /// After the caches were flushed.
    Cold,
    /// A part of a network, among the others.
    InSequence,
    /// A network, at its ends.
    WholeRun,
    /// A network, the sum of its ops timed each by itself.
    PerOp,
}

impl Timing {
    /// All of them, as they are written.
    const NAMES: [(&str, Self); 5] = [
        ("warm", Self::Warm),
        ("cold", Self::Cold),
        ("in_sequence", Self::InSequence),
        ("whole_run", Self::WholeRun),
        ("per_op", Self::PerOp),
    ];

    const fn reuse(self) -> Reuse {
        match self {
            Self::Warm => Reuse::Warm,
            Self::Cold => Reuse::Cold,
            Self::InSequence | Self::WholeRun | Self::PerOp => Reuse::Network,
        }
    }
}

/// Rows of a file, with their precisions and how they were timed.
///
/// # Errors
/// A file, line, column or graph that is wrong, with what is allowed.
pub fn read(file: &Columns, folder: Option<&Path>) -> Result<Vec<(Precision, Timing, Sample)>> {
    let time = file.first(&TIMES)?;
    let mut known: HashMap<(String, Precision), GraphBuf> = HashMap::new();
    let mut rows = Vec::new();
    for line in file.lines() {
        let precision = line.precision("precision")?;
        let timing = Timing::NAMES.into_iter().find(|(name, _)| *name == line.text("protocol"));
        let Some((_, timing)) = timing else {
            let names = Timing::NAMES.map(|(name, _)| name).join(", ");
            return Err(line.wrong("protocol", &format!("it must be one of {names}")));
        };
        let seconds = line.positive(time)? * 1e-3;
        let source = line.text("graph").to_owned();
        let key = (source.clone(), precision);
        if !known.contains_key(&key) {
            known.insert(key.clone(), graph_of(&source, precision, file, folder).with_context(|| line.at("graph"))?);
        }
        let graph = &known[&key];
        rows.push((
            precision,
            timing,
            sample(graph, &line, precision, timing, seconds).with_context(|| line.at("graph"))?,
        ));
    }
    Ok(rows)
}

fn graph_of(source: &str, precision: Precision, file: &Columns, folder: Option<&Path>) -> Result<GraphBuf> {
    let options = import::Options { data_type: precision.data_type(), ..import::Options::default() };
    let read = match inline::read(source, &options) {
        Some(read) => read?,
        None => {
            let beside = file.path.parent();
            let places = [folder, beside].into_iter().flatten().map(|folder| folder.join(source));
            let Some(place) = places.into_iter().find(|place| place.is_file()) else {
                bail!("neither a file beside the CSV or in --graphs, nor a description: {}", inline::FORMS);
            };
            import(&place.display().to_string(), &options)?
        }
    };
    if let Some(first) = read.unsupported.first() {
        bail!("node {} ({}) cannot be counted: {}", first.name, first.op, first.reason);
    }
    if precision_of(&read.graph) == precision {
        return Ok(read.graph);
    }
    Ok(retyped(&read.graph, precision.data_type())?)
}

fn sample(graph: &GraphBuf, line: &Line<'_>, precision: Precision, timing: Timing, seconds: f64) -> Result<Sample> {
    let view = graph.view();
    let (calls, works) = ops(view, 0..view.nodes().len())?;
    let source = line.text("graph");
    // Without its batch: `zoo:resnet18@4` and `zoo:resnet18@1` are one model.
    let model = source.rsplit_once('@').map_or(source, |(model, _)| model);
    let named = |column: &str, other: &str| match line.text(column) {
        "" => other.to_owned(),
        given => given.to_owned(),
    };
    let model = named("model", model);
    let kind = model.split_once(':').map_or(model.as_str(), |(kind, rest)| if kind == "zoo" { rest } else { kind });
    let family = named("family", &family(kind));
    let name = format!("{source} {} {}", precision.name(), line.text("protocol"));
    Ok(Sample {
        kinds: [format!("{source} {}", precision.name()), model, family],
        group: name.clone(),
        name,
        ops: calls,
        works,
        weights: view.bytes_stored()?,
        reuse: timing.reuse(),
        seconds,
        graph: None,
    })
}
