//! Functions of each element with attributes, softmax, conversions.

use derate_core::op::{Activation, ActivationKind, BinaryKind, Op, PRelu, Quantize, Softmax};
use derate_core::shape::DataType;

use super::argument::Argument;
use super::emit::{Weights, axis, core_axis};
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal, numbered_data_type};

impl Lowering {
    /// `relu`, `relu6`, `hardtanh`, `clamp` and their like: self, least, most.
    pub(super) fn clamp(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let bound = |at, name, default| match call.args.get(at, name) {
            None => default,
            found => found.and_then(Argument::float),
        };
        let (least, most) = match call.op {
            "relu" => return self.activation(call, ActivationKind::Relu, x),
            "relu6" => return self.activation(call, ActivationKind::Relu6, x),
            // One comparison, and a choice: as LeakyRelu.
            "threshold" => return self.activation(call, ActivationKind::LeakyRelu, x),
            "hardtanh" => (bound(1, "min_val", Some(-1.0)), bound(2, "max_val", Some(1.0))),
            "clamp_max" => (None, bound(1, "max", None)),
            _ => (bound(1, "min", None), bound(2, "max", None)),
        };
        for (at, name, kind) in [(1, "min", BinaryKind::Max), (2, "max", BinaryKind::Min)] {
            if let Some(Argument::Tensor(limit)) = call.args.get(at, name)
                && limit.value().is_none()
            {
                let kind = if call.op == "clamp_max" { BinaryKind::Min } else { kind };
                let (x, limit) = (x.clone(), limit.clone());
                return self.binary(call.node, kind, &x, &limit, call.in_place).map(Argument::Tensor);
            }
        }
        let kind = match (least, most) {
            (Some(0.0), Some(6.0)) => ActivationKind::Relu6,
            (Some(0.0), None) => ActivationKind::Relu,
            _ => ActivationKind::Clip,
        };
        self.activation(call, kind, x)
    }

    /// `gelu`: self, approximation.
    pub(super) fn gelu(&mut self, call: &Call<'_>) -> Lowered {
        let tanh = call.args.str_or(1, "approximate", "none") == "tanh";
        let kind = if tanh { ActivationKind::GeluTanh } else { ActivationKind::Gelu };
        self.activation(call, kind, call.args.first()?)
    }

    /// `elu`: self, alpha, scale, input scale; a scale makes it SELU, an input scale CELU.
    pub(super) fn elu(&mut self, call: &Call<'_>) -> Lowered {
        let kind = match (call.args.float_or(2, "scale", 1.0)?, call.args.float_or(3, "input_scale", 1.0)?) {
            (1.0, 1.0) => ActivationKind::Elu,
            (1.0, _) => ActivationKind::Celu,
            _ => ActivationKind::Selu,
        };
        self.activation(call, kind, call.args.first()?)
    }

    /// `glu`: self, axis; one half times the sigmoid of the other.
    pub(super) fn glu(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?.clone();
        let at = axis(call.args.int_or(1, "dim", -1)?, x.rank())?;
        let half = x.extents().get(at).copied().unwrap_or(0) / 2;
        let (value, gate) = (self.sliced(&x, at, 0, half, 1)?, self.sliced(&x, at, half, half, 1)?);
        let op = Op::Activation(Activation { kind: ActivationKind::Sigmoid, in_place: false });
        let gate = self.emit(call.node, op, &[&gate])?;
        self.binary(call.node, BinaryKind::Mul, &value, &gate, false).map(Argument::Tensor)
    }

    /// `prelu`: self, slopes.
    pub(super) fn prelu(&mut self, call: &Call<'_>) -> Lowered {
        let (x, weight) = (call.args.first()?, call.args.tensor(1, "weight")?);
        let slopes = u32::try_from(weight.elements()).map_err(|_| Refusal::new("too many slopes"))?;
        let weights = Weights { weight, bias: None };
        self.emit_weighted(call.node, |_| Op::PRelu(PRelu { slopes }), x, weights, 1).map(Argument::Tensor)
    }

    /// `softmax`, `log_softmax`: self, axis.
    pub(super) fn softmax(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let axis = core_axis(call.args.int(1, "dim")?, x.rank())?;
        let op = Softmax { axis, log: call.op.contains("log") };
        if x.is_known() {
            return Ok(Argument::Tensor(self.unknown_like(x, x.data_type())));
        }
        self.give(call, Op::Softmax(op), &[x])
    }

    /// `to`, `_to_copy`, `float`, …: another data type; a device or a layout is none of the graph's business.
    pub(super) fn convert(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let of_argument = |argument: &Argument| match argument {
            Argument::DataType(data_type) => Some(*data_type),
            Argument::Int(number) => numbered_data_type(*number),
            Argument::Tensor(other) => Some(other.data_type()),
            _ => None,
        };
        let to = match call.op {
            "float" => Some(DataType::Fp32),
            "double" => Some(DataType::Fp64),
            "half" => Some(DataType::Fp16),
            "bfloat16" => Some(DataType::Bf16),
            "long" => Some(DataType::Int64),
            "int" => Some(DataType::Int32),
            "bool" => Some(DataType::Bool),
            "type_as" => call.args.tensor(1, "other").ok().map(Tensor::data_type),
            "_to_copy" => call.args.named("dtype").and_then(of_argument),
            // `to(self, dtype, …)`, `to(self, device, dtype, …)`, `to(self, other, …)`.
            _ => call
                .args
                .named("dtype")
                .or_else(|| call.args.named("other"))
                .and_then(of_argument)
                .or_else(|| call.args.positional.get(1..3).unwrap_or(&[]).iter().find_map(of_argument)),
        };
        match to.filter(|&to| to != x.data_type()) {
            Some(to) => self.cast(call.node, x, to).map(Argument::Tensor),
            None => {
                self.builder.bookkeeping();
                Ok(Argument::Tensor(x.clone()))
            }
        }
    }

    /// `quantize_per_tensor`, `dequantize`, and their like with a scale a channel. What is stored is converted beforehand.
    pub(super) fn quantize(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let to = if call.op.starts_with("dequantize") {
            DataType::Fp32
        } else {
            match call.args.named("dtype").or_else(|| call.args.positional.last()) {
                Some(Argument::DataType(data_type)) => *data_type,
                Some(Argument::Int(number)) => numbered_data_type(*number).unwrap_or(DataType::Int8),
                _ => DataType::Int8,
            }
        };
        if let Origin::Stored { .. } = x.origin() {
            self.builder.bookkeeping();
            return Ok(Argument::Tensor(x.clone()));
        }
        self.give(call, Op::Quantize(Quantize { to }), &[x])
    }
}
