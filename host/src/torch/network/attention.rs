//! Attention, alone and with its projections.

use derate_core::op::{Attention, MultiHeadAttention};
use derate_core::shape::DataType;
use tch::Tensor;

use super::call::{Call, long};
use super::is_float;
use crate::torch::TorchError;

/// Whether the projections of queries, keys and values are held as one matrix, as `torch.nn.MultiheadAttention` holds them for its
/// fast path in evaluation: biases, an even number of heads, equal features.
const fn fast(op: &MultiHeadAttention) -> bool {
    op.bias && op.heads.is_multiple_of(2) && op.k_features == op.embed && op.v_features == op.embed
}

/// Weights of the four projections; where [`fast`], the first three as one matrix of `3 · embed` rows.
pub(super) fn packed<P>(op: &MultiHeadAttention, apart: Vec<P>, weights: impl Fn(i64, i64) -> P) -> Vec<P> {
    if !fast(op) {
        return apart;
    }
    let embed = i64::from(op.embed);
    vec![weights(3 * embed, embed), weights(embed, embed)]
}

impl Call<'_> {
    /// `scaled_dot_product_attention`. Fewer heads of keys and values go in as they are (`enable_gqa`); other axes that are broadcast
    /// are expanded or repeated before. With a mask, whether it is causal is the mask's affair: libtorch takes one of the two.
    pub(super) fn attention(&self, op: &Attention) -> Result<Tensor, TorchError> {
        let query = self.x()?;
        let of_query = self.of(0)?;
        let head_axis = of_query.len().checked_sub(3).filter(|axis| *axis > 0);
        let heads = |position: usize| -> Result<Option<u32>, TorchError> {
            let extents = self.of(position)?;
            Ok(head_axis.and_then(|axis| extents.get(axis).copied()))
        };
        // libtorch shares heads of keys and values only where both have as many.
        let grouped = heads(1)? == heads(2)? && heads(1)? != heads(0)?;
        let fitted = |position: usize| -> Result<Tensor, TorchError> {
            let mut tensor = self.operand(position)?.shallow_clone();
            let outer = of_query.len().saturating_sub(2);
            let kept = |axis: usize| grouped && Some(axis) == head_axis;
            let mut broadcast = false;
            let mut extents = long(self.of(position)?);
            for (axis, (&wanted, found)) in of_query.iter().zip(&mut extents).take(outer).enumerate() {
                let wanted = i64::from(wanted);
                if *found == wanted || kept(axis) {
                    continue;
                }
                if *found != 1 {
                    let (times, axis) = (wanted / (*found).max(1), i64::try_from(axis).unwrap_or(0));
                    tensor = tensor.f_repeat_interleave_self_int(times, axis, None::<i64>)?;
                }
                *found = wanted;
                broadcast = true;
            }
            Ok(if broadcast { tensor.f_expand(extents, false)? } else { tensor })
        };
        let (key, value) = (fitted(1)?, fitted(2)?);
        let mask = match (self.operands.get(3), self.described.get(3)) {
            // A mask of integers is one of truth values.
            (Some(mask), Some(described))
                if !is_float(described.data_type) && described.data_type != DataType::Bool =>
            {
                Some(mask.f_to_kind(tch::Kind::Bool)?)
            }
            (Some(mask), Some(described)) if described.data_type != DataType::Bool => {
                Some(mask.f_to_kind(query.f_kind()?)?)
            }
            (mask, _) => mask.map(Tensor::shallow_clone),
        };
        let causal = op.causal && mask.is_none();
        let scale = None::<f64>;
        Ok(Tensor::f_scaled_dot_product_attention(query, &key, &value, mask, 0.0, causal, scale, grouped)?)
    }

    /// The fast path of `torch.nn.MultiheadAttention` in evaluation is one call (`_native_multi_head_attention`): one tensor as
    /// queries, keys and values, of equal features, with biases and an even number of heads. Everything else is three linear layers,
    /// `scaled_dot_product_attention` and a linear layer, with views and a copy between.
    pub(super) fn multi_head_attention(&self, op: &MultiHeadAttention) -> Result<Tensor, TorchError> {
        let (query, key, value) = (self.x()?, self.operand(1)?, self.operand(2)?);
        let (embed, heads) = (i64::from(op.embed), i64::from(op.heads));
        let one = matches!(self.slots, [q, k, v] if q == k && k == v);
        if fast(op) && one {
            let (weight, projection) = (self.parameter(0)?, self.parameter(1)?);
            let (bias, last) = (self.parameter(2)?, self.parameter(3)?);
            let no_mask = None::<Tensor>;
            let (output, _) = Tensor::f_internal_native_multi_head_attention(
                query,
                key,
                value,
                embed,
                heads,
                weight,
                bias,
                projection,
                last,
                no_mask,
                false,
                true,
                None::<i64>,
            )?;
            return Ok(output);
        }
        // The projections apart; of a packed matrix, its three parts.
        let (weights, biases) = if fast(op) {
            let parts = |packed: &Tensor| -> Result<Vec<Tensor>, TorchError> {
                (0..3).map(|part| Ok(packed.f_narrow(0, part * embed, embed)?)).collect()
            };
            let (mut weights, mut biases) = (parts(self.parameter(0)?)?, parts(self.parameter(2)?)?);
            weights.push(self.parameter(1)?.shallow_clone());
            biases.push(self.parameter(3)?.shallow_clone());
            (weights, biases)
        } else {
            let (weights, biases) = self.parameters.split_at_checked(4).ok_or(TorchError::Empty)?;
            let copies = |tensors: &[Tensor]| tensors.iter().map(Tensor::shallow_clone).collect::<Vec<_>>();
            (copies(weights), copies(biases))
        };
        let depth = embed / heads.max(1);
        let projected = |x: &Tensor, position: usize| -> Result<Tensor, TorchError> {
            let weight = weights.get(position).ok_or(TorchError::Empty)?;
            Ok(x.f_linear(weight, biases.get(position))?)
        };
        let split = |x: &Tensor, position: usize| -> Result<Tensor, TorchError> {
            let y = projected(x, position)?;
            let (n, rows) = (y.size().first().copied().unwrap_or(1), y.size().get(1).copied().unwrap_or(1));
            Ok(y.f_view([n, rows, heads, depth])?.f_transpose(1, 2)?)
        };
        let (q, k, v) = (split(query, 0)?, split(key, 1)?, split(value, 2)?);
        let no_mask = None::<Tensor>;
        let joined = Tensor::f_scaled_dot_product_attention(&q, &k, &v, no_mask, 0.0, false, None::<f64>, false)?;
        let joined = joined.f_transpose(1, 2)?.f_reshape(long(self.of(0)?))?;
        projected(&joined, 3)
    }
}
