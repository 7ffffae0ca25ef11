//! `derate sweep operators`, `gemm`, `elementwise`, and the process that times one op that takes much memory.

#[cfg(not(feature = "torch"))]
use {
    super::{Outcome, torch::hand_over},
    crate::cli::{Format, MeasureOperator, OperatorSweepArgs},
    crate::sweep::operators::Selection,
    anyhow::Result,
};

#[cfg(not(feature = "torch"))]
pub(super) fn run(_selection: Selection, _args: &OperatorSweepArgs, _format: Format) -> Result<Outcome> {
    hand_over()
}

#[cfg(not(feature = "torch"))]
pub(super) fn measure_one(_args: &MeasureOperator) -> Result<Outcome> {
    hand_over()
}

#[cfg(feature = "torch")]
pub(super) use measuring::{measure_one, run};

#[cfg(feature = "torch")]
mod measuring {
    use std::path::PathBuf;

    use anyhow::{Context, Result};
    use serde::Serialize;
    use tch::Device;

    use super::super::sweep::{interrupt_flag, precisions, refuse_cuda, runs};
    use super::super::{Outcome, cores, detected_path, hardware, hardware_file, json, print_json, with_threads};
    use crate::cli::{DeviceArg, Format, MeasureOperator, OperatorSweepArgs};
    use crate::on_device::{Mode, target};
    use crate::sweep::operators::run::{Files, Options, Passed, digest, pass, settings};
    use crate::sweep::operators::summary::{self, Class};
    use crate::sweep::operators::{InOrder, Plan, Selection};
    use crate::sweep::row::Conditions;
    use crate::torch::{self, Job, Setup};

    /// What a sweep prints for programs.
    #[derive(Serialize)]
    struct Summary<'a> {
        /// The CSV.
        output: String,
        /// One for each precision and thread count.
        passes: &'a [Passed],
        /// Of all rows of the file, those of earlier parts too.
        classes: &'a [Class],
        /// Whether it was interrupted.
        interrupted: bool,
    }

    const fn device(arg: DeviceArg) -> (Device, &'static str) {
        match arg {
            DeviceArg::Cpu => (Device::Cpu, "cpu"),
            DeviceArg::Cuda => (Device::Cuda(0), "cuda"),
        }
    }

    pub(in super::super) fn run(selection: Selection, args: &OperatorSweepArgs, format: Format) -> Result<Outcome> {
        // Whatever cannot work is said before any work.
        refuse_cuda(args.device)?;
        if args.hardware.is_none() && !detected_path()?.exists() {
            // What libtorch itself cannot run is refused before some seconds are spent on describing the CPU.
            runs(&args.precision, &torch::precisions(), "this CPU")?;
            eprintln!("this CPU is not described yet: detecting it");
            hardware::detect_into(&detected_path()?)?;
        }
        let (_, whole) = hardware_file(args.hardware.as_deref())?;
        precisions(&args.precision, &whole)?;
        hardware::warn_if_disturbed();

        let runtime = torch::runtime();
        let (device, device_name) = device(args.device);
        let output = args
            .output
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("results/{}_sweep_{device_name}.csv", selection.name())));
        let threads = if args.threads.is_empty() { vec![cores(&whole)] } else { args.threads.clone() };
        let options =
            Options { output: &output, selection, settings: settings(), budget: args.budget, stop: interrupt_flag()? };
        // Rows of one file are estimated with the same numbers and run by the same runtime.
        let mode = args.thermal_profile.as_deref();
        let common = digest(&format!("{device_name} {runtime} {mode:?} {whole:?}"));
        let mut files = Files::open(&options, &common)?;
        let mut passes = Vec::new();
        for &threads in &threads {
            let file = with_threads(&whole, threads)?;
            let parts = file.parts()?;
            let hardware = parts.hardware()?;
            let conditions = Conditions {
                target: target(&hardware, Mode::named(mode))?,
                device: device_name,
                runtime: &runtime,
                threads,
            };
            let caches = hardware.memory().split_last().map_or(&[][..], |(_, caches)| caches);
            let setup = Setup {
                device,
                // The cache as the whole device has it: others' data would lie in the rest.
                last_cache: caches.last().map_or(0, |last| last.capacity.0),
                program: std::env::current_exe().context("cannot tell where this program is")?,
                large: None,
            };
            torch::set_threads(threads);
            for &precision in &args.precision {
                let plan = Plan::new(selection, &args.protocol, &hardware, precision, threads)?;
                let passed = pass(&mut files, &plan, &conditions, setup.clone(), &options, &mut InOrder)?;
                let stop = passed.interrupted;
                passes.push(passed);
                if stop {
                    break;
                }
            }
            if passes.last().is_some_and(|passed| passed.interrupted) {
                break;
            }
        }
        drop(files);

        let interrupted = passes.iter().any(|passed| passed.interrupted);
        let classes = summary::classes(&output)?;
        if json(format) {
            print_json(&Summary {
                output: output.display().to_string(),
                passes: &passes,
                classes: &classes,
                interrupted,
            })?;
        } else {
            for passed in &passes {
                let Passed { precision, threads, rows, disturbed, skipped, resumed, seconds, .. } = passed;
                say!(
                    "{}: {precision}, {threads} threads: {rows} rows written in {seconds:.0} s, {disturbed} marked as disturbed, \
                     {skipped} skipped; {resumed} were there",
                    output.display()
                );
                if *rows == 0 && !interrupted {
                    say!("its budget is spent: a larger --budget goes on, another --output begins anew");
                }
            }
            say!("\n{}", summary::table(&classes).trim_end());
        }
        if interrupted {
            eprintln!("interrupted: the rows so far are kept; the same command resumes");
            return Ok(Outcome::Interrupted);
        }
        Ok(if classes.iter().any(|class| class.skipped > 0) { Outcome::Skipped } else { Outcome::Done })
    }

    pub(in super::super) fn measure_one(args: &MeasureOperator) -> Result<Outcome> {
        torch::set_threads(args.threads);
        let job = Job {
            text: args.graph.clone(),
            precision: args.precision,
            protocol: args.protocol,
            threads: args.threads,
            warmup: args.warmup,
        };
        let setup =
            Setup { device: device(args.device).0, last_cache: args.last_cache, program: PathBuf::new(), large: None };
        torch::serve(&job, &setup)?;
        Ok(Outcome::Done)
    }
}
