//! `cargo xtask test`: every check of the workspace, as a list of named rungs, each counted.
//!
//! A rung that lacks its tool prints `skipped: NAME: REASON` and is counted as skipped; one that fails does not stop the
//! others. All rungs share one target folder and, where they can, features and profile, so that little is built twice.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::bare_metal::{self, Toolchain};
use crate::binary;
use crate::counts::{Counts, Outcome, TestOutput};
use crate::libtorch::Libtorch;
use crate::process::{self, Install};
use crate::qemu;

/// Whether the checks that need libtorch are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Torch {
    Wanted,
    LeftOut,
}

/// The features that need libtorch.
const TORCH_FEATURES: [&str; 2] = ["--features", "derate/torch,derate-tests/torch"];

/// The firmware's workspace.
const FIRMWARE: &str = "firmware";

/// The workspace of the fuzz targets.
const FUZZ: &str = "fuzz";

/// The workspace of a program that links only if nothing in core can panic.
const NO_PANIC: &str = "tests/no-panic";

/// The function that the program's panic handler calls, and that is defined nowhere.
const PANIC_SYMBOL: &str = "derate_core_can_panic";

/// Runs all rungs; the last line printed is `N passed, N failed, N skipped`.
pub(crate) fn run(root: &Path, install: Install, torch: Torch) -> ExitCode {
    let libtorch = match torch {
        Torch::Wanted => binary::set_up(install).map_err(|error| reason(&error)),
        Torch::LeftOut => Err("--no-torch was given".to_owned()),
    };
    let mut ladder = Ladder::default();
    format_rungs(&mut ladder, root);
    lint_rungs(&mut ladder, root, &libtorch);
    test_rungs(&mut ladder, root, &libtorch);
    no_panic_rungs(&mut ladder, root);
    bare_metal_rungs(&mut ladder, root, install);
    ladder.finish()
}

fn format_rungs(ladder: &mut Ladder, root: &Path) {
    let format = |folder: &Path, packages: &[&str]| {
        component_rung("rustfmt", "fmt", process::cargo(folder).args(["fmt", "--check"]).args(packages))
    };
    ladder.rung("fmt", || format(root, &["--all"]));
    // These are workspaces of their own. `--all` would check the crates of the root's, which they use, once more.
    for workspace in [FIRMWARE, NO_PANIC, FUZZ] {
        ladder.rung(&format!("fmt {workspace}"), || workspace_rung(root, workspace, |folder| format(folder, &[])));
    }
}

fn lint_rungs(ladder: &mut Ladder, root: &Path, libtorch: &Result<Libtorch, String>) {
    let clippy = |features: &[&str]| {
        let mut cargo = process::cargo(root);
        cargo.args(["clippy", "--workspace", "--all-targets"]).args(features).args(["--", "-D", "warnings"]);
        cargo
    };
    ladder.rung("clippy", || component_rung("clippy", "clippy", &mut clippy(&[])));
    ladder.rung("clippy with torch", || match libtorch {
        Ok(libtorch) => {
            let mut cargo = clippy(&TORCH_FEATURES);
            libtorch.set_environment(&mut cargo);
            component_rung("clippy", "clippy", &mut cargo)
        }
        Err(reason) => Outcome::Skipped(reason.clone()),
    });
    for (workspace, targets) in [(FIRMWARE, "--lib"), (NO_PANIC, "--bins")] {
        ladder.rung(&format!("clippy {workspace}"), || {
            workspace_rung(root, workspace, |folder| {
                // In the root folder: the firmware's own settings would choose a target that clippy may lack.
                let mut cargo = process::cargo(root);
                cargo.args(["clippy", "--manifest-path"]).arg(folder.join("Cargo.toml"));
                cargo.args([targets, "--", "-D", "warnings"]);
                component_rung("clippy", "clippy", &mut cargo)
            })
        });
    }
    ladder.rung("rustdoc", || {
        let mut cargo = process::cargo(root);
        cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        if let Ok(libtorch) = libtorch {
            cargo.args(TORCH_FEATURES);
            libtorch.set_environment(&mut cargo);
        }
        command_rung(&mut cargo)
    });
}

fn test_rungs(ladder: &mut Ladder, root: &Path, libtorch: &Result<Libtorch, String>) {
    let tests = |features: &[&str]| {
        let mut cargo = process::cargo(root);
        cargo.args(["test", "--workspace", "--no-fail-fast"]).args(features).args(["--", "--show-output"]);
        cargo
    };
    match libtorch {
        Ok(libtorch) => ladder.rung("tests", || {
            let mut cargo = tests(&TORCH_FEATURES);
            libtorch.set_environment(&mut cargo);
            // Binaries of `derate` find libtorch by themselves; test binaries of other packages do not.
            cargo.env("LD_LIBRARY_PATH", library_path(&libtorch.lib(), std::env::var_os("LD_LIBRARY_PATH")));
            test_rung(&mut cargo)
        }),
        Err(reason) => {
            ladder.rung("tests", || test_rung(&mut tests(&[])));
            ladder.rung("torch tests", || Outcome::Skipped(reason.clone()));
        }
    }
}

fn no_panic_rungs(ladder: &mut Ladder, root: &Path) {
    let build = |folder: &Path| {
        let mut cargo = process::cargo(folder);
        cargo.args(["build", "--release"]);
        cargo
    };
    ladder.rung("no-panic link", || workspace_rung(root, NO_PANIC, |folder| command_rung(&mut build(folder))));
    ladder.rung("no-panic link: negative control", || {
        workspace_rung(root, NO_PANIC, |folder| negative_control(build(folder).args(["--features", "control"])))
    });
}

/// With a panic put in on purpose, the program must not link, and for that reason.
fn negative_control(cargo: &mut Command) -> Outcome {
    match process::output_of(cargo) {
        Ok(_) => Outcome::Failed("a program that can panic links: the rung above proves nothing".to_owned()),
        Err(error) if format!("{error:#}").contains(PANIC_SYMBOL) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("fails for another reason than {PANIC_SYMBOL}: {error:#}")),
    }
}

fn bare_metal_rungs(ladder: &mut Ladder, root: &Path, install: Install) {
    let core = format!("core for {}", bare_metal::TARGET);
    let firmware = "firmware in QEMU";
    let toolchain = match Toolchain::find(install) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            let reason = reason(&error);
            for name in [&core, firmware] {
                ladder.rung(name, || Outcome::Skipped(reason.clone()));
            }
            return;
        }
    };
    ladder.rung(&core, || outcome(bare_metal::build_core(root, &toolchain, &[bare_metal::TARGET])));
    match toolchain.other_targets() {
        Ok(targets) if targets.is_empty() => {
            let names = bare_metal::OTHER_TARGETS.join(", ");
            ladder.rung("core for other processors", || Outcome::Skipped(format!("none of {names} is installed")));
        }
        Ok(targets) => ladder.rung(&format!("core for {}", targets.join(", ")), || {
            outcome(bare_metal::build_core(root, &toolchain, &targets))
        }),
        Err(error) => ladder.rung("core for other processors", || Outcome::Failed(reason(&error))),
    }

    let mut binaries = Vec::new();
    ladder
        .rung("firmware build", || outcome(bare_metal::build_firmware(root, &toolchain).map(|built| binaries = built)));
    if let Err(error) = qemu::require_qemu(install) {
        ladder.rung(firmware, || Outcome::Skipped(reason(&error)));
        return;
    }
    for binary in &binaries {
        ladder.rung(&format!("{firmware}: {}", binary.name), || qemu::check(binary, qemu::Expected::Compare));
    }
}

/// Runs a check in a workspace of its own, which has to be there.
fn workspace_rung(root: &Path, workspace: &str, check: impl FnOnce(&Path) -> Outcome) -> Outcome {
    if root.join(workspace).join("Cargo.toml").is_file() {
        check(&root.join(workspace))
    } else {
        Outcome::Failed(format!("{workspace}/Cargo.toml is missing"))
    }
}

/// Runs a subcommand of cargo that is a component of the toolchain, and may not be installed.
fn component_rung(component: &str, subcommand: &str, cargo: &mut Command) -> Outcome {
    match process::output_of(process::cargo(Path::new(".")).args([subcommand, "--version"])) {
        Ok(_) => command_rung(cargo),
        Err(_) => Outcome::Skipped(format!("{component} is not installed (`rustup component add {component}`)")),
    }
}

fn command_rung(command: &mut Command) -> Outcome {
    match process::run(command) {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => {
            Outcome::Failed(format!("`{}` ended with {}", process::describe(command), process::describe_status(status)))
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn test_rung(cargo: &mut Command) -> Outcome {
    let mut output = TestOutput::default();
    let status = process::run_lines(cargo, |line| {
        println!("{line}");
        output.line(line);
    });
    let mut counts = output.counts();
    match status {
        Ok(status) if status.success() => {}
        // The failed tests are counted already.
        Ok(_) if counts.failed > 0 => {}
        // A test did not compile, or a test binary ended before its result line.
        Ok(status) => {
            println!("failed: `{}` ended with {}", process::describe(cargo), process::describe_status(status));
            counts.failed += 1;
        }
        Err(error) => {
            println!("failed: {error:#}");
            counts.failed += 1;
        }
    }
    Outcome::Counted(counts)
}

fn outcome(result: Result<()>) -> Outcome {
    result.map_or_else(|error| Outcome::Failed(format!("{error:#}")), |()| Outcome::Passed)
}

/// `first` before the folders already in the variable.
fn library_path(first: &Path, others: Option<OsString>) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        path.push(":");
        path.push(others);
    }
    path
}

/// What is missing, in one line; an error with more to say is printed here in full.
fn reason(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() {
        println!("{text}\n");
    }
    first
}

/// The rungs run so far.
#[derive(Debug, Default)]
struct Ladder {
    counts: Counts,
    summary: Vec<String>,
}

impl Ladder {
    fn rung(&mut self, name: &str, check: impl FnOnce() -> Outcome) {
        println!("== {name}");
        let started = Instant::now();
        let outcome = check();
        let seconds = started.elapsed().as_secs_f64();
        let line = match &outcome {
            Outcome::Passed => format!("passed: {name}"),
            Outcome::Failed(reason) => format!("failed: {name}: {reason}"),
            Outcome::Skipped(reason) => format!("skipped: {name}: {reason}"),
            Outcome::Counted(counts) => format!("{name}: {counts}"),
        };
        println!("{line} ({seconds:.1} s)\n");
        self.counts += outcome.counts();
        self.summary.push(format!("{seconds:7.1} s  {line}"));
    }

    fn finish(self) -> ExitCode {
        println!("== summary");
        for line in &self.summary {
            println!("{line}");
        }
        println!("{}", self.counts);
        if self.counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn test_runner_without_failed_tests_fails_by_its_exit_code() {
        let passed = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'";
        let counted = |passed, failed| Outcome::Counted(Counts { passed, failed, skipped: 0 });
        assert_eq!(test_rung(&mut shell(passed)), counted(2, 0));
        assert_eq!(test_rung(&mut shell(&format!("{passed}; exit 101"))), counted(2, 1));
        assert_eq!(test_rung(&mut Command::new("/no/such/program")), counted(0, 1));
    }

    #[test]
    fn negative_control_must_fail_for_the_right_reason() {
        assert_eq!(negative_control(&mut shell("echo undefined: derate_core_can_panic >&2; exit 1")), Outcome::Passed);
        assert!(matches!(negative_control(&mut shell("echo no disk >&2; exit 1")), Outcome::Failed(_)));
        assert!(matches!(negative_control(&mut shell("exit 0")), Outcome::Failed(_)));
    }

    #[test]
    fn reason_is_the_first_line() {
        let error = anyhow::anyhow!("no wheel\nBy hand: ...").context("libtorch");
        assert_eq!(reason(&error), "libtorch: no wheel");
    }

    #[test]
    fn libtorch_comes_first_in_the_library_path() {
        let lib = Path::new("/c/lib");
        assert_eq!(library_path(lib, None), "/c/lib");
        assert_eq!(library_path(lib, Some(OsString::new())), "/c/lib");
        assert_eq!(library_path(lib, Some("/x:/y".into())), "/c/lib:/x:/y");
    }
}
