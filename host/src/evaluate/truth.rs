//! Truth: measured rows of whichever form a CSV has, as the sets that can be fitted together.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use derate_core::calibration::{Evidence, Protocol, Reuse, Runtime};
use derate_core::shape::Precision;
use serde::Serialize;

use super::columns::Columns;
use super::layers::{self, Graphs};
use super::networks::{self, Timing};
use super::sweeps::{self, Form};
use crate::calibrate::dataset::Dataset;
use crate::calibrate::sample::Sample;
use crate::sweep::Kind;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Folder of the graphs that rows name.
    pub graphs: Option<&'a Path>,
    /// The only precision that counts; of rows that do not say theirs, their precision. `None`: all, and fp32.
    pub precision: Option<Precision>,
    /// What ran the rows.
    pub runtime: Runtime,
}

/// Rows that are fitted together: of one precision, timed in one way.
#[derive(Debug)]
pub struct Set {
    /// Precision of the rows.
    pub precision: Precision,
    /// How they were timed.
    pub protocol: Protocol,
    /// Whether some were timed in other ways, which on a CPU come to the same.
    pub mixed: bool,
    /// What they can tell.
    pub evidence: Evidence,
    /// The rows.
    pub samples: Vec<Sample>,
}

impl Set {
    /// Short name: precision, and how it was timed.
    #[must_use]
    pub fn name(&self) -> String {
        let timed = match self.protocol {
            _ if self.mixed => "ops and whole runs",
            Protocol::WholeRun => "whole runs",
            _ => "each op by itself",
        };
        format!("{}, {timed}", self.precision.name())
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its path.
    pub file: String,
    /// SHA-256 of its contents.
    pub sha256: String,
    /// Form of its rows: `layers`, `operators`, `sweep`, `networks`, `kernels`.
    pub form: &'static str,
    /// Rows that count.
    pub rows: usize,
}

/// A form of a file, as its columns tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columned {
    Layers,
    Networks,
    Operators(Form),
    Sweep,
    Kernels,
}

/// Columns of timings of micro-kernels.
const KERNELS: [&str; 7] = ["kernel", "mr", "nr", "m", "k", "n", "seconds"];

/// Whether a file holds timings of micro-kernels.
///
/// # Errors
/// A file that cannot be read.
pub fn holds_kernels(path: &Path) -> Result<bool> {
    Ok(Columns::read(path)?.has(&KERNELS))
}

fn form_of(file: &Columns) -> Result<Columned> {
    if file.has(&networks::COLUMNS) {
        return Ok(Columned::Networks);
    }
    if file.has(&layers::COLUMNS) {
        return Ok(Columned::Layers);
    }
    if file.has(&KERNELS) {
        return Ok(Columned::Kernels);
    }
    if let Some(form) = Form::ALL.into_iter().find(|form| file.has(form.columns())) {
        return Ok(Columned::Operators(form));
    }
    if Kind::ALL.into_iter().any(|kind| file.has(kind.columns())) {
        return Ok(Columned::Sweep);
    }
    let forms = [networks::COLUMNS.join(","), layers::COLUMNS.join(","), KERNELS.join(",")];
    let sweeps = Form::ALL.iter().map(|form| form.columns()).chain(Kind::ALL.iter().map(|kind| kind.columns()));
    let forms: Vec<String> = forms.into_iter().chain(sweeps.map(|columns| columns.join(","))).collect();
    bail!(
        "{}:1: the columns are {}; they must hold those of one of these forms: {}",
        file.path.display(),
        file.names(),
        forms.join("; ")
    )
}

/// Reads files of one device.
///
/// # Errors
/// A file, line, column or value that is wrong, with what is allowed; no row of the wanted precision.
pub fn read(files: &[PathBuf], wanted: Wanted<'_>) -> Result<(Vec<Set>, Vec<Source>)> {
    let mut sets: Vec<Set> = Vec::new();
    let mut sources = Vec::new();
    let mut graphs = Graphs::default();
    let unsaid = wanted.precision.unwrap_or(Precision::Fp32);
    for (number, path) in files.iter().enumerate() {
        let file = Columns::read(path)?;
        let form = form_of(&file)?;
        let mut rows: Vec<(Precision, Protocol, Evidence, Sample)> = Vec::new();
        match form {
            Columned::Layers => {
                let folder = wanted.graphs.with_context(|| {
                    format!("{}: its rows name nodes of graphs: say with --graphs DIR where they lie", path.display())
                })?;
                for sample in layers::read(&file, number + 1, folder, unsaid, &mut graphs)? {
                    rows.push((unsaid, Protocol::PerOp, Evidence::Networks, sample));
                }
            }
            Columned::Networks => {
                for (precision, timing, sample) in networks::read(&file, wanted.graphs)? {
                    let (protocol, evidence) = match timing {
                        Timing::WholeRun => (Protocol::WholeRun, Evidence::Stacks),
                        Timing::Warm | Timing::Cold => (Protocol::PerOp, Evidence::Operators),
                        Timing::InSequence | Timing::PerOp => (Protocol::PerOp, Evidence::Networks),
                    };
                    rows.push((precision, protocol, evidence, sample));
                }
            }
            Columned::Operators(form) => {
                let evidence = if form == Form::Named { Evidence::Operators } else { Evidence::Stacks };
                for (precision, sample) in sweeps::read(&file, form)? {
                    rows.push((precision, form.protocol(), evidence, sample));
                }
            }
            Columned::Sweep => {
                let dataset = Dataset::read(&[path])?;
                for row in dataset.rows {
                    let graph = row.net.graph(row.precision.data_type()).with_context(|| row.place.clone())?;
                    let mut sample = Sample::of_network(row.name(), graph, row.seconds)?;
                    sample.kinds = [row.name(), row.net.with_batch(1).key(), row.net.kind().name().to_owned()];
                    sample.graph = None;
                    rows.push((row.precision, Protocol::WholeRun, Evidence::Stacks, sample));
                }
            }
            Columned::Kernels => bail!(
                "{}: timings of micro-kernels (columns {}) are of no network and no eager runtime: evaluate them by themselves",
                path.display(),
                KERNELS.join(",")
            ),
        }
        rows.retain(|(precision, ..)| wanted.precision.is_none_or(|wanted| wanted == *precision));
        sources.push(Source {
            file: path.display().to_string(),
            sha256: file.sha256,
            form: match form {
                Columned::Layers => "layers",
                Columned::Networks => "networks",
                Columned::Operators(_) => "operators",
                Columned::Sweep => "sweep",
                Columned::Kernels => "kernels",
            },
            rows: rows.len(),
        });
        for (precision, protocol, evidence, sample) in rows {
            // A CPU is waited for after each op anyway: one way of timing is as another.
            let alike = |set: &Set| wanted.runtime == Runtime::EagerCpu || set.protocol == protocol;
            match sets.iter_mut().find(|set| set.precision == precision && alike(set)) {
                Some(set) => {
                    set.mixed |= set.protocol != protocol;
                    if set.evidence != evidence {
                        set.evidence = Evidence::Operators;
                    }
                    set.samples.push(sample);
                }
                None => sets.push(Set { precision, protocol, mixed: false, evidence, samples: vec![sample] }),
            }
        }
    }
    if sets.is_empty() {
        bail!("no measured row of {}", unsaid.name());
    }
    for set in &mut sets {
        // Without cold rows nothing tells how much dearer a cold call is.
        if set.evidence == Evidence::Operators && !set.samples.iter().any(|sample| sample.reuse == Reuse::Cold) {
            set.evidence = Evidence::Stacks;
        }
    }
    Ok((sets, sources))
}
