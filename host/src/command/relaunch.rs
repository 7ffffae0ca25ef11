//! Starts this program again where libraries read the environment before `main`: how OpenMP binds threads to cores.
//!
//! Source: OpenMP 5.2, sections 21.1.2 and 21.2.2 (`OMP_PLACES`, `OMP_PROC_BIND`). libgomp reads them in a constructor, so that
//! setting them in a running program has no effect.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

/// Set in the program that was started again: it does not start itself once more.
const DONE: &str = "DERATE_RELAUNCHED";

/// What the environment must hold.
pub(super) fn pinning() -> Vec<(&'static str, OsString)> {
    if std::env::var_os("OMP_PROC_BIND").is_some() {
        // The user's own choice.
        return Vec::new();
    }
    vec![("OMP_PROC_BIND", "true".into()), ("OMP_PLACES", "cores".into())]
}

/// How threads are bound, in words; empty where they are not.
pub(super) fn pinned() -> String {
    let said =
        |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| format!("{name}={value}"));
    match std::env::var("OMP_PROC_BIND").ok().filter(|bind| bind != "false") {
        Some(_) => ["OMP_PROC_BIND", "OMP_PLACES"].into_iter().filter_map(said).collect::<Vec<_>>().join(" "),
        None => String::new(),
    }
}

/// Starts the same command line with these variables, unless it runs with them already.
///
/// # Errors
/// If the program cannot be started again.
pub(super) fn with_environment(variables: Vec<(&'static str, OsString)>) -> Result<()> {
    let is_set = |(name, value): &(&str, OsString)| std::env::var_os(name).as_ref() == Some(value);
    if variables.iter().all(is_set) || std::env::var_os(DONE).is_some() {
        return Ok(());
    }
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(&own);
    command.args(std::env::args_os().skip(1)).envs(variables).env(DONE, "1");
    Err(command.exec()).with_context(|| own.display().to_string())
}
