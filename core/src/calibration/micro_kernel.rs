//! Micro-kernel products: the time of one single-threaded matrix product on packed operands, walked in register tiles of mr × nr.
//!
//! ```text
//! Tm = ⌈m/mr⌉, Tn = ⌈n/nr⌉, T = Tm · Tn             register tiles, those at the edges computed whole
//! PA = 4 Tm mr k,  PB = 4 Tn nr k,  PC = 4 m n       bytes of the packed panels, padded to whole tiles, and of the output
//!
//! step    = smooth_max(smooth_max(2 mr nr, (mr + nr) / loads), step_floor) / peak
//! compute = T · (k · step + 2 mr nr · prologue / peak)
//! traffic = (PA + PB) · β(PA + PB + PC) + (Tn − 1) · PA · β(PA + 4 nr k)
//! β(D)    = s(D / first_capacity) / cache_bandwidth + s(D / second_capacity) / backing_bandwidth,     s(x) = x⁴ / (1 + x⁴)
//! time    = call + per_tile · T + per_edge_tile · E_T + per_edge_element · E + per_element · m n
//!         + smooth_max(compute, traffic) + exposed · traffic
//! ```
//! `E_T` are the tiles that the edges of the output cut, E its elements in them. Why each term stands there:
//!
//! - `step`: one step of the k-loop multiplies mr by nr elements, of which it loads mr + nr. It takes as long as its multiplications, its
//!   loads, or the latency of an accumulation that too few registers hide, whichever is longest.
//! - `prologue`: steps that each tile loses to zeroing accumulators and filling the pipeline.
//! - `traffic`: with the columns of tiles outermost, panels of A are streamed once for each of them, from wherever they and one panel of B
//!   still lie. A stream that is used in turn falls out of a cache of least-recently-used lines nearly at once where it outgrows it: hence the
//!   fourth power. Bytes within the first capacity cost nothing beside their loads.
//! - `exposed`: the share of the traffic that nothing overlaps, large on cores that execute in order.
//! - `per_tile`, `per_edge_tile`, `per_edge_element`, `per_element`: the walk and the kernel's call, the slower way out of a tile that is not
//!   whole, and the writing of results.
//!
//! **Valid for** operands that are packed already, one thread, 4-byte elements, repeated calls (caches are warm). A coefficient set holds
//! for one core and any of its kernels.
//! **Source**: the loop structure is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008;
//! the bound of one k-step after Low et al., "Analytical Modeling Is Enough for High-Performance BLIS", ACM TOMS 43(2), 2016. The priors are
//! assumed, wide, and of common cores; a fit settles them.

use super::coefficients::{Coefficient, coefficients};
use crate::error::Error;
use crate::roofline::{Bound, smooth_max};
use crate::units::{Parts, Seconds, to_f32};
use crate::work::Gemm;

/// Bytes of an element.
const ELEMENT: u64 = 4;

coefficients! {
    PRIOR "What is expected of a common core."
    call: "s", 5e-7 sd 1.5 in [1e-8, 1e-5],
        "Time of a call before its first tile.";
    peak: "FLOP/s", 2e10 sd 3.0 in [2e8, 5e11],
        "Throughput of the multipliers when nothing else holds them up.";
    loads: "elements/FLOP", 0.4 sd 0.7 in [0.05, 3.0],
        "Operands that the core loads in the time of one floating-point operation at the peak.";
    step_floor: "FLOP", 50.0 sd 0.7 in [2.0, 500.0],
        "Work of the smallest step of the k-loop that keeps the multipliers busy.";
    prologue: "1", 10.0 sd 1.5 in [0.1, 200.0],
        "Steps of the k-loop that each tile loses before its first and after its last.";
    per_tile: "s", 2e-8 sd 2.0 in [1e-10, 1e-6],
        "Time of each register tile beside its k-loop.";
    per_edge_tile: "s", 3e-8 sd 2.0 in [1e-10, 3e-6],
        "Further time of a tile that the edge of the output cuts.";
    per_edge_element: "s", 1e-9 sd 2.0 in [1e-11, 1e-7],
        "Further time of each element of the output in such a tile.";
    per_element: "s", 1e-9 sd 2.0 in [1e-11, 1e-7],
        "Time of each element of the output.";
    cache_bandwidth: "B/s", 2e10 sd 2.0 in [5e8, 3e12],
        "Bandwidth beyond the first capacity.";
    backing_bandwidth: "B/s", 5e9 sd 2.0 in [3e8, 1e12],
        "What bandwidth falls by beyond the second capacity: the inverses of the two add up there.";
    first_capacity: "B", 3.2e4 sd 0.5 in [8e3, 1.28e5],
        "Bytes that the innermost cache holds.";
    second_capacity: "B", 7e5 sd 0.4 in [1e5, 4e6],
        "Bytes that the next cache holds.";
    exposed: "1", 0.5 sd 1.0 in [0.03, 2.0],
        "Share of the traffic that arithmetic does not overlap.";
}

/// Register tile of a micro-kernel: the part of the output that it holds in registers. An extent of 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RegisterTile {
    /// Rows.
    pub mr: u32,
    /// Columns.
    pub nr: u32,
}

/// Time of a product, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelTime {
    /// The call, tiles, edges and elements.
    pub overhead: Seconds,
    /// Arithmetic alone.
    pub compute: Seconds,
    /// Traffic alone: what passes the first capacity at the cache's bandwidth, and what passes the second.
    pub traffic: [Seconds; 2],
    /// All of it, overlapped.
    pub total: Seconds,
}

impl KernelTime {
    /// The longest of the parts; traffic by its longer share: level 1 beyond the first capacity, 2 beyond the second.
    #[must_use]
    pub fn bound(&self) -> Bound {
        let [near, far] = self.traffic;
        let traffic = near.0 + far.0;
        if self.overhead.0 > self.compute.0.max(traffic) {
            Bound::Overhead
        } else if self.compute.0 >= traffic {
            Bound::Compute
        } else if near.0 >= far.0 {
            Bound::Memory(1)
        } else {
            Bound::Memory(2)
        }
    }
}

/// Time of a product by a micro-kernel; the products of several groups follow one another, each by a call of its own.
///
/// # Errors
/// [`Error::CountOverflow`] where panels, output or tiles pass 2^64 − 1 bytes or tiles.
pub fn kernel_time(gemm: Gemm, tile: RegisterTile, coefficients: &Coefficients) -> Result<KernelTime, Error> {
    let Gemm { m, n, k, groups } = gemm;
    let (rows, columns) = (u64::from(tile.mr).max(1), u64::from(tile.nr).max(1));
    let (tiles_m, tiles_n) = (m.in_parts_of(rows), n.in_parts_of(columns));
    let tiles = product([tiles_m, tiles_n, 1, 1])?;
    let elements = product([m, n, 1, 1])?;
    let whole_m = m.checked_div(rows).unwrap_or(0);
    let whole_n = n.checked_div(columns).unwrap_or(0);
    let edge_tiles = tiles.saturating_sub(product([whole_m, whole_n, 1, 1])?);
    let edge_elements = elements.saturating_sub(product([whole_m, rows, whole_n, columns])?);
    let panels_a = to_f32(product([ELEMENT, tiles_m, rows, k])?);
    let panels_b = to_f32(product([ELEMENT, tiles_n, columns, k])?);
    let panel_b = to_f32(product([ELEMENT, 1, columns, k])?);
    let output = to_f32(product([ELEMENT, m, n, 1])?);

    let c = coefficients;
    let (mr, nr) = (to_f32(rows), to_f32(columns));
    let multiplications = Seconds(2.0 * mr * nr / c.peak);
    let loads = Seconds((mr + nr) / (c.loads * c.peak));
    let step = smooth_max(smooth_max(multiplications, loads), Seconds(c.step_floor / c.peak));
    let compute = to_f32(tiles) * (to_f32(k) * step.0 + multiplications.0 * c.prologue);

    let (whole, rereads) = (panels_a + panels_b, to_f32(tiles_n.saturating_sub(1)) * panels_a);
    let (all, turn) = (whole + output, panels_a + panel_b);
    let passing = |capacity: f32| whole * beyond(all, capacity) + rereads * beyond(turn, capacity);
    let near = passing(c.first_capacity) / c.cache_bandwidth;
    let far = passing(c.second_capacity) / c.backing_bandwidth;

    let overhead = c.call
        + c.per_tile * to_f32(tiles)
        + c.per_edge_tile * to_f32(edge_tiles)
        + c.per_edge_element * to_f32(edge_elements)
        + c.per_element * to_f32(elements);
    let overlapped = smooth_max(Seconds(compute), Seconds(near + far));
    let total = overhead + overlapped.0 + c.exposed * (near + far);

    let calls = to_f32(groups);
    Ok(KernelTime {
        overhead: Seconds(overhead * calls),
        compute: Seconds(compute * calls),
        traffic: [Seconds(near * calls), Seconds(far * calls)],
        total: Seconds(total * calls),
    })
}

/// Share of a stream of this reuse distance that passes beyond a capacity: x⁴ / (1 + x⁴), written so that neither end loses digits.
fn beyond(distance: f32, capacity: f32) -> f32 {
    let x = distance / capacity;
    let square = x * x;
    1.0 / (1.0 + 1.0 / (square * square))
}

fn product(factors: [u64; 4]) -> Result<u64, Error> {
    let [a, b, c, d] = factors;
    let product = |a: u64, b: u64| a.checked_mul(b).ok_or(Error::CountOverflow);
    product(product(a, b)?, product(c, d)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TILE: RegisterTile = RegisterTile { mr: 4, nr: 2 };

    fn gemm(m: u64, n: u64, k: u64) -> Gemm {
        Gemm { m, n, k, groups: 1 }
    }

    /// Loads and latency free, one border at 540 bytes.
    const BY_HAND: Coefficients = Coefficients {
        call: 100e-9,
        peak: 1e9,
        loads: 1e9,
        step_floor: 0.0,
        prologue: 0.5,
        per_tile: 10e-9,
        per_edge_tile: 5e-9,
        per_edge_element: 2e-9,
        per_element: 1e-9,
        cache_bandwidth: 1e9,
        backing_bandwidth: 1e9,
        first_capacity: 540.0,
        second_capacity: f32::INFINITY,
        exposed: 0.5,
    };

    fn near(got: Seconds, nanoseconds: f32) -> bool {
        (got.0 * 1e9 / nanoseconds - 1.0).abs() < 1e-5
    }

    #[test]
    fn a_product_by_hand() -> Result<(), Error> {
        let got = kernel_time(gemm(5, 3, 10), TILE, &BY_HAND)?;
        // 2 · 2 tiles, 1 of them whole with 8 of the 15 elements: 100 + 4·10 + 3·5 + 7·2 + 15·1 ns.
        assert!(near(got.overhead, 184.0), "{got:?}");
        // A step of 16 FLOP in 16 ns: 4 · (10 · 16 + 16 · 0.5) ns.
        assert!(near(got.compute, 672.0), "{got:?}");
        // Panels of 4·8·10 = 320 and 4·4·10 = 160 bytes and 60 of output, as much as the border: half of 480 bytes. A again at a distance
        // of 320 + 80: x⁴ = (400/540)⁴ = 0.301068, s = 0.231401, of 320 bytes.
        assert!(near(got.traffic[0], 240.0 + 74.0482) && got.traffic[1] == Seconds(0.0), "{got:?}");
        // 184 + 672 · ∛(1 + (314.0482/672)³ = 1.102066) + 0.5 · 314.0482, the root being 1.032925.
        assert!(near(got.total, 184.0 + 694.126 + 157.024), "{got:?}");
        assert_eq!(got.bound(), Bound::Compute);
        let twice = kernel_time(Gemm { groups: 2, ..gemm(5, 3, 10) }, TILE, &BY_HAND)?;
        assert!(near(twice.total, 2.0 * 1035.15) && near(twice.compute, 1344.0), "{twice:?}");
        Ok(())
    }

    #[test]
    fn a_step_is_as_long_as_its_slowest_part() -> Result<(), Error> {
        let compute = |loads, step_floor| -> Result<f32, Error> {
            let coefficients = Coefficients { loads, step_floor, prologue: 0.0, ..BY_HAND };
            Ok(kernel_time(gemm(4, 2, 1), TILE, &coefficients)?.compute.0 * 1e9)
        };
        // One tile, one step: 16 FLOP at 1 FLOP/ns; 6 elements at 0.01 of them a FLOP, 600 ns; 5000 FLOP to fill the pipeline.
        assert!((compute(1e9, 0.0)? - 16.0).abs() < 1e-4);
        assert!((compute(0.01, 0.0)? - 600.0).abs() < 0.01);
        assert!((compute(0.01, 5000.0)? - 5002.9).abs() < 0.1);
        Ok(())
    }

    #[test]
    fn what_binds_is_named() -> Result<(), Error> {
        let bound = |m, n, k, c: Coefficients| kernel_time(gemm(m, n, k), TILE, &c).map(|time| time.bound());
        assert_eq!(bound(1, 1, 1, BY_HAND)?, Bound::Overhead);
        // 100 tiles of 1000 steps of 16 ns are 1.6 ms; 160 kB of A ten times over and 80 kB of B at 1 B/ns 1.68 ms.
        assert_eq!(bound(40, 20, 1000, BY_HAND)?, Bound::Memory(1));
        assert_eq!(bound(40, 20, 1000, Coefficients { cache_bandwidth: 2e9, ..BY_HAND })?, Bound::Compute);
        let slow = Coefficients { peak: 1e12, ..BY_HAND };
        assert_eq!(bound(40, 20, 1000, slow)?, Bound::Memory(1));
        let far = Coefficients { second_capacity: 1000.0, backing_bandwidth: 1e8, ..slow };
        assert_eq!(bound(40, 20, 1000, far)?, Bound::Memory(2));
        Ok(())
    }

    #[test]
    fn a_whole_tile_has_no_edge_and_a_smaller_output_no_less_arithmetic() -> Result<(), Error> {
        let edges = Coefficients { per_edge_tile: 1.0, per_edge_element: 1.0, ..BY_HAND };
        assert!(kernel_time(gemm(8, 4, 3), TILE, &edges)?.overhead.0 < 1.0);
        // 7 × 5 in tiles of 4 × 2: 2 · 3 of them, 1 · 2 whole, so 4 cut; of 35 elements 16 lie in the whole ones.
        let got = kernel_time(gemm(7, 5, 3), TILE, &edges)?;
        assert!((got.overhead.0 - 4.0 - 19.0).abs() < 1e-3, "{got:?}");
        let whole = kernel_time(gemm(8, 6, 3), TILE, &BY_HAND)?;
        assert_eq!(kernel_time(gemm(7, 5, 3), TILE, &BY_HAND)?.compute, whole.compute);
        Ok(())
    }

    #[test]
    fn nothing_to_do_takes_a_call() -> Result<(), Error> {
        for nothing in [gemm(0, 0, 0), gemm(0, 5, 5)] {
            assert_eq!(kernel_time(nothing, TILE, &Coefficients::PRIOR)?.total, Seconds(Coefficients::PRIOR.call));
        }
        let unit = RegisterTile { mr: 1, nr: 1 };
        let none = RegisterTile { mr: 0, nr: 0 };
        let of = |tile| kernel_time(gemm(3, 2, 4), tile, &Coefficients::PRIOR);
        assert_eq!(of(none)?, of(unit)?);
        Ok(())
    }

    #[test]
    fn counts_beyond_their_range_are_refused() {
        let of = |gemm| kernel_time(gemm, TILE, &Coefficients::PRIOR);
        assert_eq!(of(gemm(u64::MAX, 2, 1)), Err(Error::CountOverflow));
        assert_eq!(of(gemm(1 << 31, 1 << 31, 1 << 31)), Err(Error::CountOverflow));
        assert!(of(gemm(1 << 29, 1 << 29, 1 << 29)).is_ok_and(|time| time.total.0.is_finite()));
    }

    #[test]
    fn priors_lie_in_their_ranges() {
        assert_eq!(Coefficients::from_values(Coefficients::PRIOR.values()), Ok(Coefficients::PRIOR));
    }
}
