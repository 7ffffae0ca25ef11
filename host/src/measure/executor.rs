//! What the loop measures, behind a trait: prepare a configuration, time single runs of it in
//! nanoseconds, release it, and time the drift references.
//!
//! Source of the split: a scheduler that sees only this trait is tested with a scripted executor
//! (`mock`), exactly and without waiting.
//!
//! A configuration is known by its index in the caller's list; its meaning stays with the caller.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A fixed piece of work, timed again and again to see whether the machine itself drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// Arithmetic on data in the first-level cache: follows the clock frequency.
    ComputeBound,
    /// Streams over data larger than the last-level cache: follows memory contention.
    MemoryBound,
}

impl Reference {
    /// Both references, in the order in which the loop takes them.
    pub const ALL: [Self; 2] = [Self::ComputeBound, Self::MemoryBound];
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ComputeBound => "compute-bound",
            Self::MemoryBound => "memory-bound",
        })
    }
}

/// Answer to [`Executor::prepare`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// The configuration is warm and stays so until it is released.
    Ready,
    /// It does not fit beside what is prepared already; alone it may. The loop ends the block
    /// before it and tries again with nothing else prepared, then skips it with this reason.
    NoRoom {
        /// What was short, with numbers.
        reason: String,
    },
    /// It cannot be measured on this device; the row says so and the sweep goes on.
    Skipped {
        /// Why, in words for the row's reason column.
        reason: String,
    },
}

/// Answer to [`Executor::run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// All runs were timed.
    Done,
    /// The configuration failed while running; it becomes a skipped row, and its samples so far
    /// stay in the journal only.
    Skipped {
        /// Why, in words for the row's reason column.
        reason: String,
    },
}

/// Something that can run configurations and time them.
///
/// An `Err` of any method ends the sweep; what belongs to one configuration is an answer instead.
pub trait Executor {
    /// Failure that makes going on pointless, such as a lost device.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Builds configuration `idx` with its inputs and runs it `warmup` times, untimed.
    ///
    /// Idempotent: of a prepared configuration it answers [`Prepared::Ready`]. After any other
    /// answer nothing of it stays prepared, and [`release`](Self::release) is not called.
    ///
    /// # Errors
    ///
    /// A failure that is not of this configuration alone.
    fn prepare(&mut self, idx: usize, warmup: u32) -> Result<Prepared, Self::Error>;

    /// Times `runs` single runs of a prepared configuration and appends each, in nanoseconds.
    ///
    /// # Errors
    ///
    /// A failure that is not of this configuration alone.
    fn run(&mut self, idx: usize, runs: u32, samples_ns: &mut Vec<u64>) -> Result<Ran, Self::Error>;

    /// Frees what [`prepare`](Self::prepare) built, also after [`Ran::Skipped`].
    fn release(&mut self, idx: usize);

    /// One sample of a drift reference, in nanoseconds; `None` if there is no such reference.
    ///
    /// # Errors
    ///
    /// A failure that makes going on pointless.
    fn reference(&mut self, which: Reference) -> Result<Option<u64>, Self::Error>;
}
