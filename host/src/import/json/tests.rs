//! Every op there and back; names of dimensions; errors that say what is wrong; hostile texts.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use derate_core::graph::Tables;
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};
use proptest::prelude::*;

use super::keys::FAMILIES;
use super::{json_schema, read_text, write};
use crate::graph_buf::GraphBuf;
use crate::import::{Import, Options};
use crate::zoo;

fn read(text: &str) -> Result<Import, String> {
    read_text(text, "test.json", "test", &Options::default()).map_err(|error| error.to_string())
}

/// What is written is read as the same graph.
fn round_trip(graph: &GraphBuf) {
    let text = write(graph);
    let back = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).graph;
    assert_eq!(back.name(), graph.name());
    assert_eq!(back.view().nodes(), graph.view().nodes(), "{text}");
    assert_eq!(back.view().tensors(), graph.view().tensors());
    assert_eq!(back.names(), graph.names());
    assert_eq!(back.sources(), graph.sources());
    for (node, again) in graph.view().nodes().iter().zip(back.view().nodes()) {
        assert_eq!(graph.view().work(node), back.view().work(again));
    }
    assert_eq!(write(&back), text);
}

fn shape(extents: &[u32]) -> Shape {
    Shape::new(extents).expect("few axes")
}

fn windows(axes: usize, pool: bool) -> Windows {
    let window = |axis: u16| Window {
        kernel: 3 + axis,
        stride: 1 + axis,
        padding: if pool { [1, 1] } else { [axis, 1] },
        dilation: if pool { 1 } else { 2 },
    };
    Windows::new(&(0..3).map(window).take(axes).collect::<Vec<_>>()).expect("axes")
}

/// Every op, with operands of these shapes; integers where it takes indices.
fn every_op() -> Vec<(Op, Vec<&'static [u32]>)> {
    let image: &[u32] = &[2, 4, 16, 16];
    let images: [&[u32]; 3] = [&[2, 4, 16], image, &[2, 4, 16, 16, 16]];
    let mut ops: Vec<(Op, Vec<&[u32]>)> = Vec::new();
    let linear = |bias, weights| Op::Linear(Linear { in_features: 16, out_features: 8, bias, weights });
    ops.push((linear(true, None), vec![image]));
    ops.push((linear(false, Some(DataType::Int8)), vec![image]));
    ops.push((Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), vec![&[2, 5, 16], &[2, 7, 16]]));
    ops.push((Op::MatMul(MatMul { transpose_a: true, transpose_b: false }), vec![&[2, 16, 5], &[2, 16, 7]]));
    let contraction = Contraction { shape: shape(&[2, 5, 7]), batch: 2, m: 5, n: 7, k: 16 };
    ops.push((Op::Contraction(contraction), vec![&[2, 5, 16], &[2, 16, 7]]));
    for (axes, image) in (1..).zip(images) {
        let windows_of = windows(axes, false);
        let weights = (axes == 2).then_some(DataType::Bf16);
        ops.push((
            Op::Conv(Conv { c_in: 4, c_out: 8, groups: 2, windows: windows_of, bias: true, weights }),
            vec![image],
        ));
        let mut output_padding = [0; 3];
        output_padding[axes - 1] = 1;
        let transposed =
            ConvTranspose { c_in: 4, c_out: 8, groups: 2, windows: windows_of, output_padding, bias: false, weights };
        ops.push((Op::ConvTranspose(transposed), vec![image]));
        for kind in [PoolKind::Max, PoolKind::Average, PoolKind::Norm] {
            ops.push((Op::Pool(Pool { kind, windows: windows(axes, true), ceil_mode: axes == 2 }), vec![image]));
            let output = shape(&[3, 2, 1][..axes]);
            ops.push((Op::AdaptivePool(AdaptivePool { kind, output }), vec![image]));
        }
    }
    let heads: &[u32] = &[2, 4, 10, 16];
    ops.push((Op::Attention(Attention { causal: true }), vec![heads; 3]));
    ops.push((Op::Attention(Attention { causal: false }), vec![heads, heads, heads, &[10, 10]]));
    let multi = MultiHeadAttention { embed: 16, heads: 4, k_features: 8, v_features: 12, bias: true };
    ops.push((Op::MultiHeadAttention(multi), vec![&[2, 10, 16], &[2, 9, 8], &[2, 9, 12]]));
    for cell in Cell::ALL {
        let bidirectional = cell == Cell::Gru;
        let recurrent =
            Recurrent { cell, input: 16, hidden: 8, layers: 2, bidirectional, bias: true, batch_first: !bidirectional };
        ops.push((Op::Recurrent(recurrent), vec![&[2, 10, 16]]));
    }
    ops.push((Op::BatchNorm(BatchNorm { features: 4 }), vec![image]));
    ops.push((Op::LayerNorm(LayerNorm { axes: 2, affine: Affine { weight: true, bias: false } }), vec![image]));
    ops.push((Op::RmsNorm(RmsNorm { weight: true }), vec![image]));
    ops.push((Op::GroupNorm(GroupNorm { groups: 2, affine: Affine::BOTH }), vec![image]));
    ops.push((Op::LocalResponseNorm(LocalResponseNorm { size: 5 }), vec![image]));
    for kind in ActivationKind::ALL {
        ops.push((Op::Activation(Activation { kind, in_place: kind == ActivationKind::Relu }), vec![image]));
    }
    ops.push((Op::PRelu(PRelu { slopes: 4 }), vec![image]));
    for kind in BinaryKind::ALL {
        let in_place = kind == BinaryKind::Add;
        ops.push((Op::Binary(Binary { kind, in_place }), vec![image, &[4, 1, 1]]));
        ops.push((Op::Scalar(Scalar { kind, in_place }), vec![image]));
    }
    ops.push((Op::Where(Where), vec![&[16], image, image]));
    ops.push((Op::Cast(Cast { to: DataType::Fp16 }), vec![image]));
    ops.push((Op::Quantize(Quantize { to: DataType::Int8 }), vec![image]));
    for log in [false, true] {
        ops.push((Op::Softmax(Softmax { axis: 1, log }), vec![image]));
    }
    for kind in ReduceKind::ALL {
        ops.push((Op::Reduce(Reduce { kind, axes: 0b1100, keep_dims: kind == ReduceKind::Mean }), vec![image]));
    }
    ops.push((Op::Scan(Scan { axis: 3 }), vec![image]));
    ops.push((Op::TopK(TopK { axis: 1, k: 3 }), vec![image]));
    ops.push((Op::Concat(Concat { axis: 1 }), vec![image, &[2, 3, 16, 16], image]));
    ops.push((Op::View(View { shape: shape(&[2, 1024]) }), vec![image]));
    ops.push((Op::Transpose(Transpose::new(&[0, 2, 3, 1]).expect("axes")), vec![image]));
    for (kind, extents) in MoveKind::ALL.into_iter().zip([
        [2, 4, 8, 8],
        [2, 4, 18, 16],
        [2, 4, 16, 16],
        [2, 8, 16, 32],
        [4, 2, 16, 16],
        [2, 36, 14, 14],
    ]) {
        ops.push((Op::Move(Move { kind, shape: shape(&extents) }), vec![image]));
    }
    ops.push((Op::Gather(Gather { axis: 1 }), vec![image, &[3, 5]]));
    ops.push((Op::Pick(Pick { shape: shape(&[7, 16]) }), vec![image, &[7, 3]]));
    ops.push((Op::Scatter(Scatter { combine: true }), vec![image, &[3], &[3, 16]]));
    ops.push((Op::Embedding(Embedding { entries: 100, features: 8, data_type: DataType::Fp16 }), vec![&[2, 10]]));
    for kind in ResizeKind::ALL {
        ops.push((Op::Resize(Resize { kind, shape: shape(&[2, 4, 32, 24]) }), vec![image]));
    }
    ops
}

/// A graph of these ops, each on inputs and stored tensors of its own.
fn graph_of(ops: &[(Op, Vec<&'static [u32]>)]) -> GraphBuf {
    let mut graph = GraphBuf::new("all \"ops\"\n");
    for (place, (op, operands)) in ops.iter().enumerate() {
        let kinds = [TensorKind::Input, TensorKind::Parameter, TensorKind::Constant];
        let ids: Vec<TensorId> = operands
            .iter()
            .zip(kinds.into_iter().cycle())
            .enumerate()
            .map(|(position, (extents, kind))| {
                graph.add_source(format!("{place}.{position}"), extents, DataType::Fp32, kind).expect("valid")
            })
            .collect();
        graph.add(format!("op {place}"), *op, &ids).unwrap_or_else(|error| panic!("{error}"));
    }
    graph
}

#[test]
fn every_op_survives_a_round_trip() {
    let ops = every_op();
    round_trip(&graph_of(&ops));
    // No name of the table is left out, and no op has another.
    let written: HashSet<&str> = ops.iter().map(|(op, _)| op.name()).collect();
    let table: HashSet<&str> = FAMILIES.iter().flat_map(|family| family.ops.iter().copied()).collect();
    assert_eq!(written, table);
}

#[test]
fn networks_survive_a_round_trip() {
    for name in zoo::NETWORKS {
        round_trip(&zoo::network(name, 2, DataType::Fp32).expect("known"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any ops in any order, each perhaps sharing the weights of an earlier one, with results that others read.
    #[test]
    fn graphs_survive_a_round_trip(picks in prop::collection::vec((0..1000_usize, any::<bool>()), 1..12)) {
        let ops = every_op();
        let mut graph = GraphBuf::new("random");
        for (place, &(pick, shared)) in picks.iter().enumerate() {
            let (op, operands) = &ops[pick % ops.len()];
            let ids: Vec<TensorId> = operands
                .iter()
                .enumerate()
                .map(|(position, extents)| {
                    let tensor = graph.view().tensors().iter().rposition(|tensor| {
                        tensor.shape.extents() == *extents && tensor.data_type == DataType::Fp32
                    });
                    let earlier = tensor.and_then(|index| graph.sources().iter().map(|(id, _)| *id).find(|id| id.index() == index));
                    earlier.unwrap_or_else(|| {
                        let name = format!("{place}.{position}");
                        graph.add_source(name, extents, DataType::Fp32, TensorKind::Input).expect("valid")
                    })
                })
                .collect();
            graph.add_node(format!("op{place}"), *op, &ids, shared && place > 0).expect("valid");
        }
        // What is shared is shared with the first that is not: the first op is none that shares.
        round_trip(&graph);
    }
}

#[test]
fn further_outputs_and_repeated_names_have_names_of_their_own() {
    let mut graph = GraphBuf::new("names");
    let x = graph.add_input(&[2, 10, 16], DataType::Fp32).expect("valid");
    let lstm = Recurrent {
        cell: Cell::Lstm,
        input: 16,
        hidden: 8,
        layers: 1,
        bidirectional: false,
        bias: true,
        batch_first: true,
    };
    let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: false });
    let y = graph.add("a", Op::Recurrent(lstm), &[x]).expect("valid");
    graph.add("a:1", relu, &[y.offset(2)]).expect("valid");
    graph.add("a", relu, &[y.offset(1)]).expect("valid");
    let text = write(&graph);
    let back = read(&text).expect("valid").graph;
    assert_eq!(back.view().nodes(), graph.view().nodes());
    assert_eq!(back.names(), ["a", "a:1#2", "a#2"]);
    assert!(text.contains("\"operands\": [\"a:2\"]"), "{text}");
}

#[test]
fn shared_weights_count_once() {
    let text = r#"{"format": "derate-graph", "version": 1,
        "tensors": [{"name": "x", "kind": "input", "shape": [1, 8], "data_type": "fp32"}],
        "ops": [{"name": "a", "op": "linear", "operands": ["x"], "in_features": 8, "out_features": 8, "bias": true},
                {"name": "b", "op": "linear", "operands": ["a"], "in_features": 8, "out_features": 8, "bias": true, "shares": "a"}]}"#;
    let import = read(text).expect("valid");
    let work = import.graph.view().total_work().expect("small");
    assert_eq!((work.macs.0, work.params), (2 * 64, 72));
    round_trip(&import.graph);
    assert!(
        read(&text.replace("\"shares\": \"a\"", "\"shares\": \"aa\"")).unwrap_err().contains("did you mean \"a\"?")
    );
}

const OPEN: &str = r#"{"format": "derate-graph", "version": 1, "name": "open",
    "tensors": [{"name": "x", "kind": "input", "shape": ["batch", "tokens", 8], "data_type": "fp32"}],
    "ops": [{"name": "rows", "op": "view", "operands": ["x"], "shape": ["batch * tokens", "2*4"]},
            {"name": "y", "op": "linear", "operands": ["rows"], "in_features": 8, "out_features": 4, "bias": true}]}"#;

#[test]
fn names_of_dimensions_are_bound() {
    let dims = BTreeMap::from([("tokens".to_owned(), 49)]);
    let import = read_text(OPEN, "test.json", "test", &Options { batch: Some(3), dims, ..Options::default() });
    let import = import.expect("bound");
    assert_eq!(import.graph.name(), "open");
    assert_eq!(import.graph.view().total_work().expect("small").macs.0, 3 * 49 * 8 * 4);
    let error = read(OPEN).expect_err("open");
    assert!(error.contains("batch, tokens without an extent"), "{error}");
    let dims = BTreeMap::from([("tokens".to_owned(), u32::MAX)]);
    let huge = read_text(OPEN, "test.json", "test", &Options { batch: Some(2), dims, ..Options::default() });
    assert!(huge.expect_err("too many").to_string().contains("no extent"));
}

#[test]
fn errors_name_op_key_and_what_is_allowed() {
    let whole = OPEN.replace("\"batch\", \"tokens\", 8", "1, 2, 8").replace("\"batch * tokens\", \"2*4\"", "2, 8");
    read(&whole).expect("valid");
    for (from, to, message) in [
        ("\"bias\": true", "\"biass\": true", "op y (linear): unknown key \"biass\"; did you mean \"bias\"?"),
        ("\"bias\": true", "\"bias\": 1", "op y (linear): \"bias\": 1 is neither true nor false"),
        (", \"bias\": true", "", "op y (linear): \"bias\" is missing"),
        ("\"in_features\": 8", "\"in_features\": -8", "\"in_features\": -8 is no extent"),
        ("\"in_features\": 8", "\"in_features\": 9", "y (linear) on [2, 8]"),
        ("\"op\": \"linear\"", "\"op\": \"liner\"", "unknown op \"liner\"; did you mean \"linear\"?"),
        ("\"op\": \"view\"", "\"op\": 7", "op rows: \"op\": 7 is no text"),
        ("[\"rows\"]", "[\"row\"]", "operand \"row\" is no tensor and no earlier op; did you mean \"rows\"?"),
        ("[\"rows\"]", "[\"rows:1\"]", "operand \"rows:1\" is no tensor"),
        ("[\"rows\"]", "[3]", "operand 3 is no name"),
        ("\"name\": \"y\"", "\"name\": \"x\"", "the name stands for another tensor or op already"),
        (
            "\"kind\": \"input\"",
            "\"kind\": \"weight\"",
            "\"weight\" is unknown; allowed are input, parameter, constant",
        ),
        ("\"data_type\": \"fp32\"", "\"data_type\": \"float\"", "\"float\" is no data type; allowed are fp64, fp32"),
        ("\"data_type\": \"fp32\"", "\"data_type\": \"fp32\", \"after\": \"z\"", "no op is called \"z\""),
        ("\"version\": 1", "\"version\": 2", "\"version\": 2 is unknown; known is 1"),
        ("\"format\": \"derate-graph\"", "\"format\": \"onnx\"", "known is \"derate-graph\""),
        ("[1, 2, 8]", "[1, 2, 8, 1, 1, 1, 1, 1, 1]", "9 axes; at most 8 are possible"),
        ("[1, 2, 8]", "[4294967295, 4294967295, 4294967295]", "x (input)"),
        ("[1, 2, 8]", "[4294967296]", "4294967296 is no extent"),
        ("[1, 2, 8]", "[1.5, 2, 8]", "1.5 is no extent"),
        ("\"tensors\": [", "\"tensors\": [3, ", "tensor 0: 3 is no object"),
        ("\"name\": \"open\"", "\"nam\": \"open\"", "unknown key \"nam\"; did you mean \"name\"?"),
    ] {
        assert!(whole.contains(from), "{from}");
        let error = read(&whole.replace(from, to)).expect_err(to);
        assert!(error.starts_with("test.json: ") && error.contains(message), "{to}: {error}");
    }
}

#[test]
fn a_rank_must_be_that_of_the_name() {
    let text = r#"{"format": "derate-graph", "version": 1,
        "tensors": [{"name": "x", "kind": "input", "shape": [1, 3, 8, 8], "data_type": "fp32"}],
        "ops": [{"name": "y", "op": "conv2d", "operands": ["x"], "in_channels": 3, "out_channels": 4, "kernel": [3], "bias": true}]}"#;
    assert!(read(text).unwrap_err().contains("\"conv2d\" with attributes of conv1d"));
    assert!(read(&text.replace("[3]", "[3, 3], \"padding\": [1]")).unwrap_err().contains("\"padding\": 1 axes"));
    assert!(read(&text.replace("[3]", "[3, 3], \"padding\": [1, [1, 2, 3]]")).unwrap_err().contains("3 sides"));
}

#[test]
fn hostile_texts_are_errors_soon() {
    let start = Instant::now();
    let open = |text: &str| text.repeat(100_000);
    for text in [
        String::new(),
        open("["),
        open("{\"nodes\":"),
        "\u{0}".to_owned(),
        "9".repeat(100_000),
        "{\"format\": \"derate-graph\"}".to_owned(),
        format!("{{\"{}\": 1, \"format\": \"derate-graph\"}}", "k".repeat(1_000_000)),
        format!("{{\"nodes\": [{}1]}}", open("1,")),
        " ".repeat(9 << 20),
    ] {
        let error = read(&text).expect_err("hostile");
        assert!(error.len() < 500, "{error}");
    }
    // Work does not grow with extents: windows over four billion outputs are counted at once.
    let text = r#"{"format": "derate-graph", "version": 1,
        "tensors": [{"name": "x", "kind": "input", "shape": [1, 1, 7, 7], "data_type": "fp32"}],
        "ops": [{"name": "y", "op": "adaptive_avg_pool2d", "operands": ["x"], "output_size": [4294967295, 65535]}]}"#;
    read(text).expect("large, but countable");
    // Generous: the slowest takes milliseconds; what hangs takes minutes.
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn the_documented_example_is_a_graph() {
    let page = include_str!("../../../../docs/formats.md");
    let example = page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let options = Options { batch: Some(2), ..Options::default() };
    let import = read_text(example, "formats.md", "formats", &options).unwrap_or_else(|error| panic!("{error}"));
    // 32 · 32 outputs of 16 channels, each of 3 · 3 taps of 3 channels; 16384 · 10.
    assert_eq!(import.graph.view().total_work().expect("small").macs.0, 2 * (1024 * 16 * 27 + 163_840));
}

#[test]
fn the_committed_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/graph.schema.json");
    if std::env::var_os("DERATE_WRITE_SCHEMA").is_some() {
        std::fs::write(path, json_schema()).expect("docs/graph.schema.json can be written");
    }
    let committed = std::fs::read_to_string(path).expect("docs/graph.schema.json");
    assert!(
        committed == json_schema(),
        "write it anew: `DERATE_WRITE_SCHEMA=1 cargo test -p derate --lib the_committed_schema_is_current`"
    );
}
