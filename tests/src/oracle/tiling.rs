//! Tilings of matrix products by trying all of them: each tile size, each loop order, each nest walked tile by tile.
//!
//! A level holds one tile of each operand. The walk keeps which, and counts the bytes of each one that is not there yet; of
//! sums it keeps how far each tile of C has come, so that only those that were left are read again.

use std::ops::Range;

use derate_core::nest::{ElementSizes, Operand, Traffic};
use derate_core::tile::Buffer;
use derate_core::units::Bytes;

/// The six orders of the axes m, n, k as 0, 1, 2, outermost first.
pub const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Tiles of one level: extents along m, n, k, and the order of the loops over them, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Extents of a tile.
    pub tile: [u64; 3],
    /// Axes of the loops.
    pub order: [usize; 3],
}

/// What a level holds, and what has passed into it and out of it.
struct Store<'s> {
    sizes: &'s ElementSizes,
    depth: u64,
    rows: u64,
    columns: u64,
    a: Option<[Range<u64>; 2]>,
    b: Option<[Range<u64>; 2]>,
    c: Option<[Range<u64>; 2]>,
    /// For each element of C, the elements of its sum that are added.
    added: Vec<u64>,
    moved: Traffic,
}

fn elements(ranges: &[Range<u64>; 2]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).product()
}

impl Store<'_> {
    fn total(&self) -> u64 {
        self.moved.a.0 + self.moved.b.0 + self.moved.c.0
    }

    /// Makes the tile of C that is held leave: finished sums as a result, the others as they are.
    fn evict(&mut self) {
        let Some([rows, columns]) = self.c.take() else { return };
        for row in rows {
            for column in columns.clone() {
                let finished = self.added[(row * self.columns + column) as usize] == self.depth;
                self.moved.c.0 += if finished { self.sizes.c } else { self.sizes.partial };
            }
        }
    }

    /// Multiplies the tiles of A and B that lie at these positions.
    fn step(&mut self, [m, n, k]: &[Range<u64>; 3]) {
        let (a, b, c) = ([m.clone(), k.clone()], [k.clone(), n.clone()], [m.clone(), n.clone()]);
        if self.a.as_ref() != Some(&a) {
            self.moved.a.0 += elements(&a) * self.sizes.a;
            self.a = Some(a);
        }
        if self.b.as_ref() != Some(&b) {
            self.moved.b.0 += elements(&b) * self.sizes.b;
            self.b = Some(b);
        }
        let same = self.c.as_ref() == Some(&c);
        if !same {
            self.evict();
            self.c = Some(c);
        }
        for row in m.clone() {
            for column in n.clone() {
                let added = &mut self.added[(row * self.columns + column) as usize];
                if !same && *added > 0 {
                    self.moved.c.0 += self.sizes.partial;
                }
                *added += k.end - k.start;
            }
        }
    }
}

/// Calls `each` for every tile of the innermost of these levels, in the order of the loops; stops where it gives `false`.
pub fn walk(space: &[Range<u64>; 3], levels: &[Level], each: &mut impl FnMut(&[Range<u64>; 3]) -> bool) -> bool {
    let Some((level, inner)) = levels.split_first() else { return each(space) };
    let tiles = |axis: usize| {
        let (range, tile) = (space[axis].clone(), level.tile[axis]);
        let end = range.end;
        range.step_by(tile as usize).map(move |start| start..end.min(start + tile))
    };
    let [first, second, third] = level.order;
    for outer in tiles(first) {
        for middle in tiles(second) {
            for innermost in tiles(third) {
                let mut tile = space.clone();
                tile[first] = outer.clone();
                tile[second] = middle.clone();
                tile[third] = innermost;
                if !walk(&tile, inner, each) {
                    return false;
                }
            }
        }
    }
    true
}

/// Bytes between the innermost of these levels and the one outside it, for products of these extents one after the other with
/// the same B; `levels` from the outermost on. `None` once they are more than `most`.
#[must_use]
pub fn traffic(extents: [u64; 3], sizes: &ElementSizes, repeats: u64, levels: &[Level], most: u64) -> Option<Traffic> {
    let [m, n, k] = extents;
    let mut store = Store {
        sizes,
        depth: k,
        rows: m,
        columns: n,
        a: None,
        b: None,
        c: None,
        added: Vec::new(),
        moved: Traffic::default(),
    };
    for _ in 0..repeats {
        // Another run has another A and another C.
        store.a = None;
        store.added = vec![0; (store.rows * store.columns) as usize];
        let done = walk(&[0..m, 0..n, 0..k], levels, &mut |tile| {
            store.step(tile);
            store.total() <= most
        });
        if !done {
            return None;
        }
        store.evict();
    }
    (store.total() <= most).then_some(store.moved)
}

/// Bytes that the tiles of the innermost of these levels take; `levels` from the outermost on.
#[must_use]
pub fn footprint(
    extents: [u64; 3],
    sizes: &ElementSizes,
    repeats: u64,
    levels: &[Level],
    double_buffered: bool,
) -> u64 {
    let [m, n, k] = levels.last().map_or(extents, |level| level.tile);
    let bytes = [m * k * sizes.a, k * n * sizes.b, m * n * sizes.partial];
    let stays = stationary(extents, levels).unwrap_or_else(|| match repeats {
        1 => (0..3).max_by_key(|&tile| bytes[tile]).unwrap_or(0),
        _ => 1,
    });
    (0..3).map(|tile| if double_buffered && tile != stays { 2 * bytes[tile] } else { bytes[tile] }).sum()
}

/// The operand, A, B, C as 0, 1, 2, that the innermost loop with more than one tile does not touch.
fn stationary(extents: [u64; 3], levels: &[Level]) -> Option<usize> {
    let (level, outer) = levels.split_last()?;
    let inside = outer.last().map_or(extents, |level| level.tile);
    // m steps through A and C, n through B and C, k through A and B.
    let steps = level.order.into_iter().rev().find(|&axis| level.tile[axis] < inside[axis]);
    steps.map(|axis| [1, 0, 2][axis]).or_else(|| stationary(extents, outer))
}

/// The operand that the innermost loop with more than one tile leaves in place; none where there is no such loop.
#[must_use]
pub fn stays(extents: [u64; 3], levels: &[Level]) -> Option<Operand> {
    stationary(extents, levels).map(|operand| [Operand::A, Operand::B, Operand::C][operand])
}

/// All tiles that cut a space, each with the orders of the loops that step more than once.
fn levels(space: [u64; 3]) -> Vec<Level> {
    let [m, n, k] = space;
    let mut all = Vec::new();
    for tile in (1..=m).flat_map(|m| (1..=n).flat_map(move |n| (1..=k).map(move |k| [m, n, k]))) {
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for order in ORDERS {
            let stepping: Vec<usize> = order.into_iter().filter(|&axis| tile[axis] < space[axis]).collect();
            if !seen.contains(&stepping) {
                seen.push(stepping);
                all.push(Level { tile, order });
            }
        }
    }
    all
}

/// Fewest bytes over all levels together that tiles for these buffers move, from the innermost to the outermost; `None` where
/// not even the smallest tiles fit.
#[must_use]
pub fn least(extents: [u64; 3], sizes: &ElementSizes, repeats: u64, buffers: &[Buffer]) -> Option<(u64, Vec<Level>)> {
    let mut best = None;
    let once = |elements: u64, size: u64| elements * size;
    let [m, n, k] = extents;
    let every = repeats * (once(m * k, sizes.a) + once(m * n, sizes.c)) + once(k * n, sizes.b);
    let mut outer = Vec::new();
    let problem = Problem { extents, sizes, repeats, every };
    problem.extend(extents, buffers, &mut outer, 0, &mut best);
    best
}

struct Problem<'s> {
    extents: [u64; 3],
    sizes: &'s ElementSizes,
    repeats: u64,
    /// What every level moves at least.
    every: u64,
}

impl Problem<'_> {
    fn extend(
        &self,
        inside: [u64; 3],
        buffers: &[Buffer],
        outer: &mut Vec<Level>,
        moved: u64,
        best: &mut Option<(u64, Vec<Level>)>,
    ) {
        let Some((Buffer { capacity: Bytes(capacity), double_buffered }, inner)) = buffers.split_last() else {
            if best.as_ref().is_none_or(|(least, _)| moved < *least) {
                *best = Some((moved, outer.clone()));
            }
            return;
        };
        let rest = self.every * inner.len() as u64;
        let mut candidates = Vec::new();
        for level in levels(inside) {
            outer.push(level);
            if footprint(self.extents, self.sizes, self.repeats, outer, *double_buffered) > *capacity {
                outer.pop();
                continue;
            }
            let most = best.as_ref().map_or(u64::MAX, |(least, _)| least.saturating_sub(moved + rest));
            if let Some(traffic) = traffic(self.extents, self.sizes, self.repeats, outer, most) {
                candidates.push((traffic.a.0 + traffic.b.0 + traffic.c.0, level));
            }
            outer.pop();
            if inner.is_empty() {
                for (bytes, level) in candidates.drain(..) {
                    outer.push(level);
                    self.extend(level.tile, inner, outer, moved + bytes, best);
                    outer.pop();
                }
            }
        }
        // The lowest first: what comes later is cut off by what it leads to.
        candidates.sort_by_key(|&(bytes, _)| bytes);
        for (bytes, level) in candidates {
            if best.as_ref().is_some_and(|(least, _)| moved + bytes + rest >= *least) {
                break;
            }
            outer.push(level);
            self.extend(level.tile, inner, outer, moved + bytes, best);
            outer.pop();
        }
    }
}
