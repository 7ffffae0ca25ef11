//! Live channels of the published networks, and of one made by hand.

use std::path::PathBuf;

use super::{Live, live};
use crate::boards::network::{Kind as Class, Network};
use crate::import::Options;
use crate::import::tflite::quantized::{Clamp, Integer, Kind, Operator, Quantized, Tensor};

#[test]
fn published_networks_have_the_live_macs_that_were_counted() {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data/mlperf_tiny");
    if !folder.is_dir() {
        eprintln!("skipped: no networks in {}", folder.display());
        return;
    }
    for (name, macs, live) in [
        ("ad01_int8", 264_192, 264_192..=264_192),
        ("kws_ref_model", 2_656_768, 2_656_768..=2_656_768),
        ("pretrainedResnet_quant", 12_501_632, 12_501_632..=12_501_632),
        ("vww_96_int8", 7_489_664, 3_725_000..=3_735_000),
    ] {
        let path = folder.join(format!("{name}.tflite")).display().to_string();
        let network = Network::read(&path, name, &Options::default()).expect("a network");
        assert_eq!(network.macs(), macs, "{name}");
        assert!(live.contains(&network.live_macs()), "{name}: {} live MACs", network.live_macs());
        assert!(network.uncounted.is_empty(), "{name}: {:?}", network.uncounted);
    }
    // Work of the one with dead channels, as an independent count of the same file has it, with k0 = 20 and n0 = 4.
    let path = folder.join("vww_96_int8.tflite").display().to_string();
    let work = Network::read(&path, "vww", &Options::default()).expect("a network").work(20.0, 4.0);
    let near = |kind: Class, got: &[f64; 4], want: f64| {
        let got = got[Class::ALL.iter().position(|other| *other == kind).expect("a kind")];
        assert!((got / want - 1.0).abs() < 0.005, "{}: {got}, not {want}", kind.name());
    };
    near(Class::Pointwise, &work.dense, 8.693_808_94e6);
    near(Class::Pointwise, &work.live, 4.625_769_82e6);
    near(Class::Depthwise, &work.live, 6.366_6e5);
}

#[test]
fn a_network_by_hand() {
    let computed = |name: &str, channels| Tensor {
        name: name.to_owned(),
        shape: vec![1, channels],
        stored: Some(Integer::I8),
        scales: vec![1.0],
        zero_points: vec![0],
        content: &[],
    };
    let weights = |shape: [usize; 2], content| Tensor {
        name: "weights".to_owned(),
        shape: shape.to_vec(),
        stored: Some(Integer::I8),
        scales: vec![1.0],
        zero_points: vec![0],
        content,
    };
    let layer = |input, weights, output| Operator {
        kind: Kind::FullyConnected,
        clamp: Clamp::Relu,
        inputs: vec![Some(input), Some(weights), None],
        outputs: vec![output],
    };
    // Two inputs; hidden outputs x0, 0 (no weight) and x1; the last layer reads the first hidden output alone.
    let network = Quantized {
        tensors: vec![
            computed("x", 2),
            weights([3, 2], &[1, 0, 0, 0, 0, 1]),
            computed("hidden", 3),
            weights([1, 3], &[1, 1, 0]),
            computed("y", 1),
        ],
        operators: vec![layer(0, 1, 2), layer(2, 3, 4)],
        outputs: vec![4],
    };
    // Of three hidden outputs one changes and is read; it weighs one of two inputs.
    let named = |name: &str, outputs, all_outputs, inputs, all_inputs| Live {
        name: name.to_owned(),
        outputs,
        all_outputs,
        inputs,
        all_inputs,
    };
    assert_eq!(live(&network), [named("hidden", 1, 3, 1, 2), named("y", 1, 1, 1, 3)]);
}
