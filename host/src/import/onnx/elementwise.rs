//! Functions of each element: activations, arithmetic, choices, conversions.

use derate_core::op::{Activation, ActivationKind, Binary, BinaryKind, Cast, Op, PRelu, Scalar, Where};
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, data_type, unsupported, wrong};
use super::graph::{Importer, Outputs};
use super::value::Value;

/// The activation that an op type names.
fn activation(op: &str) -> Option<ActivationKind> {
    Some(match op {
        "Relu" => ActivationKind::Relu,
        "LeakyRelu" | "ThresholdedRelu" => ActivationKind::LeakyRelu,
        "Shrink" => ActivationKind::Clip,
        "Sigmoid" => ActivationKind::Sigmoid,
        "HardSigmoid" => ActivationKind::HardSigmoid,
        "HardSwish" => ActivationKind::HardSwish,
        "Elu" => ActivationKind::Elu,
        "Selu" => ActivationKind::Selu,
        "Celu" => ActivationKind::Celu,
        "Softplus" => ActivationKind::Softplus,
        "Softsign" => ActivationKind::Softsign,
        "Mish" => ActivationKind::Mish,
        "Tanh" => ActivationKind::Tanh,
        "Exp" => ActivationKind::Exp,
        "Log" => ActivationKind::Log,
        "Erf" => ActivationKind::Erf,
        "Sqrt" => ActivationKind::Sqrt,
        "Sin" | "Cos" | "Tan" | "Asin" | "Acos" | "Atan" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" => {
            ActivationKind::Sin
        }
        "Reciprocal" => ActivationKind::Reciprocal,
        "Neg" => ActivationKind::Neg,
        "Abs" => ActivationKind::Abs,
        "Sign" => ActivationKind::Sign,
        "Floor" | "Ceil" | "Round" => ActivationKind::Round,
        "Not" | "BitwiseNot" => ActivationKind::Not,
        _ => return None,
    })
}

/// The arithmetic that an op type names.
fn binary(op: &str) -> Option<BinaryKind> {
    Some(match op {
        "Add" | "Sum" | "Mean" => BinaryKind::Add,
        "Sub" => BinaryKind::Sub,
        "Mul" => BinaryKind::Mul,
        "Div" => BinaryKind::Div,
        "Pow" => BinaryKind::Pow,
        "Max" => BinaryKind::Max,
        "Min" => BinaryKind::Min,
        "Mod" => BinaryKind::Mod,
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => BinaryKind::Compare,
        "And" | "Or" | "Xor" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "BitShift" => BinaryKind::Logic,
        _ => return None,
    })
}

impl Importer {
    /// A function of each element; last in the chain of families, so that what none knows ends here.
    pub(super) fn elementwise(&mut self, call: &Call<'_>) -> Outputs {
        if let Some(kind) = activation(call.op()) {
            return self.activation(call, kind);
        }
        if let Some(kind) = binary(call.op()) {
            return self.binary(call, kind);
        }
        match call.op() {
            "Gelu" => {
                let tanh = call.text("approximate", "none")? == "tanh";
                self.activation(call, if tanh { ActivationKind::GeluTanh } else { ActivationKind::Gelu })
            }
            "Clip" => {
                let kind = if self.bounds(call)? == [Some(0.0), Some(6.0)] {
                    ActivationKind::Relu6
                } else if self.bounds(call)? == [Some(0.0), None] {
                    ActivationKind::Relu
                } else {
                    ActivationKind::Clip
                };
                self.activation(call, kind)
            }
            "IsNaN" | "IsInf" => {
                let y = self.function(call, ActivationKind::Not)?;
                let truth = Op::Cast(Cast { to: derate_core::shape::DataType::Bool });
                Ok(vec![Value::Tensor(self.emit_part(call, "bool", truth, &[y])?)])
            }
            "PRelu" => self.prelu(call),
            "Where" => {
                let operands = [self.tensor(call, 0)?, self.tensor(call, 1)?, self.tensor(call, 2)?];
                Ok(vec![Value::Tensor(self.emit(call, Op::Where(Where), &operands)?)])
            }
            "Cast" | "CastLike" => self.cast(call),
            "Loop" | "Scan" => unsupported("how often its body runs depends on data"),
            "NonMaxSuppression" | "NonZero" | "Unique" | "Compress" => {
                unsupported("the shape of its result depends on data")
            }
            "RoiAlign" | "MaxRoiPool" | "GridSample" | "AffineGrid" | "DeformConv" | "MaxUnpool" | "Det" => {
                unsupported("no op describes its sampling")
            }
            _ => unsupported(format!("no op describes it (opset {})", call.opset)),
        }
    }

    /// An activation of input 0.
    fn activation(&mut self, call: &Call<'_>, kind: ActivationKind) -> Outputs {
        Ok(vec![Value::Tensor(self.function(call, kind)?)])
    }

    fn function(&mut self, call: &Call<'_>, kind: ActivationKind) -> Result<TensorId, Stop> {
        let x = self.tensor(call, 0)?;
        self.emit(call, Op::Activation(Activation { kind, in_place: false }), &[x])
    }

    /// Known bounds of a `Clip`; `None` where one is left out or not known.
    fn bounds(&self, call: &Call<'_>) -> Result<[Option<f64>; 2], Stop> {
        let bound = |name: &str, position: usize| -> Result<Option<f64>, Stop> {
            if let Some(value) = call.float(name)? {
                return Ok(Some(f64::from(value)));
            }
            let known = self.stored(call, position).and_then(|stored| stored.known());
            Ok(match known.and_then(|values| values.floats().first().copied()) {
                Some(value) => Some(value),
                // A bound that is there, but not known, is no missing one.
                None => call.input(position).map(|_| f64::NAN),
            })
        };
        Ok([bound("min", 1)?, bound("max", 2)?])
    }

    /// Arithmetic on two operands, or on more, one after the other; with a stored scalar on one.
    fn binary(&mut self, call: &Call<'_>, kind: BinaryKind) -> Outputs {
        let count = call.node.input.len();
        let x = self.operand(call, 0)?;
        if count == 1 {
            return self.alias(x);
        }
        if count == 2 {
            for (number, other) in [(1, 0), (0, 1)] {
                let Some(stored) = self.stored(call, number) else { continue };
                if stored.elements() != 1 || stored.learned {
                    continue;
                }
                let operand = self.operand(call, other)?;
                let dims = self.dims_of(&operand).unwrap_or_default();
                // One number broadcasts no axes, unless it has more of them.
                if stored.dims.len() > dims.len() || matches!(operand, Value::Stored(_)) {
                    continue;
                }
                let x = self.tensor(call, other)?;
                let squared = kind == BinaryKind::Pow && number == 1;
                let exponent = stored.known().and_then(|values| values.floats().first().copied());
                let op = match exponent {
                    Some(2.0) if squared => function(ActivationKind::Square),
                    Some(0.5) if squared => function(ActivationKind::Sqrt),
                    Some(-1.0) if squared => function(ActivationKind::Reciprocal),
                    Some(1.0) if squared => return self.alias(Value::Tensor(x)),
                    _ => Op::Scalar(Scalar { kind, in_place: false }),
                };
                return Ok(vec![Value::Tensor(self.emit(call, op, &[x])?)]);
            }
        }
        let mut sum = self.tensor(call, 0)?;
        for position in 1..count {
            let y = self.tensor(call, position)?;
            let op = Op::Binary(Binary { kind, in_place: false });
            // A power may have an exponent of another type.
            let y = if kind == BinaryKind::Pow { self.as_type_of(call, y, sum)? } else { y };
            sum = if position == 1 {
                self.emit(call, op, &[sum, y])?
            } else {
                self.emit_part(call, &position.to_string(), op, &[sum, y])?
            };
        }
        if call.op() == "Mean" {
            sum =
                self.emit_part(call, "mean", Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false }), &[sum])?;
        }
        Ok(vec![Value::Tensor(sum)])
    }

    /// A tensor in the type of another.
    pub(super) fn as_type_of(&mut self, call: &Call<'_>, x: TensorId, like: TensorId) -> Result<TensorId, Stop> {
        let to = self.builder.data_type(like);
        if self.builder.data_type(x) == to {
            return Ok(x);
        }
        self.emit_part(call, "cast", Op::Cast(Cast { to }), &[x])
    }

    fn prelu(&mut self, call: &Call<'_>) -> Outputs {
        let x = self.tensor(call, 0)?;
        let dims = self.extents(x);
        let weights = self.weights(call, 1, x)?;
        let slopes = weights.dims.iter().try_fold(1_u32, |product, &extent| product.checked_mul(extent));
        let channels = dims.get(1).copied();
        let kind = ActivationKind::LeakyRelu;
        let y = match (slopes, &weights.key) {
            (Some(slopes), Some(key)) if slopes == 1 || Some(slopes) == channels => {
                self.emit_weighted(call, Op::PRelu(PRelu { slopes }), &[x], Some(key))?
            }
            // Slopes of any other shape: a choice of two products.
            _ => {
                let slopes = self.tensor(call, 1)?;
                let op = Op::Binary(Binary { kind: BinaryKind::Mul, in_place: false });
                let y = self.emit_part(call, "slopes", op, &[x, slopes])?;
                self.emit(call, function(kind), &[y])?
            }
        };
        Ok(vec![Value::Tensor(y)])
    }

    fn cast(&mut self, call: &Call<'_>) -> Outputs {
        let to = if call.op() == "CastLike" {
            match self.operand(call, 1)? {
                Value::Tensor(id) => self.builder.data_type(id),
                Value::Stored(stored) => stored.data_type,
                Value::Unknown(reason) => return unsupported(reason),
            }
        } else {
            let Ok(to) = i32::try_from(call.int("to", 0)?) else { return wrong("attribute to is no element type") };
            match data_type(to) {
                Ok(to) => to,
                Err(kind) => return unsupported(format!("a cast to elements of type {kind} ({to})")),
            }
        };
        let x = self.tensor(call, 0)?;
        if self.builder.data_type(x) == to {
            return self.alias(Value::Tensor(x));
        }
        Ok(vec![Value::Tensor(self.emit(call, Op::Cast(Cast { to }), &[x])?)])
    }
}

/// An activation of its own memory.
pub(super) fn function(kind: ActivationKind) -> Op {
    Op::Activation(Activation { kind, in_place: false })
}
