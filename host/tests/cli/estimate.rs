//! `derate estimate`: what it says of a network, and what it refuses.

use crate::common::documented::has_keys_of;
use crate::common::{Folder, number, profile};

const ESTIMATE: &str = "estimate --hardware two_core.toml";

#[test]
fn a_network_of_the_zoo_is_estimated_op_by_op() {
    let folder = Folder::new();
    let json = folder.derate(&format!("{ESTIMATE} zoo:resnet18@2 --format json")).exits(0).json();
    for (key, value) in [("model", "resnet18"), ("hardware", "two-core"), ("precision", "fp32")] {
        assert_eq!(json[key], value, "{key}");
    }
    assert_eq!((number(&json, "batch"), number(&json, "threads")), (2.0, 2.0));
    // torchvision's figures: 1 814 073 344 MACs an image, 11 689 512 parameters; batch norms hold 4800 × 2 buffers beside.
    assert_eq!((number(&json, "macs"), number(&json, "params")), (2.0 * 1_814_073_344.0, 11_689_512.0));
    assert_eq!(number(&json, "weight_bytes"), 4.0 * (11_689_512.0 + 2.0 * 4800.0));
    let ops = json["kernels"].as_array().expect("kernels");
    assert_eq!((ops[0]["name"].as_str(), ops[0]["op"].as_str()), (Some("conv1"), Some("conv2d")));
    let sum: f64 = ops.iter().map(|op| number(op, "latency_us")).sum();
    assert!((sum / 1e3 / number(&json, "latency_ms") - 1.0).abs() < 1e-4, "{sum}");
    for key in ["interval_ms", "measured_ms", "p10_ms", "error_pct", "mac_only_ms"] {
        assert!(json[key].is_null(), "{key}: {}", json[key]);
    }
    assert_eq!(json["unsupported"].as_array().map(Vec::len), Some(0));
    has_keys_of(&json, "`estimate`", &["sustained", "boost"]);
    has_keys_of(&ops[0], "`estimate` `kernels[]`", &[]);

    // Half the bytes in bf16, a quarter of the weights' in int8 but for the biases of four bytes each.
    let bf16 = folder.derate(&format!("{ESTIMATE} zoo:resnet18@2 --precision bf16 --format json")).exits(0).json();
    assert_eq!(bf16["precision"], "bf16");
    assert_eq!(2.0 * number(&bf16, "weight_bytes"), number(&json, "weight_bytes"));
    assert_eq!(2.0 * number(&bf16, "peak_activation_bytes"), number(&json, "peak_activation_bytes"));

    let text = folder.derate(&format!("{ESTIMATE} zoo:resnet18 --batch 2 --top 3")).exits(0).stdout;
    for said in [
        "resnet18 @2 on two-core, 2 threads, fp32",
        "latency ",
        "confidence ",
        "bound ",
        "memory ",
        "the slowest 3 of ",
    ] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let (_, table) = text.split_once("the slowest 3 of ").expect("the table");
    assert_eq!(table.lines().filter(|line| line.contains("conv2d")).count(), 3, "{table}");
}

#[test]
fn a_profile_gives_the_baselines_beside_it() {
    let folder = Folder::new();
    folder.write("x.json", profile().to_string());
    let json = folder.derate(&format!("{ESTIMATE} zoo:resnet18 --profile x.json --format json")).exits(0).json();
    // 1e-11 s for each MAC.
    assert!((number(&json, "mac_only_ms") - 18.140_733).abs() < 1e-4, "{}", json["mac_only_ms"]);
    assert!(number(&json, "plain_roofline_ms") > 0.0 && number(&json, "described_ms") > 0.0);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --profile x.json --threads 1")).refused(&["x.json", "`threads`"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --profile x.json --precision bf16")).refused(&["bf16", "fp32"]);
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let folder = Folder::new();
    folder.derate(&format!("{ESTIMATE} zoo:resnet19")).refused(&["zoo:resnet19", "resnet18"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18@0")).refused(&["zoo:resnet18@0", "a number from 1"]);
    folder.derate("estimate zoo:resnet18 --hardware nowhere.toml").refused(&["nowhere.toml", "shipped"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --thermal-profile hot")).refused(&["hot", "default"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --precision tf32")).refused(&["tf32", "fp32"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --precision fp64")).refused(&["resnet18 on two-core"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --dim n=0")).refused(&["n=0", "1 or more"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --input 1x3x0")).refused(&["1x3x0", "1x3x224x224"]);
    folder.derate(&format!("{ESTIMATE} zoo:resnet18 --block-time 1")).refused(&["--measure"]);
}
