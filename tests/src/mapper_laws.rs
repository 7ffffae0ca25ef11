//! Laws of mappers: what must hold of the mapping of any kernel on any device, by any mapper. [`check`] puts a mapper of yours
//! through them; `examples/own_mapper.rs` shows how.

use std::fmt::Debug;
use std::ops::Range;

use derate_core::Error;
use derate_core::estimate::{KernelEstimate, Target, task_estimate};
use derate_core::hardware::{Basis, ComputeUnit, Filling, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
use derate_core::mapping::{Machine, Mapper};
use derate_core::nest::{AttentionLoops, ConvLoops, Dim, ElementSizes, LoopNest, Loops, Task, Traffic};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::tile::any_order_bound;
use derate_core::units::{
    Bytes, BytesPerSecond, Factor, Hertz, JoulesPerByte, JoulesPerMac, MacsPerCycle, Seconds, Watts,
};
use derate_core::work::Gemm;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// A random device for mappers, as plain numbers that a law can change.
#[derive(Clone, Debug)]
pub struct Device {
    /// Compute units, at least 1.
    pub count: u32,
    /// Their clock in Hz.
    pub clock: f32,
    /// MACs of one of them in a cycle, in every precision.
    pub macs_per_cycle: f32,
    /// Capacity of one instance in bytes and bandwidth of one instance in B/s, from the innermost level on; the last is the backing
    /// store.
    pub levels: Vec<(u64, f32)>,
    /// Innermost levels of which each unit has an instance of its own.
    pub private: usize,
    /// Who fills the levels but the last.
    pub filling: Filling,
    /// Bytes that each unit holds beside the levels: accumulators that are no part of them.
    pub held: u64,
}

/// Energy of a MAC and of a byte, in joules.
const ENERGIES: [f32; 2] = [1e-12, 5e-12];

impl Device {
    /// Calls `body` with the device as core takes it.
    ///
    /// # Errors
    /// What the constructors refuse, for which a random device gives no reason.
    pub fn with<R>(&self, body: impl FnOnce(&Hardware<'_>) -> R) -> Result<R, Error> {
        let compute = [ComputeUnit {
            name: "unit",
            count: self.count,
            clock: Hertz::new(self.clock)?,
            macs_per_cycle: PerPrecision::all(Some(MacsPerCycle::new(self.macs_per_cycle)?)),
            energy_per_mac: PerPrecision::all(Some(JoulesPerMac::new(ENERGIES[0])?)),
            basis: Basis::Spec,
        }];
        let mut memory: Vec<MemoryLevel<'_>> = Vec::new();
        for (index, &(capacity, bandwidth)) in self.levels.iter().enumerate() {
            let instances = if index < self.private { self.count } else { 1 };
            let below = memory.last().map_or(0, |level| level.capacity.0);
            // A level outside holds what all instances of the one inside hold, and more.
            let capacity = (capacity * u64::from(instances)).max(below + 1);
            let bandwidth = BytesPerSecond::new(bandwidth * instances as f32)?;
            memory.push(MemoryLevel {
                instances,
                filling: if index + 1 == self.levels.len() { Filling::Cache } else { self.filling },
                energy_per_byte: Some(JoulesPerByte::new(ENERGIES[1])?),
                ..MemoryLevel::new("level", Bytes(capacity), bandwidth, Basis::Spec)
            });
        }
        let factors = PrecisionFactors {
            efficiency_factor: Factor::ONE,
            memory_bottleneck_factor: Factor::ONE,
            tile_utilization: Factor::ONE,
            native_acceleration: true,
        };
        let profiles = [ThermalProfile {
            static_power: Some(Watts::new(1.0)?),
            ..ThermalProfile::new("default", "none", PerPrecision::all(Some(factors)))
        }];
        Ok(body(&Hardware::new("random", &compute, &memory, &profiles, Seconds(1e-6))?))
    }
}

/// Numbers that are whole ones of a unit: what a strategy of floats draws is less even, and may fail on a rounding of its own.
fn scaled(range: Range<u32>, unit: f32) -> impl Strategy<Value = f32> {
    range.prop_map(move |number| number as f32 * unit)
}

/// Devices of two to four levels, from a microcontroller's to a GPU's size, whose units do a whole number of MACs a cycle.
pub fn device() -> impl Strategy<Value = Device> {
    let unit =
        (1_u32..=64, scaled(10..3000, 1e6), prop::sample::select(vec![1.0_f32, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0]));
    let levels = (
        1_u64 << 13..1 << 17,
        scaled(1_000..1_000_000, 1e6),
        prop::collection::vec((4_u64..64, scaled(11..100, 0.1)), 1..=3),
    );
    (unit, levels, 0_usize..=1, any::<bool>()).prop_map(
        |((count, clock, macs_per_cycle), (capacity, bandwidth, steps), private, scratchpad)| {
            let mut levels = vec![(capacity, bandwidth)];
            for (larger, slower) in steps {
                let (capacity, bandwidth) = levels[levels.len() - 1];
                levels.push((capacity * larger, bandwidth / slower));
            }
            let filling = if scratchpad { Filling::Scratchpad } else { Filling::Cache };
            Device { count, clock, macs_per_cycle, levels, private, filling, held: 0 }
        },
    )
}

/// Kernels: products, convolutions and attentions on cold operands.
pub fn loops() -> impl Strategy<Value = Loops> {
    let extent = || prop_oneof![1_u64..=17, 1_u64..=300, prop::sample::select(vec![32_u64, 64, 128, 512, 1024])];
    let gemm = (extent(), extent(), extent(), prop_oneof![3 => Just(1_u64), 1 => 1_u64..=8])
        .prop_map(|(m, n, k, groups)| Loops::Gemm(Gemm { m, n, k, groups }));
    let conv =
        (1_u64..=3, 1_u64..=4, 1_u64..=64, 1_u64..=64, (1_u64..=40, 1_u64..=40), (1_u64..=5, 1_u64..=2, 1_u64..=2))
            .prop_map(|(batch, groups, c_in, c_out, (height, width), (kernel, stride, dilation))| {
                let reach = dilation * (kernel - 1) + 1;
                let input = |extent: u64| (extent - 1) * stride + reach;
                Loops::Conv(ConvLoops {
                    batch,
                    groups,
                    c_in,
                    c_out,
                    input: [1, input(height), input(width)],
                    output: [1, height, width],
                    kernel: [1, kernel, kernel],
                    stride: [1, stride, stride],
                    dilation: [1, dilation, dilation],
                    padding: [0; 3],
                })
            });
    let attention = (1_u64..=12, 1_u64..=200, 1_u64..=200, 1_u64..=64)
        .prop_map(|(groups, m, n, d)| Loops::Attention(AttentionLoops { groups, m, n, d, d_v: d }));
    prop_oneof![3 => gemm, 3 => conv, 1 => attention]
}

/// A law that a mapper is excused from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excused {
    /// None.
    Nothing,
    /// The smallest tile may not fit a level.
    Infeasible,
    /// A narrower precision may be slower: where scaling results back to it takes longer than the sums are.
    Narrower,
}

/// Slack of a latency or a traffic where a tiler is near-optimal rather than optimal.
const NEAR: f32 = 1.02;
/// By how much faster a memory is whose bytes cost no time.
const FREE: f32 = 1e6;
/// Rounding of a few operations.
const ROUNDED: f32 = 1.0 + 1e-5;

/// The operands of a precision.
fn sizes(precision: Precision) -> ElementSizes {
    let data_type = precision.data_type();
    let bytes = data_type.size().0;
    ElementSizes { a: bytes, b: bytes, partial: data_type.accumulator().size().0, c: bytes }
}

fn estimate<M: Mapper>(
    mapper: &M,
    device: &Device,
    loops: Loops,
    precision: Precision,
) -> Result<KernelEstimate, Error> {
    let task = Task::product(LoopNest::new(loops, sizes(precision)), precision)?;
    device.with(|hardware| task_estimate(&task, &Target::new(hardware)?, mapper, &mut []))?
}

/// Puts a mapper through all laws on so many random kernels and devices.
///
/// - traffic is at least the lower bound at each level of a mapper that tiles, and what each operand takes at least;
/// - tiles fit their levels, and their loops cover the nest;
/// - latency is at least each roof, finite, and energy at least that of the MACs;
/// - more bandwidth, clock or units are never slower; more capacity never by more than 2 %, nor does it move more but to be faster, or
///   as fast in fewer cycles;
/// - twice the batch is never faster, and on cold operands at most 2 % above twice the time;
/// - two halves never take less time than the whole by more than 2 %, where bytes cost no time;
/// - a narrower precision at the same rate is never slower.
///
/// # Errors
/// Where a law does not hold: which, with the smallest kernel and device that were found to break it.
pub fn verdict<M: Mapper + Debug>(
    devices: impl Strategy<Value = (Device, M)>,
    cases: u32,
    excused: Excused,
) -> Result<(), String> {
    let config =
        Config { cases, failure_persistence: None, max_global_rejects: cases.saturating_mul(4), ..Config::default() };
    let change = (
        scaled(100..800, 0.01),
        1_u32..64,
        (0_u32..1000).prop_map(|share| f64::from(share) / 1000.0),
        any::<prop::sample::Index>(),
    );
    let precision = prop::sample::select(vec![Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8]);
    let kernels = (loops(), precision);
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&(devices, kernels, change), |((device, mapper), kernel, change)| {
            match laws(&device, &mapper, kernel, change, excused) {
                Err(Broken::Infeasible) if excused == Excused::Infeasible => {
                    Err(TestCaseError::reject("the smallest tile does not fit"))
                }
                Err(Broken::Infeasible) => Err(TestCaseError::fail("the smallest tile does not fit")),
                Err(Broken::Law(law)) => Err(TestCaseError::fail(law)),
                Ok(()) => Ok(()),
            }
        });
    outcome.map_err(|error| error.to_string())
}

/// As [`verdict`], for tests.
///
/// # Panics
/// Where a law does not hold.
pub fn check<M: Mapper + Debug>(devices: impl Strategy<Value = (Device, M)>, cases: u32, excused: Excused) {
    if let Err(broken) = verdict(devices, cases, excused) {
        panic!("{broken}");
    }
}

/// Why a case did not hold.
#[derive(Debug)]
enum Broken {
    Infeasible,
    Law(String),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        match error {
            Error::Infeasible { .. } => Self::Infeasible,
            other => Self::Law(other.to_string()),
        }
    }
}

fn hold(law: &str, holds: bool, detail: impl Debug) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::Law(format!("{law}: {detail:?}"))) }
}

type Change = (f32, u32, f64, prop::sample::Index);
type Kernel = (Loops, Precision);

/// The next narrower precision.
const fn narrower(precision: Precision) -> Option<Precision> {
    match precision {
        Precision::Fp32 => Some(Precision::Fp16),
        Precision::Fp16 | Precision::Bf16 => Some(Precision::Int8),
        _ => None,
    }
}

fn laws<M: Mapper>(
    device: &Device,
    mapper: &M,
    (loops, precision): Kernel,
    change: Change,
    excused: Excused,
) -> Result<(), Broken> {
    let here = estimate(mapper, device, loops, precision)?;
    bounds(device, mapper, (loops, precision), &here)?;
    changes(device, mapper, (loops, precision), &here, change)?;
    // Twice the batch, and the kernel in two.
    let twice = estimate(mapper, device, doubled(loops), precision)?;
    let (one, two) = (here.op.latency.0, twice.op.latency.0);
    hold("twice the batch is never faster", two * ROUNDED >= one, (one, two))?;
    let limit = 2.0 * NEAR * one + here.op.overhead.0;
    hold("twice the batch takes at most twice the time", two <= limit * ROUNDED, (one, two))?;
    // A mapper may take more cycles where that saves bytes or kernels, of the whole and not of its halves: where bytes cost nothing,
    // it is the time that counts. The best tiles of the whole may not end where those of its halves do.
    let mut free = device.clone();
    free.levels.iter_mut().for_each(|level| level.1 *= FREE);
    let time = |loops| estimate(mapper, &free, loops, precision).map(|estimate| estimate.op.latency.0);
    let (half, whole) = (time(loops)?, time(doubled(loops))?);
    hold("two halves are never less work than the whole", whole <= 2.0 * NEAR * half, (half, whole))?;
    let Some(narrow) = narrower(precision).filter(|_| excused != Excused::Narrower) else {
        return Ok(());
    };
    let narrow = estimate(mapper, device, loops, narrow)?;
    hold("a narrower precision is never slower", narrow.op.latency.0 <= one * NEAR, (one, narrow.op.latency.0))
}

/// What one estimate must be.
fn bounds<M: Mapper>(
    device: &Device,
    mapper: &M,
    (loops, precision): Kernel,
    here: &KernelEstimate,
) -> Result<(), Broken> {
    let nest = &LoopNest::new(loops, sizes(precision));
    let compulsory = Traffic::compulsory(nest)?.total()?;
    let op = &here.op;
    hold("latency is finite", op.latency.0.is_finite(), op)?;
    let roofs = [op.compute.0, op.memory.0, op.overhead.0];
    hold("latency is at least each roof", roofs.iter().all(|&roof| op.latency.0 * ROUNDED >= roof), op)?;
    let least = nest.macs()?.as_f32() / (device.count as f32 * device.macs_per_cycle);
    hold(
        "cycles are at least those of the peak",
        here.compute_cycles.as_f32() * ROUNDED >= least,
        here.compute_cycles,
    )?;
    hold("utilization is a share", (0.0..=1.0).contains(&here.utilization), here.utilization)?;
    let last = device.levels.len() - 1;
    hold("cold operands come from the backing store", here.traffic[last] >= compulsory, (here.traffic, compulsory))?;
    let energy = here.energy.map_or(0.0, |energy| energy.compute.0);
    hold("energy is at least that of the MACs", energy * ROUNDED >= nest.macs()?.as_f32() * ENERGIES[0], energy)?;
    device.with(|hardware| -> Result<(), Broken> {
        let machine = Machine::new(hardware, &hardware.thermal_profiles()[0], precision)?;
        let mapping = mapper.product(nest, &machine)?;
        let product: f32 = mapping.losses.iter().map(|lost| lost.left).product();
        hold(
            "losses are the utilization",
            (product - mapping.utilization).abs() < 1e-3,
            (&mapping.losses, mapping.utilization),
        )?;
        for (level, footprint) in hardware.memory().iter().zip(mapping.footprint) {
            hold("tiles fit", footprint <= level.instance_capacity(), (footprint, level.instance_capacity()))?;
        }
        for (tiling, level) in mapping.tiling.iter().flat_map(|tiling| &tiling.levels).zip(hardware.memory()) {
            let bytes = tiling.traffic.total()?;
            for along in &tiling.loops {
                // Tiles of a level cut the whole nest.
                hold("loops cover the nest", along.extent == extent(&loops, along.dim), (along, &loops))?;
            }
            hold("traffic is at least its bound", bytes >= tiling.lower_bound, (bytes, tiling.lower_bound))?;
            hold("tiles fit", tiling.footprint <= level.instance_capacity(), tiling.footprint)?;
        }
        // Of a memory that all units share, no tiling moves less than the bound of the whole nest. The bound holds for all that is
        // stored inside the border: sums that stay in accumulators cross it as little as those that stay in the level.
        let held = device.held.saturating_mul(u64::from(device.count));
        for (inner, outer) in hardware.memory().iter().take(last).zip(here.traffic.iter().skip(1)) {
            if inner.instances == 1 && mapping.tiling.is_some() {
                let bound = any_order_bound(nest, inner.capacity.checked_add(Bytes(held))?)?;
                hold("traffic is at least the bound of the level inside", *outer >= bound, (outer, bound))?;
            }
        }
        Ok(())
    })?
}

/// What a better device must do.
fn changes<M: Mapper>(
    device: &Device,
    mapper: &M,
    (loops, precision): Kernel,
    here: &KernelEstimate,
    (factor, more, share, level): Change,
) -> Result<(), Broken> {
    let after = |change: &dyn Fn(&mut Device)| -> Result<KernelEstimate, Broken> {
        let mut changed = device.clone();
        change(&mut changed);
        Ok(estimate(mapper, &changed, loops, precision)?)
    };
    let one = here.op.latency.0;
    let level = level.index(device.levels.len());
    let wider = after(&|device| device.levels[level].1 *= factor)?.op.latency.0;
    hold("more bandwidth is never slower", wider <= one * ROUNDED, (one, wider))?;
    let faster = after(&|device| device.clock *= factor)?.op.latency.0;
    hold("a higher clock is never slower", faster <= one * ROUNDED, (one, faster))?;
    let units = after(&|device| device.count += more)?.op.latency.0;
    hold("more units are never slower", units <= one * NEAR, (one, units))?;
    let room = device.levels.get(level + 1).map_or(device.levels[level].0 * 8, |next| next.0);
    let grown = device.levels[level].0 + (room.saturating_sub(device.levels[level].0) as f64 * share) as u64;
    let larger = after(&|device| device.levels[level].0 = grown)?;
    hold("more capacity is never slower", larger.op.latency.0 <= one * NEAR, (one, larger.op.latency.0))?;
    let total = |estimate: &KernelEstimate| estimate.traffic.iter().map(|bytes| bytes.0 as f64).sum::<f64>();
    // More may be moved where that is faster, or as fast in fewer cycles: units that hold larger tiles of their own, or do in one kernel
    // what took two, may use fewer of the bytes.
    let faster = larger.op.latency.0 < one || larger.compute_cycles < here.compute_cycles;
    let moves = faster || total(&larger) <= total(here) * f64::from(NEAR);
    hold("more capacity never moves more", moves, (total(here), total(&larger)))
}

/// Extent of a loop of a nest.
fn extent(loops: &Loops, dim: Dim) -> u64 {
    match (loops, dim) {
        (Loops::Gemm(gemm), Dim::Group) => gemm.groups,
        (Loops::Gemm(gemm), Dim::M) => gemm.m,
        (Loops::Gemm(gemm), Dim::N) => gemm.n,
        (Loops::Gemm(gemm), _) => gemm.k,
        (Loops::Conv(conv), Dim::Group) => conv.groups,
        (Loops::Conv(conv), Dim::Batch) => conv.batch,
        (Loops::Conv(conv), Dim::COut) => conv.c_out,
        (Loops::Conv(conv), Dim::CIn) => conv.c_in,
        (Loops::Conv(conv), Dim::Depth) => conv.output[0],
        (Loops::Conv(conv), Dim::Height) => conv.output[1],
        (Loops::Conv(conv), _) => conv.output[2],
        (Loops::Attention(attention), Dim::Group) => attention.groups,
        (Loops::Attention(attention), Dim::M) => attention.m,
        (Loops::Attention(attention), _) => attention.n,
    }
}

/// The same kernel on twice the batch.
fn doubled(loops: Loops) -> Loops {
    match loops {
        Loops::Gemm(gemm) => Loops::Gemm(Gemm { m: gemm.m * 2, ..gemm }),
        Loops::Conv(conv) => Loops::Conv(ConvLoops { batch: conv.batch * 2, ..conv }),
        Loops::Attention(attention) => Loops::Attention(AttentionLoops { groups: attention.groups * 2, ..attention }),
    }
}
