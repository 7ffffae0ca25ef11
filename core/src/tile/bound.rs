//! Lower bounds of traffic: bytes that must pass between a memory and the level outside it, whatever the tiling.
//!
//! The bound of a matrix product is the largest of three, each of which holds for itself; `S` is the capacity in bytes, `s_a` and
//! `s_b` are bytes of an element of A and B, `s_p` of a partial sum, `s_c` of a result.
//!
//! **Compulsory.** Every operand once: [`Traffic::compulsory`]. It binds where an extent is small against √S.
//!
//! **Any order of the multiplications** (Hong, Kung 1981, with the constant of Smith, Lowery, Langou, van de Geijn, "A Tight I/O
//! Lower Bound for Matrix Multiplication", arXiv 1702.02017, and a weight for each operand).
//!
//! ```text
//! traffic ≥ 2 · m · n · k · √(s_a · s_b · s / S) − 2 · S − max(0, s − s_c) · m · n          for s = s_p and for s = min(s_c, s_p)
//! ```
//! 1. Let a C that starts at zero be read as zeros: `m · n` reads more, nothing else changes. With `r` partial sums read
//!    back, C is read `r + m · n` times. Give each of these reads `s` bytes. They and the reads of A and B are
//!    `Q = s_a · r_a + s_b · r_b + s · (r + m · n)` bytes, and the traffic is
//!    `s_a · r_a + s_b · r_b + 2 · s_p · r + s_c · m · n ≥ Q − max(0, s − s_c) · m · n`.
//! 2. Cut the run into parts with reads of `2 · S` bytes each, the last one with fewer. What a part touches was there when it began,
//!    or is read in it: `s_a · N_a + s_b · N_b + s · N_c ≤ S + 2 · S`, as no element takes less room than its weight.
//! 3. A part with `N_a`, `N_b`, `N_c` elements of the operands does at most `√(N_a · N_b · N_c)` MACs (Loomis, Whitney 1949). Under the
//!    constraint of 2 that is most where each operand has `S` bytes: `√(S³ / (s_a · s_b · s))`.
//! 4. So at least `m · n · k · √(s_a · s_b · s) / S^1.5 − 1` parts are full, and `Q ≥ 2 · S` times that.
//!
//! With elements of one size and `S` counted in them, this is `2 · m · n · k / √S − 2 · S`. Runs of the same B, and independent
//! products, are one set of MACs; the argument is the same.
//!
//! **Tiles.** Of a level that holds one tile of each operand, one is stationary, and the others move with each step of the innermost
//! loop. The least bytes of the three cases of [`super::gemm`] without rounding the numbers of tiles is a bound for all of them.
//! Where C is stationary and larger than its tile, it is
//!
//! ```text
//! traffic ≥ A · n/tn + B · m/tm + C ≥ 2 · m · n · k · √(s_a · s_b · s_p / S) + s_c · m · n          as s_p · tm · tn < S
//! ```
//! This is how Kwasniewski et al. count the results too ("Red-Blue Pebbling Revisited", SC 2019, arXiv 1908.09606). Extents shorter
//! than the tile are in it, as in the bounds of Dinh and Demmel for loops of any length (arXiv 2003.00119): a tile is
//! no longer than its axis.
//!
//! Roots and quotients are rounded in `f32`, so the bound is lowered by 2^-16 of them before it is rounded down to bytes.

use super::gemm::Product;
use crate::error::Error;
use crate::nest::{LoopNest, Loops, Traffic};
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Share of a bound in `f32` that is sure: 1 − 2^-16.
const SURE: f32 = 1.0 - 1.0 / 65536.0;

/// Bytes that must pass; see [`super::lower_bound`].
pub(super) fn lower_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    let compulsory = Traffic::compulsory(nest)?.total()?;
    let Loops::Gemm(gemm) = nest.loops else { return Ok(compulsory) };
    let (orders, tiles) = (any_order(nest, gemm, capacity), of_tiles(nest, gemm, capacity));
    let bound = if orders > tiles { orders } else { tiles };
    Ok(Bytes(compulsory.0.max(floor(bound))))
}

/// The bound for any order of the multiplications.
fn any_order(nest: &LoopNest, gemm: Gemm, capacity: Bytes) -> f32 {
    let [m, n, k, groups, repeats] = [gemm.m, gemm.n, gemm.k, gemm.groups, nest.repeats].map(to_f32);
    let [a, b, partial, c] = [nest.sizes.a, nest.sizes.b, nest.sizes.partial, nest.sizes.c].map(to_f32);
    let room = capacity.as_f32();
    let results = m * n * groups * repeats;
    let bound = |s: f32| {
        let wider = if s > c { s - c } else { 0.0 };
        2.0 * results * k * libm::sqrtf(a * b * s / room) * SURE - (2.0 * room + wider * results) / SURE
    };
    let (wide, narrow) = (bound(partial), bound(if c < partial { c } else { partial }));
    if wide > narrow { wide } else { narrow }
}

/// The bound for tiles: that of one product, so often.
fn of_tiles(nest: &LoopNest, gemm: Gemm, capacity: Bytes) -> f32 {
    let product = Product::new(nest, gemm);
    let [m, n, groups, repeats] = [gemm.m, gemm.n, gemm.groups, nest.repeats].map(to_f32);
    // Passes along k count the last write of C as one of partial sums, and its first read.
    let beside = m * n * repeats * (2.0 * to_f32(nest.sizes.partial) - to_f32(nest.sizes.c));
    let bytes = product.relaxed(capacity);
    if bytes.is_finite() { (bytes * SURE - beside / SURE) * groups * SURE } else { 0.0 }
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
    use super::*;
    use crate::nest::ElementSizes;

    #[test]
    fn a_float_is_rounded_down() {
        let cases = [(0.0, 0), (0.99, 0), (1.0, 1), (2.5, 2), (16_777_216.0, 16_777_216), (1e10, 10_000_000_000)];
        for (number, integer) in cases {
            assert_eq!(floor(number), integer);
        }
        assert_eq!([-1.0, f32::NAN, 1e30, f32::INFINITY].map(floor), [0, 0, u64::MAX, u64::MAX]);
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
    fn narrow_operands_move_less_than_wide_sums() {
        // 1024³ of int8 with 32-bit sums in 16 KiB: 2 · 2^30 · √(1 · 1 · 4 / 16384) + 2^20 = 2^25 + 2^20 = 34603008 bytes.
        let int8 = bound(1024, 1024, 1024, ElementSizes { a: 1, b: 1, partial: 4, c: 1 }, 16384);
        assert!((34_602_000..36_000_000).contains(&int8), "{int8}");
    }
}
