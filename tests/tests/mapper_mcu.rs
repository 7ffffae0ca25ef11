//! Laws of the microcontroller mapper, on random products: never above the peak, never faster for more work, no byte
//! that must move forgotten.

use derate_core::Error;
use derate_core::hardware::{Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, ThermalProfile};
use derate_core::mapper::mcu::Mcu;
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;
use proptest::prelude::*;

/// Cores, with the MACs a cycle of integers and floats that their instructions give at most.
const CORES: [(Mcu, f32, f32); 10] = [
    (Mcu::CORTEX_M0_PLUS, 0.5, 0.004),
    (Mcu::CORTEX_M0_PLUS_SMALL, 0.03, 0.004),
    (Mcu::CORTEX_M3, 0.5, 0.012),
    (Mcu::CORTEX_M4, 2.0, 0.5),
    (Mcu::CORTEX_M33, 2.0, 0.5),
    (Mcu::CORTEX_M7, 2.0, 1.0),
    (Mcu::CORTEX_M55, 8.0, 2.0),
    (Mcu::CORTEX_M85, 8.0, 2.0),
    (Mcu::RV32IMC, 0.5, 0.009),
    (Mcu::RV32IMAFC_PACKED, 4.0, 1.0),
];

/// Maps a nest on a core of 100 MHz; with the mapping its seconds, moves beside arithmetic or after it.
fn map(
    nest: &LoopNest,
    (core, int8, fp32): (Mcu, f32, f32),
    precision: Precision,
    cache: u64,
) -> Result<(Mapping, f32), Error> {
    let rates = PerPrecision::all(None)
        .with(Precision::Int8, Some(MacsPerCycle::new(int8)?))
        .with(Precision::Fp32, Some(MacsPerCycle::new(fp32)?));
    let compute = [ComputeUnit {
        name: "core",
        count: 1,
        clock: Hertz::new(100e6)?,
        macs_per_cycle: rates,
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Assumed,
    }];
    let level = |name, capacity, bandwidth, filling, holds| -> Result<MemoryLevel<'static>, Error> {
        let level = MemoryLevel::new(name, Bytes(capacity), BytesPerSecond::new(bandwidth)?, Basis::Assumed);
        Ok(MemoryLevel { filling, holds, ..level })
    };
    let mut memory = vec![
        level("SRAM", 1 << 20, 400e6, Filling::Scratchpad, Holds::Activations)?,
        level("flash", 1 << 24, 130e6, Filling::Scratchpad, Holds::Weights)?,
    ];
    if cache > 0 {
        memory.insert(0, level("cache", cache, 800e6, Filling::Cache, Holds::All)?);
    }
    let modes = [ThermalProfile::new("run", "none", PerPrecision::all(None))];
    let hardware = Hardware::new("core", &compute, &memory, &modes, Seconds::ZERO)?;
    let machine = Machine::new(&hardware, &modes[0], precision)?;
    let mapping = core.product(nest, &machine)?;
    let moves = memory.iter().zip(&mapping.traffic).map(|(level, &bytes)| (bytes / level.bandwidth).0);
    let arithmetic = (mapping.compute_cycles / machine.clock).0;
    let time = if mapping.overlapped { moves.fold(arithmetic, f32::max) } else { arithmetic + moves.sum::<f32>() };
    Ok((mapping, time))
}

fn sizes(bytes: u64) -> ElementSizes {
    ElementSizes { partial: 4, ..ElementSizes::all(bytes) }
}

fn loops() -> impl Strategy<Value = Loops> {
    let gemm =
        (1_u64..40, 1_u64..40, 1_u64..80, 1_u64..4).prop_map(|(m, n, k, groups)| Loops::Gemm(Gemm { m, n, k, groups }));
    let attention = (1_u64..4, 1_u64..20, 1_u64..20, 1_u64..20, 1_u64..20)
        .prop_map(|(groups, m, n, d, d_v)| Loops::Attention(AttentionLoops { groups, m, n, d, d_v }));
    let conv = (
        1_u64..3,
        1_u64..9,
        1_u64..9,
        1_u64..9,
        prop::array::uniform2(1_u64..12),
        prop::array::uniform2(1_u64..4),
        1_u64..3,
    )
        .prop_map(|(batch, groups, c_in, c_out, output, kernel, stride)| {
            // Without padding: the input is what the windows span.
            let input = [0, 1].map(|i| (output[i] - 1) * stride + kernel[i]);
            Loops::Conv(ConvLoops {
                batch,
                groups,
                c_in,
                c_out,
                input: [1, input[0], input[1]],
                output: [1, output[0], output[1]],
                kernel: [1, kernel[0], kernel[1]],
                stride: [1, stride, stride],
                dilation: [1; 3],
                padding: [0; 3],
            })
        });
    let depthwise = conv.clone().prop_map(|loops| match loops {
        Loops::Conv(conv) => Loops::Conv(ConvLoops { groups: conv.groups + 1, c_in: 1, c_out: 1, ..conv }),
        other => other,
    });
    prop_oneof![gemm, attention, conv, depthwise]
}

/// Bytes of a cache, 0 for none.
fn caches() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0, 256, 16 << 10])
}

/// The same for twice as many images, rows or heads.
fn twice(loops: Loops) -> Loops {
    match loops {
        Loops::Gemm(gemm) => Loops::Gemm(Gemm { m: 2 * gemm.m, ..gemm }),
        Loops::Conv(conv) => Loops::Conv(ConvLoops { batch: 2 * conv.batch, ..conv }),
        Loops::Attention(attention) => Loops::Attention(AttentionLoops { groups: 2 * attention.groups, ..attention }),
    }
}

proptest! {
    #[test]
    fn a_mapping_keeps_its_promises(
        loops in loops(), core in 0..CORES.len(), float in any::<bool>(), cache in caches(),
    ) {
        let (precision, size) = if float { (Precision::Fp32, 4) } else { (Precision::Int8, 1) };
        let weighted = !matches!(loops, Loops::Attention(_));
        let nest = LoopNest { weighted, ..LoopNest::new(loops, sizes(size)) };
        let (mapping, _) = map(&nest, CORES[core], precision, cache).expect("maps");
        let rate = if float { CORES[core].2 } else { CORES[core].1 };
        let least = nest.macs().expect("counts").as_f32() / rate;
        prop_assert!(mapping.compute_cycles.as_f32() >= least * (1.0 - 1e-6));
        prop_assert!((mapping.utilization - least / mapping.compute_cycles.as_f32()).abs() < 1e-5);
        let product: f32 = mapping.losses.iter().map(|lost| lost.left).product();
        prop_assert!((product - mapping.utilization).abs() < 1e-5);
        prop_assert!(mapping.losses.iter().all(|lost| lost.left > 0.0 && lost.left <= 1.0));
        // Every element of an operand passes its home.
        let bytes = Traffic::compulsory(&nest).expect("counts");
        let first = usize::from(cache > 0);
        let [sram, flash] = [mapping.traffic[first], mapping.traffic[first + 1]];
        let (weights, inputs) = if weighted { (bytes.b.0, bytes.a.0) } else { (0, bytes.a.0 + bytes.b.0) };
        let activations = inputs + bytes.c.0;
        prop_assert!(flash.0 >= weights && sram.0 >= activations, "{:?} {bytes:?}", mapping.traffic);
        prop_assert!(weighted || flash == Bytes::ZERO);
    }

    #[test]
    fn more_is_never_faster(
        loops in loops(), core in 0..CORES.len(), float in any::<bool>(), cache in caches(),
    ) {
        let (precision, size) = if float { (Precision::Fp32, 4) } else { (Precision::Int8, 1) };
        let [once, both] = [loops, twice(loops)].map(|loops| {
            map(&LoopNest::new(loops, sizes(size)), CORES[core], precision, cache).expect("maps")
        });
        prop_assert!(both.0.compute_cycles >= once.0.compute_cycles);
        prop_assert!(both.1 >= once.1 * (1.0 - 1e-6));
    }

    /// Sums of 32 and more: below, scaling a result to 8 bits takes longer than a float's few MACs.
    #[test]
    fn bytes_are_no_slower_than_floats(m in 1_u64..20, n in 1_u64..20, k in 32_u64..200, core in 0..CORES.len()) {
        let loops = Loops::Gemm(Gemm { m, n, k, groups: 1 });
        let [bytes, floats] = [(1, Precision::Int8), (4, Precision::Fp32)].map(|(size, precision)| {
            map(&LoopNest::new(loops, sizes(size)), CORES[core], precision, 0).expect("maps").1
        });
        prop_assert!(bytes <= floats, "{bytes} {floats}");
    }

    #[test]
    fn copied_weights_leave_flash_alone(loops in loops(), core in 0..CORES.len()) {
        let nest = LoopNest::new(loops, sizes(1));
        let copied = LoopNest { homes: Homes { weights: 0, ..Homes::COLD }, ..nest };
        let (cold, cold_time) = map(&nest, CORES[core], Precision::Int8, 0).expect("maps");
        let (warm, warm_time) = map(&copied, CORES[core], Precision::Int8, 0).expect("maps");
        prop_assert_eq!(warm.compute_cycles, cold.compute_cycles);
        prop_assert_eq!(warm.traffic[1], Bytes::ZERO);
        prop_assert_eq!(warm.traffic[0].0, cold.traffic[0].0 + cold.traffic[1].0);
        // Where moves overlap, those of one level could take longer than of two side by side.
        prop_assert!(warm.overlapped || warm_time <= cold_time * (1.0 + 1e-6));
    }
}
