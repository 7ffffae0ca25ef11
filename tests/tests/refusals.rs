//! Refusals: each op says which attribute or operand does not fit, and the graph stays as it was.

use derate_core::Error;
use derate_core::error::Attribute;
use derate_core::graph::{Build, Graph, Tables};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::TensorKind;

const LINEAR: Linear = Linear { in_features: 4, out_features: 4, bias: false, weights: None };
const MHA: MultiHeadAttention = MultiHeadAttention { embed: 4, heads: 2, k_features: 4, v_features: 4, bias: false };
const CELL: Recurrent =
    Recurrent { cell: Cell::Gru, input: 4, hidden: 3, layers: 2, bidirectional: false, bias: true, batch_first: true };

/// An operand in fp32.
const fn fp32<const N: usize>(extents: &[u32; N]) -> (&[u32], DataType) {
    (extents, DataType::Fp32)
}

/// What a graph answers to an op on such operands; checks that a refusal leaves it unchanged.
fn answer(op: Op, operands: &[(&[u32], DataType)]) -> Result<(), Error> {
    let mut graph = Graph::<1, 9>::new();
    let mut ids = Vec::new();
    for (extents, data_type) in operands {
        ids.push(graph.tensor(extents, *data_type, TensorKind::Input)?);
    }
    let before = format!("{:?}", graph.view());
    let answer = graph.op(op, &ids).map(|_| ());
    assert!(answer.is_ok() || before == format!("{:?}", graph.view()), "changed by {op:?}");
    answer
}

/// Checks that an op is refused on some operands for this reason.
#[track_caller]
fn refused(op: Op, operands: &[(&[u32], DataType)], error: Error) {
    assert_eq!(answer(op, operands), Err(error), "{op:?} on {operands:?}");
}

#[track_caller]
fn attribute(op: Op, operands: &[(&[u32], DataType)], attribute: Attribute) {
    refused(op, operands, Error::InvalidAttribute(attribute));
}

#[track_caller]
fn mismatch(op: Op, operands: &[(&[u32], DataType)], operand: u16, axis: u8) {
    refused(op, operands, Error::ShapeMismatch { operand, axis });
}

#[track_caller]
fn other_type(op: Op, extents: &[&[u32]], operand: u16) {
    let types = (0..).map(|at| if at == operand { DataType::Fp16 } else { DataType::Fp32 });
    let operands: Vec<_> = extents.iter().copied().zip(types).collect();
    refused(op, &operands, Error::DataTypeMismatch { operand });
}

fn shape(extents: &[u32]) -> Shape {
    Shape::new(extents).expect("at most eight axes")
}

fn window(change: impl Fn(&mut Window)) -> Windows {
    let mut window = Window::new(3, 1, 1);
    change(&mut window);
    Windows::new(&[window; 2]).expect("two axes")
}

fn conv(change: impl Fn(&mut Conv)) -> Op {
    let mut conv = Conv { c_in: 4, c_out: 6, groups: 2, windows: window(|_| ()), bias: true, weights: None };
    change(&mut conv);
    Op::Conv(conv)
}

fn conv_transpose(change: impl Fn(&mut ConvTranspose)) -> Op {
    let windows = window(|_| ());
    let mut conv =
        ConvTranspose { c_in: 4, c_out: 6, groups: 2, windows, output_padding: [0; 3], bias: true, weights: None };
    change(&mut conv);
    Op::ConvTranspose(conv)
}

#[test]
fn matrix_products() {
    let x = [fp32(&[2, 4])];
    attribute(Op::Linear(Linear { in_features: 0, ..LINEAR }), &x, Attribute::Channels);
    attribute(Op::Linear(Linear { out_features: 0, ..LINEAR }), &x, Attribute::Channels);
    mismatch(Op::Linear(LINEAR), &[fp32(&[2, 5])], 0, 1);
    mismatch(Op::Linear(LINEAR), &[fp32(&[])], 0, 0);

    let product = |transpose_b| Op::MatMul(MatMul { transpose_a: false, transpose_b });
    mismatch(product(false), &[fp32(&[2, 3, 4]), fp32(&[2, 5, 6])], 1, 1);
    mismatch(product(true), &[fp32(&[2, 3, 4]), fp32(&[2, 6, 5])], 1, 2);
    mismatch(product(false), &[fp32(&[2, 3, 4]), fp32(&[3, 4, 6])], 1, 0);
    mismatch(product(false), &[fp32(&[2, 3, 4]), fp32(&[4])], 1, 1);
    other_type(product(false), &[&[3, 4], &[4, 5]], 1);
    refused(product(false), &x, Error::OperandCount { expected: 2, found: 1 });

    let contraction = Contraction { shape: shape(&[2, 3]), batch: 1, m: 2, n: 3, k: 4 };
    let operands = [fp32(&[2, 4]), fp32(&[4, 3])];
    assert_eq!(answer(Op::Contraction(contraction), &operands), Ok(()));
    mismatch(Op::Contraction(Contraction { m: 3, ..contraction }), &operands, 0, 2);
    mismatch(Op::Contraction(Contraction { n: 2, ..contraction }), &operands, 1, 2);
    attribute(Op::Contraction(Contraction { shape: shape(&[2]), ..contraction }), &operands, Attribute::OutputSize);
    other_type(Op::Contraction(contraction), &[&[2, 4], &[4, 3]], 1);
}

#[test]
fn windows() {
    let x = [fp32(&[2, 4, 8, 8])];
    assert_eq!(answer(conv(|_| ()), &x), Ok(()));
    attribute(conv(|conv| conv.c_out = 0), &x, Attribute::Channels);
    attribute(conv(|conv| conv.groups = 0), &x, Attribute::Groups);
    attribute(conv(|conv| conv.groups = 4), &x, Attribute::Groups);
    attribute(conv(|conv| conv.windows = window(|axis| axis.kernel = 0)), &x, Attribute::Kernel);
    attribute(conv(|conv| conv.windows = window(|axis| axis.stride = 0)), &x, Attribute::Stride);
    attribute(conv(|conv| conv.windows = window(|axis| axis.dilation = 0)), &x, Attribute::Dilation);
    attribute(conv(|conv| conv.windows = window(|axis| axis.dilation = 5)), &x, Attribute::Padding);
    mismatch(conv(|_| ()), &[fp32(&[2, 5, 8, 8])], 0, 1);
    mismatch(conv(|_| ()), &[fp32(&[2, 4, 8])], 0, 3);

    assert_eq!(answer(conv_transpose(|_| ()), &x), Ok(()));
    attribute(conv_transpose(|conv| conv.c_in = 0), &x, Attribute::Channels);
    attribute(conv_transpose(|conv| conv.groups = 3), &x, Attribute::Groups);
    attribute(conv_transpose(|conv| conv.output_padding = [1; 3]), &x, Attribute::Padding);
    attribute(conv_transpose(|conv| conv.windows = window(|axis| axis.padding = [5, 5])), &x, Attribute::Padding);
    attribute(conv_transpose(|conv| conv.windows = window(|axis| axis.stride = 0)), &x, Attribute::Stride);
    mismatch(conv_transpose(|_| ()), &[fp32(&[2, 4])], 0, 2);

    let pool = |windows| Op::Pool(Pool { kind: PoolKind::Max, windows, ceil_mode: false });
    attribute(pool(window(|axis| axis.padding = [3, 0])), &x, Attribute::Padding);
    attribute(pool(window(|axis| axis.kernel = 0)), &x, Attribute::Kernel);
    // Taps two apart reach over five elements.
    let dilated = |padding: u16| window(|axis| (axis.dilation, axis.padding) = (2, [padding; 2]));
    assert_eq!(answer(pool(dilated(4)), &x), Ok(()));
    attribute(pool(dilated(5)), &x, Attribute::Padding);
    mismatch(pool(window(|_| ())), &[fp32(&[8])], 0, 1);

    let adaptive = |output| Op::AdaptivePool(AdaptivePool { kind: PoolKind::Max, output: shape(output) });
    attribute(adaptive(&[0, 1]), &x, Attribute::OutputSize);
    mismatch(adaptive(&[1]), &x, 0, 4);
    mismatch(adaptive(&[]), &[fp32(&[2, 4])], 0, 2);
    assert_eq!([Windows::new(&[]), Windows::new(&[Window::new(1, 1, 0); 4])], [Err(Error::RankExceeded); 2]);
}

#[test]
fn sequences() {
    let attention = Op::Attention(Attention { causal: false });
    let (q, k, v) = (fp32(&[2, 4, 5, 8]), fp32(&[2, 2, 6, 8]), fp32(&[2, 2, 6, 3]));
    assert_eq!(answer(attention, &[q, k, v]), Ok(()));
    assert_eq!(answer(attention, &[q, k, v, fp32(&[4, 5, 6])]), Ok(()));
    mismatch(attention, &[q, k, v, fp32(&[4, 5, 7])], 3, 3);
    mismatch(attention, &[q, fp32(&[2, 2, 6, 7]), v], 1, 3);
    mismatch(attention, &[q, k, fp32(&[2, 2, 7, 3])], 2, 2);
    mismatch(attention, &[q, fp32(&[2, 3, 6, 8]), v], 1, 1);
    mismatch(attention, &[q, k, fp32(&[2, 4, 6, 3])], 2, 1);
    // Heads are grouped, images are not.
    mismatch(attention, &[fp32(&[4, 4, 5, 8]), k, v], 1, 0);
    mismatch(attention, &[q, fp32(&[2, 6, 8]), v], 1, 3);
    mismatch(attention, &[fp32(&[4]); 3], 0, 1);
    other_type(attention, &[&[5, 8], &[6, 8], &[6, 3]], 2);
    refused(attention, &[q, k], Error::OperandCount { expected: 3, found: 2 });

    let x = fp32(&[2, 5, 4]);
    attribute(Op::MultiHeadAttention(MultiHeadAttention { embed: 0, ..MHA }), &[x; 3], Attribute::Channels);
    attribute(Op::MultiHeadAttention(MultiHeadAttention { heads: 0, ..MHA }), &[x; 3], Attribute::Groups);
    attribute(Op::MultiHeadAttention(MultiHeadAttention { heads: 3, ..MHA }), &[x; 3], Attribute::Groups);
    mismatch(Op::MultiHeadAttention(MHA), &[x, x, fp32(&[2, 6, 4])], 2, 1);
    mismatch(Op::MultiHeadAttention(MHA), &[x, fp32(&[3, 5, 4]), x], 1, 0);
    mismatch(Op::MultiHeadAttention(MHA), &[x, fp32(&[2, 5, 3]), x], 1, 2);
    other_type(Op::MultiHeadAttention(MHA), &[&[2, 5, 4][..]; 3], 1);

    attribute(Op::Recurrent(Recurrent { input: 0, ..CELL }), &[x], Attribute::Channels);
    attribute(Op::Recurrent(Recurrent { hidden: 0, ..CELL }), &[x], Attribute::Channels);
    attribute(Op::Recurrent(Recurrent { layers: 0, ..CELL }), &[x], Attribute::Groups);
    mismatch(Op::Recurrent(CELL), &[fp32(&[2, 5, 3])], 0, 2);
    mismatch(Op::Recurrent(CELL), &[fp32(&[5, 4])], 0, 2);
    assert_eq!(answer(Op::Recurrent(CELL), &[x, fp32(&[2, 2, 3])]), Ok(()));
    mismatch(Op::Recurrent(CELL), &[x, fp32(&[2, 5, 3])], 1, 1);
    mismatch(Op::Recurrent(CELL), &[x, fp32(&[2, 3])], 1, 2);
    other_type(Op::Recurrent(CELL), &[&[2, 5, 4], &[2, 2, 3]], 1);
    refused(Op::Recurrent(CELL), &[x; 3], Error::OperandCount { expected: 1, found: 3 });
}

#[test]
fn norms() {
    let x = [fp32(&[2, 6, 3])];
    attribute(Op::BatchNorm(BatchNorm { features: 0 }), &x, Attribute::Channels);
    mismatch(Op::BatchNorm(BatchNorm { features: 5 }), &x, 0, 1);
    for axes in [0, 4] {
        attribute(Op::LayerNorm(LayerNorm { axes, affine: Affine::BOTH }), &x, Attribute::Axis);
    }
    attribute(Op::RmsNorm(RmsNorm { weight: true }), &[fp32(&[])], Attribute::Axis);
    for groups in [0, 4] {
        attribute(Op::GroupNorm(GroupNorm { groups, affine: Affine::NONE }), &x, Attribute::Groups);
    }
    mismatch(Op::GroupNorm(GroupNorm { groups: 1, affine: Affine::NONE }), &[fp32(&[2])], 0, 1);
    attribute(Op::LocalResponseNorm(LocalResponseNorm { size: 0 }), &x, Attribute::Kernel);
    mismatch(Op::LocalResponseNorm(LocalResponseNorm { size: 5 }), &[fp32(&[2])], 0, 1);
}

#[test]
fn elements() {
    let x = fp32(&[2, 6, 3]);
    attribute(Op::PRelu(PRelu { slopes: 0 }), &[x], Attribute::Channels);
    mismatch(Op::PRelu(PRelu { slopes: 3 }), &[x], 0, 1);
    let add = |in_place| Op::Binary(Binary { kind: BinaryKind::Add, in_place });
    mismatch(add(false), &[x, fp32(&[2, 3])], 1, 0);
    mismatch(add(true), &[fp32(&[3]), x], 0, 1);
    other_type(add(false), &[&[3], &[3]], 1);
    mismatch(Op::Where(Where), &[x, fp32(&[4]), x], 1, 0);
    mismatch(Op::Where(Where), &[x, x, fp32(&[6, 4])], 2, 1);
    other_type(Op::Where(Where), &[&[3], &[3], &[3]], 2);
    attribute(Op::Softmax(Softmax { axis: 3, log: false }), &[x], Attribute::Axis);
    // One operand, and nothing else to refuse.
    let one = Error::OperandCount { expected: 1, found: 2 };
    for op in [
        Op::Activation(Activation { kind: ActivationKind::Relu, in_place: false }),
        Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false }),
        Op::Cast(Cast { to: DataType::Int8 }),
        Op::Quantize(Quantize { to: DataType::Int8 }),
    ] {
        refused(op, &[x, x], one);
    }
}

#[test]
fn reductions() {
    let x = [fp32(&[2, 6, 3])];
    attribute(Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: 0b1001, keep_dims: false }), &x, Attribute::Axis);
    attribute(Op::Scan(Scan { axis: 3 }), &x, Attribute::Axis);
    attribute(Op::TopK(TopK { axis: 3, k: 1 }), &x, Attribute::Axis);
    for k in [0, 7] {
        attribute(Op::TopK(TopK { axis: 1, k }), &x, Attribute::OutputSize);
    }
}

#[test]
fn layouts() {
    let x = fp32(&[2, 6, 3]);
    attribute(Op::Concat(Concat { axis: 3 }), &[x, x], Attribute::Axis);
    mismatch(Op::Concat(Concat { axis: 1 }), &[x, fp32(&[2, 5, 4])], 1, 2);
    mismatch(Op::Concat(Concat { axis: 1 }), &[x, fp32(&[2, 5])], 1, 2);
    other_type(Op::Concat(Concat { axis: 0 }), &[&[3], &[3]], 1);
    refused(Op::Concat(Concat { axis: 0 }), &[], Error::OperandCount { expected: 1, found: 0 });
    mismatch(Op::View(View { shape: shape(&[35]) }), &[x], 0, 3);
    for order in [&[0, 0, 1][..], &[0, 1], &[0, 1, 3]] {
        attribute(Op::Transpose(Transpose::new(order).expect("short")), &[x], Attribute::Axis);
    }
    assert_eq!(Transpose::new(&[0; 9]), Err(Error::RankExceeded));

    let moved = |kind, to: &[u32]| Op::Move(Move { kind, shape: shape(to) });
    for kind in MoveKind::ALL {
        attribute(moved(kind, &[2, 0, 3]), &[x], Attribute::OutputSize);
    }
    mismatch(moved(MoveKind::Slice, &[2, 7, 3]), &[x], 0, 1);
    mismatch(moved(MoveKind::Pad, &[2, 6, 2]), &[x], 0, 2);
    mismatch(moved(MoveKind::Tile, &[3, 6, 3]), &[x], 0, 0);
    mismatch(moved(MoveKind::Slice, &[2, 6]), &[x], 0, 3);
    mismatch(moved(MoveKind::Expand, &[2, 12, 3]), &[x], 0, 3);
    mismatch(moved(MoveKind::Expand, &[6, 3]), &[x], 0, 3);
    mismatch(moved(MoveKind::Copy, &[2, 6, 2]), &[x], 0, 3);

    let resize = |to: &[u32]| Op::Resize(Resize { kind: ResizeKind::Linear, shape: shape(to) });
    mismatch(resize(&[2, 6]), &[x], 0, 3);
    attribute(resize(&[2, 6, 0]), &[x], Attribute::OutputSize);
}

#[test]
fn indices() {
    let (x, at) = (fp32(&[2, 6, 3]), (&[4][..], DataType::Int64));
    attribute(Op::Gather(Gather { axis: 3 }), &[x, at], Attribute::Axis);
    refused(Op::Gather(Gather { axis: 0 }), &[fp32(&[1; 8]), fp32(&[1, 1])], Error::RankExceeded);
    attribute(Op::Pick(Pick { shape: shape(&[0]) }), &[x, at], Attribute::OutputSize);
    refused(Op::Pick(Pick { shape: shape(&[4]) }), &[x], Error::OperandCount { expected: 2, found: 1 });
    other_type(Op::Scatter(Scatter { combine: true }), &[&[6], &[4], &[4]], 2);
    let table = Embedding { entries: 10, features: 4, data_type: DataType::Fp32 };
    attribute(Op::Embedding(Embedding { entries: 0, ..table }), &[at], Attribute::Channels);
    attribute(Op::Embedding(Embedding { features: 0, ..table }), &[at], Attribute::Channels);
    refused(Op::Embedding(table), &[fp32(&[1; 8])], Error::RankExceeded);
}

/// Outputs of the ops that have several, and none beyond.
#[test]
fn further_outputs_by_hand() -> Result<(), Error> {
    let mut graph = Graph::<2, 8>::new();
    let x = graph.input(&[5, 2, 4], DataType::Fp32)?;
    let lstm = Op::Recurrent(Recurrent { cell: Cell::Lstm, bidirectional: true, batch_first: false, ..CELL });
    let y = graph.op(lstm, &[x])?;
    let top = Op::TopK(TopK { axis: 2, k: 2 });
    graph.op(top, &[y])?;
    let view = graph.view();
    let shapes: Vec<_> = view.tensors().iter().skip(1).map(|tensor| tensor.shape.extents()).collect();
    // Two directions of three; two layers of two directions, two images; the same of the cell. Two of six, and where they stand.
    assert_eq!(shapes, [&[5, 2, 6][..], &[4, 2, 3], &[4, 2, 3], &[5, 2, 2], &[5, 2, 2]]);
    assert_eq!(view.tensors()[5].data_type, DataType::Int64);
    let operands = view.operands(&view.nodes()[0]);
    for (op, outputs) in [(lstm, 3), (top, 2), (Op::Scan(Scan { axis: 0 }), 1)] {
        assert_eq!(op.output(operands, outputs), Err(Error::OperandCount { expected: outputs, found: outputs }));
    }
    Ok(())
}

/// An in-place comparison keeps the type of what it overwrites; elsewhere it gives truth values.
#[test]
fn truth_values_by_hand() -> Result<(), Error> {
    let mut graph = Graph::<2, 4>::new();
    let x = graph.input(&[8], DataType::Fp32)?;
    for (in_place, data_type) in [(false, DataType::Bool), (true, DataType::Fp32)] {
        let y = graph.op(Op::Scalar(Scalar { kind: BinaryKind::Compare, in_place }), &[x])?;
        assert_eq!(graph.view().tensors()[y.index()].data_type, data_type);
    }
    Ok(())
}
