//! One call of an op: its operands as tensors, and which function runs it.

use derate_core::op::Op;
use derate_core::tensor::Tensor as Described;
use tch::Tensor;

use crate::torch::TorchError;

/// An op's operands, parameters and result.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) operands: Vec<Tensor>,
    /// Slots of the operands: equal ones are the same tensor.
    pub(super) slots: &'a [usize],
    pub(super) described: &'a [Described],
    /// The first output, as core describes it.
    pub(super) result: &'a Described,
    /// Parameters in the order of the `ATen` call; indices after them.
    pub(super) parameters: &'a [Tensor],
    /// Whether operand 0 may be overwritten.
    pub(super) in_place: bool,
}

/// What an op gives.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) first: Tensor,
    pub(super) further: [Option<Tensor>; 2],
}

impl From<Tensor> for Outputs {
    fn from(first: Tensor) -> Self {
        Self { first, further: [None, None] }
    }
}

impl From<(Tensor, Tensor)> for Outputs {
    fn from((first, second): (Tensor, Tensor)) -> Self {
        Self { first, further: [Some(second), None] }
    }
}

impl From<(Tensor, Tensor, Tensor)> for Outputs {
    fn from((first, second, third): (Tensor, Tensor, Tensor)) -> Self {
        Self { first, further: [Some(second), Some(third)] }
    }
}

impl Call<'_> {
    /// Runs the op.
    pub(super) fn run(self, op: &Op) -> Result<Outputs, TorchError> {
        Ok(match op {
            Op::Linear(_) => self.linear()?.into(),
            Op::MatMul(op) => self.mat_mul(op)?.into(),
            Op::Contraction(op) => self.contraction(op)?.into(),
            Op::Conv(op) => self.conv(op)?.into(),
            Op::ConvTranspose(op) => self.conv_transpose(op)?.into(),
            Op::Attention(op) => self.attention(op)?.into(),
            Op::MultiHeadAttention(op) => self.multi_head_attention(op)?.into(),
            Op::Recurrent(op) => self.recurrent(op)?,
            Op::BatchNorm(_) => self.batch_norm()?.into(),
            Op::LayerNorm(op) => self.layer_norm(op)?.into(),
            Op::RmsNorm(op) => self.rms_norm(op)?.into(),
            Op::GroupNorm(op) => self.group_norm(op)?.into(),
            Op::LocalResponseNorm(op) => self.local_response_norm(op)?.into(),
            Op::Activation(op) => self.activation(op.kind)?.into(),
            Op::PRelu(_) => self.x()?.f_prelu(self.parameter(0)?)?.into(),
            Op::Binary(op) => self.binary(op.kind)?.into(),
            Op::Scalar(op) => self.scalar(op.kind)?.into(),
            Op::Where(_) => self.choice()?.into(),
            Op::Cast(op) => self.cast(op.to)?.into(),
            Op::Quantize(op) => self.quantize(op.to)?.into(),
            Op::Softmax(op) => self.softmax(op)?.into(),
            Op::Pool(op) => self.pool(op)?.into(),
            Op::AdaptivePool(op) => self.adaptive_pool(op)?.into(),
            Op::Reduce(op) => self.reduce(op)?.into(),
            Op::Scan(op) => self.scan(op)?.into(),
            Op::TopK(op) => self.x()?.f_topk(i64::from(op.k), i64::from(op.axis), true, true)?.into(),
            Op::Concat(op) => Tensor::f_cat(&self.operands, i64::from(op.axis))?.into(),
            Op::View(_) => self.x()?.f_reshape(self.extents())?.into(),
            Op::Transpose(op) => self.transpose(op)?.into(),
            Op::Move(op) => self.moved(op.kind)?.into(),
            Op::Gather(op) => self.gather(op)?.into(),
            Op::Pick(_) => self.pick()?.into(),
            Op::Scatter(op) => self.scatter(op)?.into(),
            Op::Embedding(_) => self.embedding()?.into(),
            Op::Resize(op) => self.resize(op)?.into(),
            // `Op` may grow; what it grows by is refused by name.
            other => return Err(TorchError::Op(other.name())),
        })
    }

    /// Operand 0.
    pub(super) fn x(&self) -> Result<&Tensor, TorchError> {
        self.operand(0)
    }

    /// An operand.
    pub(super) fn operand(&self, position: usize) -> Result<&Tensor, TorchError> {
        self.operands.get(position).ok_or(TorchError::Empty)
    }

    /// A parameter that must be there.
    pub(super) fn parameter(&self, position: usize) -> Result<&Tensor, TorchError> {
        self.parameters.get(position).ok_or(TorchError::Empty)
    }

    /// Extents of an operand.
    pub(super) fn of(&self, position: usize) -> Result<&[u32], TorchError> {
        Ok(self.described.get(position).ok_or(TorchError::Empty)?.shape.extents())
    }

    /// Extents of the result.
    pub(super) fn extents(&self) -> Vec<i64> {
        long(self.result.shape.extents())
    }
}

/// Extents as libtorch takes them.
pub(super) fn long(extents: &[u32]) -> Vec<i64> {
    extents.iter().map(|&extent| i64::from(extent)).collect()
}

/// Product of extents; `usize` counts of memory that is really allocated do not overflow.
pub(super) fn elements(extents: &[u32]) -> i64 {
    extents.iter().fold(1, |product, &extent| product.saturating_mul(i64::from(extent)))
}
