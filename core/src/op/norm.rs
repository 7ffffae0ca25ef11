//! Normalisation: batch norm by stored statistics (inference), layer norm over the last axis.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::tensor::{Operands, Tensor};
use crate::work::{Class, Work};

/// Batch normalisation at inference on `[n, features, …]`.
///
/// ```text
/// y = α · x + β          α = weight / √(var + ε), β = bias − mean · α, once a channel
/// flops  = 2 · elements
/// params = 2 · features          weight and bias; mean and variance are buffers, read but not learned
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
        Ok(*input)
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let features = u64::from(self.features);
        Ok(Work {
            params: features.saturating_mul(2),
            bytes_weight: output.data_type.bytes(features.saturating_mul(4))?,
            ..streaming(Class::Elementwise, operands, output, 2)?
        })
    }
}

/// Layer normalisation over the last axis of `[…, features]`, with learned weight and bias.
///
/// ```text
/// flops  = 7 · elements          mean 1, centre 1, variance 2, scale 1, weight 1, bias 1
/// params = 2 · features
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerNorm {
    /// Extent of the last axis.
    pub features: u32,
}

impl Describe for LayerNorm {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.features, Attribute::Channels)?;
        let input = operands.at(0)?;
        if input.shape.extents().last() != Some(&self.features) {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank().saturating_sub(1) });
        }
        Ok(*input)
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let params = u64::from(self.features).saturating_mul(2);
        Ok(Work {
            params,
            bytes_weight: output.data_type.bytes(params)?,
            ..streaming(Class::Reduction, operands, output, 7)?
        })
    }
}
