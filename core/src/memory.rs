//! Memory: how many bytes a graph holds at once, in which order that is least, and where each tensor can lie.
//!
//! A tensor lives from the op that writes it to the last op that reads it; inputs live from the start, outputs of the graph to
//! the end. A view has no memory of its own: what it looks at lives as long as it does. An op in place takes over the memory of
//! its operand 0 where nobody reads that any more. What is stored with the network is held throughout, with its weights.
//!
//! [`lifetimes`] finds all that for one order of the ops, [`schedule`] looks for an order that needs less, [`Lifetimes::place`]
//! gives each tensor an offset in one arena, as static allocation on a microcontroller needs it.

mod arena;
mod schedule;

pub use schedule::schedule;

use crate::error::Error;
use crate::graph::{GraphView, Node};
use crate::tensor::{TensorId, TensorKind};
use crate::units::Bytes;

/// What a graph holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Footprint {
    /// Parameters, buffers and constants.
    pub weights: Bytes,
    /// Most bytes of activations alive at the same time, while any one op runs.
    pub peak_activations: Bytes,
}

impl Footprint {
    /// Both together.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub const fn total(&self) -> Result<Bytes, Error> {
        self.weights.checked_add(self.peak_activations)
    }
}

/// Bytes that the graph holds when its ops run in their order. `buffers` is scratch of at least one entry for each tensor.
///
/// # Errors
/// Those of [`lifetimes`].
pub fn footprint(graph: GraphView<'_>, buffers: &mut [Buffer]) -> Result<Footprint, Error> {
    let peak_activations = lifetimes(graph, None, buffers)?.peak()?;
    Ok(Footprint { weights: graph.bytes_stored()?, peak_activations })
}

/// Steps between which a tensor lives, and where. Scratch for the functions of this module: [`Buffer::EMPTY`] for each tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buffer {
    /// The tensor whose memory this one lies in: its own number, or that of what it is a view of or takes the place of.
    root: u32,
    /// Step that writes it.
    first: u32,
    /// Last step that reads it; [`u32::MAX`] for an output of the graph.
    last: u32,
    /// Next tensor in the order of offsets, while an arena is filled.
    next: u32,
    /// First byte in the arena.
    offset: u64,
}

/// No step, no tensor.
const NONE: u32 = u32::MAX;

impl Buffer {
    /// A buffer before anything is known of it.
    pub const EMPTY: Self = Self { root: NONE, first: NONE, last: NONE, next: NONE, offset: 0 };
}

/// Where and when a tensor holds memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Placement {
    /// The tensor whose memory it is: another one for a view, or for the result of an op in place.
    pub root: TensorId,
    /// Step that first writes the memory; 0 for an input.
    pub first: u32,
    /// Step that last reads it; the last step for an output of the graph.
    pub last: u32,
    /// First byte in the arena; 0 before [`Lifetimes::place`].
    pub offset: Bytes,
    /// Bytes of the memory.
    pub bytes: Bytes,
}

/// Lifetimes of all tensors of a graph in one order of its ops.
#[derive(Debug)]
pub struct Lifetimes<'a> {
    graph: GraphView<'a>,
    order: Option<&'a [u32]>,
    buffers: &'a mut [Buffer],
}

/// Lifetimes of all tensors when the ops run in this order: numbers of nodes, each once, none before what it reads. `None` is the
/// graph's own order. `buffers` is scratch of at least one entry for each tensor.
///
/// # Errors
/// [`Error::ScratchTooSmall`]; [`Error::UnknownTensor`] where the order runs a node before its operands, twice, or not at all.
pub fn lifetimes<'a>(
    graph: GraphView<'a>,
    order: Option<&'a [u32]>,
    buffers: &'a mut [Buffer],
) -> Result<Lifetimes<'a>, Error> {
    let count = graph.tensors().len();
    let needed = u32::try_from(count).unwrap_or(u32::MAX);
    let buffers = buffers.get_mut(..count).ok_or(Error::ScratchTooSmall { needed })?;
    for ((number, buffer), tensor) in (0..NONE).zip(buffers.iter_mut()).zip(graph.tensors()) {
        let first = if tensor.kind == TensorKind::Activation { NONE } else { 0 };
        *buffer = Buffer { root: number, first, ..Buffer::EMPTY };
    }
    let mut lifetimes = Lifetimes { graph, order, buffers };
    lifetimes.steps()?;
    lifetimes.views();
    lifetimes.take_over();
    Ok(lifetimes)
}

impl<'a> Lifetimes<'a> {
    /// The nodes in the order in which they run, with their steps.
    fn nodes(&self) -> impl Iterator<Item = (u32, &'a Node)> + use<'a> {
        let (graph, order) = (self.graph, self.order);
        (0..NONE).zip(0..graph.nodes().len()).filter_map(move |(step, position)| {
            let index = match order {
                Some(order) => usize::try_from(*order.get(position)?).ok()?,
                None => position,
            };
            Some((step, graph.nodes().get(index)?))
        })
    }

    fn buffer(&self, id: TensorId) -> Buffer {
        self.buffers.get(id.index()).copied().unwrap_or(Buffer::EMPTY)
    }

    fn edit(&mut self, id: TensorId, change: impl FnOnce(&mut Buffer)) {
        if let Some(buffer) = self.buffers.get_mut(id.index()) {
            change(buffer);
        }
    }

    /// Steps that write and last read each tensor.
    fn steps(&mut self) -> Result<(), Error> {
        let mut run = 0_usize;
        for (step, node) in self.nodes() {
            for (position, &id) in (0..u16::MAX).zip(self.graph.operands(node).ids()) {
                if self.buffer(id).first == NONE {
                    return Err(Error::UnknownTensor { operand: position });
                }
                self.edit(id, |buffer| buffer.last = step);
            }
            for id in self.graph.outputs(node) {
                if self.buffer(id).first != NONE {
                    return Err(Error::UnknownTensor { operand: 0 });
                }
                self.edit(id, |buffer| buffer.first = step);
            }
            run = run.saturating_add(1);
        }
        if run == self.graph.nodes().len() { Ok(()) } else { Err(Error::UnknownTensor { operand: 0 }) }
    }

    /// What a view looks at lives as long as the view.
    fn views(&mut self) {
        for (_, node) in self.nodes() {
            if let (true, Some(&operand)) = (node.op.is_view(), self.graph.operands(node).ids().first()) {
                let root = self.root(operand);
                let last = self.buffer(node.output).last;
                self.edit(node.output, |buffer| buffer.root = root.0);
                self.edit(root, |buffer| buffer.last = buffer.last.max(last));
            }
        }
    }

    /// The result of an op in place lies where its operand 0 lay, if that is an activation or input that nobody reads later.
    fn take_over(&mut self) {
        for (step, node) in self.nodes() {
            let Some(&operand) = self.graph.operands(node).ids().first() else { continue };
            if !node.op.in_place() || node.op.is_view() {
                continue;
            }
            let root = self.root(operand);
            let held = self.graph.tensors().get(root.index()).is_some_and(|tensor| !tensor.kind.is_stored());
            if held && self.buffer(root).last == step {
                let last = self.buffer(node.output).last;
                self.edit(node.output, |buffer| buffer.root = root.0);
                self.edit(root, |buffer| buffer.last = last);
            }
        }
    }

    /// The tensor whose memory a tensor lies in.
    fn root(&self, id: TensorId) -> TensorId {
        let mut at = id;
        // Each step goes to an earlier tensor: there are no more steps than tensors.
        for _ in self.buffers.iter() {
            let root = TensorId(self.buffer(at).root);
            if root == at {
                break;
            }
            at = root;
        }
        at
    }

    /// Bytes that a tensor takes among the activations: none if it is stored with the weights.
    fn bytes(&self, id: TensorId) -> Result<Bytes, Error> {
        match self.graph.tensors().get(id.index()) {
            Some(tensor) if !tensor.kind.is_stored() => tensor.bytes(),
            _ => Ok(Bytes::ZERO),
        }
    }

    /// Bytes alive while each step runs, in the order of the steps.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn live(&self) -> Result<impl Iterator<Item = Result<Bytes, Error>> + '_, Error> {
        let inputs = self.graph.tensors().iter().filter(|tensor| tensor.kind == TensorKind::Input);
        let mut live =
            inputs.map(crate::tensor::Tensor::bytes).try_fold(Bytes::ZERO, |sum, bytes| sum.checked_add(bytes?))?;
        Ok(self.nodes().map(move |(step, node)| {
            for output in self.graph.outputs(node) {
                if self.root(output) == output {
                    live = live.checked_add(self.bytes(output)?)?;
                }
            }
            let during = live;
            let ids = self.graph.operands(node).ids();
            for (position, &id) in ids.iter().enumerate() {
                let root = self.root(id);
                let seen = ids.iter().take(position).any(|&earlier| self.root(earlier) == root);
                if self.buffer(root).last == step && !seen {
                    live = Bytes(live.0.saturating_sub(self.bytes(root)?.0));
                }
            }
            Ok(during)
        }))
    }

    /// Most bytes alive while any one step runs; of a graph without ops, its inputs.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub fn peak(&self) -> Result<Bytes, Error> {
        if self.graph.nodes().is_empty() {
            return self
                .graph
                .tensors()
                .iter()
                .filter(|tensor| tensor.kind == TensorKind::Input)
                .try_fold(Bytes::ZERO, |sum, tensor| sum.checked_add(tensor.bytes()?));
        }
        self.live()?.try_fold(Bytes::ZERO, |peak, live| Ok(peak.max(live?)))
    }

    /// When a tensor holds memory, and where; `None` for one that is stored with the weights, or unknown.
    #[must_use]
    pub fn placement(&self, id: TensorId) -> Option<Placement> {
        let root = self.root(id);
        let held = self.graph.tensors().get(root.index()).filter(|tensor| !tensor.kind.is_stored())?;
        let buffer = self.buffer(root);
        let end = u32::try_from(self.graph.nodes().len().saturating_sub(1)).unwrap_or(NONE);
        let bytes = held.bytes().ok()?;
        Some(Placement { root, first: buffer.first, last: buffer.last.min(end), offset: Bytes(buffer.offset), bytes })
    }
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
        footprint(graph.view(), &mut [Buffer::EMPTY; 8])
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
        assert_eq!(footprint(graph.view(), &mut [Buffer::EMPTY; 8])?.peak_activations, Bytes(3 * 16 * 4));
        // An op in place on a tensor that is read later must not destroy it.
        let mut graph = Graph::<4, 8>::new();
        let x = graph.input(&[1, 16], DataType::Fp32)?;
        let a = graph.op(relu(true), &[x])?;
        graph.op(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[a, x])?;
        assert_eq!(footprint(graph.view(), &mut [Buffer::EMPTY; 8])?.peak_activations, Bytes(2 * 16 * 4));
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
        assert_eq!(footprint(graph.view(), &mut [Buffer::EMPTY; 8])?.peak_activations, Bytes(36 * 4));
        // In place on a view of a tensor that is read later: that must not be destroyed, so there are two.
        let mut graph = Graph::<6, 8>::new();
        let x = graph.input(&[1, 4, 4], DataType::Fp32)?;
        let f = graph.op(flat, &[x])?;
        graph.op(relu(true), &[f])?;
        graph.op(relu(false), &[x])?;
        // x, relu(f) and relu(x).
        assert_eq!(footprint(graph.view(), &mut [Buffer::EMPTY; 8])?.peak_activations, Bytes(3 * 16 * 4));
        Ok(())
    }

    #[test]
    fn two_branches_are_better_one_after_the_other() -> Result<(), Error> {
        // x of 4; a, b = linear(4 → 100) of x; c, d = linear(100 → 4) of each; y = c + d. As listed a and b live together.
        let mut graph = Graph::<8, 16>::new();
        let x = graph.input(&[1, 4], DataType::Fp32)?;
        let wide = Op::Linear(Linear { in_features: 4, out_features: 100, bias: false, weights: None });
        let narrow = Op::Linear(Linear { in_features: 100, out_features: 4, bias: false, weights: None });
        let (a, b) = (graph.op(wide, &[x])?, graph.op(wide, &[x])?);
        let (c, d) = (graph.op(narrow, &[a])?, graph.op(narrow, &[b])?);
        graph.op(Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[c, d])?;
        // b written while x and a live: 4 + 100 + 100; in the other order c and b: 4 + 100.
        assert_eq!(footprint(graph.view(), &mut [Buffer::EMPTY; 16])?.peak_activations, Bytes(4 * 204));
        let (mut order, mut scratch, mut buffers) = ([0; 8], [0; 16], [Buffer::EMPTY; 16]);
        assert_eq!(schedule(graph.view(), &mut order, &mut scratch, &mut buffers)?, Bytes(4 * 108));
        assert_eq!(order[..5], [0, 2, 1, 3, 4]);
        // The arena is as large as the peak here: x at 0, a and b at the same place.
        let mut lifetimes = lifetimes(graph.view(), Some(&order[..5]), &mut buffers)?;
        assert_eq!(lifetimes.place(16)?, Bytes(432));
        let [a, b] = [a, b].map(|id| lifetimes.placement(id).map(|placement| placement.offset));
        assert_eq!((a, b), (Some(Bytes::ZERO), Some(Bytes::ZERO)));
        Ok(())
    }

    #[test]
    fn an_order_that_runs_an_op_before_its_operands_is_refused() -> Result<(), Error> {
        let mut graph = Graph::<4, 8>::new();
        let x = graph.input(&[1, 16], DataType::Fp32)?;
        let a = graph.op(relu(false), &[x])?;
        graph.op(relu(false), &[a])?;
        for order in [&[1, 0][..], &[0, 0], &[0]] {
            let got = lifetimes(graph.view(), Some(order), &mut [Buffer::EMPTY; 4]).map(|_| ());
            assert_eq!(got, Err(Error::UnknownTensor { operand: 0 }), "{order:?}");
        }
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
