//! Ops: what a node of a graph computes, the shape it gives, and its exact work.
//!
//! One file a family; each states its equations. **FLOP convention**, the same everywhere: two for each MAC; one for each
//! addition, subtraction, multiplication, division, comparison and elementary function (`exp`, `tanh`, `erf`, root).

mod conv;
mod elementwise;
mod layout;
mod linear;
mod norm;
mod pool;

pub use conv::Conv2d;
pub use elementwise::{Activation, ActivationKind, Binary, BinaryKind, Softmax};
pub use layout::{Concat, Flatten};
pub use linear::Linear;
pub use norm::{BatchNorm, LayerNorm};
pub use pool::{AdaptiveAveragePool2d, Pool2d, PoolKind};

use crate::error::{Attribute, Error};
use crate::tensor::{Operands, Tensor};
use crate::units::{Bytes, Flops, Macs};
use crate::work::{Class, Work};

/// One operation of a graph, with its attributes. Two-element attributes are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Op {
    /// Fully connected layer.
    Linear(Linear),
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Normalisation by stored statistics.
    BatchNorm(BatchNorm),
    /// Normalisation over the last axis.
    LayerNorm(LayerNorm),
    /// Function of each element.
    Activation(Activation),
    /// Function of two tensors, element by element.
    Binary(Binary),
    /// Softmax over one axis.
    Softmax(Softmax),
    /// Sliding-window pooling.
    Pool2d(Pool2d),
    /// Average pooling to a given size.
    AdaptiveAveragePool2d(AdaptiveAveragePool2d),
    /// Concatenation along an axis.
    Concat(Concat),
    /// Dimensions merged into one; nothing moves.
    Flatten(Flatten),
}

/// What every op can tell.
trait Describe {
    /// The tensor it gives on these operands.
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error>;
    /// Its work on these operands, of which `output` was the result.
    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error>;
}

impl Op {
    fn describe(&self) -> &dyn Describe {
        match self {
            Self::Linear(op) => op,
            Self::Conv2d(op) => op,
            Self::BatchNorm(op) => op,
            Self::LayerNorm(op) => op,
            Self::Activation(op) => op,
            Self::Binary(op) => op,
            Self::Softmax(op) => op,
            Self::Pool2d(op) => op,
            Self::AdaptiveAveragePool2d(op) => op,
            Self::Concat(op) => op,
            Self::Flatten(op) => op,
        }
    }

    /// The tensor that the op gives on these operands.
    ///
    /// # Errors
    /// [`Error::OperandCount`], [`Error::ShapeMismatch`], [`Error::DataTypeMismatch`], [`Error::InvalidAttribute`]
    /// where operands and attributes do not go together.
    pub fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let found = operands.len();
        let (expected, fits) = match self {
            Self::Binary(_) => (2, found == 2),
            Self::Concat(_) => (1, found >= 1),
            _ => (1, found == 1),
        };
        if !fits {
            return Err(Error::OperandCount { expected, found: u16::try_from(found).unwrap_or(u16::MAX) });
        }
        self.describe().output(operands)
    }

    /// Exact work of the op on these operands, of which `output` was the result.
    ///
    /// # Errors
    /// [`Error::CountOverflow`], and what [`Op::output`] returns.
    pub fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        self.describe().work(operands, output)
    }

    /// Whether the result takes the place of operand 0, so that no new memory is needed.
    #[must_use]
    pub const fn in_place(&self) -> bool {
        match self {
            Self::Activation(op) => op.in_place,
            Self::Binary(op) => op.in_place,
            _ => false,
        }
    }

    /// Short name of the op's kind, lower case, as in reports and graph files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Conv2d(_) => "conv2d",
            Self::BatchNorm(_) => "batch_norm",
            Self::LayerNorm(_) => "layer_norm",
            Self::Activation(op) => op.kind.name(),
            Self::Binary(op) => op.kind.name(),
            Self::Softmax(_) => "softmax",
            Self::Pool2d(op) => op.kind.name(),
            Self::AdaptiveAveragePool2d(_) => "adaptive_avg_pool2d",
            Self::Concat(_) => "concat",
            Self::Flatten(_) => "flatten",
        }
    }
}

/// Requires that an attribute is positive.
pub(crate) const fn positive(value: u32, attribute: Attribute) -> Result<u32, Error> {
    if value == 0 { Err(Error::InvalidAttribute(attribute)) } else { Ok(value) }
}

/// Requires a rank of an operand.
pub(crate) fn rank(tensor: &Tensor, operand: u16, wanted: u8) -> Result<(), Error> {
    if tensor.shape.rank() == wanted {
        Ok(())
    } else {
        Err(Error::ShapeMismatch { operand, axis: tensor.shape.rank() })
    }
}

/// Work without a matrix product: all operands read, the output written, `flops_per_element` of the output.
pub(crate) fn streaming(
    class: Class,
    operands: Operands<'_>,
    output: &Tensor,
    flops_per_element: u64,
) -> Result<Work, Error> {
    let elements_out = output.shape.elements()?;
    Ok(Work {
        class,
        gemm: None,
        macs: Macs::ZERO,
        flops: Flops(elements_out.checked_mul(flops_per_element).ok_or(Error::CountOverflow)?),
        params: 0,
        bytes_in: operands.bytes()?,
        bytes_weight: Bytes::ZERO,
        bytes_out: output.bytes()?,
        elements_out,
    })
}
