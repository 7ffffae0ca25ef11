//! Runs firmware binaries under QEMU and compares what they print to the `.out` file beside their source.
//!
//! The machine is `mps2-an386`, a Cortex-M4F; `-icount shift=0` makes one instruction one nanosecond of virtual time, so
//! a run prints the same each time. It counts instructions and is no cycle-accurate clock.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bare_metal::{self, Toolchain};
use crate::counts::{Counts, Outcome};
use crate::process::{self, Binary, Install};

const QEMU: &str = "qemu-system-arm";

/// Options before the path of the binary.
const OPTIONS: [&str; 8] = [
    "-M",
    "mps2-an386",
    "-icount",
    "shift=0",
    "-nographic",
    "-semihosting-config",
    "enable=on,target=native",
    "-kernel",
];

/// Wall-clock time after which a run is ended and counts as failed.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What is done with the output of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Compared to the `.out` file.
    Compare,
    /// Written to the `.out` file.
    Write,
}

/// Builds all firmware binaries and runs them.
///
/// # Errors
/// If the toolchain or QEMU cannot be had, or the build fails.
pub(crate) fn firmware_verb(root: &Path, install: Install, expected: Expected) -> Result<ExitCode> {
    let toolchain = Toolchain::find(install)?;
    require_qemu(install)?;
    let mut counts = Counts::default();
    for binary in bare_metal::build_firmware(root, &toolchain)? {
        println!("== {}", binary.name);
        let outcome = check(&binary, expected);
        if let Outcome::Failed(reason) = &outcome {
            println!("failed: {}: {reason}", binary.name);
        }
        counts += outcome.counts();
    }
    println!("{counts}");
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes sure that QEMU is there.
///
/// # Errors
/// If it is not and cannot or may not be installed.
pub(crate) fn require_qemu(install: Install) -> Result<()> {
    if process::is_there(QEMU) {
        return Ok(());
    }
    if install == Install::Forbidden {
        bail!("{QEMU} is not found; on Debian or Ubuntu: apt-get install {QEMU}");
    }
    bare_metal::install_packages(&[QEMU]).with_context(|| format!("{QEMU} is not found"))
}

/// Runs one binary, shows what it prints, and judges exit code and output.
pub(crate) fn check(binary: &Binary, expected: Expected) -> Outcome {
    match judge(binary, expected) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn judge(binary: &Binary, expected: Expected) -> Result<()> {
    let run = run(&binary.executable, TIME_LIMIT)?;
    print!("{}", run.stdout);
    match run.status {
        None => bail!("did not end within {} s{}", TIME_LIMIT.as_secs(), run.errors()),
        Some(status) if !status.success() => {
            bail!("ended with {}{}", process::describe_status(status), run.errors())
        }
        Some(_) => {}
    }
    let path = expected_file(binary);
    match expected {
        Expected::Write => fs::write(&path, &run.stdout).with_context(|| format!("cannot write {}", path.display())),
        Expected::Compare => {
            let text = fs::read_to_string(&path).with_context(|| {
                format!("cannot read {} (`cargo xtask firmware qemu --bless` writes it)", path.display())
            })?;
            first_difference(&text, &run.stdout).map_or(Ok(()), |difference| bail!("{}: {difference}", path.display()))
        }
    }
}

/// `NAME.out` beside `NAME.rs`.
fn expected_file(binary: &Binary) -> PathBuf {
    binary.source.with_extension("out")
}

/// The first line in which the output differs from what was expected.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    // Line ends stay with their lines, so a missing one is a difference too.
    let mut expected = expected.split_inclusive('\n');
    let mut found = found.split_inclusive('\n');
    let mut number = 1;
    loop {
        let (wanted, got) = (expected.next(), found.next());
        if wanted != got {
            return Some(format!("line {number} is {}, expected {}", quoted(got), quoted(wanted)));
        }
        number += 1;
    }
}

fn quoted(line: Option<&str>) -> String {
    line.map_or_else(|| "the end".to_owned(), |line| format!("{line:?}"))
}

/// What came of one run; no status if it had to be ended.
#[derive(Debug)]
struct Run {
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// What was written to standard error, on lines of its own.
    fn errors(&self) -> String {
        let text = self.stderr.trim();
        if text.is_empty() { String::new() } else { format!("\n{text}") }
    }
}

fn run(executable: &Path, limit: Duration) -> Result<Run> {
    let mut command = Command::new(QEMU);
    command.args(OPTIONS).arg(executable);
    run_limited(&mut command, limit)
}

/// Runs `command` and ends it when `limit` has passed.
fn run_limited(command: &mut Command, limit: Duration) -> Result<Run> {
    let what = process::describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{what}`"))?;
    // Both pipes are emptied while the program runs: a full one would stop it.
    let stdout = child.stdout.take().map(read_in_thread);
    let stderr = child.stderr.take().map(read_in_thread);
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for `{what}`"))? {
            break Some(status);
        }
        if started.elapsed() >= limit {
            child.kill().with_context(|| format!("cannot end `{what}`"))?;
            child.wait().with_context(|| format!("cannot wait for `{what}`"))?;
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Run { status, stdout: text(stdout), stderr: text(stderr) })
}

fn read_in_thread(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe ends the output early; the comparison then says where.
        pipe.read_to_end(&mut bytes).ok();
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_names_the_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n").as_deref(), Some(r#"line 2 is "c\n", expected "b\n""#));
        assert_eq!(first_difference("a\nb\n", "a\n").as_deref(), Some(r#"line 2 is the end, expected "b\n""#));
        assert_eq!(first_difference("a\n", "a").as_deref(), Some(r#"line 1 is "a", expected "a\n""#));
    }

    #[test]
    fn expected_output_lies_beside_the_source() {
        let binary =
            Binary { name: "estimate".to_owned(), source: "/f/src/bin/estimate.rs".into(), executable: "/t/e".into() };
        assert_eq!(expected_file(&binary), Path::new("/f/src/bin/estimate.out"));
    }

    #[test]
    fn endless_run_is_ended() {
        let mut endless = Command::new("sh");
        endless.args(["-c", "echo begun; exec sleep 60"]);
        let run = run_limited(&mut endless, Duration::from_millis(200)).expect("sh runs");
        assert!(run.status.is_none());
        assert_eq!(run.stdout, "begun\n");
    }

    #[test]
    fn status_and_both_outputs_come_back() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 4"]);
        let run = run_limited(&mut command, Duration::from_secs(10)).expect("sh runs");
        assert_eq!(run.status.and_then(|status| status.code()), Some(4));
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"));
    }
}
