//! Writing a file so that a reader sees the old text or the new one, never a part: a new file beside it, then a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::problem::SpecError;

/// Replaces a file by this text at once, or makes it. A link stays and the file it points to is replaced; permissions stay.
///
/// # Errors
/// [`SpecError::Write`]; the old file is then unchanged and no other is left.
pub fn write_atomic(path: impl AsRef<Path>, text: &str) -> Result<(), SpecError> {
    let path = path.as_ref();
    replace(path, text).map_err(|source| SpecError::Write { path: path.into(), source })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let (temporary, mut file) = create_beside(&target)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::metadata(&target).map_or(Ok(()), |old| file.set_permissions(old.permissions())))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        // The error of the write is the one to tell; that of the removal would hide it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A new, empty file in the folder of another, under a name of its own.
fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    loop {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let temporary = target.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            // Left by an earlier process of the same number: take the next name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
