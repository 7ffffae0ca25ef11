//! Pooling: the maximum or mean of a window.

use super::conv::window;
use super::{Describe, positive, rank, streaming};
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
}

impl PoolKind {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Max => "max_pool2d",
            Self::Average => "avg_pool2d",
        }
    }
}

/// Sliding-window pooling of `[n, c, h, w]`; the output extent as for [`super::Conv2d`].
///
/// ```text
/// flops = outputs · k_h · k_w          comparisons, or additions and one multiplication; padded taps count
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pool2d {
    /// Maximum or mean.
    pub kind: PoolKind,
    /// Window, `[k_h, k_w]`.
    pub kernel: [u32; 2],
    /// Step of the window, `[h, w]`.
    pub stride: [u32; 2],
    /// Padding, `[[top, bottom], [left, right]]`, at most half of the window.
    pub padding: [[u32; 2]; 2],
    /// Distance of the taps, `[h, w]`.
    pub dilation: [u32; 2],
    /// Whether a last, partial window counts.
    pub ceil_mode: bool,
}

impl Describe for Pool2d {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        rank(input, 0, 4)?;
        let &[n, c, h, w] = input.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: 0 });
        };
        let [k_h, k_w] = self.kernel;
        let [s_h, s_w] = self.stride;
        let [p_h, p_w] = self.padding;
        let [d_h, d_w] = self.dilation;
        for (padding, kernel) in [(p_h, k_h), (p_w, k_w)] {
            // A window that lies in the padding alone has no maximum; every runtime refuses it.
            if padding.into_iter().any(|side| side > kernel / 2) {
                return Err(Error::InvalidAttribute(Attribute::Padding));
            }
        }
        let h = window(h, k_h, s_h, p_h, d_h, self.ceil_mode)?;
        let w = window(w, k_w, s_w, p_w, d_w, self.ceil_mode)?;
        Ok(Tensor { shape: Shape::new(&[n, c, h, w])?, ..*input })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let taps = product(self.kernel.map(u64::from))?;
        streaming(Class::Pooling, operands, output, taps)
    }
}

/// Mean over windows that cover `[n, c, h, w]` with `output_h` × `output_w` of them; one output is the global mean.
///
/// ```text
/// window i of h → o: from ⌊i · h / o⌋ to ⌈(i + 1) · h / o⌉          (PyTorch's rule; windows may share rows)
/// flops = n · c · Σ rows of all windows · Σ columns of all windows + outputs          one addition a tap, one multiplication an output
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdaptiveAveragePool2d {
    /// Output size, `[h, w]`.
    pub output: [u32; 2],
}

impl Describe for AdaptiveAveragePool2d {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let [h, w] = self.output;
        positive(h, Attribute::OutputSize)?;
        positive(w, Attribute::OutputSize)?;
        let input = operands.at(0)?;
        rank(input, 0, 4)?;
        let &[n, c, ..] = input.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: 0 });
        };
        Ok(Tensor { shape: Shape::new(&[n, c, h, w])?, ..*input })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let input = operands.at(0)?.shape;
        let &[n, c, h, w] = input.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.rank() });
        };
        let [output_h, output_w] = self.output;
        let taps = product([u64::from(n), u64::from(c), covered(h, output_h)?, covered(w, output_w)?])?;
        let work = streaming(Class::Reduction, operands, output, 1)?;
        Ok(Work { flops: work.flops.checked_add(Flops(taps))?, ..work })
    }
}

/// Sum of the extents of all windows of adaptive pooling along one axis.
fn covered(extent: u32, outputs: u32) -> Result<u64, Error> {
    let (extent, outputs) = (u64::from(extent), u64::from(outputs));
    // Where the outputs divide the extent, windows share nothing: no need to visit each.
    if extent.checked_rem(outputs) == Some(0) {
        return Ok(extent);
    }
    (0..outputs).try_fold(0_u64, |sum, index| {
        let start = index.checked_mul(extent).and_then(|at| at.checked_div(outputs));
        let end = index.checked_add(1).and_then(|next| next.checked_mul(extent)).map(|at| at.div_ceil(outputs.max(1)));
        let window = end.zip(start).and_then(|(end, start)| end.checked_sub(start));
        window.and_then(|window| sum.checked_add(window)).ok_or(Error::CountOverflow)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_adaptive_pooling_by_hand() {
        // 7 → 7 and 7 → 1: each row once. 7 → 3: rows 0–2, 2–4, 4–6. 2 → 3: 0, 0–1, 1.
        assert_eq!([covered(7, 7), covered(7, 1), covered(7, 3), covered(2, 3)], [Ok(7), Ok(7), Ok(9), Ok(4)]);
    }
}
