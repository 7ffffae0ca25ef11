//! Lower bounds of every schedule: bytes that pass between a memory and the level outside it, whatever the order of the MACs.
//!
//! **Argument** (Hong & Kung 1981; the constant as Smith et al. 2017 have it). Count for each element of C its visits to the memory, at
//! s ≤ `partial` bytes each: of v visits the level pays (v − 1) · 2 · `partial` + c ≥ v · s + (c − s). Let Q be the bytes of
//! A and B that are read and of the visits of C. Cut the run wherever X bytes of Q are full. In one piece at most S + X bytes are there
//! to compute with: those that the memory of S bytes holds at its start, and those that come. If a piece of g MACs needs at least V(g)
//! bytes, and n pieces of X bytes do not suffice for G MACs, more than n · X bytes move:
//!
//! ```text
//! traffic ≥ max_n,s n · (V(G / n) − S) + (c − s) · |C|
//! V(g)    = min a·x + b·y + s·z   with   r·x·y·z ≥ g²,  x ≥ g / (r·co),  y ≥ g / (batch·positions),  z ≥ g / (ci·K)
//! ```
//! A matrix product has r = 1, co = n, positions = m, ci·K = k. With elements of one size and S counted in them, that is
//!
//! ```text
//! 2·m·n·k / √S            k ≥ √S:  results are no extra here; Kwasniewski et al. (SC 2019) have m·n more, which short k refute
//! m·n·k · k / S + m·n     k ≤ √S:  a result takes a row of A and a column of B, S / k columns of B stay, each row of A passes them
//! ```
//! and so for short n or m with the operand that is whole then. Both meet at k = √S.
//!
//! The first condition is that of Loomis and Whitney on (position, co, (ci, tap)): the projection of a set of MACs on (position, ci,
//! tap) is at most r times its projection on A, for an input position is read by at most r pairs of window and tap:
//!
//! ```text
//! r = Π_axes min(windows, ⌈kernel / (stride / gcd(stride, dilation))⌉)
//! ```
//! MACs of taps in the padding are none of the G: they read nothing. The other conditions say that extents end: few channels, few
//! positions or a small filter (Dinh & Demmel). Without them, and with real n, the maximum is 2 · G · √(a · b · partial / (r · S)), the
//! bound of a matrix product where r = 1. Groups add up to no more than one product of all their sums (Hölder).
//!
//! Where windows step, taps fall into classes that read different positions and have different weights, some of them fewer than r
//! times. With MACs of a class that r read counted as 1 / √r each, Cauchy and Schwarz give W ≤ √(x · y · z) for their sum over all classes, so
//! the same bound holds with
//!
//! ```text
//! W = Σ_taps macs(tap) / √r(tap) for G,   r = 1,   x ≥ w / (√r·co),  y ≥ w·√r_least / (batch·positions),  z ≥ w / (ci·Σ_taps 1 / √r(tap))
//! ```
//! The larger of both is taken. Demmel and Dinh write kernel / stride for the reuse of a window; this is never more, and valid for any
//! set of MACs. Halos are not in it: a schedule may keep rows while it slides.
//!
//! **Source**: Hong, Kung, "I/O complexity: the red-blue pebble game", STOC 1981; Smith, Lowery, Langou, van de Geijn, arXiv 1702.02017;
//! Demmel, Dinh, arXiv 1802.06905; Chen, Demmel, Dinh, Haberle, Holtz, arXiv 2204.08279 (mixed element sizes); Dinh, Demmel, arXiv
//! 2003.00119 (small loops). The derivation with these constants is the one above.

use super::bound::floor;
use crate::error::Error;
use crate::nest::{Axis, ConvLoops, ElementSizes, LoopNest, Loops, Traffic};
use crate::shape::product;
use crate::units::Parts as _;
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Share of a bound that is kept, so that roundings of f32 never lift it above the truth.
const KEPT: f32 = 0.9999;

/// Most taps of an axis that are looked at one by one.
const COUNTED_TAPS: u64 = 64;

/// Bytes of every schedule; see [`super::any_order_bound`].
pub(super) fn bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    let sizes = &nest.sizes;
    let [a, b, partial, c] = [sizes.a, sizes.b, sizes.partial, sizes.c].map(to_f32);
    let (once, macs, results, problems) = match &nest.loops {
        Loops::Gemm(Gemm { m, n, k, groups }) => {
            // Runs of the same B are one product of more rows.
            let [m, n, k, groups] = [product([*m, nest.repeats])?, *n, *k, *groups].map(to_f32);
            let macs = m * n * k * groups;
            let same = Products { macs, volume: a * b, least: [a / n, b / m, 1.0 / k] };
            (k, macs, m * n * groups, [same, same])
        }
        Loops::Conv(loops) => conv(loops, sizes)?,
        Loops::Attention(loops) => return super::attention::bound_attention(loops, sizes, capacity),
    };
    let compulsory = Traffic::compulsory(nest)?.total()?;
    if macs.is_nan() || macs <= 0.0 {
        return Ok(compulsory);
    }
    let room = to_f32(capacity.0).max(1.0);
    // Of a long sum, 2 · G · √(a · b · s / S) − s · |C| is largest for s = (k · a / S) · (k · b).
    let narrow = if c < partial { c } else { partial };
    let free = once * a / room * (once * b);
    let widths = [partial, narrow, if free < partial { free } else { partial }];
    let most = widths.into_iter().fold(0.0_f32, |most, s| {
        problems.iter().fold(most, |most, problem| most.max(problem.at(s).bytes(room) + (c - s) * results))
    });
    Ok(Bytes(compulsory.0.max(floor(most * KEPT - partial * results * (1.0 - KEPT)))))
}

/// A convolution: MACs of a result, of all, results, and both ways to count; the bytes of C for those of one a sum.
fn conv(loops: &ConvLoops, sizes: &ElementSizes) -> Result<(f32, f32, f32, [Products; 2]), Error> {
    let axes = loops.axes()?;
    let mut taps = [Taps::ONE; 3];
    for (((taps, axis), kernel), (stride, dilation)) in
        taps.iter_mut().zip(&axes).zip(loops.kernel).zip(loops.stride.into_iter().zip(loops.dilation))
    {
        *taps = Taps::of(axis, kernel, stride, dilation);
    }
    let taps = taps.iter().fold(Taps::ONE, |product, axis| product.times(axis));
    let channels = to_f32(product([loops.batch, loops.groups, loops.c_in, loops.c_out])?);
    let positions = to_f32(product([loops.batch, product(loops.output)?])?);
    let (c_in, c_out) = (to_f32(loops.c_in), to_f32(loops.c_out));
    let (a, b) = (to_f32(sizes.a), to_f32(sizes.b));
    let alike = Products {
        macs: channels * taps.macs,
        volume: a * b / taps.most,
        least: [a / (taps.most * c_out), b / positions, 1.0 / (c_in * taps.count)],
    };
    let root = libm::sqrtf(taps.most);
    let weighted = Products {
        macs: channels * taps.weighted,
        volume: a * b,
        least: [a / (root * c_out), b * libm::sqrtf(taps.least) / positions, 1.0 / (c_in * taps.weights)],
    };
    let results = to_f32(product([loops.batch, loops.groups, loops.c_out, product(loops.output)?])?);
    Ok((c_in * taps.count / root, alike.macs, results, [alike, weighted]))
}

/// The larger of a function at the whole numbers around a place, and at 1.
pub(super) fn best_near(of: &impl Fn(f32) -> f32, place: f32) -> f32 {
    let below = to_f32(floor(place)).max(1.0);
    of(below).max(of(below + 1.0)).max(of(1.0))
}

/// Least bytes of all operands with which g MACs can be computed: the sum of three parts whose product is at least g² · `volume`, none
/// below g times its least.
fn bytes_of(g: f32, volume: f32, least: [f32; 3]) -> f32 {
    let [x, y, z] = least.map(|least| least * g);
    // In falling order.
    let (x, y) = if x < y { (y, x) } else { (x, y) };
    let (y, z) = if y < z { (z, y) } else { (y, z) };
    let (x, y) = if x < y { (y, x) } else { (x, y) };
    let cube = libm::cbrtf(g);
    let equal = cube * cube * libm::cbrtf(volume);
    if x <= equal {
        return 3.0 * equal;
    }
    let equal = libm::sqrtf(g / x * volume * g);
    if y <= equal {
        return x + 2.0 * equal;
    }
    x + y + z.max(g / x * volume * (g / y))
}

/// MACs, and what they need at least.
#[derive(Clone, Copy, Debug)]
struct Products {
    macs: f32,
    /// Product of the bytes of the operands over the square of the MACs.
    volume: f32,
    /// Bytes of each operand for a MAC.
    least: [f32; 3],
}

impl Products {
    /// With results of this many bytes, where they were of one.
    fn at(self, s: f32) -> Self {
        let [a, b, c] = self.least;
        Self { volume: self.volume * s, least: [a, b, c * s], ..self }
    }

    /// Bytes of Q that pass a memory of this capacity.
    fn bytes(&self, capacity: f32) -> f32 {
        let pieces = |n: f32| n * (bytes_of(self.macs / n, self.volume, self.least) - capacity);
        // Where no extent ends: n^(1/3) · V(G) − n · S is largest at n = (V(G) / 3S)^(3/2), V(G) = 3 · (G² · volume)^(1/3).
        let (cube, room) = (libm::cbrtf(self.macs), capacity.max(1.0));
        let free = cube * cube * libm::cbrtf(self.volume) / room;
        let most = best_near(&pieces, free * libm::sqrtf(free));
        // Where one extent ends: L + 2 · √(n · G · volume / l) − n · S is largest at n = G · volume / (l · S²).
        let ends = |least: f32| best_near(&pieces, self.macs / room * (self.volume / least) / room);
        self.least.into_iter().fold(most, |most, least| most.max(ends(least)))
    }
}

/// What the taps of an axis read, or of all axes.
#[derive(Clone, Copy)]
struct Taps {
    /// Number of taps.
    count: f32,
    /// Pairs of window and tap that read the input.
    macs: f32,
    /// These, each over the root of how many read its position.
    weighted: f32,
    /// Sum over the taps of one over that root.
    weights: f32,
    /// Most and least pairs of window and tap that may read one position.
    most: f32,
    least: f32,
}

impl Taps {
    const ONE: Self = Self { count: 1.0, macs: 1.0, weighted: 1.0, weights: 1.0, most: 1.0, least: 1.0 };

    fn of(axis: &Axis, kernel: u64, stride: u64, dilation: u64) -> Self {
        let step = stride.checked_div(gcd(stride, dilation)).unwrap_or(1).max(1);
        let read = |taps: u64| to_f32(taps.min(axis.output).max(1));
        let most = read(kernel.in_parts_of(step));
        let least = read(kernel.checked_div(step).unwrap_or(0));
        let count = to_f32(kernel);
        if kernel > COUNTED_TAPS || step == 1 {
            let macs = to_f32(taps_within(axis, kernel, dilation));
            let root = libm::sqrtf(most);
            return Self { count, macs, weighted: macs / root, weights: count / root, most, least };
        }
        let mut taps = Self { count, macs: 0.0, weighted: 0.0, weights: 0.0, most, least };
        for tap in 0..kernel {
            // Taps a step apart read the same positions.
            let before = tap.checked_rem(step).unwrap_or(0);
            let root = libm::sqrtf(read(kernel.saturating_sub(before).in_parts_of(step)));
            let macs = to_f32(tap_within(axis, tap.saturating_mul(dilation)));
            taps.macs += macs;
            taps.weighted += macs / root;
            taps.weights += 1.0 / root;
        }
        taps
    }

    fn times(self, other: &Self) -> Self {
        Self {
            count: self.count * other.count,
            macs: self.macs * other.macs,
            weighted: self.weighted * other.weighted,
            weights: self.weights * other.weights,
            most: self.most * other.most,
            least: self.least * other.least,
        }
    }
}

/// Pairs of window and tap of an axis that read the input, not the padding; for filters of many taps those of windows wholly within.
fn taps_within(axis: &Axis, kernel: u64, dilation: u64) -> u64 {
    if kernel <= COUNTED_TAPS {
        let taps = (0..kernel).map(|tap| tap_within(axis, tap.saturating_mul(dilation)));
        return taps.fold(0, u64::saturating_add);
    }
    let end = axis.border().saturating_add(1).saturating_sub(axis.reach);
    windows_before(axis, end).saturating_sub(windows_before(axis, axis.padding)).saturating_mul(kernel)
}

/// Windows whose tap at this distance from their start reads the input.
fn tap_within(axis: &Axis, offset: u64) -> u64 {
    let from = windows_before(axis, axis.padding.saturating_sub(offset));
    windows_before(axis, axis.border().saturating_sub(offset)).saturating_sub(from)
}

/// Windows that start before a position, counted from the start of the padding.
fn windows_before(axis: &Axis, position: u64) -> u64 {
    position.in_parts_of(axis.stride).min(axis.output)
}

/// Greatest common divisor.
fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_bytes_by_hand() {
        // No extent ends: 3 · (8² · 1)^(1/3) = 12.
        assert!((bytes_of(8.0, 1.0, [0.0; 3]) - 12.0).abs() < 1e-4);
        // One part at least 16: 16 + 2 · √(64 / 16) = 20.
        assert!((bytes_of(8.0, 1.0, [0.0, 2.0, 0.0]) - 20.0).abs() < 1e-4);
        // Two at least 16 and 8: 16 + 8 + 64 / 128 = 24.5.
        assert!((bytes_of(8.0, 1.0, [1.0, 2.0, 0.0]) - 24.5).abs() < 1e-4);
    }

    #[test]
    fn a_large_convolution_meets_the_closed_form() -> Result<(), Error> {
        // 3 × 3, step 1: r = 9. Taps in the padding left out, G = 512² · (3 · 112 − 2)² = 2.92e10; S = 32768 B of 4 B:
        // 2 · G · √(64 / (9 · 32768)) = 8.62e8.
        let loops = ConvLoops {
            batch: 1,
            groups: 1,
            c_in: 512,
            c_out: 512,
            input: [1, 112, 112],
            output: [1, 112, 112],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0, 1, 1],
        };
        let bound = bound(&LoopNest::new(Loops::Conv(loops), ElementSizes::all(4)), Bytes(32768))?;
        let macs = 512.0 * 512.0 * 334.0 * 334.0;
        let closed = 2.0 * macs * libm::sqrtf(64.0 / (9.0 * 32768.0));
        assert!((to_f32(bound.0) / closed - 1.0).abs() < 1e-3, "{bound:?} {closed}");
        Ok(())
    }

    fn of_product(m: u64, n: u64, k: u64, capacity: u64) -> Result<f32, Error> {
        let nest = LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), ElementSizes::all(4));
        Ok(to_f32(bound(&nest, Bytes(capacity))?.0))
    }

    #[test]
    fn products_meet_their_closed_forms() -> Result<(), Error> {
        // S = 4096 elements, √S = 64. Long sums: 2 · 4096³ / 64 = 2^31 elements.
        assert!((of_product(4096, 4096, 4096, 16384)? / (4.0 * 2_147_483_648.0) - 1.0).abs() < 1e-3);
        // Sums of 16: 4096² · 16² / 4096 + 4096² = 2^20 + 2^24 elements.
        assert!((of_product(4096, 4096, 16, 16384)? / (4.0 * 17_825_792.0) - 1.0).abs() < 1e-3);
        // 16 columns, the same with A for C: A is read once, and 2^20 more.
        assert!((of_product(4096, 16, 4096, 16384)? / (4.0 * 17_825_792.0) - 1.0).abs() < 1e-2);
        // Sums of one, where 2 · m · n · k / √S + m · n is wrong: A, B and C once, and 4096² / 4096 = 2^12 more, A + B = 2^13.
        assert!(of_product(4096, 4096, 1, 16384)? <= 4.0 * (16_777_216.0 + 8192.0));
        Ok(())
    }
}
