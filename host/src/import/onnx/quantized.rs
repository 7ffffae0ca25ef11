//! Quantized layers, and conversions between real numbers and integers.

use derate_core::op::{Cast, Op, Quantize, Reduce, ReduceKind, View};
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use super::call::{Call, data_type, unsupported, wrong};
use super::graph::{Importer, Outputs};
use super::reduce::mask;
use super::value::{Value, elements};

impl Importer {
    /// A quantized op of the standard set.
    pub(super) fn quantized(&mut self, call: &Call<'_>) -> Outputs {
        match call.op() {
            "QuantizeLinear" => {
                let zero_point = self.optional(call, 2).and_then(|value| self.type_of(&value));
                let given = i32::try_from(call.int("output_dtype", 0)?).unwrap_or(0);
                let to = match (zero_point, given) {
                    (Some(to), _) => to,
                    (None, 0) => DataType::Int8,
                    (None, given) => match data_type(given) {
                        Ok(to) => to,
                        Err(kind) => return unsupported(format!("quantization to elements of type {kind}")),
                    },
                };
                self.requantized(call, to)
            }
            "DequantizeLinear" => {
                let scale = self.operand(call, 1)?;
                let to = self.type_of(&scale).unwrap_or(DataType::Fp32);
                self.requantized(call, to)
            }
            "DynamicQuantizeLinear" => self.dynamic(call),
            "QLinearConv" => {
                let x = self.tensor(call, 0)?;
                let weights = self.weights(call, 3, x)?;
                let bias = match self.optional(call, 8) {
                    None => false,
                    Some(bias) => {
                        let dims = self.dims_of(&bias).unwrap_or_default();
                        let c_out = weights.dims.first().copied().unwrap_or(0);
                        if elements(&dims) != u64::from(c_out) {
                            return wrong(format!("a bias of shape {dims:?} for {c_out} channels"));
                        }
                        true
                    }
                };
                Ok(vec![Value::Tensor(self.conv(call, x, &weights, bias)?)])
            }
            "ConvInteger" => {
                let x = self.tensor(call, 0)?;
                let weights = self.weights(call, 1, x)?;
                let y = self.conv(call, x, &weights, false)?;
                self.wide(call, y)
            }
            "QLinearMatMul" => {
                let (a, b) = (self.operand(call, 0)?, self.operand(call, 3)?);
                Ok(vec![Value::Tensor(self.mat_mul(call, &a, &b, [0, 3])?)])
            }
            _ => {
                let (a, b) = (self.operand(call, 0)?, self.operand(call, 1)?);
                let y = self.mat_mul(call, &a, &b, [0, 1])?;
                self.wide(call, y)
            }
        }
    }

    pub(super) fn type_of(&self, value: &Value) -> Option<DataType> {
        match value {
            Value::Tensor(id) => Some(self.builder.data_type(*id)),
            Value::Stored(stored) => Some(stored.data_type),
            Value::Unknown(_) => None,
        }
    }

    fn requantized(&mut self, call: &Call<'_>, to: DataType) -> Outputs {
        let x = self.tensor(call, 0)?;
        Ok(vec![Value::Tensor(self.emit(call, Op::Quantize(Quantize { to }), &[x])?)])
    }

    /// Sums of integer products keep 32 bits.
    fn wide(&mut self, call: &Call<'_>, y: TensorId) -> Outputs {
        let op = Op::Cast(Cast { to: DataType::Int32 });
        Ok(vec![Value::Tensor(self.emit_part(call, "sums", op, &[y])?)])
    }

    /// Quantization by the range of the operand itself: the largest and the smallest element, then each element.
    fn dynamic(&mut self, call: &Call<'_>) -> Outputs {
        let x = self.tensor(call, 0)?;
        let rank = self.extents(x).len();
        let axes = mask(&(0..rank).collect::<Vec<_>>());
        let find = |kind| Op::Reduce(Reduce { kind, axes, keep_dims: false });
        let largest = self.emit_part(call, "max", find(ReduceKind::Max), &[x])?;
        let smallest = self.emit_part(call, "min", find(ReduceKind::Min), &[x])?;
        let y = self.emit(call, Op::Quantize(Quantize { to: DataType::Int8 }), &[x])?;
        let zero_point =
            self.emit_part(call, "zero_point", Op::Quantize(Quantize { to: DataType::Int8 }), &[smallest])?;
        // The scale has the place and the type of the largest element.
        let scale = self.emit_part(call, "scale", Op::View(View { shape: self.builder.shape(largest) }), &[largest])?;
        Ok([y, scale, zero_point].map(Value::Tensor).to_vec())
    }
}
