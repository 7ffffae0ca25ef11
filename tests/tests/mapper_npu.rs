//! Laws of the mappers of neural processors, dataflow processors and reconfigurable arrays: what must hold of every product on every
//! geometry, cut by the tiler where its operands are cold.

use derate_core::Error;
use derate_core::hardware::{Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, ThermalProfile};
use derate_core::mapper::cgra::Cgra;
use derate_core::mapper::dpu::Dpu;
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::npu::Npu;
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;
use proptest::prelude::*;

/// What rounding of 32 bits may cost.
const ROUNDING: f32 = 1e-5;

/// A device as plain numbers: MACs a cycle of a unit, its units, and the scratchpads inside the last level.
#[derive(Clone, Debug)]
struct Device {
    macs_per_cycle: f32,
    count: u32,
    levels: Vec<(u64, Holds)>,
}

impl Device {
    fn with<R>(&self, body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let rate = Some(MacsPerCycle::new(self.macs_per_cycle)?);
        let compute = [ComputeUnit {
            name: "unit",
            count: self.count,
            clock: Hertz::new(1e9)?,
            macs_per_cycle: PerPrecision::all(None).with(Precision::Int8, rate),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Assumed,
        }];
        let bandwidth = BytesPerSecond::new(1e9)?;
        let memory: Vec<MemoryLevel<'_>> = self
            .levels
            .iter()
            .chain([&(1 << 40, Holds::All)])
            .map(|&(bytes, holds)| MemoryLevel {
                filling: Filling::Scratchpad,
                holds,
                ..MemoryLevel::new("level", Bytes(bytes), bandwidth, Basis::Assumed)
            })
            .collect();
        let profiles = [ThermalProfile::new("default", "unknown", PerPrecision::all(None))];
        let hardware = Hardware::new("device", &compute, &memory, &profiles, Seconds::ZERO)?;
        body(&Machine::new(&hardware, &profiles[0], Precision::Int8)?)
    }
}

/// A geometry of any of the three kinds.
#[derive(Clone, Copy, Debug)]
enum Geometry {
    Npu(Npu),
    Dpu(Dpu),
    Cgra(Cgra),
}

impl Geometry {
    fn mapper(&self) -> &dyn Mapper {
        match self {
            Self::Npu(npu) => npu,
            Self::Dpu(dpu) => dpu,
            Self::Cgra(cgra) => cgra,
        }
    }

    /// MACs that one unit does in a cycle, all lanes full.
    fn macs_per_cycle(&self) -> u64 {
        match self {
            // Steps of as many cycles as there are taps in one.
            Self::Npu(npu) => npu.dense.rows * npu.dense.columns * npu.dense.c_in * npu.dense.c_out,
            Self::Dpu(dpu) => dpu.pixels * dpu.c_in * dpu.c_out,
            Self::Cgra(cgra) => cgra.rows * cgra.columns,
        }
    }
}

fn npu() -> impl Strategy<Value = Geometry> {
    let lanes = (1_u64..=4, 1_u64..=4, 1_u64..=16, 1_u64..=4, 1_u64..=64);
    let depthwise = prop::option::of((1_u64..=4, 1_u64..=32));
    let limits = (prop::option::of(1.0_f32..64.0), prop::option::of(16_u64..16384), prop::option::of(0.25_f32..32.0));
    (lanes, depthwise, limits).prop_map(|((rows, columns, c_in, taps, c_out), depthwise, limits)| {
        let dense = Lanes { rows, columns, c_in, taps, c_out, share: 1.0 };
        let depthwise = depthwise.map(|(columns, channels)| {
            let share = (columns * channels) as f32 / (rows * dense.columns * c_in * c_out) as f32;
            Lanes { rows: 1, columns, c_in: 1, taps, c_out: channels, share: share.min(1.0) }
        });
        let (weights_per_cycle, accumulators, output) = limits;
        Geometry::Npu(Npu {
            dense,
            depthwise,
            weights_per_cycle,
            accumulators,
            output,
            rates: Rates { elementwise: 1.0, window: 1.0 },
            stored_weights: 1.0,
            setup_cycles: 100,
        })
    })
}

fn geometry() -> impl Strategy<Value = Geometry> {
    let dpu = (1_u64..=8, 1_u64..=16, 1_u64..=16, 1_u64..=8).prop_map(|(pixels, c_in, c_out, alu)| {
        Geometry::Dpu(Dpu { pixels, c_in, c_out, alu_pixels: alu.min(pixels), setup_cycles: 100 })
    });
    let cgra = (1_u64..=8, 1_u64..=8, 1_u64..=4, 0_u64..100).prop_map(|(rows, columns, interval, pipeline)| {
        Geometry::Cgra(Cgra {
            rows,
            columns,
            initiation_interval: interval,
            pipeline_cycles: pipeline,
            reconfiguration_cycles: 100,
        })
    });
    prop_oneof![2 => npu(), 1 => dpu, 1 => cgra]
}

fn homes() -> impl Strategy<Value = Homes> {
    let home = || prop_oneof![Just(0_u8), Just(1), Just(u8::MAX)];
    let mixed = (home(), home(), home()).prop_map(|(input, weights, output)| Homes { input, weights, output });
    prop_oneof![Just(Homes::COLD), mixed]
}

fn nest() -> impl Strategy<Value = LoopNest> {
    let extent = || 1_u64..100;
    let gemm = (extent(), extent(), extent(), 1_u64..4)
        .prop_map(|(m, n, k, groups)| (Loops::Gemm(Gemm { m, n, k, groups }), true));
    let attention = (1_u64..8, extent(), extent(), 1_u64..65, 1_u64..65)
        .prop_map(|(groups, m, n, d, d_v)| (Loops::Attention(AttentionLoops { groups, m, n, d, d_v }), false));
    let conv = (1_u64..3, prop_oneof![Just(1_u64), 1_u64..40], 1_u64..40, 1_u64..40, 1_u64..20, 1_u64..20, 1_u64..6)
        .prop_map(|(batch, groups, c_in, c_out, rows, columns, kernel)| {
            let [c_in, c_out] = if groups > 1 { [1 + c_in % 2, 1 + c_out % 2] } else { [c_in, c_out] };
            (conv(batch, groups, [c_in, c_out], [rows, columns], kernel), true)
        });
    let loops = prop_oneof![2 => gemm, 1 => attention, 3 => conv];
    let sizes = ElementSizes { partial: 4, ..ElementSizes::all(1) };
    (loops, homes(), 1_u64..3).prop_map(move |((loops, weighted), homes, repeats)| LoopNest {
        loops,
        sizes,
        homes,
        weighted,
        repeats,
    })
}

fn conv(batch: u64, groups: u64, [c_in, c_out]: [u64; 2], [rows, columns]: [u64; 2], kernel: u64) -> Loops {
    Loops::Conv(ConvLoops {
        batch,
        groups,
        c_in,
        c_out,
        input: [1, rows + kernel - 1, columns + kernel - 1],
        output: [1, rows, columns],
        kernel: [1, kernel, kernel],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
    })
}

/// Scratchpads of growing size, the first perhaps for one kind of operand.
fn levels() -> impl Strategy<Value = Vec<(u64, Holds)>> {
    let holds = prop_oneof![2 => Just(Holds::All), 1 => Just(Holds::Activations)];
    (64_u64..1 << 18, holds, prop::option::of(2_u64..64)).prop_map(|(bytes, holds, larger)| {
        let mut levels = vec![(bytes, holds)];
        levels.extend(larger.map(|larger| (bytes * larger, Holds::All)));
        levels
    })
}

fn map(geometry: &Geometry, nest: &LoopNest, device: &Device) -> Mapping {
    let mapping = device.with(|machine| geometry.mapper().product(nest, machine));
    mapping.unwrap_or_else(|error| panic!("{error}: {geometry:?} {nest:?}"))
}

fn device(geometry: &Geometry, rate: f32, count: u32, levels: Vec<(u64, Holds)>) -> Device {
    Device { macs_per_cycle: geometry.macs_per_cycle() as f32 * rate, count, levels }
}

/// The same product on twice as many images or rows.
fn doubled(nest: &LoopNest) -> LoopNest {
    let loops = match nest.loops {
        Loops::Gemm(loops) => Loops::Gemm(Gemm { m: 2 * loops.m, ..loops }),
        Loops::Conv(loops) => Loops::Conv(ConvLoops { batch: 2 * loops.batch, ..loops }),
        Loops::Attention(loops) => Loops::Attention(AttentionLoops { groups: 2 * loops.groups, ..loops }),
    };
    LoopNest { loops, ..*nest }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No unit does more than its MACs a cycle; what the losses leave multiplies to the utilization.
    #[test]
    fn never_faster_than_full_lanes(
        geometry in geometry(), nest in nest(), count in 1_u32..5, levels in levels(),
        rate in prop_oneof![Just(0.5_f32), Just(1.0), Just(2.0), 0.1_f32..4.0],
    ) {
        let device = device(&geometry, rate, count, levels);
        let mapping = map(&geometry, &nest, &device);
        let macs = nest.macs().expect("small").as_f32();
        let least = macs / (f32::from(u16::try_from(count).expect("small")) * device.macs_per_cycle);
        let cycles = mapping.compute_cycles.as_f32();
        prop_assert!(cycles >= least * (1.0 - ROUNDING), "{cycles} < {least}: {mapping:?}");
        prop_assert!((mapping.utilization - least / cycles).abs() <= ROUNDING, "{mapping:?}");
        let left: f32 = mapping.losses.iter().map(|lost| lost.left).product();
        prop_assert!((left - mapping.utilization).abs() <= ROUNDING, "{mapping:?}");
        prop_assert!(mapping.losses.iter().all(|lost| lost.left > 0.0 && lost.left <= 1.0), "{mapping:?}");
    }

    #[test]
    fn more_units_are_never_slower(geometry in geometry(), nest in nest(), count in 1_u32..9, more in 1_u32..5) {
        let nest = LoopNest { homes: Homes { input: 0, weights: 0, output: 0 }, ..nest };
        let levels = vec![(1 << 20, Holds::All)];
        let few = map(&geometry, &nest, &device(&geometry, 1.0, count, levels.clone()));
        let many = map(&geometry, &nest, &device(&geometry, 1.0, count + more, levels));
        // The open block is computed in 32 bits.
        let slack = few.compute_cycles.0 / 1_000_000 + 1;
        // A way of more cycles is taken where it moves less, and moves are all of the time.
        let moves_less = many.traffic[0] < few.traffic[0];
        prop_assert!(moves_less || many.compute_cycles.0 <= few.compute_cycles.0 + slack, "{few:?} {many:?}");
    }

    #[test]
    fn twice_the_batch_is_never_faster(geometry in geometry(), nest in nest(), count in 1_u32..5) {
        let nest = LoopNest { homes: Homes { input: 0, weights: 0, output: 0 }, ..nest };
        let device = device(&geometry, 1.0, count, vec![(1 << 20, Holds::All)]);
        let one = map(&geometry, &nest, &device);
        let two = map(&geometry, &doubled(&nest), &device);
        let slack = one.compute_cycles.0 / 1_000_000 + 1;
        prop_assert!(two.compute_cycles.0 + slack >= one.compute_cycles.0, "{one:?} {two:?}");
    }

    /// Each operand comes from its home at least once, and passes no level beyond.
    #[test]
    fn traffic_is_at_least_compulsory(geometry in geometry(), nest in nest(), levels in levels()) {
        let last = levels.len();
        let mapping = map(&geometry, &nest, &device(&geometry, 1.0, 1, levels));
        let once = Traffic::compulsory(&nest).expect("small");
        // Keys and values lie with the other activations.
        let b = if nest.weighted { nest.homes.weights } else { nest.homes.input };
        let operands = [(nest.homes.input, once.a), (b, once.b), (nest.homes.output, once.c)];
        for level in 0..=last {
            let home = |home: u8| usize::from(home).min(last);
            let from_here: u64 = operands.iter().filter(|(at, _)| home(*at) == level).map(|(_, bytes)| bytes.0).sum();
            prop_assert!(mapping.traffic[level].0 >= from_here, "level {level}: {from_here} of {:?}", mapping.traffic);
            if operands.iter().all(|(at, _)| home(*at) < level) {
                prop_assert_eq!(mapping.traffic[level], Bytes::ZERO);
            }
        }
    }
}

/// Cold operands are tiled where a tile fits: a level without one would pass the laws above.
#[test]
fn a_cold_product_is_tiled() {
    let loops = Loops::Gemm(Gemm { m: 256, n: 256, k: 256, groups: 1 });
    let nest = LoopNest::new(loops, ElementSizes { partial: 4, ..ElementSizes::all(1) });
    let geometry = Geometry::Dpu(Dpu { pixels: 8, c_in: 16, c_out: 16, alu_pixels: 4, setup_cycles: 0 });
    let device = device(&geometry, 1.0, 1, vec![(1 << 14, Holds::All)]);
    let mapping = map(&geometry, &nest, &device);
    let tiling = mapping.tiling.expect("cold operands are tiled");
    let crossing = tiling.levels[0].traffic.total().expect("small");
    // Level 1 serves what crosses into level 0; three operands of 64 KiB each do not fit 16 KiB, so that some come again.
    assert_eq!(mapping.traffic[1], crossing);
    assert!(crossing.0 > 3 * (1 << 16), "{crossing}");
    assert_eq!(mapping.footprint[0], tiling.levels[0].footprint);
}
