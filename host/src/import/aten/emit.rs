//! Adding ops to the graph: operands laid out, weights counted once, data types made equal.

use derate_core::op::{
    Activation, ActivationKind, Binary, BinaryKind, Cast, Move, MoveKind, Op, Reduce, ReduceKind, Transpose, View,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use super::argument::Argument;
use super::tensor::{MAX_DEPTH, Origin, Tensor};
use super::{Call, Lowered, Lowering, Refusal};

/// The weights of an op: its matrix, and a vector that is added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    pub(super) weight: &'a Tensor,
    pub(super) bias: Option<&'a Tensor>,
}

impl Lowering {
    /// The graph's tensor for this one; whatever was put off for it is added now.
    pub(super) fn id(&mut self, node: &str, tensor: &Tensor) -> Result<TensorId, Refusal> {
        if let Some(id) = tensor.made() {
            return Ok(id);
        }
        let shape = Shape::new(tensor.extents())?;
        let id = match tensor.origin() {
            Origin::Graph => return Err(Refusal::new("a tensor of another graph")),
            Origin::Stored { index, part } => {
                let (index, part) = (*index, part.clone());
                self.source(node, index, &part, tensor)?
            }
            Origin::Known(_) => {
                let name = format!("{node}.constant");
                self.builder.source(&name, tensor.extents(), tensor.data_type(), TensorKind::Constant)?
            }
            Origin::Slice(base) => {
                let base = self.id(node, base)?;
                self.builder.op(node, Op::Move(Move { kind: MoveKind::Slice, shape }), &[base])?
            }
            Origin::View(base) => {
                let base = self.id(node, base)?;
                self.builder.op(node, Op::View(View { shape }), &[base])?
            }
            Origin::Permute(base, order) => {
                let base = self.id(node, base)?;
                self.builder.op(node, Op::Transpose(Transpose::new(order)?), &[base])?
            }
            Origin::Expand(base) => {
                let base = self.id(node, base)?;
                self.builder.op(node, Op::Move(Move { kind: MoveKind::Expand, shape }), &[base])?
            }
            Origin::Deferred(op, base) => {
                let base = self.id(node, base)?;
                self.builder.op(node, **op, &[base])?
            }
        };
        tensor.make(id);
        Ok(id)
    }

    /// A stored tensor as a tensor of the graph.
    fn source(&mut self, node: &str, index: usize, part: &str, tensor: &Tensor) -> Result<TensorId, Refusal> {
        let stored = self.stored.get(index).ok_or_else(|| Refusal::new("a stored tensor of another graph"))?;
        let (name, learned) = (format!("{}{part}", stored.name), stored.learned);
        if let Some(source) = self.sources.get(&name).cloned() {
            let id = source.made().ok_or_else(|| Refusal::new("a stored tensor of another graph"))?;
            if source.extents() == tensor.extents() {
                return Ok(id);
            }
            let shape = Shape::new(tensor.extents())?;
            return Ok(self.builder.op(node, Op::View(View { shape }), &[id])?);
        }
        // What is a weight of an op already has been counted there.
        let counted = !learned || self.attributes.contains(&name);
        let kind = if counted { TensorKind::Constant } else { TensorKind::Parameter };
        let id = self.builder.source(&name, tensor.extents(), tensor.data_type(), kind)?;
        let source = Tensor::in_graph(id, tensor.extents().to_vec(), tensor.data_type());
        self.builder.hold(&name);
        self.sources.insert(name, source);
        Ok(id)
    }

    /// A tensor of the graph by its number.
    pub(super) fn tensor(&self, id: TensorId) -> Tensor {
        Tensor::in_graph(id, self.builder.shape(id).extents().to_vec(), self.builder.data_type(id))
    }

    /// Adds an op without weights.
    pub(super) fn emit(&mut self, node: &str, op: Op, operands: &[&Tensor]) -> Result<Tensor, Refusal> {
        let mut ids = Vec::with_capacity(operands.len());
        for operand in operands {
            ids.push(self.id(node, operand)?);
        }
        let id = self.builder.op(node, op, &ids)?;
        Ok(self.tensor(id))
    }

    /// Adds an op without weights, as what a call gives.
    pub(super) fn give(&mut self, call: &Call<'_>, op: Op, operands: &[&Tensor]) -> Lowered {
        self.emit(call.node, op, operands).map(Argument::Tensor)
    }

    /// The name under which a stored tensor counts; `None` for one that is computed.
    pub(super) fn weight_name(&self, tensor: &Tensor) -> Option<String> {
        match tensor.origin() {
            Origin::Stored { index, part } => self.stored.get(*index).map(|stored| format!("{}{part}", stored.name)),
            _ => None,
        }
    }

    /// Whether a tensor is stored with the network.
    pub(super) fn is_stored(tensor: &Tensor) -> bool {
        matches!(tensor.origin(), Origin::Stored { .. })
    }

    /// Adds an op with stored weights; `op` tells how it looks with and without a bias. A bias that is computed, or that is another
    /// than the one the shared weights came with, is an addition of its own, along the axis of channels.
    pub(super) fn emit_weighted(
        &mut self,
        node: &str,
        op: impl Fn(bool) -> Op,
        operand: &Tensor,
        weights: Weights<'_>,
        channel_axis: usize,
    ) -> Result<Tensor, Refusal> {
        let computed = || Refusal::new("its weights are computed rather than stored");
        let weight = self.weight_name(weights.weight).ok_or_else(computed)?;
        let bias = weights.bias.and_then(|bias| self.weight_name(bias));
        let held = |this: &Self, name: &String| this.attributes.contains(name) || this.sources.contains_key(name);
        let weight_held = held(self, &weight);
        let bias_held = bias.as_ref().is_some_and(|bias| held(self, bias));
        let inside = bias.is_some() && weight_held == bias_held;
        let operand = self.id(node, operand)?;
        let id = self.builder.op_with_weights(node, op(inside), &[operand], &weight)?;
        self.attributes.insert(weight);
        if inside {
            self.attributes.extend(bias);
        }
        let result = self.tensor(id);
        match weights.bias {
            Some(bias) if !inside => self.add_along(node, &result, bias, channel_axis),
            _ => Ok(result),
        }
    }

    /// Adds a vector along an axis.
    pub(super) fn add_along(
        &mut self,
        node: &str,
        x: &Tensor,
        vector: &Tensor,
        axis: usize,
    ) -> Result<Tensor, Refusal> {
        self.binary_along(node, BinaryKind::Add, x, vector, axis)
    }

    /// Combines a tensor with a vector along an axis.
    pub(super) fn binary_along(
        &mut self,
        node: &str,
        kind: BinaryKind,
        x: &Tensor,
        vector: &Tensor,
        axis: usize,
    ) -> Result<Tensor, Refusal> {
        let mut extents = vec![1; x.rank()];
        let (Some(place), Ok(length)) = (extents.get_mut(axis), u32::try_from(vector.elements())) else {
            return Err(Refusal::new(format!("axis {axis} of {:?}", x.extents())));
        };
        *place = length;
        let vector = self.view(vector, extents)?;
        let vector = self.cast(node, &vector, x.data_type())?;
        self.emit(node, Op::Binary(Binary { kind, in_place: false }), &[x, &vector])
    }

    /// The tensor in another data type.
    pub(super) fn cast(&mut self, node: &str, tensor: &Tensor, to: DataType) -> Result<Tensor, Refusal> {
        match tensor.origin() {
            _ if tensor.data_type() == to => Ok(tensor.clone()),
            Origin::Known(value) => Ok(Tensor::known(tensor.extents().to_vec(), to, *value)),
            _ => self.emit(node, Op::Cast(Cast { to }), &[tensor]),
        }
    }

    /// A function of each element.
    pub(super) fn activation(&mut self, call: &Call<'_>, kind: ActivationKind, x: &Tensor) -> Lowered {
        if x.is_known() {
            return Ok(Argument::Tensor(self.unknown_like(x, x.data_type())));
        }
        let in_place = call.in_place && matches!(x.origin(), Origin::Graph);
        self.give(call, Op::Activation(Activation { kind, in_place }), &[x])
    }

    /// What does not depend on the input, of values that nobody needs.
    pub(super) fn unknown_like(&mut self, x: &Tensor, data_type: DataType) -> Tensor {
        self.builder.bookkeeping();
        Tensor::known(x.extents().to_vec(), data_type, None)
    }

    /// A view that is put off, laid out before it where too many are.
    pub(super) fn lazy(&mut self, extents: Vec<u32>, origin: Origin) -> Result<Tensor, Refusal> {
        Shape::new(&extents)?;
        let base = match &origin {
            Origin::Slice(base)
            | Origin::View(base)
            | Origin::Permute(base, _)
            | Origin::Expand(base)
            | Origin::Deferred(_, base) => base.clone(),
            Origin::Graph | Origin::Stored { .. } | Origin::Known(_) => {
                return Err(Refusal::new("a view of nothing"));
            }
        };
        let data_type = match &origin {
            Origin::Deferred(op, _) if matches!(**op, Op::Reduce(Reduce { kind: ReduceKind::Index, .. })) => {
                DataType::Int64
            }
            _ => base.data_type(),
        };
        if base.depth() < MAX_DEPTH {
            return Ok(Tensor::new(extents, data_type, origin));
        }
        let id = self.id("view", &base)?;
        let base = self.tensor(id);
        Ok(Tensor::new(
            extents,
            data_type,
            match origin {
                Origin::Slice(_) => Origin::Slice(base),
                Origin::View(_) => Origin::View(base),
                Origin::Permute(_, order) => Origin::Permute(base, order),
                Origin::Deferred(op, _) => Origin::Deferred(op, base),
                _ => Origin::Expand(base),
            },
        ))
    }

    /// The same elements under another shape.
    pub(super) fn view(&mut self, tensor: &Tensor, extents: Vec<u32>) -> Result<Tensor, Refusal> {
        if tensor.extents() == extents {
            return Ok(tensor.clone());
        }
        let result = Tensor::known(extents.clone(), tensor.data_type(), None);
        if result.elements() != tensor.elements() {
            return Err(Refusal::new(format!("{:?} has not as many elements as {extents:?}", tensor.extents())));
        }
        Shape::new(&extents)?;
        match tensor.origin() {
            Origin::Stored { index, part } => {
                let origin = Origin::Stored { index: *index, part: part.clone() };
                Ok(Tensor::new(extents, tensor.data_type(), origin))
            }
            Origin::Known(value) => Ok(Tensor::known(extents, tensor.data_type(), *value)),
            Origin::View(base) if base.extents() == extents => Ok(base.clone()),
            Origin::View(base) => self.lazy(extents, Origin::View(base.clone())),
            _ => self.lazy(extents, Origin::View(tensor.clone())),
        }
    }
}

/// An axis that may be counted from the end, as a place.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let wrong = || Refusal::new(format!("axis {axis} of {rank}"));
    let from_start = if axis < 0 { axis.checked_add(i64::try_from(rank).unwrap_or(i64::MAX)) } else { Some(axis) };
    let at = from_start.and_then(|at| usize::try_from(at).ok()).ok_or_else(wrong)?;
    // A scalar has one axis, as far as PyTorch is concerned.
    if at < rank.max(1) { Ok(at) } else { Err(wrong()) }
}

/// An axis as core counts them.
pub(super) fn core_axis(at: i64, rank: usize) -> Result<u8, Refusal> {
    u8::try_from(axis(at, rank)?).map_err(|_| Refusal::new(format!("axis {at}")))
}

/// A size that must fit core's extents.
pub(super) fn extent(size: i64) -> Result<u32, Refusal> {
    u32::try_from(size).map_err(|_| Refusal::new(format!("size {size}; 0 to 4294967295 are allowed")))
}

/// Sizes that must fit core's extents.
pub(super) fn extents(sizes: &[i64]) -> Result<Vec<u32>, Refusal> {
    sizes.iter().map(|&size| extent(size)).collect()
}
