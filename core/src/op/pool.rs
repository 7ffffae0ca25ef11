//! Pooling: the maximum or mean of a window.

use super::{Describe, Window, Windows, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::Flops;
use crate::work::{Class, Work};

/// What a window is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PoolKind {
    /// Its maximum.
    Max,
    /// Its mean.
    Average,
    /// A norm of it: the root of a sum of powers.
    Norm,
}

/// Sliding-window pooling of `[n, c, …]`; the output extent as for [`super::Conv`].
///
/// ```text
/// flops = outputs · Π kernel          comparisons, or additions and one multiplication; padded taps count
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pool {
    /// What a window gives.
    pub kind: PoolKind,
    /// The windows, one an axis; padding below the reach of the window.
    pub windows: Windows,
    /// Whether a last, partial window counts.
    pub ceil_mode: bool,
}

impl Pool {
    pub(super) const fn name(&self) -> &'static str {
        match (self.kind, self.windows.rank()) {
            (PoolKind::Max, 1) => "max_pool1d",
            (PoolKind::Max, 2) => "max_pool2d",
            (PoolKind::Max, _) => "max_pool3d",
            (PoolKind::Average, 1) => "avg_pool1d",
            (PoolKind::Average, 2) => "avg_pool2d",
            (PoolKind::Average, _) => "avg_pool3d",
            (PoolKind::Norm, _) => "lp_pool",
        }
    }
}

fn channels(input: &Tensor) -> Result<u32, Error> {
    input.shape.extent(1).ok_or(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() })
}

impl Describe for Pool {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        for window in self.windows.axes() {
            // A window that lies in the padding alone has no maximum; every runtime refuses it.
            if window.padding.into_iter().any(|side| side >= window.kernel && side > 0) {
                return Err(Error::InvalidAttribute(Attribute::Padding));
            }
        }
        let extent = |_, window: &Window, size| window.output(size, self.ceil_mode);
        let shape = self.windows.output(&input.shape, channels(input)?, extent)?;
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Pooling, operands, output, self.windows.taps()?)
    }
}

/// Maximum or mean over windows that cover `[n, c, …]` with a given number of outputs along each axis; one output is the global one.
///
/// ```text
/// window i of h → o: from ⌊i · h / o⌋ to ⌈(i + 1) · h / o⌉          (PyTorch's rule; windows may share rows)
/// flops = n · c · Π over axes of Σ extents of all windows + (mean: outputs)          one operation a tap, one multiplication an output
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdaptivePool {
    /// What a window gives.
    pub kind: PoolKind,
    /// Output extents of the axes after the channels.
    pub output: Shape,
}

impl AdaptivePool {
    /// The mean of each channel of an image.
    ///
    /// # Errors
    /// None: two extents are a shape.
    pub fn global_average() -> Result<Self, Error> {
        Ok(Self { kind: PoolKind::Average, output: Shape::new(&[1, 1])? })
    }

    pub(super) const fn name(&self) -> &'static str {
        match (self.kind, self.output.rank()) {
            (PoolKind::Max, 1) => "adaptive_max_pool1d",
            (PoolKind::Max, 2) => "adaptive_max_pool2d",
            (PoolKind::Max, _) => "adaptive_max_pool3d",
            (PoolKind::Average, 1) => "adaptive_avg_pool1d",
            (PoolKind::Average, 2) => "adaptive_avg_pool2d",
            (PoolKind::Average, _) => "adaptive_avg_pool3d",
            (PoolKind::Norm, _) => "global_lp_pool",
        }
    }
}

impl Describe for AdaptivePool {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        let [n, c, spatial @ ..] = input.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        };
        if spatial.len() != self.output.extents().len() || spatial.is_empty() {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        let mut shape = Shape::new(&[*n, *c])?;
        for &extent in self.output.extents() {
            shape = shape.push(positive(extent, Attribute::OutputSize)?)?;
        }
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let input = operands.at(0)?.shape;
        let [n, c, spatial @ ..] = input.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.rank() });
        };
        let mut taps = product([u64::from(*n), u64::from(*c)])?;
        for (&extent, &outputs) in spatial.iter().zip(self.output.extents()) {
            taps = product([taps, covered(extent, outputs)?])?;
        }
        let scale = u64::from(self.kind != PoolKind::Max);
        let work = streaming(Class::Reduction, operands, output, scale)?;
        Ok(Work { flops: work.flops.checked_add(Flops(taps))?, ..work })
    }
}

/// Sum of the extents of all windows of adaptive pooling along one axis.
///
/// ```text
/// Σ over i of ⌈(i + 1) · h / o⌉ − ⌊i · h / o⌋ = h + o − gcd(h, o)
/// ```
/// The floors cancel but for the last, h; of the o ceilings those exceed their floor by one whose i · h is no multiple of o.
fn covered(extent: u32, outputs: u32) -> Result<u64, Error> {
    let (mut a, mut b) = (extent, outputs);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    let sum = u64::from(extent).checked_add(u64::from(outputs)).and_then(|sum| sum.checked_sub(u64::from(a)));
    sum.ok_or(Error::CountOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_adaptive_pooling_by_hand() {
        // 7 → 7 and 7 → 1: each row once. 7 → 3: rows 0–2, 2–4, 4–6. 2 → 3: 0, 0–1, 1.
        assert_eq!([covered(7, 7), covered(7, 1), covered(7, 3), covered(2, 3)], [Ok(7), Ok(7), Ok(9), Ok(4)]);
    }

    #[test]
    fn windows_of_adaptive_pooling_one_by_one() {
        for extent in 1..40_u32 {
            for outputs in 1..40_u32 {
                let window = |i: u32| ((i + 1) * extent).div_ceil(outputs) - i * extent / outputs;
                let sum: u32 = (0..outputs).map(window).sum();
                assert_eq!(covered(extent, outputs), Ok(u64::from(sum)), "{extent} → {outputs}");
            }
        }
    }
}
