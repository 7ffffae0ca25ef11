//! `derate explain`: the limit that binds, by hand on a device with round numbers, and what is refused.

use crate::common::documented::has_keys_of;
use crate::common::{Folder, number};

/// The smooth maximum of two times.
fn smooth(a: f64, b: f64) -> f64 {
    (a.powi(3) + b.powi(3)).cbrt()
}

#[test]
fn a_product_that_arithmetic_binds_by_hand() {
    let folder = Folder::new();
    let said = folder.derate("explain gemm:1024x1024x1024 --hardware two_core.toml --format json").exits(0).json();
    let kernel = &said[0];
    assert_eq!(said.as_array().map(Vec::len), Some(1));
    let mut plain = kernel.clone();
    let keys = plain.as_object_mut().expect("an object");
    assert!(keys.remove("sentence").is_some() && keys.remove("losses").is_some(), "{kernel}");
    has_keys_of(&plain, "`estimate` `kernels[]`", &[]);
    // 2^30 MACs on 2 units of 32 a cycle: 2^24 cycles at 4 GHz, of which software reaches 0.7. Three operands of 4 MiB lie in L3,
    // 33.6 MB at 150 GB/s · 0.7. 2 µs of dispatch.
    assert_eq!((number(kernel, "compute_cycles"), number(kernel, "utilization")), (16_777_216.0, 1.0));
    for (level, bytes) in [("L1", 12_582_912.0), ("L2", 12_582_912.0), ("L3", 12_582_912.0), ("DRAM", 0.0)] {
        assert!((number(kernel, &format!("traffic_bytes.{level}")) - bytes).abs() < 0.5, "{level}: {kernel}");
    }
    let by_hand = 2.0 + smooth(16_777_216.0 / 4e9 / 0.7, 12_582_912.0 / (1.5e11 * 0.7)) * 1e6;
    assert!((number(kernel, "latency_us") / by_hand - 1.0).abs() < 1e-5, "{by_hand}: {kernel}");
    assert_eq!(kernel["bound"], "compute");
    let sentence = kernel["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("Arithmetic binds: 5991.86"), "{sentence}");
    assert!(sentence.contains("100.0 % of the peak in 16777216 cycles"), "{sentence}");

    let text = folder.derate("explain gemm:1024x1024x1024 --hardware two_core.toml").exits(0).stdout;
    for said in
        [sentence, "Two cores with round numbers, fp32, thermal profile default", "12582912 B", "1073741824 MACs"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
}

#[test]
fn memory_and_overhead_bind_where_they_take_longest() {
    let folder = Folder::new();
    // A vector: 2^20 MACs in 5.9 µs; 4 (1024 · 1024 + 1024 + 1024) bytes in L3 at 105 GB/s: 40.02 µs.
    let said = folder.derate("explain gemm:1024x1x1024 --hardware two_core.toml --format json").exits(0).json();
    assert_eq!(said[0]["bound"], "memory L3");
    let by_hand = 2.0 + smooth(1_048_576.0 / 64.0 / 4e9 / 0.7, 4_202_496.0 / (1.5e11 * 0.7)) * 1e6;
    assert!((number(&said[0], "latency_us") / by_hand - 1.0).abs() < 1e-5, "{by_hand}: {said}");
    let sentence = said[0]["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("L3 binds: 4202496 bytes at 150.000 GB/s"), "{sentence}");

    let said = folder.derate("explain gemm:8x8x8 --hardware two_core.toml --format json").exits(0).json();
    assert_eq!(said[0]["bound"], "overhead");
    let sentence = said[0]["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("Overhead binds: 2.000 µs of 2.00"), "{sentence}");
}

#[test]
fn the_slowest_kernels_come_first_with_their_losses_and_tiles() {
    let folder = Folder::new();
    let said = folder.derate("explain zoo:resnet18 --hardware ethos-u65-512 --top 4 --format json").exits(0).json();
    let kernels = said.as_array().expect("an array");
    let all = folder.derate("estimate zoo:resnet18 --hardware ethos-u65-512 --format json").exits(0).json();
    let mut times: Vec<f64> =
        all["kernels"].as_array().expect("kernels").iter().map(|kernel| number(kernel, "latency_us")).collect();
    times.sort_by(|a, b| b.total_cmp(a));
    let slowest: Vec<f64> = kernels.iter().map(|kernel| number(kernel, "latency_us")).collect();
    assert_eq!(slowest, times[..4]);
    for kernel in kernels {
        // What the losses leave, one after the other, is the utilization of the product.
        let losses = kernel["losses"].as_array().expect("losses");
        let left: f64 = losses.iter().map(|loss| number(loss, "left")).product();
        assert!(losses.iter().all(|loss| loss["loss"].is_string()), "{kernel}");
        assert!(left > 0.0 && left <= 1.0 && number(kernel, "utilization") <= left * 1.01, "{left}: {kernel}");
        for tile in kernel["tile"].as_array().expect("tiles") {
            let [moved, bound] = ["traffic_bytes", "lower_bound_bytes"].map(|key| number(tile, key));
            assert!(bound <= moved, "{tile}");
        }
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let folder = Folder::new();
    let gemm = "explain gemm:8x8x8";
    folder
        .derate(&format!("{gemm} --hardware jetson-agx-orin-64bg"))
        .refused(&["--hardware \"jetson-agx-orin-64bg\"", "did you mean \"jetson-agx-orin-64gb\"?"]);
    folder.derate(gemm).refused(&["--hardware"]);
    folder.derate(&format!("{gemm} --hardware two_core.toml --top 0")).refused(&["--top", "0", "1.."]);
    folder.derate(&format!("{gemm} --hardware two_core.toml --thermal-profile hot")).refused(&["hot", "default"]);
    folder.derate(&format!("{gemm} --hardware two_core.toml --clock fast")).refused(&["fast", "sustained, boost"]);
    folder.derate(&format!("{gemm} --hardware two_core.toml --precision fp64")).refused(&["two-core"]);
    folder.derate("explain zoo:resnet19 --hardware two_core.toml").refused(&["resnet19", "did you mean resnet18?"]);
}
