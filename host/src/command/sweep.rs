//! `derate sweep`, and the process that measures the memory of one network.

#[cfg(not(feature = "torch"))]
use {
    super::{Outcome, torch::hand_over},
    crate::cli::{Format, MeasureMemory, SweepArgs},
    crate::sweep::Kind,
    anyhow::Result,
};

#[cfg(not(feature = "torch"))]
pub(super) fn run(_kind: Kind, _args: &SweepArgs, _format: Format) -> Result<Outcome> {
    hand_over()
}

#[cfg(not(feature = "torch"))]
pub(super) fn measure_memory(_args: &MeasureMemory) -> Result<Outcome> {
    hand_over()
}

#[cfg(feature = "torch")]
pub(super) use measuring::{interrupt_flag, measure_memory, precisions, refuse_cuda, run, runs};

#[cfg(feature = "torch")]
mod measuring {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    use anyhow::{Result, bail};
    use derate_core::shape::Precision;
    use serde::Serialize;

    use super::super::{Outcome, cores, detected_path, hardware, hardware_file, json, print_json, with_threads};
    use crate::cli::{DeviceArg, Format, MeasureMemory, ScopeArgs, SweepArgs};
    use crate::hardware_file::HardwareFile;
    use crate::measure::verdict::LIMITS;
    use crate::measure::{Comparison, End, Settings};
    use crate::on_device::{Mode, target};
    use crate::sweep::run::{Options, disturbance, run as run_sweep};
    use crate::sweep::{Kind, Net, Plan, Scope, row::Conditions};
    use crate::torch;

    /// What a sweep prints for programs.
    #[derive(Serialize)]
    struct Summary<'a> {
        /// The CSV.
        output: String,
        /// Configurations of the plan.
        configurations: usize,
        /// Rows that were there before.
        resumed: usize,
        /// Rows written now.
        rows: usize,
        /// Of these, skipped.
        skipped: usize,
        /// Of these, disturbed.
        disturbed: usize,
        /// Whether it was interrupted.
        interrupted: bool,
        /// Against the sweep of the same plan that was there before.
        comparison: Option<&'a Comparison>,
    }

    pub(in super::super) fn run(kind: Kind, args: &SweepArgs, format: Format) -> Result<Outcome> {
        // Whatever cannot work is said before any work.
        refuse_cuda(args.device)?;
        let runtime = torch::runtime();
        let scope = scope(&args.scope);
        let wanted = match (&args.precision[..], scope) {
            ([], Scope::Spec(path)) => Plan::precisions_of(kind, path)?.unwrap_or(vec![Precision::Fp32]),
            ([], _) => vec![Precision::Fp32],
            (given, _) => given.to_vec(),
        };
        if args.hardware.is_none() && !detected_path()?.exists() {
            // What libtorch itself cannot run is refused before some seconds are spent on describing the CPU.
            runs(&wanted, &torch::precisions(), "this CPU")?;
            eprintln!("this CPU is not described yet: detecting it");
            hardware::detect_into(&detected_path()?)?;
        }
        let (_, file) = hardware_file(args.hardware.as_deref())?;
        let threads = args.threads.unwrap_or_else(|| cores(&file));
        precisions(&wanted, &file)?;
        torch::set_threads(threads);
        let file = with_threads(&file, threads)?;
        let parts = file.parts()?;
        let device = parts.hardware()?;
        let plan = Plan::new(kind, scope, &device, &wanted, args.batch.as_deref())?;
        hardware::warn_if_disturbed();

        let output = args
            .output
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("results/{}_sweep_{}_cpu.csv", kind.name(), scope.name())));
        let conditions = Conditions {
            target: target(&device, Mode::named(args.thermal_profile.as_deref()))?,
            device: "cpu",
            runtime: &runtime,
            threads,
        };
        let block_time = args.block_time.unwrap_or(if args.scope.quick { 30.0 } else { 15.0 });
        let settings = Settings {
            warmup_runs: args.warmup,
            min_runs: args.runs,
            max_runs: Settings::default().max_runs.max(args.runs),
            time_cap_s: args.time_cap,
            min_block_time_s: block_time,
            ..Settings::default()
        };
        let stop = interrupt_flag()?;
        let finished = run_sweep(&plan, &conditions, &Options { output: &output, settings, stop })?;

        let interrupted = finished.finish.end == End::Interrupted;
        if json(format) {
            print_json(&Summary {
                output: output.display().to_string(),
                configurations: plan.configurations.len(),
                resumed: finished.resumed,
                rows: finished.finish.rows,
                skipped: finished.finish.skipped,
                disturbed: finished.finish.disturbed,
                interrupted,
                comparison: finished.comparison.as_ref().map(|(_, comparison)| comparison),
            })?;
        } else {
            let (rows, disturbed, skipped) = (finished.finish.rows, finished.finish.disturbed, finished.finish.skipped);
            say!("{}: {rows} rows written, {disturbed} marked as disturbed, {skipped} skipped", output.display());
            if let Some((earlier, comparison)) = &finished.comparison {
                say!("\nagainst {}:\n{comparison}", earlier.display());
                for row in comparison.exceeding() {
                    say!(
                        "{}: {}",
                        row.key,
                        evidence(kind, &row.key, [earlier.as_path(), output.as_path()], comparison)
                    );
                }
            }
        }
        if interrupted {
            eprintln!("interrupted: the rows so far are kept; the same command resumes");
            return Ok(Outcome::Interrupted);
        }
        Ok(if finished.skipped_rows > 0 { Outcome::Skipped } else { Outcome::Done })
    }

    /// Refuses a device that networks do not run on.
    pub(in super::super) fn refuse_cuda(device: DeviceArg) -> Result<()> {
        if device == DeviceArg::Cuda {
            if !torch::has_cuda() {
                bail!(
                    "--device cuda: no CUDA device can be used here. It needs an NVIDIA GPU with its driver, and a libtorch \
                     with CUDA (set LIBTORCH to it and build again); this build has {}",
                    torch::runtime()
                );
            }
            bail!("--device cuda: sweeps run on the CPU in this version");
        }
        Ok(())
    }

    /// What the two sweeps recorded that speaks for a disturbance of a row on which they disagree.
    fn evidence(kind: Kind, key: &str, [earlier, later]: [&Path; 2], comparison: &Comparison) -> String {
        let mut said = Vec::new();
        for (which, csv) in [("earlier", earlier), ("now", later)] {
            if let Some(reason) = disturbance(csv, kind, key) {
                said.push(format!("{which} disturbed: {reason}"));
            }
        }
        for (name, drift, limit) in [
            ("compute", comparison.compute_bound_drift, LIMITS.compute_reference_rise),
            ("memory", comparison.memory_bound_drift, LIMITS.memory_reference_rise),
        ] {
            if let Some(drift) = drift.filter(|drift| *drift < -limit) {
                said.push(format!("earlier disturbed: {name} reference {:.0} % slower than now", -100.0 * drift));
            }
        }
        if said.is_empty() { "no disturbance recorded".to_owned() } else { said.join("; ") }
    }

    fn scope(args: &ScopeArgs) -> Scope<'_> {
        match args {
            ScopeArgs { scenario: Some(scenario), .. } => Scope::Scenario(*scenario),
            ScopeArgs { spec: Some(path), .. } => Scope::Spec(path),
            ScopeArgs { full: true, .. } => Scope::Full,
            _ => Scope::Quick,
        }
    }

    /// Refuses a precision in which no op really runs here, or for which the description has no unit.
    pub(in super::super) fn precisions(wanted: &[Precision], file: &HardwareFile) -> Result<()> {
        let described =
            |precision: &Precision| file.compute.iter().any(|unit| unit.macs_per_cycle.contains_key(precision));
        let usable: Vec<Precision> = torch::precisions().into_iter().filter(described).collect();
        runs(wanted, &usable, &file.name)
    }

    pub(in super::super) fn runs(wanted: &[Precision], usable: &[Precision], place: &str) -> Result<()> {
        match wanted.iter().find(|precision| !usable.contains(precision)) {
            None => Ok(()),
            Some(precision) => bail!(
                "--precision {}: no linear layer runs natively in it on {place} with {}; {} do",
                precision.name(),
                torch::runtime(),
                usable.iter().map(|precision| precision.name()).collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// A flag that Ctrl-C and SIGTERM set; the second one ends the process at once.
    pub(in super::super) fn interrupt_flag() -> Result<&'static AtomicBool> {
        static STOP: AtomicBool = AtomicBool::new(false);
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nstopping after the current runs; once more to stop at once");
        })?;
        Ok(&STOP)
    }

    pub(in super::super) fn measure_memory(args: &MeasureMemory) -> Result<Outcome> {
        torch::set_threads(args.threads);
        let cell = |column| {
            let at = args.kind.columns().iter().position(|name| *name == column)?;
            args.cells.get(at).map(String::as_str)
        };
        let net = Net::of_cells(args.kind, cell)
            .map_err(|(column, allowed)| anyhow::anyhow!("--cell: `{column}`: {allowed}"))?;
        say!("{}", torch::measure_memory(&net.graph(args.precision.data_type())?)?);
        Ok(Outcome::Done)
    }
}
