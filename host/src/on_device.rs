//! A network on a described device: fused, mapped, estimated; and what every verb says of it, for people and for programs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use derate_core::Error;
use derate_core::estimate::{
    ClockState, Energy, KernelEstimate, Memo, NetworkEstimate, Target, estimate_mapped, mapped_kernels, mapping_of,
    task_of,
};
use derate_core::fusion::{EAGER, Fused, INFERENCE, Link, MCU, Policy, Readers, fuse};
use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::mapper::Any;
use derate_core::mapping::{Machine, Mapping};
use derate_core::roofline::Bound;
use derate_core::shape::{DataType, Precision};
use derate_core::tile::{LevelTiling, Tiling};
use derate_core::units::{Bytes, Macs};
use serde::Serialize;

use crate::graph_buf::GraphBuf;
use crate::hardware_file::{DeviceKind, HardwareFile};
use crate::retype::retyped;

/// How a network runs on a device, where not as its description says first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode<'a> {
    /// The power mode; the default one where none is named.
    pub thermal_profile: Option<&'a str>,
    /// Which clock of the mode.
    pub clock_state: ClockState,
    /// The runtime's policy; that of the kind of device where none is given.
    pub policy: Option<&'static Policy>,
}

impl<'a> Mode<'a> {
    /// A power mode by its name.
    #[must_use]
    pub fn named(thermal_profile: Option<&'a str>) -> Self {
        Self { thermal_profile, ..Self::default() }
    }
}

/// A network's estimate on a device, with that of each kernel.
#[derive(Clone, Debug)]
pub struct OnDevice {
    /// Of the whole network.
    pub network: NetworkEstimate,
    /// Of each kernel, in execution order.
    pub kernels: Vec<KernelOnDevice>,
    /// Name of the power mode.
    pub thermal_profile: String,
    /// Name of the policy that grouped the ops.
    pub policy: &'static str,
    /// Names of the memory levels, from the innermost on.
    pub levels: Vec<String>,
    /// Whether weights and activations fit the device.
    pub fits: bool,
    /// Bytes stored with the network.
    pub weights: Bytes,
    /// Most bytes of activations alive at once.
    pub peak_activations: Bytes,
}

/// A kernel's estimate and mapping.
#[derive(Clone, Debug)]
pub struct KernelOnDevice {
    /// Name of its main op.
    pub name: String,
    /// Kind of its main op.
    pub op: &'static str,
    /// Names of all its ops, in execution order.
    pub ops: Vec<String>,
    /// Its estimate.
    pub estimate: KernelEstimate,
    /// How its largest product, or its stream, lies on the units.
    pub mapping: Mapping,
}

/// How a runtime of this kind of device groups ops.
#[must_use]
pub const fn policy_of(kind: DeviceKind) -> &'static Policy {
    match kind {
        DeviceKind::Cpu => &EAGER,
        DeviceKind::Mcu => &MCU,
        _ => &INFERENCE,
    }
}

/// The graph in a precision that the device works in: the one that is asked for, else the graph's own, else the nearest that the
/// device has.
///
/// # Errors
/// A precision in which nothing is stored, or a graph whose ops refuse it.
pub fn in_precision(
    graph: &GraphBuf,
    own: Precision,
    asked: Option<Precision>,
    file: &HardwareFile,
) -> Result<(GraphBuf, Precision)> {
    let has = |precision: Precision| {
        file.compute.iter().any(|unit| unit.macs_per_cycle.contains_key(&precision))
            && file.thermal_profile.iter().any(|profile| profile.factors.contains_key(&precision))
    };
    let precision = match asked {
        Some(asked) => asked,
        None if has(own) => own,
        None => {
            let nearest = [Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8, Precision::Fp64];
            nearest.into_iter().find(|&precision| has(precision)).unwrap_or(own)
        }
    };
    if precision == own {
        return Ok((graph.clone(), own));
    }
    let data_type = precision.data_type();
    if data_type.precision() != Some(precision) {
        bail!("{}: no tensor is stored in it; convert to fp32", precision.name());
    }
    Ok((retyped(graph, data_type)?, precision))
}

/// The precision in which the graph does most of its arithmetic; fp32 where it does none.
#[must_use]
pub fn precision_of(graph: &GraphBuf) -> Precision {
    let view = graph.view();
    let mut flops = [0_u64; Precision::ALL.len()];
    for node in view.nodes() {
        let precision = view.operands(node).at(0).ok().and_then(|operand| operand.data_type.precision());
        let at = precision.and_then(|precision| Precision::ALL.iter().position(|known| *known == precision));
        if let (Some(sum), Ok(work)) = (at.and_then(|at| flops.get_mut(at)), view.work(node)) {
            *sum = sum.saturating_add(work.flops.0);
        }
    }
    let most = Precision::ALL.into_iter().zip(flops).filter(|(_, flops)| *flops > 0).max_by_key(|(_, flops)| *flops);
    most.map_or(Precision::Fp32, |(precision, _)| precision)
}

/// The device in a power mode at one of its clocks.
///
/// # Errors
/// A mode that the description does not have, with those that it has.
pub fn target<'a>(hardware: &'a Hardware<'a>, mode: Mode<'_>) -> Result<Target<'a>> {
    let target = Target { clock_state: mode.clock_state, ..Target::new(hardware)? };
    let Some(name) = mode.thermal_profile else { return Ok(target) };
    let profiles = hardware.thermal_profiles();
    match profiles.iter().find(|profile| profile.name == name) {
        Some(thermal_profile) => Ok(Target { thermal_profile, ..target }),
        None => {
            let has = profiles.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ");
            bail!("{} has no thermal profile {name:?}; it has {has}", hardware.name())
        }
    }
}

/// Time that all units of a target need at least for so many MACs, in seconds, at the clock of its mode.
///
/// # Errors
/// A precision in which no unit works.
pub fn least_seconds(target: &Target<'_>, precision: Precision, macs: Macs) -> Result<f64, Error> {
    let Target { hardware, thermal_profile: profile, clock_state, .. } = *target;
    let boost = profile.boost_clock.filter(|_| clock_state == ClockState::Boost);
    let machine = Machine::new(hardware, profile, precision)?.at_clock(boost.or(profile.clock))?;
    Ok(f64::from(machine.least_cycles(macs)) / f64::from(machine.clock.get()))
}

/// Scratch of a fusion.
#[derive(Debug)]
pub struct Scratch {
    readers: Vec<Readers>,
    links: Vec<Link>,
}

impl Scratch {
    /// Enough for this graph.
    #[must_use]
    pub fn new(graph: &GraphBuf) -> Self {
        let view = graph.view();
        Self { readers: vec![Readers::NOBODY; view.tensors().len()], links: vec![Link::FREE; view.nodes().len()] }
    }

    /// The kernels of a graph.
    ///
    /// # Errors
    /// What core's `fuse` refuses.
    pub fn fuse<'a>(&'a mut self, graph: &'a GraphBuf, policy: &'a Policy) -> Result<Fused<'a>> {
        Ok(fuse(graph.view(), policy, &mut self.readers, &mut self.links)?)
    }
}

/// Estimates a network on a device, its kernels left aside.
///
/// # Errors
/// As [`on_device`].
pub fn network_on(graph: &GraphBuf, file: &HardwareFile, mode: Mode<'_>) -> Result<NetworkEstimate> {
    let parts = file.parts()?;
    let hardware = parts.hardware()?;
    let target = target(&hardware, mode)?;
    let mut scratch = Scratch::new(graph);
    let fused = scratch.fuse(graph, mode.policy.unwrap_or(policy_of(file.kind)))?;
    estimated(fused, &target, &file.mapper()).with_context(|| format!("{} on {}", graph.name(), file.name))
}

/// Estimates a network on a device.
///
/// # Errors
/// A power mode that the device does not have; what core's estimate refuses, with the network and the device.
pub fn on_device(graph: &GraphBuf, file: &HardwareFile, mode: Mode<'_>) -> Result<OnDevice> {
    let parts = file.parts()?;
    let hardware = parts.hardware()?;
    let target = target(&hardware, mode)?;
    let mapper = file.mapper();
    let policy = mode.policy.unwrap_or(policy_of(file.kind));
    let mut scratch = Scratch::new(graph);
    let fused = scratch.fuse(graph, policy)?;
    let place = || format!("{} on {}", graph.name(), file.name);
    let network = estimated(fused, &target, &mapper).with_context(place)?;
    let kernels = kernels(graph, fused, &target, &mapper).with_context(place)?;
    let footprint = graph.footprint()?;
    Ok(OnDevice {
        network,
        kernels,
        thermal_profile: target.thermal_profile.name.to_owned(),
        policy: policy.name,
        levels: file.memory.iter().map(|level| level.name.clone()).collect(),
        fits: crate::fits::fits(file, footprint.weights.0, footprint.peak_activations.0),
        weights: footprint.weights,
        peak_activations: footprint.peak_activations,
    })
}

fn estimated(fused: Fused<'_>, target: &Target<'_>, mapper: &Any) -> Result<NetworkEstimate, Error> {
    estimate_mapped(fused, target, mapper, &mut vec![Memo::EMPTY; fused.kernels().count()])
}

fn kernels(
    graph: &GraphBuf,
    fused: Fused<'_>,
    target: &Target<'_>,
    mapper: &Any,
) -> Result<Vec<KernelOnDevice>, Error> {
    let mut memos = vec![Memo::EMPTY; fused.kernels().count()];
    let estimates = mapped_kernels(fused, target, mapper, &mut memos)?.collect::<Result<Vec<_>, _>>()?;
    let weights = graph.view().bytes_stored()?;
    let name = |number: u32| {
        let found = usize::try_from(number).ok().and_then(|number| graph.names().get(number));
        found.cloned().unwrap_or_default()
    };
    let kernels = fused.kernels().zip(estimates).map(|(kernel, estimate)| {
        let mut ops: Vec<String> = kernel.nodes().map(name).collect();
        ops.reverse();
        let nodes = graph.view().nodes();
        let main = kernel.main();
        let number = kernel.nodes().find(|&number| {
            usize::try_from(number).ok().and_then(|number| nodes.get(number)).map(|node| node.output)
                == main.map(|main| main.output)
        });
        let task = task_of(fused, &kernel, weights, target)?;
        Ok(KernelOnDevice {
            name: number.map(name).unwrap_or_default(),
            op: main.map_or("", |main| main.op.name()),
            ops,
            estimate,
            mapping: mapping_of(&task, target, mapper)?,
        })
    });
    kernels.collect()
}

/// What bounds: `compute`, `overhead`, or `memory` with the name of its level.
#[must_use]
pub fn bound_name(bound: Bound, levels: &[String]) -> String {
    match bound {
        Bound::Compute => "compute".to_owned(),
        Bound::Overhead => "overhead".to_owned(),
        Bound::Memory(level) => {
            let name = levels.get(usize::from(level)).map_or("", String::as_str);
            format!("memory {name}").trim_end().to_owned()
        }
    }
}

/// A kernel as programs read it.
#[derive(Clone, Debug, Serialize)]
pub struct KernelSaid {
    /// Name of its main op.
    pub name: String,
    /// Kind of its main op.
    pub op: &'static str,
    /// Names of all its ops, in execution order.
    pub ops: Vec<String>,
    /// Its time in microseconds.
    pub latency_us: f64,
    /// What takes most of it.
    pub bound: String,
    /// MACs over those that all units could have done in `compute_cycles`.
    pub utilization: f64,
    /// Cycles of its arithmetic.
    pub compute_cycles: u64,
    /// Its energy in microjoules; null where the description does not say enough.
    pub energy_uj: Option<f64>,
    /// Bytes that each memory level serves or takes.
    pub traffic_bytes: BTreeMap<String, u64>,
    /// The tiles of each memory level, from the innermost on; empty where nothing is tiled.
    pub tile: Vec<TileSaid>,
}

/// The tiles of one memory level as programs read them.
#[derive(Clone, Debug, Serialize)]
pub struct TileSaid {
    /// The level.
    pub level: String,
    /// Extent of a tile along each loop.
    pub tile: BTreeMap<&'static str, u64>,
    /// The loops over tiles, outermost first.
    pub loop_order: Vec<&'static str>,
    /// The operand that stays while the innermost loop runs.
    pub stationary: &'static str,
    /// Bytes that pass between this level and the one outside it.
    pub traffic_bytes: u64,
    /// Bytes that must pass, whatever the tiling.
    pub lower_bound_bytes: u64,
    /// Bytes that must pass in whatever order the MACs are done, tiled or not; only where tilings are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any_order_bound_bytes: Option<u64>,
    /// Bytes that the tiles take.
    pub footprint_bytes: u64,
}

impl TileSaid {
    /// One level of a tiling.
    ///
    /// # Errors
    /// Bytes above 2^64 − 1.
    pub fn new(level: impl Into<String>, tiling: &LevelTiling) -> Result<Self, Error> {
        Ok(Self {
            level: level.into(),
            tile: tiling.loops.iter().map(|each| (each.dim.name(), each.tile)).collect(),
            loop_order: tiling.loops.iter().map(|each| each.dim.name()).collect(),
            stationary: tiling.stationary.name(),
            traffic_bytes: tiling.traffic.total()?.0,
            lower_bound_bytes: tiling.lower_bound.0,
            any_order_bound_bytes: None,
            footprint_bytes: tiling.footprint.0,
        })
    }
}

/// The tiles of all levels.
///
/// # Errors
/// Bytes above 2^64 − 1.
pub fn tiles_said(tiling: Option<&Tiling>, levels: &[String]) -> Result<Vec<TileSaid>, Error> {
    let tilings = tiling.into_iter().flat_map(|tiling| &tiling.levels);
    levels.iter().zip(tilings).map(|(level, tiling)| TileSaid::new(level, tiling)).collect()
}

impl KernelOnDevice {
    /// The kernel as programs read it.
    ///
    /// # Errors
    /// Bytes above 2^64 − 1.
    pub fn said(&self, levels: &[String]) -> Result<KernelSaid, Error> {
        let KernelEstimate { op, compute_cycles, utilization, traffic, energy } = self.estimate;
        Ok(KernelSaid {
            name: self.name.clone(),
            op: self.op,
            ops: self.ops.clone(),
            latency_us: f64::from(op.latency.0) * 1e6,
            bound: bound_name(op.bound, levels),
            utilization: f64::from(utilization),
            compute_cycles: compute_cycles.0,
            energy_uj: energy.map(|energy| joules(&energy) * 1e6),
            traffic_bytes: levels.iter().cloned().zip(traffic.map(|bytes| bytes.0)).collect(),
            tile: tiles_said(self.mapping.tiling.as_ref(), levels)?,
        })
    }
}

/// All of an energy, in joules.
#[must_use]
pub fn joules(energy: &Energy) -> f64 {
    f64::from(energy.total().0)
}

/// The data type that described networks are stored in for a precision.
#[must_use]
pub fn described_in(precision: Option<Precision>) -> DataType {
    precision.map_or(DataType::Fp32, Precision::data_type)
}
