//! Register tiles of one core, and how the tiles of a product are dealt to all cores.
//!
//! Everything is counted in *slots*: one multiply-add of a whole vector on one port. A slot is as long as the unit's MACs a
//! cycle say, so that a measured rate below the ports' makes all slots longer.

use super::Cpu;
use super::kernel::{Kernel, log2_up, sum};
use super::ways::{Rival, Slots, Tiled, Ways, whole};
use crate::error::Error;
use crate::mapper::levels::Limit;
use crate::mapper::losses::parts;
use crate::mapping::Machine;
use crate::nest::{ConvLoops, ElementSizes, Traffic};
use crate::shape::product;
use crate::units::{Bytes, to_f32};
use crate::work::Gemm;

/// Most registers that are tried: each number of rows is a tile.
const MOST_REGISTERS: u64 = 256;

/// An axis of a tile.
#[derive(Clone, Copy, Debug)]
enum Axis {
    Rows,
    Vectors,
}

/// Rows and vectors of all tiles that registers hold, those of one row first: r · v sums, v vectors of B, one of A.
#[derive(Clone, Copy, Debug)]
struct Shapes {
    /// Registers beside that of A.
    free: u64,
    rows: u64,
    vectors: u64,
}

impl Shapes {
    const fn of(registers: u64) -> Self {
        let free = registers.saturating_sub(1);
        Self { free, rows: 0, vectors: free }
    }

    /// The tile with most multiply-adds a load.
    fn best(self) -> Option<[u64; 2]> {
        self.reduce(|best, shape| {
            // r · v / (r + v) of one against that of the other.
            let ratio = |[rows, vectors]: [u64; 2], [other_rows, other_vectors]: [u64; 2]| {
                rows.saturating_mul(vectors).saturating_mul(other_rows.saturating_add(other_vectors))
            };
            if ratio(shape, best) >= ratio(best, shape) { shape } else { best }
        })
    }
}

impl Iterator for Shapes {
    type Item = [u64; 2];

    fn next(&mut self) -> Option<[u64; 2]> {
        self.rows = self.rows.saturating_add(1);
        // The largest v of v · (r + 1) ≤ free, from that of one row less on: a division each would take longer.
        let column = self.rows.saturating_add(1);
        while self.vectors.saturating_mul(column) > self.free {
            self.vectors = self.vectors.saturating_sub(1);
        }
        (self.vectors > 0).then_some([self.rows, self.vectors])
    }
}

/// One core, in one precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Core {
    /// Sums in a vector.
    lanes: u64,
    /// Products that an instruction adds to each sum: 4 of int8, 2 of bf16 with the instructions of dot products, else 1.
    depth: u64,
    /// Independent sums, in vectors, that cover the latency of an instruction: latency · ports.
    cover: u64,
    registers: u64,
    /// Rows and vectors of the tile with most multiply-adds a load.
    best: Option<[u64; 2]>,
    /// Cores at work.
    pub(super) cores: u64,
    /// Cycles that one slot of one core takes.
    pub(super) cycles_a_slot: f32,
}

/// Tiles whose vectors run along the same axis.
struct Family<'l> {
    /// Rows and vectors that are cut, and how many of these there are.
    extents: [u64; 3],
    /// The axis whose tiles are made more, to be dealt more evenly.
    even: Axis,
    /// Slots on one core, and bytes, that all of them take at least.
    fewest: (u64, f32),
    /// Tiles beyond it are left out.
    limit: &'l Limit,
}

/// A product, and the bytes of its elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) gemm: Gemm,
    pub(super) a: u64,
    pub(super) b: u64,
    pub(super) c: u64,
}

impl Product {
    pub(super) const fn of(gemm: Gemm, sizes: ElementSizes) -> Self {
        Self { gemm, a: sizes.a, b: sizes.b, c: sizes.c }
    }

    /// C transposed: rows and columns, A and B change places.
    const fn transposed(self) -> Self {
        let Gemm { m, n, k, groups } = self.gemm;
        Self { gemm: Gemm { m: n, n: m, k, groups }, a: self.b, b: self.a, c: self.c }
    }
}

impl Core {
    /// A core of a machine whose sums are so many bytes wide, one of so many at work.
    ///
    /// ```text
    /// lanes = vector_bytes / bytes of a sum          depth = the power of two nearest to macs_per_cycle / (ports · lanes)
    /// ```
    pub(super) fn of(cpu: &Cpu, sum: u64, workers: u64, machine: &Machine<'_>) -> Self {
        let lanes = u64::from(cpu.vector_bytes).checked_div(sum).unwrap_or(1).max(1);
        let ports = u64::from(cpu.fma_ports).max(1);
        let macs = machine.macs_per_cycle.get();
        let ratio = macs / to_f32(lanes.saturating_mul(ports));
        let mut depth = 1_u64;
        while to_f32(depth) * core::f32::consts::SQRT_2 <= ratio && depth < 1 << 20 {
            depth = depth.saturating_mul(2);
        }
        let registers = u64::from(cpu.vector_registers).clamp(3, MOST_REGISTERS);
        Self {
            lanes,
            depth,
            cover: u64::from(cpu.fma_latency_cycles).max(1).saturating_mul(ports),
            registers,
            best: Shapes::of(registers).best(),
            cores: workers,
            cycles_a_slot: to_f32(lanes.saturating_mul(depth)) / macs,
        }
    }

    /// The tile with most multiply-adds a load, its vectors along columns and along rows: what it takes rules most others out before
    /// their slots are counted.
    pub(super) fn first(&self, product: &Product, limit: &Limit, ways: &mut Ways) -> Result<(), Error> {
        self.outer(product, Axis::Rows, self.best.into_iter(), limit, ways)?;
        self.outer(&product.transposed(), Axis::Vectors, self.best.into_iter(), limit, ways)?;
        Ok(())
    }

    /// The best tiles of a product, their vectors along columns, rows or sums, of those within a limit; slots that these take at
    /// least, on one core.
    pub(super) fn ways(&self, product: &Product, limit: &Limit, ways: &mut Ways) -> Result<u64, Error> {
        let least = self.outer(product, Axis::Rows, self.shapes(), limit, ways)?;
        let along_rows = self.outer(&product.transposed(), Axis::Vectors, self.shapes(), limit, ways)?;
        Ok(least.min(along_rows).min(self.inner(product, limit, ways)?))
    }

    /// All tiles that the registers hold.
    const fn shapes(&self) -> Shapes {
        Shapes::of(self.registers)
    }

    /// Outer products: each step multiplies one element of every row by vectors along the columns. A product that is
    /// cut evenly along its vectors is a transposed one: its A and B are named as in the product.
    fn outer(
        &self,
        product: &Product,
        even: Axis,
        shapes: impl Iterator<Item = [u64; 2]>,
        limit: &Limit,
        ways: &mut Ways,
    ) -> Result<u64, Error> {
        let Gemm { m, n, k, groups } = product.gemm;
        let kernel = Kernel::new(parts(k, self.depth), false, self.cover)?;
        let once = once(product)?;
        let traffic = |tiles| {
            let Traffic { a, b, c } = traffic(&once, tiles)?;
            Ok(match even {
                Axis::Rows => Traffic { a, b, c },
                Axis::Vectors => Traffic { a: b, b: a, c },
            })
        };
        let extents = [m, parts(n, self.lanes), groups];
        let fewest = (kernel.fewest(extents)?, self.bytes(&once, extents));
        self.each(&Family { extents, even, fewest, limit }, shapes, |_| Ok(kernel), traffic, ways)
    }

    /// Inner products: vectors along the sums, folded at the end; sums in parts where there are too few.
    fn inner(&self, product: &Product, limit: &Limit, ways: &mut Ways) -> Result<u64, Error> {
        let Gemm { m, n, k, groups } = product.gemm;
        let whole = Kernel::new(parts(k, self.lanes.saturating_mul(self.depth)), false, self.cover)?;
        let folds = log2_up(self.lanes.min(parts(k, self.depth)));
        // Beside the largest tiles those of fewer sums than cover the latency: they leave registers to sums in parts.
        let below = self.cover.min(self.registers).saturating_sub(1);
        let few = (1..=below)
            .flat_map(move |rows| (1..=below.checked_div(rows).unwrap_or(0)).map(move |vectors| [rows, vectors]));
        let kernel = |[rows, vectors]: [u64; 2]| {
            let sums = rows.saturating_mul(vectors);
            let summed = if sums < self.cover {
                let room = self.registers.saturating_sub(vectors).saturating_sub(1).checked_div(sums).unwrap_or(1);
                parts(self.cover, sums).min(room).max(1)
            } else {
                1
            };
            whole.folded(summed, folds, self.cover)
        };
        let once = once(product)?;
        let extents = [m, n, groups];
        let fewest = (whole.folded(1, folds, self.cover)?.fewest(extents)?, self.bytes(&once, extents));
        let family = Family { extents, even: Axis::Rows, fewest, limit };
        self.each(&family, self.shapes().chain(few), kernel, |tiles| traffic(&once, tiles), ways)
    }

    /// A convolution of one input channel a group: vectors along output channels, or along the columns of the image.
    ///
    /// Each lane sums the taps of its own output, so instructions that add several products to a sum add one.
    pub(super) fn depthwise(
        &self,
        conv: &ConvLoops,
        sizes: ElementSizes,
        limit: &Limit,
        ways: &mut Ways,
    ) -> Result<u64, Error> {
        let taps = product(conv.kernel)?;
        let [depth, height, width] = conv.output;
        let lines = product([conv.batch, depth, height])?;
        let positions = product([lines, width])?;
        let channels = product([conv.groups, conv.c_out])?;
        let reads = product([positions, channels, taps])?;
        let bytes = |weights: u64| -> Result<Traffic, Error> {
            Ok(Traffic {
                a: Bytes(product([reads, sizes.a])?),
                b: Bytes(product([weights, sizes.b])?),
                c: Bytes(product([positions, channels, sizes.c])?),
            })
        };
        let kernel = Kernel::new(taps, true, self.cover)?;
        let fewest = |extents| -> Result<_, Error> {
            let once = bytes(product([channels, taps])?)?;
            Ok((kernel.fewest(extents)?, to_f32(whole(&once))))
        };
        let family =
            |extents| -> Result<_, Error> { Ok(Family { extents, even: Axis::Rows, fewest: fewest(extents)?, limit }) };
        let kernel = |_| Ok(kernel);
        // Vectors of channels: each multiply-add loads its inputs, the weights of the channels once for all rows of the tile.
        let by_channel = |[down, _]: [u64; 2]| bytes(product([channels, taps, down])?);
        let extents = [positions, parts(channels, self.lanes), 1];
        let least = self.each(&family(extents)?, self.shapes(), kernel, by_channel, ways)?;
        // Vectors of columns: a tile is lines × vectors of one channel; each multiply-add loads its inputs, its line the weight.
        let by_column = |[down, across]: [u64; 2]| bytes(product([channels, taps, down, across])?);
        let extents = [lines, parts(width, self.lanes), channels];
        Ok(least.min(self.each(&family(extents)?, self.shapes(), kernel, by_column, ways)?))
    }

    /// Slots and bytes with each kernel, in as few tiles along an axis as its registers hold, and in more that can be dealt more
    /// evenly.
    ///
    /// ```text
    /// tiles = 2^j · ⌈⌈extent / 2^j⌉ / tile⌉ for every j: each half of a part is cut as if it stood alone
    /// ```
    /// So twice the extent never takes more than twice as long. Tiles that cannot be better than a way in both slots and bytes are
    /// left out before their slots are counted; more of them are no better. The result is what the least of all kernels takes at
    /// least, on one core.
    fn each(
        &self,
        &Family { extents, even, fewest: (fewest_slots, fewest_bytes), limit }: &Family<'_>,
        shapes: impl Iterator<Item = [u64; 2]>,
        kernel: impl Fn([u64; 2]) -> Result<Kernel, Error>,
        traffic: impl Fn([u64; 2]) -> Result<Traffic, Error>,
        ways: &mut Ways,
    ) -> Result<u64, Error> {
        if limit.is_passed(fewest_slots, fewest_bytes) {
            return Ok(u64::MAX);
        }
        let [rows, vectors, _] = extents;
        let extent = match even {
            Axis::Rows => rows,
            Axis::Vectors => vectors,
        };
        let mut least = u64::MAX;
        // The way that beat the last tile mostly beats the next one.
        let mut rival = None;
        // An empty nest has no tile.
        for shape in shapes.take_while(|_| extent > 0) {
            let kernel = kernel(shape)?;
            let [tile_rows, tile_vectors] = shape;
            let mut tiles = [parts(rows, tile_rows), parts(vectors, tile_vectors)];
            let mut pieces = 1_u64;
            loop {
                let traffic = traffic(tiles)?;
                let bytes = whole(&traffic);
                if limit.is_passed(fewest_slots, to_f32(bytes)) {
                    break;
                }
                let total = kernel.least(extents, tiles)?;
                if limit.is_passed(total, to_f32(bytes)) {
                    break;
                }
                least = least.min(total);
                // No slots but the least of one worker: no way needs less than ⌈least / workers⌉.
                let beaten = |way: &Rival| way.bytes <= bytes && way.slots_before < total;
                if rival.as_ref().is_some_and(beaten) {
                    break;
                }
                rival = ways.iter().map(|way| way.rival(self.cores)).find(beaten);
                if rival.is_some() {
                    break;
                }
                let slots = self.dealt(extents, tiles, &kernel)?;
                Tiled { slots, traffic, local: Bytes::ZERO, seen: false }.join(ways);
                // Dealt evenly but for 2 %.
                if slots.busiest.saturating_mul(self.cores).saturating_mul(50) <= slots.wait.saturating_mul(51) {
                    break;
                }
                let (tile, place) = match even {
                    Axis::Rows => (tile_rows, &mut tiles[0]),
                    Axis::Vectors => (tile_vectors, &mut tiles[1]),
                };
                let tried = *place;
                while *place == tried && pieces.saturating_mul(2) < extent {
                    pieces = pieces.saturating_mul(2);
                    *place = pieces.saturating_mul(parts(parts(extent, pieces), tile)).min(extent).max(tried);
                }
                if *place == tried {
                    break;
                }
            }
        }
        Ok(least)
    }

    /// Bytes between registers and the innermost level, at least: of all tiles of r · v sums that the registers hold.
    ///
    /// ```text
    /// A · V / v + B · R / r + C ≥ 2 · √(A · V · B · R / registers) + C
    /// ```
    fn bytes(&self, once: &Traffic, [rows, vectors, _]: [u64; 3]) -> f32 {
        let a = once.a.as_f32() * to_f32(vectors) / to_f32(self.registers);
        2.0 * libm::sqrtf(a) * libm::sqrtf(once.b.as_f32() * to_f32(rows)) + once.c.as_f32()
    }

    /// Slots of all tiles of rows × vectors × independent products, and of the core that gets most.
    fn dealt(&self, [rows, vectors, groups]: [u64; 3], tiles: [u64; 2], kernel: &Kernel) -> Result<Slots, Error> {
        // Of two sizes one apart: none is longer than needed.
        let cut = |extent: u64, tiles: u64| {
            let (size, larger) = (extent.checked_div(tiles).unwrap_or(0), extent.checked_rem(tiles).unwrap_or(0));
            [(larger, size.saturating_add(1)), (tiles.saturating_sub(larger), size)]
        };
        let [down, across] = tiles;
        let mut slots = Slots::default();
        let mut classes: heapless::Vec<(u64, u64), 4> = heapless::Vec::new();
        let columns = cut(vectors, across);
        for (down, row) in cut(rows, down) {
            let lines = product([down, groups])?;
            for &(across, vector) in &columns {
                let count = product([lines, across])?;
                if count == 0 {
                    continue;
                }
                let [multiply, issue, wait] = kernel.slots(row, vector)?;
                let all = |slots: u64| product([count, slots]);
                slots.multiply = sum(slots.multiply, all(multiply)?)?;
                slots.issue = sum(slots.issue, all(issue)?)?;
                slots.wait = sum(slots.wait, all(wait)?)?;
                let mut class = (wait, count);
                // Those that take longest first.
                for place in &mut classes {
                    if place.0 < class.0 {
                        core::mem::swap(place, &mut class);
                    }
                }
                classes.push(class).ok();
            }
        }
        slots.busiest = busiest(&classes, self.cores)?;
        Ok(slots)
    }
}

/// Bytes of each operand once.
fn once(of: &Product) -> Result<Traffic, Error> {
    let Gemm { m, n, k, groups } = of.gemm;
    Ok(Traffic {
        a: Bytes(product([groups, m, k, of.a])?),
        b: Bytes(product([groups, k, n, of.b])?),
        c: Bytes(product([groups, m, n, of.c])?),
    })
}

/// Bytes between registers and the innermost level: A for each tile along the columns, B for each along the rows, C once.
fn traffic(once: &Traffic, [down, across]: [u64; 2]) -> Result<Traffic, Error> {
    Ok(Traffic { a: Bytes(product([once.a.0, across])?), b: Bytes(product([once.b.0, down])?), c: once.c })
}

/// Time of the worker with most to do, however well tasks are dealt: tasks in classes (length, number), longest first.
///
/// ```text
/// busiest = max(⌈Σ lengths / workers⌉, max over q of the q + 1 shortest of the q · workers + 1 longest tasks)
/// ```
/// Of q · workers + 1 tasks one worker gets q + 1. Never less with one more or a longer task, never more with one more worker.
/// **Source**: the lower bounds of Dell'Amico, Martello, "Optimal Scheduling of Tasks on Identical Parallel Processors", ORSA
/// Journal on Computing 7(2), 1995, with the pigeonhole argument for every q; for few lengths they are reached or nearly so.
pub(super) fn busiest(classes: &[(u64, u64)], workers: u64) -> Result<u64, Error> {
    let mut tasks = 0_u64;
    let mut total = 0_u64;
    for &(length, count) in classes {
        tasks = tasks.checked_add(count).ok_or(Error::CountOverflow)?;
        total = total.checked_add(product([length, count])?).ok_or(Error::CountOverflow)?;
    }
    if let &[(length, count)] = classes {
        return product([length, parts(count, workers)]);
    }
    let mut most = parts(total, workers);
    if most == total {
        return Ok(most);
    }
    // Time of the longest tasks, so many of them; below the total, so that no sum overflows.
    let longest = |mut left: u64| {
        let mut time = 0_u64;
        for &(length, count) in classes {
            if left <= count {
                return time.saturating_add(length.saturating_mul(left));
            }
            time = time.saturating_add(length.saturating_mul(count));
            left = left.saturating_sub(count);
        }
        time
    };
    let mut end = 0_u64;
    for &(_, count) in classes.iter().filter(|&&(_, count)| count > 0) {
        end = end.saturating_add(count);
        // Within a class the bound grows with q, and between two classes it is convex: largest at the ends.
        let last = end.saturating_sub(1).checked_div(workers).unwrap_or(0);
        for q in [last, last.saturating_add(1)] {
            let among = q.saturating_mul(workers).saturating_add(1);
            if among <= tasks {
                let skipped = q.saturating_mul(workers.saturating_sub(1));
                most = most.max(longest(among).saturating_sub(longest(skipped)));
            }
        }
    }
    Ok(most)
}
