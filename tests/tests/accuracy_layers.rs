//! Accuracy on measured silicon: layers and networks of models that the fit has not seen, and what a few wrong rows do to it.
//!
//! Rows are published timings of parts of torchvision models in an eager runtime. Skipped where the data are missing.

use std::path::PathBuf;

use derate::calibrate::model::{Bench, Model};
use derate::evaluate::cross::{Depth, Holdout, evaluate, options};
use derate::evaluate::summary::{Figures, Summary};
use derate::evaluate::truth::{Set, Wanted, read};
use derate::hardware_file::HardwareFile;
use derate_core::calibration::{Machine, Protocol, Runtime};
use derate_core::shape::Precision;

/// The shared data, where it is.
fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let data = shared.join("data");
    if data.join("silicon").is_dir() && data.join("graphs").is_dir() {
        return Some(data);
    }
    eprintln!("skipped: {} holds no measured layers", data.display());
    None
}

/// A device in a mode, and files of rows that were measured on it.
struct Measured {
    device: &'static str,
    mode: &'static str,
    precision: Precision,
    runtime: Runtime,
    threads: u32,
    files: &'static [&'static str],
}

const I7: Measured = Measured {
    device: "i7-12700k",
    mode: "190W",
    precision: Precision::Fp32,
    runtime: Runtime::EagerCpu,
    threads: 12,
    files: &["i7_12700K_fp32", "intel_core_i7_12700k_fp32"],
};

const fn orin(mode: &'static str, precision: Precision, files: &'static [&'static str]) -> Measured {
    Measured { device: "jetson-agx-orin-64gb", mode, precision, runtime: Runtime::EagerGpu, threads: 1, files }
}

const ORIN: [Measured; 4] = [
    orin("30W", Precision::Fp32, &["jetson_orin_30w_fp32"]),
    orin("50W", Precision::Fp32, &["jetson_orin_50w_fp32", "jetson_orin_agx_50w_fp32"]),
    orin("30W", Precision::Fp16, &["jetson_orin_30w_fp16"]),
    orin("50W", Precision::Fp16, &["jetson_orin_50w_fp16", "jetson_orin_agx_50w_fp16"]),
];

/// The rows, and what is known of their device.
fn measured(of: &Measured, data: &std::path::Path) -> (Set, Machine) {
    let (_, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == of.device).expect("shipped");
    let file = HardwareFile::parse(text, of.device).expect("valid");
    let parts = file.parts().expect("valid");
    let hardware = parts.hardware().expect("valid");
    let mode = hardware.thermal_profiles().iter().find(|mode| mode.name == of.mode).expect("a mode");
    let machine =
        Machine::of(&hardware, mode, of.precision, of.runtime, Protocol::PerOp, of.threads).expect("a precision");
    let files: Vec<PathBuf> = of.files.iter().map(|name| data.join(format!("silicon/{name}.csv"))).collect();
    let graphs = data.join("graphs");
    let wanted = Wanted { graphs: Some(&graphs), precision: Some(of.precision), runtime: of.runtime };
    let (mut sets, sources) = read(&files, wanted).expect("rows");
    assert_eq!((sets.len(), sources.len()), (1, files.len()));
    (sets.remove(0), machine)
}

/// Errors of rows and of whole models, ours and those of the two baselines; every interval holds what it should.
fn held_out(of: &Measured, data: &std::path::Path, holdout: Holdout) -> (Figures, Figures) {
    let (set, machine) = measured(of, data);
    let summary = Summary::of(&evaluate(&set, machine, holdout, Depth::Errors).expect("fits"));
    let figures = |place: usize| {
        let achieved = &summary.predictors[place];
        (achieved.rows.clone().expect("rows"), achieved.wholes.clone().expect("models"))
    };
    let (rows, wholes) = figures(0);
    let place = format!("{} {} {} {}", of.device, of.mode, of.precision.name(), holdout.name());
    println!("{place}: layers {:.1} % (median), models {:.1} %", rows.median_pct, wholes.mape_pct);
    for (kind, coverage) in [("layers", rows.coverage), ("models", wholes.coverage)] {
        let coverage = coverage.expect("intervals");
        println!("  intervals of {kind} hold {:.1} %", coverage * 100.0);
        // Of a few dozen models all may lie within theirs.
        let most = if kind == "layers" { 0.98 } else { 1.0 };
        assert!((0.8..=most).contains(&coverage), "{place}: intervals of {kind} hold {coverage}");
    }
    for baseline in [1, 2] {
        let (others, other_wholes) = figures(baseline);
        let name = &summary.predictors[baseline].predictor;
        assert!(others.median_pct > 1.5 * rows.median_pct, "{place}: {name}, layers {}", others.median_pct);
        assert!(other_wholes.mape_pct > 1.5 * wholes.mape_pct, "{place}: {name}, models {}", other_wholes.mape_pct);
    }
    (rows, wholes)
}

#[test]
fn i7_models_and_families_that_were_not_fitted() {
    let Some(data) = data() else { return };
    let (rows, wholes) = held_out(&I7, &data, Holdout::Model);
    assert!(rows.median_pct <= 9.0 && wholes.mape_pct <= 5.0, "{rows:?} {wholes:?}");
    let (_, wholes) = held_out(&I7, &data, Holdout::Family);
    assert!(wholes.mape_pct <= 5.5, "{wholes:?}");
}

#[test]
fn orin_models_and_families_that_were_not_fitted() {
    let Some(data) = data() else { return };
    for (holdout, mean, most) in [(Holdout::Model, 9.0, 13.0), (Holdout::Family, 10.0, 16.0)] {
        let errors = ORIN.map(|of| held_out(&of, &data, holdout).1.mape_pct);
        assert!(errors.iter().sum::<f64>() / 4.0 <= mean, "{} in the mean: {errors:?}", holdout.name());
        assert!(errors.iter().all(|&error| error <= most), "{}: {errors:?}", holdout.name());
    }
}

/// One row in a hundred, ten times as long.
#[test]
fn a_few_wrong_rows_move_no_coefficient() {
    let Some(data) = data() else { return };
    for of in [&I7, &ORIN[0]] {
        let (mut set, machine) = measured(of, &data);
        let all: Vec<usize> = (0..set.samples.len()).collect();
        let fitted = |set: &Set| {
            let bench = Bench {
                samples: &set.samples,
                machine,
                evidence: set.evidence,
                target: None,
                precision: set.precision,
            };
            let fit = bench.fit(Model::Calibrated, &all, &options(Model::Calibrated, set.evidence)).expect("a fit");
            (bench.parameters(Model::Calibrated), fit)
        };
        let (parameters, clean) = fitted(&set);
        let wrong: Vec<usize> = (37..set.samples.len()).step_by(100).collect();
        assert!(wrong.len() * 100 + 100 > set.samples.len());
        for row in wrong {
            set.samples[row].seconds *= 10.0;
        }
        let (_, fit) = fitted(&set);
        for (place, parameter) in parameters.iter().enumerate() {
            let moved = (fit.values[place] / clean.values[place]).ln().abs();
            let allowed = clean.standard_errors[place].max(0.03);
            println!("{} {}: moved {moved:.4}, allowed {allowed:.4}", of.device, parameter.name);
            assert!(moved <= allowed, "{}: {} moved by {moved}, allowed {allowed}", of.device, parameter.name);
        }
    }
}
