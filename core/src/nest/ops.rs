//! From ops to nests: the products of a node, as loops.

use super::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, MAX_NESTS};
use crate::error::Error;
use crate::graph::{GraphView, Node};
use crate::op::{Conv, MultiHeadAttention, Op, Windows};
use crate::shape::product;
use crate::work::Gemm;

/// Appends the products of a node.
pub(super) fn nests_of(
    graph: GraphView<'_>,
    node: &Node,
    nests: &mut heapless::Vec<LoopNest, MAX_NESTS>,
) -> Result<(), Error> {
    let operands = graph.operands(node);
    let (input, output) = (operands.at(0)?, graph.output(node)?);
    let a = input.data_type.size().0;
    let accumulator = input.data_type.accumulator().size().0;
    let sizes = ElementSizes { a, b: a, partial: accumulator, c: output.data_type.size().0 };
    let stored = |weights: Option<crate::shape::DataType>| weights.map_or(a, |stored| stored.size().0);
    let mut push = |loops, sizes, weighted, repeats| {
        nests.push(LoopNest { loops, sizes, homes: Homes::COLD, weighted, repeats }).map_err(|_| Error::CountOverflow)
    };
    let gemm = || graph.work(node).map(|work| work.gemm);
    match &node.op {
        Op::Conv(op) => {
            let sizes = ElementSizes { b: stored(op.weights), ..sizes };
            let loops = conv_loops(op, input.shape.extents(), output.shape.extents())?;
            push(loops, sizes, true, 1)
        }
        Op::MultiHeadAttention(op) => {
            let extent = |tensor: &crate::tensor::Tensor, axis| tensor.shape.extent(axis).map_or(0, u64::from);
            let (query, key) = (input, operands.at(1)?);
            multi_head(op, [extent(query, 0), extent(query, 1), extent(key, 1)])?
                .into_iter()
                .try_for_each(|(loops, weighted)| push(loops, sizes, weighted, 1))
        }
        Op::Attention(_) => {
            let (key, value) = (operands.at(1)?, operands.at(2)?);
            let last =
                |tensor: &crate::tensor::Tensor| tensor.shape.extents().last().map_or(0, |&extent| u64::from(extent));
            match gemm()? {
                Some(Gemm { m, n, groups, .. }) => {
                    let loops = AttentionLoops { groups, m, n, d: last(key), d_v: last(value) };
                    push(Loops::Attention(loops), sizes, false, 1)
                }
                None => Ok(()),
            }
        }
        Op::Recurrent(_) => match gemm()? {
            Some(Gemm { m, n, k, groups: steps }) => push(Loops::Gemm(Gemm { m, n, k, groups: 1 }), sizes, true, steps),
            None => Ok(()),
        },
        op => match gemm()? {
            Some(gemm) => {
                let (b, weighted) = match op {
                    Op::Linear(op) => (stored(op.weights), true),
                    Op::ConvTranspose(op) => (stored(op.weights), true),
                    _ => (operands.at(1)?.data_type.size().0, operands.at(1)?.kind.is_stored()),
                };
                push(Loops::Gemm(gemm), ElementSizes { b, ..sizes }, weighted, 1)
            }
            None => Ok(()),
        },
    }
}

/// Two products of which one takes the scores of the other, last first, are an attention.
pub(super) fn join_attention(nests: &mut heapless::Vec<LoopNest, MAX_NESTS>) {
    let [second, first] = nests.as_slice() else { return };
    let (Loops::Gemm(values), Loops::Gemm(scores)) = (second.loops, first.loops) else { return };
    if values.groups == scores.groups
        && values.m == scores.m
        && values.k == scores.n
        && !first.weighted
        && !second.weighted
    {
        let Gemm { m, n, k: d, groups } = scores;
        let joined = LoopNest { loops: Loops::Attention(AttentionLoops { groups, m, n, d, d_v: values.n }), ..*first };
        nests.clear();
        nests.push(joined).ok();
    }
}

/// Loops of a convolution; a matrix product where its windows are single taps that lie side by side.
fn conv_loops(op: &Conv, input: &[u32], output: &[u32]) -> Result<Loops, Error> {
    let channels = |count: u32| u64::from(count).checked_div(u64::from(op.groups)).unwrap_or(0);
    let mut loops = ConvLoops {
        batch: input.first().map_or(0, |&batch| u64::from(batch)),
        groups: u64::from(op.groups),
        c_in: channels(op.c_in),
        c_out: channels(op.c_out),
        input: [1; 3],
        output: [1; 3],
        kernel: [1; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
    };
    let axes = op.windows.axes();
    let skipped = Windows::MAX.saturating_sub(axes.len());
    let (input, output) = (input.iter().skip(2), output.iter().skip(2));
    for (index, ((window, &input), &output)) in (skipped..Windows::MAX).zip(axes.iter().zip(input).zip(output)) {
        let set = |array: &mut [u64; 3], value: u64| {
            if let Some(place) = array.get_mut(index) {
                *place = value;
            }
        };
        set(&mut loops.input, u64::from(input));
        set(&mut loops.output, u64::from(output));
        set(&mut loops.kernel, u64::from(window.kernel));
        set(&mut loops.stride, u64::from(window.stride));
        set(&mut loops.dilation, u64::from(window.dilation));
        set(&mut loops.padding, u64::from(window.padding[0]));
    }
    let pointwise = loops.kernel == [1; 3] && loops.input == loops.output && loops.stride == [1; 3];
    Ok(if pointwise {
        let m = product([loops.batch, product(loops.output)?])?;
        Loops::Gemm(Gemm { m, n: loops.c_out, k: loops.c_in, groups: loops.groups })
    } else {
        Loops::Conv(loops)
    })
}

/// The projections of queries, keys and values, the attention, the projection of its result; and whether B is weights.
fn multi_head(op: &MultiHeadAttention, [n, l, s]: [u64; 3]) -> Result<[(Loops, bool); 5], Error> {
    let [embed, heads, k, v] = [op.embed, op.heads, op.k_features, op.v_features].map(u64::from);
    let depth = embed.checked_div(heads).unwrap_or(0);
    let projection =
        |rows, features| Ok((Loops::Gemm(Gemm { m: product([n, rows])?, n: embed, k: features, groups: 1 }), true));
    let groups = product([n, heads])?;
    let core = Loops::Attention(AttentionLoops { groups, m: l, n: s, d: depth, d_v: depth });
    Ok([projection(l, embed)?, projection(s, k)?, projection(s, v)?, (core, false), projection(l, embed)?])
}
