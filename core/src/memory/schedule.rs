//! The order of the ops that holds the fewest bytes: list scheduling under a few rules, of which the best result is kept.
//!
//! The problem is NP-hard; on small graphs a brute-force search says how far from the least the result is (`tests/`).

use super::{Buffer, NONE, lifetimes};
use crate::error::Error;
use crate::graph::{GraphView, Node};
use crate::tensor::{Tensor, TensorId, TensorKind};
use crate::units::Bytes;

/// By which rule the next of the ready ops is chosen; ties go to the earlier op of the graph.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The one that leaves the fewest bytes alive.
    FewestAfter,
    /// The one during which the fewest bytes are alive; of those the one that leaves the fewest.
    FewestDuring,
    /// One that reads what the last op wrote, if there is one, so that a branch is followed to its end; of those as `FewestAfter`.
    Depth,
    /// From the end back: the one before which the fewest bytes are alive.
    Backward,
}

const RULES: [Rule; 4] = [Rule::FewestAfter, Rule::FewestDuring, Rule::Depth, Rule::Backward];

/// Writes into `order` the order of the nodes with the lowest peak that was found, and returns that peak; never above that of
/// the graph's own order, which is kept where nothing is better. `scratch` has two entries for each node, `order` one, `buffers`
/// one for each tensor.
///
/// # Errors
/// [`Error::ScratchTooSmall`]; [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub fn schedule(
    graph: GraphView<'_>,
    order: &mut [u32],
    scratch: &mut [u32],
    buffers: &mut [Buffer],
) -> Result<Bytes, Error> {
    let count = graph.nodes().len();
    let needed = u32::try_from(count).unwrap_or(NONE);
    let order = order.get_mut(..count).ok_or(Error::ScratchTooSmall { needed })?;
    let candidate = scratch.get_mut(..count).ok_or(Error::ScratchTooSmall { needed: needed.saturating_mul(2) })?;
    let mut best = lifetimes(graph, None, buffers)?.peak()?;
    for (number, place) in (0..NONE).zip(order.iter_mut()) {
        *place = number;
    }
    for rule in RULES {
        List::new(graph, buffers, rule)?.run(candidate)?;
        let peak = lifetimes(graph, Some(candidate), buffers)?.peak()?;
        if peak < best {
            best = peak;
            copy(candidate, order);
        }
    }
    if count <= MOST_MOVED {
        while improve(graph, order, candidate, buffers, &mut best)? {}
    }
    Ok(best)
}

/// Most nodes of a graph whose order is improved op by op, which takes time in the square of their number.
const MOST_MOVED: usize = 512;

/// Moves the first op whose move to another place that its operands and readers allow lowers the peak; whether there was one.
fn improve(
    graph: GraphView<'_>,
    order: &mut [u32],
    candidate: &mut [u32],
    buffers: &mut [Buffer],
    best: &mut Bytes,
) -> Result<bool, Error> {
    for from in 0..order.len() {
        let (earliest, latest) = range(graph, order, from);
        for to in [earliest, latest].into_iter().chain(earliest..latest).filter(|&to| to != from).take(MOST_PLACES) {
            for (place, slot) in candidate.iter_mut().enumerate() {
                let source = if place == to {
                    from
                } else if (from..to).contains(&place) {
                    place.saturating_add(1)
                } else if place > to && place <= from {
                    place.saturating_sub(1)
                } else {
                    place
                };
                *slot = order.get(source).copied().unwrap_or(NONE);
            }
            let peak = lifetimes(graph, Some(candidate), buffers)?.peak()?;
            if peak < *best {
                *best = peak;
                copy(candidate, order);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn copy(from: &[u32], to: &mut [u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Places tried for each op: the first and last it can have, and some between.
const MOST_PLACES: usize = 16;

/// First and last place that the op at a place of an order can have.
fn range(graph: GraphView<'_>, order: &[u32], at: usize) -> (usize, usize) {
    let node = |place: usize| {
        order.get(place).and_then(|&number| usize::try_from(number).ok()).and_then(|number| graph.nodes().get(number))
    };
    let Some(moved) = node(at) else { return (at, at) };
    let feeds = |maker: &Node, reader: &Node| {
        let reads = graph.operands(reader).ids();
        graph.outputs(maker).any(|id| reads.contains(&id))
    };
    let earliest = (0..at).rev().find(|&place| node(place).is_some_and(|maker| feeds(maker, moved)));
    let latest = (at..order.len()).skip(1).find(|&place| node(place).is_some_and(|reader| feeds(moved, reader)));
    (earliest.map_or(0, |place| place.saturating_add(1)), latest.unwrap_or(order.len()).saturating_sub(1))
}

/// A schedule under construction. Of each tensor's buffer, `root` is what it is a view of, `next` how many nodes still read that
/// memory (of a root; [`NONE`] for ever), `last` how many still read the tensor itself, `first` whether it is there.
struct List<'a> {
    graph: GraphView<'a>,
    buffers: &'a mut [Buffer],
    rule: Rule,
    live: u64,
    /// What the op before wrote.
    written: Option<TensorId>,
}

/// Buffer that is there.
const THERE: u32 = 0;

impl<'a> List<'a> {
    fn new(graph: GraphView<'a>, buffers: &'a mut [Buffer], rule: Rule) -> Result<Self, Error> {
        let count = graph.tensors().len();
        let needed = u32::try_from(count).unwrap_or(NONE);
        let buffers = buffers.get_mut(..count).ok_or(Error::ScratchTooSmall { needed })?;
        let mut list = Self { graph, buffers, rule, live: 0, written: None };
        for ((number, buffer), tensor) in (0..NONE).zip(list.buffers.iter_mut()).zip(graph.tensors()) {
            // Forward, what no op writes is there at the start; backward, nothing is before its last reader.
            let there = tensor.kind != TensorKind::Activation && rule != Rule::Backward;
            *buffer = Buffer { root: number, first: if there { THERE } else { NONE }, last: 0, next: 0, offset: 0 };
        }
        for node in graph.nodes() {
            let operands = graph.operands(node);
            if let (true, Some(&viewed)) = (node.op.is_view(), operands.ids().first()) {
                let root = list.buffer(viewed).root;
                list.edit(node.output, |buffer| buffer.root = root);
            }
            for &id in operands.ids() {
                list.edit(id, |buffer| buffer.last = buffer.last.saturating_add(1));
            }
            if !node.op.is_view() {
                list.each_root(node, |buffer| buffer.next = buffer.next.saturating_add(1));
            }
        }
        // Outputs of the graph are there to the end.
        for number in 0..needed {
            let buffer = list.buffer(TensorId(number));
            if buffer.last == 0 {
                list.edit(TensorId(buffer.root), |root| root.next = NONE);
            }
            if rule != Rule::Backward && buffer.first == THERE || rule == Rule::Backward && buffer.last == 0 {
                list.live = list.live.saturating_add(list.bytes(TensorId(buffer.root)).0);
                list.edit(TensorId(buffer.root), |root| root.first = THERE);
            }
        }
        Ok(list)
    }

    fn buffer(&self, id: TensorId) -> Buffer {
        self.buffers.get(id.index()).copied().unwrap_or(Buffer::EMPTY)
    }

    fn edit(&mut self, id: TensorId, change: impl FnOnce(&mut Buffer)) {
        if let Some(buffer) = self.buffers.get_mut(id.index()) {
            change(buffer);
        }
    }

    /// Changes the buffer of each memory that a node reads, once.
    fn each_root(&mut self, node: &Node, change: impl Fn(&mut Buffer)) {
        for &root in &self.roots(node) {
            self.edit(root, &change);
        }
    }

    /// The memories that a node reads, each once.
    fn roots(&self, node: &Node) -> heapless::Vec<TensorId, 16> {
        let ids = self.graph.operands(node).ids();
        let mut roots = heapless::Vec::new();
        for id in ids {
            let root = TensorId(self.buffer(*id).root);
            // Beyond sixteen operands a repeated one counts twice: the order may be worse, never wrong.
            if !roots.contains(&root) && roots.push(root).is_err() {
                break;
            }
        }
        roots
    }

    fn bytes(&self, id: TensorId) -> Bytes {
        let tensor = self.graph.tensors().get(id.index()).filter(|tensor| !tensor.kind.is_stored());
        tensor.and_then(|tensor| Tensor::bytes(tensor).ok()).unwrap_or(Bytes::ZERO)
    }

    /// Whether the next step can be this node, and it was not yet.
    fn ready(&self, node: &Node) -> bool {
        let there = |id: TensorId| self.buffer(id).first == THERE;
        if self.rule == Rule::Backward {
            // All that read its outputs come later and are placed; `offset` says that it is placed itself.
            let read = self.graph.outputs(node).all(|id| self.buffer(id).last == 0);
            read && self.buffer(node.output).offset == 0
        } else {
            !there(node.output) && self.graph.operands(node).ids().iter().all(|&id| there(id))
        }
    }

    /// Bytes alive while the node runs, and after it; backward, before it.
    fn cost(&self, node: &Node) -> (u64, u64) {
        let mut written = 0_u64;
        for id in self.graph.outputs(node) {
            let own = self.buffer(id).root == id.0;
            let counts = own && (self.rule != Rule::Backward || self.buffer(id).first == THERE);
            written = written.saturating_add(if counts { self.bytes(id).0 } else { 0 });
        }
        let mut read = 0_u64;
        for &root in &self.roots(node) {
            let buffer = self.buffer(root);
            let changes = if self.rule == Rule::Backward { buffer.first != THERE } else { buffer.next == 1 };
            if changes && !node.op.is_view() {
                read = read.saturating_add(self.bytes(root).0);
            }
        }
        if self.rule == Rule::Backward {
            return (self.live.saturating_add(read), self.live.saturating_add(read).saturating_sub(written));
        }
        let over = node.op.in_place() && read > 0;
        let during = self.live.saturating_add(if over { 0 } else { written });
        (during, self.live.saturating_add(written).saturating_sub(read))
    }

    /// Fills the order from its start, or from its end.
    fn run(&mut self, order: &mut [u32]) -> Result<(), Error> {
        let graph = self.graph;
        let count = order.len();
        for place in 0..count {
            let mut best: Option<((u64, u64), u32)> = None;
            for (number, node) in (0..NONE).zip(graph.nodes()) {
                if !self.ready(node) {
                    continue;
                }
                let (during, after) = self.cost(node);
                let follows = self.written.is_some_and(|written| graph.operands(node).ids().contains(&written));
                let key = match self.rule {
                    // A view costs nothing, and lets its readers be ready.
                    _ if node.op.is_view() => (0, 0),
                    Rule::FewestAfter => (after, during),
                    Rule::FewestDuring => (during, after),
                    Rule::Depth => (u64::from(!follows), after),
                    Rule::Backward => (after, during),
                };
                let later = self.rule == Rule::Backward;
                if best.is_none_or(|(least, _)| key < least || later && key == least) {
                    best = Some((key, number));
                }
            }
            let (_, number) = best.ok_or(Error::UnknownTensor { operand: 0 })?;
            let at = if self.rule == Rule::Backward { count.saturating_sub(1).saturating_sub(place) } else { place };
            if let (Some(slot), Some(node)) =
                (order.get_mut(at), usize::try_from(number).ok().and_then(|index| graph.nodes().get(index)))
            {
                *slot = number;
                self.place(node);
            }
        }
        Ok(())
    }

    /// Runs a node.
    fn place(&mut self, node: &Node) {
        let (_, after) = self.cost(node);
        self.live = after;
        if self.rule == Rule::Backward {
            for id in self.graph.outputs(node) {
                self.edit(id, |buffer| buffer.offset = 1);
            }
            for &id in self.graph.operands(node).ids() {
                self.edit(id, |buffer| buffer.last = buffer.last.saturating_sub(1));
            }
            if !node.op.is_view() {
                self.each_root(node, |buffer| buffer.first = THERE);
            }
        } else {
            for id in self.graph.outputs(node) {
                self.edit(id, |buffer| buffer.first = THERE);
            }
            if !node.op.is_view() {
                self.each_root(node, |buffer| {
                    buffer.next = if buffer.next == NONE { NONE } else { buffer.next.saturating_sub(1) };
                });
            }
            self.written = Some(node.output);
        }
    }
}
