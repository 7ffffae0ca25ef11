//! Normalisations.

use derate_core::op::{Affine, GroupNorm, LayerNorm, LocalResponseNorm, RmsNorm};
use tch::Tensor;

use super::call::{Call, elements, long};
use crate::torch::TorchError;

/// What keeps a root of 0 from being divided by; `torch.nn`'s own.
const EPSILON: f64 = 1e-5;

impl Call<'_> {
    pub(super) fn batch_norm(&self) -> Result<Tensor, TorchError> {
        let parameter = |position: usize| self.parameters.get(position);
        let (weight, bias, mean, variance) = (parameter(0), parameter(1), parameter(2), parameter(3));
        Ok(self.x()?.f_batch_norm(weight, bias, mean, variance, false, 0.1, EPSILON, true)?)
    }

    /// Weight and bias of the two vectors that there are.
    fn vectors(&self, affine: Affine) -> (Option<&Tensor>, Option<&Tensor>) {
        let mut held = self.parameters.iter();
        (affine.weight.then(|| held.next()).flatten(), affine.bias.then(|| held.next()).flatten())
    }

    pub(super) fn layer_norm(&self, op: &LayerNorm) -> Result<Tensor, TorchError> {
        let extents = self.of(0)?;
        let outer = extents.len().saturating_sub(usize::from(op.axes));
        let normalised = long(extents.get(outer..).unwrap_or(&[]));
        let (weight, bias) = self.vectors(op.affine);
        Ok(self.x()?.f_layer_norm(normalised, weight, bias, EPSILON, true)?)
    }

    pub(super) fn rms_norm(&self, op: &RmsNorm) -> Result<Tensor, TorchError> {
        let last = self.of(0)?.last().map_or(1, |&extent| i64::from(extent));
        let weight = if op.weight { Some(self.parameter(0)?) } else { None };
        Ok(self.x()?.f_rms_norm([last], weight, EPSILON)?)
    }

    pub(super) fn group_norm(&self, op: &GroupNorm) -> Result<Tensor, TorchError> {
        let (weight, bias) = self.vectors(op.affine);
        Ok(self.x()?.f_group_norm(i64::from(op.groups), weight, bias, EPSILON, true)?)
    }

    /// As `torch.nn.functional.local_response_norm` computes it, in seven calls beside views: squares, padding, their mean over
    /// neighbouring channels, factor, addend, power, division.
    pub(super) fn local_response_norm(&self, op: &LocalResponseNorm) -> Result<Tensor, TorchError> {
        let x = self.x()?;
        let extents = self.of(0)?;
        let extent = |axis: usize| extents.get(axis).map_or(1, |&extent| i64::from(extent));
        let rest = extents.get(2..).map_or(1, elements);
        let size = i64::from(op.size);
        let images = x.f_mul(x)?.f_reshape([extent(0), 1, extent(1), rest])?;
        let padded = images.f_constant_pad_nd([0, 0, size / 2, (size - 1) / 2])?;
        let mean = padded.f_avg_pool2d([size, 1], [1, 1], [0, 0], false, true, None::<i64>)?;
        let divisor =
            mean.f_reshape(self.extents())?.f_mul_scalar(1e-4)?.f_add_scalar(1.0)?.f_pow_tensor_scalar(0.75)?;
        Ok(x.f_div(&divisor)?)
    }
}
