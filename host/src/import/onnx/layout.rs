//! Ops that arrange elements: reshapes, slices, padding, concatenation, resizing.

use std::rc::Rc;

use derate_core::op::{Concat, Move, MoveKind, Op, Resize, ResizeKind, Transpose, View};
use derate_core::tensor::TensorId;

use super::call::{Call, Stop, axis, axis_u8, unsupported, wrong};
use super::fold::flatten_axis;
use super::graph::{Importer, Outputs, shape};
use super::value::{Stored, Value, elements};

/// Indices along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: i64,
    step: i64,
    pub(super) count: u32,
}

impl Range {
    pub(super) fn indices(&self) -> Vec<usize> {
        let at = |step: u32| self.step.saturating_mul(i64::from(step)).saturating_add(self.start);
        (0..self.count).filter_map(|step| usize::try_from(at(step)).ok()).collect()
    }
}

impl Importer {
    /// An op that only moves elements, or gives them another shape.
    pub(super) fn layout(&mut self, call: &Call<'_>) -> Outputs {
        match call.op() {
            "Reshape" => self.viewed(call, reshaped),
            "Squeeze" => self.viewed(call, squeezed),
            "Unsqueeze" => self.viewed(call, unsqueezed),
            "Flatten" => self.viewed(call, |_, call, dims| {
                let at = usize::try_from(flatten_axis(call, dims.len())?).unwrap_or(0);
                let (outer, inner) = dims.split_at_checked(at).unwrap_or((dims, &[]));
                Ok(vec![narrow(elements(outer))?, narrow(elements(inner))?])
            }),
            "Transpose" => {
                let x = self.tensor(call, 0)?;
                let order = permutation(call, self.extents(x).len())?;
                self.transposed(call, x, &order)
            }
            "Concat" => self.concat(call),
            "Split" => self.split(call),
            "Slice" => {
                let dims = self.dims(call, 0)?;
                let ranges = slice_ranges(self, call, &dims)?;
                let taken: Vec<u32> = ranges.iter().map(|range| range.count).collect();
                let x = self.tensor(call, 0)?;
                if taken == dims && ranges.iter().all(|range| range.step == 1) {
                    return self.alias(Value::Tensor(x));
                }
                // A reversed axis is a copy in another order; a slice else.
                let kind = if taken == dims { MoveKind::Copy } else { MoveKind::Slice };
                self.moved(call, kind, &taken)
            }
            "Pad" => self.pad(call),
            "Expand" | "Tile" => self.repeated(call),
            "Resize" | "Upsample" => self.resize(call),
            "DepthToSpace" | "SpaceToDepth" => {
                let dims = self.dims(call, 0)?;
                let &[n, c, h, w] = dims.as_slice() else { return wrong(format!("shape {dims:?} is no image")) };
                let block = u32::try_from(call.int("blocksize", 0)?).unwrap_or(0);
                let square = block.checked_mul(block).filter(|&square| square > 0);
                let Some(square) = square else { return wrong("attribute blocksize must be positive") };
                let fits = if call.op() == "DepthToSpace" {
                    c.is_multiple_of(square)
                } else {
                    h.is_multiple_of(block) && w.is_multiple_of(block)
                };
                if !fits {
                    return wrong(format!("shape {dims:?} does not divide into blocks of {block}"));
                }
                let grown = |extent: u32, by: u32| narrow(u64::from(extent) * u64::from(by));
                let taken = if call.op() == "DepthToSpace" {
                    [n, c / square, grown(h, block)?, grown(w, block)?]
                } else {
                    [n, grown(c, square)?, h / block, w / block]
                };
                self.moved(call, MoveKind::Copy, &taken)
            }
            "Trilu" | "ReverseSequence" => {
                let dims = self.dims(call, 0)?;
                self.moved(call, MoveKind::Copy, &dims)
            }
            _ => unsupported("no op describes it"),
        }
    }

    /// The operand under another shape.
    fn viewed(
        &mut self,
        call: &Call<'_>,
        rule: impl FnOnce(&Self, &Call<'_>, &[u32]) -> Result<Vec<u32>, Stop>,
    ) -> Outputs {
        let dims = self.dims(call, 0)?;
        let wanted = rule(self, call, &dims)?;
        let x = self.tensor(call, 0)?;
        if wanted == dims {
            return self.alias(Value::Tensor(x));
        }
        let view = Op::View(View { shape: shape(&wanted)? });
        Ok(vec![Value::Tensor(self.emit(call, view, &[x])?)])
    }

    /// The operand with its axes in another order; only a view where no axis of several elements passes another.
    fn transposed(&mut self, call: &Call<'_>, x: TensorId, order: &[usize]) -> Outputs {
        let dims = self.extents(x);
        let long: Vec<usize> =
            order.iter().copied().filter(|&at| dims.get(at).is_some_and(|&extent| extent > 1)).collect();
        let op = if long.is_sorted() {
            let taken: Vec<u32> = order.iter().filter_map(|&at| dims.get(at).copied()).collect();
            Op::View(View { shape: shape(&taken)? })
        } else {
            let order: Vec<u8> = order.iter().map(|&at| axis_u8(at)).collect::<Result<_, _>>()?;
            Op::Transpose(Transpose::new(&order)?)
        };
        Ok(vec![Value::Tensor(self.emit(call, op, &[x])?)])
    }

    fn moved(&mut self, call: &Call<'_>, kind: MoveKind, dims: &[u32]) -> Outputs {
        let x = self.tensor(call, 0)?;
        if dims.contains(&0) {
            // A roll by nothing joins an empty part and the whole.
            let name = call.output(0).unwrap_or_default();
            let empty = Stored::empty(name, dims.to_vec(), self.builder.data_type(x));
            return self.alias(Value::Stored(Rc::new(empty)));
        }
        Ok(vec![Value::Tensor(self.emit(call, Op::Move(Move { kind, shape: shape(dims)? }), &[x])?)])
    }

    fn concat(&mut self, call: &Call<'_>) -> Outputs {
        let mut operands = Vec::new();
        let mut rank = 0;
        for position in 0..call.node.input.len() {
            let dims = self.dims(call, position)?;
            rank = dims.len();
            // An empty part adds nothing: a cache before the first token.
            if !dims.contains(&0) {
                operands.push(self.tensor(call, position)?);
            }
        }
        let along = axis_u8(call.axis("axis", 0, rank)?)?;
        match operands.as_slice() {
            [] => unsupported("none of its operands has elements"),
            [one] => self.alias(Value::Tensor(*one)),
            many => Ok(vec![Value::Tensor(self.emit(call, Op::Concat(Concat { axis: along }), many)?)]),
        }
    }

    fn split(&mut self, call: &Call<'_>) -> Outputs {
        let dims = self.dims(call, 0)?;
        let along = call.axis("axis", 0, dims.len())?;
        let sizes = split_sizes(self, call, dims.get(along).copied().unwrap_or(0))?;
        let x = self.tensor(call, 0)?;
        let mut outputs = Vec::new();
        for (position, size) in sizes.into_iter().enumerate() {
            let mut taken = dims.clone();
            if let Some(extent) = taken.get_mut(along) {
                *extent = size;
            }
            // Of a part that nothing reads no byte moves.
            outputs.push(match call.output(position) {
                None => Value::Unknown("it is left out".to_owned()),
                Some(_) if taken == dims => Value::Tensor(x),
                Some(name) if size == 0 => {
                    Value::Stored(Rc::new(Stored::empty(name, taken, self.builder.data_type(x))))
                }
                Some(_) => {
                    let op = Op::Move(Move { kind: MoveKind::Slice, shape: shape(&taken)? });
                    Value::Tensor(self.emit_part(call, &position.to_string(), op, &[x])?)
                }
            });
        }
        Ok(outputs)
    }

    fn pad(&mut self, call: &Call<'_>) -> Outputs {
        let dims = self.dims(call, 0)?;
        let Some(pads) = self.numbers_or(call, "pads", 1)? else { return wrong("it has no pads") };
        let axes = match self.numbers(call, 3)? {
            Some(axes) => axes.into_iter().map(|at| axis(at, dims.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..dims.len()).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return wrong(format!("{} pads for {} axes; two each are wanted", pads.len(), axes.len()));
        }
        let (before, after) = pads.split_at(axes.len());
        let (mut taken, mut cut) = (dims.clone(), dims.clone());
        for ((&at, &before), &after) in axes.iter().zip(before).zip(after) {
            let extent = i64::from(dims.get(at).copied().unwrap_or(0));
            let fit = |extent: Option<i64>| {
                extent.and_then(|extent| u32::try_from(extent).ok()).ok_or_else(|| {
                    Stop::Wrong(format!("pads {pads:?} of shape {dims:?} give no extent in 0 ..= 4294967295"))
                })
            };
            if let (Some(taken), Some(cut)) = (taken.get_mut(at), cut.get_mut(at)) {
                *taken = fit(extent.checked_add(before).and_then(|sum| sum.checked_add(after)))?;
                *cut = fit(extent.checked_add(before.min(0)).and_then(|sum| sum.checked_add(after.min(0))))?;
            }
        }
        if taken == dims && cut == dims {
            let x = self.tensor(call, 0)?;
            return self.alias(Value::Tensor(x));
        }
        // Negative pads cut first.
        if cut == dims {
            self.moved(call, MoveKind::Pad, &taken)
        } else if cut == taken {
            self.moved(call, MoveKind::Slice, &taken)
        } else {
            let x = self.tensor(call, 0)?;
            let slice = Op::Move(Move { kind: MoveKind::Slice, shape: shape(&cut)? });
            let x = self.emit_part(call, "cut", slice, &[x])?;
            let pad = Op::Move(Move { kind: MoveKind::Pad, shape: shape(&taken)? });
            Ok(vec![Value::Tensor(self.emit(call, pad, &[x])?)])
        }
    }

    fn repeated(&mut self, call: &Call<'_>) -> Outputs {
        let dims = self.dims(call, 0)?;
        let Some(list) = self.numbers(call, 1)? else { return wrong("it has no shape") };
        let rank = list.len().max(dims.len());
        let mut taken = Vec::new();
        for back in (1..=rank).rev() {
            let extent = dims.len().checked_sub(back).and_then(|at| dims.get(at)).copied().unwrap_or(1);
            let wanted = list.len().checked_sub(back).and_then(|at| list.get(at)).copied().unwrap_or(1);
            let wanted = u32::try_from(wanted).ok();
            let found = match (call.op(), wanted) {
                ("Tile", Some(times)) => extent.checked_mul(times),
                (_, Some(wanted)) if extent == 1 => Some(wanted),
                (_, Some(wanted)) if wanted == 1 || wanted == extent => Some(extent),
                _ => None,
            };
            match found {
                Some(extent) => taken.push(extent),
                None => return wrong(format!("shape {dims:?} does not go with {list:?}")),
            }
        }
        let kind = if call.op() == "Tile" && taken.len() == dims.len() { MoveKind::Tile } else { MoveKind::Expand };
        if taken == dims {
            let x = self.tensor(call, 0)?;
            return self.alias(Value::Tensor(x));
        }
        if elements(&taken) == elements(&dims) {
            return self.viewed(call, |_, _, _| Ok(taken));
        }
        self.moved(call, kind, &taken)
    }

    fn resize(&mut self, call: &Call<'_>) -> Outputs {
        let dims = self.dims(call, 0)?;
        let axes = match call.ints("axes")? {
            Some(axes) => axes.into_iter().map(|at| axis(at, dims.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..dims.len()).collect(),
        };
        let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
        if policy != "stretch" {
            return unsupported(format!("keep_aspect_ratio_policy {policy} is not modelled"));
        }
        let (scales_at, sizes_at) = if call.op() == "Upsample" { (1, usize::MAX) } else { (2, 3) };
        let sizes = self.numbers(call, sizes_at)?.filter(|sizes| !sizes.is_empty());
        let given = |count: usize| {
            if count == axes.len() { Ok(()) } else { wrong(format!("{count} scales or sizes for {} axes", axes.len())) }
        };
        let mut taken = dims.clone();
        if let Some(sizes) = sizes {
            given(sizes.len())?;
            for (&at, &size) in axes.iter().zip(&sizes) {
                if let Some(extent) = taken.get_mut(at) {
                    *extent = u32::try_from(size).map_err(|_| Stop::Wrong(format!("size {size} of its result")))?;
                }
            }
        } else {
            let scales = match call.floats("scales")? {
                Some(scales) => scales.into_iter().map(f64::from).collect(),
                None => match self.known(call, scales_at)? {
                    Some(scales) => scales.floats(),
                    None => return wrong("it has neither scales nor sizes"),
                },
            };
            given(scales.len())?;
            for (&at, &scale) in axes.iter().zip(&scales) {
                if let Some(extent) = taken.get_mut(at) {
                    let found = (f64::from(*extent) * scale).floor();
                    if !(0.0..=f64::from(u32::MAX)).contains(&found) {
                        return wrong(format!("scale {scale} of an extent of {extent}"));
                    }
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "checked to be in the range"
                    )]
                    {
                        *extent = found as u32;
                    }
                }
            }
        }
        let kind = match call.text("mode", "nearest")?.as_str() {
            "nearest" => ResizeKind::Nearest,
            "linear" | "bilinear" | "trilinear" => ResizeKind::Linear,
            "cubic" => ResizeKind::Cubic,
            mode => return wrong(format!("mode {mode:?}; nearest, linear and cubic exist")),
        };
        let x = self.tensor(call, 0)?;
        if taken == dims {
            return self.alias(Value::Tensor(x));
        }
        Ok(vec![Value::Tensor(self.emit(call, Op::Resize(Resize { kind, shape: shape(&taken)? }), &[x])?)])
    }
}

fn narrow(count: u64) -> Result<u32, Stop> {
    u32::try_from(count).map_err(|_| Stop::Wrong(format!("an extent of {count}; 4294967295 is the largest")))
}

/// The shape that a `Reshape` asks for: 0 keeps an extent, -1 takes what is left.
pub(super) fn reshaped(importer: &Importer, call: &Call<'_>, dims: &[u32]) -> Result<Vec<u32>, Stop> {
    let Some(wanted) = importer.numbers_or(call, "shape", 1)? else { return wrong("it has no shape") };
    let zero_is_zero = call.flag("allowzero", false)?;
    let mut found = Vec::new();
    let mut open = None;
    for (at, &extent) in wanted.iter().enumerate() {
        found.push(match extent {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 if !zero_is_zero => match dims.get(at) {
                Some(&extent) => extent,
                None => return wrong(format!("shape {wanted:?} keeps axis {at} of {dims:?}, which has none")),
            },
            extent => u32::try_from(extent)
                .map_err(|_| Stop::Wrong(format!("shape {wanted:?} has an extent outside -1 ..= 4294967295")))?,
        });
    }
    let (have, fixed) = (elements(dims), elements(&found));
    if let Some(at) = open {
        let left = have.checked_div(fixed).filter(|_| fixed > 0 && have.is_multiple_of(fixed));
        let Some(left) = left else { return wrong(format!("{dims:?} cannot become {wanted:?}")) };
        if let Some(extent) = found.get_mut(at) {
            *extent = narrow(left)?;
        }
    } else if have != fixed {
        return wrong(format!("{dims:?} has {have} elements and cannot become {wanted:?} of {fixed}"));
    }
    Ok(found)
}

/// The shape without some axes of extent 1.
pub(super) fn squeezed(importer: &Importer, call: &Call<'_>, dims: &[u32]) -> Result<Vec<u32>, Stop> {
    let Some(axes) = importer.numbers_or(call, "axes", 1)? else {
        return Ok(dims.iter().copied().filter(|&extent| extent != 1).collect());
    };
    let axes: Vec<usize> = axes.into_iter().map(|at| axis(at, dims.len())).collect::<Result<_, _>>()?;
    if axes.iter().any(|&at| dims.get(at) != Some(&1)) {
        return wrong(format!("axes {axes:?} of {dims:?} are taken away, but not all have extent 1"));
    }
    Ok(dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, &extent)| extent).collect())
}

/// The shape with axes of extent 1 put in.
pub(super) fn unsqueezed(importer: &Importer, call: &Call<'_>, dims: &[u32]) -> Result<Vec<u32>, Stop> {
    let Some(axes) = importer.numbers_or(call, "axes", 1)? else { return wrong("it has no axes") };
    let rank = dims.len() + axes.len();
    if rank > 64 {
        return wrong(format!("{rank} axes; 8 are the most"));
    }
    let axes: Vec<usize> = axes.into_iter().map(|at| axis(at, rank)).collect::<Result<_, _>>()?;
    let mut rest = dims.iter();
    let found: Vec<u32> =
        (0..rank).filter_map(|at| if axes.contains(&at) { Some(1) } else { rest.next().copied() }).collect();
    if found.len() == rank { Ok(found) } else { wrong(format!("axes {axes:?} name one axis twice")) }
}

/// The order of axes of a `Transpose`; reversed where none is given.
pub(super) fn permutation(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, Stop> {
    let Some(order) = call.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let found: Vec<usize> = order.iter().filter_map(|&at| usize::try_from(at).ok()).collect();
    let mut sorted = found.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) && order.len() == rank {
        Ok(found)
    } else {
        wrong(format!("perm {order:?} is no order of {rank} axes"))
    }
}

/// The part of each axis that a `Slice` takes.
pub(super) fn slice_ranges(importer: &Importer, call: &Call<'_>, dims: &[u32]) -> Result<Vec<Range>, Stop> {
    let starts = importer.numbers_or(call, "starts", 1)?;
    let ends = importer.numbers_or(call, "ends", 2)?;
    let (Some(starts), Some(ends)) = (starts, ends) else { return wrong("it has no starts or no ends") };
    let axes = match importer.numbers_or(call, "axes", 3)? {
        Some(axes) => axes.into_iter().map(|at| axis(at, dims.len())).collect::<Result<_, _>>()?,
        None => (0..starts.len()).collect::<Vec<_>>(),
    };
    let steps = importer.numbers(call, 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if starts.len() != ends.len() || starts.len() != axes.len() || starts.len() != steps.len() {
        return wrong(format!(
            "{} starts, {} ends, {} axes and {} steps; as many of each are wanted",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        ));
    }
    let mut ranges: Vec<Range> = dims.iter().map(|&count| Range { start: 0, step: 1, count }).collect();
    for (((&at, &start), &end), &step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
        let Some(range) = ranges.get_mut(at) else {
            return wrong(format!("axis {at} of a tensor of {} axes", dims.len()));
        };
        let extent = i64::from(dims.get(at).copied().unwrap_or(0));
        let from_start = |index: i64| if index < 0 { index.saturating_add(extent) } else { index };
        let count = match step {
            0 => return wrong("a step of 0"),
            1.. => {
                let (start, end) = (from_start(start).clamp(0, extent), from_start(end).clamp(0, extent));
                *range = Range { start, step, count: 0 };
                (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
            }
            _ => {
                let (start, end) = (from_start(start).clamp(-1, extent - 1), from_start(end).clamp(-1, extent - 1));
                *range = Range { start, step, count: 0 };
                (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs())
            }
        };
        range.count = narrow(count)?;
    }
    Ok(ranges)
}

/// Extents of the parts of a `Split`.
pub(super) fn split_sizes(importer: &Importer, call: &Call<'_>, extent: u32) -> Result<Vec<u32>, Stop> {
    if let Some(sizes) = importer.numbers_or(call, "split", 1)? {
        let found: Option<Vec<u32>> = sizes.iter().map(|&size| u32::try_from(size).ok()).collect();
        let fits = |sizes: &Vec<u32>| sizes.iter().map(|&size| u64::from(size)).sum::<u64>() == u64::from(extent);
        return match found.filter(fits) {
            Some(sizes) => Ok(sizes),
            None => wrong(format!("parts {sizes:?} do not make up an extent of {extent}")),
        };
    }
    let parts = call.int("num_outputs", i64::try_from(call.node.output.len()).unwrap_or(1))?;
    let Some(parts) = u32::try_from(parts).ok().filter(|&parts| parts > 0 && parts <= extent.max(1)) else {
        return wrong(format!("{parts} parts of an extent of {extent}"));
    };
    // All of one size, but the last, which may be smaller.
    let size = extent.div_ceil(parts);
    Ok((0..parts).map(|part| size.min(extent.saturating_sub(part.saturating_mul(size)))).collect())
}
