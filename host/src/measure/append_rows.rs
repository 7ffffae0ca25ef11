//! The CSV of a sweep as an append-only file: one row, one `write`, one `fdatasync`; a killed sweep
//! goes on where it stopped. Bytes in, bytes out; no units of its own.
//!
//! Source: RFC 4180 for the quoting, by the `csv` crate; rows end in a single line feed.
//!
//! A process killed at any point loses no complete row: a row is on the disk when [`RowFile::append`]
//! returns, and what a kill leaves half-written has no line feed and is cut off when the file is
//! opened again. Each row is one line; line breaks inside a field are written as spaces.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::append_file::{AppendFile, FileError, Sync, complete_len};

/// A row file open for appending; locked against other processes until dropped.
#[derive(Debug)]
pub struct RowFile {
    file: AppendFile,
    n_columns: usize,
}

/// What an opened row file held already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Keys of the complete rows, in file order, each once.
    pub keys: Vec<String>,
    /// The half-written last line that was cut off, if there was one.
    pub cut: Option<Cut>,
}

/// A last line without its line feed, left by a process that was killed while writing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Number of the line, from 1.
    pub line: usize,
    /// Its bytes, with invalid UTF-8 replaced.
    pub text: String,
}

/// Why a row file cannot be used.
#[derive(Debug, Error)]
pub enum RowFileError {
    /// The file cannot be opened, read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The first line is not the expected header.
    #[error("{path}, line 1: the header is `{found}`, expected `{expected}`")]
    Header {
        /// File.
        path: PathBuf,
        /// First line of the file.
        found: String,
        /// The header of this sweep.
        expected: String,
    },
    /// A complete line is not a row of this sweep.
    #[error("{path}, line {line}: {message}")]
    Malformed {
        /// File.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// A row to append has the wrong number of fields; nothing was written.
    #[error("{path}: a row of {found} fields was given, the header has {expected}")]
    FieldCount {
        /// File.
        path: PathBuf,
        /// Fields given.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
}

impl RowFile {
    /// Opens `path` for appending, creating it with `header` if it is absent or empty.
    ///
    /// `key` takes a row's fields and gives its key, or says what is wrong with the row.
    ///
    /// # Errors
    ///
    /// [`RowFileError`] if the file cannot be read or written, is in use, starts with another
    /// header, or holds a malformed row or the same key twice. The file is changed only to complete
    /// a half-written header or to cut a half-written last row.
    pub fn open(
        path: &Path,
        header: &[&str],
        mut key: impl FnMut(&csv::StringRecord) -> Result<String, String>,
    ) -> Result<(Self, Existing), RowFileError> {
        let (mut file, bytes) = AppendFile::open(path)?;
        let n_columns = header.len();
        match parse(path, &bytes, header, &mut key)? {
            Some(existing) => {
                file.cut(complete_len(&bytes))?;
                Ok((Self { file, n_columns }, existing))
            }
            None => {
                file.cut(0)?;
                let line = line_of(header).map_err(|source| file.failed("format its header", source))?;
                file.append(&line, Sync::Data)?;
                Ok((Self { file, n_columns }, Existing::default()))
            }
        }
    }

    /// What a row file holds, without changing or locking it; nothing, if its header is not complete yet.
    ///
    /// # Errors
    ///
    /// As [`RowFile::open`].
    pub fn read(
        path: &Path,
        header: &[&str],
        mut key: impl FnMut(&csv::StringRecord) -> Result<String, String>,
    ) -> Result<Existing, RowFileError> {
        let failed = |source| FileError::Io { path: path.to_owned(), action: "read it", source };
        let bytes = std::fs::read(path).map_err(failed)?;
        Ok(parse(path, &bytes, header, &mut key)?.unwrap_or_default())
    }

    /// Appends a row of as many fields as the header has, in one write, and syncs it to the disk.
    ///
    /// # Errors
    ///
    /// [`RowFileError::FieldCount`], or [`RowFileError::File`]; then nothing of the row stays in the
    /// file, as far as the system allows.
    pub fn append<F: AsRef<str>>(&mut self, fields: &[F]) -> Result<(), RowFileError> {
        if fields.len() != self.n_columns {
            return Err(RowFileError::FieldCount {
                path: self.path().to_owned(),
                found: fields.len(),
                expected: self.n_columns,
            });
        }
        let line = line_of(fields).map_err(|source| self.file.failed("format a row of it", source))?;
        Ok(self.file.append(&line, Sync::Data)?)
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// What the bytes of a row file hold; `None` if even the header is not complete.
fn parse(
    path: &Path,
    bytes: &[u8],
    header: &[&str],
    key: &mut impl FnMut(&csv::StringRecord) -> Result<String, String>,
) -> Result<Option<Existing>, RowFileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), action: "format its header", source };
    let expected = line_of(header).map_err(failed)?;
    let (whole, rest) = bytes.split_at(complete_len(bytes));
    if whole.is_empty() && expected.starts_with(rest) {
        return Ok(None);
    }
    if !whole.starts_with(&expected) {
        let first = bytes.split(|&byte| byte == b'\n').next();
        return Err(RowFileError::Header {
            path: path.to_owned(),
            found: shown(first.unwrap_or_default()),
            expected: shown(&expected[..expected.len() - 1]),
        });
    }
    let keys = keys(path, whole, header.len(), key)?;
    let cut =
        (!rest.is_empty()).then(|| Cut { line: keys.len() + 2, text: String::from_utf8_lossy(rest).into_owned() });
    Ok(Some(Existing { keys, cut }))
}

/// Keys of the rows in `whole`, which starts with the header and ends in a line feed.
fn keys(
    path: &Path,
    whole: &[u8],
    n_columns: usize,
    key: &mut impl FnMut(&csv::StringRecord) -> Result<String, String>,
) -> Result<Vec<String>, RowFileError> {
    let malformed = |line, message| RowFileError::Malformed { path: path.to_owned(), line, message };
    let mut line_of_key = HashMap::new();
    let mut keys = Vec::new();
    // Line by line, so that an open quote cannot swallow the rows after it.
    let lines = whole[..whole.len() - 1].split(|&byte| byte == b'\n');
    for (line, text) in (1..).zip(lines).skip(1) {
        if text.iter().filter(|&&byte| byte == b'"').count() % 2 == 1 {
            let message = "a quote is opened and not closed".to_owned();
            return Err(malformed(line, message));
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        let mut row = csv::StringRecord::new();
        let found = reader.read_record(&mut row).map_err(|error| malformed(line, error.to_string()))?;
        if !found || row.len() != n_columns {
            let found = row.len();
            let message = format!("{found} fields, expected {n_columns} as in the header");
            return Err(malformed(line, message));
        }
        let key = key(&row).map_err(|message| malformed(line, message))?;
        if let Some(first) = line_of_key.insert(key.clone(), line) {
            let message = format!("`{key}` is in line {first} already, expected once");
            return Err(malformed(line, message));
        }
        keys.push(key);
    }
    Ok(keys)
}
/// One CSV line with its line feed; line breaks inside fields become spaces.
fn line_of<F: AsRef<str>>(fields: &[F]) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let flat = fields.iter().map(|field| field.as_ref().replace(['\n', '\r'], " "));
    writer.write_record(flat).map_err(io::Error::other)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// At most 1000 characters of `line` for an error message, control characters as escapes.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let escaped = text.chars().take(1_000).map(|c| match c {
        c if c.is_control() => c.escape_default().to_string(),
        c => c.to_string(),
    });
    escaped.collect()
}
