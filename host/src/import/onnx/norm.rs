//! Normalisation.

use derate_core::op::{
    Affine, BatchNorm, Binary, BinaryKind, GroupNorm, LayerNorm, LocalResponseNorm, Op, Reduce, ReduceKind, RmsNorm,
};

use super::call::{Call, Stop, unsupported, wrong};
use super::graph::{Importer, Outputs};
use super::value::{Stored, Value};
use derate_core::tensor::TensorId;

impl Importer {
    /// A normalisation of the standard set.
    pub(super) fn norm(&mut self, call: &Call<'_>) -> Outputs {
        let x = self.tensor(call, 0)?;
        let dims = self.extents(x);
        let y = match call.op() {
            "BatchNormalization" => {
                if call.flag("training_mode", false)? {
                    return unsupported("batch normalisation that trains");
                }
                let features = self.vector(call, 1)?;
                self.affine(call, x, Op::BatchNorm(BatchNorm { features }), [Some(1), Some(2)])?
            }
            "LayerNormalization" | "RMSNormalization" => {
                let axis = call.axis("axis", -1, dims.len())?;
                self.layer_norm(call, x, dims.len() - axis, call.op() == "LayerNormalization")?
            }
            "InstanceNormalization" => {
                let groups = self.vector(call, 1)?;
                if self.is_identity(call, dims.len()) {
                    self.emit(call, Op::GroupNorm(GroupNorm { groups, affine: Affine::NONE }), &[x])?
                } else {
                    let op = Op::GroupNorm(GroupNorm { groups, affine: Affine::BOTH });
                    self.affine(call, x, op, [Some(1), Some(2)])?
                }
            }
            "GroupNormalization" => {
                let groups = u32::try_from(call.int("num_groups", 0)?).unwrap_or(0);
                let channels = dims.get(1).copied().unwrap_or(0);
                // Up to opset 20 factors belong to groups, from 21 on to channels, as in core: others are not counted as none.
                if self.vector(call, 1)? != channels {
                    return unsupported("factors and addends of groups rather than of channels");
                }
                self.affine(call, x, Op::GroupNorm(GroupNorm { groups, affine: Affine::BOTH }), [Some(1), Some(2)])?
            }
            "LRN" => {
                let size = call.int("size", 0)?;
                let Ok(size) = u16::try_from(size) else { return wrong(format!("size {size}")) };
                self.emit(call, Op::LocalResponseNorm(LocalResponseNorm { size }), &[x])?
            }
            "MeanVarianceNormalization" => {
                let axes = call.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
                let op = if axes == [2, 3] {
                    Op::GroupNorm(GroupNorm { groups: dims.get(1).copied().unwrap_or(0), affine: Affine::NONE })
                } else {
                    // Over the batch too: the same arithmetic for each element.
                    Op::GroupNorm(GroupNorm { groups: 1, affine: Affine::NONE })
                };
                self.emit(call, op, &[x])?
            }
            _ => {
                let axis = call.axis("axis", -1, dims.len())?;
                let kind = if call.int("p", 2)? == 1 { ReduceKind::L1 } else { ReduceKind::L2 };
                let axes = 1_u8.checked_shl(u32::try_from(axis).unwrap_or(u32::MAX)).unwrap_or(0);
                let length = self.emit_part(call, "norm", Op::Reduce(Reduce { kind, axes, keep_dims: true }), &[x])?;
                self.emit(call, Op::Binary(Binary { kind: BinaryKind::Div, in_place: false }), &[x, length])?
            }
        };
        Ok(vec![Value::Tensor(y)])
    }

    /// Normalisation over the last `axes`, by mean and variance or by the root mean square; its factors are input 1.
    pub(super) fn layer_norm(
        &mut self,
        call: &Call<'_>,
        x: TensorId,
        axes: usize,
        centred: bool,
    ) -> Result<TensorId, Stop> {
        let axes = u8::try_from(axes).map_err(|_| Stop::Wrong(format!("{axes} axes; 8 are the most")))?;
        let weight = call.input(1).is_some();
        let bias = centred && call.input(2).is_some();
        let op = if centred {
            Op::LayerNorm(LayerNorm { axes, affine: Affine { weight, bias } })
        } else if axes == 1 {
            Op::RmsNorm(RmsNorm { weight })
        } else {
            return unsupported(format!("a root mean square over {axes} axes; 1 is described"));
        };
        self.affine(call, x, op, [weight.then_some(1), bias.then_some(2)])
    }

    /// Whether factors and addends are only there because the operator wants some: constants that were not learned, or ones and
    /// zeros on an operand of rank 3, as PyTorch writes a normalisation of groups (its own vectors follow as a product and a sum).
    fn is_identity(&self, call: &Call<'_>, rank: usize) -> bool {
        let (Some(factors), Some(addends)) = (self.stored(call, 1), self.stored(call, 2)) else { return false };
        let all = |stored: &Stored, wanted: f64| {
            let close = |value: &f64| (value - wanted).abs() < f64::EPSILON;
            stored.known().is_some_and(|values| values.floats().iter().all(close))
        };
        !factors.learned && !addends.learned || rank == 3 && all(&factors, 1.0) && all(&addends, 0.0)
    }

    /// Extent of a vector.
    fn vector(&self, call: &Call<'_>, position: usize) -> Result<u32, Stop> {
        let dims = self.dims(call, position)?;
        match dims.as_slice() {
            [extent] => Ok(*extent),
            _ => wrong(format!("its input {position} has shape {dims:?}; a vector is wanted")),
        }
    }

    /// Adds a normalisation whose learned vectors stand at these positions. They are shared where all are; computed ones are counted
    /// with what computes them.
    pub(super) fn affine(
        &mut self,
        call: &Call<'_>,
        x: TensorId,
        op: Op,
        vectors: [Option<usize>; 2],
    ) -> Result<TensorId, Stop> {
        let mut names = Vec::new();
        for position in vectors.into_iter().flatten() {
            if call.input(position).is_some() {
                match self.operand(call, position)? {
                    Value::Stored(stored) => names.push(stored.name.clone()),
                    _ => return self.emit_weighted(call, op, &[x], None),
                }
            }
        }
        if names.is_empty() {
            return self.emit(call, op, &[x]);
        }
        let key = names.join("\u{0}");
        for name in &names {
            if *name != key {
                self.builder.hold(name);
            }
        }
        self.emit_weighted(call, op, &[x], Some(&key))
    }
}
