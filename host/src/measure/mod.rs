//! Measuring loop of the sweeps: from configurations to rows of times in nanoseconds, with the
//! evidence of what disturbed them; generic over what is measured. Sources are cited per file.
//!
//! One thread does it all: prepare a block of configurations, time them in interleaved rounds,
//! summarise, judge, hand the rows over. What is timed hides behind [`Executor`], the machine
//! behind [`Surroundings`], the files behind [`Sink`], so that the loop's tests are exact and need
//! no waiting.
//!
//! | file | holds |
//! |---|---|
//! | `stats` | median, percentiles, spread, outlier labels, confidence interval of the median |
//! | `surroundings` | clock, steal time, context switches, load of the machine |
//! | `disturbance`, `verdict` | [`Evidence`] around a row; [`Status`]: the rules that judge it |
//! | `executor`, `mock` | what is measured, and its scripted stand-in |
//! | `settings`, `plan`, `record` | what the loop is given, how it ends, what it hands over |
//! | `order`, `member`, `schedule` | the loop in blocks: [`run`] |
//! | `rounds` | the loop in rounds over all configurations: [`rounds::run`] |
//! | `append_file`, `append_rows`, `journal` | files that survive a killed process |
//! | `compare` | whether two finished runs agree |
//!
//! Left out on purpose: the meaning of a configuration, the columns of a row, and any correction
//! of a time by a reference. References are evidence only; dividing by them does not narrow the
//! spread between runs.

mod append_file;
pub mod append_rows;
pub mod compare;
pub mod disturbance;
pub mod executor;
pub mod journal;
mod member;
#[cfg(test)]
mod mock;
pub mod order;
pub mod plan;
pub mod record;
pub mod rounds;
#[cfg(test)]
mod rounds_tests;
pub mod schedule;
pub mod settings;
pub mod stats;
pub mod surroundings;
pub mod verdict;

#[cfg(test)]
mod append_rows_tests;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod kill_test;
#[cfg(test)]
mod schedule_tests;
#[cfg(test)]
mod scratch;

pub use append_file::FileError;
pub use append_rows::{Cut, Existing, RowFile, RowFileError};
pub use compare::{AGREEMENT_LIMIT, CompareError, Comparison, Difference, FinishedRun, compare};
pub use disturbance::{Evidence, ReferenceLevels, Switches};
pub use executor::{Executor, Prepared, Ran, Reference};
pub use journal::{Contents, Entry, Header, Journal, JournalError};
pub use plan::{End, Finish, Plan, RunError};
pub use record::{Chunk, Measured, Outcome, Progress, Record, ReferenceSample, Sink, Stop};
pub use schedule::run;
pub use settings::{Settings, SettingsError};
pub use stats::{Sorted, Summary};
pub use surroundings::{CpuTimes, Surroundings, SystemSurroundings};
pub use verdict::{Status, judge};
