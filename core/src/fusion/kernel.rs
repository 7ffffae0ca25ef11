//! Kernels: the ops that a policy runs as one, and the work of all of them together.

use super::{Fused, MAX_MEMBERS, NONE, Rule};
use crate::error::Error;
use crate::graph::Node;
use crate::op::Op;
use crate::tensor::Tensor;
use crate::units::{Bytes, Flops};
use crate::work::{Class, Work};

/// Ops that run as one.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    pub(super) fused: Fused<'a>,
    pub(super) last: u32,
    pub(super) rule: u8,
}

impl<'a> Kernel<'a> {
    /// Numbers of its nodes in the graph, from the last to the first.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        let links = self.fused.links;
        let first = Some(self.last);
        core::iter::successors(first, move |&number| {
            let link = usize::try_from(number).ok().and_then(|index| links.get(index))?;
            Some(link.previous).filter(|&previous| previous != NONE)
        })
    }

    fn members(&self) -> impl Iterator<Item = &'a Node> + Clone + use<'a> {
        let nodes = self.fused.graph.nodes();
        self.nodes().filter_map(move |number| nodes.get(usize::try_from(number).ok()?))
    }

    /// Why these ops are one kernel; `None` where it is a single op.
    #[must_use]
    pub fn rule(&self) -> Option<&'static Rule> {
        self.fused.policy.rules.get(usize::from(self.rule))
    }

    /// Its matrix products, from the last to the first.
    pub fn products(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.members().filter(|node| node.op.is_product())
    }

    /// The node whose result leaves the kernel.
    #[must_use]
    pub fn last(&self) -> Option<&'a Node> {
        self.members().next()
    }

    /// The node that says how the kernel spends its time: the last matrix product, or without any the last that is more than a view.
    #[must_use]
    pub fn main(&self) -> Option<&'a Node> {
        main_of(self.members())
    }

    /// Whether the result lies where an operand from outside lay.
    #[must_use]
    pub fn in_place(&self) -> bool {
        self.members().all(|node| node.op.in_place() || node.op.is_view())
    }

    /// Work of the kernel: all arithmetic of its ops, and the bytes that cross its border. A batch normalisation after a
    /// convolution or linear layer is folded into its weights: what is left of it is a bias.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 of anything.
    pub fn work(&self) -> Result<Work, Error> {
        let graph = self.fused.graph;
        let mut members: heapless::Vec<&Node, MEMBERS> = heapless::Vec::new();
        for node in self.members() {
            members.push(node).ok();
        }
        let (Some(main), Some(last)) = (main_of(members.iter().copied()), members.first()) else {
            return Ok(Work::none(Class::View));
        };
        if members.len() == 1 {
            let work = graph.work(main)?;
            return Ok(if self.fused.policy.is_view(graph, main) { work.as_view() } else { work });
        }
        let mut sum = Work::none(Class::View);
        let (mut class, mut gemm, mut elements_out) = (Class::View, None, 0);
        for node in &members {
            let mut work = graph.work(node)?;
            if node.output == main.output {
                (class, gemm) = (work.class, work.gemm);
            } else if node.op.is_product() {
                // Two products, and what lies between them.
                class = Class::Attention;
            } else if matches!(node.op, Op::BatchNorm(_)) && main.op.is_product() && node.output > main.output {
                fold(&mut work, &main.op, graph.output(node)?.data_type.size());
            }
            // What stays inside is neither written to memory nor read from it.
            if node.output == last.output {
                elements_out = work.elements_out;
            } else {
                work.bytes_out = Bytes::ZERO;
            }
            for &id in graph.operands(node).ids() {
                if members.iter().any(|member| member.output == id) {
                    let inside = graph.tensors().get(id.index()).map_or(Ok(Bytes::ZERO), Tensor::bytes)?;
                    work.bytes_in = Bytes(work.bytes_in.0.saturating_sub(inside.0));
                }
            }
            sum = sum.checked_add(&work)?;
        }
        Ok(Work { gemm, class, elements_out, ..sum })
    }
}

/// Most ops of a kernel.
const MEMBERS: usize = MAX_MEMBERS + 1;

/// Of the members of a kernel, last to first, the one that says how it spends its time.
fn main_of<'a>(members: impl Iterator<Item = &'a Node> + Clone) -> Option<&'a Node> {
    let product = members.clone().find(|node| node.op.is_product());
    product.or_else(|| members.clone().find(|node| !node.op.is_view())).or_else(|| members.clone().next())
}

/// What is left of a batch normalisation once its factors are in the weights before it: one addition an output, and one value a
/// channel, unless there is a bias that takes it in.
fn fold(work: &mut Work, main: &Op, element: Bytes) {
    let bias = match main {
        Op::Conv(op) => op.bias,
        Op::ConvTranspose(op) => op.bias,
        Op::Linear(op) => op.bias,
        _ => false,
    };
    let channels = work.params / 2;
    work.flops = if bias { Flops::ZERO } else { Flops(work.elements_out) };
    work.bytes_weight = if bias { Bytes::ZERO } else { Bytes(channels.saturating_mul(element.0)) };
}
