//! Products by hand on arrays like those of a TPU v4 and on small ones.

use super::*;
use crate::mapper::arrays::tests::{assert_utilization, left, with_machine};
use crate::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, Loops};
use crate::units::{Bytes, Flops};

/// A core of a TPU v4: four arrays of 128 × 128, weights held still.
const TPU: Systolic = Systolic {
    rows: 128,
    columns: 128,
    dataflow: Dataflow::WeightStationary,
    held_tiles: 1,
    accumulators: 0,
    vector_lanes: 1024,
};
const RATE: f32 = 128.0 * 128.0;
const SIZES: ElementSizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };

fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
    LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), SIZES)
}

fn close(a: f32, b: f32) -> bool {
    (a / b - 1.0).abs() < 1e-6
}

#[test]
fn folds_that_fill_the_arrays() -> Result<(), Error> {
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // K: 256 / 128 = 2, N: 512 / 128 = 4. 8 folds on 4 arrays: 2 waves of 256 + 2 · 128 + 128 − 2 = 638 cycles.
        let nest = gemm(256, 512, 256);
        let mapping = TPU.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(1276));
        // 256 of 510 cycles without the load, 510 of 638 with it; nothing else: 256 / 638.
        assert_eq!(mapping.losses.len(), 2);
        assert!(close(left(&mapping, Loss::FillDrain), 256.0 / 510.0));
        assert!(close(left(&mapping, Loss::WeightLoad), 510.0 / 638.0));
        assert!(close(mapping.utilization, 256.0 / 638.0));
        assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
    })
}

#[test]
fn edges_and_a_last_wave() -> Result<(), Error> {
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // K: ⌈300 / 128⌉ = 3, N: ⌈200 / 128⌉ = 2: 6 folds are 2 waves of 100 + 256 + 126 = 482 cycles.
        let nest = gemm(100, 200, 300);
        let mapping = TPU.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(964));
        assert!(close(left(&mapping, Loss::EdgeTiles), 300.0 * 200.0 / (384.0 * 256.0)));
        assert!(close(left(&mapping, Loss::FillDrain), 100.0 / 354.0));
        assert!(close(left(&mapping, Loss::WeightLoad), 354.0 / 482.0));
        assert!(close(left(&mapping, Loss::Waves), 6.0 / 8.0));
        // At the edges: A twice, 100 · 300 · 2; B once, 300 · 200; the results 100 · 200, and of two passes over K
        // partial sums of 4 bytes written and read: 2 · 2 · 20,000 · 4.
        assert_eq!(mapping.traffic[0], Bytes(60_000 + 60_000 + 20_000 + 320_000));
        assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
    })
}

#[test]
fn a_depthwise_convolution_maps_badly() -> Result<(), Error> {
    // 32 channels of 8 × 8 outputs, 3 × 3 taps.
    let conv = ConvLoops {
        batch: 1,
        groups: 32,
        c_in: 1,
        c_out: 1,
        input: [1, 8, 8],
        output: [1, 8, 8],
        kernel: [1, 3, 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, 1, 1],
    };
    let nest = LoopNest::new(Loops::Conv(conv), SIZES);
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // A product for each channel: M = 64, N = 1, K = 9. 32 folds, 8 waves of 64 + 256 + 126 = 446 cycles.
        let mapping = TPU.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(8 * 446));
        assert!(close(left(&mapping, Loss::EdgeTiles), 9.0 / RATE));
        assert!(close(mapping.utilization, 9.0 / RATE * 64.0 / 446.0));
        assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
    })
}

#[test]
fn an_attention_is_two_products() -> Result<(), Error> {
    let array = Systolic {
        rows: 16,
        columns: 16,
        dataflow: Dataflow::OutputStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 16,
    };
    let loops = AttentionLoops { groups: 3, m: 20, n: 40, d: 8, d_v: 24 };
    let nest = LoopNest { weighted: false, ..LoopNest::new(Loops::Attention(loops), SIZES) };
    with_machine(&[(1, 256.0, 1.0)], &[], |machine| {
        // Q · Kᵀ: 3 · ⌈20 / 16⌉ · ⌈40 / 16⌉ = 18 folds of 8 + 30 = 38 cycles.
        // Scores · V: 3 · ⌈20 / 16⌉ · ⌈24 / 16⌉ = 12 folds of 40 + 30 = 70 cycles.
        let mapping = array.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(18 * 38 + 12 * 70));
        // Q 20 · 8 · 3 times, K 8 · 40 · 2 times, scores 20 · 40 · 4 bytes; scores 20 · 40 · 2 times, V 40 · 24 · 2
        // times, results 20 · 24; of three heads.
        assert_eq!(mapping.traffic[0], Bytes(3 * (480 + 640 + 3200 + 1600 + 1920 + 480)));
        assert_utilization(&mapping, &nest, 256.0)
    })
}

#[test]
fn elements_that_do_more_or_less_than_a_mac_a_cycle() -> Result<(), Error> {
    let array = Systolic {
        rows: 8,
        columns: 8,
        dataflow: Dataflow::OutputStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 8,
    };
    // 8 × 8 × 33: two MACs an element and cycle are ⌈33 / 2⌉ = 17 steps, half a MAC 66; 14 cycles to fill and
    // drain.
    for (rate, cycles) in [(64.0, 47), (128.0, 31), (32.0, 80)] {
        with_machine(&[(1, rate, 1.0)], &[], |machine| {
            let nest = gemm(8, 8, 33);
            let mapping = array.product(&nest, machine)?;
            assert_eq!(mapping.compute_cycles, Cycles(cycles), "{rate}");
            assert_utilization(&mapping, &nest, f64::from(rate))
        })?;
    }
    Ok(())
}

#[test]
fn steps_of_a_recurrence_come_one_after_the_other() -> Result<(), Error> {
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // One row, 128 · 128: one fold of 1 + 256 + 126 = 383 cycles, 10 times; three arrays idle.
        let nest = LoopNest { repeats: 10, ..gemm(1, 128, 128) };
        let mapping = TPU.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(3830));
        assert!(close(left(&mapping, Loss::Waves), 0.25));
        assert_eq!(mapping.traffic[0], Bytes(10 * (128 + 128 * 128 + 128)));
        assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
    })
}

#[test]
fn operands_pass_the_levels_up_to_their_homes() -> Result<(), Error> {
    let array = Systolic {
        rows: 16,
        columns: 16,
        dataflow: Dataflow::WeightStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 16,
    };
    // 64 KiB hold 64³ whole: A and B 4096 bytes, C 4096 of 4 bytes while it is summed.
    with_machine(&[(1, 256.0, 1.0)], &[(1, 64 << 10), (1, 1 << 20)], |machine| {
        let nest = gemm(64, 64, 64);
        // Edges: A 4 times, B once, C: 4096 · 1, and 3 · 4096 partial sums of 4 bytes written and read.
        let edge = Bytes(4 * 4096 + 4096 + 4096 + 2 * 3 * 4096 * 4);
        let once = Bytes(3 * 4096);
        let mapping = array.product(&nest, machine)?;
        assert_eq!(mapping.traffic[..4], [edge, once, once, Bytes::ZERO]);
        // Two tiles that are not stationary take room twice: 2 · 4096 + 2 · 4096 + 16,384.
        assert_eq!(mapping.footprint[..2], [Bytes(32_768); 2]);
        // The input in the first scratchpad, the result in the second: weights alone come from beyond.
        let homes = Homes { input: 0, weights: u8::MAX, output: 1 };
        let mapping = array.product(&LoopNest { homes, ..nest }, machine)?;
        assert_eq!(mapping.traffic[..3], [edge, Bytes(2 * 4096), Bytes(4096)]);
        // B that is no weights lies with the input.
        let mapping = array.product(&LoopNest { homes, weighted: false, ..nest }, machine)?;
        assert_eq!(mapping.traffic[..3], [edge, Bytes(4096), Bytes::ZERO]);
        Ok(())
    })?;
    // Not a byte for anything: the level is named.
    with_machine(&[(1, 256.0, 1.0)], &[(1, 4)], |machine| {
        let mapping = array.product(&gemm(64, 64, 64), machine);
        assert_eq!(mapping.map(|_| ()), Err(Error::Infeasible { level: 0 }));
        Ok(())
    })
}

#[test]
fn the_vector_units_take_the_rest() -> Result<(), Error> {
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // 10,000 elements of 3 FLOPs each on 4 · 1024 lanes: ⌈30,000 / 4096⌉ = 8.
        let stream = Stream {
            read: Bytes(10_000),
            weights: Bytes(64),
            written: Bytes(10_000),
            flops: Flops(30_000),
            elements: 10_000,
            homes: Homes::COLD,
        };
        let mapping = TPU.stream(&stream, machine)?;
        assert_eq!((mapping.compute_cycles, mapping.traffic[0]), (Cycles(8), Bytes(20_064)));
        // Bytes alone take lanes too, an element each: ⌈10,000 / 4096⌉ = 3. What is empty takes none.
        let copy = Stream { flops: Flops::ZERO, ..stream };
        assert_eq!(TPU.stream(&copy, machine)?.compute_cycles, Cycles(3));
        let none = Stream { read: Bytes::ZERO, weights: Bytes::ZERO, written: Bytes::ZERO, ..copy };
        assert_eq!(TPU.stream(&none, machine)?.compute_cycles, Cycles(0));
        Ok(())
    })
}

#[test]
fn the_next_weights_are_loaded_while_an_array_works() -> Result<(), Error> {
    let array = Systolic { held_tiles: 2, ..TPU };
    // 64 rows: three folds of 64 steps and 128 cycles to load: 128 + 128 + 128 + 64 + 254. 200 rows hide the load:
    // 128 + 3 · 200 + 254. One fold is that of an array with room for one tile.
    let cycles = |m, n, k| array.cycles(Gemm { m, n, k, groups: 1 });
    assert_eq!(cycles(64, 128, 3 * 128)?, Cycles(3 * 128 + 64 + 254));
    assert_eq!(cycles(200, 128, 3 * 128)?, Cycles(128 + 3 * 200 + 254));
    assert_eq!(cycles(64, 128, 128)?, TPU.cycles(Gemm { m: 64, n: 128, k: 128, groups: 1 })?);
    assert_eq!(cycles(64, 0, 128)?, Cycles(0));
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        // One row of 1024 · 2048: 8 · 16 folds on 4 arrays: 32 loads of 128 cycles, a step and 254; beside 32 · 383.
        let nest = gemm(1, 2048, 1024);
        let mapping = array.product(&nest, machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(32 * 128 + 1 + 254));
        assert_eq!(TPU.product(&nest, machine)?.compute_cycles, Cycles(32 * 383));
        // One step of 255 cycles is skewed, 4 · 32 steps in 4 · 254 cycles more; 4351 with the loads.
        assert!(close(left(&mapping, Loss::FillDrain), 128.0 / (128.0 + 4.0 * 254.0)));
        assert!(close(left(&mapping, Loss::WeightLoad), 1144.0 / (4.0 * 4351.0)));
        assert_utilization(&mapping, &nest, 4.0 * f64::from(RATE))
    })
}

#[test]
fn an_array_that_holds_results_loads_nothing() -> Result<(), Error> {
    let one = Systolic {
        rows: 16,
        columns: 8,
        dataflow: Dataflow::OutputStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 8,
    };
    let other = Systolic { held_tiles: 2, accumulators: 64, ..one };
    with_machine(&[(3, 128.0, 1.0)], &[(1, 1 << 16)], |machine| {
        let nest = gemm(100, 90, 80);
        assert_eq!(one.product(&nest, machine)?, other.product(&nest, machine)?);
        Ok(())
    })
}

#[test]
fn accumulators_keep_partial_sums() -> Result<(), Error> {
    let array = Systolic {
        rows: 16,
        columns: 16,
        dataflow: Dataflow::WeightStationary,
        held_tiles: 1,
        accumulators: 0,
        vector_lanes: 16,
    };
    let keeping = |accumulators| Systolic { accumulators, ..array };
    with_machine(&[(1, 256.0, 1.0)], &[(1, 1 << 16)], |machine| {
        // 64³: 16 folds of 64 + 46 = 110 cycles. A 4 times, B once, the result; without accumulators 2 · 3 · 4096 sums of
        // 4 bytes. A byte a cycle: 98,304 of them take longer than all else.
        let nest = gemm(64, 64, 64);
        let once = 4096;
        let [leaving, whole, half] = [0, 64, 32].map(|sums| keeping(sums).product(&nest, machine));
        assert_eq!(leaving?.traffic[0], Bytes(6 * once + 24 * once));
        let whole = whole?;
        assert_eq!((whole.compute_cycles, whole.traffic[0]), (Cycles(16 * 110), Bytes(6 * once)));
        // 32 rows at a time: 32 folds of 32 + 46, weights twice.
        let half = half?;
        assert_eq!((half.compute_cycles, half.traffic[0]), (Cycles(32 * 78), Bytes(7 * once)));
        assert_utilization(&half, &nest, 256.0)?;
        // Activations that stay: K times N sums of each of the M columns; A is loaded again for each part.
        let input = Systolic { dataflow: Dataflow::InputStationary, ..keeping(32) };
        assert_eq!(input.product(&nest, machine)?.traffic[0], Bytes(2 * once + 4 * once + once));
        Ok(())
    })?;
    // Memory that costs next to nothing: 2 columns of 16, K of 64. A chain for each column leaves two of four arrays idle:
    // 4 · 110 cycles; 8 folds on four are 2 · 110, their sums through level 0.
    with_machine(&[(4, 256.0, 1e-9)], &[], |machine| {
        let mapping = keeping(64).product(&gemm(64, 32, 64), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(2 * 110));
        assert_utilization(&mapping, &gemm(64, 32, 64), 4.0 * 256.0)
    })
}

#[test]
fn too_much_is_an_error() -> Result<(), Error> {
    with_machine(&[(4, RATE, 1.05)], &[], |machine| {
        assert_eq!(TPU.product(&gemm(1 << 40, 1 << 40, 1), machine).map(|_| ()), Err(Error::CountOverflow));
        Ok(())
    })
}
