//! Quantized networks, and operators of `com.microsoft`.

use derate_core::graph::Tables;
use derate_core::shape::DataType;

use super::model::*;

fn bytes(name: &str, dims: &[i64]) -> crate::import::onnx::proto::Tensor {
    let count = usize::try_from(dims.iter().product::<i64>()).expect("a count");
    raw(name, INT8, dims, vec![3; count])
}

#[test]
fn a_dequantized_weight_stays_a_weight_of_8_bits() {
    let stored = vec![
        bytes("w", &[8, 3, 1, 1]),
        weight("s", &[8]),
        bytes("z", &[8]),
        floats("one", &[0.1]),
        bytes("zero", &[1]),
    ];
    let nodes = vec![
        node("DequantizeLinear", &["w", "s", "z"], &["w_real"]).int("axis", 0),
        node("QuantizeLinear", &["x", "one", "zero"], &["q"]),
        node("DequantizeLinear", &["q", "one", "zero"], &["d"]),
        node("Conv", &["d", "w_real"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[1, 3, 4, 4])], stored, nodes));
    assert_eq!((ops(&import), import.bookkeeping), (vec!["quantize", "quantize", "conv2d"], 1));
    assert_eq!((work(&import).params, work(&import).bytes_stored.0, work(&import).macs.0), (24, 24, 16 * 24));
}

#[test]
fn quantized_layers_count_their_macs() {
    let stored = vec![
        bytes("w", &[8, 3, 1, 1]),
        raw("b", 6, &[8], vec![1; 32]),
        bytes("m", &[8, 5]),
        floats("s", &[0.1]),
        bytes("z", &[1]),
        ints("flat", &[0, -1]),
    ];
    let nodes = vec![
        node("QuantizeLinear", &["x", "s", "z"], &["q"]),
        node("QLinearConv", &["q", "s", "z", "w", "s", "z", "s", "z", "b"], &["c"]),
        node("QLinearGlobalAveragePool", &["c", "s", "z", "s", "z"], &["p"]).domain("com.microsoft"),
        node("Reshape", &["p", "flat"], &["f"]),
        node("QLinearMatMul", &["f", "s", "z", "m", "s", "z", "s", "z"], &["l"]),
        node("MatMulInteger", &["f", "m"], &["i"]),
        node("DequantizeLinear", &["l", "s", "z"], &["y"]),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[1, 3, 4, 4])], stored, nodes));
    let expected = ["quantize", "conv2d", "adaptive_avg_pool2d", "view", "linear", "linear", "cast", "quantize"];
    assert_eq!(ops(&import), expected);
    assert_eq!((work(&import).macs.0, work(&import).params), (16 * 24 + 40 + 40, 24 + 8 + 40));
    let view = import.graph.view();
    let types: Vec<DataType> = view.nodes().iter().map(|node| view.output(node).expect("a tensor").data_type).collect();
    assert_eq!((types[1], types[6], types[7]), (DataType::Int8, DataType::Int32, DataType::Fp32));
}

#[test]
fn operators_of_a_runtime() {
    let stored = vec![weight("w", &[6]), weight("b", &[6])];
    let nodes = vec![
        node("SkipLayerNormalization", &["x", "x", "w", "b"], &["n"]).domain("com.microsoft"),
        node("BiasGelu", &["n", "b"], &["g"]).domain("com.microsoft"),
        node("FusedMatMul", &["g", "g"], &["y"]).int("transB", 1).domain("com.microsoft"),
    ];
    let import = good(graph(vec![info("x", FLOAT, &[2, 4, 6])], stored, nodes));
    assert_eq!((ops(&import), last(&import)), (vec!["add", "layer_norm", "add", "gelu", "mat_mul"], vec![2, 4, 4]));
    assert_eq!(work(&import).params, 12);
}
