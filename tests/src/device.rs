//! Random devices and calibrations, within the ranges of real ones.

use derate_core::Error;
use derate_core::calibration::{
    COEFFICIENTS, Calibration, Coefficients, Hull, Intervals, MODEL_VERSION, Protocol, Runtime,
};
use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
use derate_core::shape::PerPrecision;
use derate_core::units::{Bytes, BytesPerSecond, Factor, Hertz, MacsPerCycle, Seconds};
use derate_core::work::Class;
use proptest::prelude::*;

/// A random device that works in every precision at one rate, as plain numbers that a law can change.
#[derive(Clone, Debug)]
pub struct Device {
    /// Compute units, at least 1.
    pub count: u32,
    /// Their clock in Hz.
    pub clock: f32,
    /// MACs of one of them in a cycle.
    pub macs_per_cycle: f32,
    /// Capacity in bytes and bandwidth in B/s of each level: capacities grow, bandwidths fall.
    pub levels: Vec<(u64, f32)>,
    /// Share of the peak throughput.
    pub efficiency: f32,
    /// Share of the bandwidths.
    pub memory: f32,
    /// Time an op takes beside its work, in seconds.
    pub dispatch: f32,
}

/// Devices from a microcontroller's to a GPU's size, of one to four memory levels.
pub fn device() -> impl Strategy<Value = Device> {
    let unit = (1_u32..=128, 1e7_f32..3e9, 0.25_f32..64.0);
    let first = (1_u64 << 10..1 << 17, 1e9_f32..1e12);
    let steps = prop::collection::vec((2_u64..64, 1.1_f32..10.0), 0..=3);
    (unit, first, steps, 0.05_f32..=1.0, 0.1_f32..=1.0, 0.0_f32..1e-4).prop_map(
        |((count, clock, macs_per_cycle), first, steps, efficiency, memory, dispatch)| {
            let mut levels = vec![first];
            for (larger, slower) in steps {
                let (capacity, bandwidth) = levels[levels.len() - 1];
                levels.push((capacity * larger, bandwidth / slower));
            }
            Device { count, clock, macs_per_cycle, levels, efficiency, memory, dispatch }
        },
    )
}

impl Device {
    /// Calls `body` with the device as the estimator takes it.
    ///
    /// # Errors
    /// What the constructors refuse, for which a random device gives no reason.
    pub fn with<R>(&self, body: impl FnOnce(&Hardware<'_>) -> R) -> Result<R, Error> {
        let compute = [ComputeUnit {
            name: "unit",
            count: self.count,
            clock: Hertz::new(self.clock)?,
            macs_per_cycle: PerPrecision::all(Some(MacsPerCycle::new(self.macs_per_cycle)?)),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        }];
        let level = |&(capacity, bandwidth): &(u64, f32)| {
            Ok(MemoryLevel::new("level", Bytes(capacity), BytesPerSecond::new(bandwidth)?, Basis::Spec))
        };
        let memory = self.levels.iter().map(level).collect::<Result<Vec<_>, Error>>()?;
        let factors = PrecisionFactors {
            efficiency_factor: Factor::new(self.efficiency)?,
            memory_bottleneck_factor: Factor::new(self.memory)?,
            tile_utilization: Factor::ONE,
            native_acceleration: true,
        };
        let profiles = [ThermalProfile::new("default", "none", PerPrecision::all(Some(factors)))];
        Ok(body(&Hardware::new("random", &compute, &memory, &profiles, Seconds(self.dispatch))?))
    }
}

/// Calibrations of a CPU anywhere in the ranges of the coefficients, evenly in their logarithms, that cover any set of classes.
pub fn calibration() -> impl Strategy<Value = Calibration> {
    let coefficients = COEFFICIENTS.each_ref().map(|c| {
        // Times and counts that may be nothing: nothing, or anything from a billionth of the most.
        let (low, high) = (c.low.max(c.high * 1e-9), c.high);
        let neutral = c.value;
        let any = (low.ln()..=high.ln()).prop_map(move |logarithm| logarithm.exp().clamp(low, high));
        prop_oneof![1 => Just(neutral), 3 => any].boxed()
    });
    // A region that holds nothing, everything, or some: so that every confidence occurs.
    let bound =
        || prop_oneof![Just([f32::MAX, 0.0]), Just([0.0, 1e30]), (1e2_f32..1e6).prop_map(|low| [low, low * 1e3])];
    let hulls =
        [(); Class::ALL.len()].map(|()| (bound(), bound()).prop_map(|(flops, bytes)| Hull { flops, bytes }).boxed());
    (coefficients, hulls, 1_u16..64).prop_filter_map("outside a range", |(values, hulls, threads)| {
        Some(Calibration {
            model_version: MODEL_VERSION,
            runtime: Runtime::EagerCpu,
            protocol: Protocol::WholeRun,
            threads,
            coefficients: Coefficients::from_values(values).ok()?,
            hulls,
            intervals: Some(Intervals { ops: [[[-0.2, 0.2]; 3]; 5], common: 0.05, own: 0.1, quantile: 2.0 }),
        })
    })
}
