//! Normalisation: by stored statistics (batch norm at inference), or by those of the operand itself.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::product;
use crate::tensor::{Operands, Tensor};
use crate::units::Bytes;
use crate::work::{Class, Work};

/// Batch normalisation at inference on `[n, features, …]`.
///
/// ```text
/// y = α · x + β          α = weight / √(var + ε), β = bias − mean · α, once a channel
/// flops  = 2 · elements
/// params = 2 · features          weight and bias; mean and variance are buffers, read and stored but not learned
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchNorm {
    /// Extent of axis 1.
    pub features: u32,
}

impl Describe for BatchNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.features, Attribute::Channels)?;
        let input = operands.at(0)?;
        if input.shape.extent(1) != Some(self.features) {
            return Err(Error::ShapeMismatch { operand: 0, axis: 1 });
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let features = u64::from(self.features);
        // Four vectors are stored, two of them learned.
        let stored = streaming(Class::Elementwise, operands, output, 2)?
            .with_parameters(features.saturating_mul(4), output.data_type)?;
        Ok(Work { params: features.saturating_mul(2), ..stored })
    }

    fn stored(&self, _: Operands<'_>, output: &Tensor) -> Result<Bytes, Error> {
        output.data_type.bytes(u64::from(self.features).saturating_mul(4))
    }
}

/// Which learned vectors a normalisation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Affine {
    /// A factor for each normalised element or channel.
    pub weight: bool,
    /// An addend for each.
    pub bias: bool,
}

impl Affine {
    /// Factor and addend.
    pub const BOTH: Self = Self { weight: true, bias: true };
    /// Neither.
    pub const NONE: Self = Self { weight: false, bias: false };

    fn vectors(self) -> u64 {
        u64::from(self.weight).saturating_add(u64::from(self.bias))
    }
}

/// Normalisation over the last axes of `[…, features]` by their mean and variance.
///
/// ```text
/// flops  = 5 · elements + (weight: elements) + (bias: elements)          mean 1, centre 1, variance 2, scale 1
/// params = (weight: features) + (bias: features)                         features = product of the normalised extents
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerNorm {
    /// How many axes are normalised together, at least 1.
    pub axes: u8,
    /// Its learned vectors.
    pub affine: Affine,
}

/// Normalisation over the last axis of `[…, features]` by its root mean square.
///
/// ```text
/// flops  = 3 · elements + (weight: elements)          squares and sum 2, scale 1
/// params = (weight: features)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RmsNorm {
    /// Whether each element of the axis has a learned factor.
    pub weight: bool,
}

/// Normalisation of `[n, c, …]` over groups of channels and all positions; as many groups as channels are an instance norm.
///
/// ```text
/// flops  = 5 · elements + (weight: elements) + (bias: elements)
/// params = (weight: c) + (bias: c)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GroupNorm {
    /// Groups of channels, a divisor of their number.
    pub groups: u32,
    /// Its learned vectors, of one value a channel.
    pub affine: Affine,
}

/// Normalisation of each element by the squares of `size` neighbours across the channels of `[n, c, …]` (`AlexNet`, `GoogLeNet`).
///
/// ```text
/// flops = (2 · size + 4) · elements          squares and their sum; factor, addend, power, division
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LocalResponseNorm {
    /// Channels in the sum, at least 1.
    pub size: u16,
}

/// Product of the last `axes` extents.
fn features(tensor: &Tensor, axes: u8) -> Result<u64, Error> {
    let outer = tensor.shape.rank().checked_sub(axes).filter(|_| axes > 0);
    let outer = outer.ok_or(Error::InvalidAttribute(Attribute::Axis))?;
    product(tensor.shape.extents().iter().skip(usize::from(outer)).map(|&extent| u64::from(extent)))
}

impl Describe for LayerNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        features(input, self.axes)?;
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let vectors = self.affine.vectors();
        let params = product([vectors, features(output, self.axes)?])?;
        streaming(Class::Reduction, operands, output, vectors.saturating_add(5))?
            .with_parameters(params, output.data_type)
    }
}

impl Describe for RmsNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        features(input, 1)?;
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let params = if self.weight { features(output, 1)? } else { 0 };
        streaming(Class::Reduction, operands, output, if self.weight { 4 } else { 3 })?
            .with_parameters(params, output.data_type)
    }
}

impl Describe for GroupNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.groups, Attribute::Groups)?;
        let input = operands.at(0)?;
        let channels = input.shape.extent(1).ok_or(Error::ShapeMismatch { operand: 0, axis: 1 })?;
        if !channels.is_multiple_of(self.groups) {
            return Err(Error::InvalidAttribute(Attribute::Groups));
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let vectors = self.affine.vectors();
        let params = vectors.saturating_mul(output.shape.extent(1).map_or(0, u64::from));
        streaming(Class::Reduction, operands, output, vectors.saturating_add(5))?
            .with_parameters(params, output.data_type)
    }
}

impl Describe for LocalResponseNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(u32::from(self.size), Attribute::Kernel)?;
        let input = operands.at(0)?;
        if input.shape.rank() < 2 {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank() });
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let flops = u64::from(self.size).saturating_mul(2).saturating_add(4);
        streaming(Class::Reduction, operands, output, flops)
    }
}
