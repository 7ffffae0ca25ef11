//! A sweep of whole networks that runs: rows into the CSV, ops into another beside it, numbers into the journal.
//!
//! Rows come when all rounds are over, so the journal is what a killed sweep goes on from: each network has the turns that the
//! journal does not hold. A sweep of which every row is there is kept under another name, and measured anew.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use super::super::row::Conditions;
use super::super::run::keep;
use super::row::{Beside, Energy, PER_OP, fields, header, key_of, key_of_op, op_fields};
use super::{ModelPlan, Protocol};
use crate::measure::journal::{self, FORMAT};
use crate::measure::rounds::{RoundPlan, RoundSettings, RoundSink, Runner, Todo, run as measure};
use crate::measure::{
    Chunk, Entry, Finish, Header, Journal, JournalError, Outcome, Progress, Record, ReferenceLevels, ReferenceSample,
    RowFile, RowFileError, RunError, SettingsError, SystemSurroundings,
};
use crate::progress::Reporter;
use crate::torch::TorchError;

/// How a sweep of networks is run.
#[derive(Debug)]
pub struct Options<'a> {
    /// The CSV.
    pub output: &'a Path,
    /// Rounds and runs.
    pub settings: RoundSettings,
    /// Set from outside to end the sweep.
    pub stop: &'a AtomicBool,
    /// How threads are bound to cores, in words; empty where they are not.
    pub pinned: &'a str,
    /// For each network of the plan, the arguments with which this program measures its memory; none leaves the column empty.
    pub memory: &'a [Vec<String>],
}

/// What a sweep did.
#[derive(Debug)]
pub struct Finished {
    /// Counts of rows, and whether it was interrupted.
    pub finish: Finish,
    /// Rows that were there before.
    pub resumed: usize,
}

/// Why a sweep cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ModelSweepError {
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
    /// A file or folder that cannot be made or moved.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The measuring loop.
    #[error(transparent)]
    Measure(#[from] Box<RunError<TorchError, ModelSinkError>>),
}

/// Why a row could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ModelSinkError {
    /// A CSV.
    #[error(transparent)]
    Rows(#[from] RowFileError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The estimate beside the measurement.
    #[error("no estimate: {0}")]
    Estimate(#[from] derate_core::Error),
}

/// Path of the CSV of ops that belongs to a CSV: `models.csv` has `models_per_op.csv`.
#[must_use]
pub fn per_op_beside(csv: &Path) -> PathBuf {
    let mut name = OsString::from(csv.file_stem().unwrap_or_default());
    name.push("_per_op.csv");
    csv.with_file_name(name)
}

/// Measures what the CSV does not hold yet. `conditions` are those of each number of threads in the plan.
///
/// # Errors
/// [`ModelSweepError`]; rows written so far stay, and so do the numbers in the journal.
pub fn run<E>(
    plan: &ModelPlan,
    executor: &mut E,
    conditions: &[Conditions<'_>],
    options: &Options<'_>,
) -> Result<Finished, ModelSweepError>
where
    E: Runner<Extra = Energy, Error = TorchError>,
{
    let csv = options.output;
    // Whatever is refused is refused before a file is made or changed.
    options.settings.validate()?;
    refuse_foreign(csv, plan)?;
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |source| ModelSweepError::Io { path, source }
    };
    if let Some(folder) = csv.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    let settings = serde_json::to_value(&options.settings).unwrap_or_default();
    let described: Vec<String> = conditions
        .iter()
        .map(|c| format!("{} {} {:?} {:?}", c.device, c.runtime, c.target.hardware, c.target.thermal_profile))
        .collect();
    let mut defining: Vec<&str> = described.iter().map(String::as_str).collect();
    let settings_text = settings.to_string();
    defining.extend([settings_text.as_str(), options.pinned]);
    let header_line = Header {
        format: FORMAT,
        tool: concat!("derate ", env!("CARGO_PKG_VERSION")).to_owned(),
        plan: plan.hash(&defining),
        settings: serde_json::json!({ "measuring": settings }),
    };
    let mut opened = Opened::open(csv, &header_line, plan)?;
    if opened.todo.is_empty() && !plan.runs.is_empty() {
        drop(opened);
        let kept = keep(csv).map_err(io(csv))?;
        let ops = per_op_beside(csv);
        if ops.exists() {
            std::fs::rename(&ops, per_op_beside(&kept)).map_err(io(&ops))?;
        }
        eprintln!("the sweep in {} was complete: kept as {}, measuring anew", csv.display(), kept.display());
        opened = Opened::open(csv, &header_line, plan)?;
    }
    let resumed = plan.runs.len() - opened.todo.len();
    let turns: u64 = opened.todo.iter().map(|todo| u64::from(todo.rounds)).sum();
    if resumed > 0 || turns > 0 {
        let rows = plan.runs.len();
        eprintln!("resuming {}: {resumed} of {rows} rows are there, and {turns} turns of the others", csv.display());
    }
    let Opened { rows, ops, ops_there, journal, todo, block, best } = opened;
    let reporter = Reporter::new("turns", 0, todo.len() * options.settings.rounds as usize);
    let mut sink =
        Files { rows, ops, ops_there, journal, plan, conditions, options, reporter, memory: BTreeMap::new() };
    let schedule = RoundPlan { todo, block, best };
    let surroundings = &mut SystemSurroundings::new();
    let finish =
        measure(executor, surroundings, &mut sink, schedule, &options.settings, options.stop).map_err(Box::new)?;
    sink.reporter.finish();
    Ok(Finished { finish, resumed })
}

/// The files of a sweep, and what they leave to do.
struct Opened {
    rows: RowFile,
    /// The CSV of ops, where the plan has any.
    ops: Option<RowFile>,
    ops_there: Vec<String>,
    journal: Journal,
    todo: Vec<Todo>,
    block: u32,
    best: ReferenceLevels,
}

impl Opened {
    fn open(csv: &Path, header_line: &Header, plan: &ModelPlan) -> Result<Self, ModelSweepError> {
        // The journal first: it refuses another plan before anything is written.
        let (journal, contents) = Journal::open(&journal::beside(csv), header_line)?;
        let (rows, existing) = RowFile::open(csv, &header(), key_of)?;
        let (mut ops, mut ops_there) = (None, Vec::new());
        if plan.runs.iter().any(|run| run.protocol == Protocol::PerOp) {
            let (file, existing) = RowFile::open(&per_op_beside(csv), &PER_OP, key_of_op)?;
            (ops, ops_there) = (Some(file), existing.keys);
        }
        let (block, best) = (contents.next_block(), contents.best_references());
        // Turns of before, by key: their number, and the numbers of their runs.
        let mut turns: BTreeMap<String, (u32, Vec<u64>)> = BTreeMap::new();
        for entry in contents.entries {
            if let Entry::Chunk { key, samples_ns, .. } = entry {
                let (rounds, numbers) = turns.entry(key).or_default();
                *rounds = rounds.saturating_add(1);
                numbers.extend(samples_ns);
            }
        }
        let mut todo = Vec::new();
        for (idx, run) in plan.runs.iter().enumerate() {
            let key = plan.key(run);
            if existing.keys.contains(&key) {
                continue;
            }
            let (rounds, numbers) = turns.remove(&key).unwrap_or_default();
            todo.push(Todo { idx, rounds, numbers });
        }
        Ok(Self { rows, ops, ops_there, journal, todo, block, best })
    }
}

/// Reads a CSV that is there, and changes nothing; an error if it is no sweep, or one of another plan.
fn refuse_foreign(csv: &Path, plan: &ModelPlan) -> Result<(), ModelSweepError> {
    if !csv.exists() {
        return Ok(());
    }
    let keys: Vec<String> = plan.runs.iter().map(|run| plan.key(run)).collect();
    let there = RowFile::read(csv, &header(), key_of)?.keys;
    match there.into_iter().find(|key| !keys.contains(key)) {
        Some(key) => Err(ModelSweepError::ForeignRow { path: csv.display().to_string(), key }),
        None => Ok(()),
    }
}

/// Rows and numbers to their files.
struct Files<'a> {
    rows: RowFile,
    ops: Option<RowFile>,
    ops_there: Vec<String>,
    journal: Journal,
    plan: &'a ModelPlan,
    conditions: &'a [Conditions<'a>],
    options: &'a Options<'a>,
    reporter: Reporter,
    /// Growth of memory by position of the network, in bytes.
    memory: BTreeMap<usize, Option<u64>>,
}

impl RoundSink<Energy> for Files<'_> {
    type Error = ModelSinkError;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), ModelSinkError> {
        let key = self.plan.key(&self.plan.runs[chunk.idx]);
        Ok(self.journal.append(&Entry::of_chunk(&key, chunk))?)
    }

    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), ModelSinkError> {
        Ok(self.journal.append(&Entry::of_reference(sample))?)
    }

    fn row(
        &mut self,
        record: &Record,
        numbers: &[u64],
        width: usize,
        energy: Option<Energy>,
    ) -> Result<(), ModelSinkError> {
        let run = self.plan.runs[record.idx];
        let key = self.plan.key(&run);
        let Some(conditions) = self.conditions.iter().find(|conditions| conditions.threads == run.threads) else {
            return Ok(());
        };
        let measured = matches!(record.outcome, Outcome::Measured(_));
        let memory = match self.options.memory.get(run.model) {
            Some(arguments) if measured => *self.memory.entry(run.model).or_insert_with(|| memory_in_child(arguments)),
            _ => None,
        };
        let beside = Beside { numbers, width, memory, pinned: self.options.pinned, energy };
        // The ops first: the row says that they are there.
        if let Some(file) = self.ops.as_mut().filter(|_| measured && run.protocol == Protocol::PerOp) {
            for (position, row) in op_fields(self.plan, &run, &beside, conditions)?.into_iter().enumerate() {
                if !self.ops_there.contains(&format!("{key} #{position}")) {
                    file.append(&row)?;
                }
            }
        }
        let row = fields(&self.plan.models[run.model], &run, record, &beside, conditions)?;
        self.rows.append(&row)?;
        let at_unix_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Ok(self.journal.append(&Entry::Row { key, block: record.block, at_unix_ms })?)
    }

    fn progress(&mut self, progress: &Progress) {
        self.reporter.show(progress);
    }
}

/// Growth of the peak resident memory of a process of its own that runs the network; `None` where it could not be measured.
fn memory_in_child(arguments: &[String]) -> Option<u64> {
    let output = Command::new(std::env::current_exe().ok()?)
        // In a process group of its own: Ctrl-C in a terminal must not end it, or the row would stay without its memory.
        .process_group(0)
        // It is alone: its threads are free, though this process is bound.
        .env_remove("OMP_PROC_BIND")
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}
