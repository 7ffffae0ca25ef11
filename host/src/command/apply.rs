//! `derate apply`: a profile's two factors into a hardware description.

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Outcome, clock, cores, hardware_file, json, print_json};
use crate::cli::{Apply, Format};
use crate::hardware_file::{
    DeviceKind, Edit, HardwareFile, Provenance, ThermalEntry, apply_factors, diff, write_atomic,
};
use crate::profile::{Belonging, Profile};

/// What `apply` prints for programs.
#[derive(Serialize)]
struct Applied {
    /// The description.
    hardware: String,
    /// Whether it was written.
    written: bool,
    /// Keys whose value changed: key, old value, new value.
    changes: Vec<[Option<String>; 3]>,
}

/// The calibrations that the factors of a thermal profile come from, of any precision.
fn earlier_fits<'a>(
    file: &'a HardwareFile,
    thermal_profile: Option<&str>,
) -> impl Iterator<Item = &'a Provenance> + use<'a> {
    let mut entries = file.thermal_profile.iter();
    let named = |entry: &&ThermalEntry| thermal_profile.is_none_or(|name| entry.name == name);
    entries.find(named).into_iter().flat_map(|entry| entry.factors.values()).filter_map(|f| f.provenance.as_ref())
}

/// Refuses a profile of another runtime or thread count than the factors that are there, or than the cores of a CPU.
fn same_runtime(profile: &Profile, args: &Apply, file: &HardwareFile, here: &Belonging<'_>) -> Result<()> {
    // Factors of two runtimes in one thermal profile would describe neither.
    for earlier in earlier_fits(file, args.thermal_profile.as_deref()) {
        let there = Belonging { runtime: Some(&earlier.runtime), threads: Some(earlier.threads), ..*here };
        profile
            .belongs(&args.profile, &there)
            .context("other factors are there already; --replace-runtime replaces them")?;
    }
    if file.kind == DeviceKind::Cpu {
        // Verbs scale a description to fewer threads; its factors hold for all of its cores.
        profile.belongs(&args.profile, &Belonging { threads: Some(cores(file)), ..*here }).context(
            "the factors of a description hold for all of its cores; --replace-runtime applies those of another thread count",
        )?;
    }
    Ok(())
}

pub(super) fn run(args: &Apply, format: Format) -> Result<Outcome> {
    let profile = Profile::read(&args.profile)?;
    let (path, file) = hardware_file(args.hardware.as_deref())?;
    let device = match file.kind {
        DeviceKind::Cpu => Some("cpu"),
        DeviceKind::Gpu => Some("cuda"),
        _ => None,
    };
    let here = Belonging { hardware: &file.name, clock_hz: clock(&file), runtime: None, device, threads: None };
    profile.belongs(&args.profile, &here)?;
    if !args.replace_runtime {
        same_runtime(&profile, args, &file, &here)?;
    }

    let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut text = old.clone();
    let mut changes = Vec::new();
    for fit in &profile.fits {
        let provenance = Provenance {
            dataset_sha256: profile.dataset.sha256.clone(),
            rows: fit.rows as u64,
            date: profile.date.clone(),
            tool_version: profile.tool_version.clone(),
            model_version: fit.calibration.model_version,
            device: profile.device.clone(),
            clock_hz: Some(profile.clock_hz),
            runtime: profile.runtime.clone(),
            threads: profile.threads,
            precision: fit.precision,
            held_out_mape_pct: fit.two_factors_held_out_mape_pct,
            statistic: profile.statistic.describe().to_owned(),
        };
        let source = format!("fitted to {} rows of {}", fit.rows, profile.dataset.files.join(", "));
        let edited = apply_factors(
            &text,
            &path,
            &Edit {
                thermal_profile: args.thermal_profile.as_deref(),
                precision: fit.precision,
                efficiency_factor: fit.efficiency_factor,
                memory_bottleneck_factor: fit.memory_bottleneck_factor,
                source: &source,
                provenance: &provenance,
            },
        )?;
        text = edited.text;
        changes.extend(edited.changes.into_iter().map(|change| [Some(change.key), change.old, change.new]));
    }

    let written = !args.dry_run && text != old;
    if written {
        write_atomic(&path, &text)?;
    }
    if json(format) {
        print_json(&Applied { hardware: path.display().to_string(), written, changes })?;
    } else if text == old {
        say!("{}: the profile is applied already; nothing changes", path.display());
    } else {
        say_part!("{}", diff(&path, &old, &text));
        say!("{}: {}", path.display(), if written { "written" } else { "dry run, nothing written" });
    }
    Ok(Outcome::Done)
}
