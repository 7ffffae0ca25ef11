//! Attention, and PyTorch's fused encoder layer.

use derate_core::op::{Activation, ActivationKind, Attention, BinaryKind, MultiHeadAttention, Op};

use super::argument::{Args, Argument};
use super::emit::Weights;
use super::names::with_unread;
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `scaled_dot_product_attention` and the kernels behind it: query, key, value, then mask or dropout, and whether it is causal.
    pub(super) fn attention(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let [q, k, v] = [args.tensor(0, "query")?, args.tensor(1, "key")?, args.tensor(2, "value")?];
        let (mask, causal) = match call.op {
            "scaled_dot_product_attention" | "_scaled_dot_product_attention_math" => {
                (args.optional_tensor(3, "attn_mask")?, args.bool_or(5, "is_causal", false)?)
            }
            "_scaled_dot_product_efficient_attention" | "_scaled_dot_product_cudnn_attention" => {
                (args.optional_tensor(3, "attn_bias")?, args.bool_or(6, "is_causal", false)?)
            }
            "_scaled_dot_product_flash_attention_for_cpu" => {
                (args.optional_tensor(usize::MAX, "attn_mask")?, args.bool_or(4, "is_causal", false)?)
            }
            _ => (args.optional_tensor(usize::MAX, "attn_mask")?, args.bool_or(4, "is_causal", false)?),
        };
        let operands: Vec<&Tensor> = [q, k, v].into_iter().chain(mask).collect();
        let result = self.give(call, Op::Attention(Attention { causal }), &operands)?;
        Ok(if call.op == "scaled_dot_product_attention" { result } else { with_unread(result, "sums of attention") })
    }

    /// Attention with its projections, which share one matrix for queries, keys and values.
    fn projected(
        &mut self,
        node: &str,
        operands: [&Tensor; 3],
        heads: i64,
        w: [&Tensor; 4],
    ) -> Result<Tensor, Refusal> {
        let [in_weight, in_bias, out_weight, out_bias] = w;
        let &[_, embed] = in_weight.extents() else { return Err(Refusal::new("a matrix of weights is expected")) };
        let heads = u32::try_from(heads).map_err(|_| Refusal::new(format!("{heads} heads")))?;
        let name =
            self.weight_name(in_weight).ok_or_else(|| Refusal::new("its weights are computed rather than stored"))?;
        let op = MultiHeadAttention { embed, heads, k_features: embed, v_features: embed, bias: true };
        let mut ids = Vec::with_capacity(3);
        for operand in operands {
            ids.push(self.id(node, operand)?);
        }
        let id = self.builder.op_with_weights(node, Op::MultiHeadAttention(op), &ids, &name)?;
        for weight in [in_weight, in_bias, out_weight, out_bias] {
            self.attributes.extend(self.weight_name(weight));
        }
        Ok(self.tensor(id))
    }

    /// `_native_multi_head_attention`: query, key, value, embed, heads, weights and biases of both projections.
    pub(super) fn native_attention(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let operands = [args.tensor(0, "query")?, args.tensor(1, "key")?, args.tensor(2, "value")?];
        let weights = [
            args.tensor(5, "qkv_weight")?,
            args.tensor(6, "qkv_bias")?,
            args.tensor(7, "proj_weight")?,
            args.tensor(8, "proj_bias")?,
        ];
        let result = self.projected(call.node, operands, args.int(4, "num_head")?, weights)?;
        Ok(with_unread(Argument::Tensor(result), "weights of attention"))
    }

    /// `_transformer_encoder_layer_fwd`: src, embed, heads, attention's weights, GELU or ReLU, norm first, ε, norms, feed-forward.
    pub(super) fn encoder_layer(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let node = call.node;
        let x = args.tensor(0, "src")?.clone();
        let tensor = |at, name: &str| args.tensor(at, name).cloned();
        let attention =
            [tensor(3, "qkv_weight")?, tensor(4, "qkv_bias")?, tensor(5, "proj_weight")?, tensor(6, "proj_bias")?];
        let heads = args.int(2, "num_heads")?;
        let gelu = args.bool_or(7, "use_gelu", false)?;
        let norm_first = args.bool_or(8, "norm_first", false)?;
        let norms = [
            [tensor(10, "norm_weight_1")?, tensor(11, "norm_bias_1")?],
            [tensor(12, "norm_weight_2")?, tensor(13, "norm_bias_2")?],
        ];
        let layers = [
            [tensor(14, "ffn_weight_1")?, tensor(15, "ffn_bias_1")?],
            [tensor(16, "ffn_weight_2")?, tensor(17, "ffn_bias_2")?],
        ];
        let attend = |this: &mut Self, x: &Tensor| {
            let weights = [&attention[0], &attention[1], &attention[2], &attention[3]];
            this.projected(node, [x, x, x], heads, weights)
        };
        let forward = |this: &mut Self, x: &Tensor| {
            let hidden = this.called(node, "linear", [x, &layers[0][0], &layers[0][1]])?;
            let kind = if gelu { ActivationKind::Gelu } else { ActivationKind::Relu };
            let hidden = this.emit(node, Op::Activation(Activation { kind, in_place: false }), &[&hidden])?;
            this.called(node, "linear", [&hidden, &layers[1][0], &layers[1][1]])
        };
        let normed = |this: &mut Self, x: &Tensor, [weight, bias]: &[Tensor; 2]| {
            let last = x.rank().saturating_sub(1);
            let op = |_| Op::LayerNorm(derate_core::op::LayerNorm { axes: 1, affine: derate_core::op::Affine::BOTH });
            this.emit_weighted(node, op, x, Weights { weight, bias: Some(bias) }, last)
        };
        let add = |this: &mut Self, a: &Tensor, b: &Tensor| this.binary(node, BinaryKind::Add, a, b, false);
        let result = if norm_first {
            let inner = normed(self, &x, &norms[0])?;
            let inner = attend(self, &inner)?;
            let x = add(self, &x, &inner)?;
            let inner = normed(self, &x, &norms[1])?;
            let inner = forward(self, &inner)?;
            add(self, &x, &inner)?
        } else {
            let inner = attend(self, &x)?;
            let x = add(self, &x, &inner)?;
            let x = normed(self, &x, &norms[0])?;
            let inner = forward(self, &x)?;
            let x = add(self, &x, &inner)?;
            normed(self, &x, &norms[1])?
        };
        Ok(Argument::Tensor(result))
    }

    /// Another ATen op on tensors.
    pub(super) fn called<const N: usize>(
        &mut self,
        node: &str,
        op: &str,
        operands: [&Tensor; N],
    ) -> Result<Tensor, Refusal> {
        let positional = operands.into_iter().cloned().map(Argument::Tensor).collect();
        match self.call(node, op, &Args { positional, named: Vec::new() })? {
            Argument::Tensor(tensor) => Ok(tensor),
            _ => Err(Refusal::new(format!("{op} gives no tensor"))),
        }
    }
}
