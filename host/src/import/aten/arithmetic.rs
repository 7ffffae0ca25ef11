//! Arithmetic of tensors with tensors and numbers.

use derate_core::op::{Activation, ActivationKind, Binary, BinaryKind, Op, Scalar, Where};
use derate_core::shape::{DataType, Shape};

use super::argument::Argument;
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// A binary op of ATen: self, other; either may be a number. A factor `alpha` is part of the addition.
    pub(super) fn arithmetic(&mut self, call: &Call<'_>, kind: BinaryKind) -> Lowered {
        let first = call.args.get(0, "self").or_else(|| call.args.get(0, "input"));
        let second =
            ["other", "exponent"].iter().find_map(|name| call.args.named(name)).or(call.args.positional.get(1));
        let (Some(first), Some(second)) = (first, second) else {
            return Err(Refusal::new("two operands are needed"));
        };
        match (first, second) {
            (Argument::Unknown(why), _) | (_, Argument::Unknown(why)) => Err(Refusal::new(why.clone())),
            (Argument::Tensor(a), Argument::Tensor(b)) => {
                if let (Some(x), Some(y), true) = (a.value(), b.value(), a.rank() == 0 && b.rank() == 0) {
                    self.builder.bookkeeping();
                    return Ok(Argument::Tensor(folded(call, kind, a.data_type(), x, y)));
                }
                self.binary(call.node, kind, a, b, call.in_place).map(Argument::Tensor)
            }
            (Argument::Tensor(x), number) => {
                if let (Some(value), Some(number), 0) = (x.value(), number.float(), x.rank()) {
                    self.builder.bookkeeping();
                    return Ok(Argument::Tensor(folded(call, kind, x.data_type(), value, number)));
                }
                let power = if kind == BinaryKind::Pow { number.float() } else { None };
                let simple = match power {
                    Some(2.0) => Some(ActivationKind::Square),
                    Some(0.5) => Some(ActivationKind::Sqrt),
                    Some(-0.5) => Some(ActivationKind::Rsqrt),
                    Some(-1.0) => Some(ActivationKind::Reciprocal),
                    _ => None,
                };
                match simple {
                    Some(kind) => self.activation(call, kind, x),
                    None => self.with_number(call, kind, x, matches!(number, Argument::Float(_))),
                }
            }
            (number, Argument::Tensor(x)) => self.with_number(call, kind, x, matches!(number, Argument::Float(_))),
            _ => Err(Refusal::new("no operand is a tensor")),
        }
    }

    /// Arithmetic of each element with one number; integers become real where the number is.
    fn with_number(&mut self, call: &Call<'_>, kind: BinaryKind, x: &Tensor, real: bool) -> Lowered {
        let x = if (real || kind == BinaryKind::Div && call.op != "floor_divide")
            && is_integer(x.data_type())
            && kind != BinaryKind::Compare
        {
            self.cast(call.node, x, DataType::Fp32)?
        } else {
            x.clone()
        };
        if x.is_known() {
            let data_type = if kind == BinaryKind::Compare { DataType::Bool } else { x.data_type() };
            return Ok(Argument::Tensor(self.unknown_like(&x, data_type)));
        }
        let in_place = call.in_place && matches!(x.origin(), Origin::Graph);
        self.give(call, Op::Scalar(Scalar { kind, in_place }), &[&x])
    }

    /// Arithmetic of two tensors. What is only repeated is read as it is; one known element is a number.
    pub(super) fn binary(
        &mut self,
        node: &str,
        kind: BinaryKind,
        a: &Tensor,
        b: &Tensor,
        in_place: bool,
    ) -> Result<Tensor, Refusal> {
        let shape = Shape::new(a.extents())?.broadcast(&Shape::new(b.extents())?)?;
        let data_type = promoted(a, b);
        if a.is_known() && b.is_known() {
            self.builder.bookkeeping();
            let result = if kind == BinaryKind::Compare { DataType::Bool } else { data_type };
            return Ok(Tensor::known(shape.extents().to_vec(), result, None));
        }
        for (x, number) in [(a, b), (b, a)] {
            // A constant of one element is a number, in whatever order the operands stand.
            if number.is_known() && number.elements() == 1 && x.extents() == shape.extents() {
                let x = self.cast(node, x, data_type)?;
                let in_place = in_place && matches!(x.origin(), Origin::Graph);
                return self.emit(node, Op::Scalar(Scalar { kind, in_place }), &[&x]);
            }
        }
        let unexpanded = |x: &Tensor, other: &Tensor| match x.origin() {
            Origin::Expand(base)
                if x.made().is_none()
                    && Shape::new(base.extents())
                        .and_then(|base| base.broadcast(&Shape::new(other.extents())?))
                        .is_ok_and(|together| together == shape) =>
            {
                base.clone()
            }
            _ => x.clone(),
        };
        let a = unexpanded(a, b);
        let b = unexpanded(b, &a);
        let in_place = in_place && a.extents() == shape.extents() && matches!(a.origin(), Origin::Graph);
        let in_place = in_place && a.data_type() == data_type;
        let a = self.cast(node, &a, data_type)?;
        let b = self.cast(node, &b, data_type)?;
        self.emit(node, Op::Binary(Binary { kind, in_place }), &[&a, &b])
    }

    /// `where`: condition, a, b.
    pub(super) fn choose(&mut self, call: &Call<'_>) -> Lowered {
        let condition = call.args.tensor(0, "condition")?.clone();
        let like = [1, 2].into_iter().zip(["self", "other"]).find_map(|(at, name)| call.args.tensor(at, name).ok());
        let data_type = like.map_or(DataType::Fp32, Tensor::data_type);
        let branch = |at, name| match call.args.get(at, name) {
            Some(Argument::Tensor(tensor)) => Ok(tensor.clone()),
            Some(number) => Ok(Tensor::known(Vec::new(), data_type, number.float())),
            None => Err(Refusal::new("where needs three operands")),
        };
        let (a, b) = (branch(1, "self")?, branch(2, "other")?);
        self.chosen(call, &condition, &a, &b)
    }

    fn chosen(&mut self, call: &Call<'_>, condition: &Tensor, a: &Tensor, b: &Tensor) -> Lowered {
        let data_type = promoted(a, b);
        if [condition, a, b].iter().all(|tensor| tensor.is_known()) {
            self.builder.bookkeeping();
            let shape = Shape::new(condition.extents())?.broadcast(&Shape::new(a.extents())?)?;
            let shape = shape.broadcast(&Shape::new(b.extents())?)?;
            return Ok(Argument::Tensor(Tensor::known(shape.extents().to_vec(), data_type, None)));
        }
        let a = self.cast(call.node, a, data_type)?;
        let b = self.cast(call.node, b, data_type)?;
        self.give(call, Op::Where(Where), &[condition, &a, &b])
    }

    /// `masked_fill`: self, mask, value.
    pub(super) fn masked_fill(&mut self, call: &Call<'_>) -> Lowered {
        let (x, mask) = (call.args.first()?.clone(), call.args.tensor(1, "mask")?.clone());
        let value = Tensor::known(Vec::new(), x.data_type(), call.args.get(2, "value").and_then(Argument::float));
        self.chosen(call, &mask, &value, &x)
    }

    /// `addcmul`, `addcdiv`: self, a, b; self + value · a · b.
    pub(super) fn add_combined(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let (a, b) = (call.args.tensor(1, "tensor1")?, call.args.tensor(2, "tensor2")?);
        let kind = if call.op == "addcmul" { BinaryKind::Mul } else { BinaryKind::Div };
        let term = self.binary(call.node, kind, a, b, false)?;
        self.binary(call.node, BinaryKind::Add, x, &term, call.in_place).map(Argument::Tensor)
    }

    /// `lerp`: self, end, weight; self + weight · (end − self).
    pub(super) fn lerp(&mut self, call: &Call<'_>) -> Lowered {
        let (x, end) = (call.args.first()?, call.args.tensor(1, "end")?);
        let difference = self.binary(call.node, BinaryKind::Sub, end, x, false)?;
        let step = match call.args.get(2, "weight") {
            Some(Argument::Tensor(weight)) => self.binary(call.node, BinaryKind::Mul, &difference, weight, false)?,
            _ => {
                let op = Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false });
                self.emit(call.node, op, &[&difference])?
            }
        };
        self.binary(call.node, BinaryKind::Add, x, &step, false).map(Argument::Tensor)
    }

    /// Tests of each element, which give truth values.
    pub(super) fn test(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        if call.op == "bitwise_not" || x.data_type() == DataType::Bool && call.op == "logical_not" {
            return self.activation(call, ActivationKind::Not, x);
        }
        if x.is_known() {
            return Ok(Argument::Tensor(self.unknown_like(x, DataType::Bool)));
        }
        self.give(call, Op::Scalar(Scalar { kind: BinaryKind::Compare, in_place: false }), &[x])
    }

    /// `log_sigmoid_forward`, which gives a buffer for training too.
    pub(super) fn log_sigmoid(&mut self, call: &Call<'_>) -> Lowered {
        let op = Op::Activation(Activation { kind: ActivationKind::LogSigmoid, in_place: false });
        let result = self.give(call, op, &[call.args.first()?])?;
        Ok(super::names::with_unread(result, "values for training"))
    }
}

fn is_integer(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Bool)
}

/// The data type of arithmetic on two tensors. As in PyTorch a real operand makes the result real, and a scalar has no say
/// within its kind.
fn promoted(a: &Tensor, b: &Tensor) -> DataType {
    let (x, y) = (a.data_type(), b.data_type());
    match (is_integer(x), is_integer(y)) {
        (true, false) => y,
        (false, true) => x,
        _ if a.rank() == 0 && b.rank() > 0 => y,
        _ if b.rank() == 0 && a.rank() > 0 => x,
        _ if y.size().0 > x.size().0 || x == DataType::Bool => y,
        _ => x,
    }
}

/// A scalar from two: arithmetic on sizes, which traced networks do with tensors.
fn folded(call: &Call<'_>, kind: BinaryKind, data_type: DataType, x: f64, y: f64) -> Tensor {
    let whole = is_integer(data_type) && y.fract() == 0.0;
    let (value, result) = match kind {
        BinaryKind::Add => (x + y, data_type),
        BinaryKind::Sub if call.op == "rsub" => (y - x, data_type),
        BinaryKind::Sub => (x - y, data_type),
        BinaryKind::Mul => (x * y, data_type),
        BinaryKind::Div if matches!(call.op, "floor_divide" | "floordiv") => ((x / y).floor(), data_type),
        BinaryKind::Div => match call.args.named("rounding_mode") {
            Some(Argument::Str(mode)) if mode == "trunc" => ((x / y).trunc(), data_type),
            Some(Argument::Str(mode)) if mode == "floor" => ((x / y).floor(), data_type),
            _ => (x / y, if is_integer(data_type) { DataType::Fp32 } else { data_type }),
        },
        BinaryKind::Pow => (x.powf(y), data_type),
        BinaryKind::Max => (x.max(y), data_type),
        BinaryKind::Min => (x.min(y), data_type),
        BinaryKind::Mod => (x - (x / y).floor() * y, data_type),
        BinaryKind::Compare => {
            let truth = match call.op {
                "eq" => x == y,
                "ne" | "not_equal" => x != y,
                "lt" | "less" => x < y,
                "le" | "less_equal" => x <= y,
                "gt" | "greater" => x > y,
                _ => x >= y,
            };
            (f64::from(u8::from(truth)), DataType::Bool)
        }
        _ => return Tensor::known(Vec::new(), data_type, None),
    };
    let result = if whole || !is_integer(result) || result == DataType::Bool { result } else { DataType::Fp32 };
    Tensor::known(Vec::new(), result, Some(value).filter(|value| value.is_finite()))
}
