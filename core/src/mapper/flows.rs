//! Bytes at each memory level: what the tilings of a nest move, and what a stream passes, up to where the operands lie.
//!
//! ```text
//! level 0:      what the array reads and writes
//! level l > 0:  what passes between level l − 1 and level l
//! ```
//! An operand passes no level beyond its home, and no level that does not hold its kind: it then goes straight to the next
//! inner level that does, or to the array. Where an operand of the product lies whole within a level, the others cross the
//! border of that level once: it is the stationary one, and the loops of the others go around it. Where none does, the
//! tiling says what crosses, or the array where that asks for less. A level too small for any tile lets everything pass.
//!
//! Leaves out what units with scratchpads of their own all read: tiles are those of the whole product in one of them.

use crate::error::Error;
use crate::hardware::{Filling, Holds, MemoryLevel};
use crate::mapping::{Machine, Mapping};
use crate::nest::{Homes, LoopNest, Operand, Stream, Traffic};
use crate::roofline::smooth_max;
use crate::shape::product;
use crate::tile::{Buffer, LevelTiling, MAX_LEVELS, Tiling, tile};
use crate::units::{Bytes, Cycles, Seconds, to_f32};

use super::lanes::ceil;

/// What a nest or stream moves and occupies.
pub(super) struct Moved {
    /// Bytes that each level serves or takes.
    pub(super) traffic: [Bytes; MAX_LEVELS],
    /// Bytes of tiles, or of operands at home, in one instance of each level but the last.
    pub(super) footprint: [Bytes; MAX_LEVELS],
    /// The tiles, where some were needed.
    pub(super) tiling: Option<Tiling>,
}

/// One operand on its way from its home to the array, or back.
struct Flow {
    weights: bool,
    home: usize,
    of: fn(&Traffic) -> Bytes,
}

/// The memory levels that a mapping tells apart: the first [`MAX_LEVELS`], of which the last is the backing store.
fn levels<'a>(machine: &Machine<'a>) -> &'a [MemoryLevel<'a>] {
    let memory = machine.hardware.memory();
    memory.get(..MAX_LEVELS).unwrap_or(memory)
}

/// The ways of a product's operands through the levels, and the tiles on them: all that does not depend on what the array asks for.
pub(super) struct Paths<'a> {
    nest: &'a LoopNest,
    levels: &'a [MemoryLevel<'a>],
    flows: [Flow; 3],
    once: Traffic,
    /// Within this level lies the first operand whole; tiles are cut for the levels before it.
    resident: usize,
    tiling: heapless::Vec<Option<LevelTiling>, MAX_LEVELS>,
    /// Bytes that a byte of weights takes in memory.
    stored: f32,
}

impl<'a> Paths<'a> {
    /// The ways of a product; weights take `stored` bytes a byte in memory.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub(super) fn of(nest: &'a LoopNest, machine: &Machine<'a>, stored: f32) -> Result<Self, Error> {
        let levels = levels(machine);
        let [a, b, c] = homes(nest, levels.len().saturating_sub(1));
        let flows = [
            Flow { weights: false, home: a, of: |traffic| traffic.a },
            Flow { weights: nest.weighted, home: b, of: |traffic| traffic.b },
            Flow { weights: false, home: c, of: |traffic| traffic.c },
        ];
        let resident = a.min(b).min(c);
        let tiling = tiles_for(nest, levels.get(..resident).unwrap_or(&[]))?;
        Ok(Self { nest, levels, flows, once: Traffic::compulsory(nest)?, resident, tiling, stored })
    }

    /// What crosses the border of each level with the one inside it; of the first, with the array.
    fn crossing(&self, array: Traffic) -> Result<[Traffic; MAX_LEVELS], Error> {
        // An array that skips what no window touches is served whole rows all the same.
        let Traffic { a, b, c } = self.once;
        let enough = |of: Traffic| Traffic { a: of.a.max(a), b: of.b.max(b), c: of.c.max(c) };
        let array = enough(array);
        let mut crossing = [array; MAX_LEVELS];
        let mut inside = array;
        for (border, (level, place)) in (0..usize::MAX).zip(self.levels.iter().zip(crossing.iter_mut().skip(1))) {
            let own = if border >= self.resident {
                // Weights of a recurrent layer that a level does not keep come again for each step.
                let times = if self.once.b <= level.instance_capacity() { 1 } else { self.nest.repeats };
                Traffic { b: Bytes(product([self.once.b.0, times])?), ..self.once }
            } else {
                // None of a level without tiles: everything passes it.
                self.tiling
                    .get(border)
                    .and_then(|level| level.as_ref().map(|level| enough(level.traffic)))
                    .unwrap_or(inside)
            };
            // What a level inside does not ask for, none outside it needs to serve.
            inside = if own.total()? < inside.total()? { own } else { inside };
            *place = inside;
        }
        Ok(crossing)
    }

    /// Bytes of one operand where weights are stored in fewer or more bytes.
    fn bytes(&self, flow: &Flow, traffic: &Traffic) -> Result<Bytes, Error> {
        let bytes = (flow.of)(traffic);
        if flow.weights { scaled(bytes, self.stored) } else { Ok(bytes) }
    }

    fn served(&self, crossing: &[Traffic; MAX_LEVELS]) -> Result<[Bytes; MAX_LEVELS], Error> {
        let mut served = [Bytes::ZERO; MAX_LEVELS];
        for flow in &self.flows {
            // What the inner level that holds this operand asks for, or the array.
            let mut inner = crossing.first();
            let outer = crossing.iter().skip(1).map(Some).chain([None]);
            let places = self.levels.iter().zip(served.iter_mut()).zip(outer).take(flow.home.saturating_add(1));
            for (number, ((level, place), outer)) in (0..usize::MAX).zip(places) {
                if number != flow.home && !holds(level, flow.weights) {
                    continue;
                }
                let bytes = inner.map_or(Ok(Bytes::ZERO), |traffic| self.bytes(flow, traffic))?;
                *place = place.checked_add(bytes)?;
                inner = outer;
            }
        }
        Ok(served)
    }

    /// Bytes that each level serves or takes where the array reads and writes `array`.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub(super) fn traffic(&self, array: Traffic) -> Result<[Bytes; MAX_LEVELS], Error> {
        self.served(&self.crossing(array)?)
    }

    /// The same with what tiles and operands occupy.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1.
    pub(super) fn moved(self, array: Traffic) -> Result<Moved, Error> {
        let crossing = self.crossing(array)?;
        let traffic = self.served(&crossing)?;
        let mut moved = Moved { traffic, footprint: [Bytes::ZERO; MAX_LEVELS], tiling: None };
        for flow in self.flows.iter().filter(|flow| flow.home < self.levels.len().saturating_sub(1)) {
            add(&mut moved.footprint, flow.home, self.bytes(flow, &self.once)?)?;
        }
        for (level, place) in self.tiling.iter().zip(moved.footprint.iter_mut()) {
            *place = level.as_ref().map_or(Bytes::ZERO, |level| level.footprint);
        }
        if !self.tiling.is_empty() {
            let mut all = Tiling { levels: heapless::Vec::new() };
            for (level, &traffic) in self.tiling.iter().zip(crossing.iter().skip(1)) {
                all.levels.push(level.clone().unwrap_or_else(|| passing(traffic))).ok();
            }
            moved.tiling = Some(all);
        }
        Ok(moved)
    }
}

/// Of several ways to lay sums on the units, the one with which arithmetic and moves take least time, then fewest cycles, then fewest
/// bytes at all levels.
///
/// What is least time of the same ways on a better device is no more: faster units, more of them, wider or larger levels make no way
/// slower. Bytes come last: were they to decide between times that differ by less than a rounding, a slow memory would ask for other
/// ways than a fast one, and a larger one could move more.
pub(super) struct Fastest<const N: usize, T> {
    cost: Option<(f32, u64, f32)>,
    /// The way, an entry for each of the sums.
    pub(super) chosen: [Option<T>; N],
    /// Its cycles.
    pub(super) cycles: u64,
    /// What its array reads and writes.
    pub(super) array: Traffic,
}

impl<const N: usize, T> Fastest<N, T> {
    /// None of none.
    pub(super) fn none() -> Self {
        Self { cost: None, chosen: [const { None }; N], cycles: 0, array: Traffic::default() }
    }

    /// One way more.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn see(
        &mut self,
        way: [Option<T>; N],
        cycles: u64,
        array: Traffic,
        paths: &Paths<'_>,
        machine: &Machine<'_>,
    ) -> Result<(), Error> {
        let traffic = paths.traffic(array)?;
        let bytes = traffic.iter().map(|bytes| bytes.as_f32()).fold(0.0, |sum: f32, bytes| sum + bytes);
        let cost = (busy(machine, cycles, &traffic), cycles, bytes);
        if self.cost.is_none_or(|least| cost < least) {
            *self = Self { cost: Some(cost), chosen: way, cycles, array };
        }
        Ok(())
    }
}

/// Time of so many cycles and bytes at each level in cycles of the units, moves hidden behind arithmetic: what an estimate makes of them.
fn busy(machine: &Machine<'_>, cycles: u64, traffic: &[Bytes; MAX_LEVELS]) -> f32 {
    let factors = machine.thermal_profile.factors.at(machine.precision);
    let [efficiency, share] =
        factors.map_or([1.0; 2], |at| [at.efficiency_factor.get(), at.memory_bottleneck_factor.get()]);
    // Inner levels are clocked with the units; the backing store has a bandwidth of its own in each power mode.
    let [described, clock] = [machine.unit.clock.get(), machine.clock.get()];
    let mut longest = 0.0_f32;
    let mut levels = machine.hardware.memory().iter().zip(traffic).peekable();
    while let Some((level, bytes)) = levels.next() {
        let bandwidth = if levels.peek().is_some() {
            level.bandwidth.get() / described
        } else {
            machine.thermal_profile.bandwidth.unwrap_or(level.bandwidth).get() / clock
        };
        longest = longest.max(bytes.as_f32() / (bandwidth * share));
    }
    smooth_max(Seconds(to_f32(cycles) / efficiency), Seconds(longest)).0
}

/// Tiles for each of these levels by itself, from the innermost on; `None` for one that holds not even the smallest tile.
fn tiles_for(
    nest: &LoopNest,
    levels: &[MemoryLevel<'_>],
) -> Result<heapless::Vec<Option<LevelTiling>, MAX_LEVELS>, Error> {
    let mut tiled = heapless::Vec::new();
    for level in levels {
        let double_buffered = level.filling == Filling::Scratchpad;
        let tiles = match tile(nest, &[Buffer { capacity: level.instance_capacity(), double_buffered }]) {
            Ok(tiling) => tiling.levels.first().cloned(),
            Err(Error::Infeasible { .. }) => None,
            Err(error) => return Err(error),
        };
        tiled.push(tiles).ok();
    }
    Ok(tiled)
}

/// The entry of a level that holds no tile.
const fn passing(traffic: Traffic) -> LevelTiling {
    LevelTiling {
        loops: heapless::Vec::new(),
        stationary: Operand::C,
        footprint: Bytes::ZERO,
        traffic,
        lower_bound: Bytes::ZERO,
    }
}

/// Bytes of a stream: each level up to the home of an operand serves or takes it once.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
fn stream(stream: &Stream, machine: &Machine<'_>) -> Result<Moved, Error> {
    let levels = levels(machine);
    let last = levels.len().saturating_sub(1);
    let Homes { input, weights, output } = stream.homes;
    let [read, weights, written] = [input, weights, output].map(|home| usize::from(home).min(last));
    let mut moved = Moved { traffic: [Bytes::ZERO; MAX_LEVELS], footprint: [Bytes::ZERO; MAX_LEVELS], tiling: None };
    let flows = [(stream.read, read, false), (stream.weights, weights, true), (stream.written, written, false)];
    for (bytes, home, is_weights) in flows {
        for (number, level) in (0..usize::MAX).zip(levels).take(home.saturating_add(1)) {
            if number == home || holds(level, is_weights) {
                add(&mut moved.traffic, number, bytes)?;
            }
        }
    }
    Ok(moved)
}

/// A stream on the units: its cycles, its bytes, and the set-up of a kernel where it is one by itself, which writes what it computes.
/// It has no MACs, so that it uses none of the lanes.
pub(super) fn stream_mapping(
    stream: &Stream,
    machine: &Machine<'_>,
    compute_cycles: Cycles,
    setup_cycles: u64,
) -> Result<Mapping, Error> {
    let moved = self::stream(stream, machine)?;
    let setup_cycles = if stream.written.0 == 0 { 0 } else { setup_cycles };
    Ok(Mapping {
        compute_cycles,
        utilization: 0.0,
        losses: heapless::Vec::new(),
        traffic: moved.traffic,
        footprint: moved.footprint,
        tiling: None,
        setup: Cycles(setup_cycles) / machine.clock,
        overlapped: true,
    })
}

/// Levels of A, B and C, the last one where they lie beyond it. What is no weight lies with the activations.
fn homes(nest: &LoopNest, last: usize) -> [usize; 3] {
    let Homes { input, weights, output } = nest.homes;
    [input, if nest.weighted { weights } else { input }, output].map(|home| usize::from(home).min(last))
}

fn holds(level: &MemoryLevel<'_>, weights: bool) -> bool {
    match level.holds {
        Holds::All => true,
        Holds::Weights => weights,
        Holds::Activations => !weights,
    }
}

fn add(places: &mut [Bytes; MAX_LEVELS], number: usize, bytes: Bytes) -> Result<(), Error> {
    let place = places.get_mut(number).ok_or(Error::MemoryLevels)?;
    *place = place.checked_add(bytes)?;
    Ok(())
}

/// Bytes times a factor, rounded up; exact at 1.
fn scaled(bytes: Bytes, factor: f32) -> Result<Bytes, Error> {
    if (factor - 1.0).abs() < f32::EPSILON { Ok(bytes) } else { Ok(Bytes(ceil(bytes.as_f32() * factor)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::npu_toy::{Toy, linear};

    /// 4 × 64 · 64 × 32 in int8: A 256, B 2048, C 128 bytes.
    const ARRAY: Traffic = Traffic { a: Bytes(1024), b: Bytes(4096), c: Bytes(128) };

    #[test]
    fn weights_from_flash_pass_the_level_that_holds_activations() -> Result<(), Error> {
        // Activations at home in level 0, weights in level 1, which alone holds them: they go straight to the array.
        let nest = linear([4, 32, 64]);
        let nest = LoopNest { homes: Homes { input: 0, weights: 1, output: 0 }, ..nest };
        Toy { holds: [Holds::Activations, Holds::Weights], ..Toy::new(8.0) }.with(|machine| {
            let moved = Paths::of(&nest, machine, 1.0)?.moved(ARRAY)?;
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
            let moved = Paths::of(&nest, machine, 0.75)?.moved(ARRAY)?;
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
            assert_eq!(stream(&streamed, machine)?.traffic[..2], [Bytes(150), Bytes(110)]);
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
                Ok(Paths::of(nest, machine, 1.0)?.moved(array)?.traffic[1])
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
            let moved = Paths::of(&nest, machine, 1.0)?.moved(ARRAY)?;
            assert_eq!(moved.traffic[..2], [Bytes(5248); 2]);
            assert_eq!(moved.footprint[0], Bytes::ZERO);
            assert_eq!(moved.tiling.map(|tiling| tiling.levels.len()), Some(1));
            Ok(())
        })
    }
}
