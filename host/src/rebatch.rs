//! The same network at another batch size, where its file fixes one.
//!
//! The batch is followed from the outermost axis of the inputs through every op: most give their new shape by themselves, those that
//! state a shape (views, slices, resizing) get it scaled along the axis in which the batch lies.

use std::collections::HashMap;

use derate_core::graph::Tables;
use derate_core::op::{Concat, Contraction, Move, MoveKind, Op, Pick, Resize, View};
use derate_core::shape::Shape;
use derate_core::tensor::{TensorId, TensorKind};

use crate::graph_buf::{GraphBuf, GraphError};

/// A network that cannot be run at another batch size.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot be run at batch {batch} instead of {was}: {reason}; export the file with that batch, or with an open one"
)]
pub struct RebatchError {
    /// The batch size asked for.
    pub batch: u32,
    /// That of the file.
    pub was: u32,
    /// Which node stands against it.
    pub reason: String,
}

/// Outermost extent of the first input.
#[must_use]
pub fn batch_of(graph: &GraphBuf) -> Option<u32> {
    let input = graph.view().tensors().iter().find(|tensor| tensor.kind == TensorKind::Input)?;
    input.shape.extent(0)
}

/// The graph at another batch size: every input whose outermost extent is that of the first is scaled.
///
/// # Errors
/// [`RebatchError`] naming the first node that has no shape at that batch.
pub fn rebatched(graph: &GraphBuf, batch: u32) -> Result<GraphBuf, RebatchError> {
    let was = batch_of(graph).filter(|&was| was > 0).unwrap_or(1);
    let refused = |reason: String| RebatchError { batch, was, reason };
    if was == batch {
        return Ok(graph.clone());
    }
    Rebatch { graph, was, batch, new: GraphBuf::new(graph.name()), numbers: HashMap::new() }.run().map_err(refused)
}

struct Rebatch<'a> {
    graph: &'a GraphBuf,
    was: u32,
    batch: u32,
    new: GraphBuf,
    /// Number of each tensor in the new graph, and the axis in which the batch lies.
    numbers: HashMap<TensorId, (TensorId, Option<usize>)>,
}

impl Rebatch<'_> {
    fn run(mut self) -> Result<GraphBuf, String> {
        let graph = self.graph;
        let mut sources = graph.sources().iter().peekable();
        for (node, name) in graph.view().nodes().iter().zip(graph.names()) {
            // In the order of definition, so that tensors keep their numbers.
            while let Some((id, name)) = sources.next_if(|(id, _)| *id < node.output) {
                self.source(*id, name)?;
            }
            let ids = graph.view().operands(node).ids();
            let known = |id: &TensorId| self.numbers.get(id).copied();
            let mut operands: Vec<(TensorId, Option<usize>)> = ids.iter().filter_map(known).collect();
            let old =
                |id: TensorId| graph.view().tensors().get(id.index()).map(|tensor| tensor.shape).unwrap_or_default();
            let shapes: Vec<Shape> = ids.iter().map(|&id| old(id)).collect();
            let op = self
                .op(node.op, &shapes, &operands)
                .map_err(|reason| format!("{name} ({}): {reason}", node.op.name()))?;
            match op {
                Op::Concat(concat) => self.expand(name, concat, &mut operands)?,
                // A stored first state is that of one sequence; zeros need not be given.
                Op::Recurrent(_) => operands.retain(|(_, axis)| axis.is_some()),
                _ => {}
            }
            let ids: Vec<TensorId> = operands.iter().map(|&(id, _)| id).collect();
            let first =
                self.new.add_node(name, op, &ids, node.shared).map_err(|error: GraphError| error.to_string())?;
            for (position, id) in (0..).zip(graph.view().outputs(node)) {
                let number = first.offset(position);
                let axis = self.grown(&old(id), &self.shape(number)).map_err(|reason| format!("{name}: {reason}"))?;
                self.numbers.insert(id, (number, axis));
            }
        }
        for (id, name) in sources {
            self.source(*id, name)?;
        }
        Ok(self.new)
    }

    fn source(&mut self, id: TensorId, name: &str) -> Result<(), String> {
        let Some(tensor) = self.graph.view().tensors().get(id.index()) else { return Ok(()) };
        let scales = tensor.kind == TensorKind::Input && tensor.shape.extent(0) == Some(self.was);
        let axis = scales.then_some(0);
        let shape = self.scaled(&tensor.shape, axis)?;
        let number = self.new.add_source(name, shape.extents(), tensor.data_type, tensor.kind);
        self.numbers.insert(id, (number.map_err(|error| error.to_string())?, axis));
        Ok(())
    }

    fn shape(&self, id: TensorId) -> Shape {
        self.new.view().tensors().get(id.index()).map(|tensor| tensor.shape).unwrap_or_default()
    }

    fn is_stored(&self, id: TensorId) -> bool {
        self.new.view().tensors().get(id.index()).is_some_and(|tensor| tensor.kind.is_stored())
    }

    /// An extent at the new batch.
    fn extent(&self, extent: u32) -> Result<u32, String> {
        let scaled = extent.is_multiple_of(self.was).then(|| u64::from(extent / self.was) * u64::from(self.batch));
        let scaled = scaled.ok_or_else(|| format!("its extent {extent} is no multiple of the batch {}", self.was))?;
        u32::try_from(scaled).map_err(|_| format!("an extent of {scaled} is too large"))
    }

    fn scaled(&self, shape: &Shape, axis: Option<usize>) -> Result<Shape, String> {
        let Some(axis) = axis else { return Ok(*shape) };
        let extent = shape.extent(axis).ok_or_else(|| format!("{shape:?} has no axis {axis}"))?;
        shape.with_extent(axis, self.extent(extent)?).ok_or_else(|| format!("{shape:?} has no axis {axis}"))
    }

    /// The axis in which a shape grew by the batch; none where it did not.
    fn grown(&self, old: &Shape, new: &Shape) -> Result<Option<usize>, String> {
        let mut grown = None;
        for (axis, (&before, &after)) in old.extents().iter().zip(new.extents()).enumerate() {
            if before != after && (grown.replace(axis).is_some() || self.extent(before)? != after) {
                return Err(format!("{old:?} became {new:?}, which is no other batch of it"));
            }
        }
        if old.rank() == new.rank() { Ok(grown) } else { Err(format!("{old:?} became {new:?}")) }
    }

    /// The op with the shape that it states scaled.
    fn op(&self, op: Op, shapes: &[Shape], operands: &[(TensorId, Option<usize>)]) -> Result<Op, String> {
        let axis = operands.first().and_then(|&(_, axis)| axis);
        let from = shapes.first().copied().unwrap_or_default();
        let same = |shape: &Shape| self.scaled(shape, axis);
        Ok(match op {
            Op::View(View { shape }) => {
                Op::View(View { shape: self.scaled(&shape, self.through(&from, &shape, axis))? })
            }
            Op::Move(Move { kind: MoveKind::Expand, shape }) => {
                // Aligned at the last axis. What is stored, as a class token, is expanded for the batch's sake.
                let outer = usize::from(shape.rank().saturating_sub(from.rank()));
                let stored = operands.iter().all(|&(id, _)| self.is_stored(id)) && shape.extent(0) == Some(self.was);
                let axis = axis.map(|axis| axis + outer).or(stored.then_some(0));
                Op::Move(Move { kind: MoveKind::Expand, shape: self.scaled(&shape, axis)? })
            }
            Op::Move(Move { kind, shape }) if shape.rank() == from.rank() => {
                Op::Move(Move { kind, shape: same(&shape)? })
            }
            Op::Move(Move { kind, shape }) => {
                Op::Move(Move { kind, shape: self.scaled(&shape, self.through(&from, &shape, axis))? })
            }
            Op::Resize(Resize { kind, shape }) => Op::Resize(Resize { kind, shape: same(&shape)? }),
            Op::Pick(Pick { shape }) => {
                let chosen = operands.iter().filter_map(|&(_, axis)| axis).next();
                Op::Pick(Pick { shape: self.scaled(&shape, chosen)? })
            }
            Op::Contraction(contraction) => {
                let Contraction { mut batch, mut m, mut n, shape, k } = contraction;
                match (axis.is_some(), operands.get(1).is_some_and(|(_, axis)| axis.is_some())) {
                    (true, true) => batch = self.extent(batch)?,
                    (true, false) => m = self.extent(m)?,
                    (false, true) => n = self.extent(n)?,
                    (false, false) => return Ok(op),
                }
                let shape = self.scaled(&shape, Some(0))?;
                Op::Contraction(Contraction { shape, batch, m, n, k })
            }
            other => other,
        })
    }

    /// The axis of a view in which the batch lies: where as many elements stand before it as before. Of several, one of the extent of
    /// the batch; the last axis, that of features, only if there is no other.
    fn through(&self, from: &Shape, to: &Shape, axis: Option<usize>) -> Option<usize> {
        let before = |shape: &Shape, axis: usize| -> u64 {
            shape.extents().iter().take(axis).map(|&extent| u64::from(extent)).product()
        };
        let place = before(from, axis?);
        let rank = usize::from(to.rank());
        let fits =
            |axis: &usize| before(to, *axis) == place && to.extent(*axis).is_some_and(|e| e.is_multiple_of(self.was));
        let candidates: Vec<usize> = (0..rank).filter(fits).collect();
        let exact = candidates.iter().copied().find(|&axis| to.extent(axis) == Some(self.was));
        let merged = || {
            let first = candidates.first().copied();
            // Rows of a matrix, not its features: the batch joined the axis before.
            if first.is_some_and(|axis| axis > 0 && axis + 1 == rank) { first.map(|axis| axis - 1) } else { first }
        };
        exact.or_else(merged).or_else(|| (0..rank).rev().find(|&axis| before(to, axis) <= place))
    }

    /// Repeats what is stored once for all of the batch, as a class token, so that it can stand beside a batch.
    fn expand(&mut self, name: &str, concat: Concat, operands: &mut [(TensorId, Option<usize>)]) -> Result<(), String> {
        let Some(axis) = operands.iter().find_map(|&(_, axis)| axis) else { return Ok(()) };
        if axis == usize::from(concat.axis) {
            return Ok(());
        }
        for (position, (id, grown)) in operands.iter_mut().enumerate() {
            let shape = self.shape(*id);
            if grown.is_none() && shape.extent(axis) == Some(self.was) {
                let op = Op::Move(Move { kind: MoveKind::Expand, shape: self.scaled(&shape, Some(axis))? });
                let added = self.new.add(format!("{name}:expand{position}"), op, &[*id]);
                (*id, *grown) = (added.map_err(|error| error.to_string())?, Some(axis));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo;
    use derate_core::shape::DataType;

    /// A network of the zoo at a batch is that network at batch 1, rebatched.
    #[test]
    fn networks_are_those_of_the_zoo_at_that_batch() {
        for name in zoo::NETWORKS {
            let [one, four] = [1, 4].map(|batch| zoo::network(name, batch, DataType::Fp32).expect("a network"));
            let got = rebatched(&one, 4).unwrap_or_else(|error| panic!("{name}: {error}"));
            let same = got.view().nodes() == four.view().nodes() && got.view().tensors() == four.view().tensors();
            assert!(same, "{name}");
            let back = rebatched(&four, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(back.view().total_work(), one.view().total_work(), "{name}");
        }
    }

    #[test]
    fn a_batch_that_is_mixed_with_weights_is_refused() {
        let mut graph = GraphBuf::new("mixed");
        let x = graph.add_input(&[1, 8], DataType::Fp32).expect("valid");
        let flat = graph.add("flat", Op::View(View { shape: Shape::new(&[8]).expect("small") }), &[x]).expect("valid");
        let linear = derate_core::op::Linear { in_features: 8, out_features: 2, bias: false, weights: None };
        graph.add("fc", Op::Linear(linear), &[flat]).expect("valid");
        let message = rebatched(&graph, 4).expect_err("no such batch").to_string();
        assert!(message.contains("batch 4 instead of 1") && message.contains("fc"), "{message}");
    }
}
