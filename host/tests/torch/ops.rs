//! Values that ops give in libtorch, by laws that need no reference: two ways to the same numbers, ranges, sums by hand.

use derate::graph_buf::GraphBuf;
use derate::torch::Network;
use derate_core::graph::Tables;
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cell, Concat,
    Contraction, Conv, ConvTranspose, GroupNorm, LayerNorm, Linear, MatMul, Move, MoveKind, MultiHeadAttention, Op,
    Pool, PoolKind, Quantize, Recurrent, Softmax, Transpose, View, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::TensorId;
use tch::{Kind, Tensor};

/// A graph on one normally distributed input.
struct Chain {
    graph: GraphBuf,
    input: TensorId,
}

impl Chain {
    fn on(extents: &[u32]) -> Self {
        let mut graph = GraphBuf::new("ops");
        let input = graph.add_input(extents, DataType::Fp32).expect("a shape");
        Self { graph, input }
    }

    fn add(&mut self, op: Op, operands: &[TensorId]) -> TensorId {
        self.graph.add("op", op, operands).expect("operands that go together")
    }

    fn difference(&mut self, a: TensorId, b: TensorId) -> TensorId {
        self.add(Op::Binary(Binary { kind: BinaryKind::Sub, in_place: false }), &[a, b])
    }

    /// What the last op gives; its shape is the one that core says, and a second run gives it again.
    #[track_caller]
    fn run(&self) -> Tensor {
        let network = Network::new(self.graph.view()).expect("built");
        let output = network.run().expect("runs");
        let tensor = self.graph.view().tensors().last().expect("an output");
        let extents: Vec<i64> = tensor.shape.extents().iter().map(|&extent| i64::from(extent)).collect();
        assert_eq!(output.size(), extents, "core's shape on the right");
        assert!(
            output.allclose(&network.run().expect("runs again"), 1e-5, 1e-6, false),
            "the first run changed an input"
        );
        output
    }
}

fn extremes(tensor: &Tensor) -> [f64; 2] {
    [tensor.min().double_value(&[]), tensor.max().double_value(&[])]
}

/// Largest size of the elements.
fn size(tensor: &Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

const fn activation(kind: ActivationKind) -> Op {
    Op::Activation(Activation { kind, in_place: false })
}

#[test]
fn ops_in_place_leave_what_is_read_later_alone() {
    let mut chain = Chain::on(&[32, 32]);
    let relu = |in_place| Op::Activation(Activation { kind: ActivationKind::Relu, in_place });
    // Of the input itself, and of a tensor in between: x − relu(x) is 0 or below, and 0 everywhere if relu overwrote x.
    let doubled = chain.add(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[chain.input, chain.input]);
    let positive = chain.add(relu(true), &[doubled]);
    chain.difference(doubled, positive);
    let [low, high] = extremes(&chain.run());
    assert!(low < -1.0 && high == 0.0, "{low} to {high}");
}

#[test]
fn activations_agree_with_one_another() {
    use ActivationKind::{HardSigmoid, HardSwish, Relu, Relu6, Sigmoid, Silu, Tanh};
    let product = Op::Binary(Binary { kind: BinaryKind::Mul, in_place: false });
    // x · gate(x) under another name.
    for (whole, gate) in [(HardSwish, HardSigmoid), (Silu, Sigmoid)] {
        let mut chain = Chain::on(&[64, 64]);
        let gated = chain.add(activation(gate), &[chain.input]);
        let by_hand = chain.add(product, &[chain.input, gated]);
        let at_once = chain.add(activation(whole), &[chain.input]);
        chain.difference(by_hand, at_once);
        assert!(size(&chain.run()) < 1e-5, "{whole:?}");
    }
    // Ranges, on 4096 normal values; nine times the input passes all limits.
    for (kind, range) in
        [(Relu, 0.0..50.0), (Relu6, 0.0..6.1), (Sigmoid, 0.0..1.1), (HardSigmoid, 0.0..1.1), (Tanh, -1.1..1.1)]
    {
        let mut chain = Chain::on(&[64, 64]);
        let mut at = chain.input;
        for _ in 0..2 {
            let twice = chain.add(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[at, at]);
            at = chain.add(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[twice, at]);
        }
        chain.add(activation(kind), &[at]);
        let [low, high] = extremes(&chain.run());
        assert!(range.contains(&low) && range.contains(&high), "{kind:?}: {low} to {high}");
        assert!(high - low > 0.99, "{kind:?}: {low} to {high}");
    }
}

#[test]
fn softmax_sums_to_1_and_normalised_rows_have_mean_0_and_variance_1() {
    for axis in [0, 1] {
        let mut chain = Chain::on(&[8, 50]);
        chain.add(Op::Softmax(Softmax { axis, log: false }), &[chain.input]);
        let sums = chain.run().sum_dim_intlist(i64::from(axis), false, Kind::Float);
        assert!(size(&(sums - 1.0)) < 1e-5, "axis {axis}");
    }
    let mut chain = Chain::on(&[8, 500]);
    chain.add(Op::LayerNorm(LayerNorm { axes: 1, affine: Affine::BOTH }), &[chain.input]);
    let output = chain.run();
    assert!(size(&output.mean_dim(-1, false, Kind::Float)) < 1e-4);
    assert!(size(&(output.square().mean_dim(-1, false, Kind::Float) - 1.0)) < 1e-3);
    // Stored statistics are those of a normal distribution: nothing changes but by the 1e-5 under the root.
    let mut chain = Chain::on(&[2, 6, 9, 9]);
    let normalised = chain.add(Op::BatchNorm(BatchNorm { features: 6 }), &[chain.input]);
    chain.difference(chain.input, normalised);
    assert!(size(&chain.run()) < 1e-4);
}

#[test]
fn pooling_over_everything_is_one_number_a_channel() {
    let whole = |kind| {
        let windows = Windows::new(&[Window::new(8, 8, 0), Window::new(6, 6, 0)]).expect("two axes");
        Op::Pool(Pool { kind, windows, ceil_mode: false })
    };
    let mut chain = Chain::on(&[2, 5, 8, 6]);
    let average = chain.add(whole(PoolKind::Average), &[chain.input]);
    let adaptive = chain.add(Op::AdaptivePool(AdaptivePool::global_average().expect("two axes")), &[chain.input]);
    chain.difference(average, adaptive);
    assert!(size(&chain.run()) < 1e-5);
    let mut chain = Chain::on(&[2, 5, 8, 6]);
    let average = chain.add(whole(PoolKind::Average), &[chain.input]);
    let greatest = chain.add(whole(PoolKind::Max), &[chain.input]);
    chain.difference(greatest, average);
    // Of 48 normal values the greatest is some two standard deviations above the mean.
    let [low, high] = extremes(&chain.run());
    assert!(low > 0.5 && high < 6.0, "{low} to {high}");
}

fn shape(extents: &[u32]) -> Shape {
    Shape::new(extents).expect("few axes")
}

const fn window(kernel: u16, stride: u16, padding: [u16; 2], dilation: u16) -> Window {
    Window { kernel, stride, padding, dilation }
}

impl Chain {
    fn again(&mut self, op: Op, operands: &[TensorId]) -> TensorId {
        self.graph.add_node("again", op, operands, true).expect("operands that go together")
    }

    fn moved(&mut self, kind: MoveKind, extents: &[u32], operand: TensorId) -> TensorId {
        self.add(Op::Move(Move { kind, shape: shape(extents) }), &[operand])
    }

    fn sum(&mut self, a: TensorId, b: TensorId) -> TensorId {
        self.add(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[a, b])
    }

    /// A source beside the first.
    fn source(&mut self, extents: &[u32]) -> TensorId {
        self.graph.add_input(extents, DataType::Fp32).expect("a shape")
    }
}

#[test]
fn asymmetric_padding_is_zeros_on_each_side() {
    let mut chain = Chain::on(&[2, 6, 9, 8]);
    let conv = |windows: [Window; 2]| {
        let windows = Windows::new(&windows).expect("two axes");
        Op::Conv(Conv { c_in: 6, c_out: 4, groups: 2, windows, bias: true, weights: None })
    };
    let padded = chain.add(conv([window(3, 2, [1, 2], 1), window(2, 1, [0, 3], 2)]), &[chain.input]);
    // The same by hand: rows and columns of zeros, and the same weights without padding.
    let row = chain.moved(MoveKind::Slice, &[2, 6, 1, 8], chain.input);
    let zeros = chain.difference(row, row);
    let rows = chain.add(Op::Concat(Concat { axis: 2 }), &[zeros, chain.input, zeros, zeros]);
    let wide = chain.moved(MoveKind::Pad, &[2, 6, 12, 11], rows);
    let by_hand = chain.again(conv([window(3, 2, [0; 2], 1), window(2, 1, [0; 2], 2)]), &[wide]);
    chain.difference(padded, by_hand);
    assert!(size(&chain.run()) < 1e-4);
    // With weights of its own it gives other numbers: the test above can fail.
    let mut chain = Chain::on(&[2, 6, 9, 8]);
    let op = conv([window(3, 2, [1, 2], 1), window(2, 1, [0, 3], 2)]);
    let (first, second) = (chain.add(op, &[chain.input]), chain.add(op, &[chain.input]));
    chain.difference(first, second);
    assert!(size(&chain.run()) > 0.1);
}

#[test]
fn transposed_convolutions_are_cut_where_core_says() {
    let conv = |padding, added| {
        let windows = Windows::new(&[window(4, 2, padding, 1)]).expect("an axis");
        let output_padding = [added, 0, 0];
        Op::ConvTranspose(ConvTranspose {
            c_in: 3,
            c_out: 5,
            groups: 1,
            windows,
            output_padding,
            bias: true,
            weights: None,
        })
    };
    let mut chain = Chain::on(&[2, 3, 7]);
    let cut = chain.add(conv([0, 3], 0), &[chain.input]);
    let whole = chain.again(conv([0, 0], 0), &[chain.input]);
    // (7 − 1) · 2 + 4 − 3 = 13 of 16.
    let part = chain.moved(MoveKind::Slice, &[2, 5, 13], whole);
    chain.difference(cut, part);
    assert!(size(&chain.run()) < 1e-5);
    for (padding, added) in [([3, 0], 0), ([1, 2], 1), ([1, 1], 1)] {
        let mut chain = Chain::on(&[2, 3, 7]);
        chain.add(conv(padding, added), &[chain.input]);
        drop(chain.run());
    }
}

#[test]
fn products_agree_with_one_another() {
    let mut chain = Chain::on(&[3, 5, 4]);
    let other = chain.source(&[3, 6, 4]);
    let at_once = chain.add(Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), &[chain.input, other]);
    let turned = chain.add(Op::Transpose(Transpose::new(&[0, 2, 1]).expect("three axes")), &[other]);
    let plain = chain.add(Op::MatMul(MatMul { transpose_a: false, transpose_b: false }), &[chain.input, turned]);
    let contraction = Contraction { shape: shape(&[3, 5, 6]), batch: 3, m: 5, n: 6, k: 4 };
    let contracted = chain.add(Op::Contraction(contraction), &[chain.input, turned]);
    let first = chain.difference(at_once, plain);
    let second = chain.difference(plain, contracted);
    chain.add(Op::Concat(Concat { axis: 0 }), &[first, second]);
    assert!(size(&chain.run()) < 1e-5);
}

#[test]
fn attention_is_a_softmax_of_products() {
    let mut chain = Chain::on(&[2, 4, 5, 16]);
    let (key, value) = (chain.source(&[2, 1, 7, 16]), chain.source(&[2, 1, 7, 3]));
    // Four times the queries, over the root of 16: the scores are the products themselves.
    let twice = chain.sum(chain.input, chain.input);
    let queries = chain.sum(twice, twice);
    let at_once = chain.add(Op::Attention(Attention { causal: false }), &[queries, key, value]);
    let scores = chain.add(Op::MatMul(MatMul { transpose_a: false, transpose_b: true }), &[chain.input, key]);
    let shares = chain.add(Op::Softmax(Softmax { axis: 3, log: false }), &[scores]);
    let by_hand = chain.add(Op::MatMul(MatMul { transpose_a: false, transpose_b: false }), &[shares, value]);
    chain.difference(at_once, by_hand);
    assert!(size(&chain.run()) < 1e-5, "four heads of queries share one of keys and values");
    // The first query of a causal attention sees the first value alone.
    let mut chain = Chain::on(&[2, 4, 5, 8]);
    let (key, value) = (chain.source(&[2, 4, 5, 8]), chain.source(&[2, 4, 5, 8]));
    let seen = chain.add(Op::Attention(Attention { causal: true }), &[chain.input, key, value]);
    let (first, expected) =
        (chain.moved(MoveKind::Slice, &[2, 4, 1, 8], seen), chain.moved(MoveKind::Slice, &[2, 4, 1, 8], value));
    chain.difference(first, expected);
    assert!(size(&chain.run()) < 1e-5);
}

#[test]
fn the_fast_path_of_multi_head_attention_is_the_slow_one() {
    let mut chain = Chain::on(&[2, 7, 12]);
    let op =
        Op::MultiHeadAttention(MultiHeadAttention { embed: 12, heads: 4, k_features: 12, v_features: 12, bias: true });
    let fast = chain.add(op, &[chain.input; 3]);
    // Equal values in another tensor: the projections run one by one.
    let copy = chain.moved(MoveKind::Copy, &[2, 7, 12], chain.input);
    let slow = chain.again(op, &[chain.input, copy, copy]);
    chain.difference(fast, slow);
    assert!(size(&chain.run()) < 1e-4);
}

#[test]
fn a_group_norm_has_mean_0_and_variance_1_in_each_group() {
    let mut chain = Chain::on(&[3, 6, 40, 10]);
    let twice = chain.sum(chain.input, chain.input);
    chain.add(Op::GroupNorm(GroupNorm { groups: 2, affine: Affine::BOTH }), &[twice]);
    let groups = chain.run().reshape([6, 1200]);
    assert!(size(&groups.mean_dim(1, false, Kind::Float)) < 1e-4);
    assert!(size(&(groups.square().mean_dim(1, false, Kind::Float) - 1.0)) < 1e-3);
}

#[test]
fn recurrent_layers_give_their_last_states() {
    let recurrent = |cell, layers| Recurrent {
        cell,
        input: 6,
        hidden: 5,
        layers,
        bidirectional: layers > 1,
        bias: true,
        batch_first: true,
    };
    for cell in Cell::ALL {
        let mut chain = Chain::on(&[3, 4, 6]);
        chain.add(Op::Recurrent(recurrent(cell, 2)), &[chain.input]);
        let outputs = Network::new(chain.graph.view()).expect("built").run_all().expect("runs");
        let sizes: Vec<Vec<i64>> = outputs.iter().map(Tensor::size).collect();
        let states = if cell == Cell::Lstm { 2 } else { 1 };
        assert_eq!(sizes.len(), 1 + states, "{cell:?}");
        assert_eq!(sizes[0], [3, 4, 10], "{cell:?}: both directions of every step");
        assert!(sizes[1..].iter().all(|size| *size == [4, 3, 5]), "{cell:?}: layers · directions, batch, hidden");
        // One step of one layer: what it gives is the state that it leaves.
        let mut chain = Chain::on(&[3, 1, 6]);
        let output = chain.add(Op::Recurrent(recurrent(cell, 1)), &[chain.input]);
        let rows = chain.add(Op::View(View { shape: shape(&[1, 3, 5]) }), &[output]);
        chain.difference(rows, output.offset(1));
        assert!(size(&chain.run()) < 1e-6, "{cell:?}");
    }
}

#[test]
fn quantization_rounds_to_its_step() {
    let mut chain = Chain::on(&[50, 20]);
    let integers = chain.add(Op::Quantize(Quantize { to: DataType::Int8 }), &[chain.input]);
    let back = chain.add(Op::Quantize(Quantize { to: DataType::Fp32 }), &[integers]);
    chain.difference(chain.input, back);
    let error = size(&chain.run());
    assert!(error > 0.01 && error < 0.0251, "{error}: steps of 0.05, half of one at most");
}

#[test]
fn an_op_in_place_on_a_view_leaves_what_is_read_later_alone() {
    let mut chain = Chain::on(&[8, 8]);
    let x = chain.sum(chain.input, chain.input);
    let flat = chain.add(Op::View(View { shape: shape(&[64]) }), &[x]);
    let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true });
    let positive = chain.add(relu, &[flat]);
    let back = chain.add(Op::View(View { shape: shape(&[8, 8]) }), &[positive]);
    chain.difference(x, back);
    let [low, high] = extremes(&chain.run());
    assert!(low < -1.0 && high == 0.0, "{low} to {high}");
    // A view of the input: the next run would read what the first one wrote.
    let mut chain = Chain::on(&[8, 8]);
    let flat = chain.add(Op::View(View { shape: shape(&[64]) }), &[chain.input]);
    chain.add(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[flat, flat]);
    drop(chain.run());
}

#[test]
fn an_int8_network_is_refused_and_runs_in_fp32() {
    let mut graph = GraphBuf::new("int8");
    let x = graph.add_input(&[2, 8], DataType::Int8).expect("a shape");
    let linear = Linear { in_features: 8, out_features: 4, bias: true, weights: Some(DataType::Int8) };
    graph.add("linear", Op::Linear(linear), &[x]).expect("fits");
    let refused = Network::new(graph.view()).expect_err("int8").to_string();
    assert!(refused.contains("node 0 (linear)") && refused.contains("fp32"), "{refused}");
    let graph = derate::retype::retyped(&graph, DataType::Fp32).expect("fits");
    let output = Network::new(graph.view()).expect("built").run().expect("runs");
    assert_eq!((output.size(), output.kind()), (vec![2, 4], Kind::Float));
}
