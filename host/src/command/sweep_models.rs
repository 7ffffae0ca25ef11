//! `derate sweep models`, and the process that measures the memory of one network.

#[cfg(not(feature = "torch"))]
use {
    super::{Outcome, torch::hand_over},
    crate::cli::{Format, MeasureGraphMemory, SweepModels},
    anyhow::Result,
};

#[cfg(not(feature = "torch"))]
pub(super) fn run(_args: &SweepModels, _format: Format) -> Result<Outcome> {
    hand_over()
}

#[cfg(not(feature = "torch"))]
pub(super) fn measure_memory(_args: &MeasureGraphMemory) -> Result<Outcome> {
    hand_over()
}

#[cfg(feature = "torch")]
pub(super) use measuring::{measure_memory, run};

#[cfg(feature = "torch")]
mod measuring {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use anyhow::{Context, Result, bail};
    use derate_core::shape::{DataType, Precision};
    use serde::Serialize;

    use super::super::sweep::{interrupt_flag, load_cuda, precisions};
    use super::super::{
        Outcome, cores, detected_path, hardware, hardware_file, json, print_json, relaunch, with_threads,
    };
    use crate::cli::{DeviceArg, Format, MeasureGraphMemory, Source, SweepModels};
    use crate::hardware_file::HardwareFile;
    use crate::measure::End;
    use crate::measure::rounds::RoundSettings;
    use crate::on_device::{Mode, target};
    use crate::process_memory;
    use crate::retype::retyped;
    use crate::sweep::models::run::{Options, per_op_beside, run as run_sweep};
    use crate::sweep::models::{Model, ModelPlan, Protocol};
    use crate::sweep::row::Conditions;
    use crate::torch::Place;
    use crate::{torch, zoo};

    /// Share of the available memory that networks prepared at once may take.
    const MEMORY_SHARE: f64 = 0.6;

    /// What a sweep prints for programs.
    #[derive(Serialize)]
    struct Summary {
        /// The CSV.
        output: String,
        /// The CSV of ops, if there is one.
        per_op: Option<String>,
        /// Rows of the plan.
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
    }

    pub(in super::super) fn run(args: &SweepModels, format: Format) -> Result<Outcome> {
        let place = args.device.place();
        // Threads of CUDA's own libraries would be bound to the core of the one that calls them: none is bound there.
        let pin = place == Place::Cpu && !args.no_pin;
        let environment = match place {
            Place::Cpu if pin => relaunch::pinning(),
            Place::Cpu => Vec::new(),
            Place::Cuda => torch::cuda::environment(),
        };
        relaunch::with_environment(environment)?;
        if place == Place::Cuda {
            load_cuda(args.hardware.is_some())?;
        }
        let file = describe(args)?;
        precisions(&args.precision, &file, place)?;
        let threads = threads(args, &file);
        let mut protocols = match place {
            Place::Cpu => vec![Protocol::WholeRun],
            Place::Cuda => vec![Protocol::EndToEnd, Protocol::Device],
        };
        if args.per_op {
            protocols.push(Protocol::PerOp);
        }
        let plan = ModelPlan::new(models(args)?, &args.precision, &threads, &protocols);
        if plan.runs.is_empty() {
            bail!("no network is left to measure: --max-gmac {} leaves out all", args.max_gmac);
        }
        hardware::warn_if_disturbed();

        let files = threads.iter().map(|&count| with_threads(&file, count)).collect::<Result<Vec<_>>>()?;
        let parts = files.iter().map(HardwareFile::parts).collect::<Result<Vec<_>, _>>()?;
        let devices = parts.iter().map(|parts| parts.hardware()).collect::<Result<Vec<_>, _>>()?;
        let runtime = place.runtime();
        let mode = Mode::named(args.thermal_profile.as_deref());
        let mut conditions = Vec::new();
        for (&threads, device) in threads.iter().zip(&devices) {
            conditions.push(Conditions {
                target: target(device, mode)?,
                device: place.name(),
                runtime: &runtime,
                threads,
            });
        }
        let output =
            args.output.clone().unwrap_or_else(|| PathBuf::from(format!("results/models_sweep_{}.csv", place.name())));
        let pinned = if pin { relaunch::pinned() } else { String::new() };
        let most_threads = threads.iter().copied().max().unwrap_or(1);
        let memory = if args.no_memory || place == Place::Cuda {
            Vec::new()
        } else {
            memory_arguments(args, &plan, most_threads)
        };
        let options = Options {
            output: &output,
            settings: settings(args),
            stop: interrupt_flag()?,
            pinned: &pinned,
            memory: &memory,
        };
        let budget = (process_memory::available() as f64 * MEMORY_SHARE) as u64;
        let mut executor = torch::ModelExecutor::new(&plan, place, budget)?;
        let finished = run_sweep(&plan, &mut executor, &conditions, &options)?;

        let finish = finished.finish;
        let interrupted = finish.end == End::Interrupted;
        if json(format) {
            print_json(&Summary {
                output: output.display().to_string(),
                per_op: args.per_op.then(|| per_op_beside(&output).display().to_string()),
                configurations: plan.runs.len(),
                resumed: finished.resumed,
                rows: finish.rows,
                skipped: finish.skipped,
                disturbed: finish.disturbed,
                interrupted,
            })?;
        } else {
            let (rows, disturbed, skipped) = (finish.rows, finish.disturbed, finish.skipped);
            say!("{}: {rows} rows written, {disturbed} marked as disturbed, {skipped} skipped", output.display());
            if args.per_op {
                say!("ops: {}", per_op_beside(&output).display());
            }
        }
        if interrupted {
            eprintln!("interrupted: the turns so far are kept; the same command resumes");
            return Ok(Outcome::Interrupted);
        }
        Ok(if finish.skipped > 0 { Outcome::Skipped } else { Outcome::Done })
    }

    /// The description that is named, or that of this CPU, made now if there is none.
    fn describe(args: &SweepModels) -> Result<HardwareFile> {
        if let Some(named) = &args.hardware {
            return Ok(hardware::find(named)?.1);
        }
        let path = detected_path()?;
        if !path.exists() {
            eprintln!("this CPU is not described yet: detecting it");
            hardware::detect_into(&path)?;
        }
        Ok(hardware_file(None)?.1)
    }

    fn threads(args: &SweepModels, file: &HardwareFile) -> Vec<u32> {
        // Threads of the host do no arithmetic for a CUDA device: one, unless told otherwise.
        let usual = if args.device == DeviceArg::Cuda { 1 } else { cores(file) };
        let mut threads = if args.threads.is_empty() { vec![usual] } else { args.threads.clone() };
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    fn settings(args: &SweepModels) -> RoundSettings {
        RoundSettings {
            rounds: args.rounds,
            warmup_runs: args.warmup,
            runs: args.runs,
            slow_runs: args.slow_runs,
            turn_time_s: args.turn_time,
            ..RoundSettings::default()
        }
    }

    /// The networks at their batches, in the data types of the precisions, without those of too many MACs.
    fn models(args: &SweepModels) -> Result<Vec<Model>> {
        let mut zoo: Vec<String> = args.zoo.clone();
        if zoo.iter().any(|name| name == "all") || zoo.is_empty() && args.sources.is_empty() {
            zoo = zoo::NETWORKS.map(str::to_owned).to_vec();
        }
        let sources: Vec<String> =
            zoo.iter().map(|name| format!("zoo:{name}")).chain(args.sources.iter().cloned()).collect();
        let data_types: Vec<DataType> = args.precision.iter().map(|precision| precision.data_type()).collect();
        let mut models = Vec::new();
        let (mut seen, mut left_out) = (BTreeSet::new(), Vec::new());
        for source in &sources {
            for &batch in &args.batch {
                let graph = read(args, source, batch)?.graph;
                for &data_type in &data_types {
                    if !seen.insert((source.clone(), batch, data_type.name())) {
                        continue;
                    }
                    let model = Model::new(source, batch, &graph, data_type)
                        .with_context(|| format!("{source} in {}", data_type.name()))?;
                    let gmac = model.macs()? as f64 / 1e9;
                    if gmac > args.max_gmac {
                        left_out.push(format!("{} batch {batch} ({gmac:.0})", model.graph.name()));
                        break;
                    }
                    models.push(model);
                }
            }
        }
        if !left_out.is_empty() {
            eprintln!("left out, more than {} billion MACs a run: {}", args.max_gmac, left_out.join(", "));
        }
        Ok(models)
    }

    fn read(args: &SweepModels, source: &str, batch: u32) -> Result<crate::import::Import> {
        let network = Source {
            source: source.to_owned(),
            batch: Some(batch),
            dims: args.dims.clone(),
            inputs: args.inputs.clone(),
        };
        let import = network.read(DataType::Fp32)?;
        if let Some(node) = import.unsupported.first() {
            let count = import.unsupported.len();
            bail!(
                "{source}: {count} of its nodes cannot be run; the first is {} ({}): {}",
                node.name,
                node.op,
                node.reason
            );
        }
        Ok(import)
    }

    /// For each network, the command line that measures its memory.
    fn memory_arguments(args: &SweepModels, plan: &ModelPlan, threads: u32) -> Vec<Vec<String>> {
        let arguments = |model: &Model| {
            let source = model.source.split_once('@').filter(|_| model.source.starts_with("zoo:"));
            let source = source.map_or(model.source.as_str(), |(name, _)| name);
            let precision = model.data_type.precision().unwrap_or(Precision::Fp32);
            let mut line = vec!["measure-graph-memory".to_owned(), source.to_owned()];
            line.push(format!("--batch={}", model.batch));
            line.extend(args.dims.iter().map(|(name, value)| format!("--dim={name}={value}")));
            line.extend(args.inputs.iter().map(|extents| {
                let extents: Vec<String> = extents.0.iter().map(u32::to_string).collect();
                format!("--input={}", extents.join("x"))
            }));
            line.extend([format!("--precision={}", precision.name()), format!("--threads={threads}")]);
            line
        };
        plan.models.iter().map(arguments).collect()
    }

    pub(in super::super) fn measure_memory(args: &MeasureGraphMemory) -> Result<Outcome> {
        torch::set_threads(args.threads);
        let graph = args.network.read(DataType::Fp32)?.graph;
        say!("{}", torch::measure_memory(&retyped(&graph, args.precision.data_type())?)?);
        Ok(Outcome::Done)
    }
}
