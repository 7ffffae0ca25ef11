//! Reading and writing files in a temporary folder.

use std::fs;

use super::super::{HardwareFile, SpecError, write_atomic};
use super::EXAMPLE;

#[test]
fn what_is_written_is_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.toml");
    write_atomic(&path, "old").unwrap();
    write_atomic(&path, EXAMPLE).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), EXAMPLE);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(HardwareFile::read(&path).unwrap().name, "amd-epyc-2c");
}

#[test]
fn a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the file should go, so the rename fails.
    let path = folder.path().join("device.toml");
    fs::create_dir(&path).unwrap();
    let error = write_atomic(&path, EXAMPLE).unwrap_err();
    assert!(matches!(&error, SpecError::Write { path: named, .. } if *named == path));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write_atomic(folder.path().join("none/device.toml"), "").is_err());
}

#[test]
fn a_missing_file_is_named() {
    let error = HardwareFile::read("no/such.toml").unwrap_err();
    assert!(error.to_string().starts_with("no/such.toml cannot be read: "), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("device.toml"), folder.path().join("link.toml"));
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    write_atomic(&link, "new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}
