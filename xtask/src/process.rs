//! Child processes: how they are started, watched and described in messages.
//!
//! Output goes straight through to the terminal unless a caller has to read it; then it is read line by
//! line and still shown as it comes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Whether a verb may download files or install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    Allowed,
    Forbidden,
}

impl Install {
    pub(crate) fn unless(forbidden: bool) -> Self {
        if forbidden { Self::Forbidden } else { Self::Allowed }
    }
}

/// A command for the cargo that runs this program, in `folder`.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    command
}

/// Runs `command` with its output shown, and returns how it ended.
///
/// # Errors
/// If the program cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", describe(command)))
}

/// Runs `command` and hands each line of its standard output, without the line end, to `line`.
///
/// # Errors
/// If the program cannot be started or its output cannot be read.
pub(crate) fn run_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<ExitStatus> {
    let what = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{what}`"))?;
    let Some(stdout) = child.stdout.take() else { bail!("`{what}` has no standard output") };
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).with_context(|| format!("cannot read the output of `{what}`"))? > 0 {
        line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
        bytes.clear();
    }
    child.wait().with_context(|| format!("cannot wait for `{what}`"))
}

/// Standard output of `command`, trimmed; its standard error is not shown.
///
/// # Errors
/// If the program cannot be started or fails.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let what = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{what}`"))?;
    if !output.status.success() {
        bail!(
            "`{what}` ended with {}: {}",
            describe_status(output.status),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the program answers to `--version`.
pub(crate) fn is_there(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A binary that cargo built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    pub(crate) name: String,
    /// The source file of its `main`.
    pub(crate) source: PathBuf,
    pub(crate) executable: PathBuf,
}

/// Runs a `cargo build` and returns the binaries that it made.
///
/// # Errors
/// If the build fails.
pub(crate) fn build_binaries(command: &mut Command) -> Result<Vec<Binary>> {
    let what = describe(command);
    command.arg("--message-format=json-render-diagnostics");
    let mut binaries = Vec::new();
    let status = run_lines(command, |line| binaries.extend(binary_in_message(line)))?;
    if !status.success() {
        bail!("`{what}` ended with {}", describe_status(status));
    }
    Ok(binaries)
}

/// The binary that this line of cargo's JSON output announces, if it does.
fn binary_in_message(line: &str) -> Option<Binary> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    let is_binary = target["kind"].as_array()?.iter().any(|kind| kind == "bin");
    if message["reason"] != "compiler-artifact" || !is_binary {
        return None;
    }
    Some(Binary {
        name: target["name"].as_str()?.to_owned(),
        source: target["src_path"].as_str()?.into(),
        executable: message["executable"].as_str()?.into(),
    })
}

/// The command as it would be typed, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let program = command.get_program();
    // The path in the variable is that of the toolchain's cargo, which is started as plain `cargo`.
    let is_own_cargo = std::env::var_os("CARGO").is_some_and(|cargo| cargo == program);
    let mut words = vec![if is_own_cargo { "cargo".to_owned() } else { program.to_string_lossy().into_owned() }];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// `exit code 2`, or the signal that ended the process.
pub(crate) fn describe_status(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_status_come_through() {
        let mut lines = Vec::new();
        let status = run_lines(Command::new("sh").args(["-c", "echo one; printf two; exit 3"]), |line| {
            lines.push(line.to_owned())
        })
        .expect("sh runs");
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(describe_status(status), "exit code 3");
    }

    #[test]
    fn missing_program_is_named() {
        let error = run(&mut Command::new("/no/such/program")).expect_err("there is none");
        assert!(format!("{error:#}").contains("cannot start `/no/such/program`"), "{error:#}");
        assert!(!is_there("/no/such/program"));
    }

    #[test]
    fn only_binaries_are_taken_from_cargos_messages() {
        let binary = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"derate","src_path":"/s/main.rs"},"executable":"/t/derate"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"derate","src_path":"/s/lib.rs"},"executable":null}"#;
        let end = r#"{"reason":"build-finished","success":true}"#;
        let expected =
            Binary { name: "derate".to_owned(), source: "/s/main.rs".into(), executable: "/t/derate".into() };
        assert_eq!(binary_in_message(binary), Some(expected));
        assert_eq!(binary_in_message(library), None);
        assert_eq!(binary_in_message(end), None);
        assert_eq!(binary_in_message("not json"), None);
    }
}
