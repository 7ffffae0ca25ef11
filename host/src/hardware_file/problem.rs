//! What can be wrong with a hardware description, and the errors of reading, lending and editing one.

use std::fmt;
use std::io;
use std::path::PathBuf;

use derate_core::shape::Precision;

/// One thing that is wrong in a hardware description.
///
/// Displays as one line: `cpu.toml:12: memory[1].bandwidth_bytes_per_s.value is -3.0; it must be a positive, finite number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the caller named it.
    pub file: String,
    /// Line from 1; of a missing key, the line where its table starts.
    pub line: usize,
    /// Path of the key, such as `memory[1].bandwidth_bytes_per_s.value`; empty for [`ProblemKind::Syntax`].
    pub key: String,
    /// What sort of thing is wrong.
    pub kind: ProblemKind,
    /// The value as the file writes it; the parser's message for [`ProblemKind::Syntax`]; empty for a key.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
}

/// What sort of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is not TOML.
    Syntax,
    /// A key that the format does not have.
    UnknownKey,
    /// A key that must be there and is not.
    MissingKey,
    /// A value of the wrong type, out of its range, or at odds with another one.
    Value,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, kind, found, allowed } = self;
        match kind {
            ProblemKind::Syntax => write!(f, "{file}:{line}: not TOML: {found}"),
            ProblemKind::UnknownKey => write!(f, "{file}:{line}: {key} is not a known key; {allowed}"),
            ProblemKind::MissingKey => write!(f, "{file}:{line}: {key} is missing; it must be {allowed}"),
            ProblemKind::Value => write!(f, "{file}:{line}: {key} is {found}; it must be {allowed}"),
        }
    }
}

/// Failure to read, lend, edit or write a hardware description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be written; the old one, if there was one, is unchanged.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The description is wrong in these places, at least one, in the order of their lines.
    #[error("{}", join(.0, "\n"))]
    Problems(Vec<Problem>),
    /// The core refuses the description.
    #[error("hardware `{name}`: {source}")]
    Hardware {
        /// Name of the device.
        name: String,
        /// What the core says.
        source: derate_core::Error,
    },
    /// No thermal profile of this name.
    #[error("{file} has no thermal profile `{wanted}`; it has {}", join(known, ", "))]
    NoThermalProfile {
        /// The file as the caller named it.
        file: String,
        /// The name asked for.
        wanted: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The thermal profile has no factors for this precision.
    #[error("thermal profile `{profile}` of {file} has no factors for {}; it has them for {}", wanted.name(), names(known))]
    NoPrecision {
        /// The file as the caller named it.
        file: String,
        /// The thermal profile.
        profile: String,
        /// The precision asked for.
        wanted: Precision,
        /// The precisions there are.
        known: Vec<Precision>,
    },
    /// The file is valid, but lays out its tables in a way that cannot be edited in place.
    #[error("{file}: {key} cannot be edited in place; write it as a table of its own, {{ value, basis, source }}")]
    Layout {
        /// The file as the caller named it.
        file: String,
        /// The key that was to be set.
        key: String,
    },
}

/// The items with a separator between them.
pub(super) fn join<T: ToString>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

/// The names of precisions, with commas between them.
fn names(precisions: &[Precision]) -> String {
    precisions.iter().map(|precision| precision.name()).collect::<Vec<_>>().join(", ")
}
