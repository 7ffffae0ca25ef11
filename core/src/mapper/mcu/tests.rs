//! Kernels computed by hand: every instruction of the tests' loops is counted in the comments.

use super::*;
use crate::hardware::{Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, ThermalProfile};
use crate::nest::{ConvLoops, ElementSizes, Homes};
use crate::shape::PerPrecision;
use crate::units::{BytesPerSecond, Hertz, MacsPerCycle};

const BYTES: ElementSizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };

/// Lends a machine of 100 MHz: SRAM for activations and flash for weights, behind a cache of so many bytes where there
/// is one.
fn with_machine<R>(
    precision: Precision,
    rate: f32,
    cache: u64,
    body: impl FnOnce(&Machine<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let compute = [ComputeUnit {
        name: "core",
        count: 1,
        clock: Hertz::new(100e6)?,
        macs_per_cycle: PerPrecision::all(None).with(precision, Some(MacsPerCycle::new(rate)?)),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Assumed,
    }];
    let level = |name, capacity, bandwidth, filling, holds| -> Result<MemoryLevel<'static>, Error> {
        let level = MemoryLevel::new(name, Bytes(capacity), BytesPerSecond::new(bandwidth)?, Basis::Assumed);
        Ok(MemoryLevel { filling, holds, ..level })
    };
    let mut memory: heapless::Vec<_, 6> = [
        level("SRAM", 64 << 10, 400e6, Filling::Scratchpad, Holds::Activations)?,
        level("flash", 1 << 20, 100e6, Filling::Scratchpad, Holds::Weights)?,
    ]
    .into();
    if cache > 0 {
        memory
            .insert(0, level("cache", cache, 800e6, Filling::Cache, Holds::All)?)
            .map_err(|_| Error::CountOverflow)?;
    }
    let modes = [ThermalProfile::new("run", "none", PerPrecision::all(None))];
    let hardware = Hardware::new("test", &compute, &memory, &modes, Seconds::ZERO)?;
    body(&Machine::new(&hardware, &modes[0], precision)?)
}

fn gemm(m: u64, n: u64, k: u64) -> LoopNest {
    LoopNest::new(Loops::Gemm(Gemm { m, n, k, groups: 1 }), BYTES)
}

/// A convolution of 3×3 taps that keeps the extents.
fn conv(groups: u64, c_in: u64, c_out: u64, extent: u64) -> LoopNest {
    let extents = [1, extent, extent];
    let loops = ConvLoops {
        batch: 1,
        groups,
        c_in,
        c_out,
        input: extents,
        output: extents,
        kernel: [1, 3, 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, 1, 1],
    };
    LoopNest::new(Loops::Conv(loops), BYTES)
}

/// Cycles and the traffic of SRAM and flash of a mapping that keeps the promises of all mappings.
fn checked(mapping: &Mapping, nest: &LoopNest, rate: f32) -> Result<(u64, u64, u64), Error> {
    let [sram, flash, ..] = mapping.traffic;
    let utilization = nest.macs()?.as_f32() / rate / mapping.compute_cycles.as_f32();
    assert!((mapping.utilization - utilization).abs() < 1e-6);
    let product: f32 = mapping.losses.iter().map(|lost| lost.left).product();
    assert!((product - utilization).abs() < 1e-6, "{:?}", mapping.losses);
    Ok((mapping.compute_cycles.0, sram.0, flash.0))
}

#[test]
fn a_fully_connected_layer_by_hand() -> Result<(), Error> {
    // 3 outputs of 6 inputs on a Cortex-M4: a block of two rows, one of a single row; a step of 4 elements, 2 left.
    // Two rows: step: 3 words loaded, 6 extensions, 4 SMLAD; twice 3 byte loads (3 of 4 bytes idle), 2 MLA;
    //   3 trips: 3 counters, 3 branches. Around: 6 settings, 1 branch, 2 stores of a byte, 2 results.
    //   macs 8, arithmetic 6 + 3 + 6 = 15, loads 9, idle 18 + 6 = 24, branches 4, results 2.
    // One row: 2 words, 4 extensions, 2 SMLAD; twice 2 byte loads, 1 MLA; 3 trips; 4 settings.
    //   macs 4, arithmetic 4 + 3 + 4 = 11, loads 6, idle 12 + 3 = 15, branches 4, results 1.
    // 26 + 12 · 1 + 15 · 0.5 + 39 / 4 + 8 · 3 + 3 · 45 = 214.25 cycles.
    let nest = gemm(1, 3, 6);
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M4.product(&nest, machine)?;
        // SRAM: 6 inputs for each block, 3 results. Flash: 18 weights.
        assert_eq!(checked(&mapping, &nest, 2.0)?, (215, 15, 18));
        assert!(!mapping.overlapped);
        Ok(())
    })
}

#[test]
fn a_convolution_of_odd_extents_by_hand() -> Result<(), Error> {
    // 3×3 taps, 3 to 3 channels, 3×3 pixels: 3 rows, 9 columns, sums of 27 = 6 · 4 + 3. Columns: 16 bits.
    // Block 2×2, four times. Step: 4 words of columns, 2 of weights, 8 extensions and packings, 8 SMLAD, 16 − 13 = 3
    //   spills; left: 4 loads (idle 2 · 2 + 2 · 3 = 10), 4 MLA; 9 trips; around: 9 settings, 4 stores, 1 branch.
    //   macs 48 + 12 = 60, arithmetic 48 + 9 + 9 = 66, loads 36 + 12 = 48, idle 30 + 12 = 42, spills 18, branches 10,
    //   results 4.
    // Block 2×1, once: macs 24 + 6 = 30, arithmetic 48 + 9 + 6 = 63, loads 24 + 9 = 33, idle 24 + 6 = 30, branches 10,
    //   results 2.
    // Block 1×2, four times: macs 24 + 6, arithmetic 24 + 9 + 6 = 39, loads 30 + 9 = 39, idle 21 + 6 = 27, branches 10,
    //   results 2.
    // Block 1×1, once: macs 12 + 3, arithmetic 24 + 9 + 4 = 37, loads 18 + 6 = 24, idle 15 + 3 = 18, branches 10,
    //   results 1.
    //   Sum: macs 405, arithmetic 520, loads 405, idle 324, spills 72, branches 100, results 27.
    // Gathering 9 · 9 taps of 3 bytes: each byte a load (idle 3), an addition, a store (idle 2), a counter, a branch;
    //   16 and 3 a tap.
    //   81 · (16 + 6) = 1782 arithmetic, 243 loads, 81 · 15 = 1215 idle, 81 · 6 = 486 branches.
    // 2302 + 405 + 648 · 0.5 + 1539 / 4 + 72 · 2.5 + 586 · 3 + 27 · 45 = 6568.75 cycles.
    let nest = conv(1, 3, 3, 3);
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M4.product(&nest, machine)?;
        // SRAM: 243 gathered bytes, twice as many written, 4 · 108 + 54 + 4 · 108 + 54 = 972 read again, 27 results.
        // Flash: 4 · 54 + 54 + 4 · 27 + 27 = 405.
        assert_eq!(checked(&mapping, &nest, 2.0)?, (6569, 243 + 486 + 972 + 27, 405));
        assert_eq!(mapping.footprint[0], Bytes(2 * 27 * 2));
        assert_eq!(mapping.losses.first().map(|lost| lost.loss), Some(Loss::EdgeTiles));
        Ok(())
    })
}

#[test]
fn a_depthwise_convolution_of_odd_channels_by_hand() -> Result<(), Error> {
    // 3×3 taps, 5 channels, 2×2 pixels on a Cortex-M4: four channels at once and one alone; four pairs of taps and one.
    // Gathering 4 · 9 taps of 5 bytes: a word (1 load, 4 extensions, 2 stores, counter, branch), a byte (load,
    //   addition, store, counter, branch; idle 5), 16 instructions and 3 branches: 36 · 23 = 828 arithmetic, 72 loads,
    //   180 idle, 180 branches.
    // Four channels: a pair of taps: 6 loads, 17 instructions, 4 SMLAD, 3 spills, 1 branch; the last tap: 8 loads
    //   (idle 4 · 3 + 4 · 2), 3 instructions, 4 MLA, 1 branch; around: 10 settings, 4 stores (idle 12), 1 branch.
    //   macs 20, arithmetic 81, loads 32, idle 32, spills 12, branches 6, results 4; for each of 4 pixels.
    // One channel: 9 · (2 loads, idle 5, 3 instructions, 1 MLA, 1 branch), 4 settings, 1 store (idle 3), 1 branch.
    //   macs 9, arithmetic 31, loads 18, idle 48, branches 10, results 1; for each of 4 pixels.
    // (828 + 324 + 124) + (80 + 36) + (72 + 128 + 72) · 0.5 + (180 + 128 + 192) / 4 + 48 · 2.5
    //   + (180 + 24 + 40) · 3 + 20 · 45 = 3405.
    let nest = conv(5, 1, 1, 2);
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M4.product(&nest, machine)?;
        // 180 taps: read once, written and read as 16 bits, their weights read; 20 results.
        assert_eq!(checked(&mapping, &nest, 2.0)?, (3405, 180 + 4 * 180 + 20, 180));
        Ok(())
    })
}

#[test]
fn scalars_floats_and_vectors_by_hand() -> Result<(), Error> {
    // Cortex-M0+, 2×2 sums of 3: each element 4 byte loads (idle 12), 4 MULS and ADDS, 12 − 8 = 4 spills, 4 pointers of
    // 2 instructions, a counter, a branch; around: 9 settings, 4 stores (idle 12), a branch.
    // 36 + 12 · 2 + 12 · 1 + 48 / 4 + 12 · 3 + 4 · 2 + 4 · 100 = 528.
    let nest = gemm(2, 2, 3);
    with_machine(Precision::Int8, 1.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M0_PLUS.product(&nest, machine)?;
        assert_eq!(checked(&mapping, &nest, 1.0)?, (528, 6 + 4, 6));
        // The small multiplier takes 31 cycles more for each of 12 MACs, and 130 for each of 4 results.
        let small = Mcu::CORTEX_M0_PLUS_SMALL.product(&nest, machine)?;
        assert_eq!(small.compute_cycles, Cycles(528 + 12 * 31 + 4 * 130));
        Ok(())
    })?;
    // A float's sum of 4 on a Cortex-M4: 4 · (2 loads, VFMA, counter, branch), 4 settings, 2 clamps, a store, a branch.
    // 10 + 4 · 3 + 8 · 0.5 + 5 · 3 = 41.
    let nest = LoopNest { sizes: ElementSizes::all(4), ..gemm(1, 1, 4) };
    with_machine(Precision::Fp32, 0.5, 0, |machine| {
        assert_eq!(checked(&Mcu::CORTEX_M4.product(&nest, machine)?, &nest, 0.5)?, (41, 16 + 4, 16));
        Ok(())
    })?;
    // Cortex-M55, one row by four columns of 20 elements: two steps of 5 loads, 4 VMLADAVA, a counter; 10 settings, 4
    // stores. max(12 + 8 + 10 + 4, 8 · 2) + 4 · 9 = 70.
    let nest = gemm(4, 1, 20);
    with_machine(Precision::Int8, 8.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M55.product(&nest, machine)?;
        assert_eq!(checked(&mapping, &nest, 8.0)?, (70, 4 * 20 + 4, 20));
        assert!(mapping.overlapped);
        Ok(())
    })
}

#[test]
fn weights_are_read_where_they_lie() -> Result<(), Error> {
    let nest = gemm(6, 4, 64);
    // Two blocks of rows meet three of columns: 3 · 256 weights, 2 · 384 inputs, 24 results.
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        let cold = Mcu::CORTEX_M4.product(&nest, machine)?;
        assert_eq!(cold.traffic[..2], [Bytes(768 + 24), Bytes(768)]);
        let copied = LoopNest { homes: Homes { weights: 0, ..Homes::COLD }, ..nest };
        let copied = Mcu::CORTEX_M4.product(&copied, machine)?;
        assert_eq!(copied.traffic[..2], [Bytes(768 + 768 + 24), Bytes::ZERO]);
        assert_eq!(copied.compute_cycles, cold.compute_cycles);
        Ok(())
    })?;
    // Between two uses of a weight the loop touches 2 · 64 bytes, of an input all 384: a cache of 256 holds the one.
    with_machine(Precision::Int8, 2.0, 256, |machine| {
        let cached = Mcu::CORTEX_M7.product(&nest, machine)?;
        assert_eq!(cached.traffic[..3], [Bytes(768 + 768 + 24), Bytes(768 + 24), Bytes(256)]);
        // Three steps of a recurrent layer: 256 weights stay in the cache from one to the next, 512 are loaded for
        // each.
        for (rows, flash) in [(4, 256), (8, 3 * 512)] {
            let steps = LoopNest { repeats: 3, ..gemm(6, rows, 64) };
            assert_eq!(Mcu::CORTEX_M7.product(&steps, machine)?.traffic[2], Bytes(flash));
        }
        Ok(())
    })
}

#[test]
fn a_product_that_does_not_stay_in_a_cache_runs_in_parts() -> Result<(), Error> {
    // 16 columns of 64 bytes, 16 rows; both operands lie in SRAM behind a cache. It serves 8 blocks of rows all columns,
    // 8 · 1024, and 8 blocks of columns all rows. A cache of 1024 holds the columns: 1024 bytes of each. One of 1023 holds
    // 14 in blocks of two: two parts, the rows twice.
    for (cache, sram) in [(1024, 1024 + 1024), (1023, 1024 + 2 * 1024), (256, 1024 + 4 * 1024)] {
        with_machine(Precision::Int8, 2.0, cache, |machine| {
            let nest = LoopNest { weighted: false, ..gemm(16, 16, 64) };
            let mapping = Mcu::CORTEX_M7.product(&nest, machine)?;
            assert_eq!(mapping.traffic[..2], [Bytes(2 * 8192 + 256), Bytes(sram + 256)]);
            Ok(())
        })?;
    }
    // Rows that are fewer than the parts: in its order, the columns for each of two blocks of rows.
    with_machine(Precision::Int8, 2.0, 128, |machine| {
        let nest = LoopNest { weighted: false, ..gemm(16, 4, 64) };
        let sram = Mcu::CORTEX_M7.product(&nest, machine)?.traffic[1];
        assert_eq!(sram, Bytes(2 * 1024 + 256 + 64));
        Ok(())
    })
}

#[test]
fn a_stream_moves_its_bytes() -> Result<(), Error> {
    // 8 sums of two bytes, 3 FLOPs each: 16 loads (idle 48), 8 stores (idle 24), 24 additions, 8 counters and branches,
    // 8 results. 32 + 16 · 0.5 + 72 / 4 + 8 · 3 + 8 · 45 = 442.
    let stream = Stream {
        read: Bytes(16),
        weights: Bytes::ZERO,
        written: Bytes(8),
        flops: crate::units::Flops(24),
        elements: 8,
        homes: Homes::COLD,
    };
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        let mapping = Mcu::CORTEX_M4.stream(&stream, machine)?;
        assert_eq!(
            (mapping.compute_cycles, mapping.traffic[0], mapping.traffic[1]),
            (Cycles(442), Bytes(24), Bytes(0))
        );
        Ok(())
    })
}

#[test]
fn counts_that_overflow_are_refused() -> Result<(), Error> {
    with_machine(Precision::Int8, 2.0, 0, |machine| {
        for nest in [gemm(1 << 40, 1 << 40, 1), conv(1, 1 << 40, 1 << 40, 3), conv(1 << 62, 1, 1, 9)] {
            assert_eq!(Mcu::CORTEX_M4.product(&nest, machine).map(|_| ()), Err(Error::CountOverflow));
        }
        Ok(())
    })
}
