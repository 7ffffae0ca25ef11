//! Layers that multiply matrices: linear layers, products, convolutions, recurrence.

use derate_core::op::{Cell, Contraction, Conv, ConvTranspose, MatMul, Recurrent, Window, Windows};
use tch::Tensor;

use super::call::{Call, Outputs, long};
use crate::torch::TorchError;

/// One value of each window, outermost axis first.
pub(super) fn axes(windows: &Windows, value: impl Fn(&Window) -> u16) -> Vec<i64> {
    windows.axes().iter().map(|axis| i64::from(value(axis))).collect()
}

/// `[before, after]` of each axis as `constant_pad_nd` takes them: the last axis first.
pub(super) fn padding_list(padding: impl DoubleEndedIterator<Item = [i64; 2]>) -> Vec<i64> {
    padding.rev().flatten().collect()
}

impl Call<'_> {
    pub(super) fn linear(&self) -> Result<Tensor, TorchError> {
        Ok(self.x()?.f_linear(self.parameter(0)?, self.parameters.get(1))?)
    }

    /// A product; transposed operands are views of it.
    pub(super) fn mat_mul(&self, op: &MatMul) -> Result<Tensor, TorchError> {
        let turned = |position: usize, transposed: bool| -> Result<Tensor, TorchError> {
            let operand = self.operand(position)?;
            Ok(if transposed { operand.f_transpose(-2, -1)? } else { operand.shallow_clone() })
        };
        Ok(turned(0, op.transpose_a)?.f_matmul(&turned(1, op.transpose_b)?)?)
    }

    /// `bmm` on reshaped operands, as `einsum` ends in; the axes stand in its order already, so that no byte moves.
    pub(super) fn contraction(&self, op: &Contraction) -> Result<Tensor, TorchError> {
        let a = self.x()?.f_reshape(long(&[op.batch, op.m, op.k]))?;
        let b = self.operand(1)?.f_reshape(long(&[op.batch, op.k, op.n]))?;
        Ok(a.f_bmm(&b)?.f_reshape(self.extents())?)
    }

    /// A convolution; with other padding before than after, `constant_pad_nd` comes before it.
    pub(super) fn conv(&self, op: &Conv) -> Result<Tensor, TorchError> {
        let mut padding = axes(&op.windows, |axis| axis.padding[0]);
        let mut x = self.x()?.shallow_clone();
        if op.windows.axes().iter().any(|axis| axis.padding[0] != axis.padding[1]) {
            x = x.f_constant_pad_nd(padding_list(op.windows.axes().iter().map(|axis| axis.padding.map(i64::from))))?;
            padding.fill(0);
        }
        let (weight, bias) = (self.parameter(0)?, self.parameters.get(1));
        let stride = axes(&op.windows, |axis| axis.stride);
        let dilation = axes(&op.windows, |axis| axis.dilation);
        let groups = i64::from(op.groups);
        Ok(match op.windows.rank() {
            1 => x.f_conv1d(weight, bias, stride, padding, dilation, groups)?,
            2 => x.f_conv2d(weight, bias, stride, padding, dilation, groups)?,
            _ => x.f_conv3d(weight, bias, stride, padding, dilation, groups)?,
        })
    }

    /// A transposed convolution. libtorch cuts as much before as after: what is over is cut off by views.
    pub(super) fn conv_transpose(&self, op: &ConvTranspose) -> Result<Tensor, TorchError> {
        let windows = op.windows.axes();
        let padding = axes(&op.windows, |axis| axis.padding[0].min(axis.padding[1]));
        let added: Vec<i64> = windows.iter().zip(op.output_padding).map(|(_, added)| i64::from(added)).collect();
        let (x, weight, bias) = (self.x()?, self.parameter(0)?, self.parameters.get(1));
        let stride = axes(&op.windows, |axis| axis.stride);
        let dilation = axes(&op.windows, |axis| axis.dilation);
        let groups = i64::from(op.groups);
        let mut y = match op.windows.rank() {
            1 => x.f_conv_transpose1d(weight, bias, stride, padding, added, groups, dilation)?,
            2 => x.f_conv_transpose2d(weight, bias, stride, padding, added, groups, dilation)?,
            _ => x.f_conv_transpose3d(weight, bias, stride, padding, added, groups, dilation)?,
        };
        for ((axis, window), &wanted) in (2_i64..).zip(windows).zip(self.extents().iter().skip(2)) {
            let [before, after] = window.padding;
            if before != after {
                y = y.f_narrow(axis, i64::from(before - before.min(after)), wanted)?;
            }
        }
        Ok(y)
    }

    /// All layers and steps in one call. First states that are no operand are zeros, held with the weights.
    pub(super) fn recurrent(&self, op: &Recurrent) -> Result<Outputs, TorchError> {
        let count = if op.cell == Cell::Lstm { 2 } else { 1 };
        let (weights, zeros) =
            self.parameters.split_at_checked(self.parameters.len().saturating_sub(count)).ok_or(TorchError::Empty)?;
        let state = |(position, zeros): (usize, &Tensor)| self.operands.get(position).unwrap_or(zeros).shallow_clone();
        let states: Vec<Tensor> = (1..).zip(zeros).map(state).collect();
        let first = states.first().ok_or(TorchError::Empty)?;
        let (x, layers) = (self.x()?, i64::from(op.layers));
        let (bias, both, batch_first) = (op.bias, op.bidirectional, op.batch_first);
        Ok(match op.cell {
            Cell::Lstm => x.f_lstm(&states, weights, bias, layers, 0.0, false, both, batch_first)?.into(),
            Cell::Gru => x.f_gru(first, weights, bias, layers, 0.0, false, both, batch_first)?.into(),
            Cell::Plain => x.f_rnn_tanh(first, weights, bias, layers, 0.0, false, both, batch_first)?.into(),
            other => return Err(TorchError::Op(other.name())),
        })
    }
}
