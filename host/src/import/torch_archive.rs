//! The zip archives in which PyTorch stores networks: entries by name, never more than a limit of each.
//!
//! Weight data stay on the disk: only entries that are asked for are read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::ImportError;

/// Most bytes of one entry of text, after decompression: a graph of some ten thousand nodes.
pub(crate) const MAX_TEXT: u64 = 64 << 20;

/// Most entries of an archive.
const MAX_ENTRIES: usize = 200_000;

/// An open archive.
#[derive(Debug)]
pub(crate) struct Archive {
    file: String,
    zip: ZipArchive<BufReader<File>>,
    names: Vec<String>,
}

impl Archive {
    /// Opens the archive at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, ImportError> {
        let file = path.display().to_string();
        let refuse = |message: String| ImportError { file: file.clone(), at: None, message };
        let opened = File::open(path).map_err(|error| refuse(error.to_string()))?;
        let zip = ZipArchive::new(BufReader::new(opened))
            .map_err(|error| refuse(format!("no archive of PyTorch, which is a zip file: {error}")))?;
        if zip.len() > MAX_ENTRIES {
            return Err(refuse(format!("{} entries; at most {MAX_ENTRIES} are read", zip.len())));
        }
        let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let names = names.collect::<Result<_, _>>().map_err(|error| refuse(error.to_string()))?;
        Ok(Self { file, zip, names })
    }

    /// Names of the entries.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The path that was opened, for messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// An error about an entry.
    pub(crate) fn error(&self, at: &str, message: impl Into<String>) -> ImportError {
        ImportError { file: self.file.clone(), at: Some(at.to_owned()), message: message.into() }
    }

    /// The bytes of an entry, at most `limit`.
    pub(crate) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, ImportError> {
        let file = self.file.clone();
        let refuse = |message: String| ImportError { file: file.clone(), at: Some(name.to_owned()), message };
        let entry = self.zip.by_name(name).map_err(|error| refuse(error.to_string()))?;
        let mut bytes = Vec::new();
        // What the archive says of the size may be wrong; what is read counts.
        entry.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len <= limit) {
            Ok(bytes)
        } else {
            Err(refuse(format!("more than {} MiB; no network that this reads is so large", limit >> 20)))
        }
    }

    /// The text of an entry.
    pub(crate) fn text(&mut self, name: &str, limit: u64) -> Result<String, ImportError> {
        let bytes = self.read(name, limit)?;
        String::from_utf8(bytes).map_err(|error| self.error(name, format!("no UTF-8 text: {error}")))
    }
}
