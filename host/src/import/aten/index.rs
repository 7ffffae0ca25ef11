//! Elements and rows chosen or replaced by indices.

use derate_core::op::{Embedding, Gather, Move, MoveKind, Op, Pick, Scatter};
use derate_core::shape::{DataType, Shape};

use super::argument::Argument;
use super::emit::{Weights, axis, core_axis};
use super::tensor::Tensor;
use super::{Call, Lowered, Lowering, Refusal};

impl Lowering {
    /// `embedding`: weight, indices.
    pub(super) fn embedding(&mut self, call: &Call<'_>) -> Lowered {
        let (weight, indices) = (call.args.tensor(0, "weight")?, call.args.tensor(1, "indices")?);
        match *weight.extents() {
            [entries, features] if Self::is_stored(weight) => {
                let op = |_| Op::Embedding(Embedding { entries, features, data_type: weight.data_type() });
                let last = indices.rank();
                self.emit_weighted(call.node, op, indices, Weights { weight, bias: None }, last).map(Argument::Tensor)
            }
            _ => self.give(call, Op::Gather(Gather { axis: 0 }), &[weight, indices]),
        }
    }

    /// `index`: self, for each axis indices or nothing.
    pub(super) fn index(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let (indices, shape) = indexed(call, x)?;
        if x.is_known() && indices.iter().all(|(_, index)| index.is_known()) {
            self.builder.bookkeeping();
            return Ok(Argument::Tensor(Tensor::known(shape, x.data_type(), None)));
        }
        if let [(at, index)] = indices.as_slice() {
            return self.gathered(call, x, index, i64::try_from(*at).unwrap_or(0));
        }
        let op = Op::Pick(Pick { shape: Shape::new(&shape)? });
        let operands: Vec<&Tensor> = [x].into_iter().chain(indices.iter().map(|(_, index)| index)).collect();
        self.give(call, op, &operands)
    }

    fn gathered(&mut self, call: &Call<'_>, x: &Tensor, index: &Tensor, at: i64) -> Lowered {
        let axis = core_axis(at, x.rank())?;
        self.give(call, Op::Gather(Gather { axis }), &[x, index])
    }

    /// `index_select`: self, axis, index.
    pub(super) fn index_select(&mut self, call: &Call<'_>) -> Lowered {
        let index = call.args.tensor(2, "index")?;
        self.gathered(call, call.args.first()?, index, call.args.int(1, "dim")?)
    }

    /// `gather`: self, axis, index; `take_along_dim`: self, index, axis.
    pub(super) fn gather(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?;
        let index = if call.op == "gather" { call.args.tensor(2, "index")? } else { call.args.tensor(1, "indices")? };
        self.give(call, Op::Pick(Pick { shape: Shape::new(index.extents())? }), &[x, index])
    }

    /// `scatter`: self, axis, index, source; `index_put`: self, indices, values. Several tensors of indices count as the first.
    pub(super) fn scatter(&mut self, call: &Call<'_>) -> Lowered {
        let args = call.args;
        let x = args.first()?.clone();
        let put = call.op.ends_with("index_put");
        let index = match args.get(1, "indices") {
            Some(Argument::List(list)) if put => list.iter().find_map(|item| match item {
                Argument::Tensor(tensor) => Some(tensor.clone()),
                _ => None,
            }),
            _ if call.op == "masked_scatter" => Some(args.tensor(1, "mask")?.clone()),
            _ => Some(args.tensor(2, "index")?.clone()),
        };
        let index = index.ok_or_else(|| Refusal::new("no indices"))?;
        let at = if put || call.op == "masked_scatter" { 2 } else { 3 };
        let names = ["src", "source", "values", "value"];
        let named = names.iter().find_map(|name| args.named(name)).or(args.positional.get(at));
        let updates = match named {
            Some(Argument::Tensor(updates)) => updates.clone(),
            Some(number) => Tensor::known(Vec::new(), x.data_type(), number.float()),
            None => return Err(Refusal::new("nothing to put")),
        };
        if [&x, &index, &updates].iter().all(|tensor| tensor.is_known()) {
            return Ok(Argument::Tensor(self.unknown_like(&x, x.data_type())));
        }
        let combine = matches!(call.op, "scatter_add" | "scatter_reduce" | "index_add")
            || args.named("reduce").is_some_and(|reduce| !matches!(reduce, Argument::None))
            || put && args.bool_or(3, "accumulate", false)?;
        let updates = self.cast(call.node, &updates, x.data_type())?;
        self.give(call, Op::Scatter(Scatter { combine }), &[&x, &index, &updates])
    }

    /// `copy_`: self, source; `fill_`, `zero_`: every element is written.
    pub(super) fn overwrite(&mut self, call: &Call<'_>) -> Lowered {
        let x = call.args.first()?.clone();
        let shape = Shape::new(x.extents())?;
        match call.args.get(1, "src") {
            Some(Argument::Tensor(source)) if call.op == "copy" && !source.is_known() => {
                let source = self.expanded(&source.clone(), x.extents().to_vec())?;
                let source = self.cast(call.node, &source, x.data_type())?;
                self.give(call, Op::Move(Move { kind: MoveKind::Copy, shape }), &[&source])
            }
            value => {
                self.builder.bookkeeping();
                let value = if call.op == "zero" { Some(0.0) } else { value.and_then(Argument::float) };
                Ok(Argument::Tensor(Tensor::known(x.extents().to_vec(), x.data_type(), value)))
            }
        }
    }
}

/// Tensors of indices, each with the axis that it stands for.
type Indices = Vec<(usize, Tensor)>;

/// The tensors of indices with their axes, and the shape that they give: broadcast together they stand in place of the first, or
/// outermost where other axes lie between them.
fn indexed(call: &Call<'_>, x: &Tensor) -> Result<(Indices, Vec<u32>), Refusal> {
    let Some(Argument::List(list)) = call.args.get(1, "indices") else { return Err(Refusal::new("no indices")) };
    let mut indices = Vec::new();
    let mut together = Shape::default();
    for (at, item) in list.iter().enumerate() {
        match item {
            Argument::None => {}
            Argument::Tensor(index) if index.data_type() == DataType::Bool => {
                return Err(Refusal::new("chosen by a mask: the shape depends on the values"));
            }
            Argument::Tensor(index) => {
                together = together.broadcast(&Shape::new(index.extents())?)?;
                indices.push((axis(i64::try_from(at).unwrap_or(i64::MAX), x.rank())?, index.clone()));
            }
            Argument::Unknown(why) => return Err(Refusal::new(why.clone())),
            _ => return Err(Refusal::new("indices that are no tensors")),
        }
    }
    let (Some((first, _)), Some((last, _))) = (indices.first(), indices.last()) else {
        return Err(Refusal::new("no indices"));
    };
    let adjacent = last.saturating_sub(*first).saturating_add(1) == indices.len();
    let place = if adjacent { *first } else { 0 };
    let mut shape = Vec::new();
    let left = x.extents().iter().enumerate().filter(|(at, _)| !indices.iter().any(|(axis, _)| axis == at));
    for (at, &extent) in left {
        if !adjacent || at < place {
            shape.push(extent);
        }
    }
    let outer = if adjacent { shape.len() } else { 0 };
    let after = x.extents().iter().enumerate().filter(|(at, _)| adjacent && *at > *last).map(|(_, &extent)| extent);
    shape.extend(after);
    shape.splice(outer..outer, together.extents().iter().copied());
    Ok((indices, shape))
}
