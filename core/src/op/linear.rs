//! Fully connected layer: y = x · Wᵀ + b over the last axis.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::Macs;
use crate::work::{Class, Gemm, Work};

/// Fully connected layer on `[…, in_features]`, giving `[…, out_features]`.
///
/// ```text
/// macs   = m · in_features · out_features          m = product of all extents but the last
/// flops  = 2 · macs + (bias: m · out_features)
/// params = in_features · out_features + (bias: out_features)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Linear {
    /// Extent of the last axis of the operand.
    pub in_features: u32,
    /// Extent of the last axis of the result.
    pub out_features: u32,
    /// Whether a vector of `out_features` is added.
    pub bias: bool,
}

impl Describe for Linear {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.in_features, Attribute::Channels)?;
        positive(self.out_features, Attribute::Channels)?;
        let input = operands.at(0)?;
        let (last, outer) = input.shape.extents().split_last().ok_or(Error::ShapeMismatch { operand: 0, axis: 0 })?;
        if *last != self.in_features {
            return Err(Error::ShapeMismatch { operand: 0, axis: input.shape.rank().saturating_sub(1) });
        }
        let mut extents =
            heapless::Vec::<u32, { crate::shape::MAX_RANK }>::from_slice(outer).map_err(|_| Error::RankExceeded)?;
        extents.push(self.out_features).map_err(|_| Error::RankExceeded)?;
        Ok(Tensor { shape: Shape::new(&extents)?, ..*input })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let (n, k) = (u64::from(self.out_features), u64::from(self.in_features));
        let outer = output.shape.extents().split_last().map_or(&[][..], |(_, outer)| outer);
        let m = product(outer.iter().map(|&extent| u64::from(extent)))?;
        let macs = Macs(product([m, n, k])?);
        // `streaming` counts the bias: one addition an output.
        let work = streaming(Class::Linear, operands, output, u64::from(self.bias))?;
        let params = product([n, k])?.checked_add(if self.bias { n } else { 0 }).ok_or(Error::CountOverflow)?;
        Ok(Work {
            gemm: Some(Gemm { m, n, k, groups: 1 }),
            macs,
            flops: macs.flops()?.checked_add(work.flops)?,
            params,
            bytes_weight: output.data_type.bytes(params)?,
            ..work
        })
    }
}
