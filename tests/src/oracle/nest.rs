//! Loop nests of convolutions, walked tile by tile: bytes moved at the innermost level, bytes held, and the best of all tilings.
//!
//! Nothing here knows a formula for traffic: a tile that is not the one before it is moved, its input positions marked one by one.

use std::collections::HashMap;

use derate_core::nest::{ConvLoops, Dim, ElementSizes, Operand};
use derate_core::tile::{Buffer, LevelTiling, TileLoop};

/// Dims of a convolution, in the order of [`Ranges`].
pub const DIMS: [Dim; 7] = [Dim::Group, Dim::Batch, Dim::COut, Dim::CIn, Dim::Depth, Dim::Height, Dim::Width];

/// A tile: from and to along each dim.
pub type Ranges = [(u64, u64); 7];

/// Place of a dim.
///
/// # Panics
/// For a dim that no convolution has.
#[must_use]
pub fn place(dim: Dim) -> usize {
    DIMS.iter().position(|&other| other == dim).expect("a dim of a convolution")
}

/// Whether an operand depends on the dim at a place.
#[must_use]
pub fn depends(operand: Operand, place: usize) -> bool {
    match operand {
        Operand::A => place != 2,
        Operand::B => ![1, 4, 5, 6].contains(&place),
        Operand::C => place != 3,
    }
}

/// The whole of a convolution.
#[must_use]
pub fn whole(loops: &ConvLoops) -> Ranges {
    let [depth, height, width] = loops.output;
    [loops.groups, loops.batch, loops.c_out, loops.c_in, depth, height, width].map(|extent| (0, extent))
}

/// What a walk counts at its innermost level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Bytes of A, B and C that move.
    pub moved: [u64; 3],
    /// Most bytes of a tile of each operand.
    pub held: [u64; 3],
    /// Tiles of the innermost level.
    pub steps: u64,
}

/// Elements of tiles of a convolution, counted by marking.
#[derive(Debug)]
pub struct Elements {
    loops: ConvLoops,
    axes: [HashMap<(u64, u64), u64>; 3],
}

impl Elements {
    /// Of these loops.
    #[must_use]
    pub fn new(loops: &ConvLoops) -> Self {
        Self { loops: *loops, axes: [HashMap::new(), HashMap::new(), HashMap::new()] }
    }

    /// Elements that a tile of an operand has.
    pub fn of(&mut self, operand: Operand, tile: &Ranges) -> u64 {
        let extent = |place: usize| tile[place].1 - tile[place].0;
        match operand {
            Operand::A => {
                let positions: u64 = (0..3).map(|axis| self.positions(axis, tile[4 + axis])).product();
                extent(0) * extent(1) * extent(3) * positions
            }
            Operand::B => extent(0) * extent(2) * extent(3) * self.loops.kernel.iter().product::<u64>(),
            Operand::C => [0, 1, 2, 4, 5, 6].into_iter().map(extent).product(),
        }
    }

    /// Input positions of an axis between the first and the last tap of windows that touch or overlap, each marked once.
    fn positions(&mut self, axis: usize, windows: (u64, u64)) -> u64 {
        let loops = &self.loops;
        *self.axes[axis].entry(windows).or_insert_with(|| {
            let (stride, padding) = (loops.stride[axis] as i64, loops.padding[axis] as i64);
            let reach = (loops.dilation[axis] * (loops.kernel[axis] - 1) + 1) as i64;
            let mut marks = vec![false; loops.input[axis] as usize];
            let mut mark = |from: i64, to: i64| {
                for position in from..to {
                    if let Some(mark) = usize::try_from(position).ok().and_then(|position| marks.get_mut(position)) {
                        *mark = true;
                    }
                }
            };
            for window in windows.0 as i64..windows.1 as i64 {
                let start = window * stride - padding;
                mark(start, start + reach);
                // A gap that is narrower than a window is moved with it.
                if window + 1 < windows.1 as i64 && stride <= reach {
                    mark(start, start + stride);
                }
            }
            marks.iter().filter(|&&mark| mark).count() as u64
        })
    }
}

const OPERANDS: [Operand; 3] = [Operand::A, Operand::B, Operand::C];

/// Calls with each innermost tile, in the order of the loops.
pub fn walk(ranges: &mut Ranges, loops: &[(usize, u64)], each: &mut impl FnMut(&Ranges)) {
    let Some((&(place, tile), inner)) = loops.split_first() else { return each(ranges) };
    let (from, to) = ranges[place];
    let mut start = from;
    while start < to {
        ranges[place] = (start, to.min(start + tile));
        walk(ranges, inner, each);
        start += tile;
    }
    ranges[place] = (from, to);
}

/// Walks loops of all levels, outermost first.
pub fn walked(loops: &ConvLoops, sizes: &ElementSizes, nest: &[(usize, u64)], elements: &mut Elements) -> Walked {
    let mut result = Walked::default();
    let bytes = [sizes.a, sizes.b, sizes.partial];
    let mut present: [Option<Ranges>; 3] = [None; 3];
    let mut visits: HashMap<Ranges, u64> = HashMap::new();
    walk(&mut whole(loops), nest, &mut |tile| {
        result.steps += 1;
        for (index, operand) in OPERANDS.into_iter().enumerate() {
            let mut own = *tile;
            for (place, range) in own.iter_mut().enumerate() {
                if !depends(operand, place) {
                    *range = (0, 0);
                }
            }
            if present[index] == Some(own) {
                continue;
            }
            present[index] = Some(own);
            let size = elements.of(operand, tile);
            result.held[index] = result.held[index].max(size * bytes[index]);
            match operand {
                Operand::A | Operand::B => result.moved[index] += size * bytes[index],
                Operand::C => {
                    let visit = visits.entry(own).or_default();
                    // The result when it is finished; what was there before comes back, having been written.
                    result.moved[2] += if *visit == 0 { size * sizes.c } else { 2 * size * sizes.partial };
                    *visit += 1;
                }
            }
        }
    });
    result
}

/// Bytes that a level holds: tiles of operands that do not stay take room twice where it is double-buffered. The innermost loop
/// of the nest that steps says what stays; groups leave nothing.
#[must_use]
pub fn footprint(loops: &ConvLoops, nest: &[(usize, u64)], held: [u64; 3], double: bool) -> u64 {
    let mut extents = whole(loops).map(|(_, to)| to);
    let mut last = None;
    for &(place, tile) in nest {
        if tile < extents[place] {
            (extents[place], last) = (tile, Some(place));
        }
    }
    let times = |operand| match last {
        Some(place) if depends(operand, place) && double => 2,
        _ => 1,
    };
    OPERANDS.into_iter().zip(held).map(|(operand, held)| held * times(operand)).sum()
}

/// Loops of a level as a walk takes them.
#[must_use]
pub fn of_level(level: &LevelTiling) -> Vec<(usize, u64)> {
    level.loops.iter().map(|&TileLoop { dim, tile, .. }| (place(dim), tile)).collect()
}

/// Orders of the classes group, positions, output channels, input channels.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for code in 0..256 {
        let order = [code >> 6 & 3, code >> 4 & 3, code >> 2 & 3, code & 3];
        if (0..4).all(|class| order.contains(&class)) {
            orders.push(order);
        }
    }
    orders
}

/// Calls with the loops of every tiling of a level that fits, after those of the levels outside it, and with the bytes that it moves: every
/// size of every tile, every order of the classes of loops, each walked. Loops of one class (those of positions) are of the same
/// operands, so their order matters to none.
fn each_tiling(
    loops: &ConvLoops,
    sizes: &ElementSizes,
    outer: &[(usize, u64)],
    buffer: &Buffer,
    each: &mut impl FnMut(&[(usize, u64)], u64),
) {
    let mut extents = whole(loops).map(|(_, to)| to);
    for &(place, tile) in outer {
        extents[place] = extents[place].min(tile);
    }
    let classes: [&[usize]; 4] = [&[0], &[1, 4, 5, 6], &[2], &[3]];
    let mut elements = Elements::new(loops);
    let mut tile = [1; 7];
    loop {
        let cut = |class: usize| classes[class].iter().any(|&place| tile[place] < extents[place]);
        let mut tried = Vec::new();
        for order in orders() {
            let order: Vec<usize> = order.into_iter().filter(|&class| cut(class)).collect();
            if tried.contains(&order) {
                continue;
            }
            let inner = order.iter().flat_map(|&class| classes[class]).map(|&place| (place, tile[place]));
            let nest: Vec<(usize, u64)> = outer.iter().copied().chain(inner).collect();
            tried.push(order);
            // The first tile is the largest but where it lies in the padding: room for half of it is room for none of it.
            let first: Ranges = tile.map(|tile| (0, tile));
            let parts = [elements.of(Operand::B, &first) * sizes.b, elements.of(Operand::C, &first) * sizes.partial];
            if parts.iter().sum::<u64>() > buffer.capacity.0 {
                break;
            }
            let walked = walked(loops, sizes, &nest, &mut elements);
            if footprint(loops, &nest, walked.held, buffer.double_buffered) <= buffer.capacity.0 {
                each(&nest, walked.moved.iter().sum());
            }
        }
        // The next sizes, as a number counts on.
        let Some(digit) = (0..7).find(|&digit| tile[digit] < extents[digit]) else { return };
        tile[digit] += 1;
        tile[..digit].fill(1);
    }
}

/// The least bytes that a level can move inside these loops of the levels outside it; `None` where no tiling fits.
#[must_use]
pub fn best(loops: &ConvLoops, sizes: &ElementSizes, outer: &[(usize, u64)], buffer: &Buffer) -> Option<u64> {
    let mut best: Option<u64> = None;
    each_tiling(loops, sizes, outer, buffer, &mut |_, total| best = Some(best.map_or(total, |best| best.min(total))));
    best
}

/// The least bytes that two levels can move together, the inner one first; `None` where no tilings fit.
#[must_use]
pub fn best_of_two(loops: &ConvLoops, sizes: &ElementSizes, [inner, outer]: &[Buffer; 2]) -> Option<u64> {
    let mut outside = Vec::new();
    each_tiling(loops, sizes, &[], outer, &mut |nest, total| outside.push((total, nest.to_vec())));
    outside.sort();
    // An inner level moves at least what it would in the best of all outer tiles.
    let least = best(loops, sizes, &[], inner)?;
    let mut both: Option<u64> = None;
    for (total, nest) in outside {
        if both.is_some_and(|both| total + least >= both) {
            break;
        }
        if let Some(inside) = best(loops, sizes, &nest, inner) {
            both = Some(both.map_or(total + inside, |both| both.min(total + inside)));
        }
    }
    both
}
