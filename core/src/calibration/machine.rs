//! The few numbers of a description that coefficients are compared with.

use super::time::{Protocol, Runtime};
use crate::error::Error;
use crate::hardware::{Hardware, ThermalProfile};
use crate::shape::Precision;
use crate::units::to_f32;

/// What is known of a device before any measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Machine {
    /// What runs the ops.
    pub runtime: Runtime,
    /// What is timed.
    pub protocol: Protocol,
    /// Threads of the runtime, at least 1.
    pub threads: f32,
    /// Peak throughput of the fp32 units, in FLOP/s; of a device without fp32, that of the precision.
    pub plain_peak: f32,
    /// Peak throughput of the fastest units that convolutions of the precision may use, in FLOP/s: of fp32 on a GPU, TF32.
    pub matrix_peak: f32,
    /// Whether elements are shorter than those of fp32.
    pub short: bool,
    /// Bandwidth of the backing store, in B/s.
    pub bandwidth: f32,
    /// Capacity of the last cache, in bytes.
    pub cache: f32,
    /// Units that work side by side, times their clock, in Hz.
    pub unit_cycles: f32,
}

impl Machine {
    /// A device in a power mode, for ops of a precision by so many threads of a runtime.
    ///
    /// # Errors
    /// [`Error::NoUnitForPrecision`] where the device does not work in it.
    pub fn of(
        hardware: &Hardware<'_>,
        mode: &ThermalProfile<'_>,
        precision: Precision,
        runtime: Runtime,
        protocol: Protocol,
        threads: u32,
    ) -> Result<Self, Error> {
        let share = mode.factors.at(precision).map_or(1.0, |factors| factors.tile_utilization.get());
        // Peak throughput, and cycles of all units together.
        let peak = |precision: Precision| -> Result<(f32, f32), Error> {
            let (fastest, _) = hardware.fastest(precision)?;
            let all = runtime == Runtime::EagerGpu;
            let (mut idle, mut sum) = (threads.max(1), (0.0, 0.0));
            // One thread keeps one core busy; those that find the fastest cores taken run on others, such as efficient cores.
            let others = hardware.compute().iter().filter(|unit| *unit != fastest);
            for unit in core::iter::once(fastest).chain(others) {
                let Some(macs) = unit.macs_per_cycle.at(precision) else { continue };
                let busy = if all { unit.count } else { idle.min(unit.count) };
                let cycles = to_f32(u64::from(busy)) * hardware.clock(unit, mode.clock)?.get();
                let cycles = if all { cycles * share } else { cycles };
                sum = (sum.0 + cycles * 2.0 * macs.get(), sum.1 + cycles);
                idle = if all { 0 } else { idle.saturating_sub(busy) };
                if idle == 0 {
                    break;
                }
            }
            Ok(sum)
        };
        let (own, unit_cycles) = peak(precision)?;
        let plain_peak = peak(Precision::Fp32).map_or(own, |(peak, _)| peak);
        let fast =
            if precision == Precision::Fp32 && runtime == Runtime::EagerGpu { Precision::Tf32 } else { precision };
        let mut levels = hardware.memory().iter().rev();
        let backing = levels.next();
        let described = backing.map_or(1.0, |level| level.bandwidth.get());
        Ok(Self {
            runtime,
            protocol,
            threads: to_f32(u64::from(threads.max(1))),
            plain_peak,
            matrix_peak: peak(fast).map_or(own, |(peak, _)| peak).max(own),
            short: precision.data_type().size().0 < 4,
            bandwidth: mode.bandwidth.map_or(described, |bandwidth| bandwidth.get()),
            cache: levels.next().or(backing).map_or(1.0, |level| level.capacity.as_f32()),
            unit_cycles,
        })
    }
}
