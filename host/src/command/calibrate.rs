//! `derate calibrate`: from sweeps to a profile and a report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use derate_core::calibration::Runtime;
use derate_core::shape::Precision;

use super::{Outcome, clock, cores, hardware_file, json, now, print_json, with_threads};
use crate::calibrate::model::Model;
use crate::calibrate::{Dataset, Study, study};
use crate::cli::{Calibrate, Format};
use crate::hardware_file::{Provenance, write_atomic};
use crate::on_device::{Mode, target};
use crate::profile::{DatasetId, FORMAT, PrecisionFit, Profile};
use crate::report;

pub(super) fn run(args: &Calibrate, format: Format) -> Result<Outcome> {
    let report_path = args.output.clone().unwrap_or_else(|| default_report(&args.input[0]));
    report::stem_of(&report_path)?;
    let dataset = Dataset::read(&args.input)?;
    let (path, file) = hardware_file(args.hardware.as_deref())?;
    if let Some(measured_on) = &dataset.hardware
        && *measured_on != file.name
    {
        bail!(
            "{}: the rows were measured on {measured_on:?}, {} describes {:?}; name the right one with --hardware FILE",
            dataset.files.join(", "),
            path.display(),
            file.name
        );
    }
    let fitted_to_these = |fit: &Provenance| fit.dataset_sha256 == dataset.sha256;
    if file
        .thermal_profile
        .iter()
        .flat_map(|entry| entry.factors.values())
        .filter_map(|f| f.provenance.as_ref())
        .any(fitted_to_these)
    {
        eprintln!(
            "note: factors of {} were fitted to these very rows: the error of the description as it is is in-sample",
            path.display()
        );
    }
    let runtime = conflict("runtime", dataset.runtime.clone(), args.runtime.clone())?.unwrap_or("unspecified".into());
    let threads = conflict("threads", dataset.threads, args.threads)?.unwrap_or_else(|| cores(&file));
    let limited = with_threads(&file, threads)?;
    let parts = limited.parts()?;
    let device = parts.hardware()?;
    let target = target(&device, Mode::named(args.thermal_profile.as_deref()))?;

    let mut studies = Vec::new();
    for precision in Precision::ALL {
        if dataset.rows.iter().any(|row| row.precision == precision) {
            let eager = if dataset.device == "cuda" { Runtime::EagerGpu } else { Runtime::EagerCpu };
            studies.push(study(&dataset.rows, precision, &target, (eager, threads), |model| {
                eprintln!("fitting {}: {model}", precision.name());
            })?);
        }
    }
    let profile_path = report_path.with_extension("profile.json");
    let profile = Profile {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        date: now(),
        hardware: file.name.clone(),
        clock_hz: clock(&file),
        runtime,
        device: dataset.device.clone(),
        threads,
        statistic: dataset.statistic,
        dataset: DatasetId {
            files: dataset.files.iter().map(|file| name_of(file)).collect(),
            sha256: dataset.sha256.clone(),
            rows: dataset.rows.len(),
        },
        fits: studies.iter().map(fit_of).collect::<Option<_>>().context("a model was not fitted")?,
    };
    let profile_name = profile_path.display().to_string();
    let hardware_name = args.hardware.as_ref().map(|path| path.display().to_string());
    let subject = report::Subject {
        target: &target,
        hardware_file: hardware_name.as_deref(),
        profile: &profile_name,
        date: &profile.date,
    };
    let analysis = report::analyze(&dataset, &studies, &subject)?;
    if let Some(folder) = report_path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    write_atomic(&profile_path, &(serde_json::to_string_pretty(&profile)? + "\n"))?;
    let written = report::write(&report_path, &analysis)?;
    if json(format) {
        print_json(&analysis)?;
    } else {
        say_part!("{}", summary(&studies));
        say!("\nprofile: {profile_name}");
        for file in written {
            say!("report:  {}", file.display());
        }
    }
    Ok(Outcome::Done)
}

/// Errors of all models, for the terminal.
fn summary(studies: &[Study]) -> String {
    use report::table::Column::{Left, Right};
    let mut table = report::Table::new([
        Left("precision"),
        Left("model"),
        Right("coefficients"),
        Right("MAPE held out %"),
        Right("in-sample %"),
        Right("worst %"),
        Left("verdict"),
    ]);
    for study in studies {
        let before = &study.before_error;
        let percent = |value: f64| format!("{value:.1}");
        table.row([
            study.precision.name().to_owned(),
            "description as it is".to_owned(),
            "0".to_owned(),
            percent(before.mape_pct),
            "-".to_owned(),
            percent(before.max_pct),
            before.grade().word().to_owned(),
        ]);
        for fitted in &study.fitted {
            let held_out = &fitted.held_out_error;
            table.row([
                study.precision.name().to_owned(),
                fitted.model.name().to_owned(),
                fitted.values.len().to_string(),
                percent(held_out.mape_pct),
                percent(fitted.in_sample_error.mape_pct),
                percent(held_out.max_pct),
                held_out.grade().word().to_owned(),
            ]);
        }
    }
    table.text()
}

/// What the dataset and the command line say, which must not differ.
fn conflict<T: PartialEq + std::fmt::Display>(key: &str, dataset: Option<T>, given: Option<T>) -> Result<Option<T>> {
    match (dataset, given) {
        (Some(dataset), Some(given)) if dataset != given => {
            bail!("--{key} {given}: the rows were measured with {key} {dataset}")
        }
        (dataset, given) => Ok(dataset.or(given)),
    }
}

fn default_report(input: &Path) -> PathBuf {
    let stem = input.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    input.with_file_name(format!("{stem}_calibration.md"))
}

/// The name of a file without the folders that lead to it on this machine.
fn name_of(file: &str) -> String {
    Path::new(file).file_name().map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn fit_of(study: &Study) -> Option<PrecisionFit> {
    let [ours, two, roofline, macs] =
        [Model::Calibrated, Model::TwoFactors, Model::PlainRoofline, Model::MacOnly].map(|model| study.of(model));
    let (ours, two, roofline, macs) = (ours?, two?, roofline?, macs?);
    Some(PrecisionFit {
        precision: study.precision,
        rows: study.rows.len(),
        efficiency_factor: *two.values.first()?,
        memory_bottleneck_factor: *two.values.get(1)?,
        two_factors_held_out_mape_pct: two.held_out_error.mape_pct,
        calibration: study.calibration,
        held_out_mape_pct: ours.held_out_error.mape_pct,
        mac_only_s_per_mac: *macs.values.first()?,
        roofline_flops_per_s: *roofline.values.first()?,
        roofline_bytes_per_s: *roofline.values.get(1)?,
    })
}
