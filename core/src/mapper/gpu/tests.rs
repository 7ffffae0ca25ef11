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
        // Tiles of 128 × 128: 64 blocks, 16 on each multiprocessor, in 32 slices of 32. A slice is 128 · 128 · 32 / 512 = 1024
        // cycles of multiplies; its fragments, (128 · 2 + 128 · 2) · 64 bytes at 128 a cycle, 256. Registers hold two blocks,
        // 2 · (65536 bytes of sums + 32768 of fragments): 8 times a first slice. 32 · 16 · 1024 + 8 · 1024.
        assert_eq!(mapping.compute_cycles, Cycles(532_480));
        let [Lost { loss: Loss::FillDrain, left }] = *mapping.losses else { panic!("{:?}", mapping.losses) };
        assert!(close(left, 64.0 / 65.0) && close(mapping.utilization, 64.0 / 65.0));
        // Operands are 2 MiB. A for 8 columns of tiles, B for 8 rows, C: 17 times 2 MiB; each by two warps: 33 times. The L2 holds
        // A and a slice of the others: each once from DRAM.
        assert_eq!(mapping.traffic[..3], [Bytes(33 << 21), Bytes(17 << 21), Bytes(3 << 21)]);
        // Two blocks of two slices of (128 + 128) · 32 elements.
        assert_eq!(mapping.footprint[0], Bytes(2 * 2 * 256 * 64));
        assert_eq!(mapping.setup, Seconds(3e-6));
        Ok(())
    })
}

#[test]
fn small_products_take_small_tiles_and_pad_them() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(200, 72, 100), machine)?;
        // Tiles of 64 × 32: 4 · 3 blocks, 3 on each multiprocessor, 4 slices of 32; a slice is 64 · 32 · 32 / 512 = 128 cycles:
        // 4 · 3 · 128, and one first slice.
        assert_eq!(mapping.compute_cycles, Cycles(1664));
        let kinds: heapless::Vec<Loss, { crate::mapping::MAX_LOSSES }> =
            mapping.losses.iter().map(|lost| lost.loss).collect();
        assert_eq!(kinds, [Loss::EdgeTiles, Loss::Padding, Loss::FillDrain]);
        let left: heapless::Vec<f32, { crate::mapping::MAX_LOSSES }> =
            mapping.losses.iter().map(|lost| lost.left).collect();
        // 200 · 72 of 256 · 96, 100 of 128, 12 of 13.
        assert!(close(left[0], 0.585_937_5) && close(left[1], 0.781_25) && close(left[2], 12.0 / 13.0));
        // A 40000 bytes for 3 columns, B 14400 for 4 rows, C 28800.
        assert_eq!(mapping.traffic[1], Bytes(3 * 40_000 + 4 * 14_400 + 28_800));
        Ok(())
    })
}

#[test]
fn long_sums_are_split() -> Result<(), Error> {
    on(|machine| {
        let mapping = GPU.product(&gemm(16, 16, 1 << 16), machine)?;
        // One tile of 16 × 16, its sum in 16 parts of 128 slices: 4 blocks of one warp on each multiprocessor. A slice is
        // 16 · 16 · 32 / 512 = 16 cycles, its fragments (16 + 16) · 64 / 128 = 16 too. 128 · 4 · 16 + 16; the parts, 256 sums of
        // 4 bytes, written and read at 256 bytes a cycle: 2 · 16 · 1024 / 256 = 128.
        assert_eq!(mapping.compute_cycles, Cycles(8192 + 16 + 128));
        assert!(close(mapping.utilization, 8192.0 / 8336.0));
        // A and B 2 MiB each, C 512 bytes, the parts.
        assert_eq!(mapping.traffic[1..3], [Bytes((4 << 20) + 512 + 32_768), Bytes((4 << 20) + 512)]);
        Ok(())
    })
}

#[test]
fn a_wave_that_is_not_full_leaves_multiprocessors_without_blocks() -> Result<(), Error> {
    on(|machine| {
        let groups = |groups| LoopNest::new(Loops::Gemm(Gemm { m: 384, n: 384, k: 32, groups }), FP16);
        // 2 · 9 tiles of 128 × 128, one slice each; with tiles of a fourth there would be 72 blocks, which are not few. 5 waves of
        // 1024, and ⌈5 / 2⌉ first slices.
        let mapping = GPU.product(&groups(2), machine)?;
        assert_eq!(mapping.compute_cycles, Cycles((5 + 3) * 1024));
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
        // 128 queries × 32 keys: 8 · 2 blocks, 4 on each multiprocessor, 7 slices of 32 keys, 128 · 32 · (64 + 64) / 512 = 1024
        // cycles each; one first slice.
        assert_eq!(mapping.compute_cycles, Cycles(7 * 4 * 1024 + 1024));
        // Queries and result 262144 bytes each, keys and values 409600 for each of two blocks; each of 4 warps reads these.
        assert_eq!(mapping.traffic[..2], [Bytes(524_288 + 8 * 409_600), Bytes(524_288 + 2 * 409_600)]);

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
        assert_eq!(none.product(&gemm(64, 64, 64), machine).map(|_| ()), Err(Error::Infeasible { level: 0 }));
        Ok(())
    })
}
