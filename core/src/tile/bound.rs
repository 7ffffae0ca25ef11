//! Lower bounds of the traffic of tilings: bytes that pass between a memory and the level outside it, whatever the tiles and loop orders.
//!
//! [`super::any_order`] bounds every schedule; here are loops over rectangular tiles, of which a level holds one for each operand.
//! That is more than a schedule must move: an element of a tile is there from the tile's first MAC to its last.
//!
//! **What moves.** Cut m, n and k into `M`, `N` and `K` tiles. The tile with the most elements has at least the mean of each extent, so
//! with A, B, C for the bytes of all elements (of C at the width of partial sums)
//!
//! ```text
//! A / (M·K) + B / (N·K) + C / (M·N) ≤ S,      1 ≤ M ≤ m,  1 ≤ N ≤ n,  1 ≤ K ≤ k
//! ```
//! From one innermost tile to the next, at most one operand's tile stays: that which does not depend on the loop that steps.
//! So one operand is moved once at the least, the others with each step of the axis that they do not have:
//!
//! ```text
//! traffic = compulsory + A·(N − 1)      + B·(M − 1)        C stays
//!         = compulsory + B·(M − 1)      + 2·C·(K − 1)      A stays
//!         = compulsory + A·(N − 1)      + 2·C·(K − 1)      B stays
//! ```
//! In each case the third number of tiles does not count, and is as large as its extent. Let it be that; what remains is
//!
//! ```text
//! min α·(p − 1) + β·(q − 1)      with   u/p + v/q + s/(p·q) ≤ S,   p, q ≥ 1
//! q(p) = (s + v·p) / (S·p − u),        least at  p = (u + √(β/α · (s·S + u·v))) / S
//! ```
//! It is convex in p. The bound is the least of the three, over whole p and q while either is at most six, and over all numbers
//! above. Where A, B and C exceed S by far, it is 2·m·n·k·√(`s_a`·`s_b`·`s_p` / S) + `s_c`·m·n and more (Kwasniewski et al.'s 2·m·n·k/√S + m·n).
//!
//! **Several levels.** Loops of the levels outside cut axes as well, and where tiles do not divide, edges may have other loops.
//! Each box of tiles in which one operand stays moves at least its share of the volume times what the whole would at the same tiles,
//! as max(1, x) ≥ λ·max(1, x/λ) for a share λ; the shares add up to 1, so the least of the three cases for all numbers p and q holds.
//! That whole numbers hold too was checked over 49 million small nests of two and three levels; there is no proof for them here.
//!
//! Runs of the same B are a loop along m outside all others: B moves once if it stays whole, beside a row of A and of C, else in each run.
//! Groups share nothing. A capacity of more than 14 bits is rounded up to those, so that roundings of `f32` never make
//! more room cost more; they are on the safe side by 2^-16 of all bytes.
//!
//! **Source**: derived here; compare Kwasniewski et al., "Red-Blue Pebbling Revisited", SC 2019, arXiv 1908.09606; for extents shorter than
//! the tile Dinh, Demmel, arXiv 2003.00119; for all tilings of a memory Huang et al., "Orojenesis", ISCA 2024.

use crate::error::Error;
use crate::nest::{LoopNest, Loops, Traffic};
use crate::units::{Bytes, to_f32};

/// Share of a sum in `f32` by which it may be off: 2^-16.
const ROUNDED: f32 = 1.0 / 65536.0;

/// Share of room that is given away, so that numbers of tiles are never too large by rounding: 2^-18.
const ROOMIER: f32 = 1.0 / 262_144.0;

/// Significant bits of a capacity.
const BITS: u32 = 14;

/// Numbers of tiles up to which they are whole.
const WHOLE: f32 = 6.0;

/// Bytes that must pass; see [`super::lower_bound`].
pub(super) fn lower_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    let compulsory = Traffic::compulsory(nest)?.total()?;
    let Loops::Gemm(gemm) = nest.loops else { return Ok(compulsory) };
    let sizes = &nest.sizes;
    // A product and its transpose are rounded alike.
    let turned = nest.repeats <= 1 && (gemm.m, sizes.a) < (gemm.n, sizes.b);
    let ((m, a), (n, b)) =
        if turned { ((gemm.n, sizes.b), (gemm.m, sizes.a)) } else { ((gemm.m, sizes.a), (gemm.n, sizes.b)) };
    let [m, n, k, a, b, partial] = [m, n, gemm.k, a, b, sizes.partial].map(to_f32);
    let room = room(capacity).max(least(a, b, partial));
    let product = Product { extents: [m, n, k], a: a * m * k, b: b * k * n, c: partial * m * n, room };
    // Weights that stay for the next run.
    if nest.repeats > 1 && product.b + (product.a + product.c) / m <= room {
        return Ok(compulsory);
    }
    let runs = to_f32(nest.repeats) * to_f32(gemm.groups);
    let again = to_f32(nest.repeats.saturating_sub(1)) * to_f32(gemm.groups) * product.b;
    Ok(with(compulsory, product.beyond(f32::INFINITY) * runs + again))
}

/// Bytes of a memory, no fewer than it has.
pub(super) fn room(capacity: Bytes) -> f32 {
    let bits = u64::BITS.saturating_sub(capacity.0.leading_zeros());
    let below = 1_u64.checked_shl(bits.saturating_sub(BITS)).unwrap_or(1).saturating_sub(1);
    let room = to_f32(capacity.0.saturating_add(below) & !below);
    room.max(1.0) * (1.0 + ROOMIER)
}

/// Room for the smallest tile, of these bytes of each operand. Below it no tile fits; what moves in it is as much as any tiling moves.
pub(super) fn least(a: f32, b: f32, c: f32) -> f32 {
    (a + b + c) * (1.0 + ROUNDED)
}

/// Compulsory bytes and those beyond them, rounded down.
pub(super) fn with(compulsory: Bytes, beyond: f32) -> Bytes {
    if !beyond.is_finite() {
        return compulsory;
    }
    let sure = beyond * (1.0 - ROUNDED) - to_f32(compulsory.0) * ROUNDED;
    Bytes(compulsory.0.saturating_add(floor(sure)))
}

/// A matrix product: extents m, n, k, the bytes of its operands, those of C as partial sums, and of the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) extents: [f32; 3],
    pub(super) a: f32,
    pub(super) b: f32,
    pub(super) c: f32,
    pub(super) room: f32,
}

impl Product {
    /// What moves beyond the compulsory, or `best` if that is less; infinite where nothing fits.
    pub(super) fn beyond(&self, best: f32) -> f32 {
        let cases = [self.c_stays(), self.a_stays(), self.b_stays()];
        // The case that moves least without whole numbers first: it often rules out the others.
        let [x, y, z] = cases.map(|case| (case.centre(), case));
        let (x, y) = if y.0.1 < x.0.1 { (y, x) } else { (x, y) };
        let (x, z) = if z.0.1 < x.0.1 { (z, x) } else { (x, z) };
        [x, y, z].into_iter().fold(best, |best, (centre, case)| case.least(centre, best))
    }

    /// p tiles along m, q along n.
    pub(super) fn c_stays(&self) -> Case {
        let ([m, n, k], [a, b, c]) = (self.extents, self.held());
        Case { alpha: self.b, beta: self.a, s: c, u: a / k, v: b / k, most: [m, n], fewest: 1.0 }
    }

    /// p tiles along m, q along k.
    pub(super) fn a_stays(&self) -> Case {
        let ([m, n, k], [a, b, c]) = (self.extents, self.held());
        Case { alpha: self.b, beta: 2.0 * self.c, s: a, u: c / n, v: b / n, most: [m, k], fewest: 1.0 }
    }

    /// p tiles along n, q along k.
    pub(super) fn b_stays(&self) -> Case {
        let ([m, n, k], [a, b, c]) = (self.extents, self.held());
        Case { alpha: self.a, beta: 2.0 * self.c, s: b, u: c / m, v: a / m, most: [n, k], fewest: 1.0 }
    }

    /// Bytes of A, B and C in parts of the memory.
    pub(super) fn held(&self) -> [f32; 3] {
        [self.a, self.b, self.c].map(|bytes| bytes / self.room)
    }
}

/// The least α · (p − 1) + β · (q − 1) of numbers of tiles with u / p + v / q + s / (p · q) ≤ 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) s: f32,
    pub(super) u: f32,
    pub(super) v: f32,
    /// Most p and q.
    pub(super) most: [f32; 2],
    /// Fewest q.
    pub(super) fewest: f32,
}

impl Case {
    /// Fewest q for p.
    pub(super) fn q(&self, p: f32) -> f32 {
        let left = p - self.u;
        if left <= 0.0 {
            return f32::INFINITY;
        }
        ((self.s + self.v * p) / left).max(self.fewest)
    }

    /// Fewest p for q.
    fn p(&self, q: f32) -> f32 {
        let left = q - self.v;
        if left <= 0.0 {
            return f32::INFINITY;
        }
        ((self.s + self.u * q) / left).max(1.0)
    }

    fn cost(&self, p: f32, q: f32) -> f32 {
        self.alpha * (p - 1.0) + self.beta * (q - 1.0)
    }

    /// The p for which least moves, not whole, and what moves.
    pub(super) fn centre(&self) -> (f32, f32) {
        self.at_least(1.0, self.fewest)
    }

    /// The same for p and q no fewer than these.
    fn at_least(&self, p: f32, q: f32) -> (f32, f32) {
        // Beyond this, q would be fewer.
        let longest = self.p(q);
        let free = self.u + libm::sqrtf(self.beta / self.alpha * (self.s + self.u * self.v));
        let place = if free < longest { free } else { longest };
        let place = place.max(p);
        (place, self.cost(place, self.q(place).max(q)))
    }

    /// The least, or `best` if that is less; with what [`Case::centre`] says.
    pub(super) fn least(&self, (place, bytes): (f32, f32), best: f32) -> f32 {
        // No number as well: where nothing fits, or what is multiplied is too large.
        if bytes.is_nan() || bytes >= best {
            return best;
        }
        let of_p = |p: f32| {
            let q = self.q(p);
            (self.cost(p, q), self.cost(p, above(q)))
        };
        let of_q = |q: f32| {
            let p = self.p(q);
            (self.cost(p, q), self.cost(above(p), q))
        };
        let [most_p, most_q] = self.most.map(|most| most.min(WHOLE));
        let best = walked(of_p, [1.0, most_p], place, best);
        let best = walked(of_q, [self.fewest, most_q], self.q(place), best);
        // More than a few of both.
        if self.most.into_iter().any(|most| most <= WHOLE) {
            return best;
        }
        let more = self.at_least(WHOLE + 1.0, WHOLE + 1.0).1;
        if more < best { more } else { best }
    }
}

/// The least of the second of two functions of whole numbers from one to another, or `best` if that is less; the first is convex and
/// not above it. Walks outward from a place.
pub(super) fn walked(of: impl Fn(f32) -> (f32, f32), [from, to]: [f32; 2], place: f32, best: f32) -> f32 {
    let start = above(place).min(to).max(from);
    if start > to {
        return best;
    }
    let (at_start, whole) = of(start);
    let mut best = if whole < best { whole } else { best };
    for step in [-1.0, 1.0] {
        let (mut at, mut last) = (start + step, at_start);
        while at >= from && at <= to {
            let (bytes, whole) = of(at);
            best = if whole < best { whole } else { best };
            // It rises from here on; what is infinite may fit with more tiles.
            if bytes.is_finite() && bytes >= best && bytes >= last {
                break;
            }
            (at, last) = (at + step, bytes);
        }
    }
    best
}

/// The least whole number not below a number; the number itself from 2^22 on, where it hardly matters.
pub(super) fn above(number: f32) -> f32 {
    const SHIFT: f32 = 8_388_608.0;
    if number < SHIFT / 2.0 {
        let near = (number + SHIFT) - SHIFT;
        if near < number { near + 1.0 } else { near }
    } else {
        number
    }
}
/// Largest integer not above a number that is not negative; 0 for what is below 1 or no number, 2^64 − 1 for what is above it.
pub(super) fn floor(number: f32) -> u64 {
    if number.is_nan() || number < 1.0 {
        return 0;
    }
    // 24 bits of the significand, shifted by the exponent: 1.f · 2^e = (2^23 + f · 2^23) · 2^(e − 23).
    let bits = number.to_bits();
    let exponent = (bits >> 23).saturating_sub(127);
    let significand = u64::from((bits & 0x007f_ffff) | 0x0080_0000);
    if exponent > 63 {
        u64::MAX
    } else if exponent >= 23 {
        significand.checked_shl(exponent.saturating_sub(23)).unwrap_or(u64::MAX)
    } else {
        significand.checked_shr(23_u32.saturating_sub(exponent)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Buffer, any_order_bound, tile};
    use super::*;
    use crate::nest::{ConvLoops, ElementSizes};
    use crate::work::Gemm;

    #[test]
    fn a_float_is_rounded_down() {
        let cases = [(0.0, 0), (0.99, 0), (1.0, 1), (2.5, 2), (16_777_216.0, 16_777_216), (1e10, 10_000_000_000)];
        for (number, integer) in cases {
            assert_eq!(floor(number), integer);
        }
        assert_eq!([-1.0, f32::NAN, 1e30, f32::INFINITY].map(floor), [0, 0, u64::MAX, u64::MAX]);
    }

    #[test]
    fn a_float_is_rounded_up() {
        assert_eq!([0.0, 0.1, 1.0, 1.5, 2.9, 5e6].map(above), [0.0, 1.0, 1.0, 2.0, 3.0, 5e6]);
        assert_eq!(above(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn a_capacity_is_never_less() {
        // 2^20 + 1 has 21 bits, of which 14 stay: the next multiple of 2^7.
        assert!(room(Bytes((1 << 20) + 1)) >= 1_048_704.0 && room(Bytes((1 << 20) + 1)) < 1_048_712.0);
        assert!(room(Bytes(u64::MAX)) >= 1.844e19 && room(Bytes(0)) >= 1.0);
        assert!(room(Bytes(1000)) < 1000.01);
    }

    fn bound(m: u64, n: u64, k: u64, sizes: ElementSizes, capacity: u64) -> u64 {
        let nest = LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), sizes);
        lower_bound(&nest, Bytes(capacity)).map_or(0, |bytes| bytes.0)
    }

    #[test]
    fn a_bound_by_hand() {
        // 1024³ of fp32 in 16 KiB, 4096 elements: 2 · 2^30 / 64 = 2^25 elements read and 2^20 written: 4 · (33554432 + 1048576) =
        // 138412032 bytes. Real tiles also hold a row of A and of B: the bound of tiles is above it, by less than 4 %.
        let found = bound(1024, 1024, 1024, ElementSizes::all(4), 16384);
        assert!((138_410_000..143_900_000).contains(&found), "{found}");
        // What fits whole is compulsory: 3 · 64 · 64 · 4 = 49152 bytes.
        assert_eq!(bound(64, 64, 64, ElementSizes::all(4), 65536), 49_152);
        // A product with a vector reads the matrix once: (4096² + 2 · 4096) · 4 = 67141632 bytes, in whatever memory.
        let vector = bound(1, 4096, 4096, ElementSizes::all(4), 32768);
        assert!((67_141_632..67_300_000).contains(&vector), "{vector}");
    }

    #[test]
    fn tiles_are_whole() {
        // 100 x 100 x 100 of fp32 in 1600 bytes: 17 x 20 beside a row of each is the best, A five times, B six times, C once, 480000 bytes.
        // Six tiles of 16.67 rows leave 400 − 16.67 elements for 17.67 a column: 4.61 tiles of columns, so five. Five of 20 rows: 380 / 21 =
        // 18.1 columns, 5.53 tiles, so six. Both are the same; without whole numbers it would be 40000 · (1 + 5.3 · 2).
        let found = bound(100, 100, 100, ElementSizes::all(4), 1600);
        assert!((479_980..=480_000).contains(&found), "{found}");
    }

    #[test]
    fn narrow_operands_move_less_than_wide_sums() {
        // 1024³ of int8 with 32-bit sums in 16 KiB: 2 · 2^30 · √(1 · 1 · 4 / 16384) + 2^20 = 2^25 + 2^20 = 34603008 bytes.
        let int8 = bound(1024, 1024, 1024, ElementSizes { a: 1, b: 1, partial: 4, c: 1 }, 16384);
        assert!((34_602_000..36_000_000).contains(&int8), "{int8}");
    }

    #[test]
    fn weights_move_once_or_in_each_run() {
        // 100 x 1000 x 1000 of one byte in 100 KB, four runs: B of 1 MB does not stay. A, 100 KB, or C as sums of 400 KB, neither stays whole:
        // more than A and C four times and B four times, 4 · 1200000.
        let nest = |repeats| LoopNest {
            repeats,
            ..LoopNest::new(Loops::Gemm(Gemm { m: 100, n: 1000, k: 1000, groups: 1 }), ElementSizes::all(1))
        };
        let at = |repeats, capacity| lower_bound(&nest(repeats), Bytes(capacity)).map_or(0, |bytes| bytes.0);
        assert!(at(4, 100_000) >= 4_799_000, "{}", at(4, 100_000));
        // In 1.002 MB and two rows B stays: B once.
        assert_eq!(at(4, 1_002_010), 4 * 200_000 + 1_000_000);
    }

    /// Numbers below a limit, each power of two as often; the same on every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }

        fn spread(&mut self, bits: u64) -> u64 {
            let high = 1 << self.below(bits + 1);
            high + self.below(high)
        }
    }

    fn any_sizes(numbers: &mut Numbers) -> ElementSizes {
        let mut size = || 1 + numbers.below(8);
        match size() {
            1 | 2 => ElementSizes::all(4),
            3 | 4 => ElementSizes { a: 1, b: 1, partial: 4, c: 1 },
            _ => ElementSizes { a: size(), b: size(), partial: size(), c: size() },
        }
    }

    fn any_conv(numbers: &mut Numbers) -> ConvLoops {
        let mut loops = ConvLoops {
            batch: 1 + numbers.below(3),
            groups: 1 + numbers.below(4) / 3,
            c_in: numbers.spread(7),
            c_out: numbers.spread(7),
            input: [1; 3],
            output: [1; 3],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
        };
        for axis in 0..=numbers.below(3) as usize {
            let (kernel, dilation) = (1 + numbers.below(5), 1 + numbers.below(4) / 3);
            let reach = dilation * (kernel - 1) + 1;
            let (padding, stride) = (numbers.below(reach), 1 + numbers.below(3));
            let input = numbers.spread(5).max(reach);
            (loops.kernel[axis], loops.dilation[axis], loops.padding[axis]) = (kernel, dilation, padding);
            (loops.input[axis], loops.stride[axis]) = (input, stride);
            loops.output[axis] = (input + 2 * padding - reach) / stride + 1;
        }
        loops
    }

    #[test]
    fn no_tiling_moves_less() -> Result<(), Error> {
        let mut numbers = Numbers(1);
        for case in 0..6000 {
            let sizes = any_sizes(&mut numbers);
            let loops = if case % 2 == 0 {
                let bits = 1 + numbers.below(10);
                let [m, n, k] = [0; 3].map(|_| numbers.spread(bits));
                Loops::Gemm(Gemm { m, n, k, groups: 1 + numbers.below(4) / 3 })
            } else {
                Loops::Conv(any_conv(&mut numbers))
            };
            let repeats = if case % 8 == 0 { 1 + numbers.below(3) } else { 1 };
            let nest = LoopNest { repeats, ..LoopNest::new(loops, sizes) };
            let [inner, outer] = [2 + numbers.spread(14), numbers.spread(18)];
            let buffers = [inner, inner + outer].map(|bytes| Buffer { capacity: Bytes(bytes), double_buffered: false });
            let levels = if case % 3 == 0 { 2 } else { 1 };
            if let Ok(tiling) = tile(&nest, buffers.get(..levels).unwrap_or_default()) {
                for level in &tiling.levels {
                    assert!(level.lower_bound <= level.traffic.total()?, "{nest:?} {buffers:?} {level:?}");
                }
                assert!(any_order_bound(&nest, Bytes(inner))? <= super::super::lower_bound(&nest, Bytes(inner))?);
            }
            let [less, more] = [inner, inner + outer].map(|bytes| super::super::lower_bound(&nest, Bytes(bytes)));
            assert!(more? <= less?, "{nest:?} {buffers:?}");
            if let (Loops::Gemm(Gemm { m, n, k, groups }), 1) = (loops, repeats) {
                let sizes = ElementSizes { a: sizes.b, b: sizes.a, ..sizes };
                let turned = LoopNest::new(Loops::Gemm(Gemm { m: n, n: m, k, groups }), sizes);
                assert_eq!(lower_bound(&turned, Bytes(inner)), less);
            }
        }
        Ok(())
    }
}
