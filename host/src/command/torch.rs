//! What measures needs libtorch, which takes a third of a second to load: `derate` does without it, and for these verbs gives way to
//! `derate-torch` in the same folder, a build of the same program with libtorch.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Outcome;

/// The program's name, without the suffix that some systems give to programs.
const NAME: &str = "derate-torch";

/// Runs the same command line with libtorch, and ends as it ends.
///
/// # Errors
/// If the program is not there, or does not start.
pub(super) fn hand_over() -> Result<Outcome> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let program = own.with_file_name(format!("{NAME}{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        bail!(
            "this derate was built without libtorch and cannot measure, and there is no {}; `cargo xtask build` makes both",
            program.display()
        );
    }
    let mut command = Command::new(&program);
    command.args(std::env::args_os().skip(1));
    become_it(&mut command, &program)
}

/// Replaces this process: signals reach the one that measures.
#[cfg(unix)]
fn become_it(command: &mut Command, program: &Path) -> Result<Outcome> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| program.display().to_string())
}

/// Waits for it.
#[cfg(not(unix))]
fn become_it(command: &mut Command, program: &Path) -> Result<Outcome> {
    let status = command.status().with_context(|| program.display().to_string())?;
    std::process::exit(status.code().unwrap_or(2))
}
