//! A sweep of operators that runs: block after block, as its budget lasts, rows into the CSV, raw samples into the journal.
//!
//! As in other sweeps the CSV decides what is done, and a sweep that was killed goes on with what its budget has left. A CSV may hold
//! rows of several precisions and thread counts: each is a pass with a budget of its own.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::pick::{Pick, Sampled, block};
use super::row::{fields, header, key_of, sampled};
use super::spent::spent;
use super::{PLAN_VERSION, Plan, Selection};
use crate::measure::journal::{self, FORMAT};
use crate::measure::{
    Chunk, End, Entry, Header, Journal, Measured, Outcome, Plan as Schedule, Progress, Record, ReferenceLevels,
    ReferenceSample, RowFile, Settings, Sink, SystemSurroundings, run as measure,
};
use crate::progress::Reporter;
use crate::sweep::row::Conditions;
use crate::sweep::run::{SinkError, SweepError};
use crate::torch::{OperatorExecutor, Setup};

/// Repetition of an operator sweep: many shapes of few runs tell a model more than few shapes of many.
#[must_use]
pub fn settings() -> Settings {
    Settings {
        block_size: 16,
        warmup_runs: 3,
        min_runs: 5,
        // A configuration has a second round where its first was not steady, and seldom more.
        max_runs: 20,
        target_relative_half_width: 0.03,
        // On a quiet machine this is more than five runs of the longest shapes; on a busy one it waits for five.
        time_cap_s: 1.0,
        runs_before_cap: 5,
        min_block_time_s: 0.0,
        kept_per_chunk: 20,
        reference_interval_s: 1.0,
        // What is done makes room for other shapes.
        finished_turns_every: u32::MAX,
        ..Settings::default()
    }
}

/// What is the same for all passes.
#[derive(Debug)]
pub struct Options<'a> {
    /// The CSV.
    pub output: &'a Path,
    /// What is measured.
    pub selection: Selection,
    /// Repetition and caps.
    pub settings: Settings,
    /// Wall-clock time of each pass.
    pub budget: Duration,
    /// Set from outside to end the sweep.
    pub stop: &'a AtomicBool,
}

/// What a pass did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Passed {
    /// Precision of the tensors.
    pub precision: &'static str,
    /// Threads of every op.
    pub threads: u32,
    /// Rows of the whole plan.
    pub configurations: usize,
    /// Rows that were there before.
    pub resumed: usize,
    /// Rows written now.
    pub rows: usize,
    /// Of these, skipped.
    pub skipped: usize,
    /// Of these, disturbed.
    pub disturbed: usize,
    /// Seconds that it took now.
    pub seconds: f64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// The files of a sweep, and what they hold.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    rows: RowFile,
    journal: Journal,
    keys: HashSet<String>,
    spent: HashMap<String, f64>,
    best: ReferenceLevels,
    next_block: u32,
}

impl Files {
    /// Opens the CSV and its journal, or makes them. `description` is all that the rows of a file must have in common: device,
    /// runtime, and the numbers of the description.
    ///
    /// # Errors
    /// [`SweepError`] for files of another sweep, or that cannot be read or written.
    pub fn open(options: &Options<'_>, description: &str) -> Result<Self, SweepError> {
        options.settings.validate()?;
        let csv = options.output;
        let io = |path: &Path| {
            let path = path.display().to_string();
            move |source| SweepError::Io { path, source }
        };
        if let Some(folder) = csv.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let there = if csv.exists() { RowFile::read(csv, &header(), key_of)?.keys.len() } else { 0 };
        if there > 0 && !journal::beside(csv).exists() {
            return Err(SweepError::NoJournal { path: csv.display().to_string() });
        }
        let settings = serde_json::json!({
            "selection": options.selection.name(), "plan_version": PLAN_VERSION,
            "measuring": options.settings, "description": description,
        });
        let header_line = Header {
            format: FORMAT,
            tool: concat!("derate ", env!("CARGO_PKG_VERSION")).to_owned(),
            plan: digest(&settings.to_string()),
            settings,
        };
        let (journal, contents) = Journal::open(&journal::beside(csv), &header_line)?;
        let (rows, existing) = RowFile::open(csv, &header(), key_of)?;
        if let Some(cut) = &existing.cut {
            eprintln!("{}: line {} was half-written and is measured again", csv.display(), cut.line);
        }
        Ok(Self {
            path: csv.to_owned(),
            rows,
            journal,
            keys: existing.keys.into_iter().collect(),
            spent: spent(&contents.entries),
            best: contents.best_references(),
            next_block: contents.next_block(),
        })
    }

    /// Rows of the file that belong to a plan.
    fn measured(&self, plan: &Plan) -> Vec<Sampled> {
        let index: HashMap<String, usize> = (0..plan.configurations.len()).map(|at| (plan.key(at), at)).collect();
        let Ok(mut reader) = csv::Reader::from_path(&self.path) else { return Vec::new() };
        let row = |record: csv::StringRecord| sampled(*index.get(&key_of(&record).ok()?)?, &record);
        reader.records().filter_map(Result::ok).filter_map(row).collect()
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("{:x}", Sha256::digest(text.as_bytes()))
}

/// Measures as much of a plan as the budget allows, what `pick` chooses first.
///
/// # Errors
/// [`SweepError`]; rows written so far stay.
pub fn pass(
    files: &mut Files,
    plan: &Plan,
    conditions: &Conditions<'_>,
    setup: Setup,
    options: &Options<'_>,
    pick: &mut dyn Pick,
) -> Result<Passed, SweepError> {
    let total = plan.configurations.len();
    let mut open: Vec<usize> = (0..total).filter(|&at| !files.keys.contains(&plan.key(at))).collect();
    let resumed = total - open.len();
    let before = files.spent.get(&plan.pass()).copied().unwrap_or(0.0);
    let budget = options.budget.as_secs_f64();
    let mut measured = files.measured(plan);
    let mut passed = Passed {
        precision: plan.precision.name(),
        threads: plan.threads,
        configurations: total,
        resumed,
        rows: 0,
        skipped: 0,
        disturbed: 0,
        seconds: 0.0,
        interrupted: false,
    };
    if resumed > 0 {
        eprintln!("resuming {}: {resumed} rows are there, {before:.0} s were spent", files.path.display());
    }
    let mut executor = OperatorExecutor::new(plan, setup)?;
    let reporter = Reporter::new("s", 0, budget.ceil() as usize);
    let start = Instant::now();
    let elapsed = || before + start.elapsed().as_secs_f64();
    let mut sink = Sinking { files, plan, conditions, reporter, measured: Vec::new(), budget, before, start, rows: 0 };
    while elapsed() < budget && !open.is_empty() {
        if options.stop.load(Ordering::Relaxed) {
            passed.interrupted = true;
            break;
        }
        // Smaller blocks at the end, so that it comes near the budget.
        let per_row = if passed.rows == 0 { 0.0 } else { start.elapsed().as_secs_f64() / passed.rows as f64 };
        let left = if per_row > 0.0 { ((budget - elapsed()) / per_row).ceil() as usize } else { usize::MAX };
        let todo = block(pick, &measured, &mut open, left.clamp(1, options.settings.block_size));
        if todo.is_empty() {
            break;
        }
        let schedule = Schedule { todo: &todo, total, first_block: sink.files.next_block, best: sink.files.best };
        let finish = measure(
            &mut executor,
            &mut SystemSurroundings::new(),
            &mut sink,
            schedule,
            &options.settings,
            options.stop,
        )
        .map_err(Box::new)?;
        passed.rows += finish.rows;
        passed.skipped += finish.skipped;
        passed.disturbed += finish.disturbed;
        sink.files.best = finish.best;
        measured.append(&mut sink.measured);
        if finish.end == End::Interrupted {
            passed.interrupted = true;
            break;
        }
    }
    sink.reporter.finish();
    passed.seconds = start.elapsed().as_secs_f64();
    Ok(passed)
}

/// Rows and samples to their files, and back to who chooses the next.
struct Sinking<'a> {
    files: &'a mut Files,
    plan: &'a Plan,
    conditions: &'a Conditions<'a>,
    reporter: Reporter,
    /// Rows since the last choice.
    measured: Vec<Sampled>,
    budget: f64,
    before: f64,
    start: Instant,
    rows: usize,
}

impl Sink for Sinking<'_> {
    type Error = SinkError;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), SinkError> {
        self.files.next_block = self.files.next_block.max(chunk.block.saturating_add(1));
        Ok(self.files.journal.append(&Entry::of_chunk(&self.plan.key(chunk.idx), chunk))?)
    }

    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), SinkError> {
        Ok(self.files.journal.append(&Entry::of_reference(sample))?)
    }

    fn row(&mut self, record: &Record) -> Result<(), SinkError> {
        self.files.next_block = self.files.next_block.max(record.block.saturating_add(1));
        let key = self.plan.key(record.idx);
        self.files.rows.append(&fields(self.plan, record, self.conditions)?)?;
        if let Outcome::Measured(measured) = &record.outcome {
            self.measured.push(of_record(record.idx, measured));
        }
        let at_unix_ms = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.files.journal.append(&Entry::Row { key: key.clone(), block: record.block, at_unix_ms })?;
        self.files.keys.insert(key);
        self.rows += 1;
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        // The budget decides when it ends, not the number of rows.
        let spent = self.before + self.start.elapsed().as_secs_f64();
        let seconds_left = (self.budget - spent).max(0.0);
        self.reporter.show(&Progress {
            done: spent.min(self.budget) as usize,
            total: self.budget.ceil() as usize,
            seconds_left,
            ..*progress
        });
    }
}

fn of_record(configuration: usize, measured: &Measured) -> Sampled {
    let summary = &measured.summary;
    Sampled {
        configuration,
        median_s: summary.median_ns / 1e9,
        p10_s: summary.p10_ns / 1e9,
        mad_s: summary.mad_ns / 1e9,
        runs: u32::try_from(summary.n).unwrap_or(u32::MAX),
        disturbed: measured.status.word() == "disturbed",
    }
}
