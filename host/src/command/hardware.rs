//! `derate hardware detect | list | show | compare | schema | check`.

mod compare;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use derate_core::shape::Precision;
use serde::Serialize;

use super::{Outcome, detected_path, hardware_file, json, print_json};
use crate::cli::{Format, HardwareVerb};
use crate::closest::hint;
use crate::describe::describe;
use crate::detect::{DetectOptions, detect, preflight};
use crate::hardware_file::{HardwareFile, check, json_schema, write_atomic};

pub(super) fn run(verb: &HardwareVerb, format: Format) -> Result<Outcome> {
    match verb {
        HardwareVerb::Detect { output } => {
            let path = output.clone().map_or_else(detected_path, Ok)?;
            detect_into(&path)?;
            let file = HardwareFile::read(&path)?;
            if json(format) {
                print_json(&file)?
            } else {
                show(&path.display().to_string(), &file)?
            }
            Ok(Outcome::Done)
        }
        HardwareVerb::List => list(format),
        HardwareVerb::Show { hardware } => {
            let (place, file) = find(hardware)?;
            if json(format) {
                print_json(&file)?
            } else {
                show(&place, &file)?
            }
            Ok(Outcome::Done)
        }
        HardwareVerb::Compare { hardware, precision, output } => {
            compare::run(hardware, *precision, output.as_deref(), format)
        }
        HardwareVerb::Schema => {
            say!("{}", json_schema().trim_end());
            Ok(Outcome::Done)
        }
        HardwareVerb::Check { files } => check_all(files, format),
    }
}

/// Describes this CPU into a file; another description there is kept beside it.
pub(super) fn detect_into(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    warn_if_disturbed();
    let cpu = detect(&DetectOptions::default(), &mut |line| eprintln!("{line}"))?;
    for note in &cpu.notes {
        eprintln!("note: {note}");
    }
    if let Some(kept) = save(path, &describe(&cpu)?.to_toml())? {
        eprintln!("note: the description that was in {} is kept as {}", path.display(), kept.display());
    }
    Ok(())
}

/// Writes a description if it is one that verbs read; gives the file in which another one is kept that was there.
fn save(path: &Path, text: &str) -> Result<Option<PathBuf>> {
    HardwareFile::parse(text, path)
        .with_context(|| format!("nothing is written to {}: no verb would read it", path.display()))?;
    let kept = keep(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    write_atomic(path, text)?;
    Ok(kept)
}

/// Copies a file that is there and differs to the first free `<stem>.N.toml` beside it, N from 1.
fn keep(path: &Path, new: &[u8]) -> io::Result<Option<PathBuf>> {
    let old = match std::fs::read(path) {
        Ok(old) if old != new => old,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    for number in 1_u32.. {
        let beside = path.with_file_name(format!("{stem}.{number}.toml"));
        match File::create_new(&beside) {
            Ok(mut file) => {
                file.write_all(&old).and_then(|()| file.sync_all())?;
                return Ok(Some(beside));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Says on standard error what would disturb a measurement, and what helps.
pub(super) fn warn_if_disturbed() {
    for warning in preflight() {
        eprintln!("warning: {}: {}. {}", warning.what, warning.value, warning.advice);
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    kind: &'static str,
    description: String,
    place: String,
}

fn list(format: Format) -> Result<Outcome> {
    let mut all = Vec::new();
    let mut add = |place: String, file: &HardwareFile| {
        all.push(Listed {
            name: file.name.clone(),
            kind: file.kind.name(),
            description: file.description.clone(),
            place,
        });
    };
    for (name, text) in derate_hw_specs::DEVICES {
        add("shipped".to_owned(), &HardwareFile::parse(text, format!("shipped {name}"))?);
    }
    let detected = detected_path()?;
    if detected.exists() {
        add(detected.display().to_string(), &HardwareFile::read(&detected)?);
    }
    if json(format) {
        print_json(&all)?;
    } else {
        for Listed { name, kind, description, place } in &all {
            say!("{name:<28} {kind:<11} {description} ({place})");
        }
    }
    Ok(Outcome::Done)
}

/// A shipped description by its name, the detected one as `detected`, or a file by its path.
pub(super) fn find(hardware: &str) -> Result<(String, HardwareFile)> {
    if let Some((name, text)) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == hardware) {
        return Ok((format!("shipped {name}"), HardwareFile::parse(text, name)?));
    }
    if hardware == "detected" {
        let path = detected_path()?;
        return hardware_file(path.exists().then_some(path.as_path()))
            .map(|(path, file)| (path.display().to_string(), file));
    }
    let path = PathBuf::from(hardware);
    if !path.exists() {
        let names: Vec<&str> = derate_hw_specs::DEVICES.iter().map(|(name, _)| *name).collect();
        let (near, names) = (hint(hardware, names.iter().copied()), names.join(", "));
        bail!(
            "--hardware {hardware:?}: no such file, and no shipped description of this name{near}\nshipped are {names}"
        );
    }
    Ok((hardware.to_owned(), HardwareFile::read(&path)?))
}

fn show(place: &str, file: &HardwareFile) -> Result<()> {
    say!("{} ({})\n  {}\n", file.name, place, file.description);
    let parts = file.parts()?;
    let hardware = parts.hardware()?;
    for unit in hardware.compute() {
        say!("  {} × {} at {:.2} GHz ({:?})", unit.count, unit.name, unit.clock.get() / 1e9, unit.basis);
        for precision in Precision::ALL {
            if let Some(peak) = unit.peak_throughput(precision) {
                say!("    {:<5} {:>9.1} GFLOP/s", precision.name(), peak.get() / 1e9);
            }
        }
    }
    say!();
    for level in hardware.memory() {
        let (capacity, unit) = match level.capacity.0 {
            bytes if bytes >= 1 << 30 => (bytes as f64 / f64::from(1 << 30), "GiB"),
            bytes if bytes >= 1 << 20 => (bytes as f64 / f64::from(1 << 20), "MiB"),
            bytes => (bytes as f64 / 1024.0, "KiB"),
        };
        say!(
            "  {:<5} {capacity:>7.1} {unit} {:>9.1} GB/s ({:?})",
            level.name,
            level.bandwidth.get() / 1e9,
            level.basis
        );
    }
    say!();
    for profile in hardware.thermal_profiles() {
        say!("  thermal profile {}", profile.name);
        for precision in Precision::ALL {
            if let Some(factors) = profile.factors.at(precision) {
                say!(
                    "    {:<5} efficiency_factor {:.3}, memory_bottleneck_factor {:.3}",
                    precision.name(),
                    factors.efficiency_factor.get(),
                    factors.memory_bottleneck_factor.get()
                );
            }
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Checked {
    file: String,
    problems: Vec<String>,
}

fn check_all(files: &[PathBuf], format: Format) -> Result<Outcome> {
    let mut all = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let problems: Vec<String> = check(&text, path).iter().map(ToString::to_string).collect();
        all.push(Checked { file: path.display().to_string(), problems });
    }
    if json(format) {
        print_json(&all)?;
    } else {
        for Checked { file, problems } in &all {
            if problems.is_empty() {
                say!("{file}: ok");
            }
            for problem in problems {
                say!("{problem}");
            }
        }
    }
    Ok(if all.iter().all(|checked| checked.problems.is_empty()) { Outcome::Done } else { Outcome::BadInput })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CORE: &str = include_str!("../../tests/fixtures/two_core.toml");

    #[test]
    fn a_description_that_no_verb_reads_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("this-cpu.toml");
        // L2 of 90 KB above L1 of 98 KB.
        let error = save(&path, &TWO_CORE.replace("2_097_152", "90_000")).expect_err("refused");
        assert!(format!("{error:#}").contains("memory[1].capacity_bytes.value is 90_000"), "{error:#}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn another_description_is_kept_under_the_first_free_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let read = |name: &str| std::fs::read_to_string(path(name)).expect("a file");
        let next = |count: u32| TWO_CORE.replace("# for tests", &format!("# {count}"));
        assert_eq!(save(&path("a.toml"), TWO_CORE).expect("written"), None);
        assert_eq!(save(&path("a.toml"), TWO_CORE).expect("the same"), None);
        assert_eq!(save(&path("a.toml"), &next(1)).expect("written"), Some(path("a.1.toml")));
        assert_eq!(save(&path("a.toml"), &next(2)).expect("written"), Some(path("a.2.toml")));
        assert_eq!([read("a.1.toml"), read("a.2.toml"), read("a.toml")], [TWO_CORE.to_owned(), next(1), next(2)]);
    }
}
