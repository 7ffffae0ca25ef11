//! The rules of each component of the Stillwater KPU's simulator, as its source and its points give them.
//!
//! They are documented arithmetic, not silicon: no latency of a memory, no contention, no conflict of banks.

use crate::error::Error;
use crate::mapper::arrays::sum;
use crate::mapper::systolic::{Dataflow, Systolic};
use crate::shape::product;
use crate::units::{Bytes, Cycles};
use crate::work::Gemm;

/// Cycles of an m × n × k product on the array of a tile, an output for each element, with its fill and drain.
///
/// ```text
/// cycles = k + max(m, n) + max(R, C) + 1
/// ```
/// **Valid for** m ≤ R, n ≤ C; the simulator does not fold larger ones, so that its cycles beyond are no array's.
/// **Source**: stillwater-sc/kpu-sim, the stepped model of its systolic array, fitted without a deviation.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 cycles.
pub fn matmul_cycles([rows, columns]: [u32; 2], [m, n, k]: [u64; 3]) -> Result<Cycles, Error> {
    Ok(Cycles(sum([k, m.max(n), u64::from(rows.max(columns)), 1])?))
}

/// Cycles in which a block mover or a DMA engine moves so many bytes, without latency.
///
/// ```text
/// cycles = max(1, ⌈bytes / bytes_per_cycle⌉)
/// ```
/// **Source**: stillwater-sc/kpu-sim: its block mover moves 64 bytes a cycle, its DMA engine its GB/s over the clock.
#[must_use]
pub fn transfer_cycles(bytes: Bytes, bytes_per_cycle: u32) -> Cycles {
    Cycles(bytes.0.div_ceil(u64::from(bytes_per_cycle).max(1)).max(1))
}

/// Cycles in which a streamer feeds or takes h × w elements row by row, `fabric` elements of a row a cycle.
///
/// ```text
/// cycles = h · ⌈w / fabric⌉
/// ```
/// **Source**: stillwater-sc/kpu-sim, its streamer in either direction.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 cycles.
pub fn row_stream_cycles(h: u64, w: u64, fabric: u64) -> Result<Cycles, Error> {
    Ok(Cycles(product([h, w.div_ceil(fabric.max(1))])?))
}

/// Cycles in which a streamer feeds or takes h × w elements column by column.
///
/// ```text
/// cycles = w · ⌈h / fabric⌉
/// ```
/// **Source**: as [`row_stream_cycles`].
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 cycles.
pub fn column_stream_cycles(h: u64, w: u64, fabric: u64) -> Result<Cycles, Error> {
    row_stream_cycles(w, h, fabric)
}

/// Bytes that pass between DRAM and L3 when no tile is kept: A for each column of tiles of C, B for each row of them, C
/// once.
///
/// ```text
/// bytes = size · (M · K · ⌈N / Tj⌉ + K · N · ⌈M / Ti⌉ + M · N)
/// ```
/// **Source**: stillwater-sc/kpu-sim, its executor without its tile cache, at 4 bytes an element.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub fn uncached_traffic(gemm: Gemm, [ti, tj]: [u32; 2], size: u64) -> Result<Bytes, Error> {
    let tiles = Systolic {
        rows: ti,
        columns: tj,
        dataflow: Dataflow::OutputStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 1,
    };
    let moved = tiles.edge_accesses(gemm)?;
    Ok(Bytes(product([size, sum([moved.a, moved.b, moved.c_written])?])?))
}

/// Cycles of one tile of C in the simulator's executor, K in one piece: each stage waits for the one before it.
///
/// ```text
/// load    = max over A, B of transfer(bytes)                      on channels of their own
/// move    = the same                                              on block movers of their own
/// feed    = max over A, B of transfer(bytes), and ⌈Ti · Tj · Tk / (R · C)⌉
/// store   = transfer(bytes of C)                                  streamer, mover and DMA at once
/// cycles  = load + move + feed + store
/// ```
/// **Valid for** engines of one clock, which the simulator's comments deny, and Ti = Tj, the only tiles whose
/// arithmetic it counts right.
/// **Source**: stillwater-sc/kpu-sim, `ConcurrentExecutor`.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 cycles.
pub fn serial_tile_cycles(
    [rows, columns]: [u32; 2],
    [ti, tj, tk]: [u64; 3],
    size: u64,
    bytes_per_cycle: u32,
) -> Result<Cycles, Error> {
    let transfer = |h: u64, w: u64| product([h, w, size]).map(|bytes| transfer_cycles(Bytes(bytes), bytes_per_cycle).0);
    let (a, b, c) = (transfer(ti, tk)?, transfer(tk, tj)?, transfer(ti, tj)?);
    let elements = u64::from(rows).saturating_mul(u64::from(columns)).max(1);
    let compute = product([ti, tj, tk])?.div_ceil(elements);
    let operands = a.max(b);
    Ok(Cycles(sum([operands, operands, operands.max(compute), c])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_passes_an_array() -> Result<(), Error> {
        // 16³ on 16 × 16: 16 + 16 + 16 + 1. One row of 8 on 16 × 8: 100 + 8 + 16 + 1.
        assert_eq!(matmul_cycles([16, 16], [16, 16, 16])?, Cycles(49));
        assert_eq!(matmul_cycles([16, 8], [1, 8, 100])?, Cycles(125));
        // Larger than the array, the form does not fold: 64 + 64 + 16 + 1.
        assert_eq!(matmul_cycles([16, 16], [64, 32, 64])?, Cycles(145));
        assert_eq!(matmul_cycles([16, 16], [1, 1, u64::MAX]), Err(Error::CountOverflow));
        Ok(())
    }

    #[test]
    fn engines_move_a_bus_width_a_cycle() {
        // A block of h · w words of 4 bytes at 64 bytes a cycle: 16 · 16 · 4 / 64; 1 · 1 takes a cycle, and so does
        // nothing.
        for (h, w, cycles) in [(16, 16, 16), (1, 1, 1), (0, 5, 1), (3, 7, 2), (5, 16, 5), (33, 1, 3)] {
            assert_eq!(transfer_cycles(Bytes(h * w * 4), 64), Cycles(cycles), "{h} x {w}");
        }
        // DMA at 100 GB/s and 1 GHz: 100 bytes a cycle.
        for (bytes, cycles) in [(0, 1), (1, 1), (100, 1), (101, 2), (4096, 41)] {
            assert_eq!(transfer_cycles(Bytes(bytes), 100), Cycles(cycles), "{bytes} B");
        }
    }

    #[test]
    fn streams_take_a_slice_a_cycle() -> Result<(), Error> {
        // 16 rows of 20 in slices of 16: two a row. 20 columns of 16: one a column.
        assert_eq!(row_stream_cycles(16, 20, 16)?, Cycles(32));
        assert_eq!(column_stream_cycles(16, 20, 16)?, Cycles(20));
        assert_eq!(column_stream_cycles(17, 20, 16)?, Cycles(40));
        assert_eq!(row_stream_cycles(1, 1, 16)?, Cycles(1));
        Ok(())
    }

    #[test]
    fn without_a_cache_operands_come_again_for_each_tile() -> Result<(), Error> {
        let uncached = |m, n, k, tiles| uncached_traffic(Gemm { m, n, k, groups: 1 }, tiles, 4);
        // 64 · 32 · ⌈48 / 16⌉ + 32 · 48 · ⌈64 / 32⌉ + 64 · 48 = 6144 + 3072 + 3072 words.
        assert_eq!(uncached(64, 48, 32, [32, 16])?, Bytes(4 * 12_288));
        // Edges count as whole tiles: 17 · 5 · 2 + 5 · 17 · 2 + 17 · 17 = 170 + 170 + 289 words.
        assert_eq!(uncached(17, 17, 5, [16, 16])?, Bytes(4 * 629));
        // One tile: every operand once.
        assert_eq!(uncached(10, 20, 30, [64, 64])?, Bytes(4 * (300 + 600 + 200)));
        Ok(())
    }

    #[test]
    fn a_tile_of_the_executor_goes_stage_by_stage() -> Result<(), Error> {
        // 16³ of 4 bytes: 1024 / 64 = 16 cycles each to load, to move and to store, and 16³ / 256 = 16 to compute.
        assert_eq!(serial_tile_cycles([16, 16], [16, 16, 16], 4, 64)?, Cycles(64));
        // 64³: 16384 / 64 = 256 three times, and 64³ / 256 = 1024: what the simulator gives for that product.
        assert_eq!(serial_tile_cycles([16, 16], [64, 64, 64], 4, 64)?, Cycles(1792));
        // One row of A: its 16 words are a cycle, B's 16 · 16 are 16, and 16 · 16 / 256 = 1 to compute: 16 + 16 + 16 +
        // 1.
        assert_eq!(serial_tile_cycles([16, 16], [1, 16, 16], 4, 64)?, Cycles(49));
        Ok(())
    }
}
