//! Running the fuzz targets, several at a time, and the table of what came out.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{ASAN_OPTIONS, LIMITS, Plan, Target};

/// What came out of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    /// Edges of the program that inputs reached.
    coverage: u64,
    /// Inputs that broke it, and broke it again when they were tried alone.
    findings: Vec<PathBuf>,
    /// What ended a run, but was not seen again: slow once, on a busy machine.
    not_repeated: Vec<String>,
}

/// Runs the targets and prints a table; fails where one has a finding.
///
/// # Errors
/// If a target cannot be started or a folder cannot be written.
pub(super) fn all(root: &Path, folder: &Path, targets: &[Target], plan: &Plan) -> Result<ExitCode> {
    let jobs = plan.jobs.clamp(1, targets.len().max(1));
    println!("{} targets, {} s each, {jobs} at a time", targets.len(), plan.seconds);
    let queue: Mutex<VecDeque<(usize, &Target)>> = Mutex::new(targets.iter().enumerate().collect());
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
                    let Some((place, target)) = next else { break };
                    let started = Instant::now();
                    let outcome = one(root, folder, target, plan.seconds);
                    let seconds = started.elapsed().as_secs_f64();
                    let findings = outcome.as_ref().map_or(0, |outcome| outcome.findings.len());
                    println!("{}: {seconds:.0} s, {findings} findings", target.name);
                    let mut outcomes = outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    outcomes.push((place, seconds, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|(place, ..)| *place);

    println!("\n{:12} {:>12} {:>12} {:>9}  findings", "target", "executions", "a second", "coverage");
    let mut found = false;
    for (target, (_, seconds, outcome)) in targets.iter().zip(outcomes) {
        let outcome = outcome?;
        let rate = outcome.executions as f64 / seconds.max(1.0);
        let (name, findings) = (&target.name, outcome.findings.len());
        println!("{name:12} {:>12} {rate:>12.0} {:>9}  {findings}", outcome.executions, outcome.coverage);
        for finding in &outcome.findings {
            println!("  {}", finding.display());
            println!("  again: {} {}", target.binary.display(), finding.display());
        }
        for line in &outcome.not_repeated {
            println!("  not seen again: {line}");
        }
        found |= !outcome.findings.is_empty();
    }
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs one target until its time is over or something is found.
fn one(root: &Path, folder: &Path, target: &Target, seconds: u32) -> Result<Outcome> {
    let new = folder.join("found").join(&target.name);
    let artifacts = root.join("fuzz/artifacts").join(&target.name);
    let logs = folder.join("logs");
    for made in [&new, &artifacts, &logs] {
        fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    let log = logs.join(format!("{}.log", target.name));
    let started = Instant::now();
    let whole = Duration::from_secs(u64::from(seconds));
    let mut outcome = Outcome::default();
    while let Some(left) = whole.checked_sub(started.elapsed()).map(|left| left.as_secs()).filter(|&left| left > 0) {
        let mut command = command(target);
        command.args(["-print_final_stats=1", &format!("-max_total_time={left}")]);
        command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&new).arg(&target.corpus);
        let status = into_log(&mut command, &log)?;
        let bytes = fs::read(&log).with_context(|| log.display().to_string())?;
        let broke = outcome.add(&String::from_utf8_lossy(&bytes));
        match broke {
            None if status => break,
            None => {
                // It ended without an input that did it.
                outcome.findings.push(log.clone());
                break;
            }
            Some(path) if into_log(command_on(target, &path).arg("-runs=2"), &logs.join("again.log"))? => {
                outcome.not_repeated.push(path.display().to_string());
            }
            Some(path) => {
                outcome.findings.push(path);
                break;
            }
        }
    }
    Ok(outcome)
}

fn command(target: &Target) -> Command {
    let mut command = Command::new(&target.binary);
    command.args(LIMITS).env("ASAN_OPTIONS", ASAN_OPTIONS);
    command
}

fn command_on(target: &Target, input: &Path) -> Command {
    let mut command = command(target);
    command.arg(input);
    command
}

/// Runs a command with its output in a file; whether it succeeded.
fn into_log(command: &mut Command, log: &Path) -> Result<bool> {
    let file = fs::File::create(log).with_context(|| log.display().to_string())?;
    let other = file.try_clone().with_context(|| log.display().to_string())?;
    let status = command.stdin(Stdio::null()).stdout(file).stderr(other).status();
    Ok(status.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?.success())
}

impl Outcome {
    /// Adds what a run printed; the input that ended it, if one did.
    fn add(&mut self, log: &str) -> Option<PathBuf> {
        let mut input = None;
        for line in log.lines() {
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                self.executions += count.trim().parse::<u64>().unwrap_or(0);
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                // A slow one is written too, and does not end the run.
                input = Some(PathBuf::from(path.trim())).filter(|path| !path.to_string_lossy().contains("/slow-unit-"));
            }
            let mut words = line.split_whitespace().skip_while(|word| *word != "cov:");
            if let Some(coverage) = words.nth(1).and_then(|word| word.parse().ok()) {
                self.coverage = self.coverage.max(coverage);
            }
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_findings_are_read_from_the_log() {
        let log = "#8192\tpulse  cov: 1234 ft: 99 corp: 3/40b lim: 65536 exec/s: 4096 rss: 40Mb\n\
                   #9000\tDONE   cov: 1240 ft: 99\n\
                   artifact_prefix='a/'; Test unit written to a/onnx/crash-0f\n\
                   stat::number_of_executed_units: 9000\n";
        let mut outcome = Outcome::default();
        assert_eq!(outcome.add(log), Some(PathBuf::from("a/onnx/crash-0f")));
        assert_eq!((outcome.executions, outcome.coverage), (9000, 1240));
        assert_eq!(outcome.add("Test unit written to a/onnx/slow-unit-0f\nstat::number_of_executed_units: 1\n"), None);
        assert_eq!(outcome.executions, 9001);
    }
}
