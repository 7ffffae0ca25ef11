//! Kills a real sweep (SIGKILL) at random moments, resumes it each time, and checks that every row
//! is in the CSV exactly once. Run times in microseconds, slept.
//!
//! A kill hardly ever meets the inside of a write, so half a line is added after every third one.
//!
//! The test starts its own executable for the process to be killed; an environment variable tells
//! that process its role and its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::append_rows::{RowFile, RowFileError};
use super::executor::{Executor, Prepared, Ran, Reference};
use super::journal::{self, Entry, FORMAT, Header, Journal, JournalError};
use super::plan::{End, Plan};
use super::record::{Chunk, Outcome, Progress, Record, ReferenceSample, Sink};
use super::schedule::run;
use super::scratch::Scratch;
use super::settings::Settings;
use super::surroundings::SystemSurroundings;

const FOLDER: &str = "DERATE_KILL_TEST_FOLDER";
const COLUMNS: [&str; 3] = ["key", "n", "reason"];
const N_CONFIGURATIONS: usize = 40;
const BLOCK_SIZE: usize = 4;
/// Ten blocks of at least this: a sweep lasts 0.25 s or more, and the first kills come before.
const MIN_BLOCK_TIME_S: f64 = 0.025;

/// The key of a configuration needs quotes in a CSV.
fn key_of(idx: usize) -> String {
    format!("mlp,[{idx}, 512]")
}

#[derive(Debug)]
struct Sleeper;

impl Executor for Sleeper {
    type Error = Infallible;

    fn prepare(&mut self, idx: usize, _warmup: u32) -> Result<Prepared, Infallible> {
        let reason = format!("{idx} does not fit");
        Ok(if idx % 10 == 3 { Prepared::Skipped { reason } } else { Prepared::Ready })
    }

    fn run(&mut self, _: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<Ran, Infallible> {
        for _ in 0..runs {
            let start = Instant::now();
            std::thread::sleep(Duration::from_micros(200));
            samples_ns.push(start.elapsed().as_nanos() as u64);
        }
        Ok(Ran::Done)
    }

    fn release(&mut self, _: usize) {}

    fn reference(&mut self, _: Reference) -> Result<Option<u64>, Infallible> {
        Ok(Some(1_000))
    }
}

#[derive(Debug, Error)]
enum FilesError {
    #[error(transparent)]
    Rows(#[from] RowFileError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

struct Files {
    rows: RowFile,
    journal: Journal,
}

impl Sink for Files {
    type Error = FilesError;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), FilesError> {
        let entry = Entry::of_chunk(&key_of(chunk.idx), chunk);
        Ok(self.journal.append(&entry)?)
    }

    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), FilesError> {
        Ok(self.journal.append(&Entry::of_reference(sample))?)
    }

    fn row(&mut self, record: &Record) -> Result<(), FilesError> {
        let key = key_of(record.idx);
        let (n, reason) = match &record.outcome {
            Outcome::Measured(measured) => (measured.summary.n.to_string(), ""),
            Outcome::Skipped { reason } => (String::new(), reason.as_str()),
        };
        // As on a slow disk, so that kills come between the rows of a block too.
        std::thread::sleep(Duration::from_millis(2));
        self.rows.append(&[key.as_str(), &n, reason])?;
        let (block, at_unix_ms) = (record.block, 0);
        self.journal.append(&Entry::Row { key, block, at_unix_ms })?;
        Ok(())
    }

    fn progress(&mut self, _: &Progress) {}
}

/// The process that is killed: goes on with the sweep in `folder` and returns when it is complete.
fn sweep_in(folder: &Path) {
    let csv = folder.join("sweep.csv");
    let header = Header {
        format: FORMAT,
        tool: "kill test".to_owned(),
        plan: "40 sleepers".to_owned(),
        settings: serde_json::Value::Null,
    };
    let key = |row: &csv::StringRecord| Ok(row[0].to_owned());
    let (rows, existing) = RowFile::open(&csv, &COLUMNS, key).expect("rows");
    let (journal, contents) = Journal::open(&journal::beside(&csv), &header).expect("journal");
    let done: BTreeSet<String> = existing.keys.into_iter().collect();
    let todo: Vec<usize> = (0..N_CONFIGURATIONS).filter(|&idx| !done.contains(&key_of(idx))).collect();
    let plan = Plan {
        todo: &todo,
        total: N_CONFIGURATIONS,
        first_block: contents.next_block(),
        best: contents.best_references(),
    };
    let settings = Settings {
        block_size: BLOCK_SIZE,
        min_runs: 10,
        max_runs: 20,
        min_block_time_s: MIN_BLOCK_TIME_S,
        chunk_time_s: 0.001,
        ..Settings::default()
    };
    let mut files = Files { rows, journal };
    let stop = AtomicBool::new(false);
    let mut surroundings = SystemSurroundings::new();
    let finish = run(&mut Sleeper, &mut surroundings, &mut files, plan, &settings, &stop);
    assert_eq!(finish.expect("the sweep").end, End::Complete);
}

/// Moments for the kills, the same each time: `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

#[test]
fn a_sweep_killed_at_random_has_each_row_once() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return sweep_in(Path::new(&folder));
    }
    let scratch = Scratch::new();
    let csv = scratch.file("sweep.csv");
    let this = std::env::current_exe().expect("the test's own path");
    let module = module_path!().split_once("::").map_or("", |(_, path)| path);
    let name = format!("{module}::a_sweep_killed_at_random_has_each_row_once");
    let mut moments = Moments(1);
    let mut kills = 0;
    let mut seen = String::new();
    loop {
        let mut child = Command::new(&this)
            .args([&name, "--exact", "--test-threads=1"])
            .env(FOLDER, scratch.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the test's own executable");
        // The longest wait grows, so that the sweep ends on the slowest machine too.
        std::thread::sleep(Duration::from_micros(moments.below(40_000 + 4_000 * kills)));
        let status = match child.try_wait().expect("its status") {
            Some(status) => status,
            None => {
                child.kill().expect("SIGKILL");
                child.wait().expect("its status")
            }
        };
        let text = std::fs::read_to_string(&csv).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |at| &text[..=at]);
        assert!(complete.starts_with(&seen), "a complete row was lost:\n{seen}\n{complete}");
        seen = complete.to_owned();
        if status.success() {
            break;
        }
        assert_eq!(status.code(), None, "ended by itself with an error, not by the kill");
        kills += 1;
        if kills % 3 == 0 && !complete.is_empty() {
            for path in [&csv, &journal::beside(&csv)] {
                let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
                file.write_all(b"\"mlp,[7, 5").expect("half a line");
            }
        }
        assert!(kills < 1_000, "no end after {kills} kills");
    }
    assert!(kills >= 3, "{kills} kills test nothing");

    let mut reader = csv::Reader::from_path(&csv).expect("rows");
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let keys: Vec<&str> = rows.iter().map(|row| &row[0]).collect();
    let want: Vec<String> = (0..N_CONFIGURATIONS).map(key_of).collect();
    assert_eq!(keys, want);
    for (idx, row) in rows.iter().enumerate() {
        let skipped = idx % 10 == 3;
        assert_eq!(row[1].is_empty(), skipped);
        assert_eq!(row[2].is_empty(), !skipped);
    }

    let contents = journal::read(&journal::beside(&csv)).expect("journal");
    let mut blocks_of: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut keys_of: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    let mut finished = BTreeSet::new();
    for entry in &contents.entries {
        match entry {
            Entry::Chunk { key, block, .. } => {
                assert!(!finished.contains(key), "`{key}` was measured after its row");
                blocks_of.entry(key).or_default().insert(*block);
                keys_of.entry(*block).or_default().insert(key);
            }
            Entry::Row { key, .. } => assert!(finished.insert(key), "`{key}` has two row marks"),
            Entry::Reference { .. } => {}
        }
    }
    // A resumed sweep counts its blocks on, so that none has members of two.
    assert!(keys_of.values().all(|keys| keys.len() <= BLOCK_SIZE), "{keys_of:?}");
    let repeated: usize = blocks_of.values().map(|blocks| blocks.len() - 1).sum();
    let most = kills as usize * BLOCK_SIZE;
    assert!(repeated <= most, "{repeated} repeated, {most} at most after {kills} kills");
}
