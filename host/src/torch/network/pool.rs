//! Pooling and resizing.

use derate_core::op::{AdaptivePool, Pool, PoolKind, Resize, ResizeKind};
use derate_core::tensor::Tensor as Described;
use tch::Tensor;

use super::call::{Call, long};
use super::layers::{axes, padding_list};
use crate::torch::TorchError;

/// Weights of the convolution that stands for a mean over dilated windows; `None` for every other pooling.
pub(super) fn mean_weights(op: &Pool, operands: &[Described]) -> Option<Vec<i64>> {
    let dilated = op.windows.axes().iter().any(|axis| axis.dilation != 1);
    let channels = operands.first()?.shape.extent(1)?;
    let taps = op.windows.axes().iter().map(|axis| i64::from(axis.kernel));
    (op.kind != PoolKind::Max && dilated).then(|| [i64::from(channels), 1].into_iter().chain(taps).collect())
}

impl Call<'_> {
    /// A pooling. Padding that differs before and after, or is more than half a window, which libtorch refuses, is added by `pad`
    /// before it. A norm is the root of a mean of squares: `square`, the mean, a factor, `sqrt`. A mean over dilated windows, which
    /// libtorch does not have, is a convolution of each channel with equal weights, and a factor.
    pub(super) fn pool(&self, op: &Pool) -> Result<Tensor, TorchError> {
        let taps = axes(&op.windows, |axis| axis.kernel).iter().product::<i64>() as f64;
        let mut x = self.x()?.shallow_clone();
        if op.kind == PoolKind::Norm {
            x = x.f_square()?;
        }
        let (x, padding) = self.padded(op, x)?;
        let mut y = self.pooled(op, &x, padding)?;
        let dilated = !self.parameters.is_empty();
        Ok(match op.kind {
            PoolKind::Norm if dilated => y.f_sqrt_()?,
            PoolKind::Norm => y.f_mul_scalar(taps)?.f_sqrt_()?,
            PoolKind::Average if dilated => y.f_mul_scalar(1.0 / taps)?,
            _ => y,
        })
    }

    /// The operand, and the padding that is left to the pooling itself.
    fn padded(&self, op: &Pool, x: Tensor) -> Result<(Tensor, Vec<i64>), TorchError> {
        let windows = op.windows.axes();
        let reach = |kernel: u16, dilation: u16| (i64::from(kernel) - 1) * i64::from(dilation) + 1;
        let taken = windows.iter().all(|axis| {
            let [before, after] = axis.padding;
            before == after && 2 * i64::from(before) <= reach(axis.kernel, 1)
        });
        let convolved = !self.parameters.is_empty();
        if taken && !(convolved && op.ceil_mode) {
            return Ok((x, axes(&op.windows, |axis| axis.padding[0])));
        }
        let mut list = Vec::new();
        for ((axis, &input), &output) in
            windows.iter().zip(self.of(0)?.iter().skip(2)).zip(self.extents().iter().skip(2))
        {
            let [before, after] = axis.padding.map(i64::from);
            // So much that the last window is whole, and no window more: rounding up needs no rule then.
            let last = (output - 1) * i64::from(axis.stride) + reach(axis.kernel, axis.dilation);
            let needed = (last - i64::from(input) - before).max(0);
            list.push([before, if op.ceil_mode { needed } else { after }]);
        }
        let value = if op.kind == PoolKind::Max { f64::NEG_INFINITY } else { 0.0 };
        let padding = vec![0; list.len()];
        Ok((x.f_pad(padding_list(list.into_iter()), "constant", value)?, padding))
    }

    fn pooled(&self, op: &Pool, x: &Tensor, padding: Vec<i64>) -> Result<Tensor, TorchError> {
        let kernel = axes(&op.windows, |axis| axis.kernel);
        let stride = axes(&op.windows, |axis| axis.stride);
        let dilation = axes(&op.windows, |axis| axis.dilation);
        let rank = op.windows.rank();
        if op.kind == PoolKind::Max {
            return Ok(match rank {
                1 => x.f_max_pool1d(kernel, stride, padding, dilation, op.ceil_mode)?,
                2 => x.f_max_pool2d(kernel, stride, padding, dilation, op.ceil_mode)?,
                _ => x.f_max_pool3d(kernel, stride, padding, dilation, op.ceil_mode)?,
            });
        }
        if let Some(weight) = self.parameters.first() {
            let (groups, bias) = (weight.size().first().copied().unwrap_or(1), None::<Tensor>);
            return Ok(match rank {
                1 => x.f_conv1d(weight, bias, stride, padding, dilation, groups)?,
                2 => x.f_conv2d(weight, bias, stride, padding, dilation, groups)?,
                _ => x.f_conv3d(weight, bias, stride, padding, dilation, groups)?,
            });
        }
        Ok(match rank {
            1 => x.f_avg_pool1d(kernel, stride, padding, op.ceil_mode, true)?,
            2 => x.f_avg_pool2d(kernel, stride, padding, op.ceil_mode, true, None::<i64>)?,
            _ => x.f_avg_pool3d(kernel, stride, padding, op.ceil_mode, true, None::<i64>)?,
        })
    }

    /// A pooling to a given size; over everything, a reduction where there are more than three axes or a norm is asked for. A norm of
    /// parts is `square`, the mean, a factor (of the windows' mean size) and `sqrt`.
    pub(super) fn adaptive_pool(&self, op: &AdaptivePool) -> Result<Tensor, TorchError> {
        let x = self.x()?;
        let spatial = self.of(0)?.get(2..).unwrap_or(&[]);
        let output = long(op.output.extents());
        let global = output.iter().all(|&extent| extent == 1);
        if global && (output.len() > 3 || op.kind == PoolKind::Norm) {
            let dims: Vec<i64> = (2..).zip(&output).map(|(axis, _)| axis).collect();
            return Ok(match op.kind {
                PoolKind::Max => x.f_amax(dims, true)?,
                PoolKind::Average => x.f_mean_dim(dims, true, x.f_kind()?)?,
                PoolKind::Norm => x.f_norm_scalaropt_dim(2.0, dims, true)?,
                _ => return Err(TorchError::Op("adaptive pooling of a new kind")),
            });
        }
        let mean = |x: &Tensor| -> Result<Tensor, TorchError> {
            Ok(match output.len() {
                1 => x.f_adaptive_avg_pool1d(&output)?,
                2 => x.f_adaptive_avg_pool2d(&output)?,
                3 => x.f_adaptive_avg_pool3d(&output)?,
                _ => return Err(TorchError::Op("adaptive pooling of more than three axes to several outputs")),
            })
        };
        match op.kind {
            PoolKind::Max => Ok(match output.len() {
                1 => x.f_adaptive_max_pool1d(&output)?.0,
                2 => x.f_adaptive_max_pool2d(&output)?.0,
                3 => x.f_adaptive_max_pool3d(&output)?.0,
                _ => return Err(TorchError::Op("adaptive pooling of more than three axes to several outputs")),
            }),
            PoolKind::Average => mean(x),
            _ => {
                let sizes = spatial.iter().zip(&output).map(|(&from, &to)| f64::from(from) / to.max(1) as f64);
                Ok(mean(&x.f_square()?)?.f_mul_scalar(sizes.product::<f64>())?.f_sqrt_()?)
            }
        }
    }

    /// `upsample_*` along the axes that change; where these are not the last of `[n, c, …]`, they are moved there and back by views.
    /// A cubic along one axis is one along an image of one row. A cubic along three axes, and anything along more, libtorch lacks.
    pub(super) fn resize(&self, op: &Resize) -> Result<Tensor, TorchError> {
        let (from, to) = (self.of(0)?, op.shape.extents());
        let rank = to.len();
        let changed: Vec<usize> = (0..rank).filter(|&axis| from.get(axis) != to.get(axis)).collect();
        let image = (3..=5).contains(&rank) && changed.iter().all(|&axis| axis >= 2);
        let spatial: Vec<usize> = if image { (2..rank).collect() } else { changed };
        if spatial.is_empty() {
            return Ok(self.x()?.f_alias_copy()?);
        }
        let others: Vec<usize> = (0..rank).filter(|axis| !spatial.contains(axis)).collect();
        let order: Vec<usize> = others.iter().chain(&spatial).copied().collect();
        let pick = |extents: &[u32], axes: &[usize]| -> Vec<i64> {
            axes.iter().filter_map(|&axis| extents.get(axis)).map(|&extent| i64::from(extent)).collect()
        };
        let outer = pick(to, &others);
        let joined: Vec<i64> = if outer.len() == 2 { outer.clone() } else { vec![1, outer.iter().product()] };
        let target = pick(to, &spatial);
        let mut x = self.x()?.shallow_clone();
        if !image {
            let dims: Vec<i64> = order.iter().filter_map(|&axis| i64::try_from(axis).ok()).collect();
            x = x.f_permute(dims)?.f_reshape([joined, pick(from, &spatial)].concat())?;
        }
        let y = upsampled(op.kind, &x, &target)?;
        if image {
            return Ok(y);
        }
        let back = (0..rank).filter_map(|axis| order.iter().position(|&at| at == axis));
        let back: Vec<i64> = back.filter_map(|axis| i64::try_from(axis).ok()).collect();
        Ok(y.f_reshape([outer, target].concat())?.f_permute(back)?)
    }
}

fn upsampled(kind: ResizeKind, x: &Tensor, target: &[i64]) -> Result<Tensor, TorchError> {
    let scale = None::<f64>;
    Ok(match (kind, target) {
        (ResizeKind::Nearest, [_]) => x.f_upsample_nearest1d(target, scale)?,
        (ResizeKind::Nearest, [_, _]) => x.f_upsample_nearest2d(target, scale, scale)?,
        (ResizeKind::Nearest, [_, _, _]) => x.f_upsample_nearest3d(target, scale, scale, scale)?,
        (ResizeKind::Linear, [_]) => x.f_upsample_linear1d(target, false, scale)?,
        (ResizeKind::Linear, [_, _]) => x.f_upsample_bilinear2d(target, false, scale, scale)?,
        (ResizeKind::Linear, [_, _, _]) => x.f_upsample_trilinear3d(target, false, scale, scale, scale)?,
        (ResizeKind::Cubic, &[length]) => {
            x.f_unsqueeze(2)?.f_upsample_bicubic2d([1, length], false, scale, scale)?.f_squeeze_dim(2)?
        }
        (ResizeKind::Cubic, [_, _]) => x.f_upsample_bicubic2d(target, false, scale, scale)?,
        (ResizeKind::Cubic, _) => return Err(TorchError::Op("resize_cubic along three axes")),
        _ => return Err(TorchError::Op("resizing along more than three axes")),
    })
}
