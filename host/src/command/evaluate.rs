//! `derate evaluate`: a model beside measurements that it was not fitted on.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use derate_core::calibration::{Machine, Protocol, Runtime};
use derate_core::shape::Precision;

use super::{Outcome, clock, hardware, json, print_json};
use crate::boards::network::Network;
use crate::boards::results;
use crate::calibrate::model::Model;
use crate::cli::{Evaluate, Format};
use crate::evaluate::columns::Columns;
use crate::evaluate::cross::{Depth, Holdout, evaluate, of_calibration};
use crate::evaluate::report::{Provenance, Report};
use crate::evaluate::truth::{Set, Source, Wanted, holds_kernels, read};
use crate::evaluate::{HeldOut, Study, boards, gemm, report};
use crate::hardware_file::{DeviceKind, HardwareFile, write_atomic};
use crate::import;
use crate::on_device::{Mode, target};
use crate::profile::{Belonging, Profile};

pub(super) fn run(args: &Evaluate, format: Format) -> Result<Outcome> {
    let pages = args.report.clone().map(pages).transpose()?;
    if !args.networks.is_empty() {
        return microcontrollers(args, pages.as_ref(), format);
    }
    if args.truth.iter().map(|path| holds_kernels(path)).collect::<Result<Vec<_>>>()?.iter().all(|holds| *holds) {
        return kernels(args, pages.as_ref(), format);
    }
    let named = args.hardware.as_deref().context("--hardware HARDWARE is needed: what was measured")?;
    let (_, file) = hardware::find(named)?;
    let runtime = runtime(args, named, &file)?;
    let profile = match &args.profile {
        Some(path) => Some((path, Profile::read(path)?)),
        None => None,
    };
    let threads = args
        .threads
        .or(profile.as_ref().map(|(_, profile)| profile.threads))
        .unwrap_or_else(|| if runtime == Runtime::EagerCpu { all_cores(&file) } else { 1 });
    let parts = file.parts()?;
    let device = parts.hardware()?;
    let mode = target(&device, Mode::named(args.thermal_profile.as_deref()))?.thermal_profile;
    let wanted = Wanted { graphs: args.graphs.as_deref(), precision: args.precision, runtime };
    let (sets, sources) = read(&args.truth, wanted)?;

    let mut studies: Vec<Study> = Vec::new();
    for set in &sets {
        let machine = |protocol: Protocol| {
            Machine::of(&device, mode, set.precision, runtime, protocol, threads)
                .with_context(|| format!("{} on {}", set.precision.name(), file.name))
        };
        eprintln!("{}: {} rows", set.name(), set.samples.len());
        studies.push(match (&profile, args.holdout) {
            (Some((path, profile)), _) => {
                let on = if runtime == Runtime::EagerCpu { "cpu" } else { "cuda" };
                let to = Belonging {
                    hardware: &file.name,
                    clock_hz: clock(&file),
                    runtime: None,
                    device: Some(on),
                    threads: Some(threads),
                };
                profile.belongs(path, &to)?;
                let fit = profile.fit(set.precision, path)?;
                timed_alike(path, set, fit.calibration.protocol, runtime)?;
                let baselines = [
                    (Model::PlainRoofline, vec![fit.roofline_flops_per_s, fit.roofline_bytes_per_s]),
                    (Model::MacOnly, vec![fit.mac_only_s_per_mac]),
                ];
                of_calibration(set, machine(fit.calibration.protocol)?, &fit.calibration, baselines)?
            }
            (None, Some(holdout)) => {
                let depth = if pages.is_some() { Depth::Curves } else { Depth::Errors };
                evaluate(set, machine(set.protocol)?, holdout, depth)?
            }
            (None, None) => bail!("either --holdout or --profile is needed"),
        });
    }
    let provenance = Provenance {
        tool_version: env!("CARGO_PKG_VERSION"),
        hardware: file.name.clone(),
        thermal_profile: mode.name.to_owned(),
        runtime: if runtime == Runtime::EagerCpu { "eager-cpu" } else { "eager-gpu" },
        threads,
        profile: args.profile.as_ref().map(|path| path.display().to_string()),
        sources,
    };
    said(provenance, &studies, pages.as_ref(), format)
}

/// Writes the page, if there is to be one, and prints the tables.
fn said(provenance: Provenance, studies: &[Study], pages: Option<&[PathBuf; 2]>, format: Format) -> Result<Outcome> {
    let report = Report::new(provenance, studies);
    if let Some([page, table]) = pages {
        write_atomic(page, &report::html::page(&report, studies)?)?;
        write_atomic(table, &report.markdown())?;
        eprintln!("wrote {} and {}", page.display(), table.display());
    }
    if json(format) {
        print_json(&report)?;
    } else {
        say_part!("{}", report.text());
    }
    Ok(Outcome::Done)
}

/// A study for each way of holding out, of predictions that come one predictor after another.
fn studies_of(predictions: Vec<HeldOut>) -> Vec<Study> {
    let mut groups: Vec<Vec<HeldOut>> = Vec::new();
    for held_out in predictions {
        match groups.last_mut() {
            Some(group) if group[0].holdout == held_out.holdout => group.push(held_out),
            _ => groups.push(vec![held_out]),
        }
    }
    groups.into_iter().map(|group| Study::of(group[0].holdout.clone(), group)).collect()
}

/// Published results of microcontrollers: new systems from timings of other networks, new networks, energy.
fn microcontrollers(args: &Evaluate, pages: Option<&[PathBuf; 2]>, format: Format) -> Result<Outcome> {
    let networks = args.networks.iter().map(|(name, file)| Network::read(file, name, &import::Options::default()));
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    let mut systems = Vec::new();
    let mut sources = Vec::new();
    for path in &args.truth {
        let read = results::read(path, results::Selection::Microcontrollers)?;
        let read = boards::complete(&read, &networks);
        ensure!(!read.is_empty(), "{}: no system timed all of these networks", path.display());
        sources.push(Source {
            file: path.display().to_string(),
            sha256: Columns::read(path)?.sha256,
            form: "microcontrollers",
            rows: read.iter().map(|system| system.timings.len()).sum(),
        });
        systems.extend(read);
    }
    let provenance = Provenance {
        tool_version: env!("CARGO_PKG_VERSION"),
        hardware: format!("{} microcontrollers", systems.len()),
        thermal_profile: "-".to_owned(),
        runtime: "embedded",
        threads: 1,
        profile: None,
        sources,
    };
    said(provenance, &studies_of(boards::evaluate(&systems, &networks)), pages, format)
}

/// Timings of micro-kernels of one core: five folds by shape, of products of matrices and of a matrix and a vector.
fn kernels(args: &Evaluate, pages: Option<&[PathBuf; 2]>, format: Format) -> Result<Outcome> {
    if args.profile.is_some() || args.holdout.is_some_and(|holdout| holdout != Holdout::Configuration) {
        bail!("timings of micro-kernels are held out by shape: --holdout configuration");
    }
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    for path in &args.truth {
        let read = gemm::read(path)?;
        sources.push(Source {
            file: path.display().to_string(),
            sha256: Columns::read(path)?.sha256,
            form: "kernels",
            rows: read.len(),
        });
        rows.extend(read);
    }
    let (vectors, matrices): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.gemm.n == 1);
    let studies = studies_of(gemm::evaluate(&matrices, &vectors)?);
    let provenance = Provenance {
        tool_version: env!("CARGO_PKG_VERSION"),
        hardware: "one core".to_owned(),
        thermal_profile: "-".to_owned(),
        runtime: "micro-kernels",
        threads: 1,
        profile: None,
        sources,
    };
    said(provenance, &studies, pages, format)
}

/// The page, and the tables beside it, in a folder that is made.
fn pages(page: PathBuf) -> Result<[PathBuf; 2]> {
    let is_html = page.extension().is_some_and(|end| end.eq_ignore_ascii_case("html"));
    ensure!(is_html, "--report {}: a page is written; name it `.html`", page.display());
    if let Some(folder) = page.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let table = page.with_extension("md");
    Ok([page, table])
}

/// What ran the rows: what is asked for, or what is usual on that kind of device.
fn runtime(args: &Evaluate, named: &str, file: &HardwareFile) -> Result<Runtime> {
    match (args.runtime, file.kind) {
        (Some(runtime), _) => Ok(runtime.into()),
        (None, DeviceKind::Cpu) => Ok(Runtime::EagerCpu),
        (None, DeviceKind::Gpu) => Ok(Runtime::EagerGpu),
        (None, _) => bail!(
            "--hardware {named}: neither a CPU nor a GPU; say with --runtime what ran the rows: eager-cpu or eager-gpu"
        ),
    }
}

/// Cores of all kinds: the threads that a runtime starts unless told otherwise.
fn all_cores(file: &HardwareFile) -> u32 {
    file.compute.iter().map(|unit| unit.count.value).fold(0, u32::saturating_add).max(1)
}

/// A device beside its host takes another time for a whole run than for its ops one by one.
fn timed_alike(path: &std::path::Path, set: &Set, protocol: Protocol, runtime: Runtime) -> Result<()> {
    let said = |protocol: Protocol| if protocol == Protocol::PerOp { "per_op" } else { "whole_run" };
    ensure!(
        runtime == Runtime::EagerCpu || protocol == set.protocol,
        "{}: `fits[{}].calibration.protocol` is {}; the rows are timed as {}: calibrate on such rows",
        path.display(),
        Precision::name(set.precision),
        said(protocol),
        said(set.protocol)
    );
    Ok(())
}
