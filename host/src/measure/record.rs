//! What the loop hands over: chunks of raw samples and reference samples (ns) as they are taken,
//! rows when a block ends, and progress (seconds left).
//!
//! Source: none; these are the loop's own types. Files are the sink's business, see `journal` and
//! `append_rows`.

use serde::{Deserialize, Serialize};

use super::disturbance::Evidence;
use super::executor::Reference;
use super::stats::Summary;
use super::verdict::Status;

/// Raw samples of one configuration in one round.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Index of the configuration.
    pub idx: usize,
    /// Block, counted over all resumed parts of a sweep.
    pub block: u32,
    /// Round of the block, from 0.
    pub round: u32,
    /// Runs executed, dropped and thinned-out ones too (count).
    pub runs: u32,
    /// Kept samples, in nanoseconds, in the order of their runs.
    pub samples_ns: &'a [u64],
    /// When the chunk ended, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
}

/// One sample of a drift reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceSample {
    /// Which reference.
    pub which: Reference,
    /// Block, counted over all resumed parts of a sweep.
    pub block: u32,
    /// Round of the block, from 0.
    pub round: u32,
    /// Time of one execution, in nanoseconds.
    pub sample_ns: u64,
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: u64,
}

/// Why sampling of a configuration was enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The median's interval was narrow enough after at least the least number of runs.
    Converged,
    /// The interval stayed wide up to the largest number of runs.
    RunCap,
    /// The time cap came first; there may be fewer runs than the least number.
    TimeCap,
    /// All rounds of a whole run were over.
    Rounds,
}

/// Finished measurement of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Statistics of all kept samples, those after [`Measured::stop`] was reached included.
    pub summary: Summary,
    /// What was seen around them.
    pub evidence: Evidence,
    /// Why sampling was enough.
    pub stop: Stop,
    /// Whether the row was disturbed.
    pub status: Status,
}

/// Measured or skipped.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There are times.
    Measured(Box<Measured>),
    /// There are none.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// One row's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Index of the configuration.
    pub idx: usize,
    /// Block in which it was measured, counted over all resumed parts of a sweep.
    pub block: u32,
    /// Times or the reason for none.
    pub outcome: Outcome,
}

/// How far the sweep is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Configurations whose rows were handed over, in earlier parts of the sweep too (count).
    pub done: usize,
    /// Configurations of the whole sweep (count).
    pub total: usize,
    /// Block, counted over all resumed parts of a sweep.
    pub block: u32,
    /// Round of the block, from 0.
    pub round: u32,
    /// Estimated time left, in seconds: the rest of this block's least time, then as many blocks as
    /// are left at the mean time of those that ended, or at the least time before one has.
    pub seconds_left: f64,
}

/// Where the loop puts what it has.
///
/// An `Err` ends the sweep after everything prepared is released.
pub trait Sink {
    /// Failure to keep what was handed over, such as a full disk.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes the raw samples of a chunk, right after they were taken.
    ///
    /// # Errors
    ///
    /// If they cannot be kept.
    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Self::Error>;

    /// Takes one sample of a reference, right after it was taken.
    ///
    /// # Errors
    ///
    /// If it cannot be kept.
    fn reference(&mut self, sample: &ReferenceSample) -> Result<(), Self::Error>;

    /// Takes a finished row. Rows come one by one, in plan order, when their block ends.
    ///
    /// # Errors
    ///
    /// If it cannot be kept.
    fn row(&mut self, record: &Record) -> Result<(), Self::Error>;

    /// Hears how far the sweep is: before each preparation, after each chunk and each block.
    fn progress(&mut self, progress: &Progress);
}
