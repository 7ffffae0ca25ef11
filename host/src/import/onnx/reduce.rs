//! Reductions, softmax, sorting, running sums.

use derate_core::op::{ActivationKind, Op, Reduce, ReduceKind, Scan, Softmax, TopK};
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, axis, axis_u8, wrong};
use super::elementwise::function;
use super::graph::{Importer, Outputs};
use super::value::{Value, elements};

impl Importer {
    /// A reduction or its like.
    pub(super) fn reduce(&mut self, call: &Call<'_>) -> Outputs {
        match call.op() {
            "Softmax" | "LogSoftmax" | "Hardmax" => {
                let x = self.tensor(call, 0)?;
                Ok(vec![Value::Tensor(self.softmax(call, x, call.op() == "LogSoftmax")?)])
            }
            "TopK" => {
                let dims = self.dims(call, 0)?;
                let along = call.axis("axis", -1, dims.len())?;
                let k = self.numbers(call, 1)?.and_then(|k| k.first().copied());
                let extent = dims.get(along).copied().unwrap_or(0);
                let k = match k.map(u32::try_from) {
                    Some(Ok(k)) if k > 0 && k <= extent => k,
                    _ => return wrong(format!("k of {k:?} on an axis of extent {extent}")),
                };
                let x = self.tensor(call, 0)?;
                let y = self.emit(call, Op::TopK(TopK { axis: axis_u8(along)?, k }), &[x])?;
                Ok(vec![Value::Tensor(y), Value::Tensor(y.offset(1))])
            }
            "CumSum" => {
                let dims = self.dims(call, 0)?;
                let along = self.numbers(call, 1)?.and_then(|axes| axes.first().copied()).unwrap_or(0);
                let along = axis_u8(axis(along, dims.len())?)?;
                let x = self.tensor(call, 0)?;
                Ok(vec![Value::Tensor(self.emit(call, Op::Scan(Scan { axis: along }), &[x])?)])
            }
            "ArgMax" | "ArgMin" => {
                let x = self.tensor(call, 0)?;
                let along = call.axis("axis", 0, self.extents(x).len())?;
                let keep_dims = call.flag("keepdims", true)?;
                let op = Reduce { kind: ReduceKind::Index, axes: mask(&[along]), keep_dims };
                Ok(vec![Value::Tensor(self.emit(call, Op::Reduce(op), &[x])?)])
            }
            _ => self.reduced(call),
        }
    }

    fn reduced(&mut self, call: &Call<'_>) -> Outputs {
        let mut x = self.tensor(call, 0)?;
        let rank = self.extents(x).len();
        let axes = self.numbers_or(call, "axes", 1)?.unwrap_or_default();
        let axes: Vec<usize> = if axes.is_empty() {
            if call.flag("noop_with_empty_axes", false)? {
                return self.alias(Value::Tensor(x));
            }
            (0..rank).collect()
        } else {
            axes.into_iter().map(|at| axis(at, rank)).collect::<Result<_, _>>()?
        };
        let keep_dims = call.flag("keepdims", true)?;
        let kind = match call.op() {
            "ReduceSum" | "ReduceLogSum" | "ReduceSumSquare" => ReduceKind::Sum,
            "ReduceMean" => ReduceKind::Mean,
            "ReduceMax" => ReduceKind::Max,
            "ReduceMin" => ReduceKind::Min,
            "ReduceProd" => ReduceKind::Product,
            "ReduceL1" => ReduceKind::L1,
            "ReduceL2" => ReduceKind::L2,
            _ => ReduceKind::LogSumExp,
        };
        if call.op() == "ReduceSumSquare" {
            x = self.emit_part(call, "square", function(ActivationKind::Square), &[x])?;
        }
        let mut y = self.emit(call, Op::Reduce(Reduce { kind, axes: mask(&axes), keep_dims }), &[x])?;
        if call.op() == "ReduceLogSum" {
            y = self.emit_part(call, "log", function(ActivationKind::Log), &[y])?;
        }
        Ok(vec![Value::Tensor(y)])
    }

    /// Softmax over an axis; before opset 13 over all axes from it on, as one.
    pub(super) fn softmax(&mut self, call: &Call<'_>, x: TensorId, log: bool) -> Result<TensorId, Stop> {
        let dims = self.extents(x);
        let old = call.opset < 13;
        let along = call.axis("axis", if old { 1 } else { -1 }, dims.len())?;
        let inner = dims.get(along + 1..).unwrap_or_default();
        if !old || elements(inner) == 1 {
            return self.emit(call, Op::Softmax(Softmax { axis: axis_u8(along)?, log }), &[x]);
        }
        let flat = |dims: &[u32]| {
            u32::try_from(elements(dims)).map_err(|_| Stop::Wrong(format!("shape {dims:?} has too many elements")))
        };
        let (outer, rest) = dims.split_at_checked(along).unwrap_or((&dims, &[]));
        let rows = self.under(call, x, &[flat(outer)?, flat(rest)?])?;
        let y = self.emit(call, Op::Softmax(Softmax { axis: 1, log }), &[rows])?;
        self.under(call, y, &dims)
    }
}

/// A bit for each axis.
pub(super) fn mask(axes: &[usize]) -> u8 {
    axes.iter()
        .filter_map(|&at| u32::try_from(at).ok().and_then(|at| 1_u8.checked_shl(at)))
        .fold(0, |all, bit| all | bit)
}
