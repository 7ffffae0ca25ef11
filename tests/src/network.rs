//! Random networks: a small image goes through up to a dozen ops of any kind, with branches, at any batch size.
//!
//! Axis 0 of every activation is the batch, and no op mixes its entries, so that work grows with it.

mod fit;

use derate_core::Error;
use derate_core::graph::{Build, Graph, GraphView, Tables};
use derate_core::op::Op;
use derate_core::shape::DataType;
use derate_core::tensor::TensorKind;
use proptest::prelude::*;

/// Most steps of a random network.
pub const STEPS: usize = 12;

/// Most ops: a step may need a view before its op.
pub const OPS: usize = 2 * STEPS;

/// Most tensors, and references to them: a step adds a view, two stored tensors and three outputs, and reads up to five.
pub const TENSORS: usize = 1 + 6 * STEPS;

/// A graph that holds any random network.
pub type Roomy = Graph<OPS, TENSORS>;

/// Kinds of op that a step can stand for: one for each of core's.
pub const KINDS: u8 = 35;

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
    /// Which kind of op, below [`KINDS`].
    pub kind: u8,
    /// Which tensor it reads, counted back from the last one, modulo the number of tensors.
    pub back: u8,
    /// Channels or features that it gives, positive.
    pub width: u32,
    /// The window along the last axes, reduced to the operand's size where that is smaller: taps, step, padding, distance.
    pub kernel: u16,
    /// Step of a window, positive.
    pub stride: u16,
    /// Padding before and after.
    pub padding: [u16; 2],
    /// Distance of taps, positive.
    pub dilation: u16,
    /// Which of several variants of the op, modulo their number.
    pub variant: u8,
    /// Whether the result overwrites the operand, where the op can; elsewhere another choice of two.
    pub in_place: bool,
    /// Whether it has a bias, or another choice of two.
    pub bias: bool,
    /// Whether its parameters are those of an earlier op, if there is one with the same attributes.
    pub shared: bool,
}

impl Step {
    /// An op of one kind on the last tensor, with the smallest of all numbers.
    #[must_use]
    pub const fn smallest(kind: u8) -> Self {
        Self {
            kind,
            back: 0,
            width: 1,
            kernel: 1,
            stride: 1,
            padding: [0; 2],
            dilation: 1,
            variant: 0,
            in_place: false,
            bias: false,
            shared: false,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let window = (1_u16..=3, 1_u16..=2, [0_u16..=2, 0_u16..=2], 1_u16..=2);
    let choices = (any::<u8>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0..KINDS, 0_u8..4, 1_u32..=16, window, choices).prop_map(
        |(kind, back, width, (kernel, stride, padding, dilation), (variant, in_place, bias, shared))| Step {
            kind,
            back,
            width,
            kernel,
            stride,
            padding,
            dilation,
            variant,
            in_place,
            bias,
            shared,
        },
    )
}

/// Networks of 1 to [`STEPS`] steps on images of up to 12 channels of 12 × 12.
pub fn network() -> impl Strategy<Value = Network> {
    let image = [1_u32..=12, 1_u32..=12, 1_u32..=12];
    (image, prop::collection::vec(step(), 1..=STEPS)).prop_map(|(image, steps)| Network { image, steps })
}

/// Networks of 1 to 3 steps on images of up to 4 channels of 5 × 5: small enough to count each of their operations.
pub fn small_network() -> impl Strategy<Value = Network> {
    let image = [1_u32..=4, 1_u32..=5, 1_u32..=5];
    let small = step().prop_map(|step| Step { width: step.width.min(5), ..step });
    (image, prop::collection::vec(small, 1..=3)).prop_map(|(image, steps)| Network { image, steps })
}

/// Batch sizes of every order of magnitude: at the largest, tensors pass every level and threshold of the model.
pub fn batch() -> impl Strategy<Value = u32> {
    (0_u32..=18).prop_map(|exponent| 1 << exponent)
}

impl Network {
    /// Builds the network at a batch size, the input in fp32.
    ///
    /// # Errors
    /// [`Error::CapacityExceeded`] where the owner is too small; what was built before stays.
    pub fn build_in(&self, batch: u32, graph: &mut impl Tables) -> Result<(), Error> {
        let [c, h, w] = self.image;
        let mut ids = vec![graph.input(&[batch, c, h, w], DataType::Fp32)?];
        for step in &self.steps {
            let (op, operands) = step.fit(graph, &ids)?;
            let earlier = graph.view().nodes().iter().any(|node| node.op == op);
            let output = graph.node(op, &operands, step.shared && earlier)?;
            // The last states of recurrent layers have their batch elsewhere: nothing reads them.
            let read = if matches!(op, Op::Recurrent(_)) { 1 } else { op.output_count() };
            ids.extend((0..read).map(|position| output.offset(position)));
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

/// Adds all of a graph to another owner, insertion by insertion, up to the first that fails; `check` sees the owner before each, and
/// the owner after it with whether it failed.
///
/// # Errors
/// What the failing insertion gave.
pub fn replay<G: Tables>(
    from: GraphView<'_>,
    to: &mut G,
    mut check: impl FnMut(&str, GraphView<'_>, bool),
) -> Result<(), Error> {
    let mut nodes = from.nodes().iter().peekable();
    for (index, tensor) in from.tensors().iter().enumerate() {
        let before = format!("{:?}", to.view());
        let result = if tensor.kind != TensorKind::Activation {
            to.tensor(tensor.shape.extents(), tensor.data_type, tensor.kind)
        } else if let Some(node) = nodes.next_if(|node| node.output.index() == index) {
            to.node(node.op, from.operands(node).ids(), node.shared)
        } else {
            // A further output of the node before.
            continue;
        };
        check(&before, to.view(), result.is_err());
        result?;
    }
    Ok(())
}
