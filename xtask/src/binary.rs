//! Builds `derate` and, with libtorch, `derate-torch`; says beforehand which tool is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::libtorch::{self, Libtorch};
use crate::process::{self, Install};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Builds `derate`, and beside it `derate-torch`, which it starts for what measures; returns the path of `derate`.
///
/// # Errors
/// If a tool or libtorch cannot be had, or the build fails.
pub(crate) fn build(root: &Path, profile: Profile) -> Result<PathBuf> {
    let libtorch = set_up(Install::Allowed)?;
    let make = |name: &str, features: &[&str]| {
        let mut cargo = process::cargo(root);
        cargo.arg("build");
        if profile == Profile::Release {
            cargo.arg("--release");
        }
        cargo.args(["--package", "derate", "--bin", name]).args(features);
        libtorch.set_environment(&mut cargo);
        let made = process::build_binaries(&mut cargo)?.into_iter().find(|binary| binary.name == name);
        made.map(|binary| binary.executable).with_context(|| format!("the build made no binary named {name}"))
    };
    make("derate-torch", &["--features", "torch"])?;
    make("derate", &[])
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
