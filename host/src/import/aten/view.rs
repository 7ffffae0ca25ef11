//! Ops that give the same elements under another shape, in another order, or repeated.

use derate_core::op::{Move, MoveKind, Op};
use derate_core::shape::Shape;

use super::argument::Argument;
use super::emit::{axis, extent, extents};
use super::tensor::{Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// The tensor with an axis of 1 at a place, which may be counted from the end of the result.
    pub(super) fn unsqueezed(&mut self, tensor: &Tensor, at: i64) -> Result<Tensor, Refusal> {
        let at = axis(at, tensor.rank().saturating_add(1))?;
        let mut extents = tensor.extents().to_vec();
        extents.insert(at, 1);
        self.view(tensor, extents)
    }

    /// The tensor without an axis, if that has extent 1.
    pub(super) fn squeezed(&mut self, tensor: &Tensor, at: i64) -> Result<Tensor, Refusal> {
        let at = axis(at, tensor.rank())?;
        let mut extents = tensor.extents().to_vec();
        if extents.get(at) == Some(&1) {
            extents.remove(at);
        }
        self.view(tensor, extents)
    }

    /// `view`, `reshape`: self, sizes of which one may be −1.
    pub(super) fn reshape(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let sizes = match call.args.get(1, "size") {
            Some(Argument::List(_)) => call.args.ints(1, "size")?,
            _ => call.args.ints(1, "shape")?,
        };
        let extents = completed(&sizes, x.elements())?;
        self.view(x, extents).map(Argument::Tensor)
    }

    /// `view_as`, `reshape_as`: self, other.
    pub(super) fn reshape_as(&mut self, call: &Call<'_>) -> Lowered {
        let other = call.args.tensor(1, "other")?.extents().to_vec();
        self.view(call.args.first()?, other).map(Argument::Tensor)
    }

    /// `flatten`: self, start, end; `ravel`.
    pub(super) fn flatten(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let start = axis(call.args.int_or(1, "start_dim", 0)?, x.rank())?;
        let end = axis(call.args.int_or(2, "end_dim", -1)?, x.rank())?;
        let (outer, rest) = x.extents().split_at_checked(start).unwrap_or((x.extents(), &[]));
        let (inner, after) = rest.split_at_checked(end.saturating_sub(start).saturating_add(1)).unwrap_or((rest, &[]));
        let flat = inner.iter().try_fold(1_u32, |product, &extent| product.checked_mul(extent));
        let flat = flat.ok_or_else(|| Refusal::new(format!("too many elements: {:?}", x.extents())))?;
        self.view(x, [outer, &[flat], after].concat()).map(Argument::Tensor)
    }

    /// `unflatten`: self, axis, sizes.
    pub(super) fn unflatten(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let at = axis(call.args.int(1, "dim")?, x.rank())?;
        let (outer, rest) = x.extents().split_at_checked(at).unwrap_or((x.extents(), &[]));
        let Some((&flat, after)) = rest.split_first() else { return Err(Refusal::new("unflatten of a scalar")) };
        let sizes = completed(&call.args.ints(2, "sizes")?, u64::from(flat))?;
        self.view(x, [outer, &sizes, after].concat()).map(Argument::Tensor)
    }

    /// `squeeze`: self, axis, axes or all; `unsqueeze`: self, axis.
    pub(super) fn squeeze(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        if call.op == "unsqueeze" {
            return self.unsqueezed(x, call.args.int(1, "dim")?).map(Argument::Tensor);
        }
        let named = call.args.optional_ints(1, "dim")?;
        let axes: Vec<usize> = match named {
            Some(axes) => axes.iter().map(|&at| axis(at, x.rank())).collect::<Result<_, _>>()?,
            None => (0..x.rank()).collect(),
        };
        let left = x.extents().iter().enumerate().filter(|(at, extent)| **extent != 1 || !axes.contains(at));
        let extents = left.map(|(_, &extent)| extent).collect();
        self.view(x, extents).map(Argument::Tensor)
    }

    /// The tensor with its axes in another order.
    pub(super) fn permuted(&mut self, x: &Tensor, order: &[usize]) -> Result<Tensor, Refusal> {
        let wrong = || Refusal::new(format!("order {order:?} of {} axes", x.rank()));
        if order.len() != x.rank() || (0..x.rank()).any(|at| !order.contains(&at)) {
            return Err(wrong());
        }
        if order.iter().enumerate().all(|(at, &from)| at == from) {
            return Ok(x.clone());
        }
        let extents: Vec<u32> = order.iter().filter_map(|&from| x.extents().get(from).copied()).collect();
        let data_type = x.data_type();
        match x.origin() {
            Origin::Stored { index, part } => {
                Ok(Tensor::new(extents, data_type, Origin::Stored { index: *index, part: part.clone() }))
            }
            Origin::Known(value) => Ok(Tensor::known(extents, data_type, *value)),
            Origin::Permute(base, first) if x.made().is_none() => {
                let composed: Vec<usize> =
                    order.iter().filter_map(|&from| first.get(from).map(|&at| usize::from(at))).collect();
                let base = base.clone();
                self.permuted(&base, &composed)
            }
            _ => {
                // Where only axes of extent 1 change places, no element moves.
                let moving = |axes: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
                    axes.filter(|&at| x.extents().get(at).is_some_and(|&extent| extent != 1)).collect()
                };
                if moving(&mut order.iter().copied()) == moving(&mut (0..x.rank())) {
                    return self.view(x, extents);
                }
                let order = order.iter().map(|&at| u8::try_from(at).map_err(|_| wrong())).collect::<Result<_, _>>()?;
                self.lazy(extents, Origin::Permute(x.clone(), order))
            }
        }
    }

    /// `permute`, `transpose`, `t`, `movedim` and their like.
    pub(super) fn permute(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let rank = x.rank();
        let mut order: Vec<usize> = (0..rank).collect();
        match call.op {
            "permute" => {
                let dims = call.args.ints(1, "dims")?;
                order = dims.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?;
            }
            "t" | "numpy_T" => order.reverse(),
            "mT" | "mH" | "adjoint" | "matrix_H" => {
                let last = rank.checked_sub(1).ok_or_else(|| Refusal::new("transpose of a scalar"))?;
                order.swap(last.saturating_sub(1), last);
            }
            "movedim" | "moveaxis" => {
                let from = call.args.ints(1, "source")?;
                let to = call.args.ints(2, "destination")?;
                let from: Vec<usize> = from.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?;
                let mut places = to.iter().map(|&at| axis(at, rank)).zip(from.iter().copied()).collect::<Vec<_>>();
                places.sort_by_key(|(to, _)| to.as_ref().ok().copied());
                order.retain(|at| !from.contains(at));
                for (to, from) in places {
                    let to = to?.min(order.len());
                    order.insert(to, from);
                }
            }
            _ => {
                let names = if call.op == "transpose" { ["dim0", "dim1"] } else { ["axis0", "axis1"] };
                let a = axis(call.args.int(1, names[0])?, rank)?;
                let b = axis(call.args.int(2, names[1])?, rank)?;
                if rank > 0 {
                    order.swap(a, b);
                }
            }
        }
        self.permuted(x, &order).map(Argument::Tensor)
    }

    /// `expand`: self, sizes of which −1 keeps an extent; `expand_as`, `broadcast_to`.
    pub(super) fn expand(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let sizes = if call.op == "expand_as" {
            call.args.tensor(1, "other")?.extents().to_vec()
        } else {
            let sizes = call.args.ints(1, "size")?;
            let new = sizes.len().checked_sub(x.rank()).ok_or_else(|| Refusal::new("expand to fewer axes"))?;
            let kept = |(at, &size): (usize, &i64)| match size {
                -1 => at.checked_sub(new).and_then(|at| x.extents().get(at).copied()).map_or_else(|| extent(size), Ok),
                _ => extent(size),
            };
            sizes.iter().enumerate().map(kept).collect::<Result<Vec<_>, _>>()?
        };
        self.expanded(x, sizes).map(Argument::Tensor)
    }

    /// The tensor with extents of 1, and missing outer axes, repeated.
    pub(super) fn expanded(&mut self, x: &Tensor, sizes: Vec<u32>) -> Result<Tensor, Refusal> {
        if x.extents() == sizes {
            return Ok(x.clone());
        }
        let shape = Shape::new(&sizes)?;
        if shape.broadcast(&Shape::new(x.extents())?)? != shape {
            return Err(Refusal::new(format!("{:?} cannot be expanded to {sizes:?}", x.extents())));
        }
        match x.origin() {
            Origin::Known(value) => Ok(Tensor::known(sizes, x.data_type(), *value)),
            _ if x.elements() == Tensor::known(sizes.clone(), x.data_type(), None).elements() => self.view(x, sizes),
            Origin::Expand(base) if x.made().is_none() => self.lazy(sizes, Origin::Expand(base.clone())),
            _ => self.lazy(sizes, Origin::Expand(x.clone())),
        }
    }

    /// `repeat`, `tile`: self, how often along each axis.
    pub(super) fn repeat(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let name = if call.op == "tile" { "dims" } else { "repeats" };
        let mut times = extents(&call.args.ints(1, name)?)?;
        while times.len() < x.rank() {
            times.insert(0, 1);
        }
        let mut base = x.extents().to_vec();
        while base.len() < times.len() {
            base.insert(0, 1);
        }
        let sizes: Option<Vec<u32>> =
            base.iter().zip(&times).map(|(&extent, &times)| extent.checked_mul(times)).collect();
        let sizes = sizes.ok_or_else(|| Refusal::new(format!("{base:?} repeated {times:?} times")))?;
        let x = self.view(x, base)?;
        self.moved(call, &x, MoveKind::Tile, sizes)
    }

    /// `repeat_interleave` by a number: self, repeats, axis.
    pub(super) fn repeat_interleave(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let times = extent(call.args.int(1, "repeats")?)?;
        let at = axis(call.args.int(2, "dim")?, x.rank())?;
        let mut sizes = x.extents().to_vec();
        let place = sizes.get_mut(at).ok_or_else(|| Refusal::new("repetition of a scalar"))?;
        *place = place.checked_mul(times).ok_or_else(|| Refusal::new(format!("{times} repetitions")))?;
        self.moved(call, x, MoveKind::Tile, sizes)
    }

    /// Elements at other places.
    pub(super) fn moved(&mut self, call: &Call<'_>, x: &Tensor, kind: MoveKind, sizes: Vec<u32>) -> Lowered {
        if x.is_known() {
            self.builder.bookkeeping();
            let value = if kind == MoveKind::Pad { None } else { x.value() };
            return Ok(Argument::Tensor(Tensor::known(sizes, x.data_type(), value)));
        }
        if x.extents() == sizes && kind != MoveKind::Copy {
            return Ok(Argument::Tensor(x.clone()));
        }
        let shape = Shape::new(&sizes)?;
        self.give(call, Op::Move(Move { kind, shape }), &[x])
    }

    /// `clone`, `roll`, `flip`: every element is copied. What is not laid out yet is copied when it is.
    pub(super) fn copy(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let waits = x.made().is_none() && !matches!(x.origin(), Origin::View(_));
        if call.op == "clone" && waits {
            return Ok(Argument::Tensor(x.clone()));
        }
        let sizes = x.extents().to_vec();
        self.moved(call, x, MoveKind::Copy, sizes)
    }

    /// `pixel_shuffle`, `pixel_unshuffle`: self, factor.
    pub(super) fn pixel_shuffle(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let down = call.op == "pixel_unshuffle";
        let name = if down { "downscale_factor" } else { "upscale_factor" };
        let factor = extent(call.args.int(1, name)?)?;
        let [outer @ .., c, h, w] = x.extents() else { return Err(Refusal::new("shuffle of less than an image")) };
        let square = factor.checked_mul(factor).filter(|&square| square > 0);
        let sizes = if down {
            square.and_then(|square| Some([c.checked_mul(square)?, h.checked_div(factor)?, w.checked_div(factor)?]))
        } else {
            square.and_then(|square| Some([c.checked_div(square)?, h.checked_mul(factor)?, w.checked_mul(factor)?]))
        };
        let sizes = sizes.ok_or_else(|| Refusal::new(format!("{:?} shuffled by {factor}", x.extents())))?;
        self.moved(call, x, MoveKind::Copy, [outer, &sizes].concat())
    }
}

/// Sizes of which one may be −1: the rest of the elements.
pub(super) fn completed(sizes: &[i64], elements: u64) -> Result<Vec<u32>, Refusal> {
    let wrong = || Refusal::new(format!("{elements} elements as {sizes:?}"));
    let given = sizes
        .iter()
        .filter(|&&size| size != -1)
        .try_fold(1_u64, |product, &size| product.checked_mul(u64::try_from(size).ok()?));
    let given = given.ok_or_else(wrong)?;
    let rest = elements.checked_div(given).unwrap_or(0);
    let size = |&size: &i64| if size == -1 { u32::try_from(rest).map_err(|_| wrong()) } else { extent(size) };
    sizes.iter().map(size).collect()
}
