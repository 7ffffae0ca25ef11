//! Two-dimensional convolution, with groups, dilation and padding on each side.

use super::{Describe, positive, rank, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::Macs;
use crate::work::{Class, Gemm, Work};

/// Convolution of `[n, c_in, h, w]`, giving `[n, c_out, h_out, w_out]`.
///
/// ```text
/// h_out  = ⌊(h + pad_top + pad_bottom − dilation_h · (k_h − 1) − 1) / stride_h⌋ + 1          and w alike
/// macs   = n · c_out · h_out · w_out · (c_in / groups) · k_h · k_w                           padded taps count
/// flops  = 2 · macs + (bias: n · c_out · h_out · w_out)
/// params = c_out · (c_in / groups) · k_h · k_w + (bias: c_out)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv2d {
    /// Channels of the operand.
    pub c_in: u32,
    /// Channels of the result.
    pub c_out: u32,
    /// Taps, `[k_h, k_w]`.
    pub kernel: [u32; 2],
    /// Step of the window, `[h, w]`.
    pub stride: [u32; 2],
    /// Zeros around the operand, `[[top, bottom], [left, right]]`.
    pub padding: [[u32; 2]; 2],
    /// Distance of the taps, `[h, w]`; 1 is dense.
    pub dilation: [u32; 2],
    /// Groups into which both channel counts are split; `c_in` groups of one channel are a depthwise convolution.
    pub groups: u32,
    /// Whether a vector of `c_out` is added.
    pub bias: bool,
}

/// Output extent of a sliding window along one axis, rounded down, or up where `ceil`.
///
/// With `ceil` (as in PyTorch's pooling) a window that would start in the padding after the operand is left out.
pub(crate) fn window(
    extent: u32,
    kernel: u32,
    stride: u32,
    padding: [u32; 2],
    dilation: u32,
    ceil: bool,
) -> Result<u32, Error> {
    positive(kernel, Attribute::Kernel)?;
    positive(stride, Attribute::Stride)?;
    positive(dilation, Attribute::Dilation)?;
    let [before, after] = padding.map(u64::from);
    let (extent, stride) = (u64::from(extent), u64::from(stride));
    let reach = u64::from(dilation)
        .checked_mul(u64::from(kernel).saturating_sub(1))
        .and_then(|steps| steps.checked_add(1))
        .ok_or(Error::CountOverflow)?;
    let free = extent
        .saturating_add(before)
        .saturating_add(after)
        .checked_sub(reach)
        .ok_or(Error::InvalidAttribute(Attribute::Padding))?;
    let mut steps = if ceil { free.div_ceil(stride) } else { free.checked_div(stride).unwrap_or(0) };
    if ceil && steps.saturating_mul(stride) >= extent.saturating_add(before) {
        steps = steps.saturating_sub(1);
    }
    u32::try_from(steps.saturating_add(1)).map_err(|_| Error::CountOverflow)
}

impl Conv2d {
    fn taps_per_output(&self) -> Result<u64, Error> {
        let [k_h, k_w] = self.kernel.map(u64::from);
        product([u64::from(self.c_in).checked_div(u64::from(self.groups)).unwrap_or(0), k_h, k_w])
    }

    const fn class(&self) -> Class {
        match (self.groups, self.kernel) {
            (1, [1, 1]) => Class::Pointwise,
            (1, _) => Class::Conv,
            (groups, _) if groups == self.c_in => Class::Depthwise,
            _ => Class::GroupedConv,
        }
    }
}

impl Describe for Conv2d {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.c_in, Attribute::Channels)?;
        positive(self.c_out, Attribute::Channels)?;
        positive(self.groups, Attribute::Groups)?;
        if !self.c_in.is_multiple_of(self.groups) || !self.c_out.is_multiple_of(self.groups) {
            return Err(Error::InvalidAttribute(Attribute::Groups));
        }
        let input = operands.at(0)?;
        rank(input, 0, 4)?;
        let &[n, c, h, w] = input.shape.extents() else {
            return Err(Error::ShapeMismatch { operand: 0, axis: 0 });
        };
        if c != self.c_in {
            return Err(Error::ShapeMismatch { operand: 0, axis: 1 });
        }
        let [k_h, k_w] = self.kernel;
        let [s_h, s_w] = self.stride;
        let [p_h, p_w] = self.padding;
        let [d_h, d_w] = self.dilation;
        let h = window(h, k_h, s_h, p_h, d_h, false)?;
        let w = window(w, k_w, s_w, p_w, d_w, false)?;
        Ok(Tensor { shape: Shape::new(&[n, self.c_out, h, w])?, ..*input })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let elements = output.shape.elements()?;
        let k = self.taps_per_output()?;
        let macs = Macs(product([elements, k])?);
        let c_out = u64::from(self.c_out);
        let params = product([c_out, k])?.checked_add(if self.bias { c_out } else { 0 }).ok_or(Error::CountOverflow)?;
        let groups = u64::from(self.groups);
        let work = streaming(self.class(), operands, output, u64::from(self.bias))?;
        Ok(Work {
            gemm: Some(Gemm {
                m: elements.checked_div(c_out).unwrap_or(0),
                n: c_out.checked_div(groups).unwrap_or(0),
                k,
                groups,
            }),
            macs,
            flops: macs.flops()?.checked_add(work.flops)?,
            params,
            bytes_weight: output.data_type.bytes(params)?,
            ..work
        })
    }
}
