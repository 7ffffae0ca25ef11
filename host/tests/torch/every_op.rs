//! Every op of core, in every kind and on every number of axes, as libtorch runs it: the shapes and data types that core says.

use std::collections::HashSet;

use derate::graph_buf::GraphBuf;
use derate::torch::Network;
use derate_core::graph::Tables;
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use tch::{Kind, Tensor};

use DataType::{Bool, Fp16, Fp32, Fp64, Int8, Int16, Int32, Int64};

/// An op, and the extents and data types of its operands.
type Case = (Op, Vec<(Vec<u32>, DataType)>);

#[derive(Default)]
struct Cases(Vec<Case>);

impl Cases {
    fn typed(&mut self, op: Op, operands: &[(&[u32], DataType)]) {
        self.0.push((op, operands.iter().map(|(extents, data_type)| (extents.to_vec(), *data_type)).collect()));
    }

    /// On fp32 operands.
    fn on(&mut self, op: Op, operands: &[&[u32]]) {
        self.0.push((op, operands.iter().map(|extents| (extents.to_vec(), Fp32)).collect()));
    }
}

fn shape(extents: &[u32]) -> Shape {
    Shape::new(extents).expect("few axes")
}

/// An image of one to three axes, of odd and even extents.
fn image(axes: usize) -> Vec<u32> {
    [&[2, 6][..], &[9, 8, 7][..axes]].concat()
}

/// Windows of so many axes, each with its own attributes.
fn windows(axes: usize, padding: [u16; 2], dilation: u16) -> Windows {
    let window = |kernel, stride| Window { kernel, stride, padding, dilation };
    Windows::new(&[window(3, 2), window(2, 1), window(2, 2)][..axes]).expect("one to three axes")
}

fn layers(cases: &mut Cases) {
    for bias in [true, false] {
        cases.on(Op::Linear(Linear { in_features: 12, out_features: 5, bias, weights: None }), &[&[2, 3, 12]]);
    }
    let mixed = Linear { in_features: 12, out_features: 5, bias: true, weights: Some(Int8) };
    cases.on(Op::Linear(mixed), &[&[2, 12]]);
    for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
        let a: &[u32] = if transpose_a { &[4, 1, 7, 5] } else { &[4, 1, 5, 7] };
        let b: &[u32] = if transpose_b { &[3, 6, 7] } else { &[3, 7, 6] };
        cases.on(Op::MatMul(MatMul { transpose_a, transpose_b }), &[a, b]);
    }
    cases.on(
        Op::Contraction(Contraction { shape: shape(&[2, 3, 5, 4]), batch: 6, m: 5, n: 4, k: 7 }),
        &[&[2, 3, 5, 7], &[6, 7, 4]],
    );
    for axes in 1..=3 {
        for (padding, dilation) in [([1, 1], 1), ([0, 1], 2), ([2, 0], 1)] {
            for (groups, bias) in [(1, true), (6, false), (3, true)] {
                let windows = windows(axes, padding, dilation);
                let conv = Conv { c_in: 6, c_out: 12, groups, windows, bias, weights: None };
                cases.on(Op::Conv(conv), &[&image(axes)]);
                let output_padding = [1, 0, 1];
                let (c_in, c_out, weights) = (6, 12, None);
                let conv = ConvTranspose { c_in, c_out, groups, windows, output_padding, bias, weights };
                cases.on(Op::ConvTranspose(conv), &[&image(axes)]);
            }
        }
    }
    for cell in Cell::ALL {
        for bidirectional in [false, true] {
            for (batch_first, layers, bias) in [(false, 1, true), (true, 2, false), (true, 1, true)] {
                let op = Recurrent { cell, input: 6, hidden: 5, layers, bidirectional, bias, batch_first };
                cases.on(Op::Recurrent(op), &[&[4, 3, 6]]);
            }
        }
        let op =
            Recurrent { cell, input: 6, hidden: 5, layers: 1, bidirectional: false, bias: true, batch_first: false };
        // An LSTM has a cell state beside the hidden one.
        let states = if cell == Cell::Lstm { 2 } else { 1 };
        cases.on(Op::Recurrent(op), &[&[4, 3, 6][..], &[1, 3, 5], &[1, 3, 5]][..1 + states]);
    }
}

fn attention(cases: &mut Cases) {
    for causal in [false, true] {
        let op = Op::Attention(Attention { causal });
        cases.on(op, &[&[2, 4, 5, 8], &[2, 4, 5, 8], &[2, 4, 5, 8]]);
        cases.on(op, &[&[2, 4, 5, 8], &[2, 2, 7, 8], &[2, 2, 7, 3]]);
        cases.on(op, &[&[2, 4, 5, 8], &[1, 4, 7, 8], &[2, 4, 7, 8]]);
        cases.on(op, &[&[3, 5, 8], &[3, 7, 8], &[3, 7, 8]]);
        cases.on(op, &[&[3, 5, 8], &[1, 7, 8], &[1, 7, 8]]);
        cases.on(op, &[&[5, 8], &[7, 8], &[7, 8]]);
        for mask in [Fp32, Bool, Int64] {
            let [q, kv] = [&[2, 4, 5, 8][..], &[2, 4, 7, 8]];
            cases.typed(op, &[(q, Fp32), (kv, Fp32), (kv, Fp32), (&[5, 7], mask)]);
        }
    }
    for (heads, bias, features) in [(4, true, 8), (1, true, 8), (4, false, 8), (2, true, 6)] {
        let op = MultiHeadAttention { embed: 8, heads, k_features: features, v_features: features, bias };
        cases.on(Op::MultiHeadAttention(op), &[&[2, 5, 8], &[2, 7, features], &[2, 7, features]]);
    }
}

fn norms(cases: &mut Cases) {
    let only = |weight, bias| Affine { weight, bias };
    let affines = [Affine::BOTH, Affine::NONE, only(true, false), only(false, true)];
    for rank in 2..=5 {
        let extents = &[2, 6, 5, 4, 3][..rank];
        cases.on(Op::BatchNorm(BatchNorm { features: 6 }), &[extents]);
        cases.on(Op::LocalResponseNorm(LocalResponseNorm { size: 3 }), &[extents]);
        for affine in affines {
            cases.on(Op::GroupNorm(GroupNorm { groups: 3, affine }), &[extents]);
        }
    }
    for affine in affines {
        // The bias without the weight is no case of `layer_norm`'s fast path, but it runs.
        cases.on(Op::LayerNorm(LayerNorm { axes: 1, affine }), &[&[2, 6, 5]]);
        cases.on(Op::LayerNorm(LayerNorm { axes: 2, affine }), &[&[2, 6, 5]]);
    }
    for weight in [true, false] {
        cases.on(Op::RmsNorm(RmsNorm { weight }), &[&[2, 6, 5]]);
    }
    cases.on(Op::Softmax(Softmax { axis: 1, log: false }), &[&[2, 6, 5]]);
    cases.on(Op::Softmax(Softmax { axis: 0, log: true }), &[&[2, 6, 5]]);
}

fn elementwise(cases: &mut Cases) {
    for kind in ActivationKind::ALL {
        for in_place in [false, true] {
            cases.on(Op::Activation(Activation { kind, in_place }), &[&[3, 4]]);
        }
        cases.typed(Op::Activation(Activation { kind, in_place: false }), &[(&[3, 4], Fp64)]);
    }
    for kind in [ActivationKind::Not, ActivationKind::Neg, ActivationKind::Abs, ActivationKind::Sqrt] {
        cases.typed(Op::Activation(Activation { kind, in_place: false }), &[(&[3, 4], Int64)]);
    }
    cases.typed(Op::Activation(Activation { kind: ActivationKind::Not, in_place: true }), &[(&[3, 4], Bool)]);
    for slopes in [1, 6] {
        cases.on(Op::PRelu(PRelu { slopes }), &[&[2, 6, 5]]);
    }
    for kind in BinaryKind::ALL {
        for in_place in [false, true] {
            for data_type in [Fp32, Int64, Int32, Bool] {
                let arithmetic = matches!(kind, BinaryKind::Div | BinaryKind::Pow | BinaryKind::Mod);
                if data_type == Bool && arithmetic {
                    // No runtime divides truth values.
                    continue;
                }
                cases.typed(Op::Binary(Binary { kind, in_place }), &[(&[3, 4], data_type), (&[1, 4], data_type)]);
                cases.typed(Op::Scalar(Scalar { kind, in_place }), &[(&[3, 4], data_type)]);
            }
        }
        cases.on(Op::Binary(Binary { kind, in_place: false }), &[&[4], &[2, 3, 1]]);
    }
    for condition in [Bool, Fp32] {
        cases.typed(Op::Where(Where), &[(&[4], condition), (&[3, 4], Fp32), (&[1], Fp32)]);
    }
    for from in DataType::ALL {
        for to in DataType::ALL {
            cases.typed(Op::Cast(Cast { to }), &[(&[3, 4], from)]);
        }
    }
    let pairs = [(Fp32, Int8), (Int8, Fp32), (Int32, Int8), (Fp16, Int16), (Int8, Fp16), (Fp32, Int32), (Int16, Int8)];
    for (from, to) in pairs {
        cases.typed(Op::Quantize(Quantize { to }), &[(&[3, 4], from)]);
    }
}

fn pools(cases: &mut Cases) {
    for axes in 1..=3 {
        let input = image(axes);
        for kind in [PoolKind::Max, PoolKind::Average, PoolKind::Norm] {
            for ceil_mode in [false, true] {
                for (padding, dilation) in [([1, 1], 1), ([0, 1], 1), ([1, 0], 2), ([0, 0], 2)] {
                    let windows = windows(axes, padding, dilation);
                    cases.on(Op::Pool(Pool { kind, windows, ceil_mode }), &[&input]);
                }
                // Padding of more than half a window, and a window that rounding up would start in the padding.
                let wide = vec![Window { kernel: 3, stride: 2, padding: [2, 2], dilation: 1 }; axes];
                let windows = Windows::new(&wide).expect("axes");
                cases.on(Op::Pool(Pool { kind, windows, ceil_mode }), &[&input]);
            }
            for output in [[1; 3], [3, 4, 2]] {
                cases.on(Op::AdaptivePool(AdaptivePool { kind, output: shape(&output[..axes]) }), &[&input]);
            }
        }
        for kind in ResizeKind::ALL {
            if (kind, axes) == (ResizeKind::Cubic, 3) {
                continue;
            }
            let target = [&[2, 6][..], &[13, 4, 9][..axes]].concat();
            cases.on(Op::Resize(Resize { kind, shape: shape(&target) }), &[&input]);
            cases.on(Op::Resize(Resize { kind, shape: shape(&input) }), &[&input]);
        }
    }
    for kind in ResizeKind::ALL {
        // Channels last, one axis of an image, and matrices.
        cases.on(Op::Resize(Resize { kind, shape: shape(&[2, 5, 9, 6]) }), &[&[2, 9, 8, 6]]);
        cases.on(Op::Resize(Resize { kind, shape: shape(&[2, 6, 9, 16]) }), &[&[2, 6, 9, 8]]);
        cases.on(Op::Resize(Resize { kind, shape: shape(&[4, 9]) }), &[&[2, 6]]);
    }
}

fn reductions(cases: &mut Cases) {
    for kind in ReduceKind::ALL {
        for keep_dims in [false, true] {
            for axes in [0, 1, 0b010, 0b110, 0b111] {
                let op = Op::Reduce(Reduce { kind, axes, keep_dims });
                cases.on(op, &[&[2, 3, 4]]);
                cases.typed(op, &[(&[2, 3, 4], Int64)]);
            }
        }
    }
    for data_type in [Fp32, Int32, Int64] {
        cases.typed(Op::Scan(Scan { axis: 1 }), &[(&[2, 3, 4], data_type)]);
        cases.typed(Op::TopK(TopK { axis: 1, k: 2 }), &[(&[2, 3, 4], data_type)]);
    }
    cases.on(Op::TopK(TopK { axis: 2, k: 4 }), &[&[2, 3, 4]]);
}

fn moves(cases: &mut Cases) {
    for data_type in [Fp32, Int8, Int64, Bool] {
        let on = |extents| (extents, data_type);
        cases.typed(Op::Concat(Concat { axis: 1 }), &[on(&[2, 3][..]), on(&[2, 1]), on(&[2, 4])]);
        cases.typed(Op::View(View { shape: shape(&[4, 1, 6]) }), &[on(&[2, 3, 4])]);
        cases.typed(Op::Transpose(Transpose::new(&[2, 0, 1]).expect("axes")), &[on(&[2, 3, 4])]);
        for (kind, to) in [
            (MoveKind::Slice, &[2, 1, 3][..]),
            (MoveKind::Pad, &[2, 5, 7]),
            (MoveKind::Tile, &[4, 3, 12]),
            (MoveKind::Copy, &[6, 4]),
            (MoveKind::Unfold, &[2, 3, 4, 5]),
            (MoveKind::Unfold, &[5]),
        ] {
            cases.typed(Op::Move(Move { kind, shape: shape(to) }), &[on(&[2, 3, 4])]);
        }
        let expand = Move { kind: MoveKind::Expand, shape: shape(&[5, 2, 3, 4]) };
        cases.typed(Op::Move(expand), &[on(&[2, 1, 4])]);
        for indices in [Int64, Int32, Fp32] {
            cases.typed(Op::Gather(Gather { axis: 1 }), &[on(&[2, 3, 4]), (&[5, 2], indices)]);
            cases.typed(Op::Gather(Gather { axis: 0 }), &[on(&[2, 3, 4]), (&[], indices)]);
        }
        // Single elements; pairs of indices that choose rows; a mask.
        cases.typed(Op::Pick(Pick { shape: shape(&[2, 3, 1]) }), &[on(&[2, 3, 4]), (&[2, 3, 1], Int64)]);
        cases.typed(Op::Pick(Pick { shape: shape(&[7, 4]) }), &[on(&[2, 3, 4]), (&[7, 2], Int64)]);
        cases.typed(Op::Pick(Pick { shape: shape(&[9]) }), &[on(&[2, 3, 4]), (&[2, 3, 4], Bool)]);
        for combine in [false, true] {
            let op = Op::Scatter(Scatter { combine });
            cases.typed(op, &[on(&[2, 3, 4]), (&[2, 3, 1], Int64), on(&[2, 3, 1])]);
            cases.typed(op, &[on(&[2, 3, 4]), (&[7, 2], Int64), on(&[7, 4])]);
        }
    }
    for (indices, data_type) in [(Int64, Fp32), (Int32, Fp16), (Fp32, Int8)] {
        let op = Embedding { entries: 11, features: 4, data_type };
        cases.typed(Op::Embedding(op), &[(&[2, 5], indices)]);
    }
}

fn all() -> Vec<Case> {
    let mut cases = Cases::default();
    for family in [layers, attention, norms, elementwise, pools, reductions, moves] {
        family(&mut cases);
    }
    cases.0
}

/// The kind that libtorch has for a data type.
fn kind(data_type: DataType) -> Kind {
    match data_type {
        Int8 => Kind::Int8,
        Int16 => Kind::Int16,
        Int32 => Kind::Int,
        Int64 => Kind::Int64,
        Bool => Kind::Bool,
        other => derate::torch::kind(other).expect("real numbers"),
    }
}

fn run(case: &Case) -> Result<(), String> {
    let (op, operands) = case;
    let mut graph = GraphBuf::new("op");
    let mut ids = Vec::new();
    for (extents, data_type) in operands {
        ids.push(graph.add_input(extents, *data_type).map_err(|error| error.to_string())?);
    }
    // In place only what is no input: one op before it, where arithmetic is defined.
    let first = operands.first().map(|(_, data_type)| *data_type);
    if op.in_place() && first != Some(Bool) {
        let before = Op::Scalar(Scalar { kind: BinaryKind::Add, in_place: false });
        ids[0] = graph.add("before", before, &ids[..1]).map_err(|error| error.to_string())?;
    }
    let output = graph.add("op", *op, &ids).map_err(|error| error.to_string())?;
    let network = Network::new(graph.view()).map_err(|error| error.to_string())?;
    for round in 0..2 {
        let outputs = network.run_all().map_err(|error| error.to_string())?;
        if outputs.len() != usize::from(op.output_count()) {
            return Err(format!("{} outputs", outputs.len()));
        }
        for (position, tensor) in (0..).zip(&outputs) {
            let wanted = graph.view().tensors()[output.offset(position).index()];
            let extents: Vec<i64> = wanted.shape.extents().iter().map(|&extent| i64::from(extent)).collect();
            let found = (Tensor::size(tensor), tensor.kind());
            if found != (extents.clone(), kind(wanted.data_type)) {
                return Err(format!("round {round}: output {position} is {found:?}, core says {extents:?} {wanted:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn shapes_and_data_types_are_those_of_core() {
    let cases = all();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| run(case).err().map(|error| format!("{:?} on {:?}: {error}", case.0, case.1)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// `Op` may grow, and a match on it from here needs a wildcard: the list of its variants is read where it is written.
#[test]
fn no_op_is_forgotten() {
    let source = include_str!("../../../core/src/op.rs");
    let (_, body) = source.split_once("pub enum Op {").expect("the enum");
    let (body, _) = body.split_once("\n}").expect("its end");
    let variants: HashSet<&str> = body
        .lines()
        .filter_map(|line| line.trim().split_once('(').filter(|_| line.ends_with("),")))
        .map(|(name, _)| name)
        .collect();
    assert!(variants.len() >= 35, "{variants:?}");
    let cases = all();
    let names: Vec<String> = cases.iter().map(|(op, _)| format!("{op:?}")).collect();
    let tried: HashSet<&str> = names.iter().filter_map(|name| name.split('(').next()).collect();
    assert_eq!(tried, variants);
}
