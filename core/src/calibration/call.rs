//! Calls: what an eager runtime does for an op, as the few numbers that its time follows from.

use crate::error::Error;
use crate::graph::{GraphView, Node};
use crate::op::{Op, Windows};
use crate::units::to_f32;
use crate::work::{Class, Gemm, Work};

/// The routine that a call ends in; each has its own equation in the docs of [`crate::calibration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Routine {
    /// Convolution with more than one tap.
    Conv,
    /// Convolution of one tap.
    Pointwise,
    /// Convolution of one channel a group.
    Depthwise,
    /// Convolution of several groups of several channels.
    GroupedConv,
    /// Fully connected layer.
    Linear,
    /// Product of two activations.
    MatMul,
    /// One cheap operation an element.
    Elementwise,
    /// Normalisation by stored statistics.
    BatchNorm,
    /// An exponential or its like an element.
    Transcendental,
    /// Softmax.
    Softmax,
    /// Normalisation by the operand's own statistics.
    Norm,
    /// Sliding-window pooling.
    Pooling,
    /// A sum over an axis.
    Reduction,
    /// Bytes moved.
    Copy,
    /// Nothing runs.
    View,
}

impl Routine {
    /// Whether it is a convolution.
    #[must_use]
    pub const fn is_conv(self) -> bool {
        matches!(self, Self::Conv | Self::Pointwise | Self::Depthwise | Self::GroupedConv)
    }

    /// Whether it is a matrix product of any kind.
    #[must_use]
    pub const fn is_product(self) -> bool {
        self.is_conv() || matches!(self, Self::Linear | Self::MatMul)
    }
}

/// One call of a routine. Counts as `f32`: exact up to 2^24, and to seven digits above.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Call {
    /// Where it ends.
    pub routine: Routine,
    /// Rows, columns, length of the sums and number of the matrix product; 0 where there is none.
    pub mnkg: [f32; 4],
    /// Taps of the window; 1 without one.
    pub taps: f32,
    /// Longest edge of a convolution's window.
    pub edge: f32,
    /// Extent of the first axis.
    pub batch: f32,
    /// Elements of the activations read.
    pub elements_in: f32,
    /// Elements written.
    pub elements_out: f32,
    /// Elements of the weights read.
    pub elements_weight: f32,
    /// Bytes of an element.
    pub element: f32,
    /// Whether the result lies where an operand lay.
    pub in_place: bool,
    /// Whether an operand is smaller than the result that it is repeated over.
    pub broadcast: bool,
    /// Share of the overhead that it pays: 1, or less inside a larger native call.
    pub overhead_share: f32,
}

impl Call {
    /// A view: nothing runs.
    pub const VIEW: Self = Self {
        routine: Routine::View,
        mnkg: [0.0; 4],
        taps: 1.0,
        edge: 1.0,
        batch: 1.0,
        elements_in: 0.0,
        elements_out: 0.0,
        elements_weight: 0.0,
        element: 4.0,
        in_place: false,
        broadcast: false,
        overhead_share: 1.0,
    };

    /// FLOPs of the matrix product.
    #[must_use]
    pub fn flops(&self) -> f32 {
        let [m, n, k, groups] = self.mnkg;
        2.0 * m * n * k * groups
    }

    /// Bytes of the activations, read and written.
    #[must_use]
    pub fn activation_bytes(&self) -> f32 {
        (self.elements_in + self.elements_out) * self.element
    }

    /// Bytes of the weights.
    #[must_use]
    pub fn weight_bytes(&self) -> f32 {
        self.elements_weight * self.element
    }

    /// A matrix product `[m × k] · [k × n]`, so many times, its second operand stored or not.
    fn product(self, routine: Routine, [m, n, k, groups]: [f32; 4], overhead_share: f32) -> Self {
        let stored = matches!(routine, Routine::Linear);
        Self {
            routine,
            mnkg: [m, n, k, groups],
            elements_in: groups * (m * k + if stored { 0.0 } else { k * n }),
            elements_out: groups * m * n,
            elements_weight: if stored { groups * k * n + n } else { 0.0 },
            overhead_share,
            ..self
        }
    }

    /// A pass over so many elements.
    fn pass(self, routine: Routine, elements: f32, overhead_share: f32) -> Self {
        let in_place = matches!(routine, Routine::Softmax);
        Self {
            routine,
            mnkg: [0.0; 4],
            elements_in: elements,
            elements_out: elements,
            elements_weight: 0.0,
            in_place,
            overhead_share,
            ..self
        }
    }
}

/// Share of the overhead of a call that a native routine makes inside itself.
const INNER: f32 = 0.1;

/// The calls of an op.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Calls {
    /// One.
    One(Call),
    /// Scores, softmax and weighted sum of attention: `[l × d]`, `[s × d]`, so many.
    Attention(Call, [f32; 4]),
    /// The same with projections around it: queries, embedding, heads, keys.
    MultiHead(Call, [f32; 4]),
    /// Steps, one after another, each a product and the function of its gates: rows, gates, sum, steps.
    Recurrent(Call, [f32; 4]),
}

impl Calls {
    /// Calls of a node of a graph, of this work. A view by the runtime's rules is one by its class.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1; what the operands of the node are refused for.
    pub fn of(graph: GraphView<'_>, node: &Node, work: &Work) -> Result<Self, Error> {
        let output = graph.output(node)?;
        let operands = graph.operands(node);
        let mut call = Call {
            routine: routine(node, work.class),
            elements_out: to_f32(work.elements_out),
            element: to_f32(output.data_type.size().0).max(0.5),
            in_place: node.op.in_place(),
            ..Call::VIEW
        };
        if call.routine == Routine::View {
            return Ok(Self::One(Call::VIEW));
        }
        for operand in operands.iter() {
            let (position, tensor) = operand?;
            let elements = tensor.shape.elements()?;
            call.broadcast |= matches!(node.op, Op::Binary(_)) && elements < work.elements_out;
            if position == 0 {
                call.batch = tensor.shape.extent(0).map_or(1.0, |n| to_f32(u64::from(n)));
            }
        }
        call.elements_in = work.bytes_in.as_f32() / call.element;
        call.elements_weight = work.bytes_weight.as_f32() / call.element;
        let windows = match &node.op {
            Op::Conv(op) => Some(&op.windows),
            Op::ConvTranspose(op) => Some(&op.windows),
            Op::Pool(op) => Some(&op.windows),
            _ => None,
        };
        if let Some(windows) = windows {
            call.taps = to_f32(windows.taps()?);
            call.edge = longest_edge(windows);
        } else if call.routine == Routine::Pooling {
            // Adaptive windows and interpolations: as many taps as inputs an output, at least one.
            call.taps = libm::roundf(call.elements_in / call.elements_out.max(1.0)).max(1.0);
        }
        let Some(Gemm { m, n, k, groups }) = work.gemm else { return Ok(Self::One(call)) };
        call.mnkg = [m, n, k, groups].map(to_f32);
        let extent = |position: u16, from_last: usize| -> Result<f32, Error> {
            let shape = operands.at(position)?.shape;
            let axis = usize::from(shape.rank()).checked_sub(from_last);
            Ok(axis.and_then(|axis| shape.extent(axis)).map_or(1.0, |n| to_f32(u64::from(n))))
        };
        Ok(match &node.op {
            Op::Attention(_) => Self::Attention(call, [extent(0, 2)?, extent(1, 2)?, extent(0, 1)?, to_f32(groups)]),
            Op::MultiHeadAttention(op) => {
                let [embed, heads] = [op.embed, op.heads].map(|n| to_f32(u64::from(n)));
                Self::MultiHead(call, [extent(0, 2)?, embed, heads, extent(1, 2)?])
            }
            Op::Recurrent(_) => Self::Recurrent(call, call.mnkg),
            _ => Self::One(call),
        })
    }

    /// The same, their results where an operand lay, or in a buffer of their own.
    #[must_use]
    pub const fn in_place(mut self, in_place: bool) -> Self {
        match &mut self {
            Self::One(call) | Self::Attention(call, _) | Self::MultiHead(call, _) | Self::Recurrent(call, _) => {
                call.in_place = in_place;
            }
        }
        self
    }

    /// A routine that stands for all: that which takes most of the time.
    #[must_use]
    pub const fn routine(&self) -> Routine {
        match self {
            Self::One(call) => call.routine,
            Self::Attention(..) => Routine::MatMul,
            Self::MultiHead(..) | Self::Recurrent(..) => Routine::Linear,
        }
    }

    /// Visits each simple call with the number of its repetitions.
    pub fn each(&self, mut visit: impl FnMut(&Call, f32)) {
        match *self {
            Self::One(call) => visit(&call, 1.0),
            Self::Attention(call, [l, s, d, groups]) => {
                visit(&call.product(Routine::MatMul, [l, s, d, groups], 1.0), 1.0);
                visit(&call.pass(Routine::Softmax, groups * l * s, INNER), 1.0);
                visit(&call.product(Routine::MatMul, [l, d, s, groups], INNER), 1.0);
            }
            Self::MultiHead(call, [l, embed, heads, s]) => {
                let (rows, depth) = (call.batch * l, embed / heads.max(1.0));
                let groups = call.batch * heads;
                visit(&call.product(Routine::Linear, [rows, 3.0 * embed, embed, 1.0], 1.0), 1.0);
                visit(&call.pass(Routine::Copy, 3.0 * rows * embed, INNER), 1.0);
                visit(&call.product(Routine::MatMul, [l, s, depth, groups], INNER), 1.0);
                visit(&call.pass(Routine::Softmax, groups * l * s, INNER), 1.0);
                visit(&call.product(Routine::MatMul, [l, depth, s, groups], INNER), 1.0);
                visit(&call.pass(Routine::Copy, rows * embed, INNER), 1.0);
                visit(&call.product(Routine::Linear, [rows, embed, embed, 1.0], INNER), 1.0);
            }
            Self::Recurrent(call, [m, gates, k, steps]) => {
                visit(&call.product(Routine::Linear, [m, gates, k, 1.0], 1.0), steps);
                visit(&call.pass(Routine::Transcendental, m * gates, 1.0), steps);
            }
        }
    }
}

/// The routine of a node whose work has this class.
fn routine(node: &Node, class: Class) -> Routine {
    match (class, &node.op) {
        (Class::View, _) => Routine::View,
        (_, Op::BatchNorm(_)) => Routine::BatchNorm,
        (_, Op::Softmax(_)) => Routine::Softmax,
        (_, Op::LayerNorm(_) | Op::RmsNorm(_) | Op::GroupNorm(_) | Op::LocalResponseNorm(_)) => Routine::Norm,
        // Pooling to one output is a mean over an axis; to more, windows.
        (_, Op::AdaptivePool(op)) if op.output.elements() != Ok(1) => Routine::Pooling,
        (Class::Conv, _) => Routine::Conv,
        (Class::Pointwise, _) => Routine::Pointwise,
        (Class::Depthwise, _) => Routine::Depthwise,
        (Class::GroupedConv, _) => Routine::GroupedConv,
        (Class::Linear | Class::Recurrent, _) => Routine::Linear,
        (Class::MatMul | Class::Attention, _) => Routine::MatMul,
        (Class::Elementwise, _) => Routine::Elementwise,
        (Class::Transcendental, _) => Routine::Transcendental,
        (Class::Pooling, _) => Routine::Pooling,
        (Class::Reduction, _) => Routine::Reduction,
        (Class::Copy, _) => Routine::Copy,
    }
}

fn longest_edge(windows: &Windows) -> f32 {
    let longest = windows.axes().iter().fold(1, |longest, window| window.kernel.max(longest));
    to_f32(u64::from(longest))
}
