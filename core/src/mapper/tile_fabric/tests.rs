//! Products by hand on fabrics of a few tiles and on one like the KPU-T64, whose numbers are a design study's.

use super::*;
use crate::mapper::arrays::tests::{assert_utilization, left, with_machine};
use crate::nest::{AttentionLoops, ElementSizes, Homes, Loops};
use crate::units::Flops;

const SIZES: ElementSizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };

/// Tiles of 16 × 16, as in the simulator's configuration A: 64 bytes a cycle and engine, two streamers a tile.
const SMALL: TileFabric = TileFabric {
    rows: 16,
    columns: 16,
    streamers: Engines { count: 2, bytes_per_cycle: 64 },
    block_movers: Engines { count: 4, bytes_per_cycle: 64 },
    dma: Engines { count: 4, bytes_per_cycle: 64 },
};

/// Tiles of 32 × 32; engines as the simulator's configuration of 64 tiles has them: 4 streamers and a block mover a
/// tile, 8 DMA.
const T64: TileFabric = TileFabric {
    rows: 32,
    columns: 32,
    streamers: Engines { count: 4, bytes_per_cycle: 64 },
    block_movers: Engines { count: 64, bytes_per_cycle: 64 },
    dma: Engines { count: 8, bytes_per_cycle: 64 },
};

/// Types of the T64 in int8: 44 INT8, 13 BF16 and 7 matrix tiles, 2048 operations a tile and cycle.
const T64_TYPES: [(u32, f32, f32); 3] = [(44, 1024.0, 0.475), (13, 1024.0, 0.475), (7, 1024.0, 0.475)];

/// L2 of 32 KiB a tile and L3 of 256 KiB a tile.
const T64_LEVELS: [(u32, u64); 2] = [(64, 64 * (32 << 10)), (64, 64 * (256 << 10))];

fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
    LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), SIZES)
}

#[test]
fn one_tile_folds_one_after_the_other() -> Result<(), Error> {
    with_machine(&[(1, 256.0, 1.0)], &[], |machine| {
        // 40 × 40 on 16 × 16: 14 + 13 + 13 either way. With k = 10: 10 + 14 + 16 + 1 = 41 cycles where an extent is 14,
        // of five folds, 40 of the other four: 5 · 41 + 4 · 40 = 365. Streams of the largest: A 14 rows of one slice, B
        // 14 columns of one, C 14 rows: 28 / 2 + 14 / 2 = 21, hidden. First and last: 16 × 16, 24 cycles of the
        // streamers; nothing lies beyond them.
        let nest = gemm(40, 40, 10);
        let mapping = SMALL.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(365 + 24));
        // 9 folds of 2560 MACs for 16,000 at the edges; 10 of 365 / 9 cycles of a fold; 365 of 389.
        let close = |loss, share: f32| (left(&mapping, loss) / share - 1.0).abs() < 1e-6;
        assert!(close(Loss::EdgeTiles, 16_000.0 / (9.0 * 2560.0)));
        assert!(close(Loss::FillDrain, 90.0 / 365.0));
        assert!(close(Loss::Movement, 365.0 / 389.0));
        assert_eq!(mapping.losses.len(), 3);
        assert_utilization(&mapping, &nest, 256.0)
    })
}

#[test]
fn folds_of_the_halves_may_fill_the_waves_better() -> Result<(), Error> {
    with_machine(&[(4, 256.0, 1.0)], &[], |machine| {
        // The same folds on four tiles: waves of 41, 41 and 40. But two halves of 20 rows are 4 · 3 folds of 10 rows,
        // four of 41 cycles and eight of 40: 121 rather than 122.
        let mapping = SMALL.product(&gemm(40, 40, 10), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(41 + 40 + 40 + 24));
        assert_utilization(&mapping, &gemm(40, 40, 10), 1024.0)
    })?;
    with_machine(&[(3, 256.0, 1.0)], &[], |machine| {
        // On three the nine folds fill three waves; twelve would be four.
        let mapping = SMALL.product(&gemm(40, 40, 10), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(41 + 41 + 40 + 24));
        Ok(())
    })
}

#[test]
fn streamers_set_the_pace_where_they_are_slower() -> Result<(), Error> {
    let narrow = TileFabric { streamers: Engines { count: 1, bytes_per_cycle: 8 }, ..SMALL };
    with_machine(&[(1, 256.0, 1.0)], &[], |machine| {
        // 16 × 16 × 32: 32 + 33 = 65 cycles. A: 16 rows of 4 slices of 8, B: 16 columns of 4, C: 16 rows of 2: 64 + 64
        // + 32 = 160. First: 16 deep, A and B 16 · 2 each, 64; last: C 32.
        let mapping = narrow.product(&gemm(16, 16, 32), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(160 + 64 + 32));
        assert!((left(&mapping, Loss::Movement) / (65.0 / 256.0) - 1.0).abs() < 1e-6);
        assert_utilization(&mapping, &gemm(16, 16, 32), 256.0)
    })
}

#[test]
fn other_types_help() -> Result<(), Error> {
    with_machine(&T64_TYPES, &[], |machine| {
        assert_eq!(machine.unit.count, 44);
        // 320 × 320: 100 folds of 64 + 32 + 32 + 1 = 129 cycles. 44 tiles alone need 3 waves; all 64 need 2. Streams: A
        // 32 rows of one slice, B 32 columns, C 32 rows on 4 engines: 16 + 8 cycles; the ends are 32 deep, as long.
        let nest = gemm(320, 320, 64);
        let mapping = T64.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(2 * 129 + 24));
        assert_utilization(&mapping, &nest, 64.0 * 1024.0)
    })?;
    // A fast tile of 4096 MACs a cycle on 16 × 8 and two of 256: 512 deep, 16 + 33 = 49 or 256 + 33 = 289 cycles.
    // But the streamers of the fast one: A 16 · 8, B 8 · 8 on 4 engines 48, C 16 on 4: 52.
    let fabric = TileFabric { rows: 16, columns: 8, ..T64 };
    with_machine(&[(2, 256.0, 1.0), (1, 4096.0, 1.0)], &[], |machine| {
        // 12 folds: alone 12 · 52 = 624. With help 11 take 572 and each other tile has done one by 289, two by 578: 520
        // are 10 + 1 + 1. Arithmetic alone: 10 · 49 = 490 and two at 289.
        let nest = gemm(16 * 12, 8, 512);
        let mapping = fabric.product(&nest, machine)?;
        // Ends: A 16 rows of a slice, B 8 columns of one: 24 / 4 = 6; C 4.
        assert_eq!(mapping.compute_cycles, Cycles(520 + 10));
        assert_utilization(&mapping, &nest, 4096.0 + 512.0)
    })
}

#[test]
fn a_slower_clock_stretches_the_help() -> Result<(), Error> {
    // The second type is as wide, at half the clock: its 65 cycles of 16 × 16 × 32 are 130 of the machine's.
    with_machine(&[(1, 256.0, 1.0), (1, 256.0, 0.5)], &[], |machine| {
        // Four folds: three on the first tile by 195, one on the second by 130. Ends: 16 deep, 32 / 2 + 16 / 2 = 24.
        let nest = gemm(16 * 4, 16, 32);
        let mapping = SMALL.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(195 + 24));
        assert_utilization(&mapping, &nest, 256.0 * 1.5)
    })
}

#[test]
fn a_small_product_leaves_tiles_idle() -> Result<(), Error> {
    with_machine(&T64_TYPES, &[], |machine| {
        // 4 folds of 64 tiles.
        let mapping = T64.product(&gemm(64, 64, 64), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(129 + 24));
        assert!((left(&mapping, Loss::Waves) / (4.0 / 64.0) - 1.0).abs() < 1e-6);
        assert_utilization(&mapping, &gemm(64, 64, 64), 64.0 * 1024.0)
    })
}

#[test]
fn shared_engines_set_the_pace() -> Result<(), Error> {
    with_machine(&T64_TYPES, &T64_LEVELS, |machine| {
        // 256³: 64 folds of 256 + 65 = 321 cycles, one a tile. From DRAM each operand once, 3 · 65,536 bytes at 8 · 64
        // a cycle: 384. Ends: A and B 32 × 32 each: DMA 2048 / 64 = 32, block mover 32, streamers 16; C 1024: 8, 16,
        // 16.
        let nest = gemm(256, 256, 256);
        let mapping = T64.product(&nest, machine)?;
        assert_eq!(mapping.traffic[2], Bytes(3 * 65_536));
        assert_eq!(mapping.compute_cycles, Cycles(384 + 32 + 32 + 16 + 8 + 16 + 16));
        // At the edges: A and B for each of 8 columns and rows of tiles, C once.
        assert_eq!(mapping.traffic[0], Bytes(65_536 * (8 + 8 + 1)));
        assert!(mapping.traffic[1] >= Bytes(3 * 65_536) && mapping.footprint[0] <= Bytes(32 << 10));
        assert_utilization(&mapping, &nest, 64.0 * 1024.0)?;
        // What lies in L3 passes no DMA: 321, and the ends without it. In L2, streamers alone: 16 + 8.
        let near = |level| LoopNest { homes: Homes { input: level, weights: level, output: level }, ..nest };
        let mapping = T64.product(&near(1), machine)?;
        assert_eq!((mapping.compute_cycles, mapping.traffic[2]), (Cycles(321 + 32 + 16 + 8 + 16), Bytes::ZERO));
        let mapping = T64.product(&near(0), machine)?;
        assert_eq!((mapping.compute_cycles, mapping.traffic[1]), (Cycles(321 + 24), Bytes::ZERO));
        // B that is no weights lies with the input.
        let homes = Homes { input: 0, weights: u8::MAX, output: 0 };
        let mapping = T64.product(&LoopNest { homes, weighted: false, ..nest }, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(321 + 24));
        // One block mover: what the tiles of L2 move, 64 bytes a cycle.
        let one = TileFabric { block_movers: Engines { count: 1, bytes_per_cycle: 64 }, ..T64 };
        let mapping = one.product(&near(1), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(mapping.traffic[1].0.div_ceil(64) + 32 + 16 + 8 + 16));
        Ok(())
    })
}

#[test]
fn an_attention_keeps_its_scores() -> Result<(), Error> {
    let loops = AttentionLoops { groups: 1, m: 16, n: 32, d: 16, d_v: 16 };
    let nest = LoopNest { weighted: false, ..LoopNest::new(Loops::Attention(loops), SIZES) };
    with_machine(&[(1, 256.0, 1.0)], &[], |machine| {
        // Q · Kᵀ: 2 folds of 16 + 33 = 49 cycles; scores · V: one of 32 + 33 = 65.
        // Streams: 16 slices of Q, 16 of K, scores of 4 bytes 16 · 1: 16 + 8 = 24; at the ends as much.
        // Scores 16, V 16, results 16: 24 again.
        let mapping = SMALL.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(2 * 49 + 65 + 24 + 24));
        assert_utilization(&mapping, &nest, 256.0)
    })
}

#[test]
fn elements_pass_all_tiles() -> Result<(), Error> {
    let stream = Stream {
        read: Bytes(1 << 20),
        weights: Bytes::ZERO,
        written: Bytes(1 << 20),
        flops: Flops(1 << 20),
        elements: 1 << 20,
        homes: Homes { input: 0, weights: 0, output: 0 },
    };
    with_machine(&T64_TYPES, &T64_LEVELS, |machine| {
        // 2^20 on 64 · 1024 elements: 16 cycles. 2^21 bytes through 64 · 4 · 64 bytes a cycle: 128.
        assert_eq!(T64.stream(&stream, machine)?.compute_cycles, Cycles(128));
        // From L3 through 64 block movers: 2^21 / 4096 = 512; from DRAM through 8 DMA engines: 2^21 / 512 = 4096.
        let at = |level| Stream { homes: Homes { input: level, weights: level, output: level }, ..stream };
        assert_eq!(T64.stream(&at(1), machine)?.compute_cycles, Cycles(512));
        assert_eq!(T64.stream(&at(u8::MAX), machine)?.compute_cycles, Cycles(4096));
        // 100 FLOPs an element: arithmetic, 1600.
        let heavy = Stream { flops: Flops(100 << 20), ..stream };
        assert_eq!(T64.stream(&heavy, machine)?.compute_cycles, Cycles(1600));
        Ok(())
    })
}

#[test]
fn a_larger_member_of_the_family_is_no_slower() -> Result<(), Error> {
    // Tiles of 2048 int8 operations a cycle at 475 and 600 MHz, and of 512 beside 77 matrix tiles of 8192 at 1375 MHz.
    // Engines of 256 tiles as the simulator's configuration has them, of 768 three times as many: nobody states them.
    let engines = |count| Engines { count, bytes_per_cycle: 64 };
    let t256 = TileFabric { block_movers: engines(256), dma: engines(32), ..T64 };
    let t768 = TileFabric { rows: 16, columns: 8, block_movers: engines(768), dma: engines(96), ..T64 };
    let t256_types = [(179, 1024.0, 0.6), (51, 1024.0, 0.6), (26, 1024.0, 0.6)];
    let t768_types = [(537, 256.0, 1.375), (154, 256.0, 1.375), (77, 4096.0, 1.375)];
    let levels = |tiles: u32| [(tiles, u64::from(tiles) * (32 << 10)), (tiles, u64::from(tiles) * (256 << 10))];
    let members = [(T64, T64_TYPES, T64_LEVELS), (t256, t256_types, levels(256)), (t768, t768_types, levels(768))];
    for extent in [64, 128, 256, 512, 1024, 2048] {
        let mut slower = f32::INFINITY;
        for (fabric, types, levels) in members {
            let seconds = with_machine(&types, &levels, |machine| {
                Ok((fabric.product(&gemm(extent, extent, extent), machine)?.compute_cycles / machine.clock).0)
            })?;
            assert!(seconds <= slower, "{extent}: {seconds} s on {types:?}, {slower} s on the smaller one");
            slower = seconds;
        }
    }
    Ok(())
}

#[test]
fn more_tiles_that_share_an_l2_are_no_slower() -> Result<(), Error> {
    // An L2 of 32 KiB and an L3 of 1 MiB for all tiles, 64 bytes a cycle between them: a tile more takes no room from the
    // others, and moves nothing more.
    let fabric = TileFabric { block_movers: Engines { count: 1, bytes_per_cycle: 64 }, ..SMALL };
    let nest = gemm(256, 256, 256);
    let mut slower = u64::MAX;
    for tiles in [1, 2, 3, 10, 11, 64, 100] {
        let cycles = with_machine(&[(tiles, 256.0, 1.0)], &[(1, 32 << 10), (1, 1 << 20)], |machine| {
            Ok(fabric.product(&nest, machine)?.compute_cycles.0)
        })?;
        assert!(cycles <= slower, "{tiles}: {cycles}, fewer: {slower}");
        slower = cycles;
    }
    Ok(())
}

#[test]
fn what_all_instances_of_l3_hold_is_told_of_one() -> Result<(), Error> {
    // 64 instances of 1 KiB, all within reach: the whole product, 64 · 64 + 64 · 64 bytes and 64 · 64 sums of 4 bytes.
    with_machine(&[(64, 256.0, 1.0)], &[(64, 64 << 10)], |machine| {
        let mapping = SMALL.product(&gemm(64, 64, 64), machine)?;
        let whole = 3 * 4096;
        assert_eq!(mapping.traffic[1], Bytes(whole));
        assert!(mapping.footprint[0] <= Bytes(1 << 10) && mapping.footprint[0] > Bytes::ZERO);
        Ok(())
    })
}
