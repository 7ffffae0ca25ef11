//! Operators that arrange elements: reshapes, slices, padding, concatenation, transposition, gather, resizing.

use derate_core::op::{Concat, Gather, Move, MoveKind, Op, Pick, Resize, ResizeKind, Scatter, Transpose};
use derate_core::tensor::TensorId;

use super::layout::Layout;
use super::schema::{
    ConcatenationOptions, DepthToSpaceOptions, GatherOptions, PackOptions, ReshapeOptions, SpaceToDepthOptions,
    SqueezeOptions, StridedSliceOptions, UnpackOptions,
};
use super::{Call, Reader, Step, Stop, unsupported};

impl<'a> Reader<'a> {
    /// Adds an operator of this file's kind; `false` for another.
    pub(super) fn arranged(&mut self, call: &Call<'a>) -> Step<bool> {
        match call.builtin {
            2 => self.concat(call)?,
            22 | 43 | 70 => self.reshape(call)?,
            34 | 60 | 100 => self.pad(call)?,
            49 | 102 => self.split(call)?,
            65 => self.slice(call)?,
            45 => self.strided_slice(call)?,
            39 => self.transpose(call)?,
            23 => self.resize(call, ResizeKind::Linear)?,
            97 => self.resize(call, ResizeKind::Nearest)?,
            36 => self.gather(call)?,
            107 => self.gather_nd(call)?,
            83 => self.pack(call)?,
            88 => self.unpack(call)?,
            69 => self.tile(call)?,
            130 => self.broadcast_to(call)?,
            105 | 112 => {
                let input = self.operand(call, 0)?;
                let (id, layout) = self.any(input)?;
                let shape = self.builder.shape(id);
                self.moved(call, MoveKind::Copy, id, layout, shape.extents().to_vec())?;
            }
            26 => {
                let options: SpaceToDepthOptions<'_> = self.options(call)?;
                self.blocks(call, options.block_size(), false)?;
            }
            5 => {
                let options: DepthToSpaceOptions<'_> = self.options(call)?;
                self.blocks(call, options.block_size(), true)?;
            }
            // DYNAMIC_UPDATE_SLICE: tensor, update, place.
            151 => {
                let [tensor, update, place] = [self.operand(call, 0)?, self.operand(call, 1)?, self.operand(call, 2)?];
                let (id, layout) = self.any(tensor)?;
                let operands = [id, self.any(place)?.0, self.tensor_in(update, layout)?];
                let id = self.builder.op(&call.name, Op::Scatter(Scatter { combine: false }), &operands)?;
                self.give(call, id, layout, 0)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Moves elements to a tensor of these extents, which are in the order of the operand.
    fn moved(&mut self, call: &Call<'a>, kind: MoveKind, id: TensorId, layout: Layout, extents: Vec<u32>) -> Step {
        let shape = self.shape(&call.name, &extents)?;
        let id = self.builder.op(&call.name, Op::Move(Move { kind, shape }), &[id])?;
        self.give(call, id, layout, 0)
    }

    /// Gives a call's output `position` the same bytes under other extents of the file's order.
    fn viewed(&mut self, call: &Call<'a>, position: usize, name: &str, extents: &[u32], id: TensorId) -> Step {
        let Some(&output) = call.outputs.get(position) else { return Ok(()) };
        let layout = self.layout_for(output, extents.len());
        let id = self.view(name, &layout.order(extents), id)?;
        self.set(output, id, layout)
    }

    /// RESHAPE, SQUEEZE, `EXPAND_DIMS`.
    fn reshape(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let target = match call.builtin {
            22 => self.reshaped(call, &extents)?,
            43 => {
                let stated = call.operator.options::<SqueezeOptions<'_>>().and_then(|options| options.squeeze_dims());
                let mut axes = Vec::new();
                for axis in stated.into_iter().flatten() {
                    axes.push(self.axis(call, i64::from(axis), extents.len())?);
                }
                let goes = |axis: usize, extent: u32| extent == 1 && (axes.is_empty() || axes.contains(&axis));
                extents.iter().enumerate().filter(|&(axis, &extent)| !goes(axis, extent)).map(|(_, &e)| e).collect()
            }
            _ => {
                let axis = self.known(call, 1, "axis")?.first().copied().unwrap_or(0);
                let axis = self.axis(call, axis, extents.len() + 1)?;
                let mut target = extents.clone();
                target.insert(axis, 1);
                target
            }
        };
        let (id, _) = self.any(input)?;
        self.viewed(call, 0, &call.name, &target, id)
    }

    /// The extents that a reshape asks for: from its second operand or its options, with one extent of -1 left to follow.
    fn reshaped(&self, call: &Call<'a>, extents: &[u32]) -> Step<Vec<u32>> {
        let operand = call.inputs.get(1).copied().flatten();
        let stated = call.operator.options::<ReshapeOptions<'_>>().and_then(|options| options.new_shape());
        let target = match (operand.and_then(|index| self.numbers(index)), stated) {
            (Some(numbers), _) => numbers,
            (None, Some(stated)) if stated.len() <= 8 => stated.iter().map(i64::from).collect(),
            _ => return unsupported("the shape it gives is computed when the network runs"),
        };
        let product = |factors: Vec<u64>| factors.into_iter().try_fold(1_u64, u64::checked_mul).unwrap_or(u64::MAX);
        let elements = product(extents.iter().map(|&extent| u64::from(extent)).collect());
        let known = product(target.iter().filter_map(|&extent| u64::try_from(extent).ok()).collect());
        let mut left = elements.checked_div(known).unwrap_or(0);
        // A reshape that holds the file's batch follows a batch that is bound to another extent.
        let follows = !target.contains(&-1) && left > 1 && elements % known.max(1) == 0;
        let mut shape = Vec::new();
        for (axis, &extent) in target.iter().enumerate() {
            let extent = match extent {
                -1 => std::mem::replace(&mut left, 0),
                extent if axis == 0 && follows => u64::try_from(extent).unwrap_or(0).saturating_mul(left),
                extent => u64::try_from(extent).unwrap_or(0),
            };
            shape.push(self.extent(call, i64::try_from(extent).unwrap_or(i64::MAX))?);
        }
        Ok(shape)
    }

    fn concat(&mut self, call: &Call<'a>) -> Step {
        let options: ConcatenationOptions<'_> = self.options(call)?;
        let operands: Vec<usize> = call.inputs.iter().flatten().copied().collect();
        let first = self.operand(call, 0)?;
        let rank = self.extents(first)?.len();
        let axis = self.axis(call, i64::from(options.axis()), rank)?;
        let at_hand = operands.iter().find_map(|&index| self.computed(index));
        let layout = at_hand.map_or(Layout::Stored, |(_, layout)| layout).of_rank(rank);
        let ids = operands.iter().map(|&index| self.tensor_in(index, layout)).collect::<Step<Vec<_>>>()?;
        let axis = u8::try_from(layout.axis(rank, axis)).unwrap_or(u8::MAX);
        let id = self.builder.op(&call.name, Op::Concat(Concat { axis }), &ids)?;
        self.give(call, id, layout, options.activation())
    }

    /// PAD, PADV2, `MIRROR_PAD`: a second operand of `[before, after]` for each axis.
    fn pad(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let mut extents = self.extents(input)?;
        let padding = self.known(call, 1, "paddings")?;
        if padding.len() != extents.len() * 2 {
            let message = format!("{} paddings of a tensor of {} axes; 2 an axis", padding.len(), extents.len());
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        }
        for (extent, sides) in extents.iter_mut().zip(padding.chunks_exact(2)) {
            let more = sides.iter().try_fold(0_i64, |sum, &side| sum.checked_add(side)).unwrap_or(-1);
            *extent = self.extent(call, i64::from(*extent).saturating_add(more))?;
        }
        let (id, layout) = self.any(input)?;
        self.moved(call, MoveKind::Pad, id, layout, layout.order(&extents))
    }

    /// Part of a tensor as one of a call's outputs.
    fn part(
        &mut self,
        call: &Call<'a>,
        position: usize,
        id: TensorId,
        layout: Layout,
        extents: &[u32],
    ) -> Step<TensorId> {
        let Some(&output) = call.outputs.get(position) else { return Ok(id) };
        let name = self.name(output);
        let shape = self.shape(&name, &layout.order(extents))?;
        let id = self.builder.op(&name, Op::Move(Move { kind: MoveKind::Slice, shape }), &[id])?;
        self.set(output, id, layout)?;
        Ok(id)
    }

    /// SPLIT: axis, tensor; `SPLIT_V`: tensor, extents, axis.
    fn split(&mut self, call: &Call<'a>) -> Step {
        let (tensor, axis) = if call.builtin == 49 { (1, 0) } else { (0, 2) };
        let input = self.operand(call, tensor)?;
        let extents = self.extents(input)?;
        let axis = self.known(call, axis, "axis")?.first().copied().unwrap_or(0);
        let axis = self.axis(call, axis, extents.len())?;
        let whole = extents.get(axis).copied().unwrap_or(1);
        let count = call.outputs.len();
        let parts: Vec<i64> = if call.builtin == 49 {
            let part = usize::try_from(whole).unwrap_or(0).checked_div(count).unwrap_or(0);
            vec![i64::try_from(part).unwrap_or(0); count]
        } else {
            let stated = self.known(call, 1, "extents")?;
            let rest = i64::from(whole)
                - stated.iter().filter(|&&part| part > 0).fold(0_i64, |sum, &part| sum.saturating_add(part));
            stated.into_iter().map(|part| if part == -1 { rest } else { part }).collect()
        };
        let (id, layout) = self.any(input)?;
        for position in 0..count {
            let mut part = extents.clone();
            if let (Some(extent), Some(&stated)) = (part.get_mut(axis), parts.get(position)) {
                *extent = self.extent(call, stated)?;
            }
            self.part(call, position, id, layout, &part)?;
        }
        Ok(())
    }

    /// SLICE: tensor, begin, size (-1 up to the end).
    fn slice(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let (begin, size) = (self.known(call, 1, "begin")?, self.known(call, 2, "size")?);
        let mut part = Vec::new();
        for (axis, &extent) in extents.iter().enumerate() {
            let begin = begin.get(axis).copied().unwrap_or(0);
            let size = size.get(axis).copied().unwrap_or(-1);
            let size = if size == -1 { i64::from(extent).saturating_sub(begin) } else { size };
            part.push(self.extent(call, size)?);
        }
        let (id, layout) = self.any(input)?;
        self.part(call, 0, id, layout, &part)?;
        Ok(())
    }

    /// `STRIDED_SLICE`: tensor, begin, end, strides; masks leave bounds open, and drop axes of one element.
    fn strided_slice(&mut self, call: &Call<'a>) -> Step {
        let options: StridedSliceOptions<'_> = self.options(call)?;
        if options.ellipsis_mask() != 0 || options.new_axis_mask() != 0 {
            return unsupported("a slice with an ellipsis or a new axis");
        }
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let bounds = [self.known(call, 1, "begin")?, self.known(call, 2, "end")?, self.known(call, 3, "strides")?];
        let (mut part, mut left) = (Vec::new(), Vec::new());
        for (axis, &extent) in extents.iter().enumerate() {
            let masked =
                |mask: i32| u32::try_from(axis).ok().and_then(|axis| mask.checked_shr(axis)).unwrap_or(0) & 1 == 1;
            let [begin, end, stride] = bounds.each_ref().map(|bound| bound.get(axis).copied());
            let (Some(begin), Some(end), Some(stride)) = (begin, end, stride) else {
                part.push(extent);
                left.push(extent);
                continue;
            };
            let drop = masked(options.shrink_axis_mask());
            let length = if drop {
                1
            } else {
                let begin = (!masked(options.begin_mask())).then_some(begin);
                let end = (!masked(options.end_mask())).then_some(end);
                strided(i64::from(extent), begin, end, stride)
            };
            let length = self.extent(call, length)?;
            part.push(length);
            if !drop {
                left.push(length);
            }
        }
        let (id, layout) = self.any(input)?;
        if part == left {
            self.part(call, 0, id, layout, &part)?;
            return Ok(());
        }
        let shape = self.shape(&call.name, &layout.order(&part))?;
        let id = self.builder.op(&call.name, Op::Move(Move { kind: MoveKind::Slice, shape }), &[id])?;
        self.viewed(call, 0, &format!("{}:squeeze", call.name), &left, id)
    }

    fn transpose(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let rank = self.extents(input)?.len();
        let mut order = Vec::new();
        for axis in self.known(call, 1, "order")? {
            order.push(u8::try_from(self.axis(call, axis, rank)?).unwrap_or(u8::MAX));
        }
        let op = Transpose::new(&order).map_err(|_| {
            Stop::Error(self.builder.error(&call.name, format!("order of {} axes; at most 8", order.len())))
        })?;
        let id = self.tensor_in(input, Layout::Stored)?;
        let id = self.builder.op(&call.name, Op::Transpose(op), &[id])?;
        self.give(call, id, Layout::Stored, 0)
    }

    /// `RESIZE_*`: image, `[height, width]`.
    fn resize(&mut self, call: &Call<'a>, kind: ResizeKind) -> Step {
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let size = self.known(call, 1, "size")?;
        let (&[n, _, _, c], &[h, w]) = (extents.as_slice(), size.as_slice()) else {
            let message = format!("image of shape {extents:?} to size {size:?}; 4 axes and 2 are possible");
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        };
        let (h, w) = (self.extent(call, h)?, self.extent(call, w)?);
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        let shape = self.shape(&call.name, &[n, c, h, w])?;
        let id = self.builder.op(&call.name, Op::Resize(Resize { kind, shape }), &[id])?;
        self.give(call, id, Layout::ChannelsFirst, 0)
    }

    /// GATHER: tensor, indices. Rows of a stored matrix are an embedding.
    fn gather(&mut self, call: &Call<'a>) -> Step {
        let options = call.operator.options::<GatherOptions<'_>>();
        let (data, indices) = (self.operand(call, 0)?, self.operand(call, 1)?);
        let extents = self.extents(data)?;
        let axis = self.axis(call, options.map_or(0, |options| i64::from(options.axis())), extents.len())?;
        let batch = options.map_or(0, |options| options.batch_dims());
        if self.computed(data).is_none() && extents.len() == 2 && axis == 0 && batch == 0 && !self.is_stored(indices) {
            return self.look_up(call, data, indices);
        }
        let operands = [self.tensor_in(data, Layout::Stored)?, self.tensor_in(indices, Layout::Stored)?];
        let op = if batch == 0 {
            Op::Gather(Gather { axis: u8::try_from(axis).unwrap_or(u8::MAX) })
        } else {
            let chosen = self.extents(indices)?;
            let shared = self.axis(call, i64::from(batch), chosen.len() + 1)?;
            let chosen = chosen.get(shared..).unwrap_or_default();
            let shape: Vec<u32> =
                extents.iter().take(axis).chain(chosen).chain(extents.iter().skip(axis + 1)).copied().collect();
            Op::Pick(Pick { shape: self.shape(&call.name, &shape)? })
        };
        let id = self.builder.op(&call.name, op, &operands)?;
        self.give(call, id, Layout::Stored, 0)
    }

    /// `GATHER_ND`: tensor, tuples of indices `[…, k]`, giving `[…] ++ tensor[k:]`.
    fn gather_nd(&mut self, call: &Call<'a>) -> Step {
        let (data, indices) = (self.operand(call, 0)?, self.operand(call, 1)?);
        let (extents, tuples) = (self.extents(data)?, self.extents(indices)?);
        let Some((&k, outer)) = tuples.split_last() else {
            return Err(Stop::Error(self.builder.error(&call.name, "indices without an axis; at least 1 is needed")));
        };
        let inner = extents.iter().skip(usize::try_from(k).unwrap_or(usize::MAX));
        let shape: Vec<u32> = outer.iter().chain(inner).copied().collect();
        let shape = self.shape(&call.name, &shape)?;
        let operands = [self.tensor_in(data, Layout::Stored)?, self.tensor_in(indices, Layout::Stored)?];
        let id = self.builder.op(&call.name, Op::Pick(Pick { shape }), &operands)?;
        self.give(call, id, Layout::Stored, 0)
    }

    /// PACK: each operand gets an axis, along which they are concatenated.
    fn pack(&mut self, call: &Call<'a>) -> Step {
        let options: PackOptions<'_> = self.options(call)?;
        let rank = self.extents(self.operand(call, 0)?)?.len() + 1;
        let axis = self.axis(call, i64::from(options.axis()), rank)?;
        let mut ids = Vec::new();
        for (position, &index) in call.inputs.iter().flatten().enumerate() {
            let mut extents = self.extents(index)?;
            extents.insert(axis.min(extents.len()), 1);
            let id = self.tensor_in(index, Layout::Stored)?;
            ids.push(self.view(&format!("{}:{position}", call.name), &extents, id)?);
        }
        let id =
            self.builder.op(&call.name, Op::Concat(Concat { axis: u8::try_from(axis).unwrap_or(u8::MAX) }), &ids)?;
        self.give(call, id, Layout::Stored, 0)
    }

    /// UNPACK: slices of one element along an axis, which goes.
    fn unpack(&mut self, call: &Call<'a>) -> Step {
        let options: UnpackOptions<'_> = self.options(call)?;
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let axis = self.axis(call, i64::from(options.axis()), extents.len())?;
        let (id, layout) = self.any(input)?;
        let mut part = extents.clone();
        if let Some(extent) = part.get_mut(axis) {
            *extent = 1;
        }
        let mut left = extents;
        left.remove(axis);
        for position in 0..call.outputs.len() {
            let one = self.part(call, position, id, layout, &part)?;
            let name = call.outputs.get(position).map_or_else(String::new, |&output| self.name(output));
            self.viewed(call, position, &format!("{name}:squeeze"), &left, one)?;
        }
        Ok(())
    }

    /// TILE: tensor, how often along each axis.
    fn tile(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let mut extents = self.extents(input)?;
        let times = self.known(call, 1, "multiples")?;
        for (extent, times) in extents.iter_mut().zip(times) {
            *extent = self.extent(call, i64::from(*extent).saturating_mul(times))?;
        }
        let (id, layout) = self.any(input)?;
        self.moved(call, MoveKind::Tile, id, layout, layout.order(&extents))
    }

    fn broadcast_to(&mut self, call: &Call<'a>) -> Step {
        let input = self.operand(call, 0)?;
        let mut extents = Vec::new();
        for extent in self.known(call, 1, "shape")?.into_iter().take(9) {
            extents.push(self.extent(call, extent)?);
        }
        let id = self.tensor_in(input, Layout::Stored)?;
        self.moved(call, MoveKind::Expand, id, Layout::Stored, extents)
    }

    /// `SPACE_TO_DEPTH`, and `DEPTH_TO_SPACE` the other way.
    fn blocks(&mut self, call: &Call<'a>, block: i32, to_space: bool) -> Step {
        let block = u32::from(self.positive(call, "block", block)?);
        let input = self.operand(call, 0)?;
        let extents = self.extents(input)?;
        let shape = <[u32; 4]>::try_from(extents.as_slice()).ok().map(|[n, h, w, c]| {
            if to_space {
                [Some(n), (c / block).checked_div(block), h.checked_mul(block), w.checked_mul(block)]
            } else {
                let depth = c.checked_mul(block).and_then(|c| c.checked_mul(block));
                [Some(n), depth, Some(h / block), Some(w / block)]
            }
        });
        let Some([Some(n), Some(c), Some(h), Some(w)]) = shape else {
            let message = format!("blocks of {block} in a tensor of shape {extents:?}; 4 axes are possible");
            return Err(Stop::Error(self.builder.error(&call.name, message)));
        };
        let id = self.tensor_in(input, Layout::ChannelsFirst)?;
        self.moved(call, MoveKind::Copy, id, Layout::ChannelsFirst, vec![n, c, h, w])
    }
}

/// How many elements a slice of an axis has: bounds count from the end where negative, and are open where `None`.
fn strided(extent: i64, begin: Option<i64>, end: Option<i64>, stride: i64) -> i64 {
    let from_the_front = |index: i64| if index < 0 { index.saturating_add(extent) } else { index };
    if stride > 0 {
        let begin = begin.map_or(0, |begin| from_the_front(begin).clamp(0, extent));
        let end = end.map_or(extent, |end| from_the_front(end).clamp(0, extent));
        (end - begin).max(0).saturating_add(stride - 1) / stride
    } else if stride < 0 {
        let last = extent - 1;
        let begin = begin.map_or(last, |begin| from_the_front(begin).clamp(-1, last));
        let end = end.map_or(-1, |end| from_the_front(end).clamp(-1, last));
        let stride = stride.saturating_neg();
        (begin - end).max(0).saturating_add(stride - 1) / stride
    } else {
        0
    }
}

#[cfg(test)]
mod unit {
    use super::strided;

    #[test]
    fn slices_are_those_of_numpy() {
        // range(10)[2:8:3] = 2, 5; [-3:] = 7, 8, 9; [::-1] all; [8:2:-2] = 8, 6, 4; [5:2] none.
        assert_eq!(strided(10, Some(2), Some(8), 3), 2);
        assert_eq!(strided(10, Some(-3), None, 1), 3);
        assert_eq!(strided(10, None, None, -1), 10);
        assert_eq!(strided(10, Some(8), Some(2), -2), 3);
        assert_eq!([strided(10, Some(5), Some(2), 1), strided(10, None, None, 0)], [0, 0]);
    }
}
