//! Reductions, running sums, sorting.

use derate_core::op::{Op, Reduce, ReduceKind, Scan, TopK};
use derate_core::shape::DataType;

use super::argument::Argument;
use super::emit::{axis, core_axis};
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

/// Axes as bits; none given are all.
fn bits(axes: Option<Vec<i64>>, rank: usize) -> Result<u8, Refusal> {
    let axes = axes.filter(|axes| !axes.is_empty());
    let axes = axes.map_or_else(
        || Ok((0..rank).collect::<Vec<_>>()),
        |axes| axes.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>(),
    )?;
    let bit = |at: usize| u32::try_from(at).ok().and_then(|at| 1_u8.checked_shl(at));
    let bits = axes.into_iter().filter(|_| rank > 0).try_fold(0_u8, |bits, at| bit(at).map(|bit| bits | bit));
    bits.ok_or_else(|| Refusal::new("more than eight axes"))
}

fn reduced(x: &Tensor, axes: u8, keep_dims: bool) -> Vec<u32> {
    let gone = |at: usize| u32::try_from(at).ok().and_then(|at| axes.checked_shr(at)).is_some_and(|bits| bits & 1 == 1);
    let extents = x.extents().iter().enumerate();
    extents.filter(|(at, _)| keep_dims || !gone(*at)).map(|(at, &extent)| if gone(at) { 1 } else { extent }).collect()
}

impl Lowering {
    fn reduced(
        &mut self,
        call: &Call<'_>,
        x: &Tensor,
        kind: ReduceKind,
        axes: u8,
        keep_dims: bool,
    ) -> Result<Tensor, Refusal> {
        if x.is_known() {
            self.builder.bookkeeping();
            let data_type = if kind == ReduceKind::Index { DataType::Int64 } else { x.data_type() };
            return Ok(Tensor::known(reduced(x, axes, keep_dims), data_type, None));
        }
        self.emit(call.node, Op::Reduce(Reduce { kind, axes, keep_dims }), &[x])
    }

    /// `mean`, `sum`, `amax`, `argmax`, …: self, axes or all, keepdim.
    pub(super) fn reduce(&mut self, call: &Call<'_>, kind: ReduceKind) -> Lowered {
        let x = call.args.first()?;
        // `sum(self, dtype)` has a data type by name only.
        let axes = bits(call.args.optional_ints(1, "dim")?, x.rank())?;
        let keep = call.args.bool_or(2, "keepdim", false)?;
        self.reduced(call, x, kind, axes, keep).map(Argument::Tensor)
    }

    /// `max`, `min`: of all, or along an axis with indices, which cost a search of their own only where they are read.
    pub(super) fn extreme(&mut self, call: &Call<'_>, kind: ReduceKind) -> Lowered {
        let x = call.args.first()?;
        if call.args.get(1, "dim").is_none() {
            return self.reduce(call, kind);
        }
        let axes = bits(Some(vec![call.args.int(1, "dim")?]), x.rank())?;
        let keep_dims = call.args.bool_or(2, "keepdim", false)?;
        let values = self.reduced(call, x, kind, axes, keep_dims)?;
        let op = Op::Reduce(Reduce { kind: ReduceKind::Index, axes, keep_dims });
        let indices = self.lazy(reduced(x, axes, keep_dims), Origin::Deferred(Box::new(op), x.clone()))?;
        Ok(Argument::tensors([values, indices]))
    }

    /// `var`, `std`, `var_mean`, `std_mean`: self, axes, correction, keepdim.
    pub(super) fn variance(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let args = call.args;
        // `var(self, unbiased)` reduces all; `var(self, axes, unbiased, keepdim)` some.
        let all = matches!(args.get(1, "dim"), Some(Argument::Bool(_)));
        let axes = bits(if all { None } else { args.optional_ints(1, "dim")? }, x.rank())?;
        let keep = args.bool_or(3, "keepdim", false)?;
        let variance = self.reduced(call, x, ReduceKind::Variance, axes, keep)?;
        if !call.op.ends_with("_mean") {
            return Ok(Argument::Tensor(variance));
        }
        let op = Op::Reduce(Reduce { kind: ReduceKind::Mean, axes, keep_dims: keep });
        let mean = self.lazy(reduced(x, axes, keep), Origin::Deferred(Box::new(op), x.clone()))?;
        Ok(Argument::tensors([variance, mean]))
    }

    /// `norm`, `linalg_vector_norm`: self, order, axes, keepdim.
    pub(super) fn norm(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let args = call.args;
        let (order, at) = if call.op == "frobenius_norm" {
            (2.0, 1)
        } else {
            let name = if call.op == "norm" { "p" } else { "ord" };
            (args.float_or(1, name, 2.0)?, 2)
        };
        let kind = match order {
            1.0 => ReduceKind::L1,
            2.0 => ReduceKind::L2,
            f64::INFINITY => ReduceKind::Max,
            _ => return Err(Refusal::new(format!("norm of order {order}; 1, 2 and infinity are counted"))),
        };
        let axes = bits(args.optional_ints(at, "dim")?, x.rank())?;
        let keep = args.bool_or(at.saturating_add(1), "keepdim", false)?;
        self.reduced(call, x, kind, axes, keep).map(Argument::Tensor)
    }

    /// `cumsum` and its like: self, axis.
    pub(super) fn scan(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        if x.is_known() {
            return Ok(Argument::Tensor(self.unknown_like(x, x.data_type())));
        }
        let axis = core_axis(call.args.int(1, "dim")?, x.rank())?;
        let result = self.give(call, Op::Scan(Scan { axis }), &[x])?;
        Ok(match call.op {
            "cummax" | "cummin" => super::names::with_unread(result, "indices of a scan"),
            _ => result,
        })
    }

    /// `topk`: self, k, axis; `sort`, `argsort`: self, axis.
    pub(super) fn top(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let at = match call.op {
            "topk" => call.args.int_or(2, "dim", -1)?,
            // `sort(self, stable, dim)` has a truth value before the axis.
            _ if matches!(call.args.get(1, "stable"), Some(Argument::Bool(_))) => call.args.int_or(2, "dim", -1)?,
            _ => call.args.int_or(1, "dim", -1)?,
        };
        let axis = axis(at, x.rank())?;
        let k = match call.op {
            "topk" => super::emit::extent(call.args.int(1, "k")?)?,
            _ => x.extents().get(axis).copied().unwrap_or(1),
        };
        let op = Op::TopK(TopK { axis: core_axis(at, x.rank())?, k });
        let operand = self.id(call.node, x)?;
        let values = self.builder.op(call.node, op, &[operand])?;
        let (values, indices) = (self.tensor(values), self.tensor(values.offset(1)));
        Ok(if call.op == "argsort" { Argument::Tensor(indices) } else { Argument::tensors([values, indices]) })
    }
}
