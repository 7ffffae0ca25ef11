//! What the mappers of arrays of processing elements share: nests as matrix products, cycles at a rate, losses from one
//! bound to the next.
//!
//! An array sees a convolution as the product of its windows (im2col): a row for each window, a column for each filter.
//! Leaves out layouts of operands and conflicts of banks.

use heapless::Vec;

use crate::error::Error;
use crate::hardware::MemoryLevel;
use crate::mapper::levels::{self, Crossing, Levels};
use crate::mapper::losses::{Losses, filled};
use crate::mapping::{Loss, Machine, Mapping};
use crate::nest::{AttentionLoops, LoopNest, Loops, Stream, Traffic};
use crate::shape::product;
use crate::units::{Bytes, Cycles, to_f32};
use crate::work::Gemm;

/// Most products of a nest: an attention is two.
const MAX_PRODUCTS: usize = 2;

/// An operand at the edge of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    /// Bytes of an element.
    pub(super) size: u64,
    /// Index of the level where it lies before or after; 0 for what stays at the array, such as scores.
    pub(super) home: usize,
}

/// Independent matrix products C = A · B of one extent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// Their extents and number.
    pub(super) gemm: Gemm,
    pub(super) a: Port,
    pub(super) b: Port,
    pub(super) c: Port,
    /// Bytes of an element of C while its sum is not finished.
    pub(super) partial: u64,
}

/// A nest as the products that an array computes one after the other, of one run; `last` is the index of the backing
/// store.
///
/// ```text
/// convolution:  M = batch · outputs      N = c_out      K = c_in · taps      groups
/// attention:    Q · Kᵀ, then scores · V; the scores stay at the array
/// ```
/// A depthwise convolution is one product for each channel: N = 1, K = taps.
pub(super) fn products(nest: &LoopNest, last: usize) -> Result<Vec<Product, MAX_PRODUCTS>, Error> {
    let port = |size, home: u8| Port { size, home: usize::from(home).min(last) };
    let (sizes, homes) = (nest.sizes, nest.homes);
    let a = port(sizes.a, homes.input);
    let b = port(sizes.b, if nest.weighted { homes.weights } else { homes.input });
    let c = port(sizes.c, homes.output);
    let whole = |gemm| Product { gemm, a, b, c, partial: sizes.partial };
    let mut products = Vec::new();
    match nest.loops {
        Loops::Gemm(gemm) => products.push(whole(gemm)).ok(),
        Loops::Conv(conv) => {
            let m = product([conv.batch, product(conv.output)?])?;
            let k = product([conv.c_in, product(conv.kernel)?])?;
            products.push(whole(Gemm { m, n: conv.c_out, k, groups: conv.groups })).ok()
        }
        Loops::Attention(AttentionLoops { groups, m, n, d, d_v }) => {
            let written = Port { size: sizes.partial, home: 0 };
            let read = Port { size: sizes.a, home: 0 };
            products.push(Product { c: written, ..whole(Gemm { m, n, k: d, groups }) }).ok();
            products.push(Product { a: read, ..whole(Gemm { m, n: d_v, k: n, groups }) }).ok()
        }
    };
    Ok(products)
}

/// Least whole number of cycles in which so much work is done at a rate; exact.
///
/// ```text
/// cycles = ⌈work / rate⌉
/// ```
/// A rate of 32 bits is a whole number times a power of two, so that 128 bits hold the division.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 cycles, or where the scaled work is above 2^128 − 1.
pub(super) fn cycles_at(work: u128, rate: f32) -> Result<u64, Error> {
    if work == 0 {
        return Ok(0);
    }
    let bits = rate.to_bits();
    let (fraction, biased) = (bits & 0x7f_ffff, bits.wrapping_shr(23) & 0xff);
    let (mantissa, biased) = if biased == 0 { (fraction, 1) } else { (fraction | 0x80_0000, biased) };
    let zeros = mantissa.trailing_zeros();
    let odd = u128::from(mantissa.checked_shr(zeros).unwrap_or(0).max(1));
    // rate = odd · 2^(shift − 150)
    let shift = biased.saturating_add(zeros);
    let cycles = if let Some(up) = shift.checked_sub(150) {
        let rate = odd.checked_shl(up).unwrap_or(0).max(1);
        work.div_ceil(rate)
    } else {
        let down = 150_u32.saturating_sub(shift);
        if down > work.leading_zeros() {
            return Err(Error::CountOverflow);
        }
        work.checked_shl(down).unwrap_or(0).div_ceil(odd)
    };
    u64::try_from(cycles).map_err(|_| Error::CountOverflow)
}

/// Product as wide as [`cycles_at`] takes it.
pub(super) fn wide(factors: [u64; 3]) -> Result<u128, Error> {
    let wide = factors.into_iter().map(u128::from);
    wide.into_iter().try_fold(1_u128, u128::checked_mul).ok_or(Error::CountOverflow)
}

/// Sum of counts.
pub(super) fn sum<const N: usize>(terms: [u64; N]) -> Result<u64, Error> {
    terms.into_iter().try_fold(0_u64, u64::checked_add).ok_or(Error::CountOverflow)
}

/// What two products move together.
pub(super) fn both(one: &Traffic, other: &Traffic) -> Result<Traffic, Error> {
    Ok(Traffic { a: one.a.checked_add(other.a)?, b: one.b.checked_add(other.b)?, c: one.c.checked_add(other.c)? })
}

/// Levels of a nest for arrays, tiles with this room in an instance of each.
///
/// # Errors
/// [`Error::Infeasible`] with the level that holds not even the smallest tile; [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn levels<'a>(
    nest: &'a LoopNest,
    machine: &Machine<'a>,
    capacity: impl Fn(usize, &MemoryLevel<'a>) -> Bytes,
) -> Result<Levels<'a>, Error> {
    let levels = Levels::in_capacities(nest, machine, 0, capacity)?;
    levels.too_small(0).map_or(Ok(levels), |level| Err(Error::Infeasible { level }))
}

/// What crosses each border where `edge` passes the edges of the arrays.
///
/// What crosses the others is that of the tiles alone: it does not depend on how the arrays are used, so that of two ways to
/// use them the one that is faster on a device is not slower where a level is larger, and moves no more.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn crossing(levels: &Levels<'_>, edge: &Traffic) -> Result<Crossing, Error> {
    // Of each operand more than any tiles move.
    let most = Bytes(u64::MAX.wrapping_shr(2));
    let mut crossing = levels.crossing(&[Traffic { a: most, b: most, c: most }])?;
    if let Some(first) = crossing.first_mut() {
        let Traffic { a, b, c } = levels.once;
        *first = Traffic { a: edge.a.max(a), b: edge.b.max(b), c: edge.c.max(c) };
    }
    Ok(crossing)
}

/// Numbers of parts of an extent, none of them longer than `room`: the fewest, and those of its halves, quarters and so on, each cut into
/// the fewest, until a half of a half fits. So what is best of twice the extent is no worse than what is best of it, twice.
pub(super) fn parts_of(extent: u64, room: u64) -> impl Iterator<Item = u64> {
    let halves = (0..u64::BITS).map_while(|halvings| 1_u64.checked_shl(halvings));
    let mut fit = false;
    halves.map_while(move |halves| {
        let fits = halves.saturating_mul(room) >= extent;
        let parts = extent.div_ceil(halves.saturating_mul(room).max(1)).saturating_mul(halves).min(extent);
        (!core::mem::replace(&mut fit, fits)).then_some(parts)
    })
}

/// Index of the backing store.
pub(super) fn last_level(machine: &Machine<'_>) -> usize {
    levels::of(machine).len().saturating_sub(1)
}

/// A stream on so many lanes, in no fewer than `moving` cycles: each element passes a lane once, and each FLOP takes
/// one for a cycle.
///
/// ```text
/// work   = max(flops, elements); 0 of an empty stream
/// cycles = max(⌈work / lanes⌉, moving)        left: EdgeTiles, the last elements; Movement
/// ```
pub(super) fn stream_mapping(
    stream: &Stream,
    machine: &Machine<'_>,
    lanes: u64,
    moving: u64,
) -> Result<Mapping, Error> {
    let work = if stream.is_empty() { 0 } else { stream.flops.0.max(stream.elements) };
    let passes = work.div_ceil(lanes.max(1));
    let cycles = passes.max(moving);
    filled(|mapping| {
        mapping.compute_cycles = Cycles(cycles);
        mapping.traffic = levels::streamed(stream, machine)?;
        let losses = Losses::from(to_f32(work) / to_f32(lanes.max(1)));
        losses.then(Loss::EdgeTiles, to_f32(passes)).then(Loss::Movement, to_f32(cycles)).finish(mapping);
        Ok(())
    })
}

/// Sum of counts as a float, for bounds.
pub(super) fn bound(count: u64, factor: f32) -> f32 {
    to_f32(count) * factor
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::hardware::{Basis, ComputeUnit, Filling, Hardware, ThermalProfile};
    use crate::shape::{PerPrecision, Precision};
    use crate::units::{BytesPerSecond, Hertz, MacsPerCycle, Seconds};

    /// Calls `body` with a machine for int8: types of units by count, MACs a cycle and clock in GHz; scratchpads of so
    /// many instances and of so many bytes in all, then DRAM.
    pub(crate) fn with_machine<R>(
        types: &[(u32, f32, f32)],
        scratchpads: &[(u32, u64)],
        body: impl FnOnce(&Machine<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let units = types.iter().map(|&(count, macs, clock)| {
            let rate = MacsPerCycle::new(macs)?;
            Ok(ComputeUnit {
                name: "tiles",
                count,
                clock: Hertz::new(clock * 1e9)?,
                macs_per_cycle: PerPrecision::all(None).with(Precision::Int8, Some(rate)),
                energy_per_mac: PerPrecision::all(None),
                basis: Basis::Assumed,
            })
        });
        let units = units.collect::<Result<std::vec::Vec<_>, Error>>()?;
        let bandwidth = BytesPerSecond::new(1e9)?;
        let level = |&(instances, capacity): &(u32, u64)| MemoryLevel {
            instances,
            filling: Filling::Scratchpad,
            ..MemoryLevel::new("level", Bytes(capacity), bandwidth, Basis::Assumed)
        };
        let memory: std::vec::Vec<_> = scratchpads.iter().chain(&[(1, 1 << 40)]).map(level).collect();
        let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(None))];
        let hardware = Hardware::new("device", &units, &memory, &profiles, Seconds::ZERO)?;
        body(&Machine::new(&hardware, &profiles[0], Precision::Int8)?)
    }

    /// Whether utilization is the MACs over those that `macs_per_cycle` in all could have done, and the product of the
    /// losses.
    pub(crate) fn assert_utilization(mapping: &Mapping, nest: &LoopNest, macs_per_cycle: f64) -> Result<(), Error> {
        let could = mapping.compute_cycles.0 as f64 * macs_per_cycle;
        let share = nest.macs()?.0 as f64 / could;
        let left: f64 = mapping.losses.iter().map(|lost| f64::from(lost.left)).product();
        assert!((f64::from(mapping.utilization) / share - 1.0).abs() < 1e-5, "{share} of {mapping:?}");
        assert!((left / share - 1.0).abs() < 1e-5, "{share} of {mapping:?}");
        assert!(mapping.losses.iter().all(|lost| lost.left > 0.0 && lost.left < 1.0), "{mapping:?}");
        Ok(())
    }

    /// What the losses leave, by their kind.
    pub(crate) fn left(mapping: &Mapping, loss: Loss) -> f32 {
        mapping.losses.iter().find(|lost| lost.loss == loss).map_or(1.0, |lost| lost.left)
    }

    #[test]
    fn cycles_at_a_rate_are_exact() {
        // 2^63 MACs at 2^14 a cycle; 10 at 4 are 2.5; 10 at a half are 20; 10 at 0.75 are 13.3; none takes no cycle.
        assert_eq!(cycles_at(1 << 63, 16_384.0), Ok(1 << 49));
        assert_eq!(cycles_at(10, 4.0), Ok(3));
        assert_eq!(cycles_at(10, 0.5), Ok(20));
        assert_eq!(cycles_at(10, 0.75), Ok(14));
        assert_eq!(cycles_at(0, 3.0), Ok(0));
        // One more than a multiple is one more cycle, beyond the 24 bits of a float too.
        assert_eq!(cycles_at((1 << 60) + 1, 1024.0), Ok((1 << 50) + 1));
        // The largest and the smallest float: 2^128 − 2^104 and 2^−149.
        assert_eq!(cycles_at(u128::MAX, f32::MAX), Ok(2));
        assert_eq!(cycles_at(1, f32::from_bits(1)), Err(Error::CountOverflow));
        assert_eq!(cycles_at(u128::from(u64::MAX) + 1, 1.0), Err(Error::CountOverflow));
    }
}
