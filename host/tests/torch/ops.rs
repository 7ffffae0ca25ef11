//! Each op as libtorch runs it, beside what core says of it: the same output shape, and laws that need no reference.

use derate::graph_buf::GraphBuf;
use derate::torch::Network;
use derate_core::graph::Tables;
use derate_core::op::{
    Activation, ActivationKind, AdaptiveAveragePool2d, BatchNorm, Binary, BinaryKind, Concat, Conv2d, Flatten,
    LayerNorm, Linear, Op, Pool2d, PoolKind, Softmax,
};
use derate_core::shape::DataType;
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

const fn conv(c_out: u32, groups: u32) -> Conv2d {
    Conv2d {
        c_in: 6,
        c_out,
        kernel: [3, 2],
        stride: [2, 1],
        padding: [[1; 2]; 2],
        dilation: [1, 3],
        groups,
        bias: groups == 1,
    }
}

const fn pool(kind: PoolKind, ceil_mode: bool) -> Op {
    Op::Pool2d(Pool2d { kind, kernel: [3, 2], stride: [2; 2], padding: [[1; 2]; 2], dilation: [1; 2], ceil_mode })
}

#[test]
fn shapes_are_those_of_core() {
    // Odd extents, so that floor and ceil differ.
    let image = [2, 6, 17, 12];
    for op in [
        Op::Conv2d(conv(10, 1)),
        Op::Conv2d(conv(6, 6)),
        Op::Conv2d(conv(9, 3)),
        pool(PoolKind::Max, false),
        pool(PoolKind::Max, true),
        pool(PoolKind::Average, false),
        pool(PoolKind::Average, true),
        Op::AdaptiveAveragePool2d(AdaptiveAveragePool2d { output: [3, 5] }),
        Op::Flatten(Flatten { start_axis: 1 }),
        Op::Flatten(Flatten { start_axis: 2 }),
        Op::Linear(Linear { in_features: 12, out_features: 5, bias: false }),
        Op::BatchNorm(BatchNorm { features: 6 }),
        activation(ActivationKind::Gelu),
    ] {
        let mut chain = Chain::on(&image);
        chain.add(op, &[chain.input]);
        drop(chain.run());
    }
    let mut chain = Chain::on(&image);
    let pooled = chain.add(pool(PoolKind::Max, false), &[chain.input]);
    chain.add(Op::Concat(Concat { axis: 1 }), &[pooled, pooled, pooled]);
    drop(chain.run());
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
        chain.add(Op::Softmax(Softmax { axis }), &[chain.input]);
        let sums = chain.run().sum_dim_intlist(i64::from(axis), false, Kind::Float);
        assert!(size(&(sums - 1.0)) < 1e-5, "axis {axis}");
    }
    let mut chain = Chain::on(&[8, 500]);
    chain.add(Op::LayerNorm(LayerNorm { features: 500 }), &[chain.input]);
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
        let (kernel, padding) = ([8, 6], [[0; 2]; 2]);
        Op::Pool2d(Pool2d { kind, kernel, stride: kernel, padding, dilation: [1; 2], ceil_mode: false })
    };
    let mut chain = Chain::on(&[2, 5, 8, 6]);
    let average = chain.add(whole(PoolKind::Average), &[chain.input]);
    let adaptive = chain.add(Op::AdaptiveAveragePool2d(AdaptiveAveragePool2d { output: [1; 2] }), &[chain.input]);
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
