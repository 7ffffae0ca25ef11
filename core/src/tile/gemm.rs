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
//! free extent and the tiles for which both levels together move least without rounding.

use super::case::{Case, MARGIN, Relaxed};
use super::reuse::{Along, Axis, Cut, Extents, moved};
use super::{Buffer, LevelTiling, MAX_LEVELS, TileLoop, Tiling, bound};
use crate::error::Error;
use crate::nest::{Dim, ElementSizes, LoopNest, Operand, Traffic};
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Cuts of all levels, from the innermost to the outermost.
type Cuts = heapless::Vec<Cut, MAX_LEVELS>;

/// Tiles matrix products; see [`super::tile`].
pub(super) fn tile(nest: &LoopNest, gemm: Gemm, buffers: &[Buffer]) -> Result<Tiling, Error> {
    let product = Product {
        extents: Extents { m: gemm.m, n: gemm.n, k: gemm.k },
        sizes: nest.sizes,
        groups: gemm.groups,
        repeats: nest.repeats,
    };
    // One of a product and its transpose is searched, so that both have the same tiles.
    let (m, n) = ((gemm.m, nest.sizes.a), (gemm.n, nest.sizes.b));
    let cuts = if nest.repeats <= 1 && m < n {
        let mut cuts = product.transposed().cuts(buffers)?;
        cuts.iter_mut().for_each(transpose);
        cuts
    } else {
        product.cuts(buffers)?
    };
    let mut levels = heapless::Vec::new();
    for (level, buffer) in buffers.iter().enumerate() {
        let cuts = cuts.get(level..).unwrap_or_default();
        levels.push(product.level(nest, cuts, buffer)?).map_err(|_| too_many_levels())?;
    }
    Ok(Tiling { levels })
}

/// The first level that has no room in a [`Tiling`].
fn too_many_levels() -> Error {
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
struct Product {
    extents: Extents,
    sizes: ElementSizes,
    groups: u64,
    repeats: u64,
}

impl Product {
    fn transposed(self) -> Self {
        let Extents { m, n, k } = self.extents;
        let sizes = ElementSizes { a: self.sizes.b, b: self.sizes.a, ..self.sizes };
        Self { extents: Extents { m: n, n: m, k }, sizes, ..self }
    }

    /// Tiles for each level, innermost first.
    fn cuts(&self, buffers: &[Buffer]) -> Result<Cuts, Error> {
        if buffers.len() > MAX_LEVELS {
            return Err(too_many_levels());
        }
        let Extents { m, n, k } = self.extents;
        let bytes =
            |x: u64, y: u64, size: u64, runs: u64| x.saturating_mul(y).saturating_mul(size).saturating_mul(runs);
        let weights = Extents {
            m: bytes(n, k, self.sizes.b, 1),
            n: bytes(m, k, self.sizes.a, self.repeats),
            k: bytes(m, n, self.sizes.partial.saturating_mul(2), self.repeats),
        };
        // Runs one after the other with the same B are a loop along m, outside all others.
        let inside = Inside {
            m: Along::new(m, self.repeats),
            n: Along::new(n, 1),
            k: Along::new(k, 1),
            stationary: alone(self.extents, &self.sizes, self.repeats),
            outside: Cuts::new(),
        };
        let every = m.saturating_mul(n).saturating_mul(k) <= super::EVERY.load(core::sync::atomic::Ordering::Relaxed);
        let search = Search {
            product: self,
            sizes: &self.sizes,
            weights,
            every,
            budget: super::BUDGET.load(core::sync::atomic::Ordering::Relaxed),
        };
        let found = search.levels(&inside, buffers, u64::MAX);
        found.map(|found| found.cuts).ok_or_else(|| {
            let level = buffers.iter().position(|&buffer| search.levels(&inside, &[buffer], u64::MAX).is_none());
            Error::Infeasible { level: level.and_then(|level| u8::try_from(level).ok()).unwrap_or(0) }
        })
    }

    /// What the innermost of these levels holds and moves.
    fn level(&self, nest: &LoopNest, cuts: &[Cut], buffer: &Buffer) -> Result<LevelTiling, Error> {
        let Some((cut, outside)) = cuts.split_first() else { return Err(too_many_levels()) };
        let extents = outside.first().map_or(self.extents, |cut| cut.tile);
        let mut loops = heapless::Vec::new();
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
        let stationary = self.stationary(cuts);
        let footprint = footprint(cut.tile, &self.sizes, stationary, buffer.double_buffered);
        Ok(LevelTiling {
            loops,
            stationary,
            footprint: Bytes(footprint.ok_or(Error::CountOverflow)?),
            traffic: self.traffic(cuts).ok_or(Error::CountOverflow)?,
            lower_bound: bound::lower_bound(nest, buffer.capacity)?,
        })
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
        let moved = |axes| moved(self.extents, cuts.iter().rev(), axes);
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
fn footprint(tile: Extents, sizes: &ElementSizes, stationary: Operand, double_buffered: bool) -> Option<u64> {
    tile_bytes(tile, sizes)?.into_iter().try_fold(0_u64, |sum, (operand, bytes)| {
        let times = if double_buffered && operand != stationary { 2 } else { 1 };
        sum.checked_add(bytes.checked_mul(times)?)
    })
}

/// The operand that a loop along this axis leaves in place.
fn left_by(axis: Axis) -> Operand {
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

/// What the levels outside leave to a level.
#[derive(Clone, Debug)]
struct Inside {
    m: Along,
    n: Along,
    k: Along,
    stationary: Operand,
    /// Cuts of the levels outside, from the outermost on.
    outside: Cuts,
}

impl Inside {
    fn along(&self, axis: Axis) -> &Along {
        match axis {
            Axis::M => &self.m,
            Axis::N => &self.n,
            Axis::K => &self.k,
        }
    }

    fn extents(&self) -> Extents {
        Extents { m: self.m.extent, n: self.n.extent, k: self.k.extent }
    }

    /// What a level with these tiles leaves, its free axis innermost.
    fn cut(&self, cut: &Cut) -> Option<Self> {
        let [_, _, z] = cut.order;
        let whole = |axis: Axis| cut.tile.along(axis) >= self.along(axis).extent;
        if [Axis::M, Axis::N, Axis::K].into_iter().all(whole) {
            return Some(self.clone());
        }
        let along = |axis: Axis| {
            let (outside, tile) = (self.along(axis), cut.tile.along(axis));
            let moved = if axis != z {
                outside.tiles(tile)
            } else if cut.order.into_iter().all(|other| other == z || whole(other)) {
                outside.moved
            } else {
                outside.count
            };
            outside.cut(tile, moved)
        };
        let (m, n, k) = (along(Axis::M)?, along(Axis::N)?, along(Axis::K)?);
        let mut outside = self.outside.clone();
        outside.push(*cut).ok()?;
        Some(Self { m, n, k, stationary: left_by(z), outside })
    }
}

/// Tiles of some levels and the bytes that they move together.
#[derive(Clone, Debug)]
struct Found {
    bytes: u64,
    cuts: Cuts,
}

/// The search for tiles of a product.
#[derive(Clone, Copy, Debug)]
struct Search<'s> {
    product: &'s Product,
    sizes: &'s ElementSizes,
    /// Bytes that a pass along each axis moves: of B along m, of A along n, of partial sums along k.
    weights: Extents,
    /// Whether every tile is tried.
    every: bool,
    /// Most tiles of a level for which the levels inside are searched.
    budget: u32,
}

/// Share of the bytes by which a better tiling may be missed.
const SLACK: f32 = 1.005;

const OPERANDS: [Operand; 3] = [Operand::C, Operand::A, Operand::B];

impl Search<'_> {
    fn case<'i>(&self, inside: &'i Inside, stationary: Operand, buffer: Buffer, free: u64) -> Case<'i> {
        let times = if buffer.double_buffered { free.saturating_mul(2) } else { free };
        let ElementSizes { a, b, partial, .. } = *self.sizes;
        let ([x, y, z], [s, u, v]) = match stationary {
            Operand::C => ([Axis::M, Axis::N, Axis::K], [partial, a, b]),
            Operand::A => ([Axis::M, Axis::K, Axis::N], [a, partial, b]),
            Operand::B => ([Axis::N, Axis::K, Axis::M], [b, partial, a]),
        };
        Case {
            axes: [x, y, z],
            x: inside.along(x),
            y: inside.along(y),
            z: inside.along(z),
            s,
            u: u.saturating_mul(times),
            v: v.saturating_mul(times),
            room: buffer.capacity.0,
            weights: [self.weights.along(x), self.weights.along(y), self.weights.along(z)],
        }
    }

    /// Bytes of a level whose tile is that of the level outside.
    fn unchanged(&self, inside: &Inside) -> u64 {
        let bytes = |axis: Axis| self.weights.along(axis).saturating_mul(inside.along(axis).moved);
        bytes(Axis::M).saturating_add(bytes(Axis::N)).saturating_add(bytes(Axis::K))
    }

    fn fits_whole(&self, inside: &Inside, buffer: Buffer) -> bool {
        footprint(inside.extents(), self.sizes, inside.stationary, buffer.double_buffered)
            .is_some_and(|bytes| bytes <= buffer.capacity.0)
    }

    /// Tiles for these levels, the last one the outermost, that move less than `limit`.
    fn levels(&self, inside: &Inside, buffers: &[Buffer], limit: u64) -> Option<Found> {
        let Some((&buffer, inner)) = buffers.split_last() else { return Some(Found { bytes: 0, cuts: Cuts::new() }) };
        if self.fits_whole(inside, buffer) {
            let bytes = self.unchanged(inside);
            let cut = Cut { tile: inside.extents(), order: [Axis::M, Axis::N, Axis::K] };
            let mut found = self.levels(inside, inner, limit.saturating_sub(bytes))?;
            found.bytes = found.bytes.saturating_add(bytes);
            found.cuts.push(cut).ok()?;
            return (found.bytes < limit).then_some(found);
        }
        if inner.is_empty() { self.innermost(inside, buffer, limit) } else { self.outer(inside, buffer, inner, limit) }
    }

    fn innermost(&self, inside: &Inside, buffer: Buffer, limit: u64) -> Option<Found> {
        let cases = [Operand::C, Operand::A, Operand::B].map(|stationary| self.case(inside, stationary, buffer, 1));
        // The case with the lowest relaxed cost first: it often rules out the others.
        let mut order = cases.each_ref().map(|case| {
            let relaxed = case.relaxed();
            let centre = relaxed.centre();
            (relaxed.cost(centre), centre, relaxed, case)
        });
        order.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let mut least = limit;
        let mut best = None;
        for (bytes, centre, relaxed, case) in order {
            // With one pass along the free axis, another case has the same tiles and moves no more.
            if case.z.extent <= 1 || bytes * MARGIN >= to_f32(self.tolerant(least)) {
                continue;
            }
            case.walk(&relaxed, centre, self.every, 0.0, |tx, ty| {
                self.see(inside, buffer, case, [tx, ty], &mut least, &mut best);
                self.tolerant(least)
            });
            if case.stays_whole() {
                self.see(inside, buffer, case, [case.x.extent, case.y.extent], &mut least, &mut best);
            }
        }
        let mut cuts = Cuts::new();
        cuts.push(best?).ok()?;
        Some(Found { bytes: least, cuts })
    }

    /// Keeps these tiles of the innermost level where they move less.
    fn see(
        &self,
        inside: &Inside,
        buffer: Buffer,
        case: &Case<'_>,
        [tx, ty]: [u64; 2],
        least: &mut u64,
        best: &mut Option<Cut>,
    ) {
        let bytes = case.cost(tx, ty);
        if bytes >= self.tolerant(*least) {
            return;
        }
        let Some(tz) = self.free(case, buffer, tx, ty) else { return };
        let [x, y, z] = case.axes;
        let cut = cut_of([x, y, z], [tx, ty, tz]);
        if !self.every {
            (*least, *best) = (bytes, Some(cut));
            return;
        }
        for order in [[x, y, z], [y, x, z]] {
            let cut = Cut { order, ..cut };
            let Some(bytes) = self.exact(inside, cut) else { continue };
            if bytes < *least {
                (*least, *best) = (bytes, Some(cut));
            }
        }
    }

    /// Bytes beyond which a tiling is of no interest, before its edges are counted.
    fn tolerant(&self, least: u64) -> u64 {
        if self.every { least.saturating_add(least / 8) } else { least }
    }

    /// Bytes of a level by walking its edges.
    fn exact(&self, inside: &Inside, cut: Cut) -> Option<u64> {
        let Extents { m, n, k } = self.product.extents;
        let extents = Extents { m: m.checked_mul(self.product.repeats)?, n, k };
        let run = Cut { tile: self.product.extents, order: [Axis::N, Axis::K, Axis::M] };
        let cuts = || [&run].into_iter().chain(&inside.outside).chain([&cut]);
        let ElementSizes { a, b, partial, .. } = *self.sizes;
        let a = moved(extents, cuts(), [Axis::M, Axis::K, Axis::N])?.checked_mul(a)?;
        let b = moved(extents, cuts(), [Axis::K, Axis::N, Axis::M])?.checked_mul(b)?;
        let c = moved(extents, cuts(), [Axis::M, Axis::N, Axis::K])?.checked_mul(partial.checked_mul(2)?)?;
        a.checked_add(b)?.checked_add(c)
    }

    /// The longest free extent beside these tiles, balanced; `None` where nothing fits.
    fn free(&self, case: &Case<'_>, buffer: Buffer, tx: u64, ty: u64) -> Option<u64> {
        let left = case.room.checked_sub(case.s.checked_mul(tx)?.checked_mul(ty)?)?;
        let each = case.u.checked_mul(tx)?.checked_add(case.v.checked_mul(ty)?)?;
        let most = left.checked_div(each)?.min(case.z.extent);
        // With one pass along the free axis, another operand would be stationary, and this one take room twice.
        let most = if buffer.double_buffered { most.min(case.z.extent.div_ceil(2)) } else { most };
        Some(case.z.extent.div_ceil(case.z.extent.div_ceil(most.max(1)).max(1)))
    }

    /// What the levels inside move at least, without rounding.
    fn below(&self, inside: &Inside, buffers: &[Buffer]) -> f32 {
        buffers.iter().fold(0.0, |sum, &buffer| {
            let least = if self.fits_whole(inside, buffer) {
                to_f32(self.unchanged(inside))
            } else {
                [Operand::C, Operand::A, Operand::B].into_iter().fold(f32::INFINITY, |least, stationary| {
                    let case = self.case(inside, stationary, buffer, 1);
                    let relaxed = case.relaxed();
                    let bytes = relaxed.cost(relaxed.centre());
                    if case.z.extent > 1 && bytes < least { bytes } else { least }
                })
            };
            sum + least
        })
    }

    fn outer(&self, inside: &Inside, buffer: Buffer, inner: &[Buffer], limit: u64) -> Option<Found> {
        let mut best = None;
        let mut least = limit;
        if self.every {
            for stationary in [Operand::C, Operand::A, Operand::B] {
                let free = inside.along(self.case(inside, stationary, buffer, 1).axes[2]).extent;
                for tz in 1..free {
                    let case = self.case(inside, stationary, buffer, tz);
                    for tx in 1..=case.x.extent {
                        for ty in 1..=case.rows(tx).min(case.y.extent) {
                            self.consider(
                                inside,
                                &case,
                                [tx, ty, tz],
                                buffer.double_buffered,
                                inner,
                                &mut least,
                                &mut best,
                            );
                        }
                    }
                }
            }
            return best;
        }
        let mut budget = self.budget;
        let search = Self { budget: self.budget / 4, ..*self };
        // The tile that the next level would have, so that it stays where it is.
        let Some(&next) = inner.last() else { return best };
        for stationary in OPERANDS {
            let case = self.case(inside, stationary, next, 1);
            let relaxed = case.relaxed();
            let mut found = None;
            let mut fewest = u64::MAX;
            case.walk(&relaxed, relaxed.centre(), false, 0.0, |tx, ty| {
                let bytes = case.cost(tx, ty);
                if bytes < fewest {
                    (fewest, found) = (bytes, Some((tx, ty)));
                }
                fewest
            });
            let Some((tx, ty)) = found.filter(|_| case.z.extent > 1) else { continue };
            let case = self.case(inside, stationary, buffer, 1);
            if let Some(tz) = self.free(&case, buffer, tx, ty) {
                search.consider(
                    inside,
                    &case,
                    [tx, ty, tz.min(case.z.extent)],
                    buffer.double_buffered,
                    inner,
                    &mut least,
                    &mut best,
                );
            }
        }
        let mut pairs: heapless::Vec<(f32, f32, Operand, Operand), 9> = heapless::Vec::new();
        for outside in OPERANDS {
            for stays in OPERANDS {
                let pair = Pair::new(self, inside, buffer, next, outside, stays);
                if let Some((bytes, free)) = pair.best() {
                    pairs.push((bytes, free, outside, stays)).ok();
                }
            }
        }
        pairs.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let rest = self.below(inside, inner.split_last().map_or(&[], |(_, rest)| rest));
        for (bytes, free, outside, stays) in pairs {
            if (bytes + rest) * SLACK >= to_f32(least) || budget == 0 {
                break;
            }
            let pair = Pair::new(self, inside, buffer, next, outside, stays);
            let extent = pair.case.z.extent;
            let tile_of = |tiles: u64| extent.div_ceil(tiles.max(1));
            let most = extent.saturating_sub(1).max(1);
            let start = tile_of(tile_of(bound::floor(free))).clamp(1, most);
            let mut visit = |tz: u64| -> bool {
                let (bytes, p, relaxed) = pair.at(to_f32(tz));
                if (bytes + rest) * SLACK >= to_f32(least) || budget == 0 {
                    return false;
                }
                let case = search.case(inside, outside, buffer, tz);
                let others = bytes - relaxed.cost(p) + rest;
                case.walk(&relaxed, p, false, others, |tx, ty| {
                    if budget > 0 {
                        budget = budget.saturating_sub(1);
                        search.consider(
                            inside,
                            &case,
                            [tx, ty, tz],
                            buffer.double_buffered,
                            inner,
                            &mut least,
                            &mut best,
                        );
                        bound::floor(to_f32(least) / SLACK)
                    } else {
                        0
                    }
                });
                true
            };
            let mut tz = start;
            let mut go = visit(tz);
            while go && tz > 1 {
                let shorter = tile_of(tile_of(tz).saturating_add(1));
                tz = if shorter >= tz { tz.saturating_sub(1) } else { shorter };
                go = visit(tz);
            }
            tz = start;
            while tz < most {
                tz = tile_of(tile_of(tz).saturating_sub(1)).max(tz.saturating_add(1)).min(most);
                if !visit(tz) {
                    break;
                }
            }
        }
        best
    }

    fn consider(
        &self,
        inside: &Inside,
        case: &Case<'_>,
        [tx, ty, tz]: [u64; 3],
        double_buffered: bool,
        inner: &[Buffer],
        least: &mut u64,
        best: &mut Option<Found>,
    ) {
        let [x, y, z] = case.axes;
        let orders = [[x, y, z], [y, x, z]];
        for order in if self.every { &orders[..] } else { &orders[..1] } {
            let cut = Cut { order: *order, ..cut_of(case.axes, [tx, ty, tz]) };
            let seen = self.under(inside, &cut, inner, least, best);
            let (false, Some(bytes)) = (self.every, seen) else { continue };
            // Tiles that hold whole tiles of the level inside leave fewer edges.
            let Some(next) =
                best.as_ref().filter(|found| found.bytes == bytes).and_then(|found| found.cuts.iter().rev().nth(1))
            else {
                return;
            };
            let snapped = |axis: Axis| {
                let (outer, inner) = (cut.tile.along(axis), next.tile.along(axis).max(1));
                outer.div_ceil(inner).saturating_mul(inner).min(inside.along(axis).extent)
            };
            let (sx, sy, sz) = (snapped(x), snapped(y), snapped(z));
            for tile in [[sx, sy, sz], [sx, ty, tz], [tx, sy, tz], [tx, ty, sz]] {
                let [sx, sy, sz] = tile;
                let fits = footprint(cut_of(case.axes, tile).tile, self.sizes, left_by(z), double_buffered)
                    .is_some_and(|bytes| bytes <= case.room);
                if fits && sz < case.z.extent.max(2) && [sx, sy, sz] != [tx, ty, tz] {
                    self.under(inside, &cut_of(case.axes, tile), inner, least, best);
                }
            }
        }
    }

    /// Bytes of these tiles and of what is best inside them, kept where it is less.
    fn under(
        &self,
        inside: &Inside,
        cut: &Cut,
        inner: &[Buffer],
        least: &mut u64,
        best: &mut Option<Found>,
    ) -> Option<u64> {
        let within = inside.cut(cut)?;
        let bytes = [Axis::M, Axis::N, Axis::K].into_iter().fold(0_u64, |sum, axis| {
            sum.saturating_add(self.weights.along(axis).saturating_mul(within.along(axis).moved))
        });
        if (to_f32(bytes) + self.below(&within, inner)) * MARGIN >= to_f32(self.tolerant(*least)) {
            return None;
        }
        let mut found = self.levels(&within, inner, least.saturating_sub(bytes))?;
        found.bytes = found.bytes.saturating_add(bytes);
        found.cuts.push(*cut).ok()?;
        *least = found.bytes;
        *best = Some(found);
        Some(*least)
    }
}

/// Two levels next to each other, without rounding: the stationary operand of each, and the free extent of the outer one.
struct Pair<'i> {
    case: Case<'i>,
    outer: Relaxed,
    inner: Relaxed,
    inner_axes: [Axis; 3],
    extent: f32,
    /// Bytes that a pass along the free axis moves.
    free: f32,
}

impl<'i> Pair<'i> {
    fn new(
        search: &Search<'_>,
        inside: &'i Inside,
        buffer: Buffer,
        next: Buffer,
        outside: Operand,
        stays: Operand,
    ) -> Self {
        let case = search.case(inside, outside, buffer, 1);
        let inner = search.case(inside, stays, next, 1);
        let [_, _, free] = inner.axes;
        let doubled = case.axes.map(|axis| axis == free);
        let (mut outer, inner_axes) = (case.relaxed(), inner.axes);
        let [x, y, z] = doubled;
        outer.alpha = if x { outer.alpha * 2.0 } else { outer.alpha };
        outer.beta = if y { outer.beta * 2.0 } else { outer.beta };
        let mut inner = inner.relaxed();
        inner.stays = 0.0;
        let [_, _, weight] = case.weights.map(to_f32);
        let free = if z { weight * to_f32(case.z.count) } else { 0.0 };
        Self { case, outer, inner, inner_axes, extent: case.z.mean(), free }
    }

    /// Bytes of both levels with this free extent, and the tiles along x of the outer one.
    fn at(&self, tz: f32) -> (f32, f32, Relaxed) {
        let mut outer = self.outer;
        outer.u *= tz;
        outer.v *= tz;
        let p = outer.centre();
        let left = outer.room * p - outer.u * outer.x;
        let ty = if left > 0.0 { left / (outer.s * outer.x + outer.v * p) } else { 0.0 };
        let tx = outer.x / p;
        let passes = self.extent / tz;
        let bytes = outer.cost(p) + self.free * if passes > 1.0 { passes } else { 1.0 };
        // The level inside is within these tiles.
        let mut inner = self.inner;
        let [x, y, _] = self.case.axes;
        let tile = |axis: Axis, mean: f32| {
            let tile = if axis == x {
                tx
            } else if axis == y {
                ty
            } else {
                tz
            };
            if tile < mean { tile } else { mean }
        };
        let [inner_x, inner_y, _] = self.inner_axes;
        let (tile_x, tile_y) = (tile(inner_x, inner.x), tile(inner_y, inner.y));
        inner.alpha *= inner.x / tile_x;
        inner.beta *= inner.y / tile_y;
        (inner.x, inner.y) = (tile_x, tile_y);
        (bytes + inner.cost(inner.centre()), p, outer)
    }

    /// The least bytes and the free extent that has them.
    fn best(&self) -> Option<(f32, f32)> {
        let most = (self.outer.room - self.outer.s) / (self.outer.u + self.outer.v);
        let most = if most < self.extent { most } else { self.extent };
        if most.is_nan() || most < 1.0 || self.case.z.extent <= 1 {
            return None;
        }
        let mut best = (f32::INFINITY, 1.0);
        let mut see = |tz: f32| {
            let (bytes, ..) = self.at(tz);
            if bytes < best.0 {
                best = (bytes, tz);
            }
        };
        let mut tz = most;
        see(tz);
        while tz > 1.0 {
            tz = if tz > 2.0 { tz * 0.5 } else { 1.0 };
            see(tz);
        }
        let mut step = core::f32::consts::SQRT_2;
        for _ in 0..4 {
            let centre = best.1;
            for tz in [centre * step, centre / step] {
                if tz <= most && tz >= 1.0 {
                    let (bytes, ..) = self.at(tz);
                    if bytes < best.0 {
                        best = (bytes, tz);
                    }
                }
            }
            step = libm::sqrtf(step);
        }
        best.0.is_finite().then_some(best)
    }
}

fn cut_of(axes: [Axis; 3], extents: [u64; 3]) -> Cut {
    let mut tile = Extents { m: 1, n: 1, k: 1 };
    for (axis, extent) in axes.into_iter().zip(extents) {
        match axis {
            Axis::M => tile.m = extent,
            Axis::N => tile.n = extent,
            Axis::K => tile.k = extent,
        }
    }
    Cut { tile, order: axes }
}
