//! A sweep that runs: rows into the CSV, raw samples into the journal beside it, progress to the terminal.
//!
//! The CSV decides what is done: a configuration with a row is never measured again, one without is. Killed at any point, a
//! sweep repeats at most the open block. A sweep of which every row is there is kept under another name, and measured anew.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use super::net::Kind;
use super::plan::{Configuration, Plan};
use super::row::{Conditions, fields, header, key_of};
use crate::graph_buf::{GraphBuf, GraphError};
use crate::measure::compare::AGREEMENT_LIMIT;
use crate::measure::journal::{self, FORMAT};
use crate::measure::{
    Chunk, Comparison, End, Entry, Finish, FinishedRun, Header, Journal, JournalError, Outcome, Plan as Schedule,
    Progress, Record, ReferenceLevels, ReferenceSample, RowFile, RowFileError, RunError, Settings, SettingsError, Sink,
    SystemSurroundings, compare, run as measure,
};
use crate::process_memory;
use crate::progress::Reporter;
use crate::torch::{GraphExecutor, Place, TorchError};

/// Share of the available memory that networks prepared at once may take.
const MEMORY_SHARE: f64 = 0.6;

/// How a sweep is run.
#[derive(Debug)]
pub struct Options<'a> {
    /// The CSV.
    pub output: &'a Path,
    /// Repetition, blocks and caps.
    pub settings: Settings,
    /// Set from outside to end the sweep.
    pub stop: &'a AtomicBool,
    /// Where the networks run.
    pub place: Place,
}

/// What a sweep did.
#[derive(Debug)]
pub struct Finished {
    /// Counts of rows, and whether it was interrupted.
    pub finish: Finish,
    /// Rows that were there before.
    pub resumed: usize,
    /// Rows of the whole file that say why they were skipped, from before and from now.
    pub skipped_rows: usize,
    /// Against the sweep of the same plan that was there before, if there was one.
    pub comparison: Option<(PathBuf, Comparison)>,
}

/// Why a sweep cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A setting out of its range.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The CSV.
    #[error(transparent)]
    Rows(#[from] RowFileError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The CSV holds a row that the plan does not.
    #[error("{path}: the row {key} is not in this plan; choose another --output")]
    ForeignRow {
        /// The file.
        path: String,
        /// Key of the row.
        key: String,
    },
    /// Rows of which nobody knows under which settings they were measured.
    #[error(
        "{path}: its journal is missing, so that nothing tells how its rows were measured; choose another --output"
    )]
    NoJournal {
        /// The file.
        path: String,
    },
    /// A sweep that was begun with other numbers in the description.
    #[error(
        "{path}: its rows were estimated with another description of {hardware} (detected anew, or applied to, since); \
         go on with that one, or choose another --output"
    )]
    OtherDescription {
        /// The file.
        path: String,
        /// Name of the description.
        hardware: String,
    },
    /// A file or folder that cannot be made or moved.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A configuration that is no network.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// libtorch.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The measuring loop.
    #[error(transparent)]
    Measure(#[from] Box<RunError<TorchError, SinkError>>),
}

/// Why a row could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The CSV.
    #[error(transparent)]
    Rows(#[from] RowFileError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The estimate beside the measurement.
    #[error("no estimate: {0}")]
    Estimate(#[from] derate_core::Error),
}

/// Measures what the CSV does not hold yet.
///
/// # Errors
/// [`SweepError`]; rows written so far stay.
pub fn run(plan: &Plan, conditions: &Conditions<'_>, options: &Options<'_>) -> Result<Finished, SweepError> {
    let csv = options.output;
    // Whatever is refused is refused before a file is made or changed.
    options.settings.validate()?;
    refuse_foreign(csv, plan)?;
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |source| SweepError::Io { path, source }
    };
    if let Some(folder) = csv.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    let threads = conditions.threads.to_string();
    let settings = serde_json::to_value(&options.settings).unwrap_or_default();
    let hash = plan.hash(&[
        conditions.target.hardware.name(),
        conditions.device,
        conditions.runtime,
        &threads,
        &settings.to_string(),
    ]);
    // The numbers of the description: rows of one file must not be estimated by two.
    let description =
        plan.hash(&[&format!("{:?} {:?}", conditions.target.hardware, conditions.target.thermal_profile)]);
    let header_line = Header {
        format: FORMAT,
        tool: concat!("derate ", env!("CARGO_PKG_VERSION")).to_owned(),
        plan: hash,
        settings: serde_json::json!({ "measuring": settings, "description": description }),
    };
    let mut opened = open(csv, &header_line, plan)?;
    // The sweep that was complete before, if there was one: its path, and what it measured.
    let mut earlier = None;
    if opened.todo.is_empty() && !plan.configurations.is_empty() {
        drop(opened);
        let kept = keep(csv).map_err(io(csv))?;
        eprintln!("the sweep in {} was complete: kept as {}, measuring anew", csv.display(), kept.display());
        opened = open(csv, &header_line, plan)?;
        if let Some(finished) = finished_run(&kept, plan.kind) {
            opened.best = finished.references;
            earlier = Some((kept, finished));
        }
    } else if opened.todo.len() < plan.configurations.len() && opened.description != description {
        return Err(SweepError::OtherDescription {
            path: csv.display().to_string(),
            hardware: conditions.target.hardware.name().to_owned(),
        });
    }
    let resumed = plan.configurations.len() - opened.todo.len();
    if resumed > 0 {
        eprintln!("resuming {}: {resumed} of {} rows are there", csv.display(), plan.configurations.len());
    }

    let graphs = plan
        .configurations
        .iter()
        .map(|c| c.net.graph(c.precision.data_type()))
        .collect::<Result<Vec<_>, GraphError>>()?;
    let budget = (process_memory::available() as f64 * MEMORY_SHARE) as u64;
    let mut executor = GraphExecutor::on(graphs.clone(), budget, options.place)?;
    let Opened { rows, journal, todo, first_block, best, .. } = opened;
    let reporter = Reporter::new("configurations", resumed, plan.configurations.len());
    let mut sink = Files { rows, journal, plan, graphs: &graphs, conditions, reporter, place: options.place };
    let schedule = Schedule { todo: &todo, total: plan.configurations.len(), first_block, best };
    let finish =
        measure(&mut executor, &mut SystemSurroundings::new(), &mut sink, schedule, &options.settings, options.stop)
            .map_err(Box::new)?;
    sink.reporter.finish();
    let comparison = earlier.filter(|_| finish.end == End::Complete).and_then(|(path, first)| {
        let comparison = compare(&first, &finished_run(csv, plan.kind)?, AGREEMENT_LIMIT).ok()?;
        Some((path, comparison))
    });
    Ok(Finished { finish, resumed, skipped_rows: skipped_rows(csv, plan.kind), comparison })
}

/// The files of a sweep, and what they leave to do.
struct Opened {
    rows: RowFile,
    journal: Journal,
    todo: Vec<usize>,
    first_block: u32,
    best: ReferenceLevels,
    /// Hash of the description that the sweep was begun with.
    description: String,
}

fn keys(plan: &Plan) -> Vec<String> {
    plan.configurations.iter().map(Configuration::key).collect()
}

/// Reads a CSV that is there, and changes nothing; an error if it is no sweep, one of another plan, or without its journal.
fn refuse_foreign(csv: &Path, plan: &Plan) -> Result<(), SweepError> {
    if !csv.exists() {
        return Ok(());
    }
    let keys = keys(plan);
    let there = RowFile::read(csv, &header(plan.kind), |row| key_of(plan.kind, row))?.keys;
    let path = || csv.display().to_string();
    if let Some(key) = there.iter().find(|key| !keys.contains(key)) {
        return Err(SweepError::ForeignRow { path: path(), key: key.clone() });
    }
    if !there.is_empty() && !journal::beside(csv).exists() {
        return Err(SweepError::NoJournal { path: path() });
    }
    Ok(())
}

fn open(csv: &Path, header_line: &Header, plan: &Plan) -> Result<Opened, SweepError> {
    // The journal first: it refuses another plan before anything is written.
    let (journal, contents) = Journal::open(&journal::beside(csv), header_line)?;
    let (rows, existing) = RowFile::open(csv, &header(plan.kind), |row| key_of(plan.kind, row))?;
    if let Some(cut) = &existing.cut {
        eprintln!("{}: line {} was half-written and is measured again", csv.display(), cut.line);
    }
    let keys = keys(plan);
    let todo = (0..keys.len()).filter(|&index| !existing.keys.contains(&keys[index])).collect();
    let best = contents.best_references();
    let description = contents.header.settings["description"].as_str().unwrap_or_default().to_owned();
    Ok(Opened { rows, journal, todo, first_block: contents.next_block(), best, description })
}

/// Renames a finished CSV and its journal to the first free number, and gives the new path.
pub(super) fn keep(csv: &Path) -> std::io::Result<PathBuf> {
    let stem = csv.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1;
    let kept = loop {
        let candidate = csv.with_file_name(format!("{stem}.{number}.csv"));
        if !candidate.exists() && !journal::beside(&candidate).exists() {
            break candidate;
        }
        number += 1;
    };
    // The rows first: killed in between, the next sweep of the plan goes on in the old journal, and loses nothing.
    std::fs::rename(csv, &kept)?;
    let samples = journal::beside(csv);
    if samples.exists() {
        std::fs::rename(samples, journal::beside(&kept))?;
    }
    Ok(kept)
}

/// 10th percentiles and reference levels of a finished sweep; `None` where the file does not tell.
fn finished_run(csv: &Path, kind: Kind) -> Option<FinishedRun> {
    let mut reader = csv::Reader::from_path(csv).ok()?;
    let column = header(kind).iter().position(|name| *name == "p10_ms")?;
    let mut p10_ns = Vec::new();
    for record in reader.records() {
        let record = record.ok()?;
        if let Ok(ms) = record.get(column)?.parse::<f64>() {
            p10_ns.push((key_of(kind, &record).ok()?, ms * 1e6));
        }
    }
    let references = journal::read(&journal::beside(csv)).ok()?.best_references();
    Some(FinishedRun { p10_ns, references })
}

/// Rows of a sweep that were skipped; 0 where the file does not tell.
fn skipped_rows(csv: &Path, kind: Kind) -> usize {
    statuses(csv, kind).iter().filter(|(_, status, _)| status == "skipped").count()
}

/// Why a row of a sweep was disturbed, if it was.
#[must_use]
pub fn disturbance(csv: &Path, kind: Kind, key: &str) -> Option<String> {
    statuses(csv, kind)
        .into_iter()
        .find(|(row, status, _)| row == key && status == "disturbed")
        .map(|(_, _, reason)| reason)
}

/// Key, status and reason of each row; of none where the file cannot be read.
fn statuses(csv: &Path, kind: Kind) -> Vec<(String, String, String)> {
    let column = |name: &str| header(kind).iter().position(|column| *column == name);
    let (Some(status), Some(reason), Ok(mut reader)) =
        (column("status"), column("reason"), csv::Reader::from_path(csv))
    else {
        return Vec::new();
    };
    let row = |record: csv::StringRecord| {
        Some((key_of(kind, &record).ok()?, record.get(status)?.to_owned(), record.get(reason)?.to_owned()))
    };
    reader.records().filter_map(Result::ok).filter_map(row).collect()
}

/// Rows and samples to their files.
struct Files<'a> {
    rows: RowFile,
    journal: Journal,
    plan: &'a Plan,
    graphs: &'a [GraphBuf],
    conditions: &'a Conditions<'a>,
    reporter: Reporter,
    place: Place,
}

impl Files<'_> {
    fn key(&self, idx: usize) -> String {
        self.plan.configurations[idx].key()
    }
}

impl Sink for Files<'_> {
    type Error = SinkError;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), SinkError> {
        Ok(self.journal.append(&Entry::of_chunk(&self.key(chunk.idx), chunk))?)
    }

    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), SinkError> {
        Ok(self.journal.append(&Entry::of_reference(sample))?)
    }

    fn row(&mut self, record: &Record) -> Result<(), SinkError> {
        let configuration = &self.plan.configurations[record.idx];
        let memory = match &record.outcome {
            Outcome::Measured(_) if self.place == Place::Cpu => memory_in_child(configuration, self.conditions.threads),
            Outcome::Measured(_) | Outcome::Skipped { .. } => None,
        };
        let row = fields(configuration, &self.graphs[record.idx], record, memory, self.conditions)?;
        self.rows.append(&row)?;
        let at_unix_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Ok(self.journal.append(&Entry::Row { key: configuration.key(), block: record.block, at_unix_ms })?)
    }

    fn progress(&mut self, progress: &Progress) {
        self.reporter.show(progress);
    }
}

/// Growth of the peak resident memory of a process of its own that runs the network; `None` where it could not be measured.
fn memory_in_child(configuration: &Configuration, threads: u32) -> Option<u64> {
    let Configuration { net, precision } = configuration;
    // In a process group of its own: Ctrl-C in a terminal must not end it, or the row would stay without its memory.
    let output = Command::new(std::env::current_exe().ok()?)
        .process_group(0)
        .args(["measure-memory", "--kind", net.kind().name()])
        .args(net.cells().iter().map(|cell| format!("--cell={cell}")))
        .args(["--precision", precision.name(), "--threads", &threads.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}
