//! Where libtorch is: the folder named by `LIBTORCH`, else the cache folder, filled from the pinned wheels.
//!
//! The cache folder is `$DERATE_CACHE`, else `~/.cache/derate`: `wheels/` holds what was fetched,
//! `libtorch-VERSION-cpu/` the libraries and headers. The latter appears under its name only when complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Install};
use crate::unpack;
use crate::wheel::{LIBTORCH_VERSION, WHEELS};

/// A usable libtorch.
#[derive(Debug)]
pub(crate) struct Libtorch {
    /// The folder that holds `lib/` and `include/`.
    pub(crate) root: PathBuf,
    origin: Origin,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Environment,
    Cache,
}

/// Variables of torch-sys that would send its build elsewhere than to the folder in `LIBTORCH`, or past its version
/// check, which compares the folder's `build-version` to the release that the bindings were made for.
const OTHER_VARIABLES: [&str; 6] = [
    "LIBTORCH_USE_PYTORCH",
    "LIBTORCH_INCLUDE",
    "LIBTORCH_LIB",
    "LIBTORCH_STATIC",
    "LIBTORCH_CXX11_ABI",
    "LIBTORCH_BYPASS_VERSION_CHECK",
];

impl Libtorch {
    /// Lets `command` build against this libtorch.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        command.env("LIBTORCH", &self.root);
        if self.origin == Origin::Cache {
            for variable in OTHER_VARIABLES {
                command.env_remove(variable);
            }
        }
    }

    /// The folder of the shared libraries.
    pub(crate) fn lib(&self) -> PathBuf {
        self.root.join("lib")
    }
}

/// Finds libtorch, or fetches and unpacks it.
///
/// # Errors
/// If `LIBTORCH` points to something else, a wheel cannot be had, the cache cannot be written, or a library lacks
/// another that it is linked to.
pub(crate) fn setup(install: Install) -> Result<Libtorch> {
    if let Some(root) = std::env::var_os("LIBTORCH").filter(|value| !value.is_empty()).map(PathBuf::from) {
        let library = root.join("lib/libtorch_cpu.so");
        if !library.is_file() {
            bail!(
                "LIBTORCH is {}, but there is no {}: unset it, or set it to a libtorch",
                root.display(),
                library.display()
            );
        }
        println!("libtorch from the environment variable LIBTORCH: the cache folder is not used");
        return Ok(Libtorch { root: std::path::absolute(root)?, origin: Origin::Environment });
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "the pinned libtorch is for Linux on x86-64; on {} on {} set LIBTORCH to a libtorch {LIBTORCH_VERSION}",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    }
    let cache = cache_folder()?;
    let root = fill(&cache, install)?;
    check_links(&root.join("lib"))?;
    Ok(Libtorch { root, origin: Origin::Cache })
}

/// `$DERATE_CACHE`, else `~/.cache/derate`; absolute.
fn cache_folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = match (variable("DERATE_CACHE"), variable("HOME")) {
        (Some(cache), _) => cache,
        (None, Some(home)) => home.join(".cache/derate"),
        (None, None) => bail!("neither DERATE_CACHE nor HOME is set: set DERATE_CACHE to a folder with 1.1 GB of room"),
    };
    std::path::absolute(&folder).with_context(|| format!("cannot tell where {} is", folder.display()))
}

/// The unpacked folder in `cache`, made from the wheels unless it is complete already.
fn fill(cache: &Path, install: Install) -> Result<PathBuf> {
    let wheels = cache.join("wheels");
    fs::create_dir_all(&wheels).with_context(|| format!("cannot create {}", wheels.display()))?;
    // Two set-ups at once would write the same files; the second waits for the first and finds its work done.
    let lock_path = cache.join("lock");
    let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", lock_path.display()))?;

    let root = cache.join(format!("libtorch-{LIBTORCH_VERSION}-cpu"));
    if is_complete(&root) {
        return Ok(root);
    }
    let temporary = cache.join(format!(".libtorch-{LIBTORCH_VERSION}-cpu.partial"));
    for leftover in [&temporary, &root] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    let paths = WHEELS.iter().map(|wheel| wheel.ensure(&wheels, install)).collect::<Result<Vec<_>>>()?;
    for (wheel, path) in WHEELS.iter().zip(&paths) {
        unpack::unpack(wheel, path, &temporary)?;
    }
    finish(&temporary).with_context(|| format!("cannot write into {}", temporary.display()))?;
    fs::rename(&temporary, &root)
        .with_context(|| format!("cannot rename {} to {}", temporary.display(), root.display()))?;
    Ok(root)
}

/// Adds what the wheels do not hold in the form that torch-sys looks for.
fn finish(folder: &Path) -> std::io::Result<()> {
    // The wheel's own libtorch.so only ties the CPU and the CUDA libraries together.
    #[cfg(unix)]
    std::os::unix::fs::symlink("libtorch_cpu.so", folder.join("lib/libtorch.so"))?;
    fs::write(folder.join("build-version"), format!("{LIBTORCH_VERSION}\n"))?;
    fs::write(folder.join("wheels.sha256"), stamp())
}

/// Whether the folder was made from exactly the pinned wheels.
fn is_complete(root: &Path) -> bool {
    fs::read_to_string(root.join("wheels.sha256")).is_ok_and(|found| found == stamp())
        && root.join("lib/libtorch.so").is_file()
        && root.join("include").is_dir()
}

/// The pins, in the format of `sha256sum`.
fn stamp() -> String {
    WHEELS.iter().map(|wheel| format!("{}  {}\n", wheel.sha256, wheel.file)).collect()
}

/// Checks that the dynamic linker finds every library that `libtorch_cpu.so` is linked to.
fn check_links(lib: &Path) -> Result<()> {
    let library = lib.join("libtorch_cpu.so");
    let mut ldd = Command::new("ldd");
    ldd.arg(&library).env("LD_LIBRARY_PATH", lib);
    match process::output_of(&mut ldd) {
        Ok(output) => {
            let missing = missing_libraries(&output);
            if !missing.is_empty() {
                bail!("{} needs libraries that this system lacks: {}", library.display(), missing.join(", "));
            }
        }
        // The build would fail to link with a message of its own.
        Err(error) => println!("the libraries' own needs are not checked: {error:#}"),
    }
    Ok(())
}

/// Names in the lines `NAME => not found` of ldd.
fn missing_libraries(ldd_output: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        ldd_output.lines().filter_map(|line| line.trim().strip_suffix("=> not found")).map(str::trim).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_not_found_are_named() {
        let output = "\tlinux-vdso.so.1 (0x00007f)\n\
                      \tlibc10.so => /c/lib/libc10.so (0x00007f)\n\
                      \tlibcudart.so.13 => not found\n\
                      \tlibm.so.6 => /lib/libm.so.6 (0x00007f)\n\
                      \tlibcupti.so.13 => not found\n";
        assert_eq!(missing_libraries(output), ["libcudart.so.13", "libcupti.so.13"]);
        assert!(missing_libraries("\tlibm.so.6 => /lib/libm.so.6 (0x00007f)\n").is_empty());
    }

    #[test]
    fn stamp_has_a_line_for_each_wheel() {
        assert_eq!(stamp().lines().count(), WHEELS.len());
        assert!(stamp().starts_with("7aa2f9bb"));
    }

    #[test]
    fn folder_without_stamp_is_not_complete() {
        assert!(!is_complete(Path::new("/no/such/folder")));
    }
}
