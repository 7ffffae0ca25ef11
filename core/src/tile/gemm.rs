//! Tilings of matrix products: the tiles and loop orders that move the fewest bytes, over all levels together.
//!
//! One level has three candidates for the best loop order, named by the operand that stays while the innermost loop runs:
//!
//! ```text
//! stationary   innermost   moved                                      tile that must fit, the free extent at 1
//! C            k           A · ⌈n/tn⌉ + B · ⌈m/tm⌉ + C                 C[tm × tn], A[tm × 1], B[1 × tn]
//! A            n           A + B · ⌈m/tm⌉ + C · (⌈k/tk⌉ passes)        A[tm × tk], C[tm × 1], B[tk × 1]
//! B            m           A · ⌈n/tn⌉ + B + C · (⌈k/tk⌉ passes)        B[tk × tn], C[1 × tn], A[1 × tk]
//! ```
//! All six orders of the three loops are among them: the two outer loops may be exchanged, and a loop of one pass may stand
//! anywhere. `p` passes over C write and read partial sums `p − 1` times and the result once. The best tiles of a case are a
//! problem in two numbers: [`super::case`].
//!
//! With more levels, the bytes of each are a weight for each axis times the passes along it,
//!
//! ```text
//! bytes = w_m · passes_m + w_n · passes_n + w_k · passes_k        w_m = bytes of B, w_n = of A, w_k = 2 · of partial sums
//! ```
//! and the operand that is stationary in one level passes as often as the loops of the levels outside say. So what is best
//! for one level depends on the levels inside it through the free extent `tz` of its tile. The search goes from the outermost level to
//! the innermost. For each level it tries the stationary operand of this level and of the next one inside, and walks outward from the
//! free extent and the tiles for which both levels together move least without rounding. Three levels or more of a product that runs once
//! are tiled as those of a convolution of one tap ([`super::conv`]), from the innermost outwards: it is as near the best, and faster.

use super::inside::Inside;
use super::reuse::{Along, Axis, Cut, Extents, gathered, moved, moved_once};
use super::search::{Room, Search};
use super::{Buffer, LevelTiling, MAX_LEVELS, TileLoop, bound, conv};
use crate::error::Error;
use crate::nest::{Dim, ElementSizes, LoopNest, Operand, Traffic};
use crate::units::Bytes;
use crate::work::Gemm;

/// MACs of a product up to which all tiles of two levels are tried.
const TINY: u64 = 512;

/// Tiles of a level for which the level inside is searched, for each two stationary operands.
const BUDGET: u32 = 8;

/// Tiles matrix products; see [`super::tile`].
pub(super) fn tile(
    nest: &LoopNest,
    gemm: Gemm,
    buffers: &[Buffer],
    levels: &mut heapless::Vec<LevelTiling, MAX_LEVELS>,
) -> Result<(), Error> {
    let product = Product::new(nest, gemm);
    let mut cuts = [Cut::ONE; MAX_LEVELS];
    let cuts = cuts.get_mut(..buffers.len()).ok_or(too_many_levels())?;
    // One of a product and its transpose is searched, so that both have the same tiles.
    let (m, n) = ((gemm.m, nest.sizes.a), (gemm.n, nest.sizes.b));
    if nest.repeats <= 1 && m < n {
        product.transposed().cut(buffers, cuts)?;
        cuts.iter_mut().for_each(transpose);
    } else {
        product.cut(buffers, cuts)?;
    }
    for (level, buffer) in buffers.iter().enumerate() {
        product.level(nest, cuts.get(level..).unwrap_or_default(), buffer, levels)?;
    }
    Ok(())
}

/// The first level that has no room in a [`Tiling`].
pub(super) fn too_many_levels() -> Error {
    Error::Infeasible { level: u8::try_from(MAX_LEVELS).unwrap_or(u8::MAX) }
}

fn transpose(cut: &mut Cut) {
    cut.tile = Extents { m: cut.tile.n, n: cut.tile.m, k: cut.tile.k };
    cut.order = cut.order.map(|axis| match axis {
        Axis::M => Axis::N,
        Axis::N => Axis::M,
        Axis::K => Axis::K,
    });
}

/// A matrix product, so often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) extents: Extents,
    pub(super) sizes: ElementSizes,
    groups: u64,
    pub(super) repeats: u64,
}

impl Product {
    pub(super) fn new(nest: &LoopNest, gemm: Gemm) -> Self {
        let extents = Extents { m: gemm.m, n: gemm.n, k: gemm.k };
        Self { extents, sizes: nest.sizes, groups: gemm.groups, repeats: nest.repeats }
    }

    fn transposed(self) -> Self {
        let Extents { m, n, k } = self.extents;
        let sizes = ElementSizes { a: self.sizes.b, b: self.sizes.a, ..self.sizes };
        Self { extents: Extents { m: n, n: m, k }, sizes, ..self }
    }

    /// Cuts of each level, innermost first.
    fn cut(&self, buffers: &[Buffer], cuts: &mut [Cut]) -> Result<(), Error> {
        let whole = self.whole();
        let (search, inside) = self.search(&whole);
        let found = if let ([buffer], [cut]) = (buffers, &mut *cuts) {
            // All tiles of one level pass alike: edges need no count of their own.
            let found = Search { every: false, ..search }.one(&inside, Room::of(buffer), u64::MAX);
            found.map(|(_, best)| *cut = best)
        } else {
            self.several(&search, &inside, buffers, cuts)
        };
        if found.is_none() && !self.smallest(buffers, cuts) {
            let fits = |buffer: &Buffer| search.one(&inside, Room::of(buffer), u64::MAX).is_some();
            let level = buffers.iter().position(|buffer| !fits(buffer));
            return Err(Error::Infeasible { level: level.and_then(|level| u8::try_from(level).ok()).unwrap_or(0) });
        }
        Ok(())
    }

    /// Cuts of several levels, where some are found.
    #[inline(never)]
    fn several(&self, search: &Search<'_>, inside: &Inside<'_>, buffers: &[Buffer], cuts: &mut [Cut]) -> Option<()> {
        // A level inside another has no use for more room than that: its tiles are within the other's.
        let mut rooms: heapless::Vec<Room, MAX_LEVELS> = gathered(buffers.iter().map(Room::of));
        let mut outside: Option<Room> = None;
        for room in rooms.iter_mut().rev() {
            if let Some(outside) = outside {
                let times = if room.double_buffered && !outside.double_buffered { 2 } else { 1 };
                room.capacity = room.capacity.min(outside.capacity.saturating_mul(times));
            }
            outside = Some(*room);
        }
        let search = Search { every: search.every && rooms.len() <= 2, ..*search };
        if rooms.len() > 2
            && self.repeats <= 1
            && let Some(nested) = conv::cut_product(self.extents, inside.stationary, &self.sizes, buffers)
            && self.moved(&nested, buffers).is_some()
        {
            cuts.iter_mut().zip(&nested).for_each(|(to, from)| *to = *from);
            return Some(());
        }
        search.levels(inside, &rooms, u64::MAX, cuts).map(|_| ())
    }

    /// Bytes of all levels with these cuts, the innermost first, where they fit.
    #[inline(never)]
    fn moved(&self, cuts: &[Cut], buffers: &[Buffer]) -> Option<u64> {
        (0..MAX_LEVELS).zip(cuts.iter().zip(buffers)).try_fold(0_u64, |sum, (level, (cut, buffer))| {
            let cuts = cuts.get(level..)?;
            let bytes = footprint(cut.tile, &self.sizes, self.stationary(cuts), buffer.double_buffered)?;
            let Traffic { a, b, c } = self.traffic(cuts)?;
            let sum = [a, b, c].into_iter().try_fold(sum, |sum, bytes| sum.checked_add(bytes.0))?;
            (bytes <= buffer.capacity.0).then_some(sum)
        })
    }

    /// Tiles of one element for each level, where they fit.
    #[inline(never)]
    fn smallest(&self, buffers: &[Buffer], cuts: &mut [Cut]) -> bool {
        let mut orders =
            [[Axis::M, Axis::N, Axis::K], [Axis::M, Axis::K, Axis::N], [Axis::N, Axis::K, Axis::M]].into_iter();
        orders.any(|order| {
            cuts.fill(Cut { order, ..Cut::ONE });
            buffers.iter().enumerate().all(|(level, buffer)| {
                let stationary = self.stationary(cuts.get(level..).unwrap_or_default());
                footprint(Cut::ONE.tile, &self.sizes, stationary, buffer.double_buffered)
                    .is_some_and(|bytes| bytes <= buffer.capacity.0)
            })
        })
    }

    /// Each axis whole, and how often it is walked along: runs one after the other with the same B are a loop along m, outside all
    /// others.
    fn whole(&self) -> [[(u64, u64); 1]; 3] {
        let Extents { m, n, k } = self.extents;
        [[(m, self.repeats)], [(n, 1)], [(k, 1)]]
    }

    /// The search, and what it starts with.
    fn search<'c>(&'c self, [along_m, along_n, along_k]: &'c [[(u64, u64); 1]; 3]) -> (Search<'c>, Inside<'c>) {
        let Extents { m, n, k } = self.extents;
        let bytes = |x: u64, y: u64, size: u64| x.saturating_mul(y).saturating_mul(size);
        let weights = Extents {
            m: bytes(n, k, self.sizes.b),
            n: bytes(m, k, self.sizes.a).saturating_mul(self.repeats),
            k: bytes(m, n, self.sizes.partial).saturating_mul(2).saturating_mul(self.repeats),
        };
        let every = m.saturating_mul(n).saturating_mul(k) <= TINY;
        let inside = Inside {
            m: Along::new(along_m),
            n: Along::new(along_n),
            k: Along::new(along_k),
            stationary: alone(self.extents, &self.sizes, self.repeats),
            outside: None,
        };
        (Search { product: self, sizes: &self.sizes, weights, every, budget: BUDGET }, inside)
    }

    /// Adds what the innermost of these levels holds and moves.
    #[inline(never)]
    fn level(
        &self,
        nest: &LoopNest,
        cuts: &[Cut],
        buffer: &Buffer,
        levels: &mut heapless::Vec<LevelTiling, MAX_LEVELS>,
    ) -> Result<(), Error> {
        let Some((cut, outside)) = cuts.split_first() else { return Err(too_many_levels()) };
        let extents = outside.first().map_or(self.extents, |cut| cut.tile);
        let stationary = self.stationary(cuts);
        let footprint = footprint(cut.tile, &self.sizes, stationary, buffer.double_buffered);
        let level = LevelTiling {
            loops: heapless::Vec::new(),
            stationary,
            footprint: Bytes(footprint.ok_or(Error::CountOverflow)?),
            traffic: self.traffic(cuts).ok_or(Error::CountOverflow)?,
            lower_bound: bound::lower_bound(nest, buffer.capacity)?,
        };
        levels.push(level).map_err(|_| too_many_levels())?;
        let Some(LevelTiling { loops, .. }) = levels.last_mut() else { return Ok(()) };
        if outside.is_empty() && self.groups > 1 {
            loops.push(TileLoop { dim: Dim::Group, tile: 1, extent: self.groups }).ok();
        }
        for axis in cut.order {
            let dim = match axis {
                Axis::M => Dim::M,
                Axis::N => Dim::N,
                Axis::K => Dim::K,
            };
            loops.push(TileLoop { dim, tile: cut.tile.along(axis), extent: extents.along(axis) }).ok();
        }
        Ok(())
    }

    /// The operand that the innermost loop with more than one tile leaves in place, of these levels, from the innermost on.
    fn stationary(&self, cuts: &[Cut]) -> Operand {
        let outside = cuts.iter().skip(1).map(|cut| cut.tile).chain([self.extents]);
        let innermost = cuts.iter().zip(outside).find_map(|(cut, inside)| {
            cut.order.into_iter().rev().find(|&axis| cut.tile.along(axis) < inside.along(axis))
        });
        innermost.map_or_else(|| alone(self.extents, &self.sizes, self.repeats), left_by)
    }

    /// Bytes between the innermost of these levels and the one outside it.
    fn traffic(&self, cuts: &[Cut]) -> Option<Traffic> {
        let Extents { m, n, k } = self.extents;
        let runs = self.groups.checked_mul(self.repeats)?;
        let moved = |axes| match cuts {
            [cut] => moved_once(self.extents, cut, axes),
            _ => moved(self.extents, cuts.iter().rev(), axes),
        };
        let a = moved([Axis::M, Axis::K, Axis::N])?.checked_mul(self.sizes.a)?.checked_mul(runs)?;
        let b = moved([Axis::K, Axis::N, Axis::M])?.checked_mul(self.sizes.b)?;
        // One tile of B is the same in each run of a product.
        let whole = cuts.iter().all(|cut| cut.tile.n >= n && cut.tile.k >= k);
        let b = b.checked_mul(if whole { self.groups } else { runs })?;
        let results = m.checked_mul(n)?;
        let spilled = moved([Axis::M, Axis::N, Axis::K])?.checked_sub(results)?;
        let partial = spilled.checked_mul(self.sizes.partial)?.checked_mul(2)?;
        let c = results.checked_mul(self.sizes.c)?.checked_add(partial)?.checked_mul(runs)?;
        Some(Traffic { a: Bytes(a), b: Bytes(b), c: Bytes(c) })
    }
}

/// Bytes of one tile of each operand.
fn tile_bytes(tile: Extents, sizes: &ElementSizes) -> Option<[(Operand, u64); 3]> {
    let bytes = |x: u64, y: u64, size: u64| x.checked_mul(y)?.checked_mul(size);
    Some([
        (Operand::C, bytes(tile.m, tile.n, sizes.partial)?),
        (Operand::A, bytes(tile.m, tile.k, sizes.a)?),
        (Operand::B, bytes(tile.k, tile.n, sizes.b)?),
    ])
}

/// Room that a tile takes: those that are not stationary twice where double-buffered.
pub(super) fn footprint(
    tile: Extents,
    sizes: &ElementSizes,
    stationary: Operand,
    double_buffered: bool,
) -> Option<u64> {
    tile_bytes(tile, sizes)?.into_iter().try_fold(0_u64, |sum, (operand, bytes)| {
        let times = if double_buffered && operand != stationary { 2 } else { 1 };
        sum.checked_add(bytes.checked_mul(times)?)
    })
}

/// The operand that a loop along this axis leaves in place.
pub(super) fn left_by(axis: Axis) -> Operand {
    match axis {
        Axis::K => Operand::C,
        Axis::N => Operand::A,
        Axis::M => Operand::B,
    }
}

/// The operand that counts as stationary where there is one tile: B for the next run, else the largest.
fn alone(tile: Extents, sizes: &ElementSizes, repeats: u64) -> Operand {
    let bytes = tile_bytes(tile, sizes).unwrap_or([(Operand::C, 0); 3]);
    let largest = bytes.into_iter().fold((Operand::C, 0), |most, next| if next.1 > most.1 { next } else { most }).0;
    if repeats > 1 { Operand::B } else { largest }
}

#[cfg(test)]
mod tests {
    use super::super::Tiling;
    use super::*;
    use crate::nest::Loops;

    fn tiled(gemm: [u64; 3], sizes: ElementSizes, repeats: u64, buffers: &[(u64, bool)]) -> Result<Tiling, Error> {
        let [m, n, k] = gemm;
        let nest = LoopNest { repeats, ..LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), sizes) };
        let buffers: std::vec::Vec<Buffer> = buffers
            .iter()
            .map(|&(bytes, double_buffered)| Buffer { capacity: Bytes(bytes), double_buffered })
            .collect();
        super::super::tile(&nest, &buffers)
    }

    fn only(tiling: &Tiling) -> (Operand, u64, Traffic) {
        let level = tiling.levels.first().expect("one level");
        (level.stationary, level.footprint.0, level.traffic)
    }

    fn bytes(a: u64, b: u64, c: u64) -> Traffic {
        Traffic { a: Bytes(a), b: Bytes(b), c: Bytes(c) }
    }

    #[test]
    fn one_level_by_hand() -> Result<(), Error> {
        // 100 x 100 x 100 of fp32 in 1600 bytes, 400 elements: a C tile of 17 x 20 beside a row of A and of B, 340 + 17 + 20 = 377.
        // Six tiles of 17 rows and five of 20 columns: A five times, B six times, C once, each 40 000 bytes. Tiles of 20 x 20 would
        // be five of each, but 400 + 40 elements do not fit.
        let tiling = tiled([100, 100, 100], ElementSizes::all(4), 1, &[(1600, false)])?;
        let (stationary, footprint, traffic) = only(&tiling);
        assert_eq!((stationary, footprint), (Operand::C, 377 * 4));
        assert_eq!(traffic.total(), Ok(Bytes((5 + 6 + 1) * 40_000)));
        Ok(())
    }

    #[test]
    fn sums_that_spill_are_read_and_written_wide() -> Result<(), Error> {
        // 6 x 6 x 2 of int8 with 32-bit sums in 18 bytes. A stationary, 6 x 1 of it: 6 + 4 · 6 bytes of sums are too many. A whole, 6 x 2,
        // 12 bytes, leaves 6: less than 24. B whole is the same. C of 2 x 1 beside 2 of A and 1 of B is 8 + 3 = 11; of 3 x 1, 12 + 4 = 16:
        // A six times, B twice: 6 · 12 + 2 · 12 + 36 = 132. A stationary, 1 x 2, beside one of C and two of B: 2 + 4 + 2 = 8; 2 x 2:
        // 4 + 8 + 2 = 14: A once, B three times, C once: 12 + 36 + 36 = 84. Whole k needs no spill.
        let sizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };
        let (_, footprint, traffic) = only(&tiled([6, 6, 2], sizes, 1, &[(18, false)])?);
        assert_eq!((footprint, traffic.total()), (14, Ok(Bytes(84))));
        // Tiles of one element, 4 + 1 + 1 bytes, of 1 x 1 x 3: C stays, nothing is spilled, A and B once.
        assert_eq!(only(&tiled([1, 1, 3], sizes, 1, &[(6, false)])?).2, bytes(3, 3, 1));
        Ok(())
    }

    #[test]
    fn weights_that_fit_are_read_once_for_all_runs() -> Result<(), Error> {
        // B is 10 x 10, A and C 4 x 10, of fp32. 440 + 4 · 20 = 520 bytes hold B and a row of A and of C.
        let sizes = ElementSizes::all(4);
        assert_eq!(only(&tiled([4, 10, 10], sizes, 7, &[(520, false)])?).2, bytes(7 * 160, 400, 7 * 160));
        // In 479 bytes, B beside a row of each does not fit: it is read again in each run.
        assert!(only(&tiled([4, 10, 10], sizes, 7, &[(479, false)])?).2.b >= Bytes(7 * 400));
        Ok(())
    }

    #[test]
    fn double_buffers_hold_what_comes_next() -> Result<(), Error> {
        // One element of each: C stays, A and B twice, 4 + 2 · (4 + 4) = 20 bytes.
        let (stationary, footprint, _) = only(&tiled([2, 2, 2], ElementSizes::all(4), 1, &[(20, true)])?);
        assert_eq!(footprint, 20);
        assert!([Operand::A, Operand::B, Operand::C].contains(&stationary));
        assert_eq!(tiled([2, 2, 2], ElementSizes::all(4), 1, &[(19, true)]), Err(Error::Infeasible { level: 0 }));
        Ok(())
    }

    #[test]
    fn the_level_that_is_too_small_is_named() {
        let sizes = ElementSizes::all(4);
        assert_eq!(tiled([9, 9, 9], sizes, 1, &[(11, false), (4096, false)]), Err(Error::Infeasible { level: 0 }));
        let many = [(4096, false); MAX_LEVELS + 1];
        assert_eq!(tiled([9, 9, 9], sizes, 1, &many), Err(Error::Infeasible { level: 6 }));
        assert_eq!(tiled([9, 9, 9], sizes, 1, &[]).map(|tiling| tiling.levels.len()), Ok(0));
        assert_eq!(tiled([u64::MAX, 9, 9], sizes, 1, &[(4096, false)]), Err(Error::CountOverflow));
    }

    #[test]
    fn all_that_fits_moves_once_at_every_level() -> Result<(), Error> {
        let buffers = [(1 << 20, false), (1 << 22, true), (1 << 24, false)];
        for level in &tiled([64, 48, 80], ElementSizes::all(4), 1, &buffers)?.levels {
            assert_eq!(level.traffic, bytes(64 * 80 * 4, 48 * 80 * 4, 64 * 48 * 4));
            assert_eq!(level.traffic.total()?, level.lower_bound);
        }
        Ok(())
    }
}
