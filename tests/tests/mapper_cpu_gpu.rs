//! Laws of the mappers of processors and graphics processors: what holds of every nest on every device of the kind.

use derate_core::Error;
use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, ThermalProfile};
use derate_core::mapper::{cpu::Cpu, gpu::Gpu};
use derate_core::mapping::{Machine, Mapper, Mapping};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, Homes, LoopNest, Loops, Stream, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::tile::{MAX_LEVELS, lower_bound};
use derate_core::units::{Bytes, BytesPerSecond, Flops, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Gemm;
use proptest::prelude::*;

/// Shares are products of up to six quotients, and cycles are rounded to 24 bits: a few times 6e-8.
const ROUNDING: f32 = 2e-6;

/// A device of one kind as plain numbers.
#[derive(Clone, Debug)]
struct Device<M> {
    mapper: M,
    units: u32,
    macs_per_cycle: f32,
    /// Bytes of one instance, bytes a cycle of all, and how many units share an instance, 0 for all of them; private levels first.
    levels: Vec<(u64, f32, u32)>,
}

impl<M: Mapper> Device<M> {
    fn on<R>(&self, body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let compute = [ComputeUnit {
            name: "unit",
            count: self.units,
            clock: Hertz::new(1e9)?,
            macs_per_cycle: PerPrecision::all(Some(MacsPerCycle::new(self.macs_per_cycle)?)),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        }];
        let mut memory = Vec::new();
        let mut below = 0;
        for &(bytes, rate, shared_by) in &self.levels {
            let instances = if shared_by == 0 { 1 } else { self.units.div_ceil(shared_by) };
            // Levels grow, all instances together.
            below = (bytes * u64::from(instances)).max(below + u64::from(instances));
            let level = MemoryLevel::new("level", Bytes(below), BytesPerSecond::new(rate * 1e9)?, Basis::Spec);
            memory.push(MemoryLevel { instances, ..level });
        }
        let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(None))];
        let hardware = Hardware::new("random", &compute, &memory, &profiles, Seconds::ZERO)?;
        body(&Machine::new(&hardware, &profiles[0], Precision::Fp32)?)
    }

    /// Cycles where bytes cost no time: a mapper may take more of them where that saves bytes.
    fn cycles(&self, nest: &LoopNest) -> Result<u64, Error>
    where
        M: Clone,
    {
        let mut free = self.clone();
        free.levels.iter_mut().for_each(|level| level.1 *= 1e6);
        free.on(|machine| Ok(free.mapper.product(nest, machine)?.compute_cycles.0))
    }
}

fn cpu() -> impl Strategy<Value = Device<Cpu>> {
    let unit = (3_u32..=6, 1_u32..=4, 1_u32..=10, 3_u32..=40);
    let levels = prop::collection::vec((1_u64 << 9..1 << 20, 1.0_f32..1e3, 0_u32..=8), 1..=4);
    (unit, 1_u32..=64, 0.1_f32..8.0, levels).prop_map(
        |((width, ports, latency, registers), units, rate, mut levels)| {
            let mapper = Cpu {
                vector_bytes: 1 << width,
                fma_ports: ports,
                fma_latency_cycles: latency,
                vector_registers: registers,
            };
            // The more units share a level, the further out it is; all share the last.
            levels.sort_by_key(|level| if level.2 == 0 { u32::MAX } else { level.2 });
            levels.last_mut().expect("a level").2 = 0;
            Device { mapper, units, macs_per_cycle: rate * (ports << width) as f32 / 4.0, levels }
        },
    )
}

fn gpu() -> impl Strategy<Value = Device<Gpu>> {
    let matrix = prop::sample::select(vec![[1, 1, 1], [8, 8, 4], [16, 8, 8], [16, 8, 16], [16, 8, 32], [64, 8, 16]]);
    let holds = (prop::sample::select(vec![1024, 1536, 2048]), 256_u64..=512, 200_u64 << 10..=228 << 10);
    let outside = (1_u64 << 17..1 << 26, 10.0_f32..1e4, 1.0_f32..1e3);
    (matrix, holds, outside, 1_u32..=140, 16.0_f32..2048.0).prop_map(
        |(matrix, (threads, registers, shared), (l2, fast, slow), units, macs_per_cycle)| Device {
            mapper: Gpu { matrix, threads, registers: Bytes(registers << 10), launch: Seconds::ZERO },
            units,
            macs_per_cycle,
            levels: vec![(shared, 1e4, 1), (l2, fast, 0), (1 << 34, slow, 0)],
        },
    )
}

/// Extents, mostly small ones.
fn extent() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..=4, 1_u64..=40, 1_u64..=300, 1_u64..=3000]
}

fn conv() -> impl Strategy<Value = Loops> {
    let channels = prop_oneof![
        (1_u64..=4, 1_u64..=70, 1_u64..=70),
        // Depthwise, also with several outputs of each channel.
        (1_u64..=70, Just(1_u64), 1_u64..=2),
    ];
    let axis = || (1_u64..=30, 1_u64..=5, 1_u64..=3, 1_u64..=2, 0_u64..=2);
    (1_u64..=4, channels, axis(), axis()).prop_map(|(batch, (groups, c_in, c_out), high, wide)| {
        let axis = |(output, kernel, stride, dilation, padding): (u64, u64, u64, u64, u64)| {
            let padding = padding.min(kernel - 1);
            let span = stride * (output - 1) + dilation * (kernel - 1) + 1;
            (span.saturating_sub(2 * padding).max(1), output, kernel, stride, dilation, padding)
        };
        let (high, wide) = (axis(high), axis(wide));
        Loops::Conv(ConvLoops {
            batch,
            groups,
            c_in,
            c_out,
            input: [1, high.0, wide.0],
            output: [1, high.1, wide.1],
            kernel: [1, high.2, wide.2],
            stride: [1, high.3, wide.3],
            dilation: [1, high.4, wide.4],
            padding: [0, high.5, wide.5],
        })
    })
}

fn loops() -> impl Strategy<Value = Loops> {
    prop_oneof![
        (extent(), extent(), extent(), 1_u64..=9).prop_map(|(m, n, k, groups)| Loops::Gemm(Gemm { m, n, k, groups })),
        conv(),
        (extent(), extent(), 1_u64..=128, 1_u64..=128, 1_u64..=40)
            .prop_map(|(m, n, d, d_v, groups)| Loops::Attention(AttentionLoops { groups, m, n, d, d_v })),
    ]
}

/// Elements of fp64, fp32, bf16 and int8, each with sums as wide as their instructions keep them.
const SIZES: [ElementSizes; 4] = [
    ElementSizes::all(8),
    ElementSizes::all(4),
    ElementSizes { a: 2, b: 2, partial: 4, c: 2 },
    ElementSizes { a: 1, b: 1, partial: 4, c: 1 },
];

fn nest() -> impl Strategy<Value = LoopNest> {
    let home = || prop_oneof![2 => Just(u8::MAX), 1 => 0_u8..4];
    let homes = (home(), home(), home()).prop_map(|(input, weights, output)| Homes { input, weights, output });
    (loops(), 0_usize..4, homes, any::<bool>(), 1_u64..=3).prop_map(|(loops, size, homes, weighted, repeats)| {
        LoopNest { homes, weighted, repeats, ..LoopNest::new(loops, SIZES[size]) }
    })
}

/// The same nest on twice as many images, sequences or rows.
fn doubled(nest: &LoopNest) -> LoopNest {
    let mut twice = *nest;
    match &mut twice.loops {
        Loops::Gemm(gemm) => gemm.m *= 2,
        Loops::Conv(conv) => conv.batch *= 2,
        Loops::Attention(attention) => attention.groups *= 2,
    }
    twice
}

/// What must hold of one mapping alone. Scores and parts of sums lie at the level `scratch`, wherever the operands do.
fn sound(nest: &LoopNest, machine: &Machine<'_>, mapping: &Mapping, scratch: usize) -> Result<(), Error> {
    let least = machine.least_cycles(nest.macs()?);
    let cycles = mapping.compute_cycles.as_f32();
    assert!(cycles >= least * (1.0 - ROUNDING), "{cycles} of {least}: {mapping:?}");
    assert!(mapping.losses.iter().all(|lost| lost.left > 0.0 && lost.left < 1.0), "{mapping:?}");
    let left: f32 = mapping.losses.iter().map(|lost| lost.left).product();
    assert!((left - mapping.utilization).abs() <= ROUNDING && left <= 1.0, "{left} {mapping:?}");
    assert!((least / cycles - left).abs() <= ROUNDING * left + 1e-30, "{} {left}: {mapping:?}", least / cycles);

    // Each operand passes each level up to its home, and none beyond.
    let compulsory = Traffic::compulsory(nest)?;
    let memory = machine.hardware.memory();
    let last = memory.len() - 1;
    let b = if nest.weighted { nest.homes.weights } else { nest.homes.input };
    let operands = [(nest.homes.input, compulsory.a), (b, compulsory.b), (nest.homes.output, compulsory.c)];
    let beyond = |level: usize| operands.iter().filter(move |operand| usize::from(operand.0).min(last) >= level);
    for (level, traffic) in mapping.traffic.iter().enumerate() {
        let must: u64 = beyond(level).map(|operand| operand.1.0).sum();
        if level > last || must == 0 && level > scratch {
            assert_eq!(*traffic, Bytes::ZERO, "level {level}: {mapping:?}");
            continue;
        }
        assert!(traffic.0 >= must, "level {level} of {must}: {mapping:?}");
        // What all instances inside hold together is a memory of that capacity.
        if let Some(inside) = level.checked_sub(1).filter(|_| beyond(level).count() == 3) {
            let bound = lower_bound(nest, memory[inside].capacity)?;
            assert!(*traffic >= bound, "level {level} of {bound}: {mapping:?}");
        }
    }
    // Tiles fit one instance.
    for (footprint, level) in mapping.footprint.iter().zip(memory).take(last) {
        assert!(*footprint <= level.instance_capacity(), "{mapping:?}");
    }
    assert_eq!(mapping.footprint[last + 1..], [Bytes::ZERO; MAX_LEVELS][last + 1..]);
    Ok(())
}

/// The laws that relate two mappings: cycles of each pair must not fall.
fn ordered<M: Mapper + Clone>(device: &Device<M>, nest: &LoopNest, more: u32, widest: u64) -> Result<(), Error> {
    let cycles = device.cycles(nest)?;
    let larger = Device { units: device.units + more, ..device.clone() };
    assert!(larger.cycles(nest)? <= cycles, "{more} more units take longer");
    assert!(device.cycles(&doubled(nest))? >= cycles, "twice the work takes less");
    let index = SIZES.iter().position(|sizes| *sizes == nest.sizes).filter(|_| nest.sizes.a <= widest);
    if let Some(index) = index.filter(|&index| index + 1 < SIZES.len()) {
        let narrow = LoopNest { sizes: SIZES[index + 1], ..*nest };
        let faster = Device { macs_per_cycle: device.macs_per_cycle * 2.0, ..device.clone() };
        let narrow = faster.cycles(&narrow)?;
        assert!(narrow <= cycles, "{narrow} cycles with elements of half the bytes, {cycles} before");
    }
    Ok(())
}

fn stream() -> impl Strategy<Value = Stream> {
    let bytes = || 0_u64..1 << 24;
    (bytes(), bytes(), bytes(), 0_u64..1 << 28, 1_u64..1 << 22, 0_u8..5, 0_u8..5).prop_map(
        |(read, weights, written, flops, elements, input, output)| Stream {
            read: Bytes(read),
            weights: Bytes(weights),
            written: Bytes(written),
            flops: Flops(flops),
            elements,
            homes: Homes { input, weights: u8::MAX, output },
        },
    )
}

fn streams<M: Mapper + Clone>(device: &Device<M>, stream: &Stream, more: u32) -> Result<(), Error> {
    let mapping = device.on(|machine| device.mapper.stream(stream, machine))?;
    assert!((0.0..=1.0).contains(&mapping.utilization));
    let last = device.levels.len() - 1;
    let at = |home: u8, level: usize| u64::from(usize::from(home).min(last) >= level && level <= last);
    for (level, traffic) in mapping.traffic.iter().enumerate() {
        let homes = stream.homes;
        let bytes = at(homes.input, level) * stream.read.0
            + at(homes.weights, level) * stream.weights.0
            + at(homes.output, level) * stream.written.0;
        assert_eq!(traffic.0, bytes, "level {level}");
    }
    let larger = Device { units: device.units + more, ..device.clone() };
    let on_more = larger.on(|machine| larger.mapper.stream(stream, machine))?;
    assert!(on_more.compute_cycles <= mapping.compute_cycles);
    let twice = Stream {
        read: Bytes(2 * stream.read.0),
        written: Bytes(2 * stream.written.0),
        flops: Flops(2 * stream.flops.0),
        elements: 2 * stream.elements,
        ..*stream
    };
    let twice = device.on(|machine| device.mapper.stream(&twice, machine))?;
    assert!(twice.compute_cycles >= mapping.compute_cycles);
    Ok(())
}

proptest! {
    #[test]
    fn a_cpu_mapping_is_sound(device in cpu(), nest in nest()) {
        device.on(|machine| sound(&nest, machine, &device.mapper.product(&nest, machine)?, 0))?;
    }

    #[test]
    fn cpu_cycles_keep_their_order(device in cpu(), nest in nest(), more in 1_u32..=64) {
        ordered(&device, &nest, more, 8)?;
    }

    #[test]
    fn cpu_streams_keep_their_order(device in cpu(), stream in stream(), more in 1_u32..=64) {
        streams(&device, &stream, more)?;
    }

    #[test]
    fn a_gpu_mapping_is_sound(device in gpu(), nest in nest()) {
        device.on(|machine| sound(&nest, machine, &device.mapper.product(&nest, machine)?, 1))?;
    }

    #[test]
    fn gpu_cycles_keep_their_order(device in gpu(), nest in nest(), more in 1_u32..=64) {
        // Which tiles are tried depends on elements of more than four bytes.
        ordered(&device, &nest, more, 4)?;
    }

    #[test]
    fn gpu_streams_keep_their_order(device in gpu(), stream in stream(), more in 1_u32..=64) {
        streams(&device, &stream, more)?;
    }
}
