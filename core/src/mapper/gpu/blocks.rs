//! Thread blocks: the tile of C that each has, what of a multiprocessor it takes, and when all of them are done.

use super::{Gpu, PARTITIONS, WARP};
use crate::error::Error;
use crate::mapper::levels::of;
use crate::mapping::Machine;
use crate::nest::{AttentionLoops, ElementSizes, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Rows and columns of a tile, and the warps along each.
#[derive(Clone, Copy, Debug)]
struct Block {
    rows: u64,
    columns: u64,
    warps: [u64; 2],
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

/// Elements of C from which a tile is taken for its reuse, however many blocks there are: of a product, of an attention.
///
/// Smaller tiles and parts of k are for products of few blocks, where they fill multiprocessors that would have none.
const LARGE: [u64; 2] = [128 * 128, 128 * 64];

/// Blocks for each multiprocessor up to which blocks are few: with more, the last wave weighs less than a fourth.
const FEW: u64 = 4;

/// Bytes of a row of a slice along k: 32 elements of two bytes, 64 of one.
///
/// **Source**: CUTLASS, `generator.py`, the same tiles: k of 32 for fp16, of 64 for int8.
const SLICE: u64 = 64;

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
    count: u64,
    macs_per_cycle: f32,
    /// Bytes a cycle between all of them and the level outside.
    outside: f32,
}

/// A nest by thread blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// MACs of all tiles, without padding of the sums; and with it.
    pub(super) edge: f32,
    pub(super) padded: f32,
    /// Cycles of the busiest multiprocessor: of its blocks; with idle partitions; with the first slices; with the added parts.
    pub(super) waves: f32,
    pub(super) idle: f32,
    pub(super) filled: f32,
    pub(super) cycles: f32,
    /// Bytes from shared memory to registers, and from outside to shared memory.
    pub(super) fragments: Traffic,
    pub(super) tiles: Traffic,
    /// Bytes outside the multiprocessors that belong to no operand.
    pub(super) local: Bytes,
    /// Bytes of shared memory of the blocks that a multiprocessor has at once.
    pub(super) shared: Bytes,
}

/// The work of all blocks of one kind.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Blocks, and slices that each goes through.
    blocks: u64,
    slices: u64,
    /// MACs of a slice.
    slice: u64,
    /// Bytes of shared memory and of registers that a block takes; its warps.
    shared: u64,
    registers: u64,
    warps: u64,
    /// Bytes of parts that are added at the end: written, then read.
    parts: u64,
}

impl Plan {
    /// The one of fewer cycles, then of fewer bytes from outside, then this one.
    fn or_less(self, other: Self) -> Self {
        let bytes = |plan: &Self| {
            let Traffic { a, b, c } = plan.tiles;
            u128::from(a.0).saturating_add(b.0.into()).saturating_add(c.0.into()).saturating_add(plan.local.0.into())
        };
        let less = other.cycles < self.cycles || other.cycles <= self.cycles && bytes(&other) < bytes(&self);
        if less { other } else { self }
    }

    /// Two products, the second with the result of the first as its A, which lies outside the multiprocessors.
    pub(super) fn then(&self, next: &Self) -> Result<Self, Error> {
        let joined = |first: &Traffic, second: &Traffic| -> Result<Traffic, Error> {
            Ok(Traffic { a: first.a, b: first.b.checked_add(second.b)?, c: second.c })
        };
        Ok(Self {
            edge: self.edge + next.edge,
            padded: self.padded + next.padded,
            waves: self.waves + next.waves,
            idle: self.idle + next.idle,
            filled: self.filled + next.filled,
            cycles: self.cycles + next.cycles,
            fragments: joined(&self.fragments, &next.fragments)?,
            tiles: joined(&self.tiles, &next.tiles)?,
            local: self.local.checked_add(next.local)?.checked_add(self.tiles.c)?.checked_add(next.tiles.a)?,
            shared: self.shared.max(next.shared),
        })
    }

    /// The same so many times, one after the other.
    pub(super) fn repeat(&mut self, times: u64) -> Result<(), Error> {
        let factor = to_f32(times);
        for cost in
            [&mut self.edge, &mut self.padded, &mut self.waves, &mut self.idle, &mut self.filled, &mut self.cycles]
        {
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
        Self {
            matrix: gpu.matrix.map(|extent| u64::from(extent).max(1)),
            threads: u64::from(gpu.threads),
            registers: gpu.registers.0,
            shared: levels.first().map_or(0, |level| level.instance_capacity().0),
            count: u64::from(machine.unit.count).max(1),
            macs_per_cycle: machine.macs_per_cycle.get(),
            outside: outside / machine.clock.get(),
        }
    }

    /// Tiles in whole instructions.
    fn blocks(self) -> impl Iterator<Item = Result<Block, Error>> {
        let [rows, columns, _] = self.matrix;
        BLOCKS.into_iter().map(move |block| {
            Ok(Block { rows: round_up(block.rows, rows)?, columns: round_up(block.columns, columns)?, ..block })
        })
    }

    /// The best plan of a product; `None` where no tile fits a multiprocessor.
    pub(super) fn product(&self, gemm: Gemm, sizes: ElementSizes) -> Result<Option<Plan>, Error> {
        let [large, _] = LARGE;
        match self.product_from(gemm, sizes, large)? {
            None => self.product_from(gemm, sizes, 0),
            plan => Ok(plan),
        }
    }

    /// Whether a tile is tried: it is large, or its blocks are few.
    fn tried(&self, block: &Block, grid: &Grid, large: u64) -> bool {
        grid.parts == 0 && block.rows.saturating_mul(block.columns) >= large
            || grid.blocks <= self.count.saturating_mul(FEW)
    }

    fn product_from(&self, gemm: Gemm, sizes: ElementSizes, large: u64) -> Result<Option<Plan>, Error> {
        let Gemm { m, n, k, groups } = gemm;
        let widest = sizes.a.max(sizes.b).max(1);
        let [_, _, depth] = self.matrix;
        let slice = round_up(SLICE.checked_div(widest).unwrap_or(1).max(1), depth)?;
        let mut best: Option<Plan> = None;
        for block in self.blocks() {
            let block = block?;
            let Block { rows, columns, warps: [down, across] } = block;
            let tiles = [m.div_ceil(rows), n.div_ceil(columns)];
            let warps = down.saturating_mul(across);
            let edges = rows.saturating_add(columns);
            let fragments = product([
                BUFFERS,
                rows.saturating_mul(across).saturating_add(columns.saturating_mul(down)),
                depth,
                widest,
            ])?;
            // Parts of k of one slice or more.
            let mut parts = 1_u64;
            while parts == 1 || parts.saturating_mul(slice) <= k {
                let grid = Grid {
                    blocks: product([product(tiles)?, groups, parts])?,
                    slices: k.div_ceil(parts).div_ceil(slice),
                    slice: product([rows, columns, slice])?,
                    shared: product([BUFFERS, edges, slice, widest])?,
                    registers: product([rows, columns, sizes.partial])?.saturating_add(fragments),
                    warps,
                    parts: if parts > 1 { product([2, parts, groups, m, n, sizes.partial])? } else { 0 },
                };
                let edge = product([product(tiles)?, groups, rows, columns, k])?;
                let traffic = tiled(gemm, sizes, tiles, [down, across])?;
                if let Some(plan) = self.plan(&grid, edge, traffic).filter(|_| self.tried(&block, &grid, large)) {
                    best = Some(best.map_or(plan, |best| best.or_less(plan)));
                }
                parts = parts.saturating_mul(2);
            }
        }
        Ok(best)
    }

    /// The best plan of an attention as one kernel; `None` where its rows and columns fit no multiprocessor.
    pub(super) fn attention(&self, loops: AttentionLoops, sizes: ElementSizes) -> Result<Option<Plan>, Error> {
        let [_, large] = LARGE;
        match self.attention_from(loops, sizes, large)? {
            None => self.attention_from(loops, sizes, 0),
            plan => Ok(plan),
        }
    }

    fn attention_from(&self, loops: AttentionLoops, sizes: ElementSizes, large: u64) -> Result<Option<Plan>, Error> {
        let AttentionLoops { groups, m, n, d, d_v } = loops;
        let [_, wide, depth] = self.matrix;
        let depths = d.checked_add(d_v).ok_or(Error::CountOverflow)?;
        let padded = round_up(d, depth)?.checked_add(round_up(d_v, wide)?).ok_or(Error::CountOverflow)?;
        let mut best: Option<Plan> = None;
        for block in self.blocks() {
            let block = block?;
            let Block { rows, columns, warps: [down, across] } = block;
            let tiles = [m.div_ceil(rows), n.div_ceil(columns)];
            let [down_all, _] = tiles;
            let warps = down.saturating_mul(across);
            let queries = product([rows, d, sizes.a])?;
            let keys = product([BUFFERS, columns, depths, sizes.b])?;
            let sums = product([rows, columns.checked_add(d_v).ok_or(Error::CountOverflow)?, sizes.partial])?;
            let mut parts = 1_u64;
            while parts == 1 || parts.saturating_mul(columns) <= n {
                let grid = Grid {
                    blocks: product([down_all, groups, parts])?,
                    slices: n.div_ceil(parts).div_ceil(columns),
                    slice: product([rows, columns, padded])?,
                    shared: queries.checked_add(keys).ok_or(Error::CountOverflow)?,
                    registers: sums,
                    warps,
                    parts: if parts > 1 { product([2, parts, groups, m, d_v, sizes.partial])? } else { 0 },
                };
                let edge = product([product(tiles)?, groups, rows, columns, depths])?;
                let a = product([groups, m, d, sizes.a])?;
                let b = product([groups, n, depths, sizes.b, down_all])?;
                let c = Bytes(product([groups, m, d_v, sizes.c])?);
                // Warps divide the queries: each reads all keys and values of the block.
                let traffic = [
                    Traffic { a: Bytes(product([a, parts])?), b: Bytes(product([b, warps])?), c },
                    Traffic { a: Bytes(product([a, parts])?), b: Bytes(b), c },
                ];
                if let Some(plan) = self.plan(&grid, edge, traffic).filter(|_| self.tried(&block, &grid, large)) {
                    best = Some(best.map_or(plan, |best| best.or_less(plan)));
                }
                parts = parts.saturating_mul(2);
            }
        }
        Ok(best)
    }

    /// When all blocks are done; `None` where a multiprocessor does not hold one.
    fn plan(&self, grid: &Grid, edge: u64, [fragments, tiles]: [Traffic; 2]) -> Option<Plan> {
        let fits = |room: u64, each: u64| room.checked_div(each.max(1)).unwrap_or(0);
        let resident = fits(self.shared, grid.shared)
            .min(fits(self.registers, grid.registers))
            .min(fits(self.threads, grid.warps.saturating_mul(WARP)));
        if resident == 0 {
            return None;
        }
        let waves = grid.blocks.div_ceil(self.count);
        let at_once = waves.min(resident);
        let slice = to_f32(grid.slice) / self.macs_per_cycle;
        let slices = to_f32(grid.slices);
        // Blocks of fewer warps than partitions leave some idle: the time of all is that of `waves · 4 / warps`, at least.
        let warps = at_once.saturating_mul(grid.warps).max(1);
        let share = to_f32(PARTITIONS) / to_f32(warps);
        let slowed = to_f32(waves) * if share > 1.0 { share } else { 1.0 };
        let rounds = to_f32(waves.div_ceil(resident));
        let filled = slice * (slices * slowed + rounds);
        Some(Plan {
            edge: to_f32(edge),
            padded: to_f32(grid.blocks) * slices * to_f32(grid.slice),
            waves: slice * slices * to_f32(waves),
            idle: slice * slices * slowed,
            filled,
            cycles: filled + to_f32(grid.parts) / self.outside,
            fragments,
            tiles,
            local: Bytes(grid.parts),
            shared: Bytes(grid.shared.saturating_mul(at_once)),
        })
    }
}

/// Bytes of a product from shared memory to registers, and from outside to shared memory.
fn tiled(gemm: Gemm, sizes: ElementSizes, [down, across]: [u64; 2], warps: [u64; 2]) -> Result<[Traffic; 2], Error> {
    let Gemm { m, n, k, groups } = gemm;
    let a = product([groups, m, k, sizes.a, across])?;
    let b = product([groups, k, n, sizes.b, down])?;
    let c = Bytes(product([groups, m, n, sizes.c])?);
    // The warps of one row of a block read the same rows of A, those of one column the same columns of B.
    let [warps_down, warps_across] = warps;
    Ok([
        Traffic { a: Bytes(product([a, warps_across])?), b: Bytes(product([b, warps_down])?), c },
        Traffic { a: Bytes(a), b: Bytes(b), c },
    ])
}
