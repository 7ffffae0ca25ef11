//! Thread blocks: the tile of C that each has, what of a multiprocessor it takes, and when all of them are done.

use super::{Gpu, PARTITIONS, WARP};
use crate::error::Error;
use crate::mapper::levels::of;
use crate::mapper::losses::parts;
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

/// Elements of C from which a tile is taken for its reuse, however many blocks there are: of a product, of an attention.
///
/// Smaller tiles are for narrow results, which leave most of a large one empty, and with parts of k for few blocks, where they
/// fill multiprocessors that would have none.
const LARGE: (u64, u64) = (128 * 128, 128 * 64);

/// Blocks for each multiprocessor up to which blocks are few: with more, the last wave weighs less than a fourth.
const FEW: u64 = 4;

/// Bytes of a row of a slice along k: 32 elements of two bytes, 64 of one.
///
/// **Source**: CUTLASS, `generator.py`, the same tiles: k of 32 for fp16, of 64 for int8.
const SLICE: u64 = 64;

/// Bytes a cycle from shared memory to the registers of a multiprocessor: 32 banks of 4 bytes.
///
/// **Source**: CUDA C++ Programming Guide, shared memory of compute capabilities 5.x to 9.0.
const PORT: f32 = 128.0;

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
    /// Cycles of the busiest multiprocessor: of its blocks; with idle partitions; with loads of fragments; with the first slices
    /// and the added parts.
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
    /// Blocks, and slices that each goes through.
    blocks: u64,
    slices: u64,
    /// MACs of a slice.
    slice: u64,
    /// Bytes that a slice loads from shared memory to registers.
    loads: u64,
    /// MACs of all tiles, their sums as long as those of the product.
    edge: u64,
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
            loaded: self.loaded + next.loaded,
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
            [&mut self.edge, &mut self.padded, &mut self.waves, &mut self.idle, &mut self.loaded, &mut self.cycles]
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

/// These sizes, those below four bytes as four.
fn four(sizes: ElementSizes) -> ElementSizes {
    let ElementSizes { a, b, partial, c } = sizes;
    ElementSizes { a: a.max(4), b: b.max(4), partial: partial.max(4), c }
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

    /// Area from which tiles count as large: this one, or that of the largest tile that a multiprocessor holds.
    ///
    /// Told by what elements of at least four bytes take: which tiles are tried does not depend on narrower ones.
    fn large(&self, area: u64, takes: impl Fn(&Block) -> Result<Takes, Error>) -> Result<u64, Error> {
        let mut largest = 0;
        for block in self.blocks() {
            let block = block?;
            if self.resident(&takes(&block)?) > 0 {
                largest = largest.max(block.area());
            }
        }
        Ok(largest.min(area))
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

    /// The best plan of a product; `None` where no tile fits a multiprocessor.
    pub(super) fn product(&self, gemm: Gemm, sizes: ElementSizes) -> Result<Option<Plan>, Error> {
        let Gemm { m, n, k, groups } = gemm;
        let [_, _, depth] = self.matrix;
        let [slice, widest] = self.slice(sizes)?;
        // The warps of one row of a block read the same rows of A, those of one column the same columns of B.
        let fragments = |block: &Block, bytes: u64| {
            let Block { rows, columns, warps: [down, across] } = *block;
            product([rows.saturating_mul(across).saturating_add(columns.saturating_mul(down)), bytes])
        };
        // Slices of A and B; sums, and two fragments of each warp.
        let takes = |block: &Block, sizes: ElementSizes| -> Result<Takes, Error> {
            let Block { rows, columns, warps: [down, across] } = *block;
            let [slice, widest] = self.slice(sizes)?;
            let sums = product([rows, columns, sizes.partial])?;
            Ok(Takes {
                shared: product([BUFFERS, rows.saturating_add(columns), slice, widest])?,
                registers: product([BUFFERS, fragments(block, product([depth, widest])?)?])?.saturating_add(sums),
                warps: down.saturating_mul(across),
            })
        };
        let large = self.large(LARGE.0, |block| takes(block, four(sizes)))?;
        let mut best: Option<Plan> = None;
        for block in self.blocks() {
            let block = block?;
            let takes = takes(&block, sizes)?;
            let tiles = [parts(m, block.rows), parts(n, block.columns)];
            let all = product([product(tiles)?, groups])?;
            let traffic = tiled(gemm, sizes, tiles, block.warps)?;
            let reuses = block.area() >= large || m <= block.rows || n <= block.columns;
            // Parts of k of one slice or more.
            let mut split = 1_u64;
            while split == 1 || split.saturating_mul(slice) <= k {
                let grid = Grid {
                    blocks: product([all, split])?,
                    slices: parts(parts(k, split), slice),
                    slice: product([block.area(), slice])?,
                    loads: fragments(&block, product([slice, widest])?)?,
                    edge: product([all, block.area(), k])?,
                    parts: if split > 1 { product([2, split, groups, m, n, sizes.partial])? } else { 0 },
                };
                best = self.better(best, reuses, &takes, &grid, traffic);
                split = split.saturating_mul(2);
            }
        }
        Ok(best)
    }

    /// The best plan of an attention as one kernel; `None` where its rows and columns fit no multiprocessor.
    pub(super) fn attention(&self, loops: AttentionLoops, sizes: ElementSizes) -> Result<Option<Plan>, Error> {
        let AttentionLoops { groups, m, n, d, d_v } = loops;
        let [_, wide, depth] = self.matrix;
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or(Error::CountOverflow);
        let depths = sum(d, d_v)?;
        let padded = sum(round_up(d, depth)?, round_up(d_v, wide)?)?;
        // Queries, and slices of keys and values; scores and sums.
        let takes = |block: &Block, sizes: ElementSizes| -> Result<Takes, Error> {
            let Block { rows, columns, warps: [down, across] } = *block;
            Ok(Takes {
                shared: sum(product([rows, d, sizes.a])?, product([BUFFERS, columns, depths, sizes.b])?)?,
                registers: product([rows, sum(columns, d_v)?, sizes.partial])?,
                warps: down.saturating_mul(across),
            })
        };
        let large = self.large(LARGE.1, |block| takes(block, four(sizes)))?;
        let mut best: Option<Plan> = None;
        for block in self.blocks() {
            let block = block?;
            let takes = takes(&block, sizes)?;
            let (down, across) = (parts(m, block.rows), parts(n, block.columns));
            let reuses = block.area() >= large || m <= block.rows;
            let b = product([groups, n, depths, sizes.b, down])?;
            let c = Bytes(product([groups, m, d_v, sizes.c])?);
            let mut split = 1_u64;
            while split == 1 || split.saturating_mul(block.columns) <= n {
                let grid = Grid {
                    blocks: product([down, groups, split])?,
                    slices: parts(parts(n, split), block.columns),
                    slice: product([block.area(), padded])?,
                    loads: product([block.columns, depths, sizes.b, takes.warps])?,
                    edge: product([down, across, groups, block.area(), depths])?,
                    parts: if split > 1 { product([2, split, groups, m, d_v, sizes.partial])? } else { 0 },
                };
                // Warps divide the queries: each reads all keys and values of the block.
                let a = Bytes(product([groups, m, d, sizes.a, split])?);
                let traffic = [Traffic { a, b: Bytes(product([b, takes.warps])?), c }, Traffic { a, b: Bytes(b), c }];
                best = self.better(best, reuses, &takes, &grid, traffic);
                split = split.saturating_mul(2);
            }
        }
        Ok(best)
    }

    /// The better of the best plan so far and one more, where that is tried.
    ///
    /// A tile is tried that is large, or has all rows or all columns, whose blocks are few; parts are tried of few blocks.
    fn better(
        &self,
        best: Option<Plan>,
        reuses: bool,
        takes: &Takes,
        grid: &Grid,
        traffic: [Traffic; 2],
    ) -> Option<Plan> {
        let tried = grid.parts == 0 && reuses || grid.blocks <= self.count.saturating_mul(FEW);
        match (best, self.plan(grid, takes, traffic).filter(|_| tried)) {
            (Some(best), Some(plan)) => Some(best.or_less(plan)),
            (best, plan) => best.or(plan),
        }
    }

    /// When all blocks are done; `None` where a multiprocessor does not hold one.
    fn plan(&self, grid: &Grid, takes: &Takes, [fragments, tiles]: [Traffic; 2]) -> Option<Plan> {
        let resident = self.resident(takes);
        if resident == 0 {
            return None;
        }
        let waves = parts(grid.blocks, self.count);
        let at_once = waves.min(resident);
        let slice = to_f32(grid.slice) / self.macs_per_cycle;
        let loads = to_f32(grid.loads) / PORT;
        let slices = to_f32(grid.slices);
        // Blocks of fewer warps than partitions leave some idle.
        let share = to_f32(PARTITIONS) / to_f32(at_once.saturating_mul(takes.warps).max(1));
        let slowed = to_f32(waves) * if share > 1.0 { share } else { 1.0 };
        let rounds = to_f32(parts(waves, resident));
        let idle = slice * slices * slowed;
        let loaded = idle.max(loads * slices * to_f32(waves));
        let first = slice.max(loads) * rounds;
        Some(Plan {
            edge: to_f32(grid.edge),
            padded: to_f32(grid.blocks) * slices * to_f32(grid.slice),
            waves: slice * slices * to_f32(waves),
            idle,
            loaded,
            cycles: loaded + first + to_f32(grid.parts) / self.outside,
            fragments,
            tiles,
            local: Bytes(grid.parts),
            shared: Bytes(takes.shared.saturating_mul(at_once)),
        })
    }
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
