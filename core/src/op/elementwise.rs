//! Functions of each element: activations, arithmetic on two tensors, softmax.

use super::{Describe, streaming};
use crate::error::{Attribute, Error};
use crate::shape::{MAX_RANK, Shape};
use crate::tensor::{Operands, Tensor};
use crate::work::{Class, Work};

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ActivationKind {
    /// max(x, 0): 1 FLOP.
    Relu,
    /// min(max(x, 0), 6): 2 FLOP.
    Relu6,
    /// min(max(x + 3, 0), 6) / 6: 4 FLOP.
    HardSigmoid,
    /// x · hard sigmoid(x): 5 FLOP.
    HardSwish,
    /// 1 / (1 + exp(−x)): 4 FLOP.
    Sigmoid,
    /// x · sigmoid(x): 5 FLOP.
    Silu,
    /// x / 2 · (1 + erf(x / √2)): 5 FLOP.
    Gelu,
    /// tanh(x): 1 FLOP.
    Tanh,
}

impl ActivationKind {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::HardSigmoid => "hardsigmoid",
            Self::HardSwish => "hardswish",
            Self::Sigmoid => "sigmoid",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::Tanh => "tanh",
        }
    }

    /// FLOPs of one element, as listed at the variants.
    #[must_use]
    pub const fn flops(self) -> u64 {
        match self {
            Self::Relu | Self::Tanh => 1,
            Self::Relu6 => 2,
            Self::HardSigmoid | Self::Sigmoid => 4,
            Self::HardSwish | Self::Silu | Self::Gelu => 5,
        }
    }

    const fn class(self) -> Class {
        match self {
            Self::Relu | Self::Relu6 | Self::HardSigmoid | Self::HardSwish => Class::Elementwise,
            Self::Sigmoid | Self::Silu | Self::Gelu | Self::Tanh => Class::Transcendental,
        }
    }
}

/// A function of each element of operand 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Activation {
    /// Which function.
    pub kind: ActivationKind,
    /// Whether the result overwrites the operand.
    pub in_place: bool,
}

impl Describe for Activation {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        operands.at(0).copied()
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(self.kind.class(), operands, output, self.kind.flops())
    }
}

/// Arithmetic on two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BinaryKind {
    /// x + y.
    Add,
    /// x − y.
    Sub,
    /// x · y.
    Mul,
    /// x / y.
    Div,
}

impl BinaryKind {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
        }
    }
}

/// Arithmetic of two tensors, element by element; extents of 1 and missing outer axes are broadcast. 1 FLOP an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Binary {
    /// Which operation.
    pub kind: BinaryKind,
    /// Whether the result overwrites operand 0.
    pub in_place: bool,
}

impl Describe for Binary {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (a, b) = (operands.at(0)?, operands.at(1)?);
        if a.data_type != b.data_type {
            return Err(Error::DataTypeMismatch { operand: 1 });
        }
        let shape = broadcast(&a.shape, &b.shape)?;
        if self.in_place && shape != a.shape {
            return Err(Error::ShapeMismatch { operand: 0, axis: a.shape.rank() });
        }
        Ok(Tensor { shape, ..*a })
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Elementwise, operands, output, 1)
    }
}

/// Shape of two tensors broadcast against each other, aligned at the last axis (the rule of NumPy and ONNX).
fn broadcast(a: &Shape, b: &Shape) -> Result<Shape, Error> {
    let rank = usize::from(a.rank().max(b.rank()));
    let from_the_end = |shape: &Shape, back: usize| {
        usize::from(shape.rank()).checked_sub(back).map_or(Some(1), |axis| shape.extent(axis))
    };
    let mut extents = heapless::Vec::<u32, MAX_RANK>::new();
    for back in (1..=rank).rev() {
        let extent = match (from_the_end(a, back), from_the_end(b, back)) {
            (Some(x), Some(1)) => x,
            (Some(1), Some(y)) => y,
            (Some(x), Some(y)) if x == y => x,
            _ => {
                let axis = usize::from(b.rank()).saturating_sub(back);
                return Err(Error::ShapeMismatch { operand: 1, axis: u8::try_from(axis).unwrap_or(u8::MAX) });
            }
        };
        extents.push(extent).map_err(|_| Error::RankExceeded)?;
    }
    Shape::new(&extents)
}

/// Softmax over one axis: 5 FLOP an element (maximum, difference, exponential, sum, division).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Softmax {
    /// The axis, below the rank.
    pub axis: u8,
}

impl Describe for Softmax {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        if self.axis >= input.shape.rank() {
            return Err(Error::InvalidAttribute(Attribute::Axis));
        }
        Ok(*input)
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Transcendental, operands, output, 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_the_last_axis() -> Result<(), Error> {
        let shape = |extents: &[u32]| Shape::new(extents);
        // A squeeze-excite gate [2, 8, 1, 1] against [2, 8, 7, 7], and a bias [7] against it.
        assert_eq!(broadcast(&shape(&[2, 8, 1, 1])?, &shape(&[2, 8, 7, 7])?)?, shape(&[2, 8, 7, 7])?);
        assert_eq!(broadcast(&shape(&[2, 8, 7, 7])?, &shape(&[7])?)?, shape(&[2, 8, 7, 7])?);
        assert_eq!(broadcast(&shape(&[2, 3])?, &shape(&[2, 4])?), Err(Error::ShapeMismatch { operand: 1, axis: 1 }));
        Ok(())
    }
}
