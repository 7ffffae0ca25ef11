//! The verbs: each takes its arguments, does its work, prints its result, and says how it ended.

/// Prints a line on standard output, as `println!` does; a reader that went away is no error (`derate hardware list | head -1`).
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($text)*).ok();
    }};
}

/// As [`say!`], without a line break.
macro_rules! say_part {
    ($($text:tt)*) => {{
        use std::io::Write;
        write!(std::io::stdout(), $($text)*).ok();
    }};
}

mod all_hardware;
mod apply;
mod calibrate;
mod compare;
mod estimate;
mod estimates;
mod explain;
mod graph;
mod hardware;
#[cfg(feature = "torch")]
mod measured;
mod sweep;
mod sweep_operators;
mod tile;
#[cfg(not(feature = "torch"))]
mod torch;
mod verify;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::cli::{Cli, Format, SweepVerb, Verb};
use crate::hardware_file::HardwareFile;
use crate::sweep::Kind;
use crate::sweep::operators::Selection;

/// How a verb ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 0.
    Done,
    /// 1: a check failed.
    CheckFailed,
    /// 2: bad input, or something that the system refused.
    BadInput,
    /// 3: done, with rows skipped.
    Skipped,
    /// 130: interrupted.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::CheckFailed => 1,
            Outcome::BadInput => 2,
            Outcome::Skipped => 3,
            Outcome::Interrupted => 130,
        })
    }
}

/// The program: parses the command line, runs its verb, prints an error where there is one, and ends with its code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", described(&error));
            Outcome::BadInput.into()
        }
    }
}

/// The error and its causes, each said once: many name their cause already.
fn described(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// Runs a verb.
///
/// # Errors
/// Bad input, with the file, key, value and what was allowed.
pub fn run(cli: &Cli) -> Result<Outcome> {
    let format = cli.format;
    match &cli.verb {
        Verb::Hardware(verb) => hardware::run(verb, format),
        Verb::Sweep(SweepVerb::Mlp(args)) => sweep::run(Kind::Mlp, args, format),
        Verb::Sweep(SweepVerb::Conv2d(args)) => sweep::run(Kind::Conv2d, args, format),
        Verb::Sweep(SweepVerb::Operators(args)) => sweep_operators::run(Selection::Operators, args, format),
        Verb::Sweep(SweepVerb::Gemm(args)) => sweep_operators::run(Selection::Gemm, args, format),
        Verb::Sweep(SweepVerb::Elementwise(args)) => sweep_operators::run(Selection::Elementwise, args, format),
        Verb::Graph(verb) => graph::run(verb, format),
        Verb::Calibrate(args) => calibrate::run(args, format),
        Verb::Apply(args) => apply::run(args, format),
        Verb::Verify(args) if args.all_hardware => all_hardware::run(format),
        Verb::Verify(args) => verify::run(args, format),
        Verb::Estimate(args) => estimate::run(args, format),
        Verb::Explain(args) => explain::run(args, format),
        Verb::Compare(args) => compare::run(args, format),
        Verb::Tile(args) => tile::run(args, format),
        Verb::MeasureMemory(args) => sweep::measure_memory(args),
        Verb::MeasureOperator(args) => sweep_operators::measure_one(args),
    }
}

/// The description that verbs use when they are given none: of this CPU, in the user's cache.
fn detected_path() -> Result<PathBuf> {
    // An empty value is what a script leaves of a variable that it does not know.
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = match (variable("DERATE_CACHE"), variable("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache/derate"),
        (None, None) => bail!("neither DERATE_CACHE nor HOME is set: name the description with --hardware FILE"),
    };
    Ok(cache.join("hardware/this-cpu.toml"))
}

/// A description given by its file, or the detected one.
fn hardware_file(given: Option<&Path>) -> Result<(PathBuf, HardwareFile)> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => {
            let path = detected_path()?;
            if !path.exists() {
                bail!(
                    "no hardware description: run `derate hardware detect` first (it writes {}), or name one with --hardware FILE",
                    path.display()
                );
            }
            path
        }
    };
    let file = HardwareFile::read(&path)?;
    Ok((path, file))
}

/// The description as a number of threads sees it.
fn with_threads(file: &HardwareFile, threads: u32) -> Result<HardwareFile> {
    Ok(file.with_threads(NonZeroU32::new(threads).context("--threads must be 1 or more")?))
}

/// Cores of the description: the threads that a runtime uses unless told otherwise.
fn cores(file: &HardwareFile) -> u32 {
    file.compute.iter().map(|unit| unit.count.value).max().unwrap_or(1)
}

/// Clock of the description's first compute unit, in Hz.
fn clock(file: &HardwareFile) -> f64 {
    file.compute.first().map_or(0.0, |unit| unit.clock_hz.value)
}

/// Prints a JSON document on standard output.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Now, as RFC 3339, UTC, whole seconds.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

/// Whether the output is for programs.
const fn json(format: Format) -> bool {
    matches!(format, Format::Json)
}
