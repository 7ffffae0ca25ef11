//! Builds the `derate` binary with libtorch, and says beforehand which tool is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::libtorch::{self, Libtorch};
use crate::process::{self, Install};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Builds `derate` with the feature `torch` and returns the path of the binary.
///
/// # Errors
/// If a tool or libtorch cannot be had, or the build fails.
pub(crate) fn build(root: &Path, profile: Profile) -> Result<PathBuf> {
    let libtorch = set_up(Install::Allowed)?;
    let mut cargo = process::cargo(root);
    cargo.arg("build");
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo.args(["--package", "derate", "--features", "torch"]);
    libtorch.set_environment(&mut cargo);
    let binaries = process::build_binaries(&mut cargo)?;
    let derate = binaries.into_iter().find(|binary| binary.name == "derate");
    derate.map(|binary| binary.executable).context("the build made no binary named derate")
}

/// libtorch and the tools to compile its bindings.
///
/// # Errors
/// If one of them cannot be had.
pub(crate) fn set_up(install: Install) -> Result<Libtorch> {
    // First, since it is quick: libtorch is 530 MB to fetch.
    require_compiler()?;
    libtorch::setup(install)
}

fn require_compiler() -> Result<()> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    // CXX may hold arguments after the program's name.
    let program = compiler.to_string_lossy().split_whitespace().next().unwrap_or("c++").to_owned();
    if !process::is_there(&program) {
        bail!("no C++ compiler: `{program}` is not found; on Debian or Ubuntu: apt-get install g++");
    }
    Ok(())
}
