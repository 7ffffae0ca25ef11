//! Tilings of matrix products: the tiles and loop orders that move the fewest bytes.
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
//! anywhere. `p` passes over C write and read partial sums `p − 1` times and the result once. So each candidate moves every
//! operand once, and for the numbers of tiles `p` and `q` along the two axes of the stationary operand
//!
//! ```text
//! excess(p, q) = α · (p − 1) + β · (q − 1)          least q for p: ty ≤ (S − u · tx) / (s · tx + v), tx = ⌈x/p⌉, q = ⌈y/ty⌉
//! ```
//! Without rounding, the excess is convex in `p`; the search starts at its minimum and walks outward on both sides until the
//! excess without rounding is already above the best with it. So the optimum is exact.

use super::reuse::{Axis, Cut, Extents, moved};
use super::{Buffer, LevelTiling, MAX_LEVELS, TileLoop, Tiling, bound};
use crate::error::Error;
use crate::nest::{Dim, ElementSizes, LoopNest, Operand, Traffic};
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Share by which a relaxed excess in `f32` is lowered, so that rounding never hides a better tiling: 2^-16.
const MARGIN: f32 = 1.0 - 1.0 / 65536.0;

/// Cuts of all levels, from the outermost to the innermost.
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
    for (outside, buffer) in
        buffers.iter().enumerate().map(|(level, buffer)| (buffers.len().saturating_sub(level), buffer))
    {
        let cuts = cuts.get(..outside).unwrap_or_default();
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

    /// Tiles for each level, outermost first.
    fn cuts(&self, buffers: &[Buffer]) -> Result<Cuts, Error> {
        let mut cuts = Cuts::new();
        let mut inside = self.extents;
        // Bytes that a pass along each axis moves again: of B along m, of A along n, of partial sums along k.
        let Extents { m, n, k } = self.extents;
        let bytes = |x: u64, y: u64, size: u64| x.saturating_mul(y).saturating_mul(size);
        let mut weights = Extents {
            m: bytes(n, k, self.sizes.b),
            n: bytes(m, k, self.sizes.a),
            k: bytes(m, n, self.sizes.partial.saturating_mul(2)),
        };
        for (level, buffer) in buffers.iter().enumerate().rev() {
            let search = Search { inside, weights, sizes: self.sizes, buffer: *buffer, keeps_b: self.repeats > 1 };
            let cut = search.best().ok_or(Error::Infeasible { level: u8::try_from(level).unwrap_or(u8::MAX) })?;
            let passes = |weight: u64, extent: u64, tile: u64| weight.saturating_mul(extent.div_ceil(tile.max(1)));
            weights = Extents {
                m: passes(weights.m, inside.m, cut.tile.m),
                n: passes(weights.n, inside.n, cut.tile.n),
                k: passes(weights.k, inside.k, cut.tile.k),
            };
            inside = cut.tile;
            cuts.push(cut).map_err(|_| too_many_levels())?;
        }
        Ok(cuts)
    }

    /// What the innermost of these levels holds and moves.
    fn level(&self, nest: &LoopNest, cuts: &[Cut], buffer: &Buffer) -> Result<LevelTiling, Error> {
        let Some((cut, outside)) = cuts.split_last() else { return Err(too_many_levels()) };
        let extents = outside.last().map_or(self.extents, |cut| cut.tile);
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
        let stationary = stationary(cut, extents, &self.sizes);
        let footprint = footprint(cut.tile, &self.sizes, stationary, buffer.double_buffered);
        Ok(LevelTiling {
            loops,
            stationary,
            footprint: Bytes(footprint.ok_or(Error::CountOverflow)?),
            traffic: self.traffic(cuts).ok_or(Error::CountOverflow)?,
            lower_bound: bound::lower_bound(nest, buffer.capacity)?,
        })
    }

    /// Bytes between the innermost of these levels and the one outside it.
    fn traffic(&self, cuts: &[Cut]) -> Option<Traffic> {
        let Extents { m, n, k } = self.extents;
        let runs = self.groups.checked_mul(self.repeats)?;
        let moved = |axes| moved(self.extents, cuts.iter(), axes);
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

/// The operand that the innermost loop with more than one tile leaves in place; the largest one where there is no such loop.
fn stationary(cut: &Cut, inside: Extents, sizes: &ElementSizes) -> Operand {
    match cut.order.into_iter().rev().find(|&axis| cut.tile.along(axis) < inside.along(axis)) {
        Some(Axis::K) => Operand::C,
        Some(Axis::N) => Operand::A,
        Some(Axis::M) => Operand::B,
        None => largest(cut.tile, sizes),
    }
}

fn largest(tile: Extents, sizes: &ElementSizes) -> Operand {
    let bytes = tile_bytes(tile, sizes).unwrap_or([(Operand::C, 0); 3]);
    bytes.into_iter().fold((Operand::C, 0), |most, next| if next.1 > most.1 { next } else { most }).0
}

/// The search for the tiles of one level within the tile of the level outside it.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// What is tiled.
    inside: Extents,
    /// Bytes that another pass along each axis moves, over the whole nest.
    weights: Extents,
    sizes: ElementSizes,
    buffer: Buffer,
    /// Whether B that stays whole is read once for many runs.
    keeps_b: bool,
}

impl Search {
    /// The tiles and the loop order that move least; `None` where not even the smallest tile fits.
    fn best(&self) -> Option<Cut> {
        let room = self.buffer.capacity.0;
        let whole = self.inside;
        let fits = |stationary| {
            footprint(whole, &self.sizes, stationary, self.buffer.double_buffered).is_some_and(|bytes| bytes <= room)
        };
        if fits(largest(whole, &self.sizes)) {
            return Some(Cut { tile: whole, order: [Axis::M, Axis::N, Axis::K] });
        }
        let cases = [Operand::C, Operand::A, Operand::B].map(|stationary| self.case(stationary));
        let [_, _, b] = &cases;
        if self.keeps_b && b.free > 1 && b.rows(b.x) >= b.y {
            return b.cut(self, 1, 1);
        }
        // The case with the lowest relaxed excess first: it often rules out the others.
        let mut order = cases.each_ref().map(|case| (case.least(), case));
        order.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let mut best: Option<(u64, &Case, u64, u64)> = None;
        for (least, case) in order {
            if case.free <= 1 || best.is_some_and(|(excess, ..)| least * MARGIN >= to_f32(excess)) {
                continue;
            }
            case.walk(|excess, p, q| {
                if best.is_none_or(|(least, ..)| excess < least) {
                    best = Some((excess, case, p, q));
                }
                best.map_or(u64::MAX, |(least, ..)| least)
            });
        }
        let (_, case, p, q) = best?;
        case.cut(self, p, q)
    }

    fn case(&self, stationary: Operand) -> Case {
        let times = if self.buffer.double_buffered { 2 } else { 1 };
        let ElementSizes { a, b, partial, .. } = self.sizes;
        let ([x, y, z], [s, u, v]) = match stationary {
            Operand::C => ([Axis::M, Axis::N, Axis::K], [partial, a, b]),
            Operand::A => ([Axis::M, Axis::K, Axis::N], [a, partial, b]),
            Operand::B => ([Axis::N, Axis::K, Axis::M], [b, partial, a]),
        };
        Case {
            axes: [x, y, z],
            x: self.inside.along(x),
            y: self.inside.along(y),
            free: self.inside.along(z),
            s,
            u: u.saturating_mul(times),
            v: v.saturating_mul(times),
            room: self.buffer.capacity.0,
            alpha: self.weights.along(x),
            beta: self.weights.along(y),
        }
    }
}

/// One stationary operand: `x` and `y` are its axes, the third is free.
#[derive(Clone, Copy, Debug)]
struct Case {
    axes: [Axis; 3],
    x: u64,
    y: u64,
    free: u64,
    /// Bytes of an element of the stationary operand.
    s: u64,
    /// Bytes that the operand along `x` and the free axis takes for each element of `x`, the free extent at 1.
    u: u64,
    /// The same along `y`.
    v: u64,
    room: u64,
    /// Bytes that another tile along `x` moves.
    alpha: u64,
    /// The same along `y`.
    beta: u64,
}

impl Case {
    /// Most elements along `y` beside so many along `x`; 0 where nothing fits.
    fn rows(&self, tx: u64) -> u64 {
        let left = self.room.saturating_sub(self.u.saturating_mul(tx));
        left.checked_div(self.s.saturating_mul(tx).saturating_add(self.v)).unwrap_or(0)
    }

    /// The relaxed problem: extents in real numbers.
    ///
    /// ```text
    /// ty = (S − u · x/p) / (s · x/p + v) = (S · p − u · x) / (s · x + v · p)
    /// excess(p) = α · (p − 1) + β · (max(1, y/ty) − 1)
    /// ```
    fn relaxed(&self, p: f32) -> f32 {
        let [x, y, s, u, v, room] = [self.x, self.y, self.s, self.u, self.v, self.room].map(to_f32);
        let left = room * p - u * x;
        if left <= 0.0 {
            return f32::INFINITY;
        }
        let q = y * (s * x + v * p) / left;
        let q = if q > 1.0 { q } else { 1.0 };
        to_f32(self.alpha) * (p - 1.0) + to_f32(self.beta) * (q - 1.0)
    }

    /// Where the relaxed excess is least.
    ///
    /// ```text
    /// d excess/dp = α − β · y · (s · x · S + v · u · x) / (S · p − u · x)² = 0
    /// ```
    /// or where `q` reaches 1 before that, and within the tiles that fit.
    fn centre(&self) -> f32 {
        let [x, y, s, u, v, room] = [self.x, self.y, self.s, self.u, self.v, self.room].map(to_f32);
        let [alpha, beta] = [self.alpha, self.beta].map(to_f32);
        // α and β have the product of all extents in common: their quotient stays far from the ends of the range.
        let root = libm::sqrtf(beta / alpha * y) * libm::sqrtf(x * (s * room + v * u));
        let free = (u * x + root) / room;
        let left = room - v * y;
        let whole = if left > 0.0 { x * (s * y + u) / left } else { f32::INFINITY };
        let p = if free < whole { free } else { whole };
        let least = x * (s + u) / (room - v);
        let p = if p > least { p } else { least };
        if p < 1.0 {
            1.0
        } else if p > x {
            x
        } else {
            p
        }
    }

    /// An excess that no tiling of this case is below.
    fn least(&self) -> f32 {
        self.relaxed(self.centre())
    }

    /// Walks over numbers of tiles along `x`, outward from the centre; `visit` takes an excess and gives the least so far.
    fn walk(&self, mut visit: impl FnMut(u64, u64, u64) -> u64) {
        // The longest tile along x beside one row, and the numbers of tiles that it allows.
        let most = self.room.saturating_sub(self.v).checked_div(self.s.saturating_add(self.u)).unwrap_or(0).min(self.x);
        if most == 0 {
            return;
        }
        let fewest = self.x.div_ceil(most);
        let start = bound::floor(self.centre()).clamp(fewest, self.x.max(fewest));
        let mut least = u64::MAX;
        let mut see = |p: u64| {
            let ty = self.rows(self.x.div_ceil(p.max(1))).min(self.y);
            if ty > 0 {
                let q = self.y.div_ceil(ty);
                let steps = |weight: u64, trips: u64| weight.saturating_mul(trips.saturating_sub(1));
                least = visit(steps(self.alpha, p).saturating_add(steps(self.beta, q)), p, q);
            }
            least
        };
        // Numbers that share a tile extent with a lower one only add passes: of each extent the lowest is seen.
        let lowest = |p: u64| self.x.div_ceil(self.x.div_ceil(p.max(1)).max(1));
        let start = lowest(start).max(1);
        let mut limit = to_f32(see(start));
        let mut p = start;
        while p > fewest {
            p = lowest(p.saturating_sub(1)).max(1);
            if self.relaxed(to_f32(p)) * MARGIN >= limit {
                break;
            }
            limit = to_f32(see(p));
        }
        p = start;
        loop {
            let tx = self.x.div_ceil(p.max(1));
            if tx <= 1 {
                break;
            }
            let next = p.saturating_add(1);
            p = if self.x.div_ceil(next.max(1)) < tx { next } else { self.x.div_ceil(tx.saturating_sub(1).max(1)) };
            if self.relaxed(to_f32(p)) * MARGIN >= limit {
                break;
            }
            limit = to_f32(see(p));
        }
    }

    /// Balanced tiles for these numbers of them, and the free extent as far as there is room.
    fn cut(&self, search: &Search, p: u64, q: u64) -> Option<Cut> {
        let (tx, ty) = (self.x.div_ceil(p.max(1)), self.y.div_ceil(q.max(1)));
        let left = self.room.checked_sub(self.s.checked_mul(tx)?.checked_mul(ty)?)?;
        let each = self.u.checked_mul(tx)?.checked_add(self.v.checked_mul(ty)?)?;
        let most = left.checked_div(each)?.min(self.free);
        // With one pass along the free axis, another operand would be stationary, and this one take room twice.
        let alone = p <= 1 && q <= 1;
        let most = if search.buffer.double_buffered && !alone { most.min(self.free.div_ceil(2)) } else { most };
        let tz = self.free.div_ceil(self.free.div_ceil(most.max(1)).max(1));
        let [x, y, z] = self.axes;
        let mut tile = Extents { m: 1, n: 1, k: 1 };
        for (axis, extent) in [(x, tx), (y, ty), (z, tz)] {
            match axis {
                Axis::M => tile.m = extent,
                Axis::N => tile.n = extent,
                Axis::K => tile.k = extent,
            }
        }
        Some(Cut { tile, order: [x, y, z] })
    }
}
