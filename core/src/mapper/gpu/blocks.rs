//! Thread blocks: the tile of C that each has, what of a multiprocessor it takes, and when all of them are done.

use super::fastest::Sink;
use super::{Gpu, PARTITIONS, WARP};
use crate::error::Error;
use crate::hardware::ComputeUnit;
use crate::mapper::levels::of;
use crate::mapping::Machine;
use crate::nest::{AttentionLoops, ElementSizes, Traffic};
use crate::shape::{Precision, product};
use crate::units::{Bytes, Parts as _, to_f32};
use crate::work::Gemm;

/// Rows and columns of a tile, and the warps along each.
#[derive(Clone, Copy, Debug)]
struct Block {
    rows: u64,
    columns: u64,
    warps: [u64; 2],
}

impl Block {
    const fn area(&self) -> u64 {
        self.rows.saturating_mul(self.columns)
    }
}

const fn block(rows: u64, columns: u64, warps: [u64; 2]) -> Block {
    Block { rows, columns, warps }
}

/// The tiles that are tried, largest first.
///
/// **Source**: CUTLASS, `generator.py`, tiles and warps of the 16 × 8 × 16 instructions of SM80, down to 64 × 64; the smaller ones
/// are tiles of cuBLASLt (`cublasLtMatmulTile_t`), with a warp for each 32 × 32.
const BLOCKS: [Block; 15] = [
    block(256, 128, [4, 2]),
    block(128, 256, [2, 4]),
    block(256, 64, [4, 1]),
    block(64, 256, [1, 4]),
    block(128, 128, [2, 2]),
    block(128, 64, [2, 2]),
    block(64, 128, [2, 2]),
    block(64, 64, [2, 2]),
    block(128, 32, [4, 1]),
    block(32, 128, [1, 4]),
    block(64, 32, [2, 1]),
    block(32, 64, [1, 2]),
    block(32, 32, [1, 1]),
    block(32, 16, [1, 1]),
    block(16, 16, [1, 1]),
];

/// Blocks for each multiprocessor up to which sums are cut in parts: with more, the last wave weighs less than a fourth.
const FEW: u64 = 4;

/// Bytes of a row of a slice along k: 32 elements of two bytes, 64 of one.
///
/// **Source**: CUTLASS, `generator.py`, the same tiles: k of 32 for fp16, of 64 for int8.
const SLICE: u64 = 64;

/// Least elements of a part of k: a slice of four bytes each.
const PART: u64 = SLICE / 4;

/// Bytes a cycle from shared memory to the registers of a multiprocessor: 32 banks of 4 bytes.
///
/// **Source**: CUDA C++ Programming Guide, shared memory of compute capabilities 5.x to 9.0.
pub(super) const PORT: f32 = 128.0;

/// Slices that shared memory holds: one that is multiplied, one that is loaded.
///
/// **Source**: CUTLASS, "Efficient GEMM in CUDA", pipelining.
const BUFFERS: u64 = 2;

/// One of the multiprocessors of a device, in one precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multiprocessor {
    matrix: [u64; 3],
    threads: u64,
    registers: u64,
    /// Bytes of shared memory.
    shared: u64,
    /// Multiprocessors.
    pub(super) count: u64,
    pub(super) macs_per_cycle: f32,
    /// MACs that the vector lanes of one do in a cycle.
    pub(super) lanes: f32,
    /// Bytes a cycle between all of them and the level outside.
    pub(super) outside: f32,
}

/// A nest by thread blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// MACs of all tiles, without padding of the sums; and with it.
    pub(super) edge: f32,
    pub(super) padded: f32,
    /// Cycles of these on the units that the plan uses, all of them full.
    pub(super) emulated: f32,
    /// Cycles of the busiest multiprocessor: of its blocks; with idle partitions; with loads of fragments; with the first slices
    /// of all blocks and the added parts from outside.
    pub(super) waves: f32,
    pub(super) idle: f32,
    pub(super) loaded: f32,
    pub(super) cycles: f32,
    /// Bytes from shared memory to registers, and from outside to shared memory.
    pub(super) fragments: Traffic,
    pub(super) tiles: Traffic,
    /// Bytes outside the multiprocessors that belong to no operand.
    pub(super) local: Bytes,
    /// Bytes of shared memory of the blocks that a multiprocessor has at once.
    pub(super) shared: Bytes,
    /// Kernels, one after the other.
    pub(super) kernels: u64,
}

/// What a block takes of a multiprocessor: bytes of shared memory and of registers, warps.
#[derive(Clone, Copy, Debug)]
struct Takes {
    shared: u64,
    registers: u64,
    warps: u64,
}

/// The work of all blocks of one kind.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Blocks, and slices that each goes through, the last one perhaps less deep.
    blocks: u64,
    slices: f32,
    /// MACs of a slice.
    slice: u64,
    /// Bytes that a slice loads from shared memory to registers.
    loads: u64,
    /// MACs of all tiles, their sums as long as those of the product.
    edge: u64,
    /// Bytes of the first slice of a block, which no multiplies hide.
    first: u64,
    /// Bytes of parts that are added at the end: written, then read.
    parts: u64,
}

impl Plan {
    /// Two products, the second with the result of the first as its A, which lies outside the multiprocessors.
    pub(super) fn then(&self, next: &Self) -> Result<Self, Error> {
        let joined = |first: &Traffic, second: &Traffic| -> Result<Traffic, Error> {
            Ok(Traffic { a: first.a, b: first.b.checked_add(second.b)?, c: second.c })
        };
        Ok(Self {
            edge: self.edge + next.edge,
            padded: self.padded + next.padded,
            emulated: self.emulated + next.emulated,
            waves: self.waves + next.waves,
            idle: self.idle + next.idle,
            loaded: self.loaded + next.loaded,
            cycles: self.cycles + next.cycles,
            fragments: joined(&self.fragments, &next.fragments)?,
            tiles: joined(&self.tiles, &next.tiles)?,
            local: self.local.checked_add(next.local)?.checked_add(self.tiles.c)?.checked_add(next.tiles.a)?,
            shared: self.shared.max(next.shared),
            kernels: self.kernels.saturating_add(next.kernels),
        })
    }

    /// The same so many times, one after the other.
    pub(super) fn repeat(&mut self, times: u64) -> Result<(), Error> {
        let factor = to_f32(times);
        let Self { edge, padded, emulated, waves, idle, loaded, cycles, .. } = self;
        for cost in [edge, padded, emulated, waves, idle, loaded, cycles] {
            *cost *= factor;
        }
        let (fragments, tiles) = (&mut self.fragments, &mut self.tiles);
        for bytes in [
            &mut fragments.a,
            &mut fragments.b,
            &mut fragments.c,
            &mut tiles.a,
            &mut tiles.b,
            &mut tiles.c,
            &mut self.local,
        ] {
            bytes.0 = product([bytes.0, times])?;
        }
        Ok(())
    }
}

/// The smallest multiple of a number that is not below another.
fn round_up(number: u64, multiple: u64) -> Result<u64, Error> {
    number.checked_next_multiple_of(multiple.max(1)).ok_or(Error::CountOverflow)
}

impl Multiprocessor {
    pub(super) fn of(gpu: &Gpu, machine: &Machine<'_>) -> Self {
        let levels = of(machine);
        let outside = levels.get(1).or(levels.first()).map_or(f32::INFINITY, |level| level.bandwidth.get());
        let rate = machine.macs_per_cycle.get();
        let [rows, columns, depth] = if has_matrices(machine) { gpu.matrix } else { [1; 3] };
        Self {
            matrix: [rows, columns, depth].map(|extent| u64::from(extent).max(1)),
            threads: u64::from(gpu.threads),
            registers: gpu.registers.0,
            shared: levels.first().map_or(0, |level| level.instance_capacity().0),
            count: u64::from(machine.unit.count).max(1),
            macs_per_cycle: rate,
            lanes: to_f32(gpu.lanes(machine)).min(rate),
            outside: outside / machine.clock.get(),
        }
    }

    /// The same, and what it is without its matrix instructions where it has some.
    pub(super) fn kinds(self) -> impl Iterator<Item = Self> {
        let scalar = Self { matrix: [1; 3], macs_per_cycle: self.lanes, ..self };
        [Some(self), (self.matrix != [1; 3]).then_some(scalar)].into_iter().flatten()
    }

    /// Tiles in whole instructions.
    fn blocks(self) -> impl Iterator<Item = Result<Block, Error>> {
        let [rows, columns, _] = self.matrix;
        BLOCKS.into_iter().map(move |block| {
            Ok(Block { rows: round_up(block.rows, rows)?, columns: round_up(block.columns, columns)?, ..block })
        })
    }

    /// Blocks that a multiprocessor holds at once.
    fn resident(&self, takes: &Takes) -> u64 {
        let fits = |room: u64, each: u64| room.checked_div(each.max(1)).unwrap_or(0);
        fits(self.shared, takes.shared)
            .min(fits(self.registers, takes.registers))
            .min(fits(self.threads, takes.warps.saturating_mul(WARP)))
    }

    /// Elements along k of a slice, and their bytes: whole instructions of the wider operand.
    fn slice(&self, sizes: ElementSizes) -> Result<[u64; 2], Error> {
        let widest = sizes.a.max(sizes.b).max(1);
        let [_, _, depth] = self.matrix;
        Ok([round_up(SLICE.checked_div(widest).unwrap_or(1).max(1), depth)?, widest])
    }

    /// The plans of a product that fit a multiprocessor.
    ///
    /// Sums are padded to whole instructions, not to whole slices: there are kernels with slices of less depth for short sums.
    pub(super) fn product(&self, gemm: Gemm, sizes: ElementSizes, best: &mut impl Sink) -> Result<(), Error> {
        let Gemm { m, n, k, groups } = gemm;
        let [_, _, depth] = self.matrix;
        let [slice, widest] = self.slice(sizes)?;
        // Cycles that all multiprocessors take at least, less some roundings.
        let cycles = |macs: u64| to_f32(macs) / (self.macs_per_cycle * to_f32(self.count)) * 0.999_99;
        if best.is_beaten(cycles(product([groups, m, n, k])?)) {
            return Ok(());
        }
        for block in self.blocks() {
            let block = block?;
            let Block { rows, columns, warps: [down, across] } = block;
            let tiles = [m.in_parts_of(rows), n.in_parts_of(columns)];
            let all = product([product(tiles)?, groups])?;
            let edge = product([all, block.area(), k])?;
            if best.is_beaten(cycles(edge)) {
                continue;
            }
            // The warps of one row of a block read the same rows of A, those of one column the same columns of B.
            let fragments = rows.saturating_mul(across).saturating_add(columns.saturating_mul(down));
            // Slices of A and B; sums, and two fragments of each warp.
            let sums = product([rows, columns, sizes.partial])?;
            let takes = Takes {
                shared: product([BUFFERS, rows.saturating_add(columns), slice, widest])?,
                registers: product([BUFFERS, fragments, depth, widest])?.saturating_add(sums),
                warps: down.saturating_mul(across),
            };
            let traffic = tiled(gemm, sizes, tiles, block.warps)?;
            let first = product([rows.saturating_add(columns), slice.min(k), widest])?;
            let loads = product([fragments, slice, widest])?;
            let mut split = 1_u64;
            while split == 1 || split.saturating_mul(PART.max(depth)) <= k {
                let steps = k.in_parts_of(split).in_parts_of(depth);
                let grid = Grid {
                    blocks: product([all, split])?,
                    slices: to_f32(product([steps, depth])?) / to_f32(slice),
                    slice: product([block.area(), slice])?,
                    loads,
                    edge,
                    first,
                    parts: if split > 1 { product([2, split, groups, m, n, sizes.partial])? } else { 0 },
                };
                // More parts start more blocks, and add more.
                let moved = (to_f32(grid.first) * to_f32(grid.blocks) + to_f32(grid.parts)) / self.outside;
                if best.is_beaten(cycles(edge) + moved * 0.999_99) || !self.see(best, &takes, &grid, traffic)? {
                    break;
                }
                split = split.saturating_mul(2);
            }
        }
        Ok(())
    }

    /// The plans of an attention as one kernel whose rows and columns fit a multiprocessor.
    pub(super) fn attention(
        &self,
        loops: AttentionLoops,
        sizes: ElementSizes,
        best: &mut impl Sink,
    ) -> Result<(), Error> {
        let AttentionLoops { groups, m, n, d, d_v } = loops;
        let [_, wide, depth] = self.matrix;
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::CountOverflow);
        let depths = sum(d, d_v)?;
        let padded = sum(round_up(d, depth)?, round_up(d_v, wide)?)?;
        for block in self.blocks() {
            let block = block?;
            let Block { rows, columns, warps: [warps_down, warps_across] } = block;
            // Queries, and slices of keys and values; scores and sums.
            let takes = Takes {
                shared: sum(product([rows, d, sizes.a])?, product([BUFFERS, columns, depths, sizes.b])?)?,
                registers: product([rows, sum(columns, d_v)?, sizes.partial])?,
                warps: warps_down.saturating_mul(warps_across),
            };
            let (down, across) = (m.in_parts_of(rows), n.in_parts_of(columns));
            let b = product([groups, n, depths, sizes.b, down])?;
            let c = Bytes(product([groups, m, d_v, sizes.c])?);
            let mut split = 1_u64;
            while split == 1 || split.saturating_mul(columns) <= n {
                let grid = Grid {
                    blocks: product([down, groups, split])?,
                    slices: to_f32(n.in_parts_of(split).in_parts_of(columns)),
                    slice: product([block.area(), padded])?,
                    loads: product([columns, depths, sizes.b, takes.warps])?,
                    edge: product([down, across, groups, block.area(), depths])?,
                    first: sum(product([rows, d, sizes.a])?, product([columns, depths, sizes.b])?)?,
                    parts: if split > 1 { product([2, split, groups, m, d_v, sizes.partial])? } else { 0 },
                };
                // Warps divide the queries: each reads all keys and values of the block.
                let a = Bytes(product([groups, m, d, sizes.a, split])?);
                let traffic = [Traffic { a, b: Bytes(product([b, takes.warps])?), c }, Traffic { a, b: Bytes(b), c }];
                if !self.see(best, &takes, &grid, traffic)? {
                    break;
                }
                split = split.saturating_mul(2);
            }
        }
        Ok(())
    }

    /// One plan more; whether sums in more parts may be better.
    fn see(&self, best: &mut impl Sink, takes: &Takes, grid: &Grid, traffic: [Traffic; 2]) -> Result<bool, Error> {
        let few = grid.blocks <= self.count.saturating_mul(FEW);
        match self.plan(grid, takes, traffic) {
            Some(plan) if few || grid.parts == 0 => best.see(plan)?,
            _ => {}
        }
        Ok(few)
    }

    /// When all blocks are done; `None` where a multiprocessor does not hold one.
    fn plan(&self, grid: &Grid, takes: &Takes, [fragments, tiles]: [Traffic; 2]) -> Option<Plan> {
        let resident = self.resident(takes);
        if resident == 0 {
            return None;
        }
        let waves = grid.blocks.in_parts_of(self.count);
        let at_once = waves.min(resident);
        let slice = to_f32(grid.slice) / self.macs_per_cycle;
        let loads = to_f32(grid.loads) / PORT;
        // Blocks of fewer warps than partitions leave some idle.
        let share = to_f32(PARTITIONS) / to_f32(at_once.saturating_mul(takes.warps).max(1));
        let slowed = to_f32(waves) * if share > 1.0 { share } else { 1.0 };
        let idle = slice * grid.slices * slowed;
        let loaded = idle.max(loads * grid.slices * to_f32(waves));
        let first = to_f32(grid.first) * to_f32(grid.blocks);
        let padded = to_f32(grid.blocks) * grid.slices * to_f32(grid.slice);
        Some(Plan {
            edge: to_f32(grid.edge),
            padded,
            emulated: padded / (self.macs_per_cycle * to_f32(self.count)),
            waves: slice * grid.slices * to_f32(waves),
            idle,
            loaded,
            cycles: loaded + (first + to_f32(grid.parts)) / self.outside,
            fragments,
            tiles,
            local: Bytes(grid.parts),
            shared: Bytes(takes.shared.saturating_mul(at_once)),
            kernels: 1,
        })
    }
}

/// Whether the units of a machine are those with matrix instructions: of the units of a device the ones that do most in a cycle, in
/// whatever precision. Others, as CUDA cores beside tensor cores, work on single elements.
fn has_matrices(machine: &Machine<'_>) -> bool {
    let most = |unit: &ComputeUnit<'_>| {
        let rates = Precision::ALL.into_iter().filter_map(|precision| unit.macs_per_cycle.at(precision));
        rates.map(|rate| rate.get()).fold(0.0, f32::max)
    };
    let most_of_all = machine.hardware.compute().iter().map(most).fold(0.0, f32::max);
    most(machine.unit) >= most_of_all
}

/// Bytes of a product from shared memory to registers, and from outside to shared memory.
fn tiled(gemm: Gemm, sizes: ElementSizes, [down, across]: [u64; 2], warps: [u64; 2]) -> Result<[Traffic; 2], Error> {
    let Gemm { m, n, k, groups } = gemm;
    let a = product([groups, m, k, sizes.a, across])?;
    let b = product([groups, k, n, sizes.b, down])?;
    let c = Bytes(product([groups, m, n, sizes.c])?);
    let [warps_down, warps_across] = warps;
    Ok([
        Traffic { a: Bytes(product([a, warps_across])?), b: Bytes(product([b, warps_down])?), c },
        Traffic { a: Bytes(a), b: Bytes(b), c },
    ])
}
