//! A matrix product as a convolution of one tap: rows are positions, elements of a sum input channels.

use super::{Candidate, Problem, State, Stays, chain, line};
use crate::nest::{ConvLoops, ElementSizes, Operand};
use crate::tile::reuse::{Axis, Cut, Extents};
use crate::tile::{Buffer, MAX_LEVELS};

/// MACs up to which tiles of levels far apart are tried with less than all of their room too.
const FEW: u64 = 1 << 27;

/// Cuts a matrix product for these buffers, as a convolution of one tap: rows are positions, elements of a sum input channels. The
/// operand is the one that stays where there is one tile.
pub(in crate::tile) fn cut_product(
    extents: Extents,
    stays: Operand,
    sizes: &ElementSizes,
    buffers: &[Buffer],
) -> Option<heapless::Vec<Cut, MAX_LEVELS>> {
    let Extents { m, n, k } = extents;
    let rows = [1, m, 1];
    let one = ConvLoops {
        batch: 1,
        groups: 1,
        c_in: k,
        c_out: n,
        input: rows,
        output: rows,
        kernel: [1; 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
    };
    let problem = Problem {
        one: Stays::One(stays),
        few: m.checked_mul(n)?.checked_mul(k)? <= FEW,
        ..Problem::new(&one, sizes).ok()?
    };
    let whole = State::whole(&problem);
    let chain = chain::chain(
        &problem,
        &mut line::lines(&problem, &whole),
        &chain::nested(buffers),
        &[problem.once; MAX_LEVELS],
    );
    let mut chain = chain?;
    chain.grow(&problem, |tile| whole.held_by(&problem, tile), buffers);
    let mut cuts = heapless::Vec::new();
    for Candidate { tile, order, .. } in &chain.levels {
        let [_, rows, _] = tile.axes;
        let order = match order.stationary {
            Operand::A => [Axis::M, Axis::K, Axis::N],
            Operand::B => [Axis::N, Axis::K, Axis::M],
            Operand::C => [Axis::M, Axis::N, Axis::K],
        };
        cuts.push(Cut { tile: Extents { m: rows, n: tile.c_out, k: tile.c_in }, order }).ok()?;
    }
    Some(cuts)
}
