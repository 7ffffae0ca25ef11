//! Functions of each element: activations, arithmetic on two tensors, conversions, softmax.

use super::{Describe, positive, streaming};
use crate::error::{Attribute, Error};
use crate::shape::DataType;
use crate::tensor::{Operands, Tensor};
use crate::units::Bytes;
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
    /// x or a · x: 2 FLOP.
    LeakyRelu,
    /// min(max(x, a), b), hard tanh among them: 2 FLOP.
    Clip,
    /// min(max(x + 3, 0), 6) / 6: 4 FLOP.
    HardSigmoid,
    /// x · hard sigmoid(x): 5 FLOP.
    HardSwish,
    /// 1 / (1 + exp(−x)): 4 FLOP.
    Sigmoid,
    /// −log(1 + exp(−x)): 5 FLOP.
    LogSigmoid,
    /// x · sigmoid(x): 5 FLOP.
    Silu,
    /// x / 2 · (1 + erf(x / √2)): 5 FLOP.
    Gelu,
    /// x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))): 9 FLOP.
    GeluTanh,
    /// x · sigmoid(1.702 · x): 6 FLOP.
    QuickGelu,
    /// x or a · (exp(x) − 1): 4 FLOP.
    Elu,
    /// b · elu(x): 5 FLOP.
    Selu,
    /// x or a · (exp(x / a) − 1): 5 FLOP.
    Celu,
    /// log(1 + exp(x)): 3 FLOP.
    Softplus,
    /// x / (1 + |x|): 3 FLOP.
    Softsign,
    /// x · tanh(softplus(x)): 5 FLOP.
    Mish,
    /// tanh(x): 1 FLOP.
    Tanh,
    /// exp(x): 1 FLOP.
    Exp,
    /// log(x): 1 FLOP.
    Log,
    /// erf(x): 1 FLOP.
    Erf,
    /// √x: 1 FLOP.
    Sqrt,
    /// 1 / √x: 2 FLOP.
    Rsqrt,
    /// A trigonometric or hyperbolic function other than tanh: 1 FLOP.
    Sin,
    /// x²: 1 FLOP.
    Square,
    /// 1 / x: 1 FLOP.
    Reciprocal,
    /// −x: 1 FLOP.
    Neg,
    /// |x|: 1 FLOP.
    Abs,
    /// −1, 0 or 1: 1 FLOP.
    Sign,
    /// A rounding, up, down or to the nearest: 1 FLOP.
    Round,
    /// Logical negation, and tests such as "is not a number": 1 FLOP.
    Not,
}

impl ActivationKind {
    /// Every kind.
    pub const ALL: [Self; 32] = [
        Self::Relu,
        Self::Relu6,
        Self::LeakyRelu,
        Self::Clip,
        Self::HardSigmoid,
        Self::HardSwish,
        Self::Sigmoid,
        Self::LogSigmoid,
        Self::Silu,
        Self::Gelu,
        Self::GeluTanh,
        Self::QuickGelu,
        Self::Elu,
        Self::Selu,
        Self::Celu,
        Self::Softplus,
        Self::Softsign,
        Self::Mish,
        Self::Tanh,
        Self::Exp,
        Self::Log,
        Self::Erf,
        Self::Sqrt,
        Self::Rsqrt,
        Self::Sin,
        Self::Square,
        Self::Reciprocal,
        Self::Neg,
        Self::Abs,
        Self::Sign,
        Self::Round,
        Self::Not,
    ];

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu => "leaky_relu",
            Self::Clip => "clip",
            Self::HardSigmoid => "hardsigmoid",
            Self::HardSwish => "hardswish",
            Self::Sigmoid => "sigmoid",
            Self::LogSigmoid => "log_sigmoid",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::QuickGelu => "quick_gelu",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Celu => "celu",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::Mish => "mish",
            Self::Tanh => "tanh",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Erf => "erf",
            Self::Sqrt => "sqrt",
            Self::Rsqrt => "rsqrt",
            Self::Sin => "sin",
            Self::Square => "square",
            Self::Reciprocal => "reciprocal",
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Round => "round",
            Self::Not => "not",
        }
    }

    /// FLOPs of one element, as listed at the variants.
    #[must_use]
    pub const fn flops(self) -> u64 {
        match self {
            Self::Relu
            | Self::Tanh
            | Self::Exp
            | Self::Log
            | Self::Erf
            | Self::Sqrt
            | Self::Sin
            | Self::Square
            | Self::Reciprocal
            | Self::Neg
            | Self::Abs
            | Self::Sign
            | Self::Round
            | Self::Not => 1,
            Self::Relu6 | Self::LeakyRelu | Self::Clip | Self::Rsqrt => 2,
            Self::Softplus | Self::Softsign => 3,
            Self::HardSigmoid | Self::Sigmoid | Self::Elu => 4,
            Self::HardSwish | Self::LogSigmoid | Self::Silu | Self::Gelu | Self::Selu | Self::Celu | Self::Mish => 5,
            Self::QuickGelu => 6,
            Self::GeluTanh => 9,
        }
    }

    /// Whether it is an exponential, a root or their like, rather than comparisons and products.
    #[must_use]
    pub const fn is_transcendental(self) -> bool {
        matches!(
            self,
            Self::Sigmoid
                | Self::LogSigmoid
                | Self::Silu
                | Self::Gelu
                | Self::GeluTanh
                | Self::QuickGelu
                | Self::Elu
                | Self::Selu
                | Self::Celu
                | Self::Softplus
                | Self::Mish
                | Self::Tanh
                | Self::Exp
                | Self::Log
                | Self::Erf
                | Self::Sqrt
                | Self::Rsqrt
                | Self::Sin
        )
    }

    const fn class(self) -> Class {
        if self.is_transcendental() { Class::Transcendental } else { Class::Elementwise }
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
        let input = operands.at(0)?;
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(self.kind.class(), operands, output, self.kind.flops())
    }

    fn stored(&self, _: Operands<'_>, _: &Tensor) -> Result<Bytes, Error> {
        Ok(Bytes::ZERO)
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
    /// x to the power of y.
    Pow,
    /// The larger.
    Max,
    /// The smaller.
    Min,
    /// Remainder of x / y.
    Mod,
    /// A comparison; gives truth values, in place as elements of the operand.
    Compare,
    /// And, or, exclusive or.
    Logic,
}

impl BinaryKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Pow,
        Self::Max,
        Self::Min,
        Self::Mod,
        Self::Compare,
        Self::Logic,
    ];

    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Pow => "pow",
            Self::Max => "max",
            Self::Min => "min",
            Self::Mod => "mod",
            Self::Compare => "compare",
            Self::Logic => "logic",
        }
    }

    const fn class(self) -> Class {
        if matches!(self, Self::Pow) { Class::Transcendental } else { Class::Elementwise }
    }

    /// How the result is stored: truth values as such, but in place as what they overwrite.
    const fn stored_as(self, data_type: DataType, in_place: bool) -> DataType {
        if matches!(self, Self::Compare) && !in_place { DataType::Bool } else { data_type }
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
        let shape = a.shape.broadcast(&b.shape)?;
        if self.in_place && shape != a.shape {
            return Err(Error::ShapeMismatch { operand: 0, axis: a.shape.rank() });
        }
        Ok(Tensor::activation(shape, self.kind.stored_as(a.data_type, self.in_place)))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(self.kind.class(), operands, output, 1)
    }

    fn stored(&self, _: Operands<'_>, _: &Tensor) -> Result<Bytes, Error> {
        Ok(Bytes::ZERO)
    }
}

/// Softmax over one axis: 5 FLOP an element (maximum, difference, exponential, sum, division, or subtraction of the logarithm).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Softmax {
    /// The axis, below the rank.
    pub axis: u8,
    /// Whether its logarithm is given.
    pub log: bool,
}

impl Describe for Softmax {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        if self.axis >= input.shape.rank() {
            return Err(Error::InvalidAttribute(Attribute::Axis));
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Transcendental, operands, output, 5)
    }
}

/// Arithmetic of each element with one number that the graph fixes: x · 0.125, x + 1. 1 FLOP an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scalar {
    /// Which operation.
    pub kind: BinaryKind,
    /// Whether the result overwrites the operand.
    pub in_place: bool,
}

impl Describe for Scalar {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let input = operands.at(0)?;
        Ok(Tensor::activation(input.shape, self.kind.stored_as(input.data_type, self.in_place)))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(self.kind.class(), operands, output, 1)
    }
}

/// ReLU with a learned slope for negative values, one for all or one a channel (axis 1): 2 FLOP an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PRelu {
    /// Number of slopes: 1, or the extent of axis 1.
    pub slopes: u32,
}

impl Describe for PRelu {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        positive(self.slopes, Attribute::Channels)?;
        let input = operands.at(0)?;
        if self.slopes != 1 && input.shape.extent(1) != Some(self.slopes) {
            return Err(Error::ShapeMismatch { operand: 0, axis: 1 });
        }
        Ok(Tensor::activation(input.shape, input.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Elementwise, operands, output, 2)?.with_parameters(u64::from(self.slopes), output.data_type)
    }
}

/// Operand 1 where operand 0 is true, operand 2 elsewhere; broadcast. 1 FLOP an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Where;

impl Describe for Where {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        let (condition, a, b) = (operands.at(0)?, operands.at(1)?, operands.at(2)?);
        if a.data_type != b.data_type {
            return Err(Error::DataTypeMismatch { operand: 2 });
        }
        let shape = condition.shape.broadcast(&a.shape)?.broadcast(&b.shape).map_err(|error| match error {
            Error::ShapeMismatch { axis, .. } => Error::ShapeMismatch { operand: 2, axis },
            other => other,
        })?;
        Ok(Tensor::activation(shape, a.data_type))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Elementwise, operands, output, 1)
    }
}

/// The same values in another data type; nothing is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cast {
    /// The data type of the result.
    pub to: DataType,
}

impl Describe for Cast {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        Ok(Tensor::activation(operands.at(0)?.shape, self.to))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Copy, operands, output, 0)
    }
}

/// Between real numbers and integers with a scale and a zero point: quantization where the result is an integer, dequantization
/// where it is not, requantization between integers. 2 FLOP an element: scale, and zero point with rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Quantize {
    /// The data type of the result.
    pub to: DataType,
}

impl Describe for Quantize {
    fn output(&self, operands: Operands<'_>) -> Result<Tensor, Error> {
        Ok(Tensor::activation(operands.at(0)?.shape, self.to))
    }

    fn work(&self, operands: Operands<'_>, output: &Tensor) -> Result<Work, Error> {
        streaming(Class::Elementwise, operands, output, 2)
    }
}
