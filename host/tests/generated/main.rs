//! Graphs written as Rust source: the committed files are what the program writes now, they compile, and what core says of them in
//! flash is what it says of the host's graphs.
//!
//! With `DERATE_BLESS` set the test writes the files instead.

#[allow(dead_code, unreachable_pub, reason = "a whole file as users get it")]
mod every_op;
#[allow(dead_code, unreachable_pub, reason = "a whole file as users get it")]
mod resnet18;

use std::fs;
use std::path::Path;

use derate::export::rust;
use derate::graph_buf::GraphBuf;
use derate::hardware_file::HardwareFile;
use derate::zoo;
use derate_core::estimate::{Target, estimate};
use derate_core::fusion::{INFERENCE, Link, Readers, fuse};
use derate_core::graph::{GraphView, Tables};
use derate_core::memory::{Buffer, footprint};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::TensorKind;

fn resnet() -> GraphBuf {
    zoo::network("resnet18", 1, DataType::Fp32).expect("a graph")
}

/// A graph with every op once at least.
fn all_ops() -> GraphBuf {
    let mut net = GraphBuf::new("every \"op\"");
    let shape = |extents: &[u32]| Shape::new(extents).expect("a shape");
    let x = net.add_input(&[2, 8, 6, 6], DataType::Fp32).expect("an input");
    let rows = net.add_source("rows", &[2, 4, 8], DataType::Fp32, TensorKind::Input).expect("an input");
    let table = net.add_source("table", &[2, 4, 8], DataType::Fp32, TensorKind::Parameter).expect("a tensor");
    let mask = net.add_source("mask", &[2, 4, 8], DataType::Bool, TensorKind::Constant).expect("a tensor");
    let indices = net.add_source("indices", &[3], DataType::Int64, TensorKind::Input).expect("an input");
    let uneven = Window { kernel: 3, stride: 2, padding: [0, 1], dilation: 1 };
    let odd = Windows::new(&[uneven, Window::new(1, 1, 0)]).expect("two axes");
    let square = Windows::square(2, 2, 0);
    let (int8, some) = (DataType::Int8, Some(DataType::Int8));
    let image: [Op; 17] = [
        Op::Conv(Conv { c_in: 8, c_out: 4, groups: 2, windows: odd, bias: true, weights: some }),
        Op::ConvTranspose(ConvTranspose {
            c_in: 8,
            c_out: 4,
            groups: 1,
            windows: square,
            output_padding: [1, 0, 0],
            bias: false,
            weights: None,
        }),
        Op::BatchNorm(BatchNorm { features: 8 }),
        Op::GroupNorm(GroupNorm { groups: 2, affine: Affine::BOTH }),
        Op::LocalResponseNorm(LocalResponseNorm { size: 5 }),
        Op::Activation(Activation { kind: ActivationKind::Relu6, in_place: false }),
        Op::PRelu(PRelu { slopes: 8 }),
        Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false }),
        Op::Cast(Cast { to: DataType::Fp16 }),
        Op::Quantize(Quantize { to: int8 }),
        Op::Pool(Pool { kind: PoolKind::Max, windows: square, ceil_mode: true }),
        Op::AdaptivePool(AdaptivePool { kind: PoolKind::Average, output: shape(&[1, 1]) }),
        Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: 0b1100, keep_dims: true }),
        Op::View(View { shape: shape(&[2, 288]) }),
        Op::Transpose(Transpose::new(&[0, 2, 3, 1]).expect("four axes")),
        Op::Move(Move { kind: MoveKind::Pad, shape: shape(&[2, 8, 8, 8]) }),
        Op::Resize(Resize { kind: ResizeKind::Linear, shape: shape(&[2, 8, 12, 12]) }),
    ];
    let sequence: [Op; 8] = [
        Op::Linear(Linear { in_features: 8, out_features: 3, bias: false, weights: some }),
        Op::LayerNorm(LayerNorm { axes: 1, affine: Affine { weight: true, bias: false } }),
        Op::RmsNorm(RmsNorm { weight: true }),
        Op::Softmax(Softmax { axis: 2, log: true }),
        Op::Scan(Scan { axis: 1 }),
        Op::TopK(TopK { axis: 2, k: 3 }),
        Op::Recurrent(Recurrent {
            cell: Cell::Lstm,
            input: 8,
            hidden: 5,
            layers: 2,
            bidirectional: true,
            bias: true,
            batch_first: true,
        }),
        Op::Attention(Attention { causal: true }),
    ];
    let several = [
        (Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), vec![rows, table]),
        (Op::Contraction(Contraction { shape: shape(&[2, 4, 4]), batch: 2, m: 4, n: 4, k: 8 }), vec![rows, table]),
        (Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), vec![rows, table]),
        (Op::Where(Where), vec![mask, rows, table]),
        (Op::Concat(Concat { axis: 1 }), vec![rows, table, rows]),
        (Op::Gather(Gather { axis: 1 }), vec![rows, indices]),
        (Op::Pick(Pick { shape: shape(&[3]) }), vec![rows, indices]),
        (Op::Scatter(Scatter { combine: true }), vec![rows, indices, table]),
        (Op::Embedding(Embedding { entries: 10, features: 4, data_type: DataType::Fp32 }), vec![indices]),
        (
            Op::MultiHeadAttention(MultiHeadAttention { embed: 8, heads: 2, k_features: 8, v_features: 8, bias: true }),
            vec![rows, rows, rows],
        ),
    ];
    let attention = |op: &Op| if matches!(op, Op::Attention(_)) { vec![rows; 3] } else { vec![rows] };
    let single = image.into_iter().map(|op| (op, vec![x]));
    let single = single.chain(sequence.into_iter().map(|op| (op, attention(&op))));
    for (number, (op, operands)) in single.chain(several).enumerate() {
        net.add_node(format!("{number}\t{}", op.name()), op, &operands, number == 2).expect("an op");
    }
    net
}

/// The committed file is what is written now; its tables are the host's.
#[track_caller]
fn is_current(file: &str, source: &str, graph: &GraphBuf, flash: GraphView<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated").join(file);
    let now = rust::write(graph, source).expect("every op has a Rust form");
    if std::env::var_os("DERATE_BLESS").is_some() {
        fs::write(&path, now).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(committed == now, "{} is not what is written now: set DERATE_BLESS to write it", path.display());
    let view = graph.view();
    assert_eq!(flash.check(), Ok(()));
    assert_eq!(flash.nodes(), view.nodes());
    assert_eq!(flash.tensors(), view.tensors());
    for node in view.nodes() {
        assert_eq!(flash.operands(node).ids(), view.operands(node).ids());
    }
    assert_eq!(flash.total_work(), view.total_work());
    let mut buffers = vec![Buffer::EMPTY; flash.tensors().len()];
    assert_eq!(footprint(flash, &mut buffers), graph.footprint());
}

#[test]
fn a_network_in_flash_is_the_hosts() {
    let graph = resnet();
    is_current("resnet18.rs", "zoo:resnet18@1", &graph, resnet18::graph());
    assert_eq!(resnet18::NAMES.as_slice(), graph.names());
    let (name, text) = derate_hw_specs::DEVICES.iter().find(|(name, _)| *name == "stm32l4r5").expect("shipped");
    let device = HardwareFile::parse(text, name).expect("a description");
    let estimated = device.with_hardware(|hardware| {
        let target = Target::new(hardware).expect("a profile");
        let [flash, host] = [resnet18::graph(), graph.view()].map(|view| estimate(view, &target).expect("an estimate"));
        assert_eq!(flash, host);
        flash.latency
    });
    assert!(estimated.is_ok_and(|latency| latency.0 > 0.0));
    let kernels = |view: GraphView<'_>| {
        let (mut readers, mut links) = ([Readers::NOBODY; 128], [Link::FREE; 128]);
        fuse(view, &INFERENCE, &mut readers, &mut links).expect("room").kernels().count()
    };
    assert_eq!(kernels(resnet18::graph()), kernels(graph.view()));
}

#[test]
fn every_op_has_a_rust_form() {
    let graph = all_ops();
    let kinds: std::collections::BTreeSet<String> = graph
        .view()
        .nodes()
        .iter()
        .map(|node| format!("{:?}", node.op).split('(').next().unwrap_or("").to_owned())
        .collect();
    assert_eq!(kinds.len(), 35, "{kinds:?}");
    is_current("every_op.rs", "host/tests/generated", &graph, every_op::graph());
}
