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
use crate::shape::product;
use crate::tile::{Buffer, LevelTiling, MAX_LEVELS, Tiling, tile};
use crate::units::{Bytes, Cycles};

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

/// The level that serves an operand to the array.
#[derive(Clone, Copy)]
pub(super) struct Feed {
    /// Its index.
    pub(super) level: usize,
    /// Its bandwidth in bytes per second.
    pub(super) bandwidth: f32,
}

/// The levels that serve A and B to the array: the innermost ones that hold them.
pub(super) fn feeds(nest: &LoopNest, machine: &Machine<'_>) -> [Feed; 2] {
    let levels = levels(machine);
    let last = levels.len().saturating_sub(1);
    let [a, b, _] = homes(nest, last);
    [(a, false), (b, nest.weighted)].map(|(home, weights)| {
        let inner = levels.iter().enumerate().find(|&(number, level)| number >= home || holds(level, weights));
        // A device has a level.
        let (level, bandwidth) = inner.map_or((0, f32::MAX), |(number, level)| (number, level.bandwidth.get()));
        Feed { level, bandwidth }
    })
}

/// The memory levels that a mapping tells apart: the first [`MAX_LEVELS`], of which the last is the backing store.
fn levels<'a>(machine: &Machine<'a>) -> &'a [MemoryLevel<'a>] {
    let memory = machine.hardware.memory();
    memory.get(..MAX_LEVELS).unwrap_or(memory)
}

/// Bytes of a product whose array reads and writes `array`; weights take `stored` bytes a byte in memory.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1.
pub(super) fn nest(nest: &LoopNest, machine: &Machine<'_>, array: Traffic, stored: f32) -> Result<Moved, Error> {
    let levels = levels(machine);
    let last = levels.len().saturating_sub(1);
    let [a, b, c] = homes(nest, last);
    let flows = [
        Flow { weights: false, home: a, of: |traffic| traffic.a },
        Flow { weights: nest.weighted, home: b, of: |traffic| traffic.b },
        Flow { weights: false, home: c, of: |traffic| traffic.c },
    ];
    let once = Traffic::compulsory(nest)?;
    // Within this level lies the first operand whole; tiles are cut for the levels before it.
    let resident = a.min(b).min(c);
    let tiling = tiles_for(nest, levels.get(..resident).unwrap_or(&[]))?;
    // Across the border of each level with the one inside it; of the first, with the array.
    let mut crossing = [array; MAX_LEVELS];
    let mut inside = array;
    for (border, (level, place)) in levels.iter().zip(crossing.iter_mut().skip(1)).enumerate() {
        let own = if border >= resident {
            // Weights of a recurrent layer that a level does not keep come again for each step.
            let times = if once.b <= level.instance_capacity() { 1 } else { nest.repeats };
            Traffic { b: Bytes(product([once.b.0, times])?), ..once }
        } else {
            // None of a level without tiles: everything passes it.
            tiling.get(border).and_then(|level| level.as_ref().map(|level| level.traffic)).unwrap_or(inside)
        };
        // What a level inside does not ask for, none outside it needs to serve.
        inside = if own.total()? < inside.total()? { own } else { inside };
        *place = inside;
    }
    let mut moved = Moved { traffic: [Bytes::ZERO; MAX_LEVELS], footprint: [Bytes::ZERO; MAX_LEVELS], tiling: None };
    for flow in &flows {
        // The inner level that holds this operand, or the array.
        let mut inner = 0;
        for (number, level) in levels.iter().enumerate().take(flow.home.saturating_add(1)) {
            if number != flow.home && !holds(level, flow.weights) {
                continue;
            }
            let bytes = crossing.get(inner).map_or(Bytes::ZERO, flow.of);
            add(&mut moved.traffic, number, if flow.weights { scaled(bytes, stored)? } else { bytes })?;
            inner = number.saturating_add(1);
        }
        if flow.home < last {
            let bytes = (flow.of)(&once);
            add(&mut moved.footprint, flow.home, if flow.weights { scaled(bytes, stored)? } else { bytes })?;
        }
    }
    for (level, place) in tiling.iter().zip(moved.footprint.iter_mut()) {
        *place = level.as_ref().map_or(Bytes::ZERO, |level| level.footprint);
    }
    if !tiling.is_empty() {
        let mut all = Tiling { levels: heapless::Vec::new() };
        for (level, traffic) in tiling.into_iter().zip(crossing.into_iter().skip(1)) {
            all.levels.push(level.unwrap_or_else(|| passing(traffic))).ok();
        }
        moved.tiling = Some(all);
    }
    Ok(moved)
}

/// Tiles for these levels, from the innermost on; `None` for the innermost ones that hold not even the smallest tile.
fn tiles_for(
    nest: &LoopNest,
    levels: &[MemoryLevel<'_>],
) -> Result<heapless::Vec<Option<LevelTiling>, MAX_LEVELS>, Error> {
    let buffer = |level: &MemoryLevel<'_>| Buffer {
        capacity: level.instance_capacity(),
        double_buffered: level.filling == Filling::Scratchpad,
    };
    let mut buffers: heapless::Vec<Buffer, MAX_LEVELS> = heapless::Vec::new();
    for level in levels {
        buffers.push(buffer(level)).ok();
    }
    let mut rest = buffers.as_slice();
    let mut tiled = heapless::Vec::new();
    while let [_, outer @ ..] = rest {
        match tile(nest, rest) {
            Ok(tiling) => {
                for level in tiling.levels {
                    tiled.push(Some(level)).ok();
                }
                rest = &[];
            }
            Err(Error::Infeasible { .. }) => {
                tiled.push(None).ok();
                rest = outer;
            }
            Err(error) => return Err(error),
        }
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
        for (number, level) in levels.iter().enumerate().take(home.saturating_add(1)) {
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
            let moved = super::nest(&nest, machine, ARRAY, 1.0)?;
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
            let moved = super::nest(&nest, machine, ARRAY, 0.75)?;
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
                Ok(self::nest(nest, machine, array, 1.0)?.traffic[1])
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
            let moved = self::nest(&nest, machine, ARRAY, 1.0)?;
            assert_eq!(moved.traffic[..2], [Bytes(5248); 2]);
            assert_eq!(moved.footprint[0], Bytes::ZERO);
            assert_eq!(moved.tiling.map(|tiling| tiling.levels.len()), Some(1));
            Ok(())
        })
    }
}
