//! Functions of each element: activations, arithmetic, conversions, softmax.

use derate_core::op::{ActivationKind, BinaryKind, Op, Softmax};
use derate_core::shape::DataType;
use tch::{Kind, Tensor};

use super::call::Call;
use super::is_float;
use super::values::element_kind;
use crate::torch::TorchError;

/// Whether libtorch gives truth values where core keeps the data type, or the other way round in place.
pub(super) const fn gives_truth_values(op: &Op) -> bool {
    match op {
        Op::Activation(op) => matches!(op.kind, ActivationKind::Not),
        Op::Binary(op) => matches!(op.kind, BinaryKind::Logic | BinaryKind::Compare),
        Op::Scalar(op) => matches!(op.kind, BinaryKind::Logic | BinaryKind::Compare),
        _ => false,
    }
}

/// The call, or its form in place.
macro_rules! call {
    ($self:ident, $plain:ident, $in_place:ident $(, $argument:expr)*) => {
        if $self.in_place {
            $self.x()?.shallow_clone().$in_place($($argument),*)?
        } else {
            $self.x()?.$plain($($argument),*)?
        }
    };
}

impl Call<'_> {
    /// One call; three for `softsign` and `quick_gelu`, which libtorch has no function for.
    pub(super) fn activation(&self, kind: ActivationKind) -> Result<Tensor, TorchError> {
        use ActivationKind as A;
        Ok(match kind {
            A::Relu => call!(self, f_relu, f_relu_),
            A::Relu6 => call!(self, f_relu6, f_relu6_),
            A::LeakyRelu => call!(self, f_leaky_relu, f_leaky_relu_),
            A::Clip => call!(self, f_clamp, f_clamp_, -1.0, 1.0),
            A::HardSigmoid => call!(self, f_hardsigmoid, f_hardsigmoid_),
            A::HardSwish => call!(self, f_hardswish, f_hardswish_),
            A::Sigmoid => call!(self, f_sigmoid, f_sigmoid_),
            A::LogSigmoid => self.x()?.f_log_sigmoid()?,
            A::Silu => call!(self, f_silu, f_silu_),
            A::Gelu => call!(self, f_gelu, f_gelu_, "none"),
            A::GeluTanh => call!(self, f_gelu, f_gelu_, "tanh"),
            A::QuickGelu => {
                let x = self.x()?;
                x.f_mul(&x.f_mul_scalar(1.702)?.f_sigmoid()?)?
            }
            A::Elu => call!(self, f_elu, f_elu_),
            A::Selu => call!(self, f_selu, f_selu_),
            A::Celu => call!(self, f_celu, f_celu_),
            A::Softplus => self.x()?.f_softplus()?,
            A::Softsign => {
                let x = self.x()?;
                x.f_div(&x.f_abs()?.f_add_scalar(1.0)?)?
            }
            A::Mish => call!(self, f_mish, f_mish_),
            A::Tanh => call!(self, f_tanh, f_tanh_),
            A::Exp => call!(self, f_exp, f_exp_),
            A::Log => call!(self, f_log, f_log_),
            A::Erf => call!(self, f_erf, f_erf_),
            A::Sqrt => call!(self, f_sqrt, f_sqrt_),
            A::Rsqrt => call!(self, f_rsqrt, f_rsqrt_),
            A::Sin => call!(self, f_sin, f_sin_),
            A::Square => call!(self, f_square, f_square_),
            A::Reciprocal => call!(self, f_reciprocal, f_reciprocal_),
            A::Neg => call!(self, f_neg, f_neg_),
            A::Abs => call!(self, f_abs, f_abs_),
            A::Sign => call!(self, f_sign, f_sign_),
            A::Round => call!(self, f_round, f_round_),
            A::Not => self.x()?.f_logical_not()?,
            other => return Err(TorchError::Op(other.name())),
        })
    }

    fn data_type(&self) -> Result<DataType, TorchError> {
        Ok(self.described.first().ok_or(TorchError::Empty)?.data_type)
    }

    /// One call. Truth values have no difference: `logical_xor` is theirs. Integers are divided after their divisors are raised to 1:
    /// random ones may be 0, which libtorch refuses.
    pub(super) fn binary(&self, kind: BinaryKind) -> Result<Tensor, TorchError> {
        use BinaryKind as B;
        let y = self.operand(1)?;
        let data_type = self.data_type()?;
        let whole = !is_float(data_type);
        Ok(match kind {
            B::Add => call!(self, f_add, f_add_, y),
            B::Sub if data_type == DataType::Bool => self.x()?.f_logical_xor(y)?,
            B::Sub => call!(self, f_sub, f_sub_, y),
            B::Mul => call!(self, f_mul, f_mul_, y),
            B::Div if whole => self.x()?.f_div_tensor_mode(&y.f_clamp_min(1)?, "trunc")?,
            B::Div => call!(self, f_div, f_div_, y),
            B::Pow => call!(self, f_pow, f_pow_tensor_, y),
            B::Max => self.x()?.f_maximum(y)?,
            B::Min => self.x()?.f_minimum(y)?,
            B::Mod if whole => self.x()?.f_remainder_tensor(&y.f_clamp_min(1)?)?,
            B::Mod => self.x()?.f_remainder_tensor(y)?,
            B::Compare => call!(self, f_lt_tensor, f_lt_tensor_, y),
            B::Logic => self.x()?.f_logical_and(y)?,
            other => return Err(TorchError::Op(other.name())),
        })
    }

    /// One call, with a number of no special case: 1 or 2 for integers, 1.5 for powers. Logic is `ne` with 0.
    pub(super) fn scalar(&self, kind: BinaryKind) -> Result<Tensor, TorchError> {
        use BinaryKind as B;
        let data_type = self.data_type()?;
        if data_type == DataType::Bool && !matches!(kind, B::Compare) {
            return Ok(self.x()?.f_ne(0)?);
        }
        if !is_float(data_type) {
            let x = self.x()?;
            return Ok(match kind {
                B::Add => call!(self, f_add_scalar, f_add_scalar_, 1),
                B::Sub => call!(self, f_sub_scalar, f_sub_scalar_, 1),
                B::Mul => call!(self, f_mul_scalar, f_mul_scalar_, 2),
                B::Div => x.f_div_scalar_mode(2, "trunc")?,
                B::Pow => x.f_pow_tensor_scalar(2)?,
                B::Max => call!(self, f_clamp_min, f_clamp_min_, 0),
                B::Min => call!(self, f_clamp_max, f_clamp_max_, 100),
                B::Mod => x.f_remainder(2)?,
                B::Compare => call!(self, f_lt, f_lt_, 1),
                B::Logic => x.f_ne(0)?,
                other => return Err(TorchError::Op(other.name())),
            });
        }
        Ok(match kind {
            B::Add => call!(self, f_add_scalar, f_add_scalar_, 1.0),
            B::Sub => call!(self, f_sub_scalar, f_sub_scalar_, 1.0),
            B::Mul => call!(self, f_mul_scalar, f_mul_scalar_, 0.75),
            B::Div => call!(self, f_div_scalar, f_div_scalar_, 1.25),
            B::Pow => self.x()?.f_pow_tensor_scalar(1.5)?,
            B::Max => call!(self, f_clamp_min, f_clamp_min_, 0.0),
            B::Min => call!(self, f_clamp_max, f_clamp_max_, 6.0),
            B::Mod => self.x()?.f_remainder(2.0)?,
            B::Compare => call!(self, f_lt, f_lt_, 0.0),
            B::Logic => self.x()?.f_ne(0.0)?,
            other => return Err(TorchError::Op(other.name())),
        })
    }

    /// `where`; a condition of another type is made truth values first.
    pub(super) fn choice(&self) -> Result<Tensor, TorchError> {
        let (a, b) = (self.operand(1)?, self.operand(2)?);
        if self.data_type()? == DataType::Bool {
            return Ok(a.f_where_self(self.x()?, b)?);
        }
        Ok(a.f_where_self(&self.x()?.f_to_kind(Kind::Bool)?, b)?)
    }

    pub(super) fn cast(&self, to: DataType) -> Result<Tensor, TorchError> {
        Ok(self.x()?.f_to_kind(element_kind(to)?)?)
    }

    /// The arithmetic of quantization in three or four calls, as eager code without quantized tensors writes it: to integers a factor,
    /// rounding, limits and a conversion; from integers a conversion, the zero point and the factor.
    pub(super) fn quantize(&self, to: DataType) -> Result<Tensor, TorchError> {
        let from = self.data_type()?;
        let real = if is_float(from) { self.x()?.shallow_clone() } else { self.x()?.f_to_kind(Kind::Float)? };
        if is_float(to) {
            let real = real.f_to_kind(element_kind(to)?)?;
            return Ok(real.f_sub_scalar(0.0)?.f_mul_scalar_(0.05)?);
        }
        let [low, high] = match to {
            DataType::Int8 => [-128.0, 127.0],
            DataType::Int16 => [-32768.0, 32767.0],
            _ => [-2_147_483_648.0, 2_147_483_520.0],
        };
        Ok(real.f_mul_scalar(20.0)?.f_round_()?.f_clamp_(low, high)?.f_to_kind(element_kind(to)?)?)
    }

    pub(super) fn softmax(&self, op: &Softmax) -> Result<Tensor, TorchError> {
        let (x, axis) = (self.x()?, i64::from(op.axis));
        Ok(if op.log { x.f_log_softmax(axis, None::<Kind>)? } else { x.f_softmax(axis, None::<Kind>)? })
    }
}
