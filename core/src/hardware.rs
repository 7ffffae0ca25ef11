//! Hardware: compute units, memory levels and thermal profiles of one device, checked once and then trusted.
//!
//! A [`Hardware`] borrows its tables, so that it can stand in flash as a `static` or be lent by a host that read a file.
//! Every number carries a [`Basis`]: an estimate that rests on an assumed one says so.

use crate::error::Error;
use crate::shape::{PerPrecision, Precision};
use crate::units::{
    Bytes, BytesPerSecond, Factor, FlopsPerSecond, Hertz, JoulesPerByte, JoulesPerMac, MacsPerCycle, Seconds, Watts,
    to_f32,
};

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Basis {
    /// A datasheet or manual.
    Spec,
    /// A clock, on the device.
    Measured,
    /// Fitted from measurements.
    Fitted,
    /// Nobody's word but ours.
    Assumed,
}

/// Identical compute units, such as the vector units of all cores.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ComputeUnit<'a> {
    /// What they are called.
    pub name: &'a str,
    /// How many work at once, at least 1.
    pub count: u32,
    /// Their clock while all of them work.
    pub clock: Hertz,
    /// MACs that one of them completes in a cycle, where it has instructions for the precision.
    pub macs_per_cycle: PerPrecision<Option<MacsPerCycle>>,
    /// Energy of a MAC, where it is known.
    pub energy_per_mac: PerPrecision<Option<JoulesPerMac>>,
    /// Basis of the rate.
    pub basis: Basis,
}

impl ComputeUnit<'_> {
    /// Peak throughput of all units together in FLOP/s; `None` where they do not work in this precision.
    ///
    /// ```text
    /// peak = count · clock · 2 · macs_per_cycle
    /// ```
    #[must_use]
    pub fn peak_throughput(&self, precision: Precision) -> Option<FlopsPerSecond> {
        let macs = self.macs_per_cycle.at(precision)?;
        FlopsPerSecond::new(to_f32(u64::from(self.count)) * self.clock.get() * 2.0 * macs.get()).ok()
    }
}

/// Who decides what a memory level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Filling {
    /// The hardware, as bytes are used.
    Cache,
    /// The program, by explicit moves: what comes next is loaded beside what is used, so that streamed tiles take room twice.
    Scratchpad,
}

/// What a memory level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Holds {
    /// Anything.
    All,
    /// Weights alone, such as flash.
    Weights,
    /// Activations alone, such as the memory of a microcontroller that reads its weights from flash.
    Activations,
}

/// One level of the memory hierarchy.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MemoryLevel<'a> {
    /// What it is called: `L1`, `L2`, `DRAM`, …
    pub name: &'a str,
    /// Bytes of all its instances together.
    pub capacity: Bytes,
    /// Bandwidth of all instances together.
    pub bandwidth: BytesPerSecond,
    /// Instances that units use side by side, at least 1: private caches of cores, buffers of tiles.
    pub instances: u32,
    /// Who fills it.
    pub filling: Filling,
    /// What it holds.
    pub holds: Holds,
    /// Energy of a byte read from it or written to it, where it is known.
    pub energy_per_byte: Option<JoulesPerByte>,
    /// Basis of the bandwidth.
    pub basis: Basis,
}

impl<'a> MemoryLevel<'a> {
    /// One cache or memory for everything, its energy unknown.
    #[must_use]
    pub const fn new(name: &'a str, capacity: Bytes, bandwidth: BytesPerSecond, basis: Basis) -> Self {
        Self {
            name,
            capacity,
            bandwidth,
            instances: 1,
            filling: Filling::Cache,
            holds: Holds::All,
            energy_per_byte: None,
            basis,
        }
    }

    /// Bytes of one instance.
    #[must_use]
    pub fn instance_capacity(&self) -> Bytes {
        Bytes(self.capacity.0.checked_div(u64::from(self.instances)).unwrap_or(self.capacity.0))
    }
}

/// The share of the roofs that software reaches in one precision.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PrecisionFactors {
    /// Share of the peak throughput.
    pub efficiency_factor: Factor,
    /// Share of the bandwidth of any level.
    pub memory_bottleneck_factor: Factor,
    /// Share of the units that the tiles of a large problem fill.
    pub tile_utilization: Factor,
    /// Whether the units have instructions of this precision.
    pub native_acceleration: bool,
}

/// A power mode of the device.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ThermalProfile<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Sustained power; `None` where nobody states it.
    pub tdp: Option<Watts>,
    /// Power while nothing is computed or moved; `None` where nobody states it.
    pub static_power: Option<Watts>,
    /// Sustained clock of the first compute unit in this mode, with which the others scale; `None` for the clock of the description.
    pub clock: Option<Hertz>,
    /// Clock of the first compute unit for as long as temperature and power allow.
    pub boost_clock: Option<Hertz>,
    /// Bandwidth of the backing store in this mode; `None` for that of the description.
    pub bandwidth: Option<BytesPerSecond>,
    /// How it is cooled.
    pub cooling_solution: &'a str,
    /// What software reaches in this mode.
    pub factors: PerPrecision<Option<PrecisionFactors>>,
}

impl<'a> ThermalProfile<'a> {
    /// A mode at the clocks of the description, its power unknown.
    #[must_use]
    pub const fn new(
        name: &'a str,
        cooling_solution: &'a str,
        factors: PerPrecision<Option<PrecisionFactors>>,
    ) -> Self {
        Self {
            name,
            tdp: None,
            static_power: None,
            clock: None,
            boost_clock: None,
            bandwidth: None,
            cooling_solution,
            factors,
        }
    }
}

/// A device. The public fields of the parts are plain; a whole is made by [`Hardware::new`], which checks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hardware<'a> {
    name: &'a str,
    compute: &'a [ComputeUnit<'a>],
    memory: &'a [MemoryLevel<'a>],
    thermal_profiles: &'a [ThermalProfile<'a>],
    dispatch: Seconds,
}

impl<'a> Hardware<'a> {
    /// A device of these parts. `memory` goes from the smallest level to the backing store; `dispatch` is the time that the
    /// runtime spends on each op before its arithmetic starts.
    ///
    /// # Errors
    /// [`Error::NoComputeUnit`], [`Error::MemoryLevels`], [`Error::NoThermalProfile`] where a table is empty or out of order;
    /// [`Error::InvalidTime`] where `dispatch` is negative, infinite or not a number.
    pub const fn new(
        name: &'a str,
        compute: &'a [ComputeUnit<'a>],
        memory: &'a [MemoryLevel<'a>],
        thermal_profiles: &'a [ThermalProfile<'a>],
        dispatch: Seconds,
    ) -> Result<Self, Error> {
        let mut units = compute;
        if units.is_empty() {
            return Err(Error::NoComputeUnit);
        }
        while let [unit, rest @ ..] = units {
            if unit.count == 0 {
                return Err(Error::NoComputeUnit);
            }
            units = rest;
        }
        if memory.is_empty() {
            return Err(Error::MemoryLevels);
        }
        let mut levels = memory;
        while let [level, rest @ ..] = levels {
            if let [next, ..] = rest
                && next.capacity.0 <= level.capacity.0
            {
                return Err(Error::MemoryLevels);
            }
            levels = rest;
        }
        if thermal_profiles.is_empty() {
            return Err(Error::NoThermalProfile);
        }
        if !(dispatch.0 >= 0.0 && dispatch.0 < f32::INFINITY) {
            return Err(Error::InvalidTime);
        }
        Ok(Self { name, compute, memory, thermal_profiles, dispatch })
    }

    /// What the device is called.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Its compute units.
    #[must_use]
    pub const fn compute(&self) -> &'a [ComputeUnit<'a>] {
        self.compute
    }

    /// Its memory levels, from the smallest to the backing store.
    #[must_use]
    pub const fn memory(&self) -> &'a [MemoryLevel<'a>] {
        self.memory
    }

    /// Its power modes, the default one first.
    #[must_use]
    pub const fn thermal_profiles(&self) -> &'a [ThermalProfile<'a>] {
        self.thermal_profiles
    }

    /// Time that the runtime spends on each op beside its work.
    #[must_use]
    pub const fn dispatch(&self) -> Seconds {
        self.dispatch
    }

    /// Clock of a unit while the first unit of the device runs at `first`: all scale with it. `None` for the clocks of the
    /// description.
    ///
    /// # Errors
    /// [`Error::NotPositive`] where the scaled clock is no number of 32 bits.
    pub fn clock(&self, unit: &ComputeUnit<'_>, first: Option<Hertz>) -> Result<Hertz, Error> {
        match (first, self.compute.first()) {
            (Some(clock), Some(described)) => Hertz::new(unit.clock.get() * (clock.get() / described.clock.get())),
            _ => Ok(unit.clock),
        }
    }

    /// The fastest unit for a precision, with its peak throughput.
    ///
    /// # Errors
    /// [`Error::NoUnitForPrecision`] where none works in it.
    pub fn fastest(&self, precision: Precision) -> Result<(&'a ComputeUnit<'a>, FlopsPerSecond), Error> {
        self.compute
            .iter()
            .filter_map(|unit| Some((unit, unit.peak_throughput(precision)?)))
            .max_by(|a, b| a.1.get().total_cmp(&b.1.get()))
            .ok_or(Error::NoUnitForPrecision)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two cores of 1 GHz with 8 fp32 MACs a cycle (32 GFLOP/s); 32 KiB at 100 GB/s, 1 GiB at 10 GB/s; factors 0.5, 0.5, 1.
    pub(crate) fn with_toy<R>(body: impl FnOnce(&Hardware<'_>) -> R) -> Result<R, Error> {
        let compute = [ComputeUnit {
            name: "simd",
            count: 2,
            clock: Hertz::new(1e9)?,
            macs_per_cycle: PerPrecision::all(None).with(Precision::Fp32, Some(MacsPerCycle::new(8.0)?)),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        }];
        let memory = [
            MemoryLevel::new("L1", Bytes(32 << 10), BytesPerSecond::new(100e9)?, Basis::Spec),
            MemoryLevel::new("DRAM", Bytes(1 << 30), BytesPerSecond::new(10e9)?, Basis::Spec),
        ];
        let half = Factor::new(0.5)?;
        let factors = PrecisionFactors {
            efficiency_factor: half,
            memory_bottleneck_factor: half,
            tile_utilization: Factor::ONE,
            native_acceleration: true,
        };
        let profiles =
            [ThermalProfile::new("default", "passive", PerPrecision::all(None).with(Precision::Fp32, Some(factors)))];
        Ok(body(&Hardware::new("toy", &compute, &memory, &profiles, Seconds(1e-6))?))
    }

    #[test]
    fn peak_is_units_times_clock_times_two_macs() -> Result<(), Error> {
        with_toy(|toy| {
            // 2 · 1e9 · 2 · 8 = 32 GFLOP/s.
            assert_eq!(toy.fastest(Precision::Fp32).map(|(_, peak)| peak.get()), Ok(32e9));
            assert_eq!(toy.fastest(Precision::Int8).map(|_| ()), Err(Error::NoUnitForPrecision));
        })
    }

    #[test]
    fn levels_grow() -> Result<(), Error> {
        with_toy(|toy| {
            let mut levels = [toy.memory[1], toy.memory[0]];
            assert_eq!(
                Hardware::new("x", toy.compute, &levels, toy.thermal_profiles, Seconds::ZERO).map(|_| ()),
                Err(Error::MemoryLevels)
            );
            levels.swap(0, 1);
            assert!(Hardware::new("x", toy.compute, &levels, toy.thermal_profiles, Seconds::ZERO).is_ok());
        })
    }
}
