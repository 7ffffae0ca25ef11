//! From a hardware description to the core's [`Hardware`], which borrows its tables: [`HardwareParts`] holds them.
//!
//! Numbers are rounded to 32 bits; units stay (Hz, bytes, bytes per second, seconds, watts).

use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
use derate_core::shape::PerPrecision;
use derate_core::units::{
    Bytes, BytesPerSecond, Factor, Hertz, JoulesPerByte, JoulesPerMac, MacsPerCycle, Seconds, Watts,
};

use super::entries::{ComputeEntry, FactorsEntry, HardwareFile, MemoryEntry, Number, ThermalEntry};
use super::problem::SpecError;

/// The tables of a [`Hardware`], made from a description; lives between the two.
#[derive(Clone, Debug, PartialEq)]
pub struct HardwareParts<'a> {
    name: &'a str,
    compute: Vec<ComputeUnit<'a>>,
    memory: Vec<MemoryLevel<'a>>,
    thermal_profiles: Vec<ThermalProfile<'a>>,
    dispatch: Seconds,
}

impl HardwareFile {
    /// The tables of the core's [`Hardware`].
    ///
    /// ```
    /// use derate::hardware_file::HardwareFile;
    /// use derate_core::shape::Precision;
    /// # let text = include_str!("example.toml");
    /// let file = HardwareFile::parse(text, "amd-epyc-2c.toml")?;
    /// let parts = file.parts()?;
    /// let hardware = parts.hardware()?;
    /// // 2 units · 4.1 GHz · 2 FLOPs a MAC · 31.2 MACs a cycle = 511.68 GFLOP/s.
    /// let (_, peak) = hardware.fastest(Precision::Fp32)?;
    /// assert!((peak.get() / 511.68e9 - 1.0).abs() < 1e-6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SpecError::Hardware`] for a number that the core refuses: not positive, or not finite in 32 bits. None in a
    /// description that was read from a file.
    pub fn parts(&self) -> Result<HardwareParts<'_>, SpecError> {
        let units = self.compute.iter().map(|unit| unit.count.value).max().unwrap_or(1);
        let build = || {
            Ok(HardwareParts {
                name: &self.name,
                compute: self.compute.iter().map(compute_unit).collect::<Result<_, _>>()?,
                memory: self.memory.iter().map(|level| memory_level(level, units)).collect::<Result<_, _>>()?,
                thermal_profiles: self.thermal_profile.iter().map(thermal_profile).collect::<Result<_, _>>()?,
                dispatch: Seconds(self.overhead.dispatch_s.value as f32),
            })
        };
        build().map_err(|source| SpecError::Hardware { name: self.name.clone(), source })
    }

    /// Calls a function with the core's [`Hardware`], for callers that need it once.
    ///
    /// # Errors
    /// As [`HardwareFile::parts`] and [`HardwareParts::hardware`].
    pub fn with_hardware<R>(&self, body: impl FnOnce(&Hardware<'_>) -> R) -> Result<R, SpecError> {
        Ok(body(&self.parts()?.hardware()?))
    }
}

impl HardwareParts<'_> {
    /// The core's view of the tables.
    ///
    /// # Errors
    /// [`SpecError::Hardware`] where a table is empty, levels do not grow, a count is 0 or the dispatch time is negative.
    pub fn hardware(&self) -> Result<Hardware<'_>, SpecError> {
        Hardware::new(self.name, &self.compute, &self.memory, &self.thermal_profiles, self.dispatch)
            .map_err(|source| SpecError::Hardware { name: self.name.to_owned(), source })
    }
}

/// The basis that says less: a result that rests on both has it.
pub(super) fn weaker(a: Basis, b: Basis) -> Basis {
    let weakness = |basis| match basis {
        Basis::Measured => 0,
        Basis::Spec => 1,
        Basis::Fitted => 2,
        Basis::Assumed => 3,
    };
    if weakness(a) >= weakness(b) { a } else { b }
}

fn compute_unit(entry: &ComputeEntry) -> Result<ComputeUnit<'_>, derate_core::Error> {
    let mut unit = ComputeUnit {
        name: &entry.name,
        count: entry.count.value,
        clock: Hertz::new(entry.clock_hz.value as f32)?,
        macs_per_cycle: PerPrecision::all(None),
        energy_per_mac: PerPrecision::all(None),
        basis: entry.clock_hz.basis,
    };
    for (&precision, energy) in &entry.pj_per_mac {
        let energy = JoulesPerMac::new((energy.value * 1e-12) as f32)?;
        unit.energy_per_mac = unit.energy_per_mac.with(precision, Some(energy));
    }
    for (&precision, rate) in &entry.macs_per_cycle {
        unit.macs_per_cycle = unit.macs_per_cycle.with(precision, Some(MacsPerCycle::new(rate.value as f32)?));
        unit.basis = weaker(unit.basis, rate.basis);
    }
    Ok(unit)
}

fn memory_level(entry: &MemoryEntry, units: u32) -> Result<MemoryLevel<'_>, derate_core::Error> {
    let bandwidth = BytesPerSecond::new(entry.bandwidth_bytes_per_s.value as f32)?;
    let shared_by = entry.shared_by.as_ref().map_or(units, |shared| shared.value).max(1);
    let energy = |pj: &Number| JoulesPerByte::new((pj.value * 1e-12) as f32);
    Ok(MemoryLevel {
        instances: units.div_ceil(shared_by).max(1),
        filling: entry.filling,
        holds: entry.holds,
        energy_per_byte: entry.pj_per_byte.as_ref().map(energy).transpose()?,
        ..MemoryLevel::new(&entry.name, Bytes(entry.capacity_bytes.value), bandwidth, entry.bandwidth_bytes_per_s.basis)
    })
}

fn thermal_profile(entry: &ThermalEntry) -> Result<ThermalProfile<'_>, derate_core::Error> {
    let watts = |number: &Option<Number>| number.as_ref().map(|watts| Watts::new(watts.value as f32)).transpose();
    let hertz = |number: &Option<Number>| number.as_ref().map(|clock| Hertz::new(clock.value as f32)).transpose();
    let bandwidth = entry.bandwidth_bytes_per_s.as_ref().map(|rate| BytesPerSecond::new(rate.value as f32));
    let mut profile = ThermalProfile {
        tdp: watts(&entry.tdp_watts)?,
        static_power: watts(&entry.static_watts)?,
        clock: hertz(&entry.clock_hz)?,
        boost_clock: hertz(&entry.boost_clock_hz)?,
        bandwidth: bandwidth.transpose()?,
        ..ThermalProfile::new(&entry.name, &entry.cooling_solution, PerPrecision::all(None))
    };
    for (&precision, factors) in &entry.factors {
        profile.factors = profile.factors.with(precision, Some(precision_factors(factors)?));
    }
    Ok(profile)
}

fn precision_factors(entry: &FactorsEntry) -> Result<PrecisionFactors, derate_core::Error> {
    Ok(PrecisionFactors {
        efficiency_factor: Factor::new(entry.efficiency_factor.value as f32)?,
        memory_bottleneck_factor: Factor::new(entry.memory_bottleneck_factor.value as f32)?,
        tile_utilization: Factor::new(entry.tile_utilization.value as f32)?,
        native_acceleration: entry.native_acceleration,
    })
}
