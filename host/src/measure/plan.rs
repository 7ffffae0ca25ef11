//! What the loop is given and how it ends: the plan, the finish, and the errors. Counts and indices.
//!
//! Source: none; these are the loop's own types.

use thiserror::Error;

use super::disturbance::ReferenceLevels;
use super::executor::Reference;
use super::settings::SettingsError;

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Indices of the configurations without a row yet, in the order of their rows.
    pub todo: &'a [usize],
    /// Configurations of the whole sweep, those with a row included (count).
    pub total: usize,
    /// Number of the first block: 0, or one past the last block of the part that is resumed.
    pub first_block: u32,
    /// Lowest reference levels known: of the part that is resumed, or of an earlier sweep.
    pub best: ReferenceLevels,
}

/// Why the loop ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Each configuration has its row.
    Complete,
    /// The stop flag was set; the open block has no rows.
    Interrupted,
}

/// What the loop did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finish {
    /// Why it ended.
    pub end: End,
    /// Rows handed over, skipped ones included (count).
    pub rows: usize,
    /// Of these, skipped (count).
    pub skipped: usize,
    /// Of these, disturbed (count).
    pub disturbed: usize,
    /// Lowest reference levels known now.
    pub best: ReferenceLevels,
}

/// Why the loop had to give up.
#[derive(Debug, Error)]
pub enum RunError<E, S>
where
    E: std::error::Error + 'static,
    S: std::error::Error + 'static,
{
    /// A setting is out of range; nothing was measured.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The executor failed at a configuration.
    #[error("configuration {idx}: measuring failed")]
    Executor {
        /// Index of the configuration.
        idx: usize,
        /// What the executor says.
        source: E,
    },
    /// The executor failed at a drift reference.
    #[error("{which} reference: measuring failed")]
    Reference {
        /// Which reference.
        which: Reference,
        /// What the executor says.
        source: E,
    },
    /// The executor reported runs as done but appended no sample.
    #[error("configuration {idx}: {runs} runs were reported as done without a single sample")]
    NoSamples {
        /// Index of the configuration.
        idx: usize,
        /// Runs asked for.
        runs: u32,
    },
    /// The sink could not keep what was measured.
    #[error("a measurement could not be kept")]
    Sink(#[source] S),
}
