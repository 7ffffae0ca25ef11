//! Convolutions of one to three axes, and their transposes, with groups, dilation and padding on each side.

use super::{Describe, Windows, positive, weight_types, weighted};
use crate::error::{Attribute, Error};
use crate::shape::{DataType, product};
use crate::tensor::{Operands, Tensor};
use crate::units::Bytes;
use crate::work::{Class, Gemm, Work};

/// Convolution of `[n, c_in, …]`, giving `[n, c_out, …]`.
///
/// ```text
/// out    = ⌊(in + pad_before + pad_after − dilation · (kernel − 1) − 1) / stride⌋ + 1          along each axis
/// macs   = n · c_out · Π out · (c_in / groups) · Π kernel                                      padded taps count
/// flops  = 2 · macs + (bias: n · c_out · Π out)
/// params = c_out · (c_in / groups) · Π kernel + (bias: c_out)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conv {
    /// Channels of the operand.
    pub c_in: u32,
    /// Channels of the result.
    pub c_out: u32,
    /// Groups into which both channel counts are split; `c_in` groups of one channel are a depthwise convolution.
    pub groups: u32,
    /// The windows, one an axis.
    pub windows: Windows,
    /// Whether a vector of `c_out` is added.
    pub bias: bool,
    /// How the weights are stored, where not as the operand.
    pub weights: Option<DataType>,
}

/// Transposed convolution of `[n, c_in, …]`: each input element spreads over the window it would be computed from.
///
/// ```text
/// out    = (in − 1) · stride + dilation · (kernel − 1) + 1 − pad_before − pad_after + output_padding
/// macs   = n · c_in · Π in · (c_out / groups) · Π kernel          taps that fall into the padding count
/// flops  = 2 · macs + (bias: n · c_out · Π out)
/// params = c_in · (c_out / groups) · Π kernel + (bias: c_out)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConvTranspose {
    /// Channels of the operand.
    pub c_in: u32,
    /// Channels of the result.
    pub c_out: u32,
    /// Groups into which both channel counts are split.
    pub groups: u32,
    /// The windows, one an axis.
    pub windows: Windows,
    /// Extents added at the end of each axis, each below the stride or the dilation.
    pub output_padding: [u16; Windows::MAX],
    /// Whether a vector of `c_out` is added.
    pub bias: bool,
    /// How the weights are stored, where not as the operand.
    pub weights: Option<DataType>,
}

fn checked_groups(c_in: u32, c_out: u32, groups: u32) -> Result<(), Error> {
    positive(c_in, Attribute::Channels)?;
    positive(c_out, Attribute::Channels)?;
    positive(groups, Attribute::Groups)?;
    if c_in.is_multiple_of(groups) && c_out.is_multiple_of(groups) {
        Ok(())
    } else {
        Err(Error::InvalidAttribute(Attribute::Groups))
    }
}

fn channels<'a>(operands: Operands<'a>, c_in: u32) -> Result<&'a Tensor, Error> {
    let input = operands.at(0)?;
    if input.shape.extent(1) == Some(c_in) { Ok(input) } else { Err(Error::ShapeMismatch { operand: 0, axis: 1 }) }
}

fn per_group(channels: u32, groups: u32) -> u64 {
    u64::from(channels).checked_div(u64::from(groups)).unwrap_or(0)
}

impl Conv {
    fn class(&self) -> Class {
        let one_tap = self.windows.axes().iter().all(|axis| axis.kernel == 1);
        match self.groups {
            1 if one_tap => Class::Pointwise,
            1 => Class::Conv,
            groups if groups == self.c_in => Class::Depthwise,
            _ => Class::GroupedConv,
        }
    }
}

impl Describe for Conv {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        checked_groups(self.c_in, self.c_out, self.groups)?;
        let input = channels(operands, self.c_in)?;
        let extent = |_, window: &super::Window, size| window.output(size, false);
        let shape = self.windows.output(&input.shape, self.c_out, extent)?;
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let elements = output.shape.elements()?;
        let (c_out, groups) = (u64::from(self.c_out), u64::from(self.groups));
        let k = product([per_group(self.c_in, self.groups), self.windows.taps()?])?;
        let gemm =
            Gemm { m: elements.checked_div(c_out).unwrap_or(0), n: c_out.checked_div(groups).unwrap_or(0), k, groups };
        let bias = if self.bias { c_out } else { 0 };
        weighted(self.class(), operands, output, gemm, product([c_out, k])?, bias, self.weights)
    }

    fn stored(&self, operands: Operands<'_>, _: &Tensor) -> Result<Bytes, Error> {
        let c_out = u64::from(self.c_out);
        let [weights, bias] = weight_types(operands, self.weights)?;
        let kernels = product([c_out, per_group(self.c_in, self.groups), self.windows.taps()?])?;
        weights.bytes(kernels)?.checked_add(bias.bytes(if self.bias { c_out } else { 0 })?)
    }
}

impl Describe for ConvTranspose {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        checked_groups(self.c_in, self.c_out, self.groups)?;
        let input = channels(operands, self.c_in)?;
        let shape = self.windows.output(&input.shape, self.c_out, |index, window, size| {
            window.transposed_output(size, self.output_padding.get(index).copied().unwrap_or(0))
        })?;
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let elements = operands.at(0)?.shape.elements()?;
        let groups = u64::from(self.groups);
        // As a matrix product each input position gives the taps of all its outputs.
        let n = product([per_group(self.c_out, self.groups), self.windows.taps()?])?;
        let gemm = Gemm {
            m: elements.checked_div(u64::from(self.c_in)).unwrap_or(0),
            n,
            k: per_group(self.c_in, self.groups),
            groups,
        };
        let bias = if self.bias { u64::from(self.c_out) } else { 0 };
        let class = match self.groups {
            1 => Class::Conv,
            groups if groups == self.c_in => Class::Depthwise,
            _ => Class::GroupedConv,
        };
        weighted(class, operands, output, gemm, product([u64::from(self.c_in), n])?, bias, self.weights)
    }
}
