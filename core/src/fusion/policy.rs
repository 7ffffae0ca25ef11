//! Policies: what runtimes fuse, as data. Each rule has its reason; a runtime that fuses otherwise is another [`Policy`].

use crate::graph::{GraphView, Node};
use crate::op::{ActivationKind, BinaryKind, MoveKind, Op, PoolKind};
use crate::tensor::TensorId;

/// How often a step of a rule occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Times {
    /// Exactly once.
    Once,
    /// Once or not at all.
    Optional,
    /// Any number of times, zero too.
    Any,
}

/// Which ops a step of a rule stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Part {
    /// Convolution or its transpose.
    Conv,
    /// Fully connected layer, or product with a stored matrix.
    Linear,
    /// Product of two tensors, the chain being the first of them.
    MatMul,
    /// Normalisation by stored statistics.
    BatchNorm,
    /// Normalisation by the operand's own statistics over its last axes.
    Norm,
    /// Function of each element, or the product of a tensor with a function of itself.
    Activation,
    /// Function of each element that only clamps: `ReLU`, `ReLU6`, clip.
    Clamp,
    /// Sum with a computed tensor of the same shape, from outside the chain: a residual connection.
    Residual,
    /// Sum with a stored tensor: a bias.
    Bias,
    /// Sum of two tensors.
    Add,
    /// Arithmetic of each element with a number, or with a tensor that does not enlarge the result.
    Pointwise,
    /// Softmax.
    Softmax,
    /// Padding.
    Pad,
    /// Maximum or average pooling.
    Pool,
    /// Between real numbers and scaled integers.
    Quantize,
    /// Transposition.
    Transpose,
    /// Part of a tensor, or its repetition.
    SliceOrExpand,
}

impl Part {
    /// Whether a node is such an op; `chain` is the tensor that comes from the op before, where there is one.
    #[must_use]
    pub fn matches(self, graph: GraphView<'_>, node: &Node, chain: Option<TensorId>) -> bool {
        let tensor = |id: TensorId| graph.tensors().get(id.index());
        let shape = |id: TensorId| tensor(id).map(|tensor| tensor.shape);
        let is_stored = |id: TensorId| tensor(id).is_some_and(|tensor| tensor.kind.is_stored());
        let operands = graph.operands(node).ids();
        let keeps_shape = || chain.is_none_or(|chain| shape(chain) == shape(node.output));
        let other = || operands.iter().copied().find(|&id| Some(id) != chain);
        let adds = || matches!(node.op, Op::Binary(op) if op.kind == BinaryKind::Add);
        let moves = |a: MoveKind, b: MoveKind| matches!(node.op, Op::Move(op) if op.kind == a || op.kind == b);
        match self {
            Self::Conv => matches!(node.op, Op::Conv(_) | Op::ConvTranspose(_)),
            Self::Linear => match node.op {
                Op::Linear(_) => true,
                Op::MatMul(_) => operands.get(1).copied().is_some_and(is_stored),
                _ => false,
            },
            Self::MatMul => {
                let product = matches!(node.op, Op::MatMul(_) | Op::Contraction(_));
                product && chain.is_none_or(|chain| operands.first() == Some(&chain))
            }
            Self::BatchNorm => matches!(node.op, Op::BatchNorm(_)),
            Self::Norm => matches!(node.op, Op::LayerNorm(_) | Op::RmsNorm(_)),
            Self::Activation => matches!(node.op, Op::Activation(_) | Op::PRelu(_)),
            Self::Clamp => match node.op {
                Op::Activation(op) => {
                    matches!(op.kind, ActivationKind::Relu | ActivationKind::Relu6 | ActivationKind::Clip)
                }
                _ => false,
            },
            Self::Residual => {
                let outside = other().is_some_and(|id| !is_stored(id) && shape(id) == shape(node.output));
                adds() && keeps_shape() && outside
            }
            Self::Bias => adds() && keeps_shape() && other().is_some_and(is_stored),
            Self::Add => adds(),
            Self::Pointwise => {
                let pointwise = matches!(
                    node.op,
                    Op::Activation(_) | Op::PRelu(_) | Op::Scalar(_) | Op::Binary(_) | Op::Where(_) | Op::Cast(_)
                );
                pointwise && keeps_shape()
            }
            Self::Softmax => matches!(node.op, Op::Softmax(_)),
            Self::Pad => moves(MoveKind::Pad, MoveKind::Pad),
            Self::Pool => match node.op {
                Op::Pool(op) => op.kind != PoolKind::Norm,
                Op::AdaptivePool(op) => op.kind != PoolKind::Norm,
                _ => false,
            },
            Self::Quantize => matches!(node.op, Op::Quantize(_)),
            Self::Transpose => matches!(node.op, Op::Transpose(_)),
            Self::SliceOrExpand => moves(MoveKind::Slice, MoveKind::Expand),
        }
    }
}

/// A step of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step {
    /// Which ops.
    pub part: Part,
    /// How often.
    pub times: Times,
}

impl Step {
    /// An op that must be there.
    #[must_use]
    pub const fn once(part: Part) -> Self {
        Self { part, times: Times::Once }
    }

    /// An op that may be there.
    #[must_use]
    pub const fn optional(part: Part) -> Self {
        Self { part, times: Times::Optional }
    }

    /// Any number of such ops.
    #[must_use]
    pub const fn any(part: Part) -> Self {
        Self { part, times: Times::Any }
    }
}

/// Ops along a chain that are one kernel: each reads what the one before computes, and nobody else does. Views between them
/// belong to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rule {
    /// Short name.
    pub name: &'static str,
    /// Why runtimes do so.
    pub reason: &'static str,
    /// The ops, first to last; the first one occurs at most once.
    pub steps: &'static [Step],
}

/// Ops that move nothing under a policy, though their result has another layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ViewRule {
    /// Which ops.
    pub part: Part,
    /// Why.
    pub reason: &'static str,
}

/// What a runtime fuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy {
    /// Name on the command line.
    pub name: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Rules; the longest match counts, of equals the first.
    pub rules: &'static [Rule],
    /// Ops that move nothing.
    pub views: &'static [ViewRule],
}

impl Policy {
    /// Whether a node moves nothing: a view, or an op that this runtime makes one.
    #[must_use]
    pub fn is_view(&self, graph: GraphView<'_>, node: &Node) -> bool {
        node.op.is_view() || self.views.iter().any(|rule| rule.part.matches(graph, node, None))
    }
}

/// libtorch in eager mode.
pub const EAGER: Policy = Policy {
    name: "eager",
    meaning: "libtorch in eager mode: one kernel an op",
    rules: &[],
    views: &[
        ViewRule { part: Part::Transpose, reason: "permute changes strides only; the op that reads pays for them" },
        ViewRule { part: Part::SliceOrExpand, reason: "slices and expansions are strided views" },
    ],
};

/// Compiled inference runtimes.
pub const INFERENCE: Policy = Policy {
    name: "inference",
    meaning: "a runtime that folds and fuses: TensorRT, OpenVINO, ONNX Runtime",
    rules: &[
        Rule {
            name: "conv",
            reason: "stored statistics fold into the weights; activation and residual sum are applied to the accumulators before they are stored",
            steps: &[
                Step::optional(Part::Pad),
                Step::once(Part::Conv),
                Step::optional(Part::BatchNorm),
                Step::optional(Part::Bias),
                Step::optional(Part::Activation),
                Step::optional(Part::Residual),
                Step::optional(Part::Activation),
            ],
        },
        Rule {
            name: "linear",
            reason: "bias, activation and residual sum are the epilogue of the matrix product",
            steps: &[
                Step::once(Part::Linear),
                Step::optional(Part::BatchNorm),
                Step::optional(Part::Bias),
                Step::optional(Part::Activation),
                Step::optional(Part::Residual),
                Step::optional(Part::Activation),
            ],
        },
        Rule {
            name: "norm_linear",
            reason: "a row is normalised while the matrix product reads it",
            steps: &[
                Step::once(Part::Norm),
                Step::once(Part::Linear),
                Step::optional(Part::Bias),
                Step::optional(Part::Activation),
            ],
        },
        Rule {
            name: "attention",
            reason: "scores stay on chip between the two products (FlashAttention)",
            steps: &[
                Step::once(Part::MatMul),
                Step::any(Part::Pointwise),
                Step::once(Part::Softmax),
                Step::any(Part::Pointwise),
                Step::once(Part::MatMul),
            ],
        },
        Rule {
            name: "pointwise",
            reason: "a chain of functions of each element is one loop",
            steps: &[Step::once(Part::Pointwise), Step::once(Part::Pointwise), Step::any(Part::Pointwise)],
        },
    ],
    views: &[],
};

/// int8 kernels of microcontrollers.
pub const MCU: Policy = Policy {
    name: "mcu",
    meaning: "int8 kernels of a microcontroller: CMSIS-NN, TensorFlow Lite for Microcontrollers",
    rules: &[
        Rule {
            name: "conv",
            reason: "the kernel pads as it reads, requantizes and clamps as it stores; a batch norm was folded before",
            steps: &[
                Step::optional(Part::Pad),
                Step::once(Part::Conv),
                Step::optional(Part::BatchNorm),
                Step::optional(Part::Clamp),
                Step::optional(Part::Quantize),
            ],
        },
        Rule {
            name: "linear",
            reason: "the kernel requantizes and clamps as it stores",
            steps: &[
                Step::once(Part::Linear),
                Step::optional(Part::BatchNorm),
                Step::optional(Part::Bias),
                Step::optional(Part::Clamp),
                Step::optional(Part::Quantize),
            ],
        },
        Rule {
            name: "add",
            reason: "the elementwise sum clamps as it stores",
            steps: &[Step::once(Part::Add), Step::once(Part::Clamp)],
        },
        Rule {
            name: "pool",
            reason: "pooling clamps as it stores",
            steps: &[Step::once(Part::Pool), Step::once(Part::Clamp)],
        },
    ],
    views: &[],
};

/// All policies of this crate.
pub const POLICIES: [&Policy; 3] = [&EAGER, &INFERENCE, &MCU];
