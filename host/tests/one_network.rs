//! One network, whatever file it comes from: the zoo, our JSON, ONNX, lists of nodes, TFLite, torch.export and TorchScript give the same
//! totals. Where a format writes an op out in parts, the difference is asserted to the FLOP and to the byte, with its reason.

use std::path::{Path, PathBuf};

use derate::graph_buf::GraphBuf;
use derate::import::{Options, import, json};
use derate::zoo;
use derate_core::graph::Tables;
use derate_core::shape::DataType;

/// What a network amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals {
    ops: usize,
    macs: u64,
    flops: u64,
    params: u64,
    /// Bytes stored with the network.
    weights: u64,
    /// Most bytes of activations alive at once.
    peak: u64,
}

fn totals(graph: &GraphBuf) -> Totals {
    let work = graph.view().total_work().expect("no overflow");
    let footprint = graph.footprint().expect("no overflow");
    Totals {
        ops: graph.view().nodes().len(),
        macs: work.macs.0,
        flops: work.flops.0,
        params: work.params,
        weights: footprint.weights.0,
        peak: footprint.peak_activations.0,
    }
}

fn network(name: &str, batch: u32, data_type: DataType) -> GraphBuf {
    zoo::network(name, batch, data_type).unwrap_or_else(|error| panic!("{error}"))
}

/// The graph of a file, all of which is counted.
fn read(path: &Path, options: &Options) -> GraphBuf {
    let import = import(&path.display().to_string(), options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(import.unsupported, [], "{}", path.display());
    import.graph
}

/// A folder of the shared data, or `None` where that is missing.
fn shared(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("DERATE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = shared.join("data").join(folder);
    if !path.exists() {
        eprintln!("skipped: {} is missing", path.display());
        return None;
    }
    Some(path)
}

/// Bytes of an activation of so many elements in fp32.
const fn fp32(elements: u64) -> u64 {
    4 * elements
}

#[test]
fn our_json_keeps_everything() {
    for name in zoo::NETWORKS {
        for (batch, data_type) in [(1, DataType::Fp32), (3, DataType::Int8)] {
            let graph = network(name, batch, data_type);
            let text = json::write(&graph);
            let again = json::read_text(&text, "again.json", "again", &Options::default());
            let again = again.unwrap_or_else(|error| panic!("{name}: {error}")).graph;
            assert_eq!((again.name(), again.names()), (name, graph.names()));
            let (now, then) = (again.view(), graph.view());
            assert_eq!((now.nodes(), now.tensors()), (then.nodes(), then.tensors()), "{name}");
            assert_eq!(totals(&again), totals(&graph), "{name}");
            assert_eq!(json::write(&again), text, "{name}");
        }
    }
}

/// What the file of a network of the zoo counts, exported by PyTorch.
fn exported(name: &str, zoo: Totals) -> Totals {
    match name {
        // A pool from 7 × 7 to 7 × 7 is written as one of single pixels, whose division counts, but no sum:
        // one FLOP less for each of 512 · 7 · 7 pixels.
        "vgg16" => Totals { flops: zoo.flops - 512 * 7 * 7, ..zoo },
        // ONNX knows no op in place: beside the output of the first convolution stands that of its ReLU, 64 × 111 × 111 both.
        "squeezenet1_1" => Totals { peak: 2 * fp32(64 * 111 * 111), ..zoo },
        // 49 SiLUs are written as x · sigmoid(x). Both factors and their product, 96 × 112 × 112 each, live at once.
        "efficientnet_b0" => Totals { ops: zoo.ops + 49, peak: 3 * fp32(96 * 112 * 112), ..zoo },
        // GELU is written as x · (1 + erf(x / √2)) · ½, five FLOPs too. Attention is written out, and scales queries and keys (197 × 768
        // each) where one op scales the scores (197 × 197 of 12 heads). In the MLP live x, x / √2 and its erf (197 × 3072 each), and what
        // the residual sum waits for.
        "vit_b_16" => Totals {
            ops: 561,
            flops: zoo.flops - 12 * (12 * 197 * 197 - 2 * 197 * 768),
            peak: fp32(3 * 197 * 3072 + 197 * 768),
            ..zoo
        },
        _ => zoo,
    }
}

#[test]
fn onnx_files_are_the_networks_of_the_zoo() {
    let Some(folder) = shared("onnx") else { return };
    for name in [
        "resnet18",
        "resnet50",
        "vgg16",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "squeezenet1_1",
        "vit_b_16",
    ] {
        let zoo = totals(&network(name, 1, DataType::Fp32));
        let file = totals(&read(&folder.join(format!("{name}.onnx")), &Options::default()));
        assert_eq!(file, exported(name, zoo), "{name}");
    }
}

#[test]
fn lists_of_nodes_are_the_networks_of_the_zoo() {
    let Some(folder) = shared("graphs") else { return };
    for name in [
        "resnet18",
        "resnet34",
        "resnet50",
        "vgg16",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "vit_b_16",
        "vit_b_32",
    ] {
        for batch in [1, 4] {
            let zoo = totals(&network(name, batch, DataType::Fp32));
            let options = Options { batch: Some(batch), ..Options::default() };
            let file = totals(&read(&folder.join(format!("{name}.json")), &options));
            // The expansion of the class token to a batch of one changes no shape: the file's alias of it is no op.
            let ops = if name.starts_with("vit") && batch == 1 { zoo.ops - 1 } else { zoo.ops };
            assert_eq!(file, Totals { ops, ..zoo }, "{name} at batch {batch}");
        }
    }
}

#[test]
fn tflite_files_are_the_networks_of_the_zoo() {
    let Some(folder) = shared("mlperf_tiny") else { return };
    for (name, file) in [
        ("tiny_ad", "ad01_int8"),
        ("tiny_kws", "kws_ref_model"),
        ("tiny_ic", "pretrainedResnet_quant"),
        ("tiny_vww", "vww_96_int8"),
    ] {
        let zoo = totals(&network(name, 1, DataType::Int8));
        let file = totals(&read(&folder.join(format!("{file}.tflite")), &Options::default()));
        assert_eq!(file, zoo, "{name}");
    }
}

#[derive(serde::Deserialize)]
struct Sample {
    inputs: Vec<Vec<u32>>,
}

#[test]
fn pytorch_writes_one_network_in_four_ways() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let text = std::fs::read_to_string(folder.join("counts.json")).expect("counts.json");
    let samples: std::collections::BTreeMap<String, Sample> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(samples.len(), 6);
    for (name, Sample { inputs }) in samples {
        let options = Options { inputs, ..Options::default() };
        let of = |end: &str| totals(&read(&folder.join(format!("{name}{end}")), &options));
        let exported = of(".pt2");
        assert_eq!(of("_traced.pt"), exported, "{name}: traced");
        assert_eq!(of("_scripted.pt"), exported, "{name}: scripted");
        // Decomposed into core ops: more of them, and other ones alive at once.
        let core = of("_core.pt2");
        let (flops, weights) = match name.as_str() {
            // hardswish of 24 × 14 × 14 and hardsigmoid of 24 elements are clamped to 0 ..= 6 in two steps, of which the second counts both
            // bounds: one FLOP more an element.
            "mobile" => (exported.flops + 24 * 14 * 14 + 24, exported.weights),
            // The first states, zeros within an LSTM, are constants: h and c of two layers in two directions, 2 × 12 each.
            "words" => (exported.flops, exported.weights + 8 * fp32(2 * 12)),
            _ => (exported.flops, exported.weights),
        };
        let expected = Totals { ops: core.ops, peak: core.peak, flops, weights, ..exported };
        assert_eq!(core, expected, "{name}: in core ops");
    }
}
