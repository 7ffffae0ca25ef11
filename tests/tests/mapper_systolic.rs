//! Laws of the mappers of arrays: what must hold of every product on systolic arrays and on a fabric of compute tiles.

use derate_core::Error;
use derate_core::hardware::{Basis, ComputeUnit, Filling, Hardware, MemoryLevel, ThermalProfile};
use derate_core::mapper::systolic::{Dataflow, Systolic};
use derate_core::mapper::tile_fabric::{Engines, TileFabric};
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, Stream, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Flops, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;
use proptest::prelude::*;

/// Compute units of a device by their number, each with a MAC a cycle and element of its array times a power of two,
/// and scratchpads: the bytes of one compute unit's, then those of one that all share.
#[derive(Clone, Debug)]
struct Device {
    rows: u32,
    columns: u32,
    types: Vec<(u32, i32)>,
    private: u64,
    shared: u64,
    scratchpads: usize,
}

impl Device {
    fn rate(&self, doublings: i32) -> f32 {
        self.rows as f32 * self.columns as f32 * 2_f32.powi(doublings)
    }

    /// MACs of all units in a cycle.
    fn peak(&self) -> f64 {
        self.types.iter().map(|&(count, doublings)| f64::from(count) * f64::from(self.rate(doublings))).sum()
    }

    fn with<R>(&self, body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let unit = |&(count, doublings): &(u32, i32)| {
            let rate = MacsPerCycle::new(self.rate(doublings))?;
            Ok(ComputeUnit {
                name: "tiles",
                count,
                clock: Hertz::new(1e9)?,
                macs_per_cycle: PerPrecision::all(Some(rate)),
                energy_per_mac: PerPrecision::all(None),
                basis: Basis::Assumed,
            })
        };
        let units = self.types.iter().map(unit).collect::<Result<Vec<_>, Error>>()?;
        let count: u32 = self.types.iter().map(|&(count, _)| count).sum();
        let bandwidth = BytesPerSecond::new(1e9)?;
        let level = |(instances, capacity)| MemoryLevel {
            instances,
            filling: Filling::Scratchpad,
            ..MemoryLevel::new("level", Bytes(capacity), bandwidth, Basis::Assumed)
        };
        // Larger than all private ones together, as levels are.
        let private = u64::from(count) * self.private;
        let levels = [(count, private), (1, self.shared + 1024 * self.private), (1, 1 << 60)];
        let memory: Vec<_> = levels[2 - self.scratchpads..].iter().copied().map(level).collect();
        let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(None))];
        let hardware = Hardware::new("device", &units, &memory, &profiles, Seconds::ZERO)?;
        body(&Machine::new(&hardware, &profiles[0], Precision::Int8)?)
    }
}

fn device(types: usize) -> impl Strategy<Value = Device> {
    let types = prop::collection::vec((1_u32..40, -2_i32..=4), 1..=types);
    (1_u32..=40, 1_u32..=40, types, 64_u64..1 << 16, 0_u64..1 << 22, 0_usize..=2).prop_map(
        |(rows, columns, types, private, shared, scratchpads)| Device {
            rows,
            columns,
            types,
            private,
            shared,
            scratchpads,
        },
    )
}

/// An array of one of the dataflows, with room for one tile of what stays or, from the fourth on, for two and for partial sums.
fn systolic(device: &Device, kind: usize) -> Systolic {
    let dataflow = [Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary][kind % 3];
    let (held_tiles, accumulators) = if kind < 3 { (1, 0) } else { (2, 32) };
    Systolic { rows: device.rows, columns: device.columns, dataflow, held_tiles, accumulators, vector_lanes: 16 }
}

/// A fabric of so many engines of each kind, and bytes a cycle of each.
fn fabric(device: &Device, [streamers, width, movers, dma]: [u32; 4]) -> TileFabric {
    let engines = |count| Engines { count, bytes_per_cycle: width };
    TileFabric {
        rows: device.rows,
        columns: device.columns,
        streamers: engines(streamers),
        block_movers: engines(movers),
        dma: engines(dma),
    }
}

fn engines() -> impl Strategy<Value = [u32; 4]> {
    [1_u32..8, 1_u32..128, 1_u32..64, 1_u32..64]
}

/// A matrix product; convolutions and attentions on devices without scratchpads.
fn loops() -> impl Strategy<Value = Loops> {
    let gemm = (1_u64..300, 1_u64..300, 1_u64..300, 1_u64..6);
    let gemm = gemm.prop_map(|(m, n, k, groups)| Loops::Gemm(Gemm { m, n, k, groups }));
    let conv = (1_u64..4, 1_u64..6, (1_u64..20, 1_u64..20), 6_u64..30, 1_u64..4, 1_u64..4);
    let conv = conv.prop_map(|(batch, groups, (c_in, c_out), input, kernel, stride)| {
        let output = (input - kernel) / stride + 1;
        Loops::Conv(ConvLoops {
            batch,
            groups,
            c_in,
            c_out,
            input: [1, input, input],
            output: [1, output, output],
            kernel: [1, kernel, kernel],
            stride: [1, stride, stride],
            dilation: [1; 3],
            padding: [0; 3],
        })
    });
    let attention = (1_u64..6, 1_u64..100, 1_u64..100, 1_u64..70, 1_u64..70)
        .prop_map(|(groups, m, n, d, d_v)| Loops::Attention(AttentionLoops { groups, m, n, d, d_v }));
    prop_oneof![4 => gemm, 1 => conv, 1 => attention]
}

fn nest() -> impl Strategy<Value = LoopNest> {
    let sizes = prop_oneof![
        Just(ElementSizes::all(4)),
        Just(ElementSizes { a: 1, b: 1, partial: 4, c: 1 }),
        Just(ElementSizes { a: 2, b: 1, partial: 4, c: 2 }),
    ];
    let home = || prop_oneof![Just(u8::MAX), 0_u8..3];
    (loops(), sizes, [home(), home(), home()], any::<bool>(), 1_u64..4).prop_map(
        |(loops, sizes, [input, weights, output], weighted, repeats)| LoopNest {
            loops,
            sizes,
            homes: Homes { input, weights, output },
            weighted,
            repeats,
        },
    )
}

/// The device, without scratchpads where the loops are not tiled for.
fn fitting(device: Device, nest: &LoopNest) -> Device {
    match nest.loops {
        Loops::Gemm(_) => device,
        Loops::Conv(_) | Loops::Attention(_) => Device { scratchpads: 0, ..device },
    }
}

/// The same at twice the batch.
fn twice(nest: &LoopNest) -> LoopNest {
    let loops = match nest.loops {
        Loops::Gemm(gemm) => Loops::Gemm(Gemm { m: 2 * gemm.m, ..gemm }),
        Loops::Conv(conv) => Loops::Conv(ConvLoops { batch: 2 * conv.batch, ..conv }),
        Loops::Attention(attention) => Loops::Attention(AttentionLoops { groups: 2 * attention.groups, ..attention }),
    };
    LoopNest { loops, ..*nest }
}

fn map(mapper: &impl Mapper, nest: &LoopNest, device: &Device) -> Result<Mapping, Error> {
    device.with(|machine| mapper.product(nest, machine))
}

/// What holds of every mapping of a nest on units that complete `peak` MACs a cycle together.
fn lawful(mapping: &Mapping, nest: &LoopNest, device: &Device, peak: f64) -> Result<(), TestCaseError> {
    let macs = nest.macs()?.0 as f64;
    let cycles = mapping.compute_cycles.0 as f64;
    prop_assert!(cycles * peak >= macs, "{mapping:?}");
    prop_assert!((macs / (cycles * peak) / f64::from(mapping.utilization) - 1.0).abs() < 1e-4, "{mapping:?}");
    let left: f32 = mapping.losses.iter().map(|lost| lost.left).product();
    prop_assert!((left / mapping.utilization - 1.0).abs() < 1e-5, "{mapping:?}");
    prop_assert!(mapping.losses.iter().all(|lost| 0.0 < lost.left && lost.left < 1.0), "{mapping:?}");
    // What lies in the backing store comes from there at least once.
    let Traffic { a, b, c } = Traffic::compulsory(nest)?;
    let b_home = if nest.weighted { nest.homes.weights } else { nest.homes.input };
    let operands = [(a, nest.homes.input), (b, b_home), (c, nest.homes.output)];
    for level in 0..=device.scratchpads {
        let least: u64 =
            operands.iter().filter(|(_, home)| usize::from(*home) >= level).map(|(bytes, _)| bytes.0).sum();
        prop_assert!(mapping.traffic[level].0 >= least, "level {level}: {least} B of {mapping:?}");
    }
    prop_assert!(mapping.traffic[device.scratchpads + 1..].iter().all(|&bytes| bytes == Bytes::ZERO));
    Ok(())
}

proptest! {
    #[test]
    fn no_array_beats_its_peak(device in device(1), nest in nest(), dataflow in 0_usize..6) {
        let device = fitting(device, &nest);
        let Ok(mapping) = map(&systolic(&device, dataflow), &nest, &device) else { return Ok(()) };
        lawful(&mapping, &nest, &device, device.peak())?;
    }

    #[test]
    fn no_fabric_beats_its_peak(device in device(4), nest in nest(), engines in engines()) {
        let device = fitting(device, &nest);
        let Ok(mapping) = map(&fabric(&device, engines), &nest, &device) else { return Ok(()) };
        lawful(&mapping, &nest, &device, device.peak())?;
    }

    /// More arrays; a larger one may take longer to fill.
    #[test]
    fn more_arrays_are_never_slower(device in device(1), nest in nest(), dataflow in 0_usize..6, more in 0_u32..100) {
        let device = fitting(device, &nest);
        let mut larger = device.clone();
        larger.types[0].0 += more;
        let mapper = systolic(&device, dataflow);
        let Ok(before) = map(&mapper, &nest, &device) else { return Ok(()) };
        prop_assert!(map(&mapper, &nest, &larger)?.compute_cycles <= before.compute_cycles);
    }

    /// More tiles of any type with their own scratchpads, or a type more.
    #[test]
    fn more_tiles_are_never_slower(
        device in device(3), nest in nest(), engines in engines(), which in any::<prop::sample::Index>(),
        more in 0_u32..100, new in prop::option::of((1_u32..40, -2_i32..=4)),
    ) {
        let device = fitting(device, &nest);
        let mut larger = device.clone();
        let which = which.index(larger.types.len());
        larger.types[which].0 += more;
        larger.types.extend(new);
        let mapper = fabric(&device, engines);
        let Ok(before) = map(&mapper, &nest, &device) else { return Ok(()) };
        let after = map(&mapper, &nest, &larger)?;
        prop_assert!(after.compute_cycles <= before.compute_cycles, "{before:?}\n{after:?}");
    }

    /// Block movers never bind here: tiles of an inner level are best for those of the outer one, which may suit two
    /// images better.
    #[test]
    fn two_images_are_never_faster_than_one(
        device in device(3), nest in nest(), engines in engines(), dataflow in 0_usize..6,
    ) {
        let device = fitting(device, &nest);
        let array = systolic(&device, dataflow);
        if let Ok(one) = map(&array, &nest, &device) {
            prop_assert!(map(&array, &twice(&nest), &device)?.compute_cycles >= one.compute_cycles);
        }
        let [streamers, width, _, dma] = engines;
        let fabric = fabric(&device, [streamers, width, u32::MAX, dma]);
        if let Ok(one) = map(&fabric, &nest, &device) {
            let two = map(&fabric, &twice(&nest), &device)?;
            prop_assert!(two.compute_cycles >= one.compute_cycles, "{one:?}\n{two:?}");
        }
    }

    #[test]
    fn more_to_stream_is_never_faster(
        device in device(3), bytes in 0_u64..1 << 30, flops in 0_u64..1 << 40, elements in 1_u64..1 << 30,
        engines in engines(),
    ) {
        let stream = Stream {
            read: Bytes(bytes),
            weights: Bytes::ZERO,
            written: Bytes(elements),
            flops: Flops(flops),
            elements,
            homes: Homes::COLD,
        };
        let double = Stream { read: Bytes(2 * bytes), written: Bytes(2 * elements), flops: Flops(2 * flops), ..stream };
        let mappers: [&dyn Mapper; 2] = [&systolic(&device, 0), &fabric(&device, engines)];
        for mapper in mappers {
            let [one, two] = [stream, double].map(|stream| device.with(|machine| mapper.stream(&stream, machine)));
            let (one, two) = (one?, two?);
            prop_assert!(one.compute_cycles <= two.compute_cycles && one.compute_cycles.0 > 0);
            prop_assert_eq!(one.traffic[device.scratchpads], Bytes(bytes + elements));
        }
    }
}
