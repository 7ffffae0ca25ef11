//! Fabrics of compute tiles: folds of a product on tiles of several types, operands brought by engines that a program
//! starts.
//!
//! The rules of each component are those of the Stillwater KPU's simulator; how tiles share a product and how movement
//! and arithmetic overlap is this module's. **Every number of such a device is a design study's: no silicon exists.**
//! Leaves out contention on the network between tiles, copies of an operand that several tiles need at once, and tile
//! types whose arrays differ in extent.

mod components;
#[cfg(test)]
mod tests;

pub use components::{
    column_stream_cycles, matmul_cycles, row_stream_cycles, serial_tile_cycles, transfer_cycles, uncached_traffic,
};

use crate::error::Error;
use crate::hardware::{ComputeUnit, MemoryLevel};
use crate::mapper::arrays::{self, Port, Product, both, cycles_at, parts_of, sum, wide};
use crate::mapper::levels;
use crate::mapper::losses::{Losses, filled};
use crate::mapper::systolic::{Dataflow, Systolic};
use crate::mapping::{Loss, Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream, Traffic};
use crate::shape::product;
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, Cycles, to_f32};
use crate::work::Gemm;

/// Engines of one kind that move bytes side by side. Both numbers are at least 1, and 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Engines {
    /// How many.
    pub count: u32,
    /// Bytes that one of them moves in a cycle: the width of its bus.
    pub bytes_per_cycle: u32,
}

impl Engines {
    /// Bytes that all of them move in a cycle.
    fn width(self) -> u64 {
        u64::from(self.count.max(1)).saturating_mul(u64::from(self.bytes_per_cycle.max(1)))
    }

    /// Cycles in which all of them move so many bytes; none for none.
    fn share(self, bytes: Bytes) -> u64 {
        bytes.0.div_ceil(self.width().max(1))
    }

    /// Cycles in which one of them moves so many bytes; none for none.
    fn one(self, bytes: Bytes) -> u64 {
        if bytes.0 == 0 { 0 } else { transfer_cycles(bytes, self.bytes_per_cycle).0 }
    }
}

/// Geometry of a fabric of compute tiles. Each type of tile is a compute unit of the device, its count the number of
/// such tiles, its MACs a cycle those of the whole array of a tile. Extents are at least 1, and 0 counts as 1.
///
/// The last memory level is DRAM, the one before it the L3, of which all tiles reach all instances. Of a level inside a
/// tile reaches one instance: its own where there are as many as tiles, the one that all share where there is one. The L1 of a tile is no level: its buffers hold what streams, and keep nothing. All
/// engines run at the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TileFabric {
    /// Rows of processing elements of a tile, R.
    pub rows: u32,
    /// Columns of processing elements of a tile, C.
    pub columns: u32,
    /// Streamers of one compute tile, between its L2 and the edges of its array.
    pub streamers: Engines,
    /// Block movers of the device, between L3 and the L2 of any tile.
    pub block_movers: Engines,
    /// DMA engines of the device, between DRAM and L3.
    pub dma: Engines,
}

/// Most types of tiles that share a product, and most extents of a fold: the longer and the shorter along either axis.
const MAX_TYPES: usize = 8;
const EXTENTS: usize = 4;

/// Folds of one extent.
#[derive(Clone, Copy)]
struct Folds {
    count: u64,
    m: u64,
    n: u64,
}

/// Tiles of one type, and the cycles of a fold of each extent on one of them, at the machine's clock.
#[derive(Clone, Copy)]
struct Tiles {
    count: u64,
    cycles: [u64; EXTENTS],
}

/// Cycles of one product, all tiles side by side.
#[derive(Clone, Copy, Default)]
struct Times {
    /// All lanes full, edges and all.
    full: f32,
    /// Tiles never wait for each other.
    fluid: f32,
    /// Whole folds, arithmetic alone.
    compute: u64,
    /// Whole folds, streamers too.
    streamed: u64,
    /// The first step's operands come, the last result goes.
    ends: u64,
}

impl TileFabric {
    fn extents(&self) -> [u64; 2] {
        [self.rows, self.columns].map(|extent| u64::from(extent.max(1)))
    }

    /// The folds of a product by their extents, so many of them along its rows.
    fn folds(&self, Gemm { m, n, groups, .. }: Gemm, down: u64) -> Result<[Folds; EXTENTS], Error> {
        // As equal as whole numbers are: a fold lasts longer by its longer extent, so that equal ones end first.
        let split = |extent: u64, parts: u64| {
            let short = extent.checked_div(parts).unwrap_or(0);
            let longer = extent.checked_rem(parts).unwrap_or(0);
            let rest = (parts.saturating_sub(longer), short);
            if longer == 0 { [rest, (0, 0)] } else { [(longer, short.saturating_add(1)), rest] }
        };
        let [_, columns] = self.extents();
        let [[m_long, m_short], [n_long, n_short]] = [split(m, down), split(n, n.div_ceil(columns.max(1)))];
        let folds = |(down, m): (u64, u64), (across, n): (u64, u64)| {
            Ok(Folds { count: product([groups, down, across])?, m, n })
        };
        Ok([folds(m_long, n_long)?, folds(m_long, n_short)?, folds(m_short, n_long)?, folds(m_short, n_short)?])
    }

    /// Cycles of the streamers of a tile for m × k of A and k × n of B, and for m × n of C.
    fn streams(&self, part: &Product, [m, n, k]: [u64; 3]) -> Result<[u64; 2], Error> {
        let fabric = |port: Port| u64::from(self.streamers.bytes_per_cycle).checked_div(port.size).unwrap_or(1);
        let engines = u64::from(self.streamers.count.max(1));
        let a = row_stream_cycles(m, k, fabric(part.a))?.0;
        let b = column_stream_cycles(k, n, fabric(part.b))?.0;
        let c = row_stream_cycles(m, n, fabric(part.c))?.0;
        Ok([sum([a, b])?.div_ceil(engines.max(1)), c.div_ceil(engines.max(1))])
    }

    /// Cycles of each kind of fold on the tiles of a type: of their arithmetic, and at least those of their streamers.
    fn tiles(
        &self,
        unit: &ComputeUnit<'_>,
        rate: f32,
        machine: &Machine<'_>,
        part: &Product,
        folds: &[Folds; EXTENTS],
    ) -> Result<[Tiles; 2], Error> {
        let [rows, columns] = self.extents();
        let k = part.gemm.k;
        let steps = cycles_at(wide([k, rows, columns])?, rate)?;
        let clock = unit.clock.get() / machine.unit.clock.get();
        let tiles = Tiles { count: u64::from(unit.count), cycles: [0; EXTENTS] };
        let [mut compute, mut streamed] = [tiles; 2];
        for ((fold, compute), streamed) in folds.iter().zip(&mut compute.cycles).zip(&mut streamed.cycles) {
            let cycles = matmul_cycles([self.rows, self.columns], [fold.m, fold.n, steps])?.0;
            *compute = cycles_at(u128::from(cycles), clock)?;
            let [operands, result] = self.streams(part, [fold.m, fold.n, k])?;
            *streamed = (*compute).max(sum([operands, result])?);
        }
        Ok([compute, streamed])
    }

    /// Cycles in which the operands of the first step come and the last result goes, one stage after the other.
    fn ends(&self, part: &Product, last: usize) -> Result<u64, Error> {
        let [rows, columns] = self.extents();
        let Gemm { m, n, k, .. } = part.gemm;
        let (m, n, k) = (m.min(rows), n.min(columns), k.min(rows.max(columns)));
        let bytes = |port: Port, h, w| Ok((product([h, w, port.size])?, port.home));
        let (a, b, c) = (bytes(part.a, m, k)?, bytes(part.b, k, n)?, bytes(part.c, m, n)?);
        let from = |level: Option<usize>, operands: [(u64, usize); 2]| match level {
            Some(level) if level > 0 => {
                sum(operands.map(|(bytes, home)| if home >= level { bytes } else { 0 })).map(Bytes)
            }
            _ => Ok(Bytes::ZERO),
        };
        let (dram, l3) = (Some(last), last.checked_sub(1));
        let fill = [self.dma.one(from(dram, [a, b])?), self.block_movers.one(from(l3, [a, b])?)];
        let drain = [self.block_movers.one(from(l3, [c, (0, 0)])?), self.dma.one(from(dram, [c, (0, 0)])?)];
        sum([sum(fill)?, sum(self.streams(part, [m, n, k])?)?, sum(drain)?])
    }

    /// Cycles of one run of a product.
    fn times(&self, part: &Product, machine: &Machine<'_>, last: usize) -> Result<Times, Error> {
        let [rows, columns] = self.extents();
        let Gemm { m, n, k, groups } = part.gemm;
        let padded = product([groups, m.div_ceil(rows.max(1)), n.div_ceil(columns.max(1))])?;
        let full = to_f32(padded) * to_f32(rows) * to_f32(columns) * to_f32(k) / peak(machine);
        let none = Times { full, ends: self.ends(part, last)?, ..Times::default() };
        let mut best: Option<Times> = None;
        for down in parts_of(m, rows) {
            let folds = self.folds(part.gemm, down)?;
            let [mut compute, mut streamed] = [const { heapless::Vec::<Tiles, MAX_TYPES>::new() }; 2];
            for (unit, rate) in types(machine) {
                let [cycles, at_least] = self.tiles(unit, rate, machine, part, &folds)?;
                compute.push(cycles).ok();
                streamed.push(at_least).ok();
            }
            let streamed = makespan(&folds, &streamed)?;
            if best.is_none_or(|best| streamed < best.streamed) {
                let (fluid, compute) = (fluid(&folds, &compute), makespan(&folds, &compute)?);
                best = Some(Times { fluid, compute, streamed, ..none });
            }
        }
        Ok(best.unwrap_or(none))
    }
}

/// The types of tiles that work in the machine's precision, with the MACs of one tile in a cycle of its clock.
fn types<'m>(machine: &Machine<'m>) -> impl Iterator<Item = (&'m ComputeUnit<'m>, f32)> {
    let precision = machine.precision;
    let units = machine.hardware.compute().iter();
    units.filter_map(move |unit| Some((unit, unit.macs_per_cycle.at(precision)?.get()))).take(MAX_TYPES)
}

/// MACs of all tiles of those types in a cycle of the machine's clock.
fn peak(machine: &Machine<'_>) -> f32 {
    let clock = machine.unit.clock.get();
    types(machine).map(|(unit, rate)| to_f32(u64::from(unit.count)) * rate * (unit.clock.get() / clock)).sum()
}

/// Cycles if folds could be cut anywhere: each extent in proportion of what the tiles of all types do of it in a cycle.
fn fluid(folds: &[Folds; EXTENTS], types: &[Tiles]) -> f32 {
    let mut cycles = 0.0;
    for (fold, kind) in folds.iter().zip(0_usize..EXTENTS).filter(|(fold, _)| fold.count > 0) {
        let done =
            |tiles: &Tiles| to_f32(tiles.count) / to_f32(tiles.cycles.get(kind).map_or(1, |&cycles| cycles.max(1)));
        cycles += to_f32(fold.count) / types.iter().map(done).sum::<f32>();
    }
    cycles
}

/// Cycles until all folds are done: on the tiles of one type, or of all together where that is sooner.
///
/// # Errors
/// [`Error::NoUnitForPrecision`] where there is no type.
fn makespan(folds: &[Folds; EXTENTS], types: &[Tiles]) -> Result<u64, Error> {
    let mut alone = None;
    for tiles in types {
        let cycles = waves(folds, tiles)?;
        alone = Some(alone.map_or(cycles, |least: u64| least.min(cycles)));
    }
    let alone = alone.ok_or(Error::NoUnitForPrecision)?;
    // All together: the least time in which they finish as many of the longest folds.
    let count =
        folds.iter().try_fold(0_u64, |count, fold| count.checked_add(fold.count)).ok_or(Error::CountOverflow)?;
    let longest = |tiles: &Tiles| {
        let present = tiles.cycles.iter().zip(folds).filter(|(_, fold)| fold.count > 0);
        present.map(|(&cycles, _)| cycles).max().unwrap_or(1).max(1)
    };
    let done = |time: u64| {
        let folds = types.iter().map(|tiles| tiles.count.saturating_mul(time.div_euclid(longest(tiles).max(1))));
        folds.fold(0_u64, u64::saturating_add)
    };
    let (mut low, mut high) = (0_u64, alone);
    while low < high {
        let middle = low.midpoint(high);
        if done(middle) >= count {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Ok(high)
}

/// Cycles of waves on the tiles of a type, the longest folds first; a wave lasts as long as its first fold.
fn waves(folds: &[Folds; EXTENTS], tiles: &Tiles) -> Result<u64, Error> {
    let [inner, right, bottom, corner] = [0, 1, 2, 3].map(|kind: usize| {
        (tiles.cycles.get(kind).map_or(0, |&cycles| cycles), folds.get(kind).map_or(0, |fold| fold.count))
    });
    // Smaller folds take no longer: only those of the two edges are in no order yet.
    let order = if right >= bottom { [inner, right, bottom, corner] } else { [inner, bottom, right, corner] };
    let (mut waves, mut room) = (0_u64, 0_u64);
    for (cycles, count) in order {
        let more = count.saturating_sub(room).div_ceil(tiles.count.max(1));
        waves = sum([waves, product([more, cycles])?])?;
        room = product([more, tiles.count])?.saturating_add(room).saturating_sub(count);
    }
    Ok(waves)
}

/// The folds of a nest's products on the tiles of all types that work in the precision.
///
/// ```text
/// folds     = groups · down · ⌈N / C⌉, as equal as whole numbers are: m × n
/// down      = 2^j · ⌈M / (2^j · R)⌉ of the j with the least makespan, from 0 to the first with M ≤ 2^j · R
/// steps     = ⌈K · R · C / macs_per_cycle⌉                          of the tile's type
/// compute   = steps + max(m, n) + max(R, C) + 1
/// stream    = ⌈(m · ⌈K / F⌉ + n · ⌈K / F⌉) / streamers⌉ + ⌈m · ⌈n / F⌉ / streamers⌉
///             where F = ⌊bytes_per_cycle / bytes of an element⌋, at least 1, of each operand its own
/// fold      = max(compute, stream)
///
/// alone     = least over types of Σ over waves on its tiles of their longest fold, longest folds first
/// together  = least t with Σ over types of tiles · ⌊t / longest fold⌋ ≥ folds
/// makespan  = min(alone, together)
///
/// cycles    = max(repeats · Σ over products of makespan,
///                 ⌈bytes between L3 and L2 / (block movers · bytes_per_cycle)⌉,
///                 ⌈bytes between DRAM and L3 / (DMA engines · bytes_per_cycle)⌉)
///           + repeats · Σ over products of (fill + drain)
/// fill      = DMA + block mover + streamers for m × k of A and k × n of B, k = min(K, max(R, C))
/// drain     = streamers + block mover + DMA for m × n of C
///             both only from or to the level where an operand lies
/// ```
/// The pipeline is double-buffered: in each step a tile computes while its streamers, and its share of the block movers
/// and the DMA engines, bring the next operands, so that the slowest of them sets the pace of all steps. Other types
/// help in proportion of their rates, up to whole folds; tiles idle where a product has fewer folds than there are
/// tiles. More folds than the fewest may fill the last wave: two halves of a batch are never faster than the whole. At most eight types share a product.
///
/// ```text
/// left:  EdgeTiles  Σ macs over Σ folds · R · C · K
///        FillDrain  that at the peak of all types over Σ folds / Σ over types of (tiles / compute)
///        Waves      that over Σ makespan of arithmetic alone
///        Movement   that over cycles
/// ```
/// `utilization` and its losses are those of all tiles that work in the precision, so that cycles may be fewer than
/// [`Machine::least_cycles`], which is of the fastest type alone.
///
/// ```text
/// traffic₀    = bytes at the edges of the arrays: A · ⌈N / C⌉, B · ⌈M / R⌉, C once; folds of fewer rows share what they
///               take of B
/// trafficᵢ₊₁  = what the tiles of level i move between levels i and i + 1, of operands whose home is i + 1 or beyond
/// ```
impl Mapper for TileFabric {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let last = arrays::last_level(machine);
        let tile = Systolic {
            rows: self.rows,
            columns: self.columns,
            dataflow: Dataflow::OutputStationary,
            held_tiles: 1,
            accumulators: 0,
            vector_lanes: 1,
        };
        let (mut times, mut edge) = (Times::default(), Traffic::default());
        for part in &arrays::products(nest, last)? {
            let part_times = self.times(part, machine, last)?;
            times = Times {
                full: times.full + part_times.full,
                fluid: times.fluid + part_times.fluid,
                compute: sum([times.compute, part_times.compute])?,
                streamed: sum([times.streamed, part_times.streamed])?,
                ends: sum([times.ends, part_times.ends])?,
            };
            edge = both(&edge, &tile.edge_bytes(part, nest.repeats)?)?;
        }
        // Tiles of a product fill all instances of L3 together, of the levels inside one.
        let inside = last.checked_sub(1);
        let room = |number: usize, level: &MemoryLevel<'_>| {
            if Some(number) == inside { level.capacity } else { level.instance_capacity() }
        };
        let levels = arrays::levels(nest, machine, room);
        let levels = levels.as_ref().map_err(|error| *error)?;
        let crossing = arrays::crossing(levels, &edge)?;
        filled(|mapping| {
            levels.moved(&crossing, 1.0, mapping)?;
            in_one_instance(mapping, inside, machine);
            let runs = |cycles: u64| product([cycles, nest.repeats]);
            let moving = self.moving(&mapping.traffic, last);
            let cycles = sum([runs(times.streamed)?.max(moving), runs(times.ends)?])?;
            mapping.compute_cycles = Cycles(cycles);
            let repeats = to_f32(nest.repeats);
            Losses::from(nest.macs()?.as_f32() / peak(machine))
                .then(Loss::EdgeTiles, times.full * repeats)
                .then(Loss::FillDrain, times.fluid * repeats)
                .then(Loss::Waves, to_f32(runs(times.compute)?))
                .then(Loss::Movement, to_f32(cycles))
                .finish(mapping);
            Ok(())
        })
    }

    /// Elements on the processing elements of all tiles that work in the precision, brought and taken by the same
    /// engines.
    ///
    /// ```text
    /// cycles = max(⌈max(flops, elements) / (tiles · R · C)⌉, ⌈bytes / (tiles · streamers · bytes_per_cycle)⌉,
    ///              block movers' and DMA engines' cycles for the bytes that pass them)
    /// ```
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let last = arrays::last_level(machine);
        let tiles = types(machine).fold(0_u64, |tiles, (unit, _)| tiles.saturating_add(u64::from(unit.count)));
        let [rows, columns] = self.extents();
        let traffic = levels::streamed(stream, machine)?;
        let streamed = traffic.first().map_or(0, |bytes| bytes.0);
        let width = product([tiles.max(1), self.streamers.width()])?;
        let moving = streamed.div_ceil(width.max(1)).max(self.moving(&traffic, last));
        arrays::stream_mapping(stream, machine, product([tiles, rows, columns])?, moving)
    }
}

impl TileFabric {
    /// Cycles of the engines that all tiles share: block movers between L3 and L2, DMA engines between DRAM and L3.
    fn moving(&self, traffic: &[Bytes; MAX_LEVELS], last: usize) -> u64 {
        let at = |level: usize| traffic.get(level).map_or(Bytes::ZERO, |&bytes| bytes);
        let movers = if last > 1 { self.block_movers.share(at(last.saturating_sub(1))) } else { 0 };
        let dma = if last > 0 { self.dma.share(at(last)) } else { 0 };
        movers.max(dma)
    }
}

/// What the L3 of several instances holds, divided among them: a mapping tells what lies in one.
fn in_one_instance(moves: &mut Mapping, l3: Option<usize>, machine: &Machine<'_>) {
    let Some((l3, level)) = l3.and_then(|l3| Some((l3, machine.hardware.memory().get(l3)?))) else { return };
    let share = |bytes: Bytes| Bytes(bytes.0.div_ceil(u64::from(level.instances.max(1))));
    if let Some(footprint) = moves.footprint.get_mut(l3) {
        *footprint = share(*footprint);
    }
    if let Some(tiles) = moves.tiling.as_mut().and_then(|tiling| tiling.levels.get_mut(l3)) {
        tiles.footprint = share(tiles.footprint);
    }
}
