//! `derate apply`: a profile's two factors into a hardware description.

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Outcome, clock, hardware_file, json, print_json};
use crate::cli::{Apply, Format};
use crate::hardware_file::{
    DeviceKind, Edit, HardwareFile, Provenance, ThermalEntry, apply_factors, diff, write_atomic,
};
use crate::profile::{Belonging, Profile, ProfileError};

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

/// The calibration that the factors of a thermal profile come from, if any was applied before.
fn earlier_fit<'a>(file: &'a HardwareFile, thermal_profile: Option<&str>) -> Option<&'a Provenance> {
    let named = |entry: &&ThermalEntry| thermal_profile.is_none_or(|name| entry.name == name);
    file.thermal_profile.iter().find(named)?.factors.values().find_map(|factors| factors.provenance.as_ref())
}

pub(super) fn run(args: &Apply, format: Format) -> Result<Outcome> {
    let profile = Profile::read(&args.profile)?;
    let (path, file) = hardware_file(args.hardware.as_deref())?;
    let device = match file.kind {
        DeviceKind::Cpu => Some("cpu"),
        DeviceKind::Gpu => Some("cuda"),
        _ => None,
    };
    // Factors of two runtimes in one thermal profile would describe neither.
    let earlier = earlier_fit(&file, args.thermal_profile.as_deref()).filter(|_| !args.replace_runtime);
    let here = Belonging {
        hardware: &file.name,
        runtime: earlier.map(|earlier| earlier.runtime.as_str()),
        device,
        threads: earlier.map(|earlier| earlier.threads),
    };
    profile.belongs(&args.profile, &here).map_err(|error| {
        let earlier = matches!(&error, ProfileError::Mismatch { key, .. } if key == "runtime" || key == "threads");
        let error = anyhow::Error::new(error);
        if earlier { error.context("other factors are there already; --replace-runtime replaces them") } else { error }
    })?;
    // The factors scale the description's peak: at another clock they scale another peak.
    let clock_hz = clock(&file);
    if (profile.clock_hz / clock_hz - 1.0).abs() > 0.1 {
        return Err(ProfileError::Mismatch {
            path: args.profile.display().to_string(),
            key: "clock_hz".into(),
            found: profile.clock_hz.to_string(),
            allowed: format!("{} has {clock_hz}: calibrate at this clock", path.display()),
        }
        .into());
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
        println!("{}: the profile is applied already; nothing changes", path.display());
    } else {
        print!("{}", diff(&path, &old, &text));
        println!("{}: {}", path.display(), if written { "written" } else { "dry run, nothing written" });
    }
    Ok(Outcome::Done)
}
