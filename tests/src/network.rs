//! Random networks: a small image goes through up to a dozen ops that fit it, with branches, at any batch size.

use derate_core::Error;
use derate_core::graph::{Build, Graph, Tables};
use derate_core::op::{
    Activation, ActivationKind, AdaptiveAveragePool2d, BatchNorm, Binary, BinaryKind, Concat, Conv2d, Flatten,
    LayerNorm, Linear, Op, Pool2d, PoolKind, Softmax,
};
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;
use proptest::prelude::*;

/// Most ops of a random network.
pub const STEPS: usize = 12;

/// A graph that holds any random network: each op has at most two operands.
pub type Roomy = Graph<STEPS, { 2 * STEPS }>;

/// A random network: what to build, independent of the batch size and of the owner of the tables.
#[derive(Clone, Debug)]
pub struct Network {
    /// Channels, height and width of the input.
    pub image: [u32; 3],
    /// Its ops, in execution order.
    pub steps: Vec<Step>,
}

/// One op, as numbers that are fitted to the shape of its operand when it is built.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Which kind of op, modulo the number that fit.
    pub kind: u8,
    /// Which tensor it reads, counted back from the last one, modulo the number of tensors.
    pub back: u8,
    /// Channels or features that it gives, positive.
    pub width: u32,
    /// Taps of a window along both axes, reduced to the operand's size where that is smaller; positive.
    pub kernel: u32,
    /// Step of a window, positive.
    pub stride: u32,
    /// Whether the result overwrites the operand, where the op can.
    pub in_place: bool,
}

/// Networks of 1 to [`STEPS`] ops on images of up to 12 channels of 12 × 12.
pub fn network() -> impl Strategy<Value = Network> {
    let step = (0_u8..12, 0_u8..4, 1_u32..=16, 1_u32..=3, 1_u32..=2, any::<bool>())
        .prop_map(|(kind, back, width, kernel, stride, in_place)| Step { kind, back, width, kernel, stride, in_place });
    let image = [1_u32..=12, 1_u32..=12, 1_u32..=12];
    (image, prop::collection::vec(step, 1..=STEPS)).prop_map(|(image, steps)| Network { image, steps })
}

/// Batch sizes of every order of magnitude: at the largest, tensors pass every level and threshold of the model.
pub fn batch() -> impl Strategy<Value = u32> {
    (0_u32..=18).prop_map(|exponent| 1 << exponent)
}

impl Network {
    /// Builds the network at a batch size, all operands in fp32.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] where the owner is too small; what was built before stays.
    pub fn build_in(&self, batch: u32, graph: &mut impl Tables) -> Result<(), Error> {
        let [c, h, w] = self.image;
        let mut ids = vec![graph.input(&[batch, c, h, w], DataType::Fp32)?];
        for step in &self.steps {
            let (op, operands) = step.fit(graph, &ids);
            ids.push(graph.op(op, &operands)?);
        }
        Ok(())
    }

    /// The network at a batch size, in an owner of its own.
    ///
    /// # Errors
    /// What [`Network::build_in`] gives, for which there is no reason here.
    pub fn build(&self, batch: u32) -> Result<Roomy, Error> {
        let mut graph = Graph::new();
        self.build_in(batch, &mut graph)?;
        Ok(graph)
    }
}

impl Step {
    /// The op that this step stands for on the tensors so far, and its operands.
    fn fit(&self, graph: &impl Tables, ids: &[TensorId]) -> (Op, Vec<TensorId>) {
        let x = ids[ids.len() - 1 - usize::from(self.back) % ids.len()];
        let extents = |id: TensorId| graph.view().tensors()[id.index()].shape.extents().to_vec();
        let shape = extents(x);
        let same = |wanted: &dyn Fn(&[u32]) -> bool| ids.iter().copied().find(|&id| wanted(&extents(id))).unwrap_or(x);
        let features = shape[shape.len() - 1];
        match (self.kind, shape.as_slice()) {
            (0, &[_, c, h, w]) => (self.conv(c, self.width, 1, [h, w]), vec![x]),
            (1, &[_, c, h, w]) => (self.conv(c, c, c, [h, w]), vec![x]),
            (2, &[_, _, h, w]) => (self.pool([h, w]), vec![x]),
            (3, &[_, _, _, _]) => {
                (Op::AdaptiveAveragePool2d(AdaptiveAveragePool2d { output: [self.kernel; 2] }), vec![x])
            }
            (4, _) => (Op::BatchNorm(BatchNorm { features: shape[1] }), vec![x]),
            (5, _) => (Op::LayerNorm(LayerNorm { features }), vec![x]),
            (6, _) => (Op::Softmax(Softmax { axis: 1 }), vec![x]),
            (7, _) => (Op::Flatten(Flatten { start_axis: 1 }), vec![x]),
            (8, _) => {
                let kind = if self.stride == 1 { ActivationKind::Relu } else { ActivationKind::Silu };
                (Op::Activation(Activation { kind, in_place: self.in_place }), vec![x])
            }
            (9, _) => {
                let y = same(&|other| other == shape);
                (Op::Binary(Binary { kind: BinaryKind::Add, in_place: self.in_place }), vec![x, y])
            }
            (10, _) => {
                let fits = |other: &[u32]| other.len() == shape.len() && other[2..] == shape[2..];
                (Op::Concat(Concat { axis: 1 }), vec![x, same(&fits)])
            }
            _ => (Op::Linear(Linear { in_features: features, out_features: self.width, bias: self.in_place }), vec![x]),
        }
    }

    fn conv(&self, c_in: u32, c_out: u32, groups: u32, [h, w]: [u32; 2]) -> Op {
        Op::Conv2d(Conv2d {
            c_in,
            c_out,
            kernel: [self.kernel.min(h), self.kernel.min(w)],
            stride: [self.stride; 2],
            padding: [[self.kernel / 2; 2]; 2],
            dilation: [1; 2],
            groups,
            bias: self.in_place,
        })
    }

    fn pool(&self, [h, w]: [u32; 2]) -> Op {
        Op::Pool2d(Pool2d {
            kind: PoolKind::Max,
            kernel: [self.kernel.min(h), self.kernel.min(w)],
            stride: [self.stride; 2],
            padding: [[0; 2]; 2],
            dilation: [1; 2],
            ceil_mode: self.in_place,
        })
    }
}
