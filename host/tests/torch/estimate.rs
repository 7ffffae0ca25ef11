//! `derate estimate --measure`: a measurement beside the estimate and the baselines.

use crate::common::{Folder, number, profile};

#[test]
fn a_measurement_stands_beside_the_estimate_and_the_baselines() {
    let folder = Folder::new();
    let runtime = derate::torch::runtime();
    let mut profile = profile();
    // The program's threads wait as its environment says; the runtime that it reports tells so.
    profile["runtime"] = format!("{} OMP_WAIT_POLICY=PASSIVE", runtime.split(' ').next().expect("a name")).into();
    folder.write("x.json", profile.to_string());
    let line = "estimate zoo:mobilenet_v2 --hardware two_core.toml --profile x.json --measure --block-time 0.2";
    let json = folder.derate(&format!("{line} --format json")).exits(0).json();
    let [estimated, p10, median] = ["latency_ms", "p10_ms", "measured_ms"].map(|key| number(&json, key));
    assert!(p10 > 0.0 && p10 <= median, "{p10} {median}");
    for (error, estimate) in [
        ("error_pct", "latency_ms"),
        ("mac_only_error_pct", "mac_only_ms"),
        ("plain_roofline_error_pct", "plain_roofline_ms"),
    ] {
        let by_hand = (number(&json, estimate) - p10) / p10 * 100.0;
        assert!((number(&json, error) - by_hand).abs() < 1e-6, "{error}");
    }
    let ops = json["kernels"].as_array().expect("kernels");
    let sum: f64 = ops.iter().map(|op| number(op, "latency_us")).sum();
    assert!((sum / 1e3 / estimated - 1.0).abs() < 1e-4, "{sum} µs of {estimated} ms");

    let text = folder.derate(line).exits(0).stdout;
    for said in ["measured ", "10th percentile", "MAC-only", "plain roofline", "two factors"] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let int8 = "estimate zoo:resnet18 --hardware two_core.toml --precision int8 --measure";
    folder.derate(int8).refused(&["resnet18", "node 0 (conv2d) computes on int8", "fp32"]);
    let other = "estimate zoo:resnet18 --hardware two_core.toml --profile x.json --threads 1 --measure";
    folder.derate(other).refused(&["x.json", "`threads` is 2"]);
}
