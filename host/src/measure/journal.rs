//! The journal beside a sweep's CSV: every raw sample (ns) as it was taken, one JSON object a line,
//! so that statistics can be redone and a killed sweep leaves its evidence.
//!
//! Source: the JSON Lines convention (one UTF-8 value a line, ended by a line feed), by `serde_json`.
//!
//! Which configurations are complete is decided by the rows of the CSV (`append_rows`), never by
//! the journal. The first line is a [`Header`]; a journal of another plan is refused, since its
//! samples would belong to other work.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::append_file::{AppendFile, FileError, Sync, complete_len};
use super::disturbance::ReferenceLevels;
use super::executor::Reference;
use super::record::{Chunk, ReferenceSample};

/// Version of the format that this code reads and writes.
pub const FORMAT: u32 = 1;

/// First line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Name and version of the tool that began the sweep.
    pub tool: String,
    /// Hash of the plan: the configurations and whatever else defines their work.
    pub plan: String,
    /// Settings of the sweep, as the tool writes them.
    pub settings: serde_json::Value,
}

/// Any other line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// Raw samples of one configuration in one round.
    Chunk {
        /// Key of the configuration, as in its row.
        key: String,
        /// Block, counted over all resumed parts.
        block: u32,
        /// Round of the block, from 0.
        round: u32,
        /// Runs executed, kept or not (count).
        runs: u32,
        /// Kept samples, in nanoseconds.
        samples_ns: Vec<u64>,
        /// When the chunk ended, in milliseconds since 1970-01-01 UTC.
        at_unix_ms: u64,
    },
    /// One sample of a drift reference.
    Reference {
        /// Which reference.
        which: Reference,
        /// Block, counted over all resumed parts.
        block: u32,
        /// Round of the block, from 0.
        round: u32,
        /// Time of one execution, in nanoseconds.
        sample_ns: u64,
        /// When it ended, in milliseconds since 1970-01-01 UTC.
        at_unix_ms: u64,
    },
    /// A row was appended to the CSV.
    Row {
        /// Key of the configuration.
        key: String,
        /// Block, counted over all resumed parts.
        block: u32,
        /// When, in milliseconds since 1970-01-01 UTC.
        at_unix_ms: u64,
    },
}

impl Entry {
    /// The line of a chunk of the configuration with this key.
    #[must_use]
    pub fn of_chunk(key: &str, chunk: &Chunk<'_>) -> Self {
        Self::Chunk {
            key: key.to_owned(),
            block: chunk.block,
            round: chunk.round,
            runs: chunk.runs,
            samples_ns: chunk.samples_ns.to_vec(),
            at_unix_ms: chunk.at_unix_ms,
        }
    }

    /// The line of a reference sample.
    #[must_use]
    pub fn of_reference(sample: &ReferenceSample) -> Self {
        Self::Reference {
            which: sample.which,
            block: sample.block,
            round: sample.round,
            sample_ns: sample.sample_ns,
            at_unix_ms: sample.at_unix_ms,
        }
    }

    fn block(&self) -> u32 {
        match self {
            Self::Chunk { block, .. } | Self::Reference { block, .. } | Self::Row { block, .. } => *block,
        }
    }
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Its first line.
    pub header: Header,
    /// All complete lines after it.
    pub entries: Vec<Entry>,
    /// Number of the last line, from 1, if it was half-written and left out.
    pub truncated_line: Option<usize>,
}

impl Contents {
    /// The block number with which a resumed sweep goes on: one past the last, 0 for none.
    #[must_use]
    pub fn next_block(&self) -> u32 {
        let last = self.entries.iter().map(Entry::block).max();
        last.map_or(0, |block| block.saturating_add(1))
    }

    /// The lowest level, over the blocks, of each drift reference.
    #[must_use]
    pub fn best_references(&self) -> ReferenceLevels {
        let mut blocks: std::collections::BTreeMap<u32, [Vec<u64>; 2]> = Default::default();
        for entry in &self.entries {
            if let Entry::Reference { which, block, sample_ns, .. } = entry {
                let [compute_bound, memory_bound] = blocks.entry(*block).or_default();
                match which {
                    Reference::ComputeBound => compute_bound.push(*sample_ns),
                    Reference::MemoryBound => memory_bound.push(*sample_ns),
                }
            }
        }
        blocks
            .values()
            .map(|[compute_bound, memory_bound]| ReferenceLevels::of(compute_bound, memory_bound))
            .fold(ReferenceLevels::default(), ReferenceLevels::best)
    }
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be opened, read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A complete line is not what a journal holds.
    #[error("{path}, line {line}: not a journal line: {source}")]
    Malformed {
        /// File.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// The file has no complete header.
    #[error("{path}: no header; the file is empty or its first line was cut")]
    NoHeader {
        /// File.
        path: PathBuf,
    },
    /// The file is of another format version.
    #[error("{path}, line 1: `format` is {found}, this tool reads {FORMAT}")]
    Format {
        /// File.
        path: PathBuf,
        /// Version found.
        found: u64,
    },
    /// The file belongs to another plan.
    #[error(
        "{path}, line 1: this sweep was begun with other configurations, settings, threads, hardware or runtime (plan `{found}`, \
         now `{expected}`); choose another output file, or remove the CSV and its journal"
    )]
    OtherPlan {
        /// File.
        path: PathBuf,
        /// Plan hash of the journal.
        found: String,
        /// Plan hash of this sweep.
        expected: String,
    },
}

/// Path of the journal that belongs to a CSV: its path with `.journal` appended.
#[must_use]
pub fn beside(csv: &Path) -> PathBuf {
    let mut name = OsString::from(csv);
    name.push(".journal");
    PathBuf::from(name)
}

/// Reads a journal without changing it.
///
/// # Errors
///
/// [`JournalError`] if the file cannot be read, or a complete line of it is malformed.
pub fn read(path: &Path) -> Result<Contents, JournalError> {
    let bytes =
        std::fs::read(path).map_err(|source| FileError::Io { path: path.to_owned(), action: "read it", source })?;
    parse(path, &bytes)?.ok_or_else(|| JournalError::NoHeader { path: path.to_owned() })
}

/// A journal open for appending; locked against other processes until dropped.
#[derive(Debug)]
pub struct Journal {
    file: AppendFile,
}

impl Journal {
    /// Opens `path` to go on with it, creating it with `header` if it is absent or was killed
    /// before its header was complete. A half-written last line is cut off.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the file cannot be read or written, is in use, is malformed, or belongs
    /// to a plan other than `header`'s. Then it is left as it was.
    pub fn open(path: &Path, header: &Header) -> Result<(Self, Contents), JournalError> {
        let (mut file, bytes) = AppendFile::open(path)?;
        let contents = parse(path, &bytes)?;
        if let Some(contents) = &contents
            && contents.header.plan != header.plan
        {
            return Err(JournalError::OtherPlan {
                path: path.to_owned(),
                found: contents.header.plan.clone(),
                expected: header.plan.clone(),
            });
        }
        let complete = contents.as_ref().map_or(0, |_| complete_len(&bytes));
        file.cut(complete)?;
        let mut journal = Self { file };
        let contents = match contents {
            Some(contents) => contents,
            None => {
                journal.write(header)?;
                Contents {
                    header: header.clone(),
                    entries: Vec::new(),
                    truncated_line: (!bytes.is_empty()).then_some(1),
                }
            }
        };
        Ok((journal, contents))
    }

    /// Appends one line in one write. It survives the process being killed; of a power failure the
    /// CSV's rows are the record.
    ///
    /// # Errors
    ///
    /// [`JournalError::File`]; then nothing of the line stays, as far as the system allows.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.write(entry)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), JournalError> {
        let mut line =
            serde_json::to_vec(value).map_err(|error| self.file.failed("format a line of it", error.into()))?;
        line.push(b'\n');
        Ok(self.file.append(&line, Sync::No)?)
    }
}

/// Parses all complete lines; `None` if even the header is not complete.
fn parse(path: &Path, bytes: &[u8]) -> Result<Option<Contents>, JournalError> {
    let malformed = |line| move |source| JournalError::Malformed { path: path.to_owned(), line, source };
    let complete = complete_len(bytes);
    let Some(whole) = bytes[..complete].strip_suffix(b"\n") else {
        return Ok(None);
    };
    let mut lines = whole.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    // The version comes first: a header of another format may have other fields.
    let value: serde_json::Value = serde_json::from_slice(first).map_err(malformed(1))?;
    if let Some(found) = value.get("format").and_then(serde_json::Value::as_u64)
        && found != u64::from(FORMAT)
    {
        let path = path.to_owned();
        return Err(JournalError::Format { path, found });
    }
    let header = serde_json::from_value(value).map_err(malformed(1))?;
    let entries = (2..)
        .zip(lines)
        .map(|(line, text)| serde_json::from_slice(text).map_err(malformed(line)))
        .collect::<Result<Vec<Entry>, _>>()?;
    let truncated_line = (complete < bytes.len()).then(|| entries.len() + 2);
    Ok(Some(Contents { header, entries, truncated_line }))
}
