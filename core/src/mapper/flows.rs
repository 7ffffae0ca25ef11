//! Products laid on units in the fastest of several ways, and streams: from cycles and what the units read and write to a mapping.

use crate::error::Error;
use crate::mapping::{Machine, Mapping};
use crate::nest::{Stream, Traffic};
use crate::tile::MAX_LEVELS;
use crate::units::{Cycles, to_f32};

use super::levels::{Crossing, Levels, Pace, streamed};
use super::losses::{Losses, filled};

/// Of several ways to lay sums on the units, the one with which arithmetic and moves take least time, then fewest cycles, then fewest
/// bytes at all levels.
///
/// The least time of the same ways on a better device is no more: faster units, more of them, wider or larger levels make no way
/// slower. Bytes come last: were they to decide between times that differ by less than a rounding, a slow memory would ask for other
/// ways than a fast one, and a larger one could move more.
pub(super) struct Fastest<'a, const N: usize, T> {
    levels: &'a Levels<'a>,
    /// Bytes that weights take in memory for each of theirs.
    stored: f32,
    pace: Pace,
    cost: Option<(f32, u64, f32)>,
    /// The way, an entry for each of the sums.
    pub(super) chosen: [Option<T>; N],
    /// Its cycles.
    pub(super) cycles: u64,
    /// What crosses each border.
    pub(super) crossing: Crossing,
}

impl<'a, const N: usize, T> Fastest<'a, N, T> {
    /// None of none; weights take `stored` bytes a byte in memory.
    pub(super) fn none(levels: &'a Levels<'a>, stored: f32, machine: &Machine<'_>) -> Self {
        let crossing = [Traffic::default(); MAX_LEVELS];
        let pace = Pace::of(machine);
        Self { levels, stored, pace, cost: None, chosen: [const { None }; N], cycles: 0, crossing }
    }

    /// One way more, with what crosses each border.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn see(
        &mut self,
        way: [Option<T>; N],
        cycles: u64,
        crossing: impl FnOnce(&Levels<'a>) -> Result<Crossing, Error>,
    ) -> Result<(), Error> {
        if self.cost.is_some_and(|least| self.pace.computing(to_f32(cycles)) > least.0) {
            return Ok(());
        }
        let crossing = crossing(self.levels)?;
        let traffic = self.levels.served(&crossing, self.stored)?;
        let bytes = traffic.iter().map(|bytes| bytes.as_f32()).fold(0.0, |sum: f32, bytes| sum + bytes);
        let cost = (self.pace.busy(to_f32(cycles), &traffic), cycles, bytes);
        if self.cost.is_none_or(|least| cost < least) {
            (self.cost, self.chosen, self.cycles, self.crossing) = (Some(cost), way, cycles, crossing);
        }
        Ok(())
    }
}

/// A product in so many cycles with the set-up of its kernel, moves hidden behind arithmetic.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn product_mapping(
    (levels, stored): (&Levels<'_>, f32),
    crossing: &Crossing,
    compute_cycles: u64,
    losses: Losses,
    setup_cycles: u64,
    machine: &Machine<'_>,
) -> Result<Mapping, Error> {
    filled(|mapping| {
        levels.moved(crossing, stored, mapping)?;
        mapping.compute_cycles = Cycles(compute_cycles);
        mapping.setup = Cycles(setup_cycles) / machine.clock;
        losses.finish(mapping);
        Ok(())
    })
}

/// A stream on the units: its cycles, its bytes, and the set-up of a kernel where it is one by itself, which writes what it computes.
/// It has no MACs, so that it uses none of the lanes.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn stream_mapping(
    stream: &Stream,
    machine: &Machine<'_>,
    compute_cycles: Cycles,
    setup_cycles: u64,
) -> Result<Mapping, Error> {
    let setup_cycles = if stream.written.0 == 0 { 0 } else { setup_cycles };
    filled(|mapping| {
        mapping.compute_cycles = compute_cycles;
        mapping.traffic = streamed(stream, machine)?;
        mapping.setup = Cycles(setup_cycles) / machine.clock;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Holds;
    use crate::mapper::npu_toy::{Toy, linear};
    use crate::nest::{Homes, LoopNest};
    use crate::units::Bytes;

    /// 4 × 64 · 64 × 32 in int8: A 256, B 2048, C 128 bytes.
    const ARRAY: Traffic = Traffic { a: Bytes(1024), b: Bytes(4096), c: Bytes(128) };

    fn moved(nest: &LoopNest, machine: &Machine<'_>, stored: f32, array: Traffic) -> Result<Mapping, Error> {
        let levels = Levels::of(nest, machine, 0)?;
        let crossing = levels.crossing(&[array])?;
        filled(|mapping| levels.moved(&crossing, stored, mapping))
    }

    #[test]
    fn weights_from_flash_pass_the_level_that_holds_activations() -> Result<(), Error> {
        // Activations at home in level 0, weights in level 1, which alone holds them: they go straight to the array.
        let nest = linear([4, 32, 64]);
        let nest = LoopNest { homes: Homes { input: 0, weights: 1, output: 0 }, ..nest };
        Toy { holds: [Holds::Activations, Holds::Weights], ..Toy::new(8.0) }.with(|machine| {
            let moved = moved(&nest, machine, 1.0, ARRAY)?;
            // A and C at the array: 1024 + 128; B at the array: 4096.
            assert_eq!(moved.traffic[..3], [Bytes(1152), Bytes(4096), Bytes(0)]);
            // A and C lie there whole: 256 + 128.
            assert_eq!(moved.footprint[..2], [Bytes(384), Bytes(0)]);
            assert!(moved.tiling.is_none());
            Ok(())
        })
    }

    #[test]
    fn weights_through_a_level_for_all_are_read_once() -> Result<(), Error> {
        let nest = LoopNest { homes: Homes { input: 0, weights: 1, output: 0 }, ..linear([4, 32, 64]) };
        Toy::new(8.0).with(|machine| {
            let moved = moved(&nest, machine, 0.75, ARRAY)?;
            // Level 0: 1024 + 128 + 4096 · 0.75 = 4224. Level 1: 2048 · 0.75 = 1536.
            assert_eq!(moved.traffic[..3], [Bytes(4224), Bytes(1536), Bytes(0)]);
            Ok(())
        })
    }

    #[test]
    fn a_stream_passes_each_level_up_to_its_home() -> Result<(), Error> {
        let streamed = Stream {
            read: Bytes(100),
            weights: Bytes(10),
            written: Bytes(50),
            flops: crate::units::Flops(50),
            elements: 50,
            homes: Homes { input: 1, weights: 1, output: 0 },
        };
        Toy { holds: [Holds::Activations, Holds::All], ..Toy::new(8.0) }.with(|machine| {
            // Level 0: 100 read and 50 written; level 1: 100 read and 10 of weights.
            assert_eq!(super::streamed(&streamed, machine)?[..2], [Bytes(150), Bytes(110)]);
            Ok(())
        })
    }

    #[test]
    fn weights_that_a_level_does_not_keep_come_again_for_each_step() -> Result<(), Error> {
        // 3 steps of a recurrent layer, 2 MiB of weights in the backing store, a scratchpad of 1 MiB.
        let homes = Homes { input: 0, weights: 1, output: 0 };
        let large = LoopNest { homes, repeats: 3, ..linear([1, 1024, 2048]) };
        let small = LoopNest { homes, repeats: 3, ..linear([1, 1024, 1024]) };
        Toy::new(8.0).with(|machine| {
            let at = |nest: &LoopNest, bytes: u64| {
                let array = Traffic { b: Bytes(3 * bytes), ..Traffic::compulsory(nest)? };
                Ok(moved(nest, machine, 1.0, array)?.traffic[1])
            };
            assert_eq!(at(&large, 2 << 20)?, Bytes(3 * (2 << 20)));
            assert_eq!(at(&small, 1 << 20)?, Bytes(1 << 20));
            Ok(())
        })
    }

    #[test]
    fn a_level_too_small_for_a_tile_lets_everything_pass() -> Result<(), Error> {
        let nest = LoopNest { homes: Homes::COLD, ..linear([4, 32, 64]) };
        Toy { capacity: 1, ..Toy::new(8.0) }.with(|machine| {
            let moved = moved(&nest, machine, 1.0, ARRAY)?;
            assert_eq!(moved.traffic[..2], [Bytes(5248); 2]);
            assert_eq!(moved.footprint[0], Bytes::ZERO);
            assert_eq!(moved.tiling.map(|tiling| tiling.levels.len()), Some(1));
            Ok(())
        })
    }
}
