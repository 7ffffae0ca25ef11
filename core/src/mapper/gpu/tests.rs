//! Kernels by hand on four multiprocessors of 512 fp16 MACs a cycle, with 16 × 8 × 16 matrix instructions.

use super::*;
use crate::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, ThermalProfile};
use crate::mapping::Lost;
use crate::nest::{ElementSizes, Homes};
use crate::shape::PerPrecision;
use crate::units::{BytesPerSecond, Flops, Hertz, MacsPerCycle};

const GPU: Gpu = Gpu { matrix: [16, 8, 16], threads: 2048, registers: Bytes(256 << 10), launch: Seconds(3e-6) };

const FP16: ElementSizes = ElementSizes { a: 2, b: 2, partial: 4, c: 2 };

/// Calls `body` with 4 multiprocessors at 1 GHz: 512 fp16 and 64 fp32 MACs a cycle, 164 KiB of shared memory each, an L2 of
/// 4 MiB at 256 bytes a cycle, DRAM.
fn on<R>(body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
    let unit = |name, precision, rate| -> Result<ComputeUnit<'static>, Error> {
        Ok(ComputeUnit {
            name,
            count: 4,
            clock: Hertz::new(1e9)?,
            macs_per_cycle: PerPrecision::all(None).with(precision, Some(MacsPerCycle::new(rate)?)),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        })
    };
    let compute = [unit("tensor", Precision::Fp16, 512.0)?, unit("vector", Precision::Fp32, 64.0)?];
    let level = |name, bytes, rate| -> Result<MemoryLevel<'static>, Error> {
        Ok(MemoryLevel::new(name, Bytes(bytes), BytesPerSecond::new(rate)?, Basis::Spec))
    };
    let shared = MemoryLevel { instances: 4, ..level("shared", 4 * (164 << 10), 512e9)? };
    let memory = [shared, level("L2", 4 << 20, 256e9)?, level("DRAM", 1 << 34, 64e9)?];
    let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(None))];
    let hardware = Hardware::new("test", &compute, &memory, &profiles, Seconds::ZERO)?;
    body(&Machine::new(&hardware, &profiles[0], Precision::Fp16)?)
}

fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
    LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), FP16)
}

fn close(a: f32, b: f32) -> bool {
    (a / b - 1.0).abs() < 1e-5
}

#[test]
fn large_products_take_large_tiles_in_waves() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(1024, 1024, 1024), machine)?;
        // Tiles of 256 × 128: 32 blocks, 8 on each multiprocessor, in 32 slices of 32. A slice is 256 · 128 · 32 / 512 = 2048
        // cycles of multiplies; its fragments, (256 · 2 + 128 · 4) · 64 bytes at 128 a cycle, 512. 32 · 8 · 2048, and the first slices
        // of 32 blocks, (256 + 128) · 64 bytes each, at 256 a cycle: 3072. Tiles of 128 × 128 have 4096 of these.
        assert_eq!(mapping.compute_cycles, Cycles(524_288 + 3072));
        let [Lost { loss: Loss::FillDrain, left }] = *mapping.losses else { panic!("{:?}", mapping.losses) };
        assert!(close(left, 512.0 / 515.0) && close(mapping.utilization, 512.0 / 515.0));
        // Operands are 2 MiB. A for 8 columns of tiles, B for 4 rows, C: 13 times 2 MiB; A by two warps, B by four: 33 times. The L2
        // holds A and a slice of the others: each once from DRAM.
        assert_eq!(mapping.traffic[..3], [Bytes(33 << 21), Bytes(13 << 21), Bytes(3 << 21)]);
        // Registers hold one block, 131072 bytes of sums + 65536 of fragments: two slices of (256 + 128) · 32 elements.
        assert_eq!(mapping.footprint[0], Bytes(2 * 384 * 64));
        assert_eq!((mapping.setup, GPU.launch()), (Seconds::ZERO, Seconds(3e-6)));
        Ok(())
    })
}

#[test]
fn small_products_take_small_tiles_and_pad_them() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(200, 72, 100), machine)?;
        // Tiles of 32 × 16: 7 · 5 blocks, 9 on a multiprocessor; 100 are 7 instructions of 16, three and a half slices of 32; a slice
        // is 32 · 16 · 32 / 512 = 32 cycles: 3.5 · 9 · 32 = 1008; first slices of 35 · (32 + 16) · 64 bytes at 256 a cycle: 420.
        // Tiles of 64 × 32 take 3.5 · 3 · 128 + 12 · 96 · 64 / 256 = 1632.
        assert_eq!(mapping.compute_cycles, Cycles(1008 + 420));
        let kinds: heapless::Vec<Loss, { crate::mapping::MAX_LOSSES }> =
            mapping.losses.iter().map(|lost| lost.loss).collect();
        assert_eq!(kinds, [Loss::EdgeTiles, Loss::Padding, Loss::Waves, Loss::FillDrain]);
        let left: heapless::Vec<f32, { crate::mapping::MAX_LOSSES }> =
            mapping.losses.iter().map(|lost| lost.left).collect();
        // 200 · 72 of 224 · 80, 100 of 112, 35 of 36 blocks.
        assert!(close(left[0], 14_400.0 / 17_920.0) && close(left[1], 100.0 / 112.0) && close(left[2], 35.0 / 36.0));
        assert!(close(left[3], 1008.0 / 1428.0));
        // A 40000 bytes for 5 columns, B 14400 for 7 rows, C 28800.
        assert_eq!(mapping.traffic[1], Bytes(5 * 40_000 + 7 * 14_400 + 28_800));
        Ok(())
    })
}

#[test]
fn long_sums_are_split() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(16, 16, 1 << 16), machine)?;
        // One tile of 16 × 16, its sum in 16 parts of 128 slices: 4 blocks of one warp on each multiprocessor. A slice is
        // 16 · 16 · 32 / 512 = 16 cycles, its fragments (16 + 16) · 64 / 128 = 16 too. 128 · 4 · 16; first slices of 16 · 32 · 64 bytes
        // at 256 a cycle: 128; the parts, 256 sums of 4 bytes, written and read: 2 · 16 · 1024 / 256 = 128.
        assert_eq!(mapping.compute_cycles, Cycles(8192 + 128 + 128));
        assert!(close(mapping.utilization, 8192.0 / 8448.0));
        // A and B 2 MiB each, C 512 bytes, the parts.
        assert_eq!(mapping.traffic[1..3], [Bytes((4 << 20) + 512 + 32_768), Bytes((4 << 20) + 512)]);
        Ok(())
    })
}

#[test]
fn a_wave_that_is_not_full_leaves_multiprocessors_without_blocks() -> Result<(), Error> {
    on(|machine| {
        let groups = |groups| LoopNest::new(Loops::Gemm(Gemm { m: 384, n: 384, k: 32, groups }), FP16);
        // 2 · 9 tiles of 128 × 128, one slice each: 5 waves of 1024, and first slices of 18 · 256 · 64 bytes at 256 a cycle, 1152. With
        // tiles of 128 × 64, 9 waves of 512, but 36 · 192 · 64 / 256 = 1728.
        let mapping = GPU.product(&groups(2), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(5 * 1024 + 1152));
        let [Lost { loss: Loss::Waves, left }, _] = *mapping.losses else { panic!("{:?}", mapping.losses) };
        assert!(close(left, 18.0 / 20.0));
        Ok(())
    })
}

#[test]
fn an_attention_is_one_kernel_where_its_heads_fit() -> Result<(), Error> {
    on(|machine| {
        let attention = |groups, m, n, d| {
            let loops = Loops::Attention(AttentionLoops { groups, m, n, d, d_v: d });
            LoopNest { weighted: false, ..LoopNest::new(loops, FP16) }
        };
        let mapping = GPU.product(&attention(8, 256, 200, 64), machine)?;
        // 32 queries × 16 keys: 8 · 8 blocks, 16 on each multiprocessor, 13 slices of 16 keys, 32 · 16 · (64 + 64) / 512 = 128
        // cycles each; queries and first keys of 64 · (32 · 64 + 16 · 128) · 2 bytes at 256 a cycle: 2048. Blocks of 128 × 32 have
        // fewer of these, 1536, but 7 slices of 32 keys: 7 · 4 · 1024 = 28672.
        assert_eq!(mapping.compute_cycles, Cycles(13 * 16 * 128 + 2048));
        // Queries and result 262144 bytes each, keys and values 409600 for each of 8 blocks of a head, of one warp.
        assert_eq!(mapping.traffic[..2], [Bytes(524_288 + 8 * 409_600); 2]);

        // Heads of 4096: 2 · 16 · 8192 · 2 bytes of keys and values are more than 164 KiB. As two products with the scores between
        // them in the L2: written once, 16 · 16 · 2 bytes, and read by the tiles of the second.
        let deep = attention(1, 16, 16, 4096);
        let mapping = GPU.product(&deep, machine)?;
        let compulsory = Traffic::compulsory(&deep)?.total()?;
        assert_eq!(mapping.traffic[2], compulsory);
        assert!(mapping.traffic[1].0 >= compulsory.0 + 1024, "{mapping:?}");
        Ok(())
    })
}

#[test]
fn depthwise_convolutions_and_streams_run_on_the_lanes() -> Result<(), Error> {
    on(|machine| {
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
        // 3200 outputs of 9 taps: 7200 MACs on each multiprocessor, 113 cycles on 64 lanes. But 800 threads of 2048: 9 taps one
        // after the other, each as long as 2048 / 64 = 32 cycles.
        let mapping = GPU.product(&LoopNest::new(Loops::Conv(conv), FP16), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles(288));
        assert!(close(mapping.utilization, 28_800.0 / (2048.0 * 288.0)));
        let stream = |flops, elements| Stream {
            read: Bytes(2 * elements),
            weights: Bytes::ZERO,
            written: Bytes(2 * elements),
            flops: Flops(flops),
            elements,
            homes: Homes::COLD,
        };
        // 250000 FLOPs on each multiprocessor, 64 a cycle: 3907. Of 1000 elements 2 operations one after the other: 64.
        assert_eq!(GPU.stream(&stream(1_000_000, 500_000), machine)?.compute_cycles, Cycles(3907));
        assert_eq!(GPU.stream(&stream(2000, 1000), machine)?.compute_cycles, Cycles(64));
        assert_eq!(GPU.stream(&stream(2000, 1000), machine)?.traffic[..3], [Bytes(4000); 3]);
        Ok(())
    })
}

#[test]
fn a_tile_must_fit() -> Result<(), Error> {
    on(|machine| {
        let none = Gpu { registers: Bytes(1024), ..GPU };
        let conv = ConvLoops {
            batch: 1,
            groups: 1,
            c_in: 16,
            c_out: 64,
            input: [1, 10, 10],
            output: [1, 8, 8],
            kernel: [1, 3, 3],
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
        };
        let nest = LoopNest::new(Loops::Conv(conv), FP16);
        assert_eq!(none.product(&nest, machine).map(|_| ()), Err(Error::Infeasible { level: 0 }));
        Ok(())
    })
}

#[test]
fn a_matrix_vector_product_pads_nothing_to_matrix_instructions() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(1, 4096, 1024), machine)?;
        // On the lanes, 64 MACs a cycle: 128 blocks of 32 columns, 32 on each multiprocessor; a column is ⌈1024 / 32⌉ instructions of
        // a warp and 5 additions, 32 · 37 · 32 / 64 = 592 cycles a block. From shared memory 4 Mi elements of the matrix and as many of
        // the vector, 16 MiB at 128 bytes a cycle from each of four: 32768, more than 32 · 592 = 18944.
        assert_eq!(mapping.compute_cycles, Cycles(32_768));
        // The matrix once, 8 MiB, the vector of 2048 bytes for each block; C.
        assert_eq!(mapping.traffic[1], Bytes((8 << 20) + 128 * 2048 + 8192));
        // DRAM takes longer: 8 MiB at 64 bytes a cycle are 131072 cycles.
        assert_eq!(mapping.traffic[2], Bytes((8 << 20) + 2048 + 8192));
        Ok(())
    })
}

#[test]
fn units_beside_those_with_matrix_instructions_do_not_pad_to_them() -> Result<(), Error> {
    on(|fp16| {
        let machine = Machine::new(fp16.hardware, fp16.thermal_profile, Precision::Fp32)?;
        let nest = LoopNest::new(Loops::Gemm(Gemm { m: 256, n: 256, k: 33, groups: 1 }), ElementSizes::all(4));
        let mapping = GPU.product(&nest, &machine)?;
        // 33 is not padded to 48: no such loss.
        assert!(mapping.losses.iter().all(|lost| lost.loss != Loss::Padding), "{mapping:?}");
        assert!(mapping.utilization > 0.7, "{mapping:?}");
        Ok(())
    })
}
