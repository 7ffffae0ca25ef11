//! Accuracy on measured silicon: single operators and chains of layers on a GPU, of shapes that the fit has not seen.
//!
//! Rows are published timings of whole calls, one wait before and one after. Skipped where the data are missing.

use std::path::PathBuf;

use derate::calibrate::ErrorSummary;
use derate::evaluate::cross::{Depth, Holdout, evaluate};
use derate::evaluate::{HeldOut, truth};
use derate::hardware_file::HardwareFile;
use derate_core::calibration::{Machine, Runtime};

/// Pairs of estimated and measured times, by kind of operator and predictor.
type Pairs = std::collections::BTreeMap<(String, String), Vec<(f64, f64)>>;

/// Held-out pairs of files of one mode; each precision is a fit of its own.
fn held_out(mode: &str, files: &[&str], holdout: Holdout, into: &mut Pairs) -> bool {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let files: Vec<PathBuf> = files.iter().map(|name| shared.join(format!("data/sweeps/{name}.csv"))).collect();
    if let Some(missing) = files.iter().find(|file| !file.exists()) {
        eprintln!("skipped: no {}", missing.display());
        return false;
    }
    let name = "jetson-agx-orin-64gb";
    let (_, text) = derate_hw_specs::DEVICES.iter().find(|(shipped, _)| *shipped == name).expect("shipped");
    let file = HardwareFile::parse(text, name).expect("valid");
    let parts = file.parts().expect("valid");
    let hardware = parts.hardware().expect("valid");
    let mode = hardware.thermal_profiles().iter().find(|each| each.name == mode).expect("a mode");
    let runtime = Runtime::EagerGpu;
    let wanted = truth::Wanted { graphs: None, precision: None, runtime };
    let (sets, _) = truth::read(&files, wanted).expect("rows");
    assert_eq!(sets.len(), 2, "fp32 and fp16");
    for set in &sets {
        let machine = Machine::of(&hardware, mode, set.precision, runtime, set.protocol, 1).expect("a precision");
        let study = evaluate(set, machine, holdout, Depth::Errors).expect("fits");
        for HeldOut { predictor, predictions, .. } in &study.held_out {
            for (row, sample) in predictions.iter().zip(&set.samples) {
                let key = (sample.kinds[2].clone(), predictor.clone());
                into.entry(key).or_default().push((row.predicted, row.measured));
            }
        }
    }
    true
}

/// Mean absolute error of each kind of operator is at most so much, and far above it by the baselines.
fn within(holdout: Holdout, limits: [(&str, f64); 3]) {
    let mut pairs = Pairs::new();
    let there = held_out("50W", &["conv2d_sweep_full_cuda_50w", "gemm_sweep_full_cuda_50w"], holdout, &mut pairs)
        && held_out("MAXN", &["mlp_sweep_full_cuda_maxn"], holdout, &mut pairs);
    if !there {
        return;
    }
    for (kind, most) in limits {
        let error = |predictor: &str| {
            let of = pairs.get(&(kind.to_owned(), predictor.to_owned())).expect("rows");
            ErrorSummary::of(of).expect("rows").mape_pct
        };
        let [ours, roofline, macs] = ["calibrated model", "plain roofline", "MAC-only"].map(error);
        println!("{kind}, {}: {ours:.1} %; plain roofline {roofline:.1} %, MAC-only {macs:.1} %", holdout.name());
        assert!(ours <= most, "{kind}: {ours} %");
        assert!(roofline > 1.5 * ours && macs > 1.5 * ours, "{kind}: {roofline} %, {macs} %");
    }
}

#[test]
fn shapes_and_batches_that_were_not_fitted() {
    within(Holdout::Configuration, [("mlp", 15.0), ("gemm", 15.0), ("conv2d", 15.0)]);
}

/// No batch of a held-out shape is fitted.
#[test]
fn shapes_that_were_not_fitted_at_any_batch() {
    within(Holdout::Model, [("mlp", 15.0), ("gemm", 17.0), ("conv2d", 17.0)]);
}
