//! From a detected CPU to its hardware description: each number with its basis and how it was found.

use std::collections::BTreeMap;

use derate_core::hardware::Basis;
use derate_core::shape::Precision;

use crate::detect::{CacheKind, DetectedCpu, Measured, MemoryLevel};
use crate::hardware_file::{
    ComputeEntry, DeviceKind, FactorsEntry, HardwareFile, MemoryEntry, Number, OverheadEntry, SCHEMA, ThermalEntry,
};

/// Share of its roofs that software is taken to reach before any calibration.
const ASSUMED_FACTOR: f64 = 0.7;

/// Dispatch of an op by an eager runtime called from native code, before any calibration, in seconds; an interpreter adds to it.
const ASSUMED_DISPATCH_S: f64 = 1e-6;

/// Why there is no description.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// No clock was measured, as on an architecture without the micro-benchmark.
    #[error("the clock of this CPU was not measured: its peak cannot be described; write the description by hand")]
    NoClock,
    /// No peak was measured.
    #[error("no peak of this CPU was measured: write the description by hand")]
    NoPeak,
}

/// The description of a detected CPU, with all its available cores.
///
/// # Errors
/// [`DescribeError`] where clock or peaks were not measured.
pub fn describe(cpu: &DetectedCpu) -> Result<HardwareFile, DescribeError> {
    let cores = u32::try_from(cpu.topology.cores.len().max(1)).unwrap_or(u32::MAX);
    let clock = cpu.clock_hz.as_ref().ok_or(DescribeError::NoClock)?;
    let clock_hz = clock.all_cores.value;
    let mut macs_per_cycle = BTreeMap::new();
    for (precision, peak) in &cpu.peaks {
        if let Some(rates) = peak.flops_per_s() {
            let measured = &rates.all_cores;
            let value = significant(measured.value / (2.0 * f64::from(cores) * clock_hz));
            macs_per_cycle.insert(
                core_precision(*precision),
                Number::new(
                    value,
                    Basis::Measured,
                    format!("{:.1} GFLOP/s: {}", measured.value / 1e9, spread(measured)),
                ),
            );
        }
    }
    if macs_per_cycle.is_empty() {
        return Err(DescribeError::NoPeak);
    }
    let factors = macs_per_cycle.keys().map(|&precision| (precision, assumed_factors())).collect();
    let model = cpu.identity.model_name.clone().unwrap_or_else(|| "unknown CPU".to_owned());
    Ok(HardwareFile {
        schema: SCHEMA,
        name: name(&model, cores),
        kind: DeviceKind::Cpu,
        description: format!(
            "{}, {cores} cores{}",
            model.trim(),
            cpu.identity.hypervisor.as_ref().map_or(String::new(), |kind| format!(", virtual machine ({kind})"))
        ),
        compute: vec![ComputeEntry {
            name: format!("{:?}", cpu.isa.simd_level()),
            count: Number::new(cores, Basis::Spec, "cores available to the process (sched_getaffinity, sysfs)"),
            clock_hz: Number::new(significant(clock_hz), Basis::Measured, spread(&clock.all_cores)),
            macs_per_cycle,
        }],
        memory: memory(cpu, cores),
        overhead: OverheadEntry {
            dispatch_s: Number::new(
                ASSUMED_DISPATCH_S,
                Basis::Assumed,
                "typical of an eager runtime; calibrate to find it",
            ),
        },
        thermal_profile: vec![ThermalEntry {
            name: "default".to_owned(),
            tdp_watts: cpu
                .environment
                .power_limit_watts
                .map(|watts| Number::new(watts, Basis::Spec, "power limit of the package (RAPL, sysfs)")),
            cooling_solution: "unknown".to_owned(),
            factors,
        }],
    })
}

fn assumed_factors() -> FactorsEntry {
    let assumed =
        |value| Number::new(value, Basis::Assumed, "before calibration; `derate apply` writes the fitted one");
    FactorsEntry {
        efficiency_factor: assumed(ASSUMED_FACTOR),
        memory_bottleneck_factor: assumed(ASSUMED_FACTOR),
        tile_utilization: assumed(1.0),
        native_acceleration: true,
        provenance: None,
    }
}

fn memory(cpu: &DetectedCpu, cores: u32) -> Vec<MemoryEntry> {
    let mut levels = Vec::new();
    for measured in &cpu.bandwidths {
        let rates = &measured.read_bytes_per_s;
        let (name, capacity, shared_by) = match measured.level {
            MemoryLevel::Cache(level) => {
                let instances =
                    cpu.caches.iter().filter(|cache| cache.level == level && cache.kind != CacheKind::Instruction);
                let (bytes, count) =
                    instances.fold((0, 0_u32), |(bytes, count), cache| (bytes + cache.size_bytes, count + 1));
                let shared = cores.div_ceil(count.max(1));
                (
                    format!("L{level}"),
                    Number::new(bytes, Basis::Spec, format!("{count} instances (sysfs or CPUID)")),
                    Some(Number::new(shared, Basis::Spec, "sysfs or CPUID")),
                )
            }
            MemoryLevel::Dram => {
                let bytes = cpu.memory.limit_bytes.into_iter().chain(cpu.memory.total_bytes).min().unwrap_or(1 << 30);
                ("DRAM".to_owned(), Number::new(bytes, Basis::Spec, "/proc/meminfo and the cgroup's limit"), None)
            }
        };
        levels.push(MemoryEntry {
            name,
            capacity_bytes: capacity,
            bandwidth_bytes_per_s: Number::new(
                significant(rates.all_cores.value),
                Basis::Measured,
                spread(&rates.all_cores),
            ),
            bandwidth_one_core_bytes_per_s: Some(Number::new(
                significant(rates.single_core.value),
                Basis::Measured,
                spread(&rates.single_core),
            )),
            shared_by,
        });
    }
    levels
}

/// How a number was measured, and how much it moved.
fn spread(measured: &Measured) -> String {
    format!(
        "{}; {} samples, interquartile range {:.1} %",
        measured.method,
        measured.n_samples,
        measured.relative_iqr * 100.0
    )
}

const fn core_precision(precision: crate::detect::Precision) -> Precision {
    use crate::detect::Precision as Detected;
    match precision {
        Detected::Fp64 => Precision::Fp64,
        Detected::Fp32 => Precision::Fp32,
        Detected::Bf16 => Precision::Bf16,
        Detected::Fp16 => Precision::Fp16,
        Detected::Int8 => Precision::Int8,
    }
}

/// Four significant digits: more than a benchmark on a shared machine can tell.
fn significant(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// Lower-case identity of letters, digits and hyphens: the model and its available cores.
#[must_use]
pub fn name(model: &str, cores: u32) -> String {
    let words: Vec<String> = model
        .to_lowercase()
        .replace("(r)", " ")
        .replace("(tm)", " ")
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && !["cpu", "processor", "core", "with"].contains(word))
        .map(str::to_owned)
        .collect();
    format!("{}-{cores}c", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(name("AMD EPYC", 2), "amd-epyc-2c");
        assert_eq!(name("12th Gen Intel(R) Core(TM) i7-12700K", 12), "12th-gen-intel-i7-12700k-12c");
    }

    #[test]
    fn four_digits() {
        assert_eq!(significant(123_456_789.0), 123_500_000.0);
        assert_eq!(significant(0.001_234_56), 0.001_235);
    }
}
