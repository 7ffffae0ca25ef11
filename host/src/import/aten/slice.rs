//! Parts of tensors, and tensors put together.

use derate_core::op::{Concat, MoveKind, Op};
use derate_core::shape::DataType;

use super::argument::Argument;
use super::emit::{axis, core_axis, extent};
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `length` places of an axis from `start`, every `step`th.
    pub(super) fn sliced(
        &mut self,
        x: &Tensor,
        at: usize,
        start: u32,
        length: u32,
        step: u32,
    ) -> Result<Tensor, Refusal> {
        let mut extents = x.extents().to_vec();
        let place =
            extents.get_mut(at).ok_or_else(|| Refusal::new(format!("a part of axis {at} of {:?}", x.extents())))?;
        if *place == length {
            return Ok(x.clone());
        }
        *place = length;
        match x.origin() {
            Origin::Stored { index, part } => {
                let part = format!("{part}[{at}: {start}, {length}, {step}]");
                Ok(Tensor::new(extents, x.data_type(), Origin::Stored { index: *index, part }))
            }
            Origin::Known(value) => Ok(Tensor::known(extents, x.data_type(), *value)),
            Origin::Slice(base) if x.made().is_none() => self.lazy(extents, Origin::Slice(base.clone())),
            _ => self.lazy(extents, Origin::Slice(x.clone())),
        }
    }

    /// `slice`: self, axis, start, end, step; `narrow`: self, axis, start, length; `select`: self, axis, index.
    pub(super) fn slice(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.first()?.clone();
        let at = axis(args.int_or(1, "dim", 0)?, x.rank())?;
        let whole = x.extents().get(at).copied().ok_or_else(|| Refusal::new("a part of a scalar"))?;
        let size = i64::from(whole);
        let within = |value: i64| {
            let value = if value < 0 { value.saturating_add(size) } else { value };
            u32::try_from(value.clamp(0, size)).unwrap_or(0)
        };
        self.builder.bookkeeping();
        match call.op {
            "select" => {
                let index = args.get(2, "index").and_then(Argument::int).unwrap_or(0);
                let part = self.sliced(&x, at, within(index), 1, 1)?;
                let mut extents = part.extents().to_vec();
                extents.remove(at);
                self.view(&part, extents).map(Argument::Tensor)
            }
            "narrow" => {
                let length = extent(args.int(3, "length")?)?.min(whole);
                self.sliced(&x, at, within(args.int(2, "start")?), length, 1).map(Argument::Tensor)
            }
            _ => {
                let start = within(args.int_or(2, "start", 0)?);
                let end = within(args.int_or(3, "end", i64::MAX)?);
                let step = extent(args.int_or(4, "step", 1)?)?.max(1);
                let length = end.saturating_sub(start).div_ceil(step);
                self.sliced(&x, at, start, length, step).map(Argument::Tensor)
            }
        }
    }

    /// `chunk`: self, how many, axis; `split`: self, size or sizes, axis; `unbind`: self, axis.
    pub(super) fn split(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.first()?.clone();
        let unbind = call.op == "unbind";
        let at = axis(args.int_or(if unbind { 1 } else { 2 }, "dim", 0)?, x.rank())?;
        let whole = x.extents().get(at).copied().ok_or_else(|| Refusal::new("parts of a scalar"))?;
        let named = ["split_size", "split_sizes", "split_size_or_sections", "chunks", "sections", "indices"];
        let given = || named.iter().find_map(|name| args.named(name)).or(args.positional.get(1));
        let equal = |size: u32| {
            let size = size.max(1);
            (0..whole.div_ceil(size)).map(|part| size.min(whole.saturating_sub(part.saturating_mul(size)))).collect()
        };
        let sizes: Vec<u32> = match (call.op, given()) {
            ("unbind", _) => vec![1; usize::try_from(whole).unwrap_or(0).min(MAX_PARTS.saturating_add(1))],
            ("chunk" | "unsafe_chunk", Some(many)) => {
                let many = extent(many.int().ok_or_else(|| Refusal::new("an unknown number of parts"))?)?.max(1);
                equal(whole.div_ceil(many))
            }
            ("tensor_split", Some(Argument::Int(many))) => {
                let many = extent(*many)?.max(1);
                let (each, rest) = (whole / many, whole % many);
                (0..many).map(|part| each.saturating_add(u32::from(part < rest))).collect()
            }
            ("tensor_split", Some(Argument::List(ends))) => {
                let mut start = 0;
                let ends = ends.iter().filter_map(Argument::int).map(|end| extent(end).unwrap_or(0).min(whole));
                let mut sizes = Vec::new();
                for end in ends.chain([whole]) {
                    sizes.push(end.saturating_sub(start));
                    start = end;
                }
                sizes
            }
            (_, Some(Argument::List(sizes))) => {
                let size =
                    |size: &Argument| extent(size.int().ok_or_else(|| Refusal::new("an unknown size of a part"))?);
                sizes.iter().map(size).collect::<Result<_, _>>()?
            }
            (_, Some(size)) => equal(extent(size.int().ok_or_else(|| Refusal::new("an unknown size of a part"))?)?),
            (_, None) => return Err(Refusal::new("no size of a part")),
        };
        if sizes.len() > MAX_PARTS {
            return Err(Refusal::new(format!("{} parts; at most {MAX_PARTS} are followed", sizes.len())));
        }
        self.builder.bookkeeping();
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0_u32;
        for size in sizes {
            let part = self.sliced(&x, at, start, size, 1)?;
            parts.push(if unbind { self.squeezed(&part, i64::try_from(at).unwrap_or(0))? } else { part });
            start = start.saturating_add(size);
        }
        Ok(Argument::tensors(parts))
    }

    /// `pad`, `constant_pad_nd`, `reflection_pad*d`, …: self, extents before and after from the last axis on. Negative ones cut off.
    pub(super) fn pad(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?.clone();
        let name = if call.args.named("padding").is_some() { "padding" } else { "pad" };
        let sides = call.args.ints(1, name)?;
        let mut cut = x.clone();
        let mut sizes = x.extents().to_vec();
        for (back, sides) in sides.chunks(2).enumerate() {
            let at =
                x.rank().checked_sub(back.saturating_add(1)).ok_or_else(|| Refusal::new("more padding than axes"))?;
            let [less, more] = [i64::min, i64::max]
                .map(|side| sides.iter().fold(0, |sum: i64, &pad| sum.saturating_add(side(pad, 0))));
            let place = sizes.get_mut(at).ok_or_else(|| Refusal::new("more padding than axes"))?;
            let left = extent(i64::from(*place).saturating_add(less))?;
            cut = self.sliced(&cut, at, 0, left, 1)?;
            *place = extent(i64::from(left).saturating_add(more))?;
        }
        if cut.extents() == sizes {
            return Ok(Argument::Tensor(cut));
        }
        self.moved(call, &cut, MoveKind::Pad, sizes)
    }

    /// `cat`: tensors, axis.
    pub(super) fn concat(&mut self, call: &Call<'_>) -> Lowered {
        let tensors = call.args.tensor_list(0, "tensors")?;
        let at = call.args.int_or(1, "dim", 0)?;
        self.concatenated(call, tensors, at)
    }

    fn concatenated(&mut self, call: &Call<'_>, mut tensors: Vec<Tensor>, at: i64) -> Lowered {
        // An empty vector joins anything, and adds nothing.
        tensors.retain(|tensor| tensor.elements() != 0);
        let first = tensors.first().cloned().ok_or_else(|| Refusal::new("nothing is put together"))?;
        let place = axis(at, first.rank())?;
        if tensors.len() == 1 {
            return Ok(Argument::Tensor(first));
        }
        if tensors.iter().all(Tensor::is_known) {
            self.builder.bookkeeping();
            let total = tensors.iter().try_fold(0_u32, |sum, tensor| sum.checked_add(*tensor.extents().get(place)?));
            let mut extents = first.extents().to_vec();
            if let (Some(extent), Some(total)) = (extents.get_mut(place), total) {
                *extent = total;
            }
            return Ok(Argument::Tensor(Tensor::known(extents, first.data_type(), None)));
        }
        let data_type =
            tensors.iter().map(Tensor::data_type).max_by_key(|data_type| (real(*data_type), data_type.size()));
        let data_type = data_type.unwrap_or(DataType::Fp32);
        let mut operands = Vec::with_capacity(tensors.len());
        for tensor in &tensors {
            operands.push(self.cast(call.node, tensor, data_type)?);
        }
        let operands: Vec<&Tensor> = operands.iter().collect();
        self.give(call, Op::Concat(Concat { axis: core_axis(at, first.rank())? }), &operands)
    }

    /// `stack`: tensors, axis.
    pub(super) fn stack(&mut self, call: &Call<'_>) -> Lowered {
        let tensors = call.args.tensor_list(0, "tensors")?;
        let at = call.args.int_or(1, "dim", 0)?;
        let tensors = tensors.iter().map(|tensor| self.unsqueezed(tensor, at)).collect::<Result<Vec<_>, _>>()?;
        self.concatenated(call, tensors, at)
    }

    /// `unfold`: self, axis, size, step; `im2col`: self, kernel, dilation, padding, stride.
    pub(super) fn unfold(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.first()?;
        let count = |size: i64, reach: i64, step: i64| -> Result<u32, Refusal> {
            let free = size.saturating_sub(reach);
            if free < 0 || step < 1 {
                return Err(Refusal::new(format!("windows of {reach} every {step} of {size}")));
            }
            extent(free.checked_div(step).unwrap_or(0).saturating_add(1))
        };
        if call.op == "unfold" {
            let at = axis(args.int(1, "dimension")?, x.rank())?;
            let (size, step) = (args.int(2, "size")?, args.int(3, "step")?);
            let mut sizes = x.extents().to_vec();
            let place = sizes.get_mut(at).ok_or_else(|| Refusal::new("windows of a scalar"))?;
            *place = count(i64::from(*place), size, step)?;
            sizes.push(extent(size)?);
            return self.moved(call, x, MoveKind::Unfold, sizes);
        }
        let [outer @ .., c, h, w] = x.extents() else { return Err(Refusal::new("windows of less than an image")) };
        let pair = |at, name, default| -> Result<[i64; 2], Refusal> {
            let values = args.optional_ints(at, name)?.unwrap_or_else(|| vec![default]);
            Ok([0, 1].map(|at| super::conv::of_axis(&values, at, default)))
        };
        let kernel = pair(1, "kernel_size", 1)?;
        let (dilation, padding, stride) = (pair(2, "dilation", 1)?, pair(3, "padding", 0)?, pair(4, "stride", 1)?);
        let mut positions = 1_u32;
        for (at, &size) in [h, w].into_iter().enumerate() {
            let of = |values: &[i64; 2]| super::conv::of_axis(values, at, 1);
            let reach = of(&dilation).saturating_mul(of(&kernel).saturating_sub(1)).saturating_add(1);
            let size = i64::from(size).saturating_add(of(&padding).saturating_mul(2));
            positions = positions.saturating_mul(count(size, reach, of(&stride))?);
        }
        let taps = kernel.iter().fold(i64::from(*c), |product, &taps| product.saturating_mul(taps));
        self.moved(call, x, MoveKind::Unfold, [outer, &[extent(taps)?, positions]].concat())
    }
}

/// Most parts of one tensor that are followed.
const MAX_PARTS: usize = 10_000;

fn real(data_type: DataType) -> bool {
    matches!(data_type, DataType::Fp64 | DataType::Fp32 | DataType::Bf16 | DataType::Fp16)
}
