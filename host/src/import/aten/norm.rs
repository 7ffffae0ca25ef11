//! Normalisations. Their vectors are weights where they are stored; computed ones are operands of ops of their own.

use derate_core::op::{Affine, BatchNorm, BinaryKind, GroupNorm, LayerNorm, Op, RmsNorm};

use super::argument::Argument;
use super::emit::Weights;
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `batch_norm`: input, weight, bias, mean, variance, …; `instance_norm` by statistics of the input.
    pub(super) fn batch_norm(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.tensor(0, "input")?.clone();
        let (weight, bias) = (args.optional_tensor(1, "weight")?, args.optional_tensor(2, "bias")?);
        // `_native_batch_norm_legit.no_stats` has neither means nor variances.
        let stored = !matches!(args.get(3, "running_mean"), None | Some(Argument::None | Argument::Bool(_)));
        let own = match call.op {
            "instance_norm" => args.bool_or(5, "use_input_stats", true)?,
            "_native_batch_norm_legit_no_training" => false,
            _ => !stored || args.bool_or(5, "training", false)?,
        };
        let several = call.op.contains("native") || call.op.contains("cudnn") || call.op.contains("impl");
        let features = x.extents().get(1).copied().ok_or_else(|| Refusal::new("no axis of channels"))?;
        let result = if own {
            let outer = x.extents().first().copied().unwrap_or(1);
            if call.op != "instance_norm" && outer != 1 {
                return Err(Refusal::new(
                    "batch norm by statistics of the batch (training); export it in evaluation mode",
                ));
            }
            let op = |affine| Op::GroupNorm(GroupNorm { groups: features, affine });
            self.affine(call.node, op, &x, weight, bias, 1)?
        } else {
            match (weight, bias) {
                (Some(weight), Some(_)) if Self::is_stored(weight) => {
                    let op = |_| Op::BatchNorm(BatchNorm { features });
                    self.emit_weighted(call.node, op, &x, Weights { weight, bias }, 1)?
                }
                _ => self.unlearned_batch_norm(call, &x, weight, bias)?,
            }
        };
        Ok(if several {
            super::names::with_unread(Argument::Tensor(result), "statistics")
        } else {
            Argument::Tensor(result)
        })
    }

    /// Batch norm without learned vectors, or with one: with mean and variance as constants. Core's op has always both.
    fn unlearned_batch_norm(
        &mut self,
        call: &Call<'_>,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
    ) -> Result<Tensor, Refusal> {
        let mean = call.args.tensor(3, "running_mean")?;
        let variance = call.args.tensor(4, "running_var")?;
        let mut result = self.binary_along(call.node, BinaryKind::Sub, x, mean, 1)?;
        result = self.binary_along(call.node, BinaryKind::Mul, &result, variance, 1)?;
        if let Some(weight) = weight {
            result = self.binary_along(call.node, BinaryKind::Mul, &result, weight, 1)?;
        }
        if let Some(bias) = bias {
            result = self.binary_along(call.node, BinaryKind::Add, &result, bias, 1)?;
        }
        Ok(result)
    }

    /// A normalisation with optional vectors of weights.
    fn affine(
        &mut self,
        node: &str,
        op: impl Fn(Affine) -> Op,
        x: &Tensor,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        channel_axis: usize,
    ) -> Result<Tensor, Refusal> {
        let (result, left) = match (weight, bias) {
            (Some(weight), bias) if Self::is_stored(weight) => {
                let with = |bias| op(Affine { weight: true, bias });
                (self.emit_weighted(node, with, x, Weights { weight, bias }, channel_axis)?, [None, None])
            }
            (None, Some(bias)) if Self::is_stored(bias) => {
                let with = |_| op(Affine { weight: false, bias: true });
                let weights = Weights { weight: bias, bias: None };
                (self.emit_weighted(node, with, x, weights, channel_axis)?, [None, None])
            }
            _ => (self.emit(node, op(Affine::NONE), &[x])?, [weight, bias]),
        };
        let mut result = result;
        for (kind, vector) in [BinaryKind::Mul, BinaryKind::Add].into_iter().zip(left) {
            if let Some(vector) = vector {
                result = self.binary_along(node, kind, &result, vector, channel_axis)?;
            }
        }
        Ok(result)
    }

    /// `layer_norm`: input, normalized shape, weight, bias.
    pub(super) fn layer_norm(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.tensor(0, "input")?;
        let axes = u8::try_from(args.ints(1, "normalized_shape")?.len()).map_err(|_| Refusal::new("too many axes"))?;
        let (weight, bias) = (args.optional_tensor(2, "weight")?, args.optional_tensor(3, "bias")?);
        let op = |affine| Op::LayerNorm(LayerNorm { axes, affine });
        let last = x.rank().saturating_sub(1);
        let result = Argument::Tensor(self.affine(call.node, op, x, weight, bias, last)?);
        Ok(if call.op == "layer_norm" { result } else { super::names::with_unread(result, "statistics") })
    }

    /// `group_norm`: input, groups, weight, bias; `native_group_norm`: input, weight, bias, n, c, positions, groups.
    pub(super) fn group_norm(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let native = call.op == "native_group_norm";
        let x = args.tensor(0, "input")?;
        let groups = if native { args.int(6, "group")? } else { args.int(1, "num_groups")? };
        let groups = u32::try_from(groups).map_err(|_| Refusal::new(format!("groups {groups}")))?;
        let at = if native { 1 } else { 2 };
        let (weight, bias) = (args.optional_tensor(at, "weight")?, args.optional_tensor(at.saturating_add(1), "bias")?);
        let op = |affine| Op::GroupNorm(GroupNorm { groups, affine });
        let result = Argument::Tensor(self.affine(call.node, op, x, weight, bias, 1)?);
        Ok(if native { super::names::with_unread(result, "statistics") } else { result })
    }

    /// `rms_norm`: input, normalized shape, weight.
    pub(super) fn rms_norm(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.tensor(0, "input")?.clone();
        let axes = call.args.ints(1, "normalized_shape")?.len();
        let weight = call.args.optional_tensor(2, "weight")?;
        let (outer, inner) = x.extents().split_at_checked(x.rank().saturating_sub(axes)).unwrap_or((x.extents(), &[]));
        let flat = inner.iter().try_fold(1_u32, |product, &extent| product.checked_mul(extent));
        let flat = flat.ok_or_else(|| Refusal::new("too many elements"))?;
        let rows = self.view(&x, [outer, &[flat]].concat())?;
        let last = rows.rank().saturating_sub(1);
        let result = match weight.filter(|weight| Self::is_stored(weight)) {
            Some(weight) => {
                let op = |_| Op::RmsNorm(RmsNorm { weight: true });
                self.emit_weighted(call.node, op, &rows, Weights { weight, bias: None }, last)?
            }
            None => {
                let result = self.emit(call.node, Op::RmsNorm(RmsNorm { weight: false }), &[&rows])?;
                match weight {
                    Some(weight) => self.binary_along(call.node, BinaryKind::Mul, &result, weight, last)?,
                    None => result,
                }
            }
        };
        let result = Argument::Tensor(self.view(&result, x.extents().to_vec())?);
        Ok(if call.op == "rms_norm" { result } else { super::names::with_unread(result, "statistics") })
    }
}
