//! Operators of the domain `com.microsoft`, which ONNX Runtime's optimizers and quantizers write.

use derate_core::op::{
    ActivationKind, Attention, Binary, BinaryKind, Concat, MatMul, Move, MoveKind, Op, PoolKind, Quantize, View,
};
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, axis_u8, unsupported, wrong};
use super::dense::ADD;
use super::elementwise::function;
use super::graph::{Importer, Outputs, shape};
use super::value::Value;

impl Importer {
    /// An op of ONNX Runtime's own set.
    pub(super) fn microsoft(&mut self, call: &Call<'_>) -> Outputs {
        let one = |id: TensorId| Ok(vec![Value::Tensor(id)]);
        match call.op() {
            "Gelu" => self.unary(call, ActivationKind::Gelu),
            "QuickGelu" => self.unary(call, ActivationKind::QuickGelu),
            "QLinearSigmoid" => self.unary(call, ActivationKind::Sigmoid),
            "QLinearLeakyRelu" => self.unary(call, ActivationKind::LeakyRelu),
            "BiasGelu" | "FastGelu" => {
                let mut x = self.tensor(call, 0)?;
                if call.input(1).is_some() {
                    let bias = self.tensor(call, 1)?;
                    x = self.emit_part(call, "add", ADD, &[x, bias])?;
                }
                let kind = if call.op() == "FastGelu" { ActivationKind::GeluTanh } else { ActivationKind::Gelu };
                one(self.emit(call, function(kind), &[x])?)
            }
            "LayerNormalization" | "SimplifiedLayerNormalization" => {
                let x = self.tensor(call, 0)?;
                let rank = self.extents(x).len();
                let axis = call.axis("axis", -1, rank)?;
                one(self.layer_norm(call, x, rank - axis, call.op() == "LayerNormalization")?)
            }
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => self.skip_norm(call),
            "QLinearAdd" | "QLinearMul" => {
                let (x, y) = (self.tensor(call, 0)?, self.tensor(call, 3)?);
                let kind = if call.op() == "QLinearAdd" { BinaryKind::Add } else { BinaryKind::Mul };
                one(self.emit(call, Op::Binary(Binary { kind, in_place: false }), &[x, y])?)
            }
            "QLinearSoftmax" => {
                let x = self.tensor(call, 0)?;
                let inner = Call { opset: call.int("opset", 13)?, ..*call };
                one(self.softmax(&inner, x, false)?)
            }
            "QLinearGlobalAveragePool" | "QLinearAveragePool" => {
                if call.flag("channels_last", false)? {
                    return unsupported("channels as the last axis");
                }
                let x = self.tensor(call, 0)?;
                one(if call.op() == "QLinearAveragePool" {
                    self.window_pool(call, x, PoolKind::Average)?
                } else {
                    self.global_pool(call, x, PoolKind::Average)?
                })
            }
            "QLinearConcat" => {
                // Scale and zero point of the result, then a tensor with its scale and zero point each.
                let mut parts = Vec::new();
                for position in (2..call.node.input.len()).step_by(3) {
                    parts.push(self.tensor(call, position)?);
                }
                let rank = parts.first().map_or(0, |&id| self.extents(id).len());
                let axis = axis_u8(call.axis("axis", 0, rank)?)?;
                one(self.emit(call, Op::Concat(Concat { axis }), &parts)?)
            }
            "FusedMatMul" | "TransposeMatMul" => {
                if call.flag("transBatchA", false)? || call.flag("transBatchB", false)? {
                    return unsupported("transposed outer axes");
                }
                let (transpose_a, transpose_b) = (call.flag("transA", false)?, call.flag("transB", false)?);
                let (a, b) = (self.tensor(call, 0)?, self.tensor(call, 1)?);
                one(self.emit(call, Op::MatMul(MatMul { transpose_a, transpose_b }), &[a, b])?)
            }
            "FusedConv" => {
                let inner = super::proto::Node { op_type: "Conv".to_owned(), ..call.node.clone() };
                let outputs = self.dense(&Call { node: &inner, ..*call })?;
                let Some(Value::Tensor(mut y)) = outputs.first().cloned() else { return Ok(outputs) };
                if call.input(3).is_some() {
                    let sum = self.tensor(call, 3)?;
                    y = self.emit_part(call, "sum", ADD, &[y, sum])?;
                }
                // The activation is part of the layer and takes no pass of its own.
                one(y)
            }
            "QuantizeLinear" | "DequantizeLinear" => match self.fold(call)? {
                Some(folded) => {
                    self.builder.bookkeeping();
                    Ok(folded)
                }
                None => self.quantized(call),
            },
            "QGemm" => self.quantized_gemm(call),
            "DynamicQuantizeLSTM" => self.recurrent(call),
            "MatMulIntegerToFloat" => self.integer_product(call),
            "MultiHeadAttention" => self.heads(call),
            "Attention" => self.packed_attention(call),
            _ => unsupported("this operator of com.microsoft is not known"),
        }
    }

    fn unary(&mut self, call: &Call<'_>, kind: ActivationKind) -> Outputs {
        let x = self.tensor(call, 0)?;
        Ok(vec![Value::Tensor(self.emit(call, function(kind), &[x])?)])
    }

    /// Two tensors added, a bias too where there is one, and the sum normalised; the sum is the fourth result.
    fn skip_norm(&mut self, call: &Call<'_>) -> Outputs {
        let centred = call.op() == "SkipLayerNormalization";
        let (x, skip) = (self.tensor(call, 0)?, self.tensor(call, 1)?);
        let mut sum = self.emit_part(call, "skip", ADD, &[x, skip])?;
        let at = if centred { 4 } else { 3 };
        if call.input(at).is_some() {
            let bias = self.tensor(call, at)?;
            sum = self.emit_part(call, "bias", ADD, &[sum, bias])?;
        }
        // Factor and addend stand where LayerNormalization has them, one place later.
        let mut inner = call.node.clone();
        inner.input.remove(1);
        inner.input.truncate(if centred { 3 } else { 2 });
        let y = self.layer_norm(&Call { node: &inner, ..*call }, sum, 1, centred)?;
        let unknown = || Value::Unknown("statistics of a normalisation are not modelled".to_owned());
        Ok(vec![Value::Tensor(y), unknown(), unknown(), Value::Tensor(sum)])
    }

    /// A Gemm of 8-bit operands: A with scale and zero point, B with both, C, and those of the result, without which it is real.
    fn quantized_gemm(&mut self, call: &Call<'_>) -> Outputs {
        let mut inner = call.node.clone();
        let at = |position: usize| call.input(position).unwrap_or_default().to_owned();
        inner.op_type = "Gemm".to_owned();
        inner.input = vec![at(0), at(3), at(6)];
        let mut outputs = self.dense(&Call { node: &inner, ..*call })?;
        if let (None, Some(Value::Tensor(y))) = (call.input(7), outputs.first()) {
            let op = Op::Quantize(Quantize { to: DataType::Fp32 });
            outputs = vec![Value::Tensor(self.emit_part(call, "scale", op, &[*y])?)];
        }
        Ok(outputs)
    }

    /// An 8-bit matrix product that gives real numbers.
    fn integer_product(&mut self, call: &Call<'_>) -> Outputs {
        let (mut a, b) = (self.operand(call, 0)?, self.operand(call, 1)?);
        if let Value::Stored(_) = a {
            a = Value::Tensor(self.tensor(call, 0)?);
        }
        let y = self.mat_mul(call, &a, &b, [0, 1])?;
        let mut y = self.emit_part(call, "scale", Op::Quantize(Quantize { to: DataType::Fp32 }), &[y])?;
        if call.input(6).is_some() {
            let bias = self.tensor(call, 6)?;
            y = self.emit_part(call, "bias", ADD, &[y, bias])?;
        }
        Ok(vec![Value::Tensor(y)])
    }

    /// Attention on queries, keys and values `[n, l, heads · d]` that are projected already.
    fn heads(&mut self, call: &Call<'_>) -> Outputs {
        if (5..call.node.input.len()).any(|position| position > 5 && call.input(position).is_some()) {
            return unsupported("keys and values of earlier steps");
        }
        if call.input(1).is_none() || call.input(2).is_none() {
            return unsupported("queries, keys and values in one tensor");
        }
        let heads = u32::try_from(call.int("num_heads", 0)?).unwrap_or(0);
        let mut all = Vec::new();
        for position in 0..3 {
            let x = self.tensor(call, position)?;
            if self.extents(x).len() != 3 {
                return unsupported("operands that are split into heads already");
            }
            all.push(x);
        }
        if call.input(3).is_some() {
            return unsupported("a bias of the projections inside");
        }
        let mask = if call.input(5).is_some() { Some(self.tensor(call, 5)?) } else { None };
        let causal = call.flag("unidirectional", false)?;
        Ok(vec![Value::Tensor(self.attend(call, &all, heads, mask, causal)?)])
    }

    /// Splits into heads, attends, and puts the heads together again. The order of axes is the kernel's own matter: only views.
    fn attend(
        &mut self,
        call: &Call<'_>,
        all: &[TensorId],
        heads: u32,
        mask: Option<TensorId>,
        causal: bool,
    ) -> Result<TensorId, Stop> {
        let mut operands = Vec::new();
        for (position, &x) in all.iter().enumerate() {
            let dims = self.extents(x);
            let &[n, l, features] = dims.as_slice() else {
                return wrong(format!("shape {dims:?}; three axes are wanted"));
            };
            if heads == 0 || !features.is_multiple_of(heads) {
                return wrong(format!("{features} features do not split into {heads} heads"));
            }
            let view = Op::View(View { shape: shape(&[n, heads, l, features / heads])? });
            operands.push(self.emit_part(call, &position.to_string(), view, &[x])?);
        }
        operands.extend(mask);
        let y = self.emit(call, Op::Attention(Attention { causal }), &operands)?;
        match *self.extents(y).as_slice() {
            [n, heads, l, d] => {
                let Some(features) = heads.checked_mul(d) else { return wrong("an extent is above 4294967295") };
                self.under(call, y, &[n, l, features])
            }
            _ => Ok(y),
        }
    }

    /// Attention with one projection for queries, keys and values.
    fn packed_attention(&mut self, call: &Call<'_>) -> Outputs {
        if call.input(4).is_some() || call.input(6).is_some() || call.has("qkv_hidden_sizes") {
            return unsupported("earlier steps, or projections of different sizes");
        }
        let x = self.tensor(call, 0)?;
        let weights = self.weights(call, 1, x)?;
        let heads = u32::try_from(call.int("num_heads", 0)?).unwrap_or(0);
        let &[k, n] = weights.dims.as_slice() else { return wrong(format!("weights of shape {:?}", weights.dims)) };
        let third = n / 3;
        let y = self.linear(call, x, [k, n], call.input(2).is_some(), &weights)?;
        let dims = self.extents(y);
        let &[batch, l, _] = dims.as_slice() else { return wrong(format!("shape {dims:?}; three axes are wanted")) };
        let mut all = Vec::new();
        for part in ["q", "k", "v"] {
            let slice = Move { kind: MoveKind::Slice, shape: shape(&[batch, l, third])? };
            all.push(self.emit_part(call, part, Op::Move(slice), &[y])?);
        }
        let mask = if call.input(5).is_some() { Some(self.tensor(call, 5)?) } else { None };
        let causal = call.flag("unidirectional", false)?;
        Ok(vec![Value::Tensor(self.attend(call, &all, heads, mask, causal)?)])
    }
}
