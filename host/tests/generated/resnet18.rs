//! `resnet18` as constants, for `derate-core`.
//!
//! Written by derate 0.1.0 from `zoo:resnet18@1`; do not edit.
//! 69 ops, 70 tensors,
//! 1814073344 MACs, 3638007784 FLOPs, 11689512 parameters,
//! 46796448 bytes of weights,
//! 6422528 bytes of activations at the peak.

use derate_core::graph::{GraphView, Node};
#[rustfmt::skip]
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, BatchNorm, Binary, BinaryKind, Conv, Linear, Op,
    Pool, PoolKind, View, Window, Windows,
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
pub static NODES: [Node; 69] = [
    node(Op::Conv(Conv { c_in: 3, c_out: 64, groups: 1, windows: windows(&[window(7, 2, [3, 3], 1), window(7, 2, [3, 3], 1)]), bias: false, weights: None }), 0, 1, 1, false),
    node(Op::BatchNorm(BatchNorm { features: 64 }), 1, 1, 2, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 2, 1, 3, false),
    node(Op::Pool(Pool { kind: PoolKind::Max, windows: windows(&[window(3, 2, [1, 1], 1), window(3, 2, [1, 1], 1)]), ceil_mode: false }), 3, 1, 4, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 64, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 4, 1, 5, false),
    node(Op::BatchNorm(BatchNorm { features: 64 }), 5, 1, 6, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 6, 1, 7, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 64, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 7, 1, 8, false),
    node(Op::BatchNorm(BatchNorm { features: 64 }), 8, 1, 9, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 9, 2, 10, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 11, 1, 11, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 64, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 12, 1, 12, false),
    node(Op::BatchNorm(BatchNorm { features: 64 }), 13, 1, 13, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 14, 1, 14, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 64, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 15, 1, 15, false),
    node(Op::BatchNorm(BatchNorm { features: 64 }), 16, 1, 16, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 17, 2, 17, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 19, 1, 18, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 128, groups: 1, windows: windows(&[window(3, 2, [1, 1], 1), window(3, 2, [1, 1], 1)]), bias: false, weights: None }), 20, 1, 19, false),
    node(Op::BatchNorm(BatchNorm { features: 128 }), 21, 1, 20, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 22, 1, 21, false),
    node(Op::Conv(Conv { c_in: 128, c_out: 128, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 23, 1, 22, false),
    node(Op::BatchNorm(BatchNorm { features: 128 }), 24, 1, 23, false),
    node(Op::Conv(Conv { c_in: 64, c_out: 128, groups: 1, windows: windows(&[window(1, 2, [0, 0], 1), window(1, 2, [0, 0], 1)]), bias: false, weights: None }), 25, 1, 24, false),
    node(Op::BatchNorm(BatchNorm { features: 128 }), 26, 1, 25, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 27, 2, 26, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 29, 1, 27, false),
    node(Op::Conv(Conv { c_in: 128, c_out: 128, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 30, 1, 28, false),
    node(Op::BatchNorm(BatchNorm { features: 128 }), 31, 1, 29, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 32, 1, 30, false),
    node(Op::Conv(Conv { c_in: 128, c_out: 128, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 33, 1, 31, false),
    node(Op::BatchNorm(BatchNorm { features: 128 }), 34, 1, 32, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 35, 2, 33, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 37, 1, 34, false),
    node(Op::Conv(Conv { c_in: 128, c_out: 256, groups: 1, windows: windows(&[window(3, 2, [1, 1], 1), window(3, 2, [1, 1], 1)]), bias: false, weights: None }), 38, 1, 35, false),
    node(Op::BatchNorm(BatchNorm { features: 256 }), 39, 1, 36, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 40, 1, 37, false),
    node(Op::Conv(Conv { c_in: 256, c_out: 256, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 41, 1, 38, false),
    node(Op::BatchNorm(BatchNorm { features: 256 }), 42, 1, 39, false),
    node(Op::Conv(Conv { c_in: 128, c_out: 256, groups: 1, windows: windows(&[window(1, 2, [0, 0], 1), window(1, 2, [0, 0], 1)]), bias: false, weights: None }), 43, 1, 40, false),
    node(Op::BatchNorm(BatchNorm { features: 256 }), 44, 1, 41, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 45, 2, 42, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 47, 1, 43, false),
    node(Op::Conv(Conv { c_in: 256, c_out: 256, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 48, 1, 44, false),
    node(Op::BatchNorm(BatchNorm { features: 256 }), 49, 1, 45, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 50, 1, 46, false),
    node(Op::Conv(Conv { c_in: 256, c_out: 256, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 51, 1, 47, false),
    node(Op::BatchNorm(BatchNorm { features: 256 }), 52, 1, 48, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 53, 2, 49, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 55, 1, 50, false),
    node(Op::Conv(Conv { c_in: 256, c_out: 512, groups: 1, windows: windows(&[window(3, 2, [1, 1], 1), window(3, 2, [1, 1], 1)]), bias: false, weights: None }), 56, 1, 51, false),
    node(Op::BatchNorm(BatchNorm { features: 512 }), 57, 1, 52, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 58, 1, 53, false),
    node(Op::Conv(Conv { c_in: 512, c_out: 512, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 59, 1, 54, false),
    node(Op::BatchNorm(BatchNorm { features: 512 }), 60, 1, 55, false),
    node(Op::Conv(Conv { c_in: 256, c_out: 512, groups: 1, windows: windows(&[window(1, 2, [0, 0], 1), window(1, 2, [0, 0], 1)]), bias: false, weights: None }), 61, 1, 56, false),
    node(Op::BatchNorm(BatchNorm { features: 512 }), 62, 1, 57, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 63, 2, 58, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 65, 1, 59, false),
    node(Op::Conv(Conv { c_in: 512, c_out: 512, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 66, 1, 60, false),
    node(Op::BatchNorm(BatchNorm { features: 512 }), 67, 1, 61, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 68, 1, 62, false),
    node(Op::Conv(Conv { c_in: 512, c_out: 512, groups: 1, windows: windows(&[window(3, 1, [1, 1], 1), window(3, 1, [1, 1], 1)]), bias: false, weights: None }), 69, 1, 63, false),
    node(Op::BatchNorm(BatchNorm { features: 512 }), 70, 1, 64, false),
    node(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), 71, 2, 65, false),
    node(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), 73, 1, 66, false),
    node(Op::AdaptivePool(AdaptivePool { kind: PoolKind::Average, output: shape(&[1, 1]) }), 74, 1, 67, false),
    node(Op::View(View { shape: shape(&[1, 512]) }), 75, 1, 68, false),
    node(Op::Linear(Linear { in_features: 512, out_features: 1000, bias: true, weights: None }), 76, 1, 69, false),
];

/// Tensors in order of definition.
#[rustfmt::skip]
pub static TENSORS: [Tensor; 70] = [
    Tensor { shape: shape(&[1, 3, 224, 224]), data_type: DataType::Fp32, kind: TensorKind::Input },
    Tensor { shape: shape(&[1, 64, 112, 112]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 112, 112]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 112, 112]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 64, 56, 56]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 128, 28, 28]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 256, 14, 14]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 7, 7]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512, 1, 1]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 512]), data_type: DataType::Fp32, kind: TensorKind::Activation },
    Tensor { shape: shape(&[1, 1000]), data_type: DataType::Fp32, kind: TensorKind::Activation },
];

/// What the ops read, op after op.
#[rustfmt::skip]
pub static OPERANDS: [TensorId; 77] = [
    id(0), id(1), id(2), id(3), id(4), id(5), id(6), id(7), id(8), id(9), id(4), id(10),
    id(11), id(12), id(13), id(14), id(15), id(16), id(11), id(17), id(18), id(19), id(20), id(21),
    id(22), id(18), id(24), id(23), id(25), id(26), id(27), id(28), id(29), id(30), id(31), id(32),
    id(27), id(33), id(34), id(35), id(36), id(37), id(38), id(34), id(40), id(39), id(41), id(42),
    id(43), id(44), id(45), id(46), id(47), id(48), id(43), id(49), id(50), id(51), id(52), id(53),
    id(54), id(50), id(56), id(55), id(57), id(58), id(59), id(60), id(61), id(62), id(63), id(64),
    id(59), id(65), id(66), id(67), id(68),
];

/// Names of the ops; a program that does not use them does not hold them.
#[rustfmt::skip]
pub static NAMES: [&str; 69] = [
    "conv1",
    "bn1",
    "relu",
    "maxpool",
    "layer1.0.conv1",
    "layer1.0.bn1",
    "layer1.0.relu",
    "layer1.0.conv2",
    "layer1.0.bn2",
    "layer1.0.add",
    "layer1.0.relu_1",
    "layer1.1.conv1",
    "layer1.1.bn1",
    "layer1.1.relu",
    "layer1.1.conv2",
    "layer1.1.bn2",
    "layer1.1.add",
    "layer1.1.relu_1",
    "layer2.0.conv1",
    "layer2.0.bn1",
    "layer2.0.relu",
    "layer2.0.conv2",
    "layer2.0.bn2",
    "layer2.0.downsample.0",
    "layer2.0.downsample.1",
    "layer2.0.add",
    "layer2.0.relu_1",
    "layer2.1.conv1",
    "layer2.1.bn1",
    "layer2.1.relu",
    "layer2.1.conv2",
    "layer2.1.bn2",
    "layer2.1.add",
    "layer2.1.relu_1",
    "layer3.0.conv1",
    "layer3.0.bn1",
    "layer3.0.relu",
    "layer3.0.conv2",
    "layer3.0.bn2",
    "layer3.0.downsample.0",
    "layer3.0.downsample.1",
    "layer3.0.add",
    "layer3.0.relu_1",
    "layer3.1.conv1",
    "layer3.1.bn1",
    "layer3.1.relu",
    "layer3.1.conv2",
    "layer3.1.bn2",
    "layer3.1.add",
    "layer3.1.relu_1",
    "layer4.0.conv1",
    "layer4.0.bn1",
    "layer4.0.relu",
    "layer4.0.conv2",
    "layer4.0.bn2",
    "layer4.0.downsample.0",
    "layer4.0.downsample.1",
    "layer4.0.add",
    "layer4.0.relu_1",
    "layer4.1.conv1",
    "layer4.1.bn1",
    "layer4.1.relu",
    "layer4.1.conv2",
    "layer4.1.bn2",
    "layer4.1.add",
    "layer4.1.relu_1",
    "avgpool",
    "flatten",
    "fc",
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
