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

/// Mean over windows that tile `[n, c, h, w]` into `[n, c, output_h, output_w]`; one output is the global mean.
///
/// ```text
/// flops = n · c · h · w + outputs          every input added once, one multiplication an output
/// ```
/// **Valid for** output sizes that divide the input's, and 1; others overlap by a row, which is not counted.
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
        let inputs = operands.at(0)?.shape.elements()?;
        let work = streaming(Class::Reduction, operands, output, 1)?;
        Ok(Work { flops: work.flops.checked_add(Flops(inputs))?, ..work })
    }
}
