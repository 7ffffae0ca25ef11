//! Bytes at each memory level: what the tilings of a nest move, and what a stream passes, up to where the operands lie.
//!
//! ```text
//! level 0:      what the array reads and writes
//! level l > 0:  what passes between level l − 1 and level l
//! ```
//! An operand passes no level beyond its home, and no level that does not hold its kind: it then goes straight to the next
//! inner level that does, or to the array. Where an operand of the product lies whole within a level, the others cross the
//! border of that level once: it is the stationary one, and the loops of the others go around it. Where none does, the
//! tiling says what crosses.

use crate::error::Error;
use crate::hardware::{Filling, Holds, MemoryLevel};
use crate::mapping::{Machine, Mapping};
use crate::nest::{Homes, LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::tile::{Buffer, MAX_LEVELS, Tiling, tile};
use crate::units::{Bytes, Cycles, Factor};

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
    /// At the array.
    array: Bytes,
    /// Each element once.
    once: Bytes,
    /// Across the border of a level with the one outside it, as the tiling says.
    of: fn(&Traffic) -> Bytes,
}

/// Bytes of a product whose array reads and writes `array`; weights take `stored` bytes a byte in memory.
///
/// # Errors
/// [`Error::Infeasible`] where no tile fits; [`Error::CountOverflow`] above 2^64 − 1; [`Error::MemoryLevels`] beyond
/// [`MAX_LEVELS`] levels.
pub(super) fn nest(nest: &LoopNest, machine: &Machine<'_>, array: Traffic, stored: Factor) -> Result<Moved, Error> {
    let levels = machine.hardware.memory();
    let last = levels.len().saturating_sub(1);
    let [a, b, c] = homes(nest.homes, last);
    let once = Traffic::compulsory(nest)?;
    let stored = |bytes: Bytes| if nest.weighted { scaled(bytes, stored) } else { Ok(bytes) };
    let flows = [
        Flow { weights: false, home: a, array: array.a, once: once.a, of: |traffic| traffic.a },
        Flow { weights: nest.weighted, home: b, array: array.b, once: once.b, of: |traffic| traffic.b },
        Flow { weights: false, home: c, array: array.c, once: once.c, of: |traffic| traffic.c },
    ];
    // Within this level lies the first operand; tiles are cut for the levels before it.
    let resident = a.min(b).min(c);
    let tiling = if resident == 0 {
        None
    } else {
        let mut buffers: heapless::Vec<Buffer, MAX_LEVELS> = heapless::Vec::new();
        for level in levels.iter().take(a.max(b).max(c)) {
            buffers.push(buffer(level)).map_err(|_| Error::MemoryLevels)?;
        }
        Some(tile(nest, &buffers)?)
    };
    let tiled = |level: usize| tiling.as_ref().and_then(|tiling| tiling.levels.get(level));
    let mut moved = Moved { traffic: [Bytes::ZERO; MAX_LEVELS], footprint: [Bytes::ZERO; MAX_LEVELS], tiling: None };
    for (index, flow) in flows.iter().enumerate() {
        let mut inner: Option<usize> = None;
        for (number, level) in levels.iter().enumerate().take(flow.home.saturating_add(1)) {
            if number != flow.home && !holds(level, flow.weights) {
                continue;
            }
            let bytes = match inner {
                None => flow.array,
                // Weights of a recurrent layer that a level does not keep come again for each step.
                Some(border) if border >= resident && index == 1 && !keeps(levels.get(border), flow.once) => {
                    Bytes(product([flow.once.0, nest.repeats])?)
                }
                Some(border) if border >= resident => flow.once,
                Some(border) => tiled(border).map_or(flow.once, |tiling| (flow.of)(&tiling.traffic)),
            };
            let bytes = if index == 1 { stored(bytes)? } else { bytes };
            add(&mut moved.traffic, number, bytes)?;
            inner = Some(number);
        }
        if flow.home < last {
            add(&mut moved.footprint, flow.home, if index == 1 { stored(flow.once)? } else { flow.once })?;
        }
    }
    for (number, place) in moved.footprint.iter_mut().enumerate().take(resident) {
        *place = tiled(number).map_or(Bytes::ZERO, |tiling| tiling.footprint);
    }
    moved.tiling = tiling;
    Ok(moved)
}

/// Bytes of a stream: each level up to the home of an operand serves or takes it once.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1; [`Error::MemoryLevels`] beyond [`MAX_LEVELS`] levels.
fn stream(stream: &Stream, machine: &Machine<'_>) -> Result<Moved, Error> {
    let levels = machine.hardware.memory();
    let [read, weights, written] = homes(stream.homes, levels.len().saturating_sub(1));
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

/// Levels of A, B and C, the last one where they lie beyond it.
fn homes(homes: Homes, last: usize) -> [usize; 3] {
    [homes.input, homes.weights, homes.output].map(|home| usize::from(home).min(last))
}

fn holds(level: &MemoryLevel<'_>, weights: bool) -> bool {
    match level.holds {
        Holds::All => true,
        Holds::Weights => weights,
        Holds::Activations => !weights,
    }
}

/// Whether a level has room for these bytes.
fn keeps(level: Option<&MemoryLevel<'_>>, bytes: Bytes) -> bool {
    level.is_some_and(|level| bytes <= level.instance_capacity())
}

fn buffer(level: &MemoryLevel<'_>) -> Buffer {
    Buffer { capacity: level.instance_capacity(), double_buffered: level.filling == Filling::Scratchpad }
}

fn add(places: &mut [Bytes; MAX_LEVELS], number: usize, bytes: Bytes) -> Result<(), Error> {
    let place = places.get_mut(number).ok_or(Error::MemoryLevels)?;
    *place = place.checked_add(bytes)?;
    Ok(())
}

/// Bytes times a factor, rounded up; exact at 1.
fn scaled(bytes: Bytes, factor: Factor) -> Result<Bytes, Error> {
    if factor == Factor::ONE { Ok(bytes) } else { Ok(Bytes(ceil(bytes.as_f32() * factor.get())?)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapper::toy::{Toy, linear};

    /// 4 × 64 · 64 × 32 in int8: A 256, B 2048, C 128 bytes.
    const ARRAY: Traffic = Traffic { a: Bytes(1024), b: Bytes(4096), c: Bytes(128) };

    #[test]
    fn weights_from_flash_pass_the_level_that_holds_activations() -> Result<(), Error> {
        // Activations at home in level 0, weights in level 1, which alone holds them: they go straight to the array.
        let nest = linear([4, 32, 64]);
        let nest = LoopNest { homes: Homes { input: 0, weights: 1, output: 0 }, ..nest };
        Toy { holds: [Holds::Activations, Holds::Weights], ..Toy::new(8.0) }.with(|machine| {
            let moved = super::nest(&nest, machine, ARRAY, Factor::ONE)?;
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
            let moved = super::nest(&nest, machine, ARRAY, Factor::new(0.75)?)?;
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
}
