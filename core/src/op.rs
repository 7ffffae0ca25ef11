//! Ops: what a node of a graph computes, the shape it gives, and its exact work.
//!
//! One file a family; each states its equations. **FLOP convention**, the same everywhere: two for each MAC; one for each
//! addition, subtraction, multiplication, division, comparison and elementary function (`exp`, `tanh`, `erf`, root).

mod attention;
mod conv;
mod elementwise;
mod layout;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod window;

pub use attention::{Attention, MultiHeadAttention};
pub use conv::{Conv, ConvTranspose};
pub use elementwise::{Activation, ActivationKind, Binary, BinaryKind, Cast, PRelu, Quantize, Scalar, Softmax, Where};
pub use layout::{Concat, Embedding, Gather, Move, MoveKind, Pick, Resize, ResizeKind, Scatter, Transpose, View};
pub use linear::{Contraction, Linear, MatMul};
pub use norm::{Affine, BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm, RmsNorm};
pub use pool::{AdaptivePool, Pool, PoolKind};
pub use recurrent::{Cell, Recurrent};
pub use reduce::{Reduce, ReduceKind, Scan, TopK};
pub use window::{Window, Windows};

use crate::error::{Attribute, Error};
use crate::shape::{DataType, product};
use crate::tensor::{Operands, Tensor};
use crate::units::{Bytes, Flops, Macs};
use crate::work::{Class, Gemm, Work};

/// One operation of a graph, with its attributes. Attributes of several axes stand outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Op {
    /// Fully connected layer.
    Linear(Linear),
    /// Product of two tensors.
    MatMul(MatMul),
    /// Product of two tensors over any of their axes.
    Contraction(Contraction),
    /// Convolution.
    Conv(Conv),
    /// Transposed convolution.
    ConvTranspose(ConvTranspose),
    /// Scaled dot-product attention.
    Attention(Attention),
    /// Attention with its projections.
    MultiHeadAttention(MultiHeadAttention),
    /// Recurrent layers over a sequence.
    Recurrent(Recurrent),
    /// Normalisation by stored statistics.
    BatchNorm(BatchNorm),
    /// Normalisation over the last axes.
    LayerNorm(LayerNorm),
    /// Normalisation by the root mean square of the last axis.
    RmsNorm(RmsNorm),
    /// Normalisation over groups of channels.
    GroupNorm(GroupNorm),
    /// Normalisation by neighbouring channels.
    LocalResponseNorm(LocalResponseNorm),
    /// Function of each element.
    Activation(Activation),
    /// ReLU with learned slopes.
    PRelu(PRelu),
    /// Function of two tensors, element by element.
    Binary(Binary),
    /// Function of each element and one number.
    Scalar(Scalar),
    /// Choice between two tensors, element by element.
    Where(Where),
    /// Another data type.
    Cast(Cast),
    /// Between real numbers and scaled integers.
    Quantize(Quantize),
    /// Softmax over one axis.
    Softmax(Softmax),
    /// Sliding-window pooling.
    Pool(Pool),
    /// Pooling to a given size.
    AdaptivePool(AdaptivePool),
    /// Reduction over axes.
    Reduce(Reduce),
    /// Running sums along an axis.
    Scan(Scan),
    /// Largest elements along an axis, and where they stand.
    TopK(TopK),
    /// Concatenation along an axis.
    Concat(Concat),
    /// Another shape; nothing moves.
    View(View),
    /// Axes in another order.
    Transpose(Transpose),
    /// Elements at other places: slices, padding, repetition.
    Move(Move),
    /// Rows chosen by indices.
    Gather(Gather),
    /// Elements chosen by indices.
    Pick(Pick),
    /// Elements replaced at indices.
    Scatter(Scatter),
    /// Rows of a learned table.
    Embedding(Embedding),
    /// An image with other extents.
    Resize(Resize),
}

/// What every op can tell.
trait Describe {
    /// The tensor it gives on these operands; the first, where there are several.
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error>;
    /// A tensor that it gives beside the first.
    fn further_output(&self, operands: Operands<'_>, position: u16) -> Result<Tensor, Error> {
        let _ = operands;
        Err(Error::OperandCount { expected: 1, found: position })
    }
    /// Its work on these operands, of which `output` was the first result.
    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error>;
    /// Bytes that are stored for it: those of its work. A sum over a graph asks for nothing else, so frequent ops say no more.
    fn stored(&self, operands: Operands<'_>, output: &Tensor) -> Result<Bytes, Error> {
        self.work(operands, output).map(|work| work.bytes_stored)
    }
}

impl Op {
    fn describe(&self) -> &dyn Describe {
        match self {
            Self::Linear(op) => op,
            Self::MatMul(op) => op,
            Self::Contraction(op) => op,
            Self::Conv(op) => op,
            Self::ConvTranspose(op) => op,
            Self::Attention(op) => op,
            Self::MultiHeadAttention(op) => op,
            Self::Recurrent(op) => op,
            Self::BatchNorm(op) => op,
            Self::LayerNorm(op) => op,
            Self::RmsNorm(op) => op,
            Self::GroupNorm(op) => op,
            Self::LocalResponseNorm(op) => op,
            Self::Activation(op) => op,
            Self::PRelu(op) => op,
            Self::Binary(op) => op,
            Self::Scalar(op) => op,
            Self::Where(op) => op,
            Self::Cast(op) => op,
            Self::Quantize(op) => op,
            Self::Softmax(op) => op,
            Self::Pool(op) => op,
            Self::AdaptivePool(op) => op,
            Self::Reduce(op) => op,
            Self::Scan(op) => op,
            Self::TopK(op) => op,
            Self::Concat(op) => op,
            Self::View(op) => op,
            Self::Transpose(op) => op,
            Self::Move(op) => op,
            Self::Gather(op) => op,
            Self::Pick(op) => op,
            Self::Scatter(op) => op,
            Self::Embedding(op) => op,
            Self::Resize(op) => op,
        }
    }

    /// Fewest and most operands.
    const fn operand_count(&self) -> (u16, u16) {
        match self {
            Self::MatMul(_) | Self::Contraction(_) | Self::Binary(_) | Self::Gather(_) => (2, 2),
            Self::Attention(_) => (3, 4),
            Self::MultiHeadAttention(_) | Self::Where(_) | Self::Scatter(_) => (3, 3),
            Self::Recurrent(Recurrent { cell: Cell::Lstm, .. }) => (1, 3),
            Self::Recurrent(_) => (1, 2),
            Self::Concat(_) => (1, u16::MAX),
            Self::Pick(_) => (2, u16::MAX),
            _ => (1, 1),
        }
    }

    /// Number of tensors that the op gives.
    #[must_use]
    pub const fn output_count(&self) -> u16 {
        match self {
            Self::Recurrent(Recurrent { cell: Cell::Lstm, .. }) => 3,
            Self::Recurrent(_) | Self::TopK(_) => 2,
            _ => 1,
        }
    }

    /// One of the tensors that the op gives on these operands; position 0 is its result.
    ///
    /// # Errors
    /// [`Error::OperandCount`], [`Error::ShapeMismatch`], [`Error::DataTypeMismatch`], [`Error::InvalidAttribute`]
    /// where operands and attributes do not go together; [`Error::OperandCount`] for a position beyond the outputs.
    pub fn output(&self, operands: Operands<'_>, position: u16) -> Result<Tensor, Error> {
        let found = u16::try_from(operands.len()).unwrap_or(u16::MAX);
        let (least, most) = self.operand_count();
        if found < least || found > most {
            return Err(Error::OperandCount { expected: least, found });
        }
        if position >= self.output_count() {
            return Err(Error::OperandCount { expected: self.output_count(), found: position });
        }
        if position == 0 {
            self.describe().output(operands)
        } else {
            self.describe().further_output(operands, position)
        }
    }

    /// Exact work of the op on these operands, of which `output` was the first result.
    ///
    /// # Errors
    /// [`Error::CountOverflow`], and what [`Op::output`] returns.
    pub fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        self.describe().work(operands, output)
    }

    /// Bytes of parameters and buffers that are stored for the op: `bytes_stored` of its work.
    ///
    /// # Errors
    /// Those of [`Op::work`] that concern them.
    pub(crate) fn stored(&self, operands: Operands<'_>, output: &Tensor) -> Result<Bytes, Error> {
        self.describe().stored(operands, output)
    }

    /// Whether the result takes the place of operand 0, so that no new memory is needed.
    #[must_use]
    pub const fn in_place(&self) -> bool {
        match self {
            Self::Activation(op) => op.in_place,
            Self::Binary(op) => op.in_place,
            Self::Scalar(op) => op.in_place,
            _ => false,
        }
    }

    /// Whether the op is one or more matrix products, and so has MACs.
    #[must_use]
    pub const fn is_product(&self) -> bool {
        matches!(
            self,
            Self::Linear(_)
                | Self::MatMul(_)
                | Self::Contraction(_)
                | Self::Conv(_)
                | Self::ConvTranspose(_)
                | Self::Attention(_)
                | Self::MultiHeadAttention(_)
                | Self::Recurrent(_)
        )
    }

    /// Whether the result is operand 0 under another shape, without memory of its own.
    #[must_use]
    pub const fn is_view(&self) -> bool {
        matches!(self, Self::View(_))
    }

    /// Short name of the op's kind, lower case, as in reports and graph files.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conv(op) => match op.windows.rank() {
                1 => "conv1d",
                2 => "conv2d",
                _ => "conv3d",
            },
            Self::ConvTranspose(op) => match op.windows.rank() {
                1 => "conv_transpose1d",
                2 => "conv_transpose2d",
                _ => "conv_transpose3d",
            },
            Self::Linear(_) => "linear",
            Self::MatMul(_) => "mat_mul",
            Self::Contraction(_) => "contraction",
            Self::Attention(_) => "attention",
            Self::MultiHeadAttention(_) => "multi_head_attention",
            Self::Recurrent(op) => op.cell.name(),
            Self::BatchNorm(_) => "batch_norm",
            Self::LayerNorm(_) => "layer_norm",
            Self::RmsNorm(_) => "rms_norm",
            Self::GroupNorm(_) => "group_norm",
            Self::LocalResponseNorm(_) => "local_response_norm",
            Self::Activation(op) => op.kind.name(),
            Self::PRelu(_) => "prelu",
            Self::Binary(op) => op.kind.name(),
            Self::Scalar(op) => op.kind.name(),
            Self::Where(_) => "where",
            Self::Cast(_) => "cast",
            Self::Quantize(_) => "quantize",
            Self::Softmax(op) => {
                if op.log {
                    "log_softmax"
                } else {
                    "softmax"
                }
            }
            Self::Pool(op) => op.name(),
            Self::AdaptivePool(op) => op.name(),
            Self::Reduce(op) => op.kind.name(),
            Self::Scan(_) => "scan",
            Self::TopK(_) => "top_k",
            Self::Concat(_) => "concat",
            Self::View(_) => "view",
            Self::Transpose(_) => "transpose",
            Self::Move(op) => op.kind.name(),
            Self::Gather(_) => "gather",
            Self::Pick(_) => "pick",
            Self::Scatter(_) => "scatter",
            Self::Embedding(_) => "embedding",
            Self::Resize(op) => op.kind.name(),
        }
    }
}

/// Requires that an attribute is positive.
pub(crate) const fn positive(value: u32, attribute: Attribute) -> Result<u32, Error> {
    if value == 0 { Err(Error::InvalidAttribute(attribute)) } else { Ok(value) }
}

/// Work of a layer with weights that is a matrix product: `weights` of them, and a bias of so many values, which adds one FLOP to
/// each output. Beside weights of 8-bit integers biases have 32 bits.
pub(crate) fn weighted(
    class: Class,
    operands: Operands<'_>,
    output: &Tensor,
    gemm: Gemm,
    weights: u64,
    bias: u64,
    stored_as: Option<DataType>,
) -> Result<Work, Error> {
    let macs = Macs(product([gemm.m, gemm.n, gemm.k, gemm.groups])?);
    let work = streaming(class, operands, output, u64::from(bias > 0))?;
    let [data_type, bias_type] = weight_types(operands, stored_as)?;
    let work = Work { gemm: Some(gemm), macs, flops: macs.flops()?.checked_add(work.flops)?, ..work };
    work.with_parameters(weights, data_type)?.with_parameters(bias, bias_type)
}

/// Data types of weights and of the bias beside them.
fn weight_types(operands: Operands<'_>, stored_as: Option<DataType>) -> Result<[DataType; 2], Error> {
    let data_type = stored_as.unwrap_or(operands.at(0)?.data_type);
    Ok([data_type, if data_type == DataType::Int8 { DataType::Int32 } else { data_type }])
}

/// Work without a matrix product: all operands read, the output written, `flops_per_element` of the output.
pub(crate) fn streaming(
    class: Class,
    operands: Operands<'_>,
    output: &Tensor,
    flops_per_element: u64,
) -> Result<Work, Error> {
    let elements_out = output.shape.elements()?;
    let read = operands.bytes()?;
    Ok(Work {
        class,
        gemm: None,
        macs: Macs::ZERO,
        flops: Flops(elements_out.checked_mul(flops_per_element).ok_or(Error::CountOverflow)?),
        params: 0,
        bytes_in: read.activations,
        bytes_weight: read.stored,
        bytes_stored: Bytes::ZERO,
        bytes_out: output.bytes()?,
        elements_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;

    #[test]
    fn an_op_is_small() {
        // Graphs are tables of nodes, in the flash and memory of a microcontroller too.
        // Whoever makes them larger has a reason, and writes it here.
        assert_eq!((size_of::<Op>(), size_of::<Node>()), (56, 68));
    }
}
