//! An op that takes much memory, in a process of its own: if the system ends it, the sweep goes on. Times in nanoseconds.
//!
//! The processes talk in lines. The child says `ready` when it has run the op, or `refused WHY`; for each line with a number of runs it
//! answers `ran` with as many times, or `refused WHY`; it ends when its input does.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use super::Network;
use derate_core::graph::Tables;

use super::operator::{Flush, Job, Setup, time_runs};
use super::timing::{TorchError, first_line};
use crate::import::inline::graph_of;

/// A process that holds one op, ready to run; ended when dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    /// `None` once it was closed.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the process, and waits until the op has run; otherwise why it did not.
    pub(super) fn start(setup: &Setup, job: &Job) -> Result<Self, String> {
        let mut command = Command::new(&setup.program);
        // In a process group of its own: Ctrl-C in a terminal ends the sweep after the current runs, not this one before.
        command.process_group(0).args(["measure-operator", "--graph", &job.text]);
        command.args(["--precision", job.precision.name(), "--protocol", job.protocol.name()]);
        command.args(["--threads", &job.threads.to_string(), "--warmup", &job.warmup.to_string()]);
        command.args(["--last-cache", &setup.last_cache.to_string()]);
        if matches!(setup.device, tch::Device::Cuda(_)) {
            command.args(["--device", "cuda"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().map_err(|error| format!("{}: {error}", setup.program.display()))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("its process has no pipes".to_owned());
        };
        let mut child = Self { process, input: Some(input), output: BufReader::new(output) };
        let answer = child.answer()?;
        if answer == "ready" { Ok(child) } else { Err(refusal(&answer)) }
    }

    /// Times some runs and appends them; otherwise why there are none.
    pub(super) fn run(&mut self, runs: u32, samples_ns: &mut Vec<u64>) -> Result<(), String> {
        // A process that is gone says so in its answer.
        if let Some(input) = &mut self.input {
            writeln!(input, "{runs}").and_then(|()| input.flush()).ok();
        }
        let answer = self.answer()?;
        let times = answer.strip_prefix("ran ").ok_or_else(|| refusal(&answer))?;
        let times: Result<Vec<u64>, _> = times.split(' ').map(str::parse).collect();
        samples_ns.extend(times.map_err(|_| format!("its process answered {answer:?}"))?);
        Ok(())
    }

    /// The next line; how the process ended where there is none.
    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        if self.output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            return Ok(line.trim_end().to_owned());
        }
        let status = self.process.wait().map_err(|error| error.to_string())?;
        Err(match status.signal() {
            Some(9) => "its process was killed (signal 9): out of memory, most likely".to_owned(),
            Some(signal) => format!("its process was ended by signal {signal}"),
            None => format!("its process ended with {status}"),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Without input it ends by itself; it may be within a run, which nobody waits for.
        self.input = None;
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn refusal(answer: &str) -> String {
    answer.strip_prefix("refused ").unwrap_or(answer).to_owned()
}

/// The other side: runs the op, and answers on standard output until standard input ends.
///
/// # Errors
/// Where standard output is gone.
pub fn serve(job: &Job, setup: &Setup) -> std::io::Result<()> {
    // The system shall choose this process before any other; where it does not let us say so, it chooses by size.
    std::fs::write("/proc/self/oom_score_adj", "1000").ok();
    let mut output = std::io::stdout();
    let prepared = || -> Result<(Network, Flush), String> {
        let graph = graph_of(&job.text, job.precision.data_type()).map_err(|error| error.to_string())?;
        let said = |error: TorchError| first_line(&error.to_string());
        let network = Network::on(graph.view(), setup.device).map_err(said)?;
        for _ in 0..job.warmup.max(1) {
            drop(network.run().map_err(said)?);
        }
        Ok((network, Flush::new(setup.last_cache, setup.device).map_err(said)?))
    };
    let (network, mut flush) = match prepared() {
        Ok(prepared) => prepared,
        Err(reason) => return writeln!(output, "refused {reason}"),
    };
    writeln!(output, "ready")?;
    output.flush()?;
    for line in std::io::stdin().lines() {
        let runs = line?.trim().parse().unwrap_or(1);
        let mut samples = Vec::new();
        match time_runs(&network, job.protocol, &mut flush, runs, &mut samples) {
            Ok(()) => {
                let times: Vec<String> = samples.iter().map(u64::to_string).collect();
                writeln!(output, "ran {}", times.join(" "))?;
            }
            Err(error) => writeln!(output, "refused {}", first_line(&error.to_string()))?,
        }
        output.flush()?;
    }
    Ok(())
}
