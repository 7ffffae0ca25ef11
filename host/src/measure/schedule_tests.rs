//! Tests of the measuring loop with the scripted executor: exact counts and times, no waiting.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use super::disturbance::ReferenceLevels;
use super::mock::{MockConfiguration, MockExecutor, MockSurroundings};
use super::plan::{Finish, Plan, RunError};
use super::record::{Chunk, Measured, Outcome, Progress, Record, ReferenceSample, Sink};
use super::schedule::run;
use super::settings::Settings;

mod blocks;
mod rounds;

const MS: u64 = 1_000_000;

/// A chunk, kept.
#[derive(Debug)]
struct KeptChunk {
    idx: usize,
    block: u32,
    round: u32,
    runs: u32,
    samples_ns: Vec<u64>,
}

/// Sink that keeps everything; `full_at_row` fails as a full disk would.
#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<KeptChunk>,
    references: Vec<ReferenceSample>,
    rows: Vec<Record>,
    progress: Vec<Progress>,
    full_at_row: Option<usize>,
}

impl Sink for Kept {
    type Error = std::io::Error;

    fn chunk(&mut self, chunk: &Chunk<'_>) -> std::io::Result<()> {
        self.chunks.push(KeptChunk {
            idx: chunk.idx,
            block: chunk.block,
            round: chunk.round,
            runs: chunk.runs,
            samples_ns: chunk.samples_ns.to_vec(),
        });
        Ok(())
    }

    fn reference(&mut self, sample: &ReferenceSample) -> std::io::Result<()> {
        self.references.push(*sample);
        Ok(())
    }

    fn row(&mut self, record: &Record) -> std::io::Result<()> {
        if self.full_at_row == Some(self.rows.len()) {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.rows.push(record.clone());
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        self.progress.push(*progress);
    }
}

impl Kept {
    fn indices(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.idx).collect()
    }

    fn measured(&self, row: usize) -> &Measured {
        match &self.rows[row].outcome {
            Outcome::Measured(measured) => measured,
            Outcome::Skipped { reason } => panic!("row {row} was skipped: {reason}"),
        }
    }

    fn reason(&self, row: usize) -> &str {
        match &self.rows[row].outcome {
            Outcome::Measured(_) => panic!("row {row} was measured"),
            Outcome::Skipped { reason } => reason,
        }
    }

    fn order_in(&self, block: u32, round: u32) -> Vec<usize> {
        let of_round = |chunk: &&KeptChunk| chunk.block == block && chunk.round == round;
        self.chunks.iter().filter(of_round).map(|chunk| chunk.idx).collect()
    }
}

type Failure = RunError<Infallible, std::io::Error>;

/// Runs the whole list of the mock's configurations.
fn sweep(mock: &mut MockExecutor, settings: &Settings) -> (Finish, Kept) {
    let mut surroundings = mock.surroundings();
    let todo: Vec<usize> = (0..mock.configurations.len()).collect();
    let mut kept = Kept::default();
    let finish = resume(mock, &mut surroundings, &mut kept, &todo, settings).expect("a sweep");
    (finish, kept)
}

fn resume(
    mock: &mut MockExecutor,
    surroundings: &mut MockSurroundings,
    kept: &mut Kept,
    todo: &[usize],
    settings: &Settings,
) -> Result<Finish, Failure> {
    let stop = match &mock.interrupt_after {
        Some((_, flag)) => Rc::clone(flag),
        None => Rc::new(AtomicBool::new(false)),
    };
    let plan = Plan {
        todo,
        total: mock.configurations.len(),
        first_block: kept.chunks.iter().map(|chunk| chunk.block + 1).max().unwrap_or(0),
        best: ReferenceLevels::default(),
    };
    run(mock, surroundings, kept, plan, settings, &stop)
}

/// Defaults without the least block time, so that the stopping rule alone decides.
fn unspread() -> Settings {
    Settings { min_block_time_s: 0.0, ..Settings::default() }
}

fn steady(ns: &[u64]) -> MockExecutor {
    MockExecutor::new(ns.iter().map(|&ns| MockConfiguration::steady(ns)).collect())
}
