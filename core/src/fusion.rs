//! Fusion: which ops a runtime runs as one kernel, and what such a kernel moves.
//!
//! A [`Policy`] says it as data: patterns of ops along a chain, each with its reason. [`fuse`] walks the graph once; each op
//! belongs to exactly one kernel. A tensor inside a kernel is read by that kernel only, so a kernel can run where its last op
//! stands, after everything it reads. Traffic of a kernel is what crosses its border: nothing computed is lost, no MAC is added.

mod kernel;
mod policy;

pub use kernel::Kernel;
pub use policy::{EAGER, INFERENCE, MCU, POLICIES, Part, Policy, Rule, Step, Times, ViewRule};

use crate::error::Error;
use crate::graph::{GraphView, Node};
use crate::op::{BinaryKind, Op};
use crate::tensor::TensorId;

/// No node.
const NONE: u32 = u32::MAX;

/// Who reads a tensor. Scratch for [`fuse`]: [`Readers::NOBODY`] for each tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Readers {
    /// How often it is read.
    count: u32,
    /// Node that reads it first.
    first: u32,
    /// Node that reads it last.
    last: u32,
}

impl Readers {
    /// A tensor that nobody reads.
    pub const NOBODY: Self = Self { count: 0, first: NONE, last: NONE };
}

/// Place of a node in its kernel. Scratch for [`fuse`]: [`Link::FREE`] for each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Link {
    /// The node before it in the kernel.
    previous: u32,
    /// Rule of the policy that made the kernel.
    rule: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// In no kernel yet.
    Free,
    /// Inside a kernel.
    Inner,
    /// The last of its kernel.
    Last,
}

/// Kernel of one op, which no rule made.
const NO_RULE: u8 = u8::MAX;

impl Link {
    /// A node that is in no kernel yet.
    pub const FREE: Self = Self { previous: NONE, rule: NO_RULE, state: State::Free };
}

/// A graph whose ops are grouped into kernels.
#[derive(Clone, Copy, Debug)]
pub struct Fused<'a> {
    graph: GraphView<'a>,
    policy: &'a Policy,
    links: &'a [Link],
}

/// Groups the ops of a graph into kernels. Scratch: one entry of `readers` for each tensor, one of `links` for each node.
///
/// # Errors
/// [`Error::ScratchTooSmall`].
pub fn fuse<'a>(
    graph: GraphView<'a>,
    policy: &'a Policy,
    readers: &mut [Readers],
    links: &'a mut [Link],
) -> Result<Fused<'a>, Error> {
    let small = |needed: usize| Error::ScratchTooSmall { needed: u32::try_from(needed).unwrap_or(NONE) };
    let readers = readers.get_mut(..graph.tensors().len()).ok_or(small(graph.tensors().len()))?;
    let links = links.get_mut(..graph.nodes().len()).ok_or(small(graph.nodes().len()))?;
    readers.fill(Readers::NOBODY);
    links.fill(Link::FREE);
    for (number, node) in (0..NONE).zip(graph.nodes()) {
        for id in graph.operands(node).ids() {
            if let Some(tensor) = readers.get_mut(id.index()) {
                tensor.count = tensor.count.saturating_add(1);
                tensor.first = tensor.first.min(number);
                tensor.last = number;
            }
        }
    }
    let mut fuser = Fuser { graph, readers, links };
    let (mut trail, mut longest) = (Trail::new(), Trail::new());
    for (number, _) in (0..NONE).zip(graph.nodes()) {
        if fuser.link(number).state != State::Free {
            continue;
        }
        longest.clear();
        let mut chosen = NO_RULE;
        if let Some(next) = fuser.next(number) {
            for (index, rule) in (0..NO_RULE).zip(policy.rules) {
                fuser.walk(number, &next, rule, &mut trail);
                if trail.len() > longest.len() {
                    core::mem::swap(&mut trail, &mut longest);
                    chosen = index;
                }
            }
        }
        fuser.assign(number, &longest, chosen);
    }
    Ok(Fused { graph, policy, links })
}

/// The nodes of a chain after its first, each with the one before it in the kernel.
type Trail = heapless::Vec<(u32, u32), MAX_MEMBERS>;

struct Fuser<'a, 's> {
    graph: GraphView<'a>,
    readers: &'s [Readers],
    links: &'s mut [Link],
}

/// The op that can follow in a chain.
#[derive(Clone, Copy)]
struct Next {
    node: u32,
    /// An activation between, which only that op reads: x · sigmoid(x).
    between: Option<u32>,
}

impl<'a> Fuser<'a, '_> {
    fn node(&self, number: u32) -> Option<&'a Node> {
        self.graph.nodes().get(usize::try_from(number).ok()?)
    }

    fn link(&self, number: u32) -> Link {
        usize::try_from(number).ok().and_then(|index| self.links.get(index)).copied().unwrap_or(Link::FREE)
    }

    fn readers(&self, id: TensorId) -> Readers {
        self.readers.get(id.index()).copied().unwrap_or(Readers::NOBODY)
    }

    fn is_free(&self, number: u32) -> bool {
        self.link(number).state == State::Free
    }

    /// The one op that reads what a node computes, if nobody else does and it is in no kernel.
    fn next(&self, number: u32) -> Option<Next> {
        let node = self.node(number).filter(|node| node.op.output_count() == 1)?;
        let readers = self.readers(node.output);
        if readers.count == 1 {
            return Some(Next { node: readers.first, between: None }).filter(|next| self.is_free(next.node));
        }
        // x · f(x): the product reads both, and is the only one that reads f(x).
        let (function, product) = (self.node(readers.first)?, self.node(readers.last)?);
        let inner = self.readers(function.output);
        let diamond = readers.count == 2
            && readers.first != readers.last
            && matches!(function.op, Op::Activation(_))
            && matches!(&product.op, Op::Binary(op) if op.kind == BinaryKind::Mul)
            && (inner.count, inner.first) == (1, readers.last)
            && self.is_free(readers.first)
            && self.is_free(readers.last);
        diamond.then_some(Next { node: readers.last, between: Some(readers.first) })
    }

    /// Follows a rule from a node, of which `next` is what can follow, and leaves in `trail` the longest chain that it allows; an empty
    /// one where it does not hold.
    fn walk(&self, start: u32, next: &Next, rule: &Rule, trail: &mut Trail) {
        trail.clear();
        let Some(mut steps) = self.begin(start, rule) else { return };
        let mut complete = 0;
        let mut at = start;
        let mut following = Some(*next);
        while let Some(next) = following {
            let Some(node) = self.node(next.node) else { break };
            // A view belongs to the kernel if the chain goes on behind it.
            let is_view = node.op.is_view() && next.between.is_none();
            if !is_view {
                let Some(left) = self.advance(steps, node, at, next.between.is_some()) else { break };
                steps = left;
            }
            if let Some(between) = next.between {
                if trail.push((between, at)).is_err() {
                    break;
                }
                at = between;
            }
            if trail.push((next.node, at)).is_err() {
                break;
            }
            at = next.node;
            if !is_view && steps.iter().all(|step| step.times != Times::Once) {
                complete = trail.len();
            }
            following = self.next(at);
        }
        trail.truncate(complete);
    }

    /// The steps of a rule that are left once a node is its first; `None` where it cannot be.
    fn begin<'r>(&self, start: u32, rule: &'r Rule) -> Option<&'r [Step]> {
        let node = self.node(start)?;
        let (first, rest) = rule.steps.split_first()?;
        if first.part.matches(self.graph, node, None) {
            return Some(if first.times == Times::Any { rule.steps } else { rest });
        }
        // A first step that is optional, such as padding before a convolution, may be left out.
        let (second, rest) = rest.split_first().filter(|_| first.times != Times::Once)?;
        second.part.matches(self.graph, node, None).then_some(rest)
    }

    /// The steps that are left once this node took its place in them; `None` where it has none.
    fn advance<'r>(&self, mut steps: &'r [Step], node: &Node, before: u32, diamond: bool) -> Option<&'r [Step]> {
        let chain = self.node(before)?.output;
        while let Some((step, rest)) = steps.split_first() {
            let fits = if diamond {
                step.part == Part::Activation || step.part == Part::Pointwise
            } else {
                step.part.matches(self.graph, node, Some(chain))
            };
            if fits {
                return Some(if step.times == Times::Any { steps } else { rest });
            }
            if step.times == Times::Once {
                return None;
            }
            steps = rest;
        }
        None
    }

    /// Makes a node and those that follow it one kernel.
    fn assign(&mut self, start: u32, trail: &Trail, rule: u8) {
        let mut last = Link { previous: NONE, rule, state: State::Inner };
        let mut number = start;
        for &(node, before) in trail {
            self.set(number, last);
            last = Link { previous: before, rule, state: State::Inner };
            number = node;
        }
        self.set(number, Link { state: State::Last, ..last });
    }

    fn set(&mut self, number: u32, link: Link) {
        if let Some(place) = usize::try_from(number).ok().and_then(|index| self.links.get_mut(index)) {
            *place = link;
        }
    }
}

/// Most ops of a kernel but the first; a longer chain is cut.
const MAX_MEMBERS: usize = 32;

impl<'a> Fused<'a> {
    /// The graph.
    #[must_use]
    pub const fn graph(&self) -> GraphView<'a> {
        self.graph
    }

    /// The policy that grouped it.
    #[must_use]
    pub const fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The kernels, in an order in which each runs after those it reads from.
    pub fn kernels(&self) -> impl Iterator<Item = Kernel<'a>> + use<'a> {
        let fused = *self;
        (0..NONE).zip(fused.links).filter(|(_, link)| link.state == State::Last).map(move |(last, link)| Kernel {
            fused,
            last,
            rule: link.rule,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Build, Graph, Tables};
    use crate::op::{Activation, ActivationKind, BatchNorm, Binary, Conv, MatMul, Scalar, Softmax, Windows};
    use crate::shape::DataType;
    use crate::units::Bytes;
    use crate::work::{Class, Work};

    type Net = Graph<16, 32>;

    fn conv() -> Op {
        let windows = Windows::square(3, 1, 1);
        Op::Conv(Conv { c_in: 8, c_out: 8, groups: 1, windows, bias: false, weights: None })
    }

    const BATCH_NORM: Op = Op::BatchNorm(BatchNorm { features: 8 });
    const RELU: Op = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true });
    const SIGMOID: Op = Op::Activation(Activation { kind: ActivationKind::Sigmoid, in_place: false });
    const ADD: Op = Op::Binary(Binary { kind: BinaryKind::Add, in_place: false });
    const MUL: Op = Op::Binary(Binary { kind: BinaryKind::Mul, in_place: false });

    /// Node numbers of each kernel, first to last, and its work.
    fn kernels(net: &Net, policy: &'static Policy) -> Result<std::vec::Vec<(std::vec::Vec<u32>, Work)>, Error> {
        let (mut readers, mut links) = ([Readers::NOBODY; 32], [Link::FREE; 16]);
        let fused = fuse(net.view(), policy, &mut readers, &mut links)?;
        let numbers = |kernel: &Kernel<'_>| {
            let mut numbers: std::vec::Vec<u32> = kernel.nodes().collect();
            numbers.reverse();
            numbers
        };
        fused.kernels().map(|kernel| Ok((numbers(&kernel), kernel.work()?))).collect()
    }

    #[test]
    fn a_residual_block_is_two_kernels_and_its_shortcut() -> Result<(), Error> {
        let mut net = Net::new();
        let x = net.input(&[1, 8, 4, 4], DataType::Fp32)?;
        let mut at = x;
        for op in [conv(), BATCH_NORM, RELU, conv(), BATCH_NORM] {
            at = net.op(op, &[at])?;
        }
        let shortcut = net.op(conv(), &[x])?;
        let shortcut = net.op(BATCH_NORM, &[shortcut])?;
        let sum = net.op(ADD, &[at, shortcut])?;
        net.op(RELU, &[sum])?;

        let got = kernels(&net, &INFERENCE)?;
        let numbers: std::vec::Vec<_> = got.iter().map(|(numbers, _)| numbers.as_slice()).collect();
        assert_eq!(numbers, [&[0, 1, 2][..], &[5, 6], &[3, 4, 7, 8]]);
        // 128 elements of 4 bytes; the second convolution reads its input and the shortcut, and writes the sum. Weights and 8 biases.
        let (_, work) = &got[2];
        assert_eq!((work.bytes_in, work.bytes_out, work.bytes_weight), (Bytes(1024), Bytes(512), Bytes(4 * (576 + 8))));
        // 2 · MACs, and one each for the folded norm's bias, the sum and the ReLU.
        assert_eq!((work.macs.0, work.flops.0), (128 * 72, 2 * 128 * 72 + 3 * 128));
        assert_eq!((work.class, work.params), (Class::Conv, 576 + 16));

        let eager = kernels(&net, &EAGER)?;
        assert_eq!(eager.len(), 9);
        let mcu: std::vec::Vec<_> = kernels(&net, &MCU)?.into_iter().map(|(numbers, _)| numbers).collect();
        assert_eq!(mcu, [&[0, 1, 2][..], &[3, 4], &[5, 6], &[7, 8]]);
        Ok(())
    }

    #[test]
    fn a_tensor_that_others_read_stays_outside() -> Result<(), Error> {
        let mut net = Net::new();
        let x = net.input(&[1, 8, 4, 4], DataType::Fp32)?;
        let a = net.op(conv(), &[x])?;
        let b = net.op(RELU, &[a])?;
        net.op(ADD, &[a, b])?;
        let numbers: std::vec::Vec<_> = kernels(&net, &INFERENCE)?.into_iter().map(|(numbers, _)| numbers).collect();
        assert_eq!(numbers, [&[0][..], &[1, 2]], "the convolution's result is read twice; ReLU and sum are a chain");
        Ok(())
    }

    #[test]
    fn silu_written_as_a_product_is_part_of_the_convolution() -> Result<(), Error> {
        let mut net = Net::new();
        let x = net.input(&[1, 8, 4, 4], DataType::Fp32)?;
        let a = net.op(conv(), &[x])?;
        let s = net.op(SIGMOID, &[a])?;
        net.op(MUL, &[a, s])?;
        let got = kernels(&net, &INFERENCE)?;
        assert_eq!(got.len(), 1);
        let (numbers, work) = &got[0];
        assert_eq!((numbers.as_slice(), work.bytes_in, work.bytes_out), (&[0, 1, 2][..], Bytes(512), Bytes(512)));
        Ok(())
    }

    #[test]
    fn attention_keeps_its_scores_inside() -> Result<(), Error> {
        let mut net = Net::new();
        let q = net.input(&[1, 2, 16, 4], DataType::Fp32)?;
        let k = net.input(&[1, 2, 4, 16], DataType::Fp32)?;
        let v = net.input(&[1, 2, 16, 4], DataType::Fp32)?;
        let product = Op::MatMul(MatMul { transpose_a: false, transpose_b: false });
        let scores = net.op(product, &[q, k])?;
        let scaled = net.op(Op::Scalar(Scalar { kind: BinaryKind::Mul, in_place: false }), &[scores])?;
        let softmax = net.op(Op::Softmax(Softmax { axis: 3, log: false }), &[scaled])?;
        net.op(product, &[softmax, v])?;
        let got = kernels(&net, &INFERENCE)?;
        assert_eq!(got.len(), 1);
        let (_, work) = &got[0];
        // q, k, v and the result: 128 elements each.
        assert_eq!((work.bytes_in, work.bytes_out), (Bytes(3 * 512), Bytes(512)));
        assert_eq!((work.class, work.macs.0), (Class::Attention, 2 * 2 * 16 * 16 * 4));
        Ok(())
    }
}
