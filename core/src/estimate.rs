//! Estimate: the time of each op and of the whole graph on a device, what bounds it, and how sure that is.
//!
//! Two forms of one roofline. Without a calibration the two factors of the device's description scale its roofs; with one,
//! the coefficients of [`crate::calibration`] *replace* those factors, they never multiply them. Ops run one after
//! the other and each is one kernel, as in an eager runtime: the times add up.

mod mapped;
mod time;
mod works;

pub use self::mapped::{
    Energy, KernelEstimate, Memo, NetworkEstimate, estimate_mapped, homes, mapped_kernels, mapping_of, task_estimate,
    task_of,
};

pub use self::works::{KernelWork, Works, estimate_works, works};

use self::time::Roofs;
use self::works::Roofline;
use crate::calibration::Calibration;
use crate::error::Error;
use crate::fusion::Fused;
use crate::graph::{GraphView, Node};
use crate::hardware::{Hardware, ThermalProfile};
use crate::roofline::Bound;
use crate::shape::Precision;
use crate::units::{Factor, Hertz, Seconds};
use crate::work::Work;

/// How much an estimate can be trusted, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Confidence {
    /// A peak or a bandwidth of the description is an assumption.
    Unknown,
    /// From the description alone, or of a class of ops that the calibration never saw, or far outside what it saw.
    Theoretical,
    /// Just outside what the calibration was fitted on: by at most a factor of four in FLOPs or bytes.
    Interpolated,
    /// Within what the calibration was fitted on.
    Calibrated,
}

impl Confidence {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Theoretical => "theoretical",
            Self::Interpolated => "interpolated",
            Self::Calibrated => "calibrated",
        }
    }
}

/// Which clock of a power mode an estimate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum ClockState {
    /// The one that the device keeps up.
    #[default]
    Sustained,
    /// The one that it runs at until it is warm; the sustained one where no other is stated.
    Boost,
}

/// Where a graph runs: a device in one of its power modes, and the calibration of a runtime on it, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The device.
    pub hardware: &'a Hardware<'a>,
    /// One of its thermal profiles.
    pub thermal_profile: &'a ThermalProfile<'a>,
    /// Which clock of the mode.
    pub clock_state: ClockState,
    /// Coefficients fitted on the device, for the precision and runtime at hand.
    pub calibration: Option<&'a Calibration>,
}

impl<'a> Target<'a> {
    /// The device in its default power mode, uncalibrated.
    ///
    /// # Errors
    /// [`Error::NoThermalProfile`], which a checked description does not lack.
    pub fn new(hardware: &'a Hardware<'a>) -> Result<Self, Error> {
        let thermal_profile = hardware.thermal_profiles().first().ok_or(Error::NoThermalProfile)?;
        Ok(Self { hardware, thermal_profile, clock_state: ClockState::Sustained, calibration: None })
    }

    /// Clock of the device's first compute unit; `None` for that of the description.
    pub(crate) const fn clock(&self) -> Option<Hertz> {
        match (self.clock_state, self.thermal_profile.boost_clock) {
            (ClockState::Boost, Some(boost)) => Some(boost),
            _ => self.thermal_profile.clock,
        }
    }

    /// This share of the bandwidth of the backing store in this power mode, as a share of the description's.
    fn backing(&self, share: Factor) -> Result<Factor, Error> {
        let last = self.hardware.memory().last().map(|level| level.bandwidth);
        match (self.thermal_profile.bandwidth, last) {
            (Some(mode), Some(described)) => Factor::new(share.get() * (mode.get() / described.get())),
            _ => Ok(share),
        }
    }
}

/// Time of one op, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OpEstimate {
    /// What the op computes and moves.
    pub work: Work,
    /// Time from its start to the start of the next op.
    pub latency: Seconds,
    /// Interval that holds 90 % of measurements; `None` without a calibration that tells.
    pub interval: Option<[Seconds; 2]>,
    /// Time of its arithmetic alone.
    pub compute: Seconds,
    /// Time of its traffic alone, copies of its operands by the runtime among it.
    pub memory: Seconds,
    /// The memory level with the largest share of its traffic's time: an index into the device's memory levels.
    pub level: u8,
    /// Time beside arithmetic and traffic.
    pub overhead: Seconds,
    /// The longest of the three.
    pub bound: Bound,
    /// How sure the latency is.
    pub confidence: Confidence,
}

/// Time of a whole graph.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Estimate {
    /// Sum of all counts of its ops and what the graph itself stores, as [`GraphView::total_work`] has it, without the bytes of ops
    /// that the runtime makes views.
    pub work: Work,
    /// Time of one run.
    pub latency: Seconds,
    /// Interval that holds 90 % of measurements; `None` without a calibration that tells.
    pub interval: Option<[Seconds; 2]>,
    /// Sum of the times of arithmetic alone.
    pub compute: Seconds,
    /// Sum of the times of traffic alone.
    pub memory: Seconds,
    /// Sum of the times beside both.
    pub overhead: Seconds,
    /// The longest of the three sums; of memory, the level at which most of that time is spent.
    pub bound: Bound,
    /// The highest confidence below which lies at most a tenth of the time; of a graph that takes none, theoretical.
    pub confidence: Confidence,
}

impl Estimate {
    /// Whether arithmetic takes more of the time than traffic.
    #[must_use]
    pub fn compute_bound(&self) -> bool {
        self.compute.0 > self.memory.0
    }
}

/// Time of the whole graph on the target.
///
/// ```
/// use derate_core::estimate::{Target, estimate};
/// use derate_core::graph::{Build, Graph, Tables};
/// use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
/// use derate_core::op::{Linear, Op};
/// use derate_core::shape::{DataType, PerPrecision, Precision};
/// use derate_core::units::{Bytes, BytesPerSecond, Factor, Hertz, MacsPerCycle, Seconds};
///
/// // 100 MHz, one fp32 MAC a cycle: 200 MFLOP/s, of which software reaches a half; SRAM of 256 KiB at 400 MB/s.
/// let compute = [ComputeUnit {
///     name: "FPU", count: 1, clock: Hertz::new(100e6)?, basis: Basis::Spec,
///     macs_per_cycle: PerPrecision::all(None).with(Precision::Fp32, Some(MacsPerCycle::new(1.0)?)),
///     energy_per_mac: PerPrecision::all(None),
/// }];
/// let memory = [MemoryLevel::new("SRAM", Bytes(256 << 10), BytesPerSecond::new(400e6)?, Basis::Spec)];
/// let factors = PrecisionFactors {
///     efficiency_factor: Factor::new(0.5)?, memory_bottleneck_factor: Factor::ONE,
///     tile_utilization: Factor::ONE, native_acceleration: true,
/// };
/// let factors = PerPrecision::all(None).with(Precision::Fp32, Some(factors));
/// let profiles = [ThermalProfile::new("default", "none", factors)];
/// let hardware = Hardware::new("mcu", &compute, &memory, &profiles, Seconds::ZERO)?;
///
/// let mut graph = Graph::<2, 4>::new();
/// let x = graph.input(&[10, 100], DataType::Fp32)?;
/// graph.op(Op::Linear(Linear { in_features: 100, out_features: 100, bias: false, weights: None }), &[x])?;
///
/// // Arithmetic: 2 · 10 · 100 · 100 FLOP at 100 MFLOP/s, 2.0 ms. Traffic: 48 kB at 400 MB/s, 0.12 ms, all but hidden.
/// let estimate = estimate(graph.view(), &Target::new(&hardware)?)?;
/// assert!((estimate.latency.0 - 2.0e-3).abs() < 1e-6);
/// # Ok::<(), derate_core::Error>(())
/// ```
///
/// # Errors
/// What [`op_estimates`] gives for any op; [`Error::InvalidTime`] where rates are so small that the time is not finite.
pub fn estimate(graph: GraphView<'_>, target: &Target<'_>) -> Result<Estimate, Error> {
    total(graph.stored()?, op_estimates(graph, target)?, target)
}

/// Time of the whole graph on the target, its ops run as the kernels of a policy.
///
/// # Errors
/// Those of [`estimate`].
pub fn estimate_kernels(fused: Fused<'_>, target: &Target<'_>) -> Result<Estimate, Error> {
    total(fused.graph().stored()?, kernel_estimates(fused, target)?, target)
}

/// Sum over the ops or kernels of a graph that itself stores so much.
fn total(
    stored: Work,
    ops: impl Iterator<Item = Result<OpEstimate, Error>>,
    target: &Target<'_>,
) -> Result<Estimate, Error> {
    let mut sum = Estimate {
        work: stored,
        latency: Seconds::ZERO,
        interval: None,
        compute: Seconds::ZERO,
        memory: Seconds::ZERO,
        overhead: Seconds::ZERO,
        bound: Bound::Overhead,
        confidence: Confidence::Theoretical,
    };
    let mut level_times = [Seconds::ZERO; MAX_LEVELS];
    let mut unsure = [Seconds::ZERO; 3];
    // Of the times of ops: their squares, and how much wider their intervals are than within the region of measured ops.
    let (mut squares, mut wider) = (0.0, 0.0);
    for op in ops {
        let op = op?;
        squares += op.latency.0 * op.latency.0;
        wider += op.latency.0 * works::wider(op.confidence);
        sum.work = sum.work.checked_add(&op.work)?;
        sum.latency = sum.latency + op.latency;
        sum.compute = sum.compute + op.compute;
        sum.memory = sum.memory + op.memory;
        sum.overhead = sum.overhead + op.overhead;
        if let Some(time) = level_times.get_mut(usize::from(op.level)) {
            *time = *time + op.memory;
        }
        for (time, confidence) in unsure.iter_mut().zip(CONFIDENT) {
            if op.confidence < confidence {
                *time = *time + op.latency;
            }
        }
    }
    let ops = sum.latency;
    if let Some(calibration) = target.calibration {
        let run = calibration.coefficients.run(ops);
        (sum.latency, sum.overhead) = (ops + run, sum.overhead + run);
        if let (Some(intervals), true) = (calibration.intervals, ops.0 > 0.0) {
            sum.interval = Some(intervals.of_network(sum.latency, squares / (ops.0 * ops.0), wider / ops.0));
        }
    }
    if !sum.latency.0.is_finite() {
        return Err(Error::InvalidTime);
    }
    let slowest = (0..u8::MAX)
        .zip(level_times)
        .fold((0, Seconds::ZERO), |slowest, (level, time)| if time.0 > slowest.1.0 { (level, time) } else { slowest });
    sum.bound = bound_of(sum.compute, sum.memory, sum.overhead, slowest.0);
    let tenth = ops * 0.1;
    sum.confidence = if ops == Seconds::ZERO {
        Confidence::Theoretical
    } else {
        let sure = CONFIDENT.into_iter().zip(unsure).find(|(_, unsure)| unsure.0 <= tenth.0);
        sure.map_or(Confidence::Unknown, |(confidence, _)| confidence)
    };
    Ok(sum)
}

/// Confidences above the lowest, from the highest on.
const CONFIDENT: [Confidence; 3] = [Confidence::Calibrated, Confidence::Interpolated, Confidence::Theoretical];

/// Time of each op of the graph on the target, in execution order.
///
/// # Errors
/// [`Error::CountOverflow`] where the graph's weights are above 2^64 − 1 bytes; for an op,
/// [`Error::NoUnitForPrecision`], [`Error::NoFactorsForPrecision`] where the target does not work in its precision.
pub fn op_estimates<'a>(
    graph: GraphView<'a>,
    target: &'a Target<'a>,
) -> Result<impl Iterator<Item = Result<OpEstimate, Error>> + 'a, Error> {
    let mut roofline = Roofline::of(target, graph.bytes_stored()?);
    Ok(graph.nodes().iter().map(move |node| roofline.estimate(&KernelWork::of_node(graph, node)?)))
}

/// Time of each kernel of the graph on the target, in execution order.
///
/// # Errors
/// Those of [`op_estimates`].
pub fn kernel_estimates<'a>(
    fused: Fused<'a>,
    target: &'a Target<'a>,
) -> Result<impl Iterator<Item = Result<OpEstimate, Error>> + 'a, Error> {
    let graph = fused.graph();
    let mut roofline = Roofline::of(target, graph.bytes_stored()?);
    Ok(fused.kernels().map(move |kernel| roofline.estimate(&KernelWork::of(graph, &kernel)?)))
}

/// Levels whose times are told apart in [`Estimate::bound`]; time at a level beyond counts for none of them.
const MAX_LEVELS: usize = 16;

/// The longest of three times; arithmetic before traffic, and traffic before overhead, where they are equal.
fn bound_of(compute: Seconds, memory: Seconds, overhead: Seconds, level: u8) -> Bound {
    if overhead.0 > compute.max(memory).0 {
        Bound::Overhead
    } else if compute.0 >= memory.0 {
        Bound::Compute
    } else {
        Bound::Memory(level)
    }
}

/// The precision that a node computes in on a device.
fn precision(graph: GraphView<'_>, node: &Node, target: &Target<'_>) -> Result<Precision, Error> {
    own_precision(graph, node)?.map_or_else(|| any_precision(target), Ok)
}

/// The precision that a node computes in: that of its result, or of its first operand that has one (a comparison gives truth
/// values). `None` for arithmetic on indices.
fn own_precision(graph: GraphView<'_>, node: &Node) -> Result<Option<Precision>, Error> {
    if let Some(precision) = graph.output(node)?.data_type.precision() {
        return Ok(Some(precision));
    }
    for operand in graph.operands(node).iter() {
        if let Some(precision) = operand?.1.data_type.precision() {
            return Ok(Some(precision));
        }
    }
    Ok(None)
}

/// Arithmetic on indices runs in units of fp32, or in whatever the device has.
fn any_precision(target: &Target<'_>) -> Result<Precision, Error> {
    let has = |precision: &Precision| {
        target.hardware.fastest(*precision).is_ok() && target.thermal_profile.factors.at(*precision).is_some()
    };
    let known = [Precision::Fp32].into_iter().chain(Precision::ALL).find(has);
    known.ok_or(Error::NoUnitForPrecision)
}

fn confidence(work: &Work, target: &Target<'_>, roofs: &Roofs) -> Result<Confidence, Error> {
    if let Some(calibration) = target.calibration {
        let hull = calibration.hull(work.class);
        if hull.holds(work, 1.0)? {
            return Ok(Confidence::Calibrated);
        }
        if hull.holds(work, 4.0)? {
            return Ok(Confidence::Interpolated);
        }
    }
    Ok(if roofs.assumed { Confidence::Unknown } else { Confidence::Theoretical })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{Calibration, Coefficients, Hull, Intervals, MODEL_VERSION, Protocol, Runtime};
    use crate::graph::{Build, Graph, Tables};
    use crate::hardware::tests::with_toy;
    use crate::op::{Activation, ActivationKind, Linear, Op};
    use crate::shape::DataType;
    use crate::work::Class;

    fn layer(m: u32, features: u32) -> Result<Graph<1, 2>, Error> {
        let mut graph = Graph::new();
        let x = graph.input(&[m, features], DataType::Fp32)?;
        graph.op(
            Op::Linear(Linear { in_features: features, out_features: features, bias: false, weights: None }),
            &[x],
        )?;
        Ok(graph)
    }

    #[test]
    fn the_description_by_hand() -> Result<(), Error> {
        with_toy(|toy| {
            let graph = layer(1000, 1000)?;
            let got = estimate(graph.view(), &Target::new(toy)?)?;
            // 2e9 FLOP at 32 GFLOP/s · 0.5: 125 ms. 12 MB from DRAM at 10 GB/s · 0.5: 2.4 ms. 1 µs dispatch.
            let by_hand = 1e-6 + 0.125 * (1.0_f64 + (0.0024_f64 / 0.125).powi(3)).cbrt();
            assert!((f64::from(got.latency.0) - by_hand).abs() < 1e-7, "{got:?}");
            assert_eq!((got.compute_bound(), got.confidence), (true, Confidence::Theoretical));
            Ok(())
        })?
    }

    #[test]
    fn the_bound_of_a_graph_by_hand() -> Result<(), Error> {
        with_toy(|toy| {
            let target = Target::new(toy)?;
            let bound = |m, features| Ok::<_, Error>(estimate(layer(m, features)?.view(), &target)?.bound);
            // 125 ms of arithmetic against 2.4 ms of traffic.
            assert_eq!(bound(1000, 1000)?, Bound::Compute);
            // 2e6 FLOP at 16 GFLOP/s: 0.125 ms; 4 MB from DRAM at 5 GB/s: 0.8 ms.
            assert_eq!(bound(1, 1000)?, Bound::Memory(1));
            // 128 FLOP, 8 ns; 320 B from L1 at 50 GB/s, 6.4 ns; 1 µs of dispatch.
            assert_eq!(bound(1, 8)?, Bound::Overhead);
            Ok(())
        })?
    }

    #[test]
    fn coefficients_replace_the_factors() -> Result<(), Error> {
        with_toy(|toy| {
            let graph = layer(1000, 1000)?;
            let calibration = calibration(graph.view(), Runtime::EagerCpu)?;
            let target = Target { calibration: Some(&calibration), ..Target::new(toy)? };
            let got = estimate(graph.view(), &target)?;
            // 2e9 FLOP at 32 GFLOP/s, not times the description's 0.5: 62.5 ms. 12 MB at 10 GB/s: 1.2 ms. 3 µs of dispatch.
            let by_hand = 3e-6 + 0.0625 * (1.0_f64 + (0.0012_f64 / 0.0625).powi(3)).cbrt();
            assert!((f64::from(got.latency.0) - by_hand).abs() < 1e-7, "{got:?}");
            assert_eq!(got.confidence, Confidence::Calibrated);
            // One op: e^(2 · √(0.1² + 0.1²)) = 1.327.
            let [low, high] = got.interval.ok_or(Error::InvalidTime)?;
            assert!((high.0 / got.latency.0 - 1.326_9).abs() < 1e-3 && (got.latency.0 / low.0 - 1.326_9).abs() < 1e-3);
            // An op far smaller than the measured one is no longer calibrated.
            let small = layer(1, 8)?;
            assert_eq!(estimate(small.view(), &target)?.confidence, Confidence::Theoretical);
            Ok(())
        })?
    }

    /// 32 GFLOP/s, 10 GB/s, 3 µs a product, 1 µs another op; measured on the ops of a graph.
    fn calibration(measured: GraphView<'_>, runtime: Runtime) -> Result<Calibration, Error> {
        let mut calibration = Calibration {
            model_version: MODEL_VERSION,
            runtime,
            protocol: Protocol::WholeRun,
            threads: 1,
            coefficients: Coefficients {
                linear_throughput: 32e9,
                memory_bandwidth: 10e9,
                cache_capacity: 1.0,
                library_dispatch: 3e-6,
                dispatch: 1e-6,
                kernel_floor: 2e-6,
                ..Coefficients::NEUTRAL
            },
            hulls: [Hull::EMPTY; Class::ALL.len()],
            intervals: Some(Intervals { ops: [[[-0.7, 0.7]; 3]; 5], common: 0.1, own: 0.1, quantile: 2.0 }),
        };
        for node in measured.nodes() {
            calibration.widen(&measured.work(node)?)?;
        }
        Ok(calibration)
    }

    #[test]
    fn a_device_follows_its_host() -> Result<(), Error> {
        with_toy(|toy| {
            let mut graph = Graph::<3, 4>::new();
            let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: false });
            let x = graph.input(&[64, 1000], DataType::Fp32)?;
            let y = graph.op(relu, &[x])?;
            let y = graph.op(relu, &[y])?;
            graph.op(relu, &[y])?;
            let calibration = calibration(graph.view(), Runtime::EagerGpu)?;
            let target = Target { calibration: Some(&calibration), ..Target::new(toy)? };
            // 512 kB at 10 GB/s: 51.2 µs each. The host is done after 3 µs; the device starts after 1 µs and works for 153.6.
            let got = estimate(graph.view(), &target)?;
            assert!((got.latency.0 - 154.6e-6).abs() < 1e-9, "{got:?}");
            // Short kernels: 8 B in 0.8 ns, so 2 µs each, dispatched every microsecond: 1 + 3 · 2.
            let mut short = Graph::<3, 4>::new();
            let x = short.input(&[1], DataType::Fp32)?;
            let y = short.op(relu, &[x])?;
            let y = short.op(relu, &[y])?;
            short.op(relu, &[y])?;
            let got = estimate(short.view(), &target)?;
            assert!((got.latency.0 - 7e-6).abs() < 1e-11, "{got:?}");
            Ok(())
        })?
    }
}
