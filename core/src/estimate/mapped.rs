//! Estimates by a mapper: each kernel tiled and laid on the units, its cycles, traffic and energy, and the time they take.
//!
//! ```text
//! compute  = cycles / (clock · efficiency_factor)
//! memory   = max over levels of traffic(level) / (bandwidth(level) · memory_bottleneck_factor)
//! latency  = dispatch + launch + setup + smooth_max(compute, memory)   where moves hide behind arithmetic
//!          = dispatch + launch + setup + compute + memory              where they do not
//! energy   = MACs · pJ/MAC + other FLOPs · pJ/MAC / 2 + Σ traffic(level) · pJ/byte(level) + static power · latency
//! latency ≥ dynamic energy / (tdp − static power)                      at the sustained clock: more power is not cooled away
//! ```
//! Levels inside the last are clocked with the units, so their bandwidths follow the clock of the power mode. Operands of a kernel
//! lie at the smallest level that all units share and that holds them: activations the kernel's own, weights those of the whole
//! network beside them.

use super::time::Roofs;
use super::{Estimate, OpEstimate, Target, bound_of, confidence, precision, total};
use crate::error::Error;
use crate::fusion::{Fused, Kernel};
use crate::graph::GraphView;
use crate::hardware::{Hardware, Holds, MemoryLevel};
use crate::mapping::{Machine, Mapper, Mapping};
use crate::nest::{Homes, LoopNest, Stream, Task};
use crate::roofline::smooth_max;
use crate::shape::Precision;
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, BytesPerSecond, Cycles, Factor, Flops, Joules, Seconds};

/// Energy of a kernel or a network, and where it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Energy {
    /// Of arithmetic.
    pub compute: Joules,
    /// Of moved bytes.
    pub memory: Joules,
    /// Of what leaks and idles while it runs.
    pub idle: Joules,
}

impl Energy {
    /// All of it, in joules.
    #[must_use]
    pub fn total(&self) -> Joules {
        self.compute + self.memory + self.idle
    }

    /// Energy times delay, in joule-seconds.
    #[must_use]
    pub fn delay_product(&self, latency: Seconds) -> f32 {
        self.total().0 * latency.0
    }
}

/// Estimate of one kernel by a mapper.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KernelEstimate {
    /// Its time, bound and confidence.
    pub op: OpEstimate,
    /// Cycles of its arithmetic at the units' clock.
    pub compute_cycles: Cycles,
    /// MACs over those that all units could have done in these cycles, 0 to 1.
    pub utilization: f32,
    /// Bytes that each memory level serves or takes.
    pub traffic: [Bytes; MAX_LEVELS],
    /// Its energy; `None` where the description does not give that of a MAC in this precision or of a byte of each level.
    pub energy: Option<Energy>,
}

/// Estimate of a network by a mapper.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NetworkEstimate {
    /// Its time, bound and confidence.
    pub estimate: Estimate,
    /// Cycles of its arithmetic.
    pub compute_cycles: Cycles,
    /// Bytes that each memory level serves or takes.
    pub traffic: [Bytes; MAX_LEVELS],
    /// Its energy; `None` where that of some kernel is not known.
    pub energy: Option<Energy>,
}

/// A kernel that was mapped before: equal kernels are tiled once. Scratch for [`estimate_mapped`]: [`Memo::EMPTY`] for each
/// different kernel that is to be remembered; with fewer, some are mapped again.
#[derive(Clone, Copy, Debug)]
pub struct Memo {
    entry: Option<(LoopNest, Precision, Cost)>,
}

impl Memo {
    /// A free entry.
    pub const EMPTY: Self = Self { entry: None };
}

/// What a mapping costs, without its tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    cycles: Cycles,
    traffic: [Bytes; MAX_LEVELS],
    setup: Seconds,
    overlapped: bool,
}

impl Cost {
    const NOTHING: Self =
        Self { cycles: Cycles::ZERO, traffic: [Bytes::ZERO; MAX_LEVELS], setup: Seconds::ZERO, overlapped: true };

    /// By reference: a mapping is large, and only this much of it is wanted.
    fn of(mapping: &Result<Mapping, Error>) -> Result<Self, Error> {
        let Mapping { compute_cycles: cycles, traffic, setup, overlapped, .. } =
            mapping.as_ref().map_err(|error| *error)?;
        Ok(Self { cycles: *cycles, traffic: *traffic, setup: *setup, overlapped: *overlapped })
    }

    /// One after the other.
    fn and(mut self, other: &Self) -> Result<Self, Error> {
        self.cycles = self.cycles.checked_add(other.cycles)?;
        for (sum, bytes) in self.traffic.iter_mut().zip(other.traffic) {
            *sum = sum.checked_add(bytes)?;
        }
        self.setup = self.setup + other.setup;
        self.overlapped = self.overlapped && other.overlapped;
        Ok(self)
    }
}

/// Time and energy of the whole graph, its ops run as the kernels of a policy, each laid on the device by a mapper.
///
/// # Errors
/// Those of [`mapped_kernels`]; [`Error::InvalidTime`] where rates are so small that the time is not finite.
pub fn estimate_mapped<M: Mapper>(
    fused: Fused<'_>,
    target: &Target<'_>,
    mapper: &M,
    memos: &mut [Memo],
) -> Result<NetworkEstimate, Error> {
    let (mut cycles, mut traffic, mut energy) = (Cycles::ZERO, [Bytes::ZERO; MAX_LEVELS], Some(Energy::default()));
    let kernels = mapped_kernels(fused, target, mapper, memos)?.map(|kernel| {
        let kernel = kernel?;
        cycles = cycles.checked_add(kernel.compute_cycles)?;
        for (sum, bytes) in traffic.iter_mut().zip(kernel.traffic) {
            *sum = sum.checked_add(bytes)?;
        }
        energy = energy.zip(kernel.energy).map(|(sum, more)| Energy {
            compute: sum.compute + more.compute,
            memory: sum.memory + more.memory,
            idle: sum.idle + more.idle,
        });
        Ok(kernel.op)
    });
    let estimate = total(fused.graph().stored()?, kernels, target)?;
    Ok(NetworkEstimate { estimate, compute_cycles: cycles, traffic, energy })
}

/// Estimate of each kernel of the graph, in execution order.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 of anything; for a kernel, [`Error::NoUnitForPrecision`],
/// [`Error::NoFactorsForPrecision`] where the target does not work in its precision, and [`Error::Infeasible`] where its smallest
/// tile does not fit.
pub fn mapped_kernels<'a, M: Mapper>(
    fused: Fused<'a>,
    target: &'a Target<'a>,
    mapper: &'a M,
    memos: &'a mut [Memo],
) -> Result<impl Iterator<Item = Result<KernelEstimate, Error>> + 'a, Error> {
    let graph = fused.graph();
    let weights = graph.bytes_stored()?;
    let mut known: Option<Place<'_>> = None;
    let mut task = Task::NOTHING;
    Ok(fused.kernels().map(move |kernel| {
        task.set(graph, &kernel, kernel_precision(graph, &kernel, target)?)?;
        settle(&mut task, weights, target)?;
        // Most networks compute in one precision.
        let place = match &known {
            Some(place) if place.machine.precision == task.precision => place,
            _ => known.insert(Place::of(target, task.precision)?),
        };
        placed(&task, target, place, mapper, memos)
    }))
}

/// The kernel as its mapper sees it: its operands at the levels that hold them.
///
/// # Errors
/// As [`mapped_kernels`] for a kernel.
pub fn task_of(fused: Fused<'_>, kernel: &Kernel<'_>, weights: Bytes, target: &Target<'_>) -> Result<Task, Error> {
    let graph = fused.graph();
    let mut task = Task::of(graph, kernel, kernel_precision(graph, kernel, target)?)?;
    settle(&mut task, weights, target)?;
    Ok(task)
}

fn kernel_precision(graph: GraphView<'_>, kernel: &Kernel<'_>, target: &Target<'_>) -> Result<Precision, Error> {
    precision(graph, kernel.main().ok_or(Error::UnknownTensor { operand: 0 })?, target)
}

/// Sets where the operands of a task lie.
fn settle(task: &mut Task, weights: Bytes, target: &Target<'_>) -> Result<(), Error> {
    let activations = task.work.bytes_activation()?;
    let homes = homes(target.hardware, activations, weights.checked_add(activations)?);
    task.nests.iter_mut().for_each(|nest| nest.homes = homes);
    task.stream.homes = homes;
    Ok(())
}

/// The levels at which activations and weights of these sizes lie.
#[must_use]
pub fn homes(hardware: &Hardware<'_>, activations: Bytes, weights: Bytes) -> Homes {
    let units = hardware.compute().iter().map(|unit| unit.count).max().unwrap_or(1);
    let smallest = |bytes: Bytes, other: Holds| {
        let holds = |level: &MemoryLevel<'_>| {
            (level.instances == 1 || units == 1) && level.holds != other && level.capacity.0 >= bytes.0
        };
        let found = (0..u8::MAX).zip(hardware.memory()).find(|(_, level)| holds(level));
        found.map_or(u8::MAX, |(index, _)| index)
    };
    let home = smallest(activations, Holds::Weights);
    Homes { input: home, weights: smallest(weights, Holds::Activations), output: home }
}

/// A device in a power mode, for one precision: what is the same for every task.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    machine: Machine<'a>,
    roofs: Roofs,
    /// What software reaches of the bandwidth of each level, at the clock of the mode.
    bandwidths: [BytesPerSecond; MAX_LEVELS],
}

impl<'a> Place<'a> {
    fn of(target: &Target<'a>, precision: Precision) -> Result<Self, Error> {
        let machine = Machine::new(target.hardware, target.thermal_profile, precision)?.at_clock(target.clock())?;
        let roofs = Roofs::of(target, precision)?;
        let clocked = Factor::new(machine.clock.get() / machine.unit.clock.get())?;
        let (last, inner) = target.hardware.memory().split_last().ok_or(Error::MemoryLevels)?;
        // Levels inside the last are clocked with the units.
        let mut bandwidths = [last.bandwidth * roofs.backing; MAX_LEVELS];
        for (bandwidth, level) in bandwidths.iter_mut().zip(inner) {
            *bandwidth = level.bandwidth * roofs.factors.memory_bottleneck_factor * clocked;
        }
        Ok(Self { machine, roofs, bandwidths })
    }

    /// The level whose traffic takes longest, and that time.
    fn slowest(&self, traffic: &[Bytes; MAX_LEVELS]) -> (u8, Seconds) {
        let mut longest = (0, Seconds::ZERO);
        let levels = (0..u8::MAX).zip(self.machine.hardware.memory());
        for (((index, _), bandwidth), &bytes) in levels.zip(self.bandwidths).zip(traffic) {
            let time = bytes / bandwidth;
            if time.0 > longest.1.0 {
                longest = (index, time);
            }
        }
        longest
    }
}

/// Estimate of one task.
///
/// # Errors
/// As [`mapped_kernels`] for a kernel.
pub fn task_estimate<M: Mapper>(
    task: &Task,
    target: &Target<'_>,
    mapper: &M,
    memos: &mut [Memo],
) -> Result<KernelEstimate, Error> {
    placed(task, target, &Place::of(target, task.precision)?, mapper, memos)
}

/// Estimate of one task on what is known of its place.
fn placed<M: Mapper>(
    task: &Task,
    target: &Target<'_>,
    place: &Place<'_>,
    mapper: &M,
    memos: &mut [Memo],
) -> Result<KernelEstimate, Error> {
    let Place { machine, roofs, .. } = place;
    let mut cost = Cost::NOTHING;
    for nest in &task.nests {
        cost = cost.and(&remembered(nest, machine, mapper, memos)?)?;
    }
    if !task.stream.is_empty() {
        cost = cost.and(&Cost::of(&mapper.stream(&task.stream, machine))?)?;
    }
    let compute = Seconds((cost.cycles / machine.clock).0 / roofs.factors.efficiency_factor.get());
    let (level, memory) = place.slowest(&cost.traffic);
    let empty = task.stream.is_empty() && task.nests.is_empty();
    let dispatch = if empty { Seconds::ZERO } else { target.hardware.dispatch() + mapper.launch() };
    let overhead = dispatch + cost.setup;
    let busy = if cost.overlapped { smooth_max(compute, memory) } else { compute + memory };
    let mut latency = overhead + busy;
    let energy = dynamic_energy(task, &cost.traffic, machine);
    let idle = target.thermal_profile.static_power;
    if let (Some(energy), Some(tdp)) = (energy, target.thermal_profile.tdp)
        && target.clock_state == super::ClockState::Sustained
    {
        // What is left for work is at least a tenth of the power: a static share above that is a mistake of the description.
        let left = (tdp.get() - idle.map_or(0.0, crate::units::Watts::get)).max(tdp.get() * 0.1);
        latency = latency.max(Seconds((energy.compute + energy.memory).0 / left));
    }
    let energy = energy.map(|energy| Energy { idle: idle.map_or(Joules::ZERO, |power| power * latency), ..energy });
    let op = OpEstimate {
        work: task.work,
        latency,
        interval: None,
        compute,
        memory,
        level,
        overhead,
        bound: bound_of(compute, memory, overhead, level),
        confidence: confidence(&task.work, target, roofs)?,
    };
    let cycles = cost.cycles.as_f32();
    let utilization = if cycles > 0.0 { (machine.least_cycles(task.work.macs) / cycles).min(1.0) } else { 0.0 };
    Ok(KernelEstimate { op, compute_cycles: cost.cycles, utilization, traffic: cost.traffic, energy })
}

/// The cost of a nest, from an entry or mapped now.
fn remembered<M: Mapper>(
    nest: &LoopNest,
    machine: &Machine<'_>,
    mapper: &M,
    memos: &mut [Memo],
) -> Result<Cost, Error> {
    for memo in &mut *memos {
        match &memo.entry {
            Some((known, precision, cost)) if known == nest && *precision == machine.precision => return Ok(*cost),
            Some(_) => {}
            None => {
                let cost = Cost::of(&mapper.product(nest, machine))?;
                memo.entry = Some((*nest, machine.precision, cost));
                return Ok(cost);
            }
        }
    }
    Cost::of(&mapper.product(nest, machine))
}

/// Energy of arithmetic and traffic; a FLOP that is no MAC takes half of one.
fn dynamic_energy(task: &Task, traffic: &[Bytes; MAX_LEVELS], machine: &Machine<'_>) -> Option<Energy> {
    let mac = machine.unit.energy_per_mac.at(machine.precision)?;
    let others = Flops(task.work.flops.0.saturating_sub(task.work.macs.0.saturating_mul(2)));
    let compute = task.work.macs * mac + Joules(others.as_f32() * mac.get() * 0.5);
    let mut memory = Joules::ZERO;
    for (level, &bytes) in machine.hardware.memory().iter().zip(traffic) {
        memory = memory + bytes * level.energy_per_byte?;
    }
    Some(Energy { compute, memory, idle: Joules::ZERO })
}

/// The mapping of the largest nest of a task, or of its stream: its tiles, losses and footprints, for those who want to see why.
///
/// # Errors
/// As [`mapped_kernels`] for a kernel.
pub fn mapping_of<M: Mapper>(task: &Task, target: &Target<'_>, mapper: &M) -> Result<Mapping, Error> {
    let machine = Machine::new(target.hardware, target.thermal_profile, task.precision)?.at_clock(target.clock())?;
    let macs = |nest: &LoopNest| nest.macs().map_or(u64::MAX, |macs| macs.0);
    match task.nests.iter().max_by_key(|nest| macs(nest)) {
        Some(nest) => mapper.product(nest, &machine),
        None => mapper.stream(&Stream { ..task.stream }, &machine),
    }
}
