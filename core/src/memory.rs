//! Memory: how many bytes a graph holds at once when its ops run in order.
//!
//! A tensor lives from the op that writes it to the last op that reads it; inputs live from the start, outputs of the graph to
//! the end. A view has no memory of its own: what it looks at lives as long as it does. An op in place takes over the memory of
//! its operand 0 where nobody reads that any more, and it is not stored. What is stored with the network is held throughout.

use crate::error::Error;
use crate::graph::GraphView;
use crate::tensor::{Tensor, TensorId, TensorKind};
use crate::units::Bytes;

/// What a graph holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Footprint {
    /// Parameters and buffers of all ops.
    pub weights: Bytes,
    /// Most bytes of activations alive at the same time, while any one op runs.
    pub peak_activations: Bytes,
}

impl Footprint {
    /// Parameters and activations together.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub const fn total(&self) -> Result<Bytes, Error> {
        self.weights.checked_add(self.peak_activations)
    }
}

/// Bytes that the graph holds, by exact lifetimes. `last_use` is scratch of at least one entry for each tensor.
///
/// # Errors
/// [`Error::ScratchTooSmall`], [`Error::CountOverflow`].
pub fn footprint(graph: GraphView<'_>, last_use: &mut [u32]) -> Result<Footprint, Error> {
    let count = graph.tensors().len();
    let last_use =
        last_use.get_mut(..count).ok_or(Error::ScratchTooSmall { needed: u32::try_from(count).unwrap_or(u32::MAX) })?;

    // A tensor that nobody reads is an output of the graph: it lives to the end.
    last_use.fill(u32::MAX);
    for (step, node) in (0..u32::MAX).zip(graph.nodes()) {
        for id in graph.operands(node).ids() {
            if let Some(last) = last_use.get_mut(id.index()) {
                *last = step;
            }
        }
    }

    // What a view looks at lives as long as the view: from the last view back, so that views of views reach the first.
    for node in graph.nodes().iter().rev() {
        if let (true, Some(viewed)) = (node.op.is_view(), graph.operands(node).ids().first()) {
            let last = last_use.get(node.output.index()).copied().unwrap_or(u32::MAX);
            if let Some(viewed) = last_use.get_mut(viewed.index()) {
                *viewed = (*viewed).max(last);
            }
        }
    }

    let weights = graph.bytes_stored()?;
    let mut live = inputs(graph)?;
    let mut peak = live;
    for (step, node) in (0..u32::MAX).zip(graph.nodes()) {
        if node.op.is_view() {
            continue;
        }
        let ids = graph.operands(node).ids();
        let dies = |id: TensorId| last_use.get(id.index()) == Some(&step);
        let takes_over =
            node.op.in_place() && ids.first().is_some_and(|&id| dies(viewed(graph, id)) && !stored(graph, id));
        if !takes_over {
            for output in graph.outputs(node) {
                live = live.checked_add(bytes_of(graph, output)?)?;
            }
        }
        peak = peak.max(live);
        for (position, &id) in ids.iter().enumerate() {
            let held = viewed(graph, id);
            let earlier = ids.get(..position).unwrap_or(&[]);
            let seen = earlier.iter().any(|&other| viewed(graph, other) == held);
            let taken_over = takes_over && position == 0;
            if dies(held) && !seen && !taken_over {
                live = Bytes(live.0.saturating_sub(bytes_of(graph, held)?.0));
            }
        }
    }
    Ok(Footprint { weights, peak_activations: peak })
}

/// The tensor whose memory a tensor lies in: itself, or what it is a view of.
fn viewed(graph: GraphView<'_>, id: TensorId) -> TensorId {
    let mut at = id;
    // Each step goes to an earlier node: there are no more steps than nodes.
    for _ in graph.nodes() {
        let Ok(index) = graph.nodes().binary_search_by_key(&at, |node| node.output) else { break };
        match graph.nodes().get(index) {
            Some(node) if node.op.is_view() => match graph.operands(node).ids().first() {
                Some(&operand) => at = operand,
                None => break,
            },
            _ => break,
        }
    }
    at
}

/// Whether a tensor lies with the weights, which the next run needs as they are: nothing takes their place.
fn stored(graph: GraphView<'_>, id: TensorId) -> bool {
    graph.tensors().get(viewed(graph, id).index()).is_some_and(|tensor| tensor.kind.is_stored())
}

/// Bytes that a tensor takes among the activations: none if it is stored with the weights.
fn bytes_of(graph: GraphView<'_>, id: TensorId) -> Result<Bytes, Error> {
    graph.tensors().get(id.index()).filter(|tensor| !tensor.kind.is_stored()).map_or(Ok(Bytes::ZERO), Tensor::bytes)
}

/// Bytes of the graph's inputs.
fn inputs(graph: GraphView<'_>) -> Result<Bytes, Error> {
    let inputs = graph.tensors().iter().filter(|tensor| tensor.kind == TensorKind::Input);
    inputs.map(Tensor::bytes).try_fold(Bytes::ZERO, |sum, bytes| sum.checked_add(bytes?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Build, Graph, Tables};
    use crate::op::{Activation, ActivationKind, Binary, BinaryKind, Linear, Op, View};
    use crate::shape::DataType;

    fn relu(in_place: bool) -> Op {
        Op::Activation(Activation { kind: ActivationKind::Relu, in_place })
    }

    /// Input of 10 elements; h = linear(10 → 20); r = relu(h); y = linear(20 → 5).
    fn mlp(in_place: bool) -> Result<Footprint, Error> {
        let mut graph = Graph::<4, 8>::new();
        let x = graph.input(&[1, 10], DataType::Fp32)?;
        let h = graph.op(Op::Linear(Linear { in_features: 10, out_features: 20, bias: true, weights: None }), &[x])?;
        let r = graph.op(relu(in_place), &[h])?;
        graph.op(Op::Linear(Linear { in_features: 20, out_features: 5, bias: false, weights: None }), &[r])?;
        footprint(graph.view(), &mut [0; 8])
    }

    #[test]
    fn lifetimes_by_hand() -> Result<(), Error> {
        // Linear 1: 10 + 20; ReLU: 20 + 20, the input is dead; linear 2: 20 + 5. Peak 40 elements.
        let weights = Bytes(4 * (10 * 20 + 20 + 20 * 5));
        assert_eq!(mlp(false)?, Footprint { weights, peak_activations: Bytes(40 * 4) });
        // In place the ReLU needs nothing: peak 30 at the first linear.
        assert_eq!(mlp(true)?, Footprint { weights, peak_activations: Bytes(30 * 4) });
        Ok(())
    }

    #[test]
    fn a_skip_connection_keeps_its_tensor() -> Result<(), Error> {
        let mut graph = Graph::<4, 8>::new();
        let x = graph.input(&[1, 16], DataType::Fp32)?;
        let a = graph.op(relu(false), &[x])?;
        let b = graph.op(relu(false), &[a])?;
        graph.op(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[b, x])?;
        // At the addition: x, b and the sum.
        assert_eq!(footprint(graph.view(), &mut [0; 8])?.peak_activations, Bytes(3 * 16 * 4));
        // An op in place on a tensor that is read later must not destroy it.
        let mut graph = Graph::<4, 8>::new();
        let x = graph.input(&[1, 16], DataType::Fp32)?;
        let a = graph.op(relu(true), &[x])?;
        graph.op(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[a, x])?;
        assert_eq!(footprint(graph.view(), &mut [0; 8])?.peak_activations, Bytes(2 * 16 * 4));
        Ok(())
    }

    #[test]
    fn a_view_has_no_memory_of_its_own_and_keeps_what_it_looks_at() -> Result<(), Error> {
        // x of 16; f = flatten(x); a = linear(16 → 4) of f; b = relu(x), 16; y = linear(16 → 4) of flatten(b).
        let mut graph = Graph::<6, 8>::new();
        let x = graph.input(&[1, 4, 4], DataType::Fp32)?;
        let flat = Op::View(View { shape: crate::shape::Shape::new(&[1, 16])? });
        let linear = Op::Linear(Linear { in_features: 16, out_features: 4, bias: false, weights: None });
        let f = graph.op(flat, &[x])?;
        graph.op(linear, &[f])?;
        let b = graph.op(relu(false), &[x])?;
        let g = graph.op(flat, &[b])?;
        graph.op(linear, &[g])?;
        // At the ReLU: x, a (an output of the graph) and b: 16 + 4 + 16. The flattened tensors add nothing.
        assert_eq!(footprint(graph.view(), &mut [0; 8])?.peak_activations, Bytes(36 * 4));
        // In place on a view of a tensor that is read later: that must not be destroyed, so there are two.
        let mut graph = Graph::<6, 8>::new();
        let x = graph.input(&[1, 4, 4], DataType::Fp32)?;
        let f = graph.op(flat, &[x])?;
        graph.op(relu(true), &[f])?;
        graph.op(relu(false), &[x])?;
        // x, relu(f) and relu(x).
        assert_eq!(footprint(graph.view(), &mut [0; 8])?.peak_activations, Bytes(3 * 16 * 4));
        Ok(())
    }

    #[test]
    fn an_op_in_place_leaves_what_is_stored() -> Result<(), Error> {
        let mut graph = Graph::<2, 4>::new();
        let table = graph.tensor(&[1, 16], DataType::Fp32, TensorKind::Parameter)?;
        let x = graph.op(relu(true), &[table])?;
        graph.op(relu(true), &[x])?;
        // The table is needed at the next run: the first ReLU writes 16 elements of its own, and the second those again.
        let expected = Footprint { weights: Bytes(16 * 4), peak_activations: Bytes(16 * 4) };
        assert_eq!(footprint(graph.view(), &mut [0; 4])?, expected);
        Ok(())
    }

    #[test]
    fn scratch_is_checked() -> Result<(), Error> {
        let mut graph = Graph::<1, 2>::new();
        graph.input(&[1], DataType::Fp32)?;
        assert_eq!(footprint(graph.view(), &mut []), Err(Error::ScratchTooSmall { needed: 1 }));
        Ok(())
    }
}
