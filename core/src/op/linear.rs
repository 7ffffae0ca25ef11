//! Matrix products: fully connected layers, products of two tensors, and contractions of any pair of axes.

use super::{Describe, positive, streaming, weighted};
use crate::error::{Attribute, Error};
use crate::shape::{DataType, Shape, product};
use crate::tensor::{Operands, Tensor};
use crate::units::Macs;
use crate::work::{Class, Gemm, Work};

/// Fully connected layer on `[…, in_features]`, giving `[…, out_features]`: y = x · Wᵀ + b.
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
    /// How the weights are stored, where not as the operand.
    pub weights: Option<DataType>,
}

impl Describe for Linear {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.in_features, Attribute::Channels)?;
        positive(self.out_features, Attribute::Channels)?;
        let input = operands.at(0)?;
        let axis = input.shape.rank().checked_sub(1).ok_or(Error::ShapeMismatch { operand: 0, axis: 0 })?;
        if input.shape.extent(usize::from(axis)) != Some(self.in_features) {
            return Err(Error::ShapeMismatch { operand: 0, axis });
        }
        let shape = input.shape.with_extent(usize::from(axis), self.out_features).ok_or(Error::RankExceeded)?;
        Ok(Tensor::activation(shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let (n, k) = (u64::from(self.out_features), u64::from(self.in_features));
        let m = output.shape.elements()?.checked_div(n).unwrap_or(0);
        let bias = if self.bias { n } else { 0 };
        let gemm = Gemm { m, n, k, groups: 1 };
        weighted(Class::Linear, operands, output, gemm, product([n, k])?, bias, self.weights)
    }
}

/// Product of two tensors `[…, m, k]` · `[…, k, n]` = `[…, m, n]`; the outer axes are broadcast against each other.
///
/// ```text
/// macs  = outer · m · k · n          outer = product of the broadcast outer extents
/// flops = 2 · macs
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MatMul {
    /// Whether operand 0 is given as `[…, k, m]`.
    pub transpose_a: bool,
    /// Whether operand 1 is given as `[…, n, k]`.
    pub transpose_b: bool,
}

impl MatMul {
    /// Outer shape, m, k, n.
    fn extents(&self, operands: Operands<'_>) -> Result<(Shape, u32, u32, u32), Error> {
        let (a, b) = (operands.at(0)?, operands.at(1)?);
        if a.data_type != b.data_type {
            return Err(Error::DataTypeMismatch { operand: 1 });
        }
        let split = |operand: u16, tensor: &Tensor, transposed: bool| match tensor.shape.extents() {
            [outer @ .., rows, columns] => {
                let shape = Shape::new(outer)?;
                Ok(if transposed { (shape, *columns, *rows) } else { (shape, *rows, *columns) })
            }
            _ => Err(Error::ShapeMismatch { operand, axis: tensor.shape.rank() }),
        };
        let (outer_a, m, k) = split(0, a, self.transpose_a)?;
        let (outer_b, k_b, n) = split(1, b, self.transpose_b)?;
        if k != k_b {
            let axis = outer_b.rank().saturating_add(u8::from(self.transpose_b));
            return Err(Error::ShapeMismatch { operand: 1, axis });
        }
        Ok((outer_a.broadcast(&outer_b)?, m, k, n))
    }
}

impl Describe for MatMul {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (outer, m, _, n) = self.extents(operands)?;
        Ok(Tensor::activation(outer.push(m)?.push(n)?, operands.at(0)?.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let (outer, m, k, n) = self.extents(operands)?;
        let [m, k, n] = [m, k, n].map(u64::from);
        // One matrix for all of the outer products of operand 0 is one taller product.
        let shared = operands.at(1)?.shape.rank() == 2 && !self.transpose_a;
        let gemm = if shared {
            Gemm { m: product([outer.elements()?, m])?, n, k, groups: 1 }
        } else {
            Gemm { m, n, k, groups: outer.elements()? }
        };
        contraction(gemm, operands, output)
    }
}

/// Product of two tensors over any of their axes, as a term of an einsum: `batch` axes stand in both operands and the result,
/// `m` in operand 0 and the result, `n` in operand 1 and the result, `k` in both operands only. Each is the product of its extents.
///
/// ```text
/// macs  = batch · m · k · n
/// flops = 2 · macs
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Contraction {
    /// Shape of the result, of `batch · m · n` elements.
    pub shape: Shape,
    /// Product of the extents that all three share.
    pub batch: u32,
    /// Product of the extents of operand 0 and the result.
    pub m: u32,
    /// Product of the extents of operand 1 and the result.
    pub n: u32,
    /// Product of the extents that are summed over.
    pub k: u32,
}

impl Describe for Contraction {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (a, b) = (operands.at(0)?, operands.at(1)?);
        if a.data_type != b.data_type {
            return Err(Error::DataTypeMismatch { operand: 1 });
        }
        let [batch, m, n, k] = [self.batch, self.m, self.n, self.k].map(u64::from);
        if a.shape.elements()? != product([batch, m, k])? {
            return Err(Error::ShapeMismatch { operand: 0, axis: a.shape.rank() });
        }
        if b.shape.elements()? != product([batch, k, n])? {
            return Err(Error::ShapeMismatch { operand: 1, axis: b.shape.rank() });
        }
        if self.shape.elements()? != product([batch, m, n])? {
            return Err(Error::InvalidAttribute(Attribute::OutputSize));
        }
        Ok(Tensor::activation(self.shape, a.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        let [groups, m, n, k] = [self.batch, self.m, self.n, self.k].map(u64::from);
        contraction(Gemm { m, n, k, groups }, operands, output)
    }
}

/// Work of a matrix product of two operands; a fully connected layer if the second is stored.
fn contraction(gemm: Gemm, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
    let macs = Macs(product([gemm.groups, gemm.m, gemm.n, gemm.k])?);
    let class = if operands.at(1)?.kind.is_stored() && gemm.groups == 1 { Class::Linear } else { Class::MatMul };
    let work = streaming(class, operands, output, 0)?;
    Ok(Work { gemm: Some(gemm), macs, flops: macs.flops()?, ..work })
}
