//! Coarse-grained reconfigurable arrays: processing elements in rows and columns, each running the same few instructions of a loop
//! body over and over, one iteration every so many cycles.
//!
//! Two loops of the product are unrolled, one over the rows and one over the columns, or one over all elements: those with which
//! arithmetic and moves together take least time, of equals those of fewest cycles. So an unrolling of a few iterations more is
//! taken where the one with the fewest reads its operands again and again. The rest runs in time, as a software pipeline:
//!
//! ```text
//! iterations = ⌈D_r / rows⌉ · ⌈D_c / columns⌉ · product of the other loops            a product over groups, positions, channels, terms
//! cycles     = ⌈iterations / units⌉ · initiation interval · cycles of a MAC + pipeline  of each run
//! ```
//! Elements that do several MACs of a precision at once take that many terms of a sum together.
//!
//! At level 0 the array reads an operand once for each iteration of loops that it depends on, and again for each of the loops that
//! it does not depend on and that are not unrolled, those of sums excepted: results stay in the elements. Unrolled loops share by the
//! network. Beyond level 0 see the equations of `levels.rs`.
//!
//! Leaves out: routing that fails, and bodies that do not fit the instruction memory; both raise the initiation interval.
//!
//! **Source**: iterative modulo scheduling: Rau, "Iterative Modulo Scheduling", MICRO 1994 (cycles = iterations · II + fill); on
//! such arrays: Mei, Vernalde, Verkest, De Man, Lauwereins, "ADRES", FPL 2003.

use crate::error::Error;
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::units::{Bytes, Cycles, to_f32};

use super::flows::{self, Fastest};
use super::lanes::{Sums, ceil, tiles};
use super::levels::Levels;
use super::losses::Losses;

/// The geometry of a coarse-grained reconfigurable array.
///
/// ```
/// # use derate_core::mapper::cgra::Cgra;
/// let array = Cgra { rows: 4, columns: 4, initiation_interval: 1, pipeline_cycles: 12, reconfiguration_cycles: 500 };
/// assert_eq!(array.rows * array.columns, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cgra {
    /// Rows of processing elements, at least 1; 0 counts as 1, as below.
    pub rows: u64,
    /// Columns of processing elements.
    pub columns: u64,
    /// Cycles from one iteration of a loop body to the next, at least 1.
    pub initiation_interval: u64,
    /// Cycles from the first operand in to the last result out of one iteration.
    pub pipeline_cycles: u64,
    /// Cycles in which the instructions of a kernel are loaded.
    pub reconfiguration_cycles: u64,
}

/// A loop that can be unrolled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unrolled {
    Groups,
    Positions,
    Channels,
    Terms,
}

const LOOPS: [Unrolled; 4] = [Unrolled::Groups, Unrolled::Positions, Unrolled::Channels, Unrolled::Terms];

/// Ways to unroll one of them over the rows and one over the columns.
const UNROLLINGS: usize = LOOPS.len() * LOOPS.len();

/// Extents of the loops in the order of [`LOOPS`], and of them as steps once some are unrolled.
#[derive(Clone, Copy)]
struct Steps {
    groups: u64,
    positions: u64,
    channels: u64,
    terms: u64,
}

impl Steps {
    /// The loops of sums of which an element takes so many terms at once.
    fn of(sums: &Sums, width: u64) -> Result<Self, Error> {
        let Sums { groups, c_out: channels, .. } = *sums;
        Ok(Self { groups, positions: sums.positions()?, channels, terms: tiles(sums.terms()?, width) })
    }

    fn unroll(self, which: Unrolled, lanes: u64) -> Self {
        match which {
            Unrolled::Groups => Self { groups: tiles(self.groups, lanes), ..self },
            Unrolled::Positions => Self { positions: tiles(self.positions, lanes), ..self },
            Unrolled::Channels => Self { channels: tiles(self.channels, lanes), ..self },
            Unrolled::Terms => Self { terms: tiles(self.terms, lanes), ..self },
        }
    }

    fn iterations(&self) -> Result<u64, Error> {
        product([self.groups, self.positions, self.channels, self.terms])
    }
}

impl Cgra {
    fn elements(&self) -> Result<u64, Error> {
        product([self.rows.max(1), self.columns.max(1)])
    }

    /// The best of all unrollings of up to two sums one after the other.
    fn best<'a>(
        &self,
        sums: &[Sums],
        rate: &Rate,
        levels: &'a Levels<'a>,
        machine: &Machine<'_>,
    ) -> Result<Fastest<'a, 2, Unrolling>, Error> {
        let mut best = Fastest::none(levels, 1.0, machine);
        let mut see = |unrollings: [Option<Unrolling>; 2]| {
            let mut total = 0_u64;
            let mut array = Traffic { c: levels.once.c, ..Traffic::default() };
            for Unrolling { total: cycles, read: [a, b], .. } in unrollings.iter().flatten() {
                total = total.checked_add(*cycles).ok_or(Error::CountOverflow)?;
                (array.a, array.b) = (array.a.checked_add(Bytes(*a))?, array.b.checked_add(Bytes(*b))?);
            }
            best.see(unrollings, total, |levels| levels.crossing(&[array]))
        };
        let Some((first, rest)) = sums.split_first() else { return Ok(best) };
        let (ones, others) = (self.unrolled(first, rate)?, rest.first().map(|second| self.unrolled(second, rate)));
        let others = others.transpose()?;
        for one in ones.iter().filter(|one| one.is_worth_it(&ones)) {
            let Some(others) = &others else {
                see([Some(*one), None])?;
                continue;
            };
            for other in others.iter().filter(|other| other.is_worth_it(others)) {
                see([Some(*one), Some(*other)])?;
            }
        }
        Ok(best)
    }

    /// What the unrollings of these sums cost.
    fn unrolled(&self, sums: &Sums, rate: &Rate) -> Result<heapless::Vec<Unrolling, UNROLLINGS>, Error> {
        let mut unrolled = heapless::Vec::new();
        for (number, steps) in (0_u8..u8::MAX).zip(self.unrollings(Steps::of(sums, rate.width)?)) {
            unrolled.push(Unrolling { number, ..Unrolling::of(sums, &steps, rate)? }).ok();
        }
        Ok(unrolled)
    }

    /// The ways to unroll two loops, or one over all elements: ⌈⌈D / rows⌉ / columns⌉ = ⌈D / (rows · columns)⌉.
    fn unrollings(&self, steps: Steps) -> impl Iterator<Item = Steps> {
        let over_rows = LOOPS.into_iter().map(move |rows| steps.unroll(rows, self.rows));
        over_rows.flat_map(move |steps| LOOPS.into_iter().map(move |columns| steps.unroll(columns, self.columns)))
    }
}

/// The rates of the elements of an array.
#[derive(Clone, Copy)]
struct Rate {
    units: u64,
    /// Terms of a sum that an element takes at once.
    width: u64,
    /// Cycles of an element's MACs.
    mac_cycles: u64,
    /// Cycles from one iteration to the next.
    interval: u64,
    /// Cycles that a run takes beside its iterations.
    pipeline: u64,
    /// Bytes of an element of A and of B.
    sizes: [u64; 2],
}

/// What an unrolling of one of the sums costs.
#[derive(Clone, Copy)]
struct Unrolling {
    number: u8,
    iterations: u64,
    /// Iterations of the fullest unit.
    shared: u64,
    /// Cycles of all runs.
    total: u64,
    /// Bytes of A and B that the array reads.
    read: [u64; 2],
}

impl Unrolling {
    /// Whether none of the others takes no more cycles and reads no more of either operand; of equals the first is worth it.
    fn is_worth_it(&self, others: &[Self]) -> bool {
        let costs = |&Self { total, read: [a, b], .. }: &Self| [total, a, b];
        let mine = costs(self);
        !others.iter().any(|other| {
            let theirs = costs(other);
            let no_more = theirs.iter().zip(&mine).all(|(their, my)| their <= my);
            no_more && (theirs != mine || other.number < self.number)
        })
    }

    fn of(sums: &Sums, steps: &Steps, rate: &Rate) -> Result<Self, Error> {
        let iterations = steps.iterations()?;
        let shared = tiles(iterations, rate.units);
        let run = product([shared, rate.interval, rate.mac_cycles])?.checked_add(rate.pipeline);
        let [a, b] = rate.sizes;
        let (positions, terms) = (sums.positions()?, sums.terms()?);
        let read = product([sums.groups, positions, terms, steps.channels, a, sums.runs])?;
        let weights = product([sums.groups, sums.c_out, terms, steps.positions, b, sums.runs])?;
        let total = product([run.ok_or(Error::CountOverflow)?, sums.runs])?;
        Ok(Self { number: 0, iterations, shared, total, read: [read, weights] })
    }
}

impl Mapper for Cgra {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let units = u64::from(machine.unit.count.max(1));
        let elements = self.elements()?;
        // MACs of an element in a cycle: several terms at once, or one in several cycles.
        let rate = machine.macs_per_cycle.get() / to_f32(elements);
        let width = ceil(rate * 1.000_001)?.saturating_sub(1).max(1);
        let mac_cycles = ceil(to_f32(width) / rate * 0.999_999)?.max(1);
        let interval = self.initiation_interval.max(1);
        let lanes = to_f32(units) * to_f32(elements) / to_f32(mac_cycles);
        let sizes = [nest.sizes.a, nest.sizes.b];
        let rate = Rate { units, width, mac_cycles, interval, pipeline: self.pipeline_cycles, sizes };
        let levels = Levels::of(nest, machine, 0);
        let levels = levels.as_ref().map_err(|error| *error)?;
        let sums = Sums::of(nest)?;
        let best = self.best(&sums, &rate, levels, machine)?;
        let (mut padded, mut edges, mut waves, mut latency) = (0.0, 0.0, 0.0, 0.0);
        for (sums, unrolling) in sums.iter().zip(best.chosen.iter().flatten()) {
            let runs = to_f32(sums.runs);
            padded += to_f32(Steps::of(sums, width)?.iterations()?) * runs / lanes;
            edges += to_f32(unrolling.iterations) * to_f32(mac_cycles) * runs / to_f32(units);
            waves += to_f32(product([unrolling.shared, mac_cycles])?) * runs;
            latency += to_f32(product([unrolling.shared, interval, mac_cycles])?) * runs;
        }
        let total = best.cycles;
        let losses = Losses::from(machine.least_cycles(nest.macs()?))
            .then(Loss::Padding, padded)
            .then(Loss::EdgeTiles, edges)
            .then(Loss::Waves, waves)
            .then(Loss::Latency, latency)
            .then(Loss::FillDrain, to_f32(total));
        flows::product_mapping((levels, 1.0), &best.crossing, total, losses, self.reconfiguration_cycles, machine)
    }

    /// One FLOP an element and initiation interval, or one result where there are fewer FLOPs; then the pipeline drains.
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let steps = tiles(stream.flops.0.max(stream.elements), self.elements()?);
        let steps = tiles(steps, u64::from(machine.unit.count));
        let cycles = product([steps, self.initiation_interval.max(1)])?;
        let cycles = if stream.is_empty() { Some(0) } else { cycles.checked_add(self.pipeline_cycles) };
        let cycles = Cycles(cycles.ok_or(Error::CountOverflow)?);
        flows::stream_mapping(stream, machine, cycles, self.reconfiguration_cycles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::npu_toy::{INSIDE, Toy, assert_consistent, conv, linear};
    use crate::units::Flops;

    const ARRAY: Cgra =
        Cgra { rows: 4, columns: 4, initiation_interval: 2, pipeline_cycles: 12, reconfiguration_cycles: 500 };

    /// In memory whose bytes cost next to no time.
    fn map(nest: &LoopNest, macs_per_cycle: f32, count: u32) -> Result<Mapping, Error> {
        Toy { count, bandwidth: 1e18, ..Toy::new(macs_per_cycle) }.with(|machine| {
            let mapping = ARRAY.product(nest, machine)?;
            assert_consistent(nest, &mapping, machine)?;
            Ok(mapping)
        })
    }

    #[test]
    fn two_loops_are_unrolled() -> Result<(), Error> {
        // 8 × 8 · 8 × 16: e.g. 2 · 2 · 16 = 64 iterations of two cycles, 12 to fill.
        let mapping = map(&linear([8, 8, 16]), 16.0, 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(64 * 2 + 12));
        let names: std::vec::Vec<_> = mapping.losses.iter().map(|lost| (lost.loss, lost.left)).collect();
        assert_eq!(names, [(Loss::Latency, 0.5), (Loss::FillDrain, 128.0 / 140.0)]);
        assert_eq!(mapping.setup, crate::units::Seconds(5e-7));
        Ok(())
    }

    #[test]
    fn seventeen_channels_leave_rows_empty() -> Result<(), Error> {
        // 8 × 8 positions, 3 × 3 taps. 16 → 16 channels: 64 · 16 · 144 / 16 = 9216 iterations.
        assert_eq!(map(&conv(16, 16, 1, [8, 8], 3), 16.0, 1)?.compute_cycles, Cycles(9216 * 2 + 12));
        // 17 channels: 64 positions over all 16 elements leave none empty: 4 · 17 · 153 = 10 404.
        assert_eq!(map(&conv(17, 17, 1, [8, 8], 3), 16.0, 1)?.compute_cycles, Cycles(10_404 * 2 + 12));
        // One position, 17 channels, 17 terms: ⌈17/4⌉ · ⌈17/4⌉ = 25, or ⌈17/16⌉ · 17 = 34: edge tiles leave 289 of 400.
        let mapping = map(&linear([1, 17, 17]), 16.0, 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(25 * 2 + 12));
        assert_eq!(mapping.losses.first().map(|lost| (lost.loss, lost.left)), Some((Loss::EdgeTiles, 18.0625 / 25.0)));
        Ok(())
    }

    #[test]
    fn slow_memory_asks_for_an_unrolling_that_shares_operands() -> Result<(), Error> {
        // The 64 positions, 17 channels and 153 terms of above at a byte a cycle. Positions over all elements read A for each of 17
        // channels: 64 · 153 · 17 = 166 464. Positions and channels: 16 · 5 · 153 = 12 240 iterations, but A for each of 5 steps of
        // channels, B for each of 16 of positions: 48 960 + 41 616; and 1088 results.
        Toy::new(16.0).with(|machine| {
            let mapping = ARRAY.product(&conv(17, 17, 1, [8, 8], 3), machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(12_240 * 2 + 12));
            assert_eq!(mapping.traffic[0], Bytes(48_960 + 41_616 + 1088));
            Ok(())
        })
    }

    #[test]
    fn elements_do_several_terms_or_take_several_cycles() -> Result<(), Error> {
        // 64 MACs on 16 elements: 4 terms at once: 18 terms as ⌈18/4⌉ = 5; 4 × 4 unrolled: 5 iterations.
        let mapping = map(&linear([4, 4, 18]), 64.0, 1)?;
        assert_eq!(mapping.compute_cycles, Cycles(5 * 2 + 12));
        assert_eq!(mapping.losses.first().map(|lost| (lost.loss, lost.left)), Some((Loss::Padding, 4.5 / 5.0)));
        // 4 MACs on 16 elements: 4 cycles each.
        assert_eq!(map(&linear([4, 4, 18]), 4.0, 1)?.compute_cycles, Cycles(18 * 4 * 2 + 12));
        Ok(())
    }

    #[test]
    fn traffic_follows_the_unrolled_loops() -> Result<(), Error> {
        // 8 × 8 · 8 × 16, the first best unrolling: positions over rows, positions over columns leaves ⌈8/16⌉ = 1 · 8 · 16 = 128;
        // positions and channels: 2 · 2 · 16 = 64. A: 8 · 16 for each of 2 channel steps; B: 8 · 16 for each of 2; C: 64.
        assert_eq!(map(&linear([8, 8, 16]), 16.0, 1)?.traffic[0], Bytes(256 + 256 + 64));
        Ok(())
    }

    #[test]
    fn units_share_iterations() -> Result<(), Error> {
        // 25 iterations on two arrays: 13 each.
        assert_eq!(map(&linear([1, 17, 17]), 16.0, 2)?.compute_cycles, Cycles(13 * 2 + 12));
        Ok(())
    }

    #[test]
    fn streams_run_as_loops() -> Result<(), Error> {
        let stream = Stream {
            read: Bytes(200),
            weights: Bytes::ZERO,
            written: Bytes(100),
            flops: Flops(100),
            elements: 100,
            homes: INSIDE,
        };
        // ⌈100/16⌉ = 7 iterations of two cycles, 12 to fill.
        Toy::new(16.0).with(|machine| {
            assert_eq!(ARRAY.stream(&stream, machine)?.compute_cycles, Cycles(26));
            Ok(())
        })
    }
}
