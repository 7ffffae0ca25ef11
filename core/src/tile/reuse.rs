//! Reuse: how often each operand of a product is moved by nested loops over tiles, counted exactly, edge tiles included.
//!
//! A level holds one tile of each operand, and a tile that is asked for again at once is not moved again. So an operand is
//! moved once for each pass of the loops that it does not depend on, as far as those stand outside a loop that changes its
//! tile. At an edge an outer tile may be so small that an inner loop has one pass only: there the tile stays.

use crate::tile::MAX_LEVELS;
use crate::units::Parts as _;
use crate::units::to_f32;

/// An axis of a product `C[m × n] += A[m × k] · B[k × n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    M,
    N,
    K,
}

/// Extents along the three axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extents {
    pub(super) m: u64,
    pub(super) n: u64,
    pub(super) k: u64,
}

impl Extents {
    pub(super) fn along(self, axis: Axis) -> u64 {
        match axis {
            Axis::M => self.m,
            Axis::N => self.n,
            Axis::K => self.k,
        }
    }
}

/// What there is of these items, as far as there is room: a `collect` that cannot panic.
pub(super) fn gathered<T, const N: usize>(items: impl Iterator<Item = T>) -> heapless::Vec<T, N> {
    let mut all = heapless::Vec::new();
    for item in items {
        if all.push(item).is_err() {
            break;
        }
    }
    all
}

/// The tiles of one level and the order of its loops, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) tile: Extents,
    pub(super) order: [Axis; 3],
}

impl Cut {
    /// Tiles of one element.
    pub(super) const ONE: Self = Self { tile: Extents { m: 1, n: 1, k: 1 }, order: [Axis::M, Axis::N, Axis::K] };

    /// Tiles of these extents along these axes, outermost first.
    pub(super) fn of(axes: [Axis; 3], extents: [u64; 3]) -> Self {
        let mut tile = Extents { m: 1, n: 1, k: 1 };
        for (axis, extent) in axes.into_iter().zip(extents) {
            match axis {
                Axis::M => tile.m = extent,
                Axis::N => tile.n = extent,
                Axis::K => tile.k = extent,
            }
        }
        Self { tile, order: axes }
    }

    /// Place of the loop along an axis: 1 to 3, outermost first.
    fn rank(&self, axis: Axis) -> usize {
        let [first, second, _] = self.order;
        if axis == first {
            1
        } else if axis == second {
            2
        } else {
            3
        }
    }
}

/// An axis as the levels outside have cut it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along<'c> {
    /// The longest tile.
    pub(super) extent: u64,
    /// Tiles, over the whole nest.
    pub(super) count: u64,
    /// How often the operand that does not depend on this axis is moved to the level outside.
    pub(super) moved: u64,
    /// Extent of the axis, over the whole nest.
    total: u64,
    /// Extents that tiles have, and how many have each.
    classes: &'c [(u64, u64)],
}

impl<'c> Along<'c> {
    /// An axis of an extent that is walked along so often.
    pub(super) fn new(whole: &'c [(u64, u64); 1]) -> Self {
        let [(extent, runs)] = *whole;
        Self { extent, count: runs, moved: 1, total: extent.saturating_mul(runs), classes: whole }
    }

    /// Tiles of this extent that all the tiles together are cut into.
    pub(super) fn tiles(&self, tile: u64) -> u64 {
        let each = self.classes.iter().map(|&(extent, count)| extent.in_parts_of(tile.max(1)).saturating_mul(count));
        each.fold(0, u64::saturating_add)
    }

    /// Mean extent of a tile.
    pub(super) fn mean(&self) -> f32 {
        if self.count <= 1 { to_f32(self.extent) } else { to_f32(self.total) / to_f32(self.count) }
    }

    /// The axis cut into tiles of this extent, where the operand that does not depend on it is moved so often, or with each of them;
    /// `classes` is where what they are is kept.
    pub(super) fn cut<'d>(&self, tile: u64, moved: Option<u64>, classes: &'d mut Classes) -> Option<Along<'d>>
    where
        'c: 'd,
    {
        if tile >= self.extent {
            return Some(Along { moved: moved.unwrap_or(self.count), ..*self });
        }
        divided(self.classes, tile.max(1), classes)?;
        let count = classes.iter().fold(0, |sum: u64, &(_, count)| sum.saturating_add(count));
        Some(Along { extent: tile, count, moved: moved.unwrap_or(count), total: self.total, classes })
    }
}

/// Lengths along an axis, by the loop after which they are in one tile.
type Settled = heapless::Vec<(usize, u64), { MAX_LEVELS.saturating_add(2) }>;

/// Extents that tiles have, and how many have it.
pub(super) type Classes = heapless::Vec<(u64, u64), { MAX_LEVELS.saturating_add(2) }>;

/// Elements that are moved of the operand along `x` and `y` between the innermost of these levels and the one outside it, over
/// the whole nest; `cuts` from the outermost level to the one in question.
///
/// ```text
/// moved = Σ over parts of x and of y: length_x · length_y · passes_z(the later loop after which they are in one tile)
/// ```
/// A part of an axis is settled after a loop where what the loop leaves of it fits the tile of the level in question: all
/// loops inside it pass once. The loops along `z` outside the later one move the operand again in each pass.
pub(super) fn moved<'c>(
    extents: Extents,
    cuts: impl Iterator<Item = &'c Cut> + Clone,
    [x, y, z]: [Axis; 3],
) -> Option<u64> {
    let (along_x, along_y) = (settled(extents.along(x), cuts.clone(), x)?, settled(extents.along(y), cuts.clone(), y)?);
    let mut sum = 0_u64;
    for &(loop_x, length_x) in &along_x {
        for &(loop_y, length_y) in &along_y {
            let passes = passes(extents.along(z), cuts.clone(), z, loop_x.max(loop_y))?;
            sum = sum.checked_add(length_x.checked_mul(length_y)?.checked_mul(passes)?)?;
        }
    }
    Some(sum)
}

/// The same for one level, whose tiles all pass alike: once, or in each pass along `z` where a loop inside that one changes the tile.
pub(super) fn moved_once(extents: Extents, cut: &Cut, [x, y, z]: [Axis; 3]) -> Option<u64> {
    let changes = |axis: Axis| cut.tile.along(axis) < extents.along(axis) && cut.rank(axis) > cut.rank(z);
    let passes = if changes(x) || changes(y) { extents.along(z).in_parts_of(cut.tile.along(z)) } else { 1 };
    extents.along(x).checked_mul(extents.along(y))?.checked_mul(passes)
}

/// Passes of all loops along an axis outside the loop of this number.
fn passes<'c>(extent: u64, cuts: impl Iterator<Item = &'c Cut>, axis: Axis, inside: usize) -> Option<u64> {
    let mut classes = Classes::new();
    classes.push((extent, 1)).ok()?;
    for (level, cut) in (0..MAX_LEVELS).zip(cuts) {
        if level.saturating_mul(3).saturating_add(cut.rank(axis)) >= inside {
            break;
        }
        let mut parts = Classes::new();
        divided(&classes, cut.tile.along(axis).max(1), &mut parts)?;
        classes = parts;
    }
    classes.iter().try_fold(0_u64, |sum, &(_, count)| sum.checked_add(count))
}

/// Tiles of tiles: whole ones first, then what is left of each.
fn divided(classes: &[(u64, u64)], tile: u64, parts: &mut Classes) -> Option<()> {
    parts.clear();
    let mut whole = 0_u64;
    parts.push((tile, 0)).ok()?;
    for &(extent, count) in classes {
        whole = whole.checked_add(count.checked_mul(extent.checked_div(tile)?)?)?;
        let rest = extent.checked_rem(tile)?;
        if rest > 0 {
            parts.push((rest, count)).ok()?;
        }
    }
    if let Some(first) = parts.first_mut() {
        first.1 = whole;
    }
    Some(())
}

/// Lengths along an axis, each with the loop after which it is in one tile of the last level; 0 where it is from the start.
fn settled<'c>(extent: u64, cuts: impl Iterator<Item = &'c Cut> + Clone, axis: Axis) -> Option<Settled> {
    let tile = cuts.clone().last().map_or(extent, |cut| cut.tile.along(axis));
    let mut lengths = Settled::new();
    let mut open = Classes::new();
    if extent <= tile {
        lengths.push((0, extent)).ok()?;
    } else {
        open.push((extent, 1)).ok()?;
    }
    for (level, cut) in (0..MAX_LEVELS).zip(cuts) {
        let number = level.saturating_mul(3).saturating_add(cut.rank(axis));
        let mut length = 0_u64;
        let mut still = Classes::new();
        let mut parts = Classes::new();
        divided(&open, cut.tile.along(axis).max(1), &mut parts)?;
        for &(extent, count) in &parts {
            if extent <= tile {
                length = length.checked_add(extent.checked_mul(count)?)?;
            } else if count > 0 {
                still.push((extent, count)).ok()?;
            }
        }
        if length > 0 {
            lengths.push((number, length)).ok()?;
        }
        open = still;
    }
    Some(lengths)
}
