//! `every "op"` as constants, for `derate-core`.
//!
//! Written by derate 0.1.0 from `host/tests/generated`; do not edit.
//! 35 ops, 43 tensors,
//! 23680 MACs, 94256 FLOPs, 1916 parameters,
//! 7512 bytes of weights,
//! 44604 bytes of activations at the peak.

use derate_core::graph::{GraphView, Node};
#[rustfmt::skip]
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind,
    Cast, Cell, Concat, Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm,
    LayerNorm, Linear, LocalResponseNorm, MatMul, Move, MoveKind, MultiHeadAttention, Op,
    PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize, ResizeKind,
    RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{Tensor, TensorId, TensorKind};

/// The graph.
#[must_use]
pub const fn graph() -> GraphView<'static> {
    GraphView::new(&NODES, &TENSORS, &OPERANDS)
}

/// Ops in execution order: op, first operand, operands, output, whether parameters are shared.
#[rustfmt::skip]
pub static NODES: [Node; 35] = [
    node(Op::Conv(Conv { c_in: 8, c_out: 4, groups: 2, windows: windows(&[window(3, 2, [0, 1], 1), window(1, 1, [0, 0], 1)]), bias: true, weights: Some(DataType::Int8) }), 0, 1, 5, false),
    node(Op::ConvTranspose(ConvTranspose { c_in: 8, c_out: 4, groups: 1, windows: windows(&[window(2, 2, [0, 0], 1), window(2, 2, [0, 0], 1)]), output_padding: [1, 0, 0], bias: false, weights: None }), 1, 1, 6, false),
    node(Op::BatchNorm(BatchNorm { features: 8 }), 2, 1, 7, true),
    node(Op::GroupNorm(GroupNorm { groups: 2, affine: Affine { weight: true, bias: true } }), 3, 1, 8, false),
    node(Op::LocalResponseNorm(LocalResponseNorm { size: 5 }), 4, 1, 9, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu6, in_place: false }), 5, 1, 10, false),
    node(Op::PRelu(PRelu { slopes: 8 }), 6, 1, 11, false),
    node(Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false }), 7, 1, 12, false),
    node(Op::Cast(Cast { to: DataType::Fp16 }), 8, 1, 13, false),
    node(Op::Quantize(Quantize { to: DataType::Int8 }), 9, 1, 14, false),
    node(Op::Pool(Pool { kind: PoolKind::Max, windows: windows(&[window(2, 2, [0, 0], 1), window(2, 2, [0, 0], 1)]), ceil_mode: true }), 10, 1, 15, false),
    node(Op::AdaptivePool(AdaptivePool { kind: PoolKind::Average, output: shape(&[1, 1]) }), 11, 1, 16, false),
    node(Op::Reduce(Reduce { kind: ReduceKind::Mean, axes: 12, keep_dims: true }), 12, 1, 17, false),
    node(Op::View(View { shape: shape(&[2, 288]) }), 13, 1, 18, false),
    node(Op::Transpose(Transpose { order: [0, 2, 3, 1, 255, 255, 255, 255] }), 14, 1, 19, false),
    node(Op::Move(Move { kind: MoveKind::Pad, shape: shape(&[2, 8, 8, 8]) }), 15, 1, 20, false),
    node(Op::Resize(Resize { kind: ResizeKind::Linear, shape: shape(&[2, 8, 12, 12]) }), 16, 1, 21, false),
    node(Op::Linear(Linear { in_features: 8, out_features: 3, bias: false, weights: Some(DataType::Int8) }), 17, 1, 22, false),
    node(Op::LayerNorm(LayerNorm { axes: 1, affine: Affine { weight: true, bias: false } }), 18, 1, 23, false),
    node(Op::RmsNorm(RmsNorm { weight: true }), 19, 1, 24, false),
    node(Op::Softmax(Softmax { axis: 2, log: true }), 20, 1, 25, false),
    node(Op::Scan(Scan { axis: 1 }), 21, 1, 26, false),
    node(Op::TopK(TopK { axis: 2, k: 3 }), 22, 1, 27, false),
    node(Op::Recurrent(Recurrent { cell: Cell::Lstm, input: 8, hidden: 5, layers: 2, bidirectional: true, bias: true, batch_first: true }), 23, 1, 29, false),
    node(Op::Attention(Attention { causal: true }), 24, 3, 32, false),
    node(Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), 27, 2, 33, false),
    node(Op::Contraction(Contraction { shape: shape(&[2, 4, 4]), batch: 2, m: 4, n: 4, k: 8 }), 29, 2, 34, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), 31, 2, 35, false),
    node(Op::Where(Where), 33, 3, 36, false),
    node(Op::Concat(Concat { axis: 1 }), 36, 3, 37, false),
    node(Op::Gather(Gather { axis: 1 }), 39, 2, 38, false),
    node(Op::Pick(Pick { shape: shape(&[3]) }), 41, 2, 39, false),
    node(Op::Scatter(Scatter { combine: true }), 43, 3, 40, false),
    node(Op::Embedding(Embedding { entries: 10, features: 4, data_type: DataType::Fp32 }), 46, 1, 41, false),
    node(Op::MultiHeadAttention(MultiHeadAttention { embed: 8, heads: 2, k_features: 8, v_features: 8, bias: true }), 47, 3, 42, false),
];

/// Tensors in order of definition.
#[rustfmt::skip]
pub static TENSORS: [Tensor; 43] = [
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Input },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Input },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Parameter },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Bool, kind: TensorKind::Constant },
    Tensor { shape: shape(&[3]), data_type: DataType::Int64, kind: TensorKind::Input },
    Tensor { shape: shape(&[2, 4, 3, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 13, 12]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Fp16, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 6, 6]), data_type: DataType::Int8, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 3, 3]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 1, 1]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 1, 1]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 288]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 6, 6, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 8, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 8, 12, 12]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 3]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 3]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 3]), data_type: DataType::Int64, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 10]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[4, 2, 5]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[4, 2, 5]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 4]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 4]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 12, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 3, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[3]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[3, 4]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[2, 4, 8]), data_type: DataType::Fp32, kind: TensorKind::Activation },
];

/// What the ops read, op after op.
#[rustfmt::skip]
pub static OPERANDS: [TensorId; 50] = [
    id(0), id(0), id(0), id(0), id(0), id(0), id(0), id(0), id(0), id(0), id(0), id(0),
    id(0), id(0), id(0), id(0), id(0), id(1), id(1), id(1), id(1), id(1), id(1), id(1),
    id(1), id(1), id(1), id(1), id(2), id(1), id(2), id(1), id(2), id(3), id(1), id(2),
    id(1), id(2), id(1), id(1), id(4), id(1), id(4), id(1), id(4), id(2), id(4), id(1),
    id(1), id(1),
];

/// Names of the ops; a program that does not use them does not hold them.
#[rustfmt::skip]
pub static NAMES: [&str; 35] = [
    "0\tconv2d",
    "1\tconv_transpose2d",
    "2\tbatch_norm",
    "3\tgroup_norm",
    "4\tlocal_response_norm",
    "5\trelu6",
    "6\tprelu",
    "7\tmul",
    "8\tcast",
    "9\tquantize",
    "10\tmax_pool2d",
    "11\tadaptive_avg_pool2d",
    "12\treduce_mean",
    "13\tview",
    "14\ttranspose",
    "15\tpad",
    "16\tresize_linear",
    "17\tlinear",
    "18\tlayer_norm",
    "19\trms_norm",
    "20\tlog_softmax",
    "21\tscan",
    "22\ttop_k",
    "23\tlstm",
    "24\tattention",
    "25\tmat_mul",
    "26\tcontraction",
    "27\tadd",
    "28\twhere",
    "29\tconcat",
    "30\tgather",
    "31\tpick",
    "32\tscatter",
    "33\tembedding",
    "34\tmulti_head_attention",
];

const fn id(number: u32) -> TensorId {
    TensorId::new(number)
}

const fn node(op: Op, first: u32, count: u16, output: u32, shared: bool) -> Node {
    Node::new(op, first, count, id(output), shared)
}

const fn shape(extents: &[u32]) -> Shape {
    match Shape::new(extents) {
        Ok(shape) => shape,
        Err(_) => panic!("more than 8 dimensions"),
    }
}

const fn windows(axes: &[Window]) -> Windows {
    match Windows::new(axes) {
        Ok(windows) => windows,
        Err(_) => panic!("not 1 to 3 axes"),
    }
}

const fn window(kernel: u16, stride: u16, padding: [u16; 2], dilation: u16) -> Window {
    let mut window = Window::new(kernel, stride, 0);
    window.padding = padding;
    window.dilation = dilation;
    window
}
