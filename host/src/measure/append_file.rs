//! A file that only grows, line by line, under a lock; shared by the row file and the journal.
//! Bytes in, bytes out.
//!
//! Source: write(2) with `O_APPEND`, flock(2) by the standard library's file locks.
//!
//! A line is complete once its line feed is in the file. What follows the last line feed was left
//! by a process that was killed while writing, and may be cut off.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Why a file cannot be appended to.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system refused an operation.
    #[error("{path}: cannot {action}")]
    Io {
        /// File.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Another process holds the file.
    #[error("{path}: in use by another process; wait for it or choose another output file")]
    InUse {
        /// File.
        path: PathBuf,
    },
}

/// A file open for appending, locked against other processes until dropped.
#[derive(Debug)]
pub(super) struct AppendFile {
    file: File,
    path: PathBuf,
    len: u64,
}

/// Tries to lock a file, again for a moment where it is locked: a process that this one starts holds what it inherits until it runs
/// its own program.
fn locked(file: &File) -> Result<(), TryLockError> {
    for _ in 0..20 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            other => return other,
        }
    }
    file.try_lock()
}

impl AppendFile {
    /// Opens or creates `path` and locks it; also what it holds.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<u8>), FileError> {
        let failed = |action| move |source| FileError::Io { path: path.to_owned(), action, source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed("open it"))?;
        match locked(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                return Err(FileError::InUse { path });
            }
            // Some network file systems have no locks; a sweep works without.
            Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(failed("lock it")(source)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("read it"))?;
        let (path, len) = (path.to_owned(), bytes.len() as u64);
        Ok((Self { file, path, len }, bytes))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the file to its first `len` bytes, if it is longer.
    pub(super) fn cut(&mut self, len: usize) -> Result<(), FileError> {
        let len = len as u64;
        if len < self.len {
            self.file.set_len(len).map_err(|source| self.failed("cut its half-written last line", source))?;
            self.len = len;
        }
        Ok(())
    }

    /// Appends `line`, which ends in a line feed, in one write. On an error nothing of it stays, as
    /// far as the system allows.
    pub(super) fn append(&mut self, line: &[u8], sync: Sync) -> Result<(), FileError> {
        let written = self.file.write_all(line).and_then(|()| match sync {
            Sync::Data => self.file.sync_data(),
            Sync::No => Ok(()),
        });
        if let Err(source) = written {
            // A full disk may have taken a part, which a later line would join. Should cutting
            // fail as well, the next opening cuts.
            let _ = self.file.set_len(self.len);
            return Err(self.failed("append to it", source));
        }
        self.len += line.len() as u64;
        Ok(())
    }

    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> FileError {
        FileError::Io { path: self.path.clone(), action, source }
    }
}

/// Whether a line must be on the disk, and so survive a power failure, before the sweep goes on.
/// Being killed it survives either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    Data,
    No,
}

/// Bytes up to and with the last line feed.
pub(super) fn complete_len(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|&byte| byte == b'\n');
    last.map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::scratch::Scratch;
    use super::*;

    const FOLDER: &str = "DERATE_FULL_DISK_TEST_FOLDER";

    /// Lets files grow to `bytes` at most; writing beyond is an error, not a signal.
    fn limit_file_size(bytes: libc::rlim_t) {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointers are to a valid `rlimit`, and ignoring a signal installs no handler.
        // The test runs this in a process of its own.
        let status = unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit);
            limit.rlim_cur = bytes.min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
        };
        assert_eq!(status, 0);
    }

    fn append_until_full(folder: &Path) {
        let path = folder.join("lines");
        let (mut file, bytes) = AppendFile::open(&path).unwrap();
        assert!(bytes.is_empty());
        file.append(b"first\n", Sync::Data).unwrap();
        file.append(b"half", Sync::No).unwrap();
        file.cut(6).unwrap();
        // Of the next line, 4 of 15 bytes fit.
        limit_file_size(10);
        let error = file.append(b"does not fit..\n", Sync::Data).unwrap_err();
        assert!(error.to_string().ends_with("lines: cannot append to it"));
        assert_eq!(std::fs::read(&path).unwrap(), b"first\n");
        limit_file_size(libc::RLIM_INFINITY);
        file.append(b"second\n", Sync::Data).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"first\nsecond\n");
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_nothing_behind() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return append_until_full(Path::new(&folder));
        }
        let scratch = Scratch::new();
        let module = module_path!().split_once("::").map_or("", |(_, path)| path);
        let name = format!("{module}::a_line_that_does_not_fit_leaves_nothing_behind");
        let output = Command::new(std::env::current_exe().unwrap())
            .args([&name, "--exact", "--test-threads=1"])
            .env(FOLDER, scratch.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
    }

    #[test]
    fn complete_lines_end_with_their_line_feed() {
        assert_eq!(complete_len(b""), 0);
        assert_eq!(complete_len(b"ab"), 0);
        assert_eq!(complete_len(b"ab\n"), 3);
        assert_eq!(complete_len(b"ab\n\ncd"), 4);
    }
}
