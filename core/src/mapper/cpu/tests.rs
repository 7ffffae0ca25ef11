//! Kernels by hand on two cores of AVX-512: 16 lanes of fp32, two ports, a latency of four cycles, 32 registers.

use super::registers::busiest;
use super::*;
use crate::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, ThermalProfile};
use crate::mapping::Lost;
use crate::nest::{AttentionLoops, ElementSizes, Homes};
use crate::shape::{PerPrecision, Precision};
use crate::units::{BytesPerSecond, Flops, Hertz, MacsPerCycle, Seconds};

const AVX512: Cpu = Cpu { vector_bytes: 64, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 };

/// Calls `body` with cores of 32 fp32 MACs a cycle: L1 of 32 KiB each, an L2 of 1 MiB for all, DRAM.
fn on<R>(cores: u32, body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
    let rates = PerPrecision::all(None)
        .with(Precision::Fp32, Some(MacsPerCycle::new(32.0)?))
        .with(Precision::Int8, Some(MacsPerCycle::new(128.0)?));
    let compute = [ComputeUnit {
        name: "AVX-512",
        count: cores,
        clock: Hertz::new(1e9)?,
        macs_per_cycle: rates,
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Spec,
    }];
    let rate = BytesPerSecond::new(1e11)?;
    let level = |name, bytes| MemoryLevel::new(name, Bytes(bytes), rate, Basis::Spec);
    let private = MemoryLevel { instances: cores, ..level("L1", u64::from(cores) << 15) };
    let memory = [private, level("L2", 1 << 20), level("DRAM", 1 << 30)];
    let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(None))];
    let hardware = Hardware::new("test", &compute, &memory, &profiles, Seconds::ZERO)?;
    body(&Machine::new(&hardware, &profiles[0], Precision::Fp32)?)
}

fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
    LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), ElementSizes::all(4))
}

fn close(a: f32, b: f32) -> bool {
    (a / b - 1.0).abs() < 1e-5
}

#[test]
fn an_empty_product_takes_no_cycles_or_is_refused() -> Result<(), Error> {
    // No tile of at least one element lies in it. A graph has none: its extents are 1 or more.
    for [m, n, k] in [[0, 5, 3], [5, 0, 3], [5, 3, 0], [0, 0, 0]] {
        match on(2, |machine| Ok(AVX512.product(&gemm(m, n, k), machine)))? {
            Ok(mapping) => assert_eq!(mapping.compute_cycles, Cycles::ZERO, "{m} {n} {k}"),
            Err(error) => assert!(matches!(error, Error::Infeasible { .. }), "{m} {n} {k}: {error}"),
        }
    }
    Ok(())
}

#[test]
fn a_whole_register_tile_has_the_peak() -> Result<(), Error> {
    on(1, |machine| {
        let mapping = AVX512.product(&gemm(14, 32, 100), machine)?;
        // 14 rows × 2 vectors are 28 sums (with 2 vectors of B and 1 of A 31 registers): 28 multiply-adds, 16 loads, cover
        // 4 · 2 = 8 a step. 28 · 100 slots on 2 ports: 1400 cycles = 14 · 32 · 100 MACs / 32.
        assert_eq!(mapping.compute_cycles, Cycles(1400));
        assert_eq!((mapping.utilization, mapping.losses.len()), (1.0, 0));
        // One tile: A 14 · 100, B 100 · 32, C 14 · 32 elements of 4 bytes: 5600 + 12800 + 1792. Everything fits L1, so each
        // outer level serves the same bytes.
        assert_eq!(mapping.traffic[..3], [Bytes(20_192); 3]);
        assert_eq!(mapping.traffic[3], Bytes::ZERO);
        Ok(())
    })
}

#[test]
fn edge_tiles_leave_lanes_empty() -> Result<(), Error> {
    on(1, |machine| {
        let mapping = AVX512.product(&gemm(15, 40, 100), machine)?;
        // Vectors along the 40 columns: 3 of 16, 15 · 3 = 45 multiply-adds a step. Along the 15 rows: 1 vector × 40 = 40, in
        // two tiles of r + r' = 40 that load r + 1 and r' + 1: 42 slots a step. 4200 slots: 2100 cycles of ideally
        // 15 · 40 · 100 / 32 = 1875.
        assert_eq!(mapping.compute_cycles, Cycles(2100));
        let [edge, issue] = mapping.losses.as_slice() else { panic!("{:?}", mapping.losses) };
        // 15 of 16 lanes, 40 of 42 slots.
        assert_eq!((edge.loss, issue.loss), (Loss::EdgeTiles, Loss::Issue));
        assert!(close(edge.left, 0.9375) && close(issue.left, 40.0 / 42.0));
        assert!(close(mapping.utilization, 1875.0 / 2100.0));
        // A for the one vector of each tile: 2 · 15 · 100; B once: 40 · 100; C 15 · 40. · 4 bytes = 12000 + 16000 + 2400.
        assert_eq!(mapping.traffic[0], Bytes(30_400));
        Ok(())
    })
}

#[test]
fn a_matrix_vector_product_is_bound_by_loads() -> Result<(), Error> {
    on(1, |machine| {
        let mapping = AVX512.product(&gemm(1, 160, 256), machine)?;
        // One row × 10 vectors: 10 multiply-adds, 11 loads, cover 8 a step: 11 · 256 = 2816 slots, 1408 cycles; all lanes full.
        assert_eq!(mapping.compute_cycles, Cycles(1408));
        let [Lost { loss: Loss::Issue, left }] = *mapping.losses else { panic!("{:?}", mapping.losses) };
        assert!(close(left, 10.0 / 11.0));
        // The weights pass through every level once: (256 + 160 · 256 + 160) · 4.
        assert_eq!(mapping.traffic[..3], [Bytes(165_504); 3]);
        Ok(())
    })
}

#[test]
fn few_sums_wait_for_the_latency() -> Result<(), Error> {
    on(1, |machine| {
        let mapping = AVX512.product(&gemm(1, 1, 1024), machine)?;
        // A dot product: 64 vectors along the sum, 2 loads for each multiply-add: 128 slots. In 4 parts, the chains of 16 steps
        // of 8 slots take as long. At the end 4 folds of 16 lanes and 3 additions of parts, in a chain of (4 + 2) · 8 = 48.
        // 176 slots: 88 cycles.
        assert_eq!(mapping.compute_cycles, Cycles(88));
        let kinds: heapless::Vec<_, { crate::mapping::MAX_LOSSES }> =
            mapping.losses.iter().map(|lost| lost.loss).collect();
        assert_eq!(kinds, [Loss::Issue, Loss::Latency]);
        // 64 of 128 + 4 + 3 slots; 135 of 176.
        assert!(close(mapping.losses[0].left, 64.0 / 135.0) && close(mapping.losses[1].left, 135.0 / 176.0));
        Ok(())
    })
}

#[test]
fn tiles_are_dealt_to_cores() -> Result<(), Error> {
    // One tile of 5, four of 3, one of 1, two workers: 18 in all, 9 each. (5, 3, 1) and (3, 3, 3).
    assert_eq!(busiest(&[(5, 1), (3, 4), (1, 1)], 2), Ok(9));
    // Three of 6: one worker has two of them. A fourth of 1 changes nothing; one worker has all.
    assert_eq!((busiest(&[(6, 3)], 2), busiest(&[(6, 3), (1, 1)], 2), busiest(&[(6, 3)], 1)), (Ok(12), Ok(12), Ok(18)));
    // As many workers as tasks: the longest.
    assert_eq!((busiest(&[(6, 3), (1, 1)], 4), busiest(&[], 4)), (Ok(6), Ok(0)));
    on(2, |machine| {
        // 42 × 32: three tiles of 14 × 2 would leave a core idle; four of 11 × 2 do not divide 42; six of 7 × 2 do: 3 · 14 · 100.
        let mapping = AVX512.product(&gemm(42, 32, 100), machine)?;
        assert_eq!((mapping.compute_cycles, mapping.utilization), (Cycles(2100), 1.0));
        // Each core has half: rows of A apart, or columns of B. A is larger, 16800 bytes, so the rows are divided and both
        // private caches load B, 12800 bytes; the shared one loads it once. C is 5376 bytes.
        assert_eq!(mapping.traffic[1..3], [Bytes(16_800 + 2 * 12_800 + 5376), Bytes(16_800 + 12_800 + 5376)]);
        Ok(())
    })
}

#[test]
fn a_depthwise_convolution_fills_lanes_with_channels() -> Result<(), Error> {
    on(1, |machine| {
        let conv = ConvLoops {
            batch: 1,
            groups: 32,
            c_in: 1,
            c_out: 1,
            input: [1, 10, 10],
            output: [1, 10, 10],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0, 1, 1],
        };
        let mapping = AVX512.product(&LoopNest::new(Loops::Conv(conv), ElementSizes::all(4)), machine)?;
        // 100 positions × 2 vectors of channels × 9 taps = 1800 multiply-adds. Each loads its inputs, a tile of one vector also
        // its weights: 4 tiles of 25 to 30 rows: (100 + 4) · 2 · 9 = 1872 slots. 936 cycles of ideally 900.
        assert_eq!(mapping.compute_cycles, Cycles(936));
        assert!(close(mapping.utilization, 900.0 / 936.0));
        // Inputs 100 · 32 · 9, weights 32 · 9 for each of 4 tiles, outputs 100 · 32; · 4 bytes.
        assert_eq!(mapping.traffic[0], Bytes(4 * (28_800 + 1152 + 3200)));
        Ok(())
    })
}

#[test]
fn an_attention_is_two_products_with_scores_in_the_innermost_level() -> Result<(), Error> {
    on(1, |machine| {
        let loops = Loops::Attention(AttentionLoops { groups: 1, m: 14, n: 32, d: 100, d_v: 32 });
        let nest = LoopNest { weighted: false, ..LoopNest::new(loops, ElementSizes::all(4)) };
        let mapping = AVX512.product(&nest, machine)?;
        // 14 × 32 scores over 100, 14 × 32 sums over 32 keys: 28 · (100 + 32) slots, 1848 cycles.
        assert_eq!((mapping.compute_cycles, mapping.utilization), (Cycles(1848), 1.0));
        // Queries 14 · 100, keys 32 · 100, values 32 · 32, result 14 · 32; scores 14 · 32 written and read; · 4 bytes.
        assert_eq!(mapping.traffic[0], Bytes(4 * (1400 + 3200 + 1024 + 448 + 2 * 448)));
        Ok(())
    })
}

#[test]
fn operands_move_up_to_their_homes() -> Result<(), Error> {
    on(1, |machine| {
        let warm = LoopNest { homes: Homes { input: 0, weights: 2, output: 1 }, ..gemm(14, 32, 100) };
        let mapping = AVX512.product(&warm, machine)?;
        // B 12800 from DRAM, C 1792 to L2, A 5600 in L1.
        assert_eq!(mapping.traffic[..3], [Bytes(20_192), Bytes(14_592), Bytes(12_800)]);
        Ok(())
    })
}

#[test]
fn int8_adds_four_products_a_lane() -> Result<(), Error> {
    on(1, |fp32| {
        let machine = Machine { precision: Precision::Int8, macs_per_cycle: MacsPerCycle::new(128.0)?, ..*fp32 };
        let sizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };
        let nest = |k| LoopNest::new(Loops::Gemm(Gemm { m: 14, n: 32, k, groups: 1 }), sizes);
        // 25 steps of 4 products: 28 · 25 slots, 350 cycles; 101 are 26 steps.
        assert_eq!(AVX512.product(&nest(100), &machine)?.compute_cycles, Cycles(350));
        assert_eq!(AVX512.product(&nest(101), &machine)?.compute_cycles, Cycles(364));
        Ok(())
    })
}

#[test]
fn a_stream_fills_vectors() -> Result<(), Error> {
    on(2, |machine| {
        let stream = Stream {
            read: Bytes(400),
            weights: Bytes(40),
            written: Bytes(404),
            flops: Flops(101),
            elements: 101,
            homes: Homes { input: 1, weights: 2, output: 0 },
        };
        let mapping = AVX512.stream(&stream, machine)?;
        // 7 vectors of 16 lanes, 4 on one of two cores, 2 on each of its ports: 2 cycles. 101 of 2 · 2 · 2 · 16 = 128 lanes.
        assert_eq!(mapping.compute_cycles, Cycles(2));
        assert!(close(mapping.utilization, 101.0 / 128.0));
        assert_eq!(mapping.traffic[..3], [Bytes(844), Bytes(440), Bytes(40)]);
        Ok(())
    })
}
