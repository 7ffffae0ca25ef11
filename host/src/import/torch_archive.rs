//! The zip archives in which PyTorch stores networks: entries by name, never more than a limit of each.
//!
//! Weight data stay on the disk: only entries that are asked for are read.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use super::ImportError;

/// Most bytes of one entry of text, after decompression: a graph of some ten thousand nodes.
pub(crate) const MAX_TEXT: u64 = 64 << 20;

/// Most bytes that the structure of a JSON text may take when it is decoded.
const MAX_STRUCTURE: u64 = 320 << 20;

/// Most bytes that an object and an item of a list take when they are decoded.
const OBJECT: u64 = 160;
const ITEM: u64 = 32;

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
        // PyTorch writes the archive from the first byte on. Left to find that out itself, the reader takes the second entry for the
        // first where that one's name has 30 bytes: its header is then as long as the records that PyTorch puts behind the directory.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(opened))
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

    /// The text of an entry that is JSON. Three bytes of it can become a structure of a hundred: a small hostile file could fill the
    /// memory, so that objects and items are counted before they are decoded.
    pub(crate) fn json(&mut self, name: &str) -> Result<String, ImportError> {
        let text = self.text(name, MAX_TEXT)?;
        let cost = text.bytes().fold(0_u64, |sum, byte| match byte {
            b'{' => sum.saturating_add(OBJECT),
            b',' => sum.saturating_add(ITEM),
            _ => sum,
        });
        if cost > MAX_STRUCTURE {
            return Err(self.error(name, format!("its structure needs more than {} MiB", MAX_STRUCTURE >> 20)));
        }
        Ok(text)
    }

    /// The text of an entry.
    pub(crate) fn text(&mut self, name: &str, limit: u64) -> Result<String, ImportError> {
        let bytes = self.read(name, limit)?;
        String::from_utf8(bytes).map_err(|error| self.error(name, format!("no UTF-8 text: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip of stored, empty entries as PyTorch writes it: both end records, the one for large files too.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut directory = Vec::new();
        for name in names {
            let at = u32::try_from(bytes.len()).expect("small");
            let length = u16::try_from(name.len()).expect("short").to_le_bytes();
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 22]);
            bytes.extend(length);
            bytes.extend([0; 2]);
            bytes.extend(name.as_bytes());
            directory.extend(b"PK\x01\x02");
            directory.extend([0; 24]);
            directory.extend(length);
            directory.extend([0; 12]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let (start, size, count) = (bytes.len(), directory.len(), names.len());
        let end = start + size;
        bytes.extend(directory);
        bytes.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x1e\x03\x2d\0\0\0\0\0\0\0\0\0");
        for number in [count, count, size, start] {
            bytes.extend((number as u64).to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((end as u64).to_le_bytes());
        bytes.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
        for number in [count, count] {
            bytes.extend(u16::try_from(number).expect("few").to_le_bytes());
        }
        for number in [size, start] {
            bytes.extend(u32::try_from(number).expect("small").to_le_bytes());
        }
        bytes.extend([0; 2]);
        bytes
    }

    #[test]
    fn names_of_any_length_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        for length in 1..60 {
            let names = ["n".repeat(length), "second/entry".to_owned(), "third".to_owned()];
            let path = folder.path().join(format!("{length}.pt2"));
            std::fs::write(&path, archive(&names.each_ref().map(String::as_str))).expect("written");
            let found = Archive::open(&path).unwrap_or_else(|error| panic!("{length}: {error}"));
            assert_eq!(found.names(), names, "{length}");
        }
    }
}
