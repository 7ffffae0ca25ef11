//! From a detected CPU to its hardware description: each number with its basis and how it was found.

use std::collections::BTreeMap;

use derate_core::hardware::{Basis, Filling, Holds};
use derate_core::shape::Precision;

use crate::detect::{CacheKind, DetectedCpu, Measured, MemoryLevel, SimdLevel};
use crate::digits::significant;
use crate::hardware_file::{
    ComputeEntry, CpuEntry, DeviceKind, FactorsEntry, HardwareFile, MemoryEntry, Number, OverheadEntry, SCHEMA,
    ThermalEntry,
};

/// Share of its roofs that software is taken to reach before any calibration.
const ASSUMED_FACTOR: f64 = 0.7;

/// Dispatch of an op by an eager runtime called from native code, before any calibration, in seconds; an interpreter adds to it.
const ASSUMED_DISPATCH_S: f64 = 1e-6;

/// Cycles of a fused multiply-add: 4 on most cores of the last ten years, 5 on some before.
const ASSUMED_FMA_LATENCY: u32 = 4;

/// Least size of a main memory that the system does not tell, in bytes.
const ASSUMED_DRAM: u64 = 1 << 30;

/// Name of the main memory.
const DRAM: &str = "DRAM";

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
/// Levels grow from the nearest to the main memory: a cache that does not fit in is left out, and `description` says so.
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
            let value = benchmarked(measured.value / (2.0 * f64::from(cores) * clock_hz));
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
    let vector_unit = vector_unit(cpu.isa.simd_level(), macs_per_cycle.get(&Precision::Fp32));
    let factors = macs_per_cycle.keys().map(|&precision| (precision, assumed_factors())).collect();
    let model = cpu.identity.model_name.clone().unwrap_or_else(|| "unknown CPU".to_owned());
    let (memory, left_out) = growing(memory(cpu, cores));
    let machine = cpu.identity.hypervisor.as_ref().map(|kind| format!("virtual machine ({kind})"));
    let parts = [model.trim().to_owned(), format!("{cores} cores")].into_iter().chain(machine).chain(left_out);
    Ok(HardwareFile {
        schema: SCHEMA,
        name: name(&model, cpu.identity.family, cpu.identity.model, cores),
        kind: DeviceKind::Cpu,
        description: parts.collect::<Vec<_>>().join(", "),
        compute: vec![ComputeEntry {
            name: format!("{:?}", cpu.isa.simd_level()),
            count: Number::new(cores, Basis::Spec, "cores available to the process (sched_getaffinity, sysfs)"),
            clock_hz: Number::new(benchmarked(clock_hz), Basis::Measured, spread(&clock.all_cores)),
            macs_per_cycle,
            pj_per_mac: BTreeMap::new(),
        }],
        memory,
        overhead: OverheadEntry {
            dispatch_s: Number::new(
                ASSUMED_DISPATCH_S,
                Basis::Assumed,
                "typical of an eager runtime; calibrate to find it",
            ),
        },
        systolic: None,
        tile_fabric: None,
        npu: None,
        dpu: None,
        cgra: None,
        mcu: None,
        cpu: vector_unit,
        gpu: None,
        thermal_profile: vec![ThermalEntry {
            name: "default".to_owned(),
            tdp_watts: cpu
                .environment
                .power_limit_watts
                .map(|watts| Number::new(watts, Basis::Spec, "power limit of the package (RAPL, sysfs)")),
            static_watts: None,
            clock_hz: None,
            boost_clock_hz: None,
            bandwidth_bytes_per_s: None,
            cooling_solution: "unknown".to_owned(),
            factors,
        }],
    })
}

/// The vector unit of a core with these instructions and this peak; `None` where its vectors are not known.
///
/// ```text
/// fma_ports = fp32 MACs a cycle / lanes, rounded, at least 1          lanes = vector_bytes / 4
/// ```
/// **Source**: Intel SDM volume 1, sections 14.1 (AVX2) and 15.1 (AVX-512), chapter 10 (SSE2); Arm Architecture Reference Manual
/// for A-profile, registers V0 to V31.
fn vector_unit(level: SimdLevel, fp32: Option<&Number>) -> Option<CpuEntry> {
    let (bytes, registers, source) = match level {
        SimdLevel::Avx512 => (64, 32, "ZMM0 to ZMM31: Intel SDM volume 1, section 15.1"),
        SimdLevel::Avx2Fma => (32, 16, "YMM0 to YMM15: Intel SDM volume 1, section 14.1"),
        SimdLevel::Sse2 => (16, 16, "XMM0 to XMM15: Intel SDM volume 1, chapter 10"),
        SimdLevel::Portable if cfg!(target_arch = "aarch64") => {
            (16, 32, "V0 to V31: Arm Architecture Reference Manual for A-profile")
        }
        SimdLevel::Portable => return None,
    };
    let rate = fp32?;
    let ports = (rate.value / f64::from(bytes / 4)).round().max(1.0);
    Some(CpuEntry {
        vector_bytes: Number::new(bytes, Basis::Spec, source),
        // At most the MACs of a cycle, far below 2^32.
        fma_ports: Number::new(
            ports as u32,
            rate.basis,
            format!("{} fp32 MACs a cycle / {} lanes, rounded", rate.value, bytes / 4),
        ),
        fma_latency_cycles: Number::new(
            ASSUMED_FMA_LATENCY,
            Basis::Assumed,
            "that of most cores of the last ten years; not measured",
        ),
        vector_registers: Number::new(registers, Basis::Spec, source),
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

/// Every level that was measured, nearest first.
fn memory(cpu: &DetectedCpu, cores: u32) -> Vec<MemoryEntry> {
    let mut levels: Vec<MemoryEntry> = Vec::new();
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
                let capacity = match cpu.memory.limit_bytes.into_iter().chain(cpu.memory.total_bytes).min() {
                    Some(bytes) => Number::new(bytes, Basis::Spec, "/proc/meminfo and the cgroup's limit"),
                    None => {
                        let caches = levels.iter().map(|level| level.capacity_bytes.value).max().unwrap_or(0);
                        let bytes = ASSUMED_DRAM.max(caches.saturating_mul(2));
                        Number::new(
                            bytes,
                            Basis::Assumed,
                            "the system does not tell; 1 GiB, or twice the largest cache",
                        )
                    }
                };
                (DRAM.to_owned(), capacity, None)
            }
        };
        levels.push(MemoryEntry {
            name,
            capacity_bytes: capacity,
            bandwidth_bytes_per_s: Number::new(
                benchmarked(rates.all_cores.value),
                Basis::Measured,
                spread(&rates.all_cores),
            ),
            bandwidth_one_core_bytes_per_s: Some(Number::new(
                benchmarked(rates.single_core.value),
                Basis::Measured,
                spread(&rates.single_core),
            )),
            shared_by,
            filling: Filling::Cache,
            holds: Holds::All,
            pj_per_byte: None,
        });
    }
    levels
}

/// The levels of which each is larger than the one before, and what was left out for it. The main memory stays.
///
/// Caches of many cores may together be larger than the one that these share: such a cache holds little that they do not.
fn growing(levels: Vec<MemoryEntry>) -> (Vec<MemoryEntry>, Vec<String>) {
    let said = |level: &MemoryEntry, beside: &MemoryEntry| {
        let [bytes, other] = [level, beside].map(|level| level.capacity_bytes.value);
        format!("{} left out ({bytes} B beside {other} B of {})", level.name, beside.name)
    };
    let (mut kept, mut left_out): (Vec<MemoryEntry>, Vec<String>) = (Vec::new(), Vec::new());
    for level in levels {
        let capacity = level.capacity_bytes.value;
        if level.name == DRAM {
            while let Some(cache) = kept.pop_if(|cache| cache.capacity_bytes.value >= capacity) {
                left_out.push(said(&cache, &level));
            }
        } else if let Some(below) = kept.last()
            && capacity <= below.capacity_bytes.value
        {
            left_out.push(said(&level, below));
            continue;
        }
        kept.push(level);
    }
    (kept, left_out)
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
fn benchmarked(value: f64) -> f64 {
    significant(value, 4)
}

/// Lower-case identity of letters, digits and hyphens: model name, `f` family `m` model where known, and available cores.
///
/// Family and model tell apart what hypervisors call by one name.
#[must_use]
pub fn name(model_name: &str, family: Option<u32>, model: Option<u32>, cores: u32) -> String {
    let mut words: Vec<String> = model_name
        .to_lowercase()
        .replace("(r)", " ")
        .replace("(tm)", " ")
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && !["cpu", "processor", "core", "with"].contains(word))
        .map(str::to_owned)
        .collect();
    let number = |letter: char, number: Option<u32>| number.map(|number| format!("{letter}{number}"));
    let identity: String = number('f', family).into_iter().chain(number('m', model)).collect();
    words.extend((!identity.is_empty()).then_some(identity));
    words.push(format!("{cores}c"));
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Cache, Environment, Identity, Isa, LevelBandwidth, Memory, Peak, Rates, Topology};

    #[test]
    fn names_are_short_and_plain_and_tell_models_apart() {
        assert_eq!(name("AMD EPYC", Some(26), Some(2), 2), "amd-epyc-f26m2-2c");
        assert_eq!(name("AMD EPYC", Some(25), Some(1), 2), "amd-epyc-f25m1-2c");
        assert_eq!(name("AMD EPYC", Some(26), None, 2), "amd-epyc-f26-2c");
        assert_eq!(name("12th Gen Intel(R) Core(TM) i7-12700K", None, None, 12), "12th-gen-intel-i7-12700k-12c");
    }

    /// A server of 56 cores with L2 caches of 2 MiB, beside an L3 of 105 MiB that all of them share.
    fn server() -> DetectedCpu {
        let measured = |value: f64| Measured {
            value,
            median: value,
            p10: value,
            relative_iqr: 0.0,
            n_samples: 5,
            undisturbed: 1.0,
            method: "by hand".to_owned(),
        };
        let rates = |one: f64| Rates { single_core: measured(one), all_cores: measured(one * 56.0) };
        let bandwidth = |level, rate| LevelBandwidth {
            level,
            single_core_set_bytes: 1,
            all_cores_set_bytes: 56,
            read_bytes_per_s: rates(rate),
            copy_bytes_per_s: rates(rate),
        };
        let cache = |level, size_bytes, shared_by_cpus| Cache {
            level,
            kind: CacheKind::Unified,
            size_bytes,
            line_bytes: None,
            shared_by_cpus,
        };
        let private = |level, bytes| (0..56).map(move |cpu| cache(level, bytes, vec![cpu]));
        let shared = cache(3, 105 << 20, (0..56).collect());
        DetectedCpu {
            identity: Identity { model_name: Some("Big CPU".to_owned()), ..Identity::default() },
            isa: Isa::default(),
            topology: Topology {
                cpus: (0..56).collect(),
                cores: (0..56).map(|cpu| vec![cpu]).collect(),
                smt: false,
                efficiency_cpus: Vec::new(),
            },
            caches: private(1, 48 << 10).chain(private(2, 2 << 20)).chain([shared]).collect(),
            memory: Memory { total_bytes: Some(1 << 38), ..Memory::default() },
            environment: Environment::default(),
            clock_hz: Some(Rates { single_core: measured(3e9), all_cores: measured(3e9) }),
            peaks: vec![(crate::detect::Precision::Fp32, Peak::Measured { flops_per_s: rates(192e9) })],
            bandwidths: vec![
                bandwidth(MemoryLevel::Cache(1), 1e12),
                bandwidth(MemoryLevel::Cache(2), 1e11),
                bandwidth(MemoryLevel::Cache(3), 1e10),
                bandwidth(MemoryLevel::Dram, 5e9),
            ],
            steal_percent: None,
            elapsed: std::time::Duration::ZERO,
            notes: Vec::new(),
        }
    }

    fn levels(file: &HardwareFile) -> Vec<&str> {
        file.memory.iter().map(|level| level.name.as_str()).collect()
    }

    #[test]
    fn a_cache_that_is_no_larger_than_the_one_before_is_left_out() {
        let file = describe(&server()).expect("a description");
        assert_eq!(levels(&file), ["L1", "L2", "DRAM"]);
        // 56 × 2 MiB = 117440512 B, 105 MiB = 110100480 B.
        let said = "Big CPU, 56 cores, L3 left out (110100480 B beside 117440512 B of L2)";
        assert_eq!((file.name.as_str(), file.description.as_str()), ("big-56c", said));
        HardwareFile::parse(&file.to_toml(), "server.toml").expect("a description that every verb reads");

        let mut larger = server();
        larger.caches.last_mut().expect("the L3").size_bytes = 113 << 20;
        let file = describe(&larger).expect("a description");
        assert_eq!((levels(&file), file.description.as_str()), (vec!["L1", "L2", "L3", "DRAM"], "Big CPU, 56 cores"));
    }

    #[test]
    fn a_main_memory_stays_and_an_unknown_one_is_assumed() {
        // A control group of 64 MiB: of the caches, L1 alone (56 × 48 KiB) is smaller.
        let limited = Memory { limit_bytes: Some(64 << 20), ..server().memory };
        let file = describe(&DetectedCpu { memory: limited, ..server() }).expect("a description");
        assert_eq!(levels(&file), ["L1", "DRAM"]);

        let file = describe(&DetectedCpu { memory: Memory::default(), ..server() }).expect("a description");
        let capacity = &file.memory.last().expect("a level").capacity_bytes;
        assert_eq!((capacity.value, capacity.basis), (1 << 30, Basis::Assumed));
        assert!(capacity.source.contains("does not tell"), "{}", capacity.source);
    }

    #[test]
    fn a_vector_unit_follows_from_the_instructions_and_the_peak() {
        // 192 GFLOP/s at 3 GHz are 32 MACs a cycle: two ports of 16 lanes, or four of 8.
        let unit = |isa| describe(&DetectedCpu { isa, ..server() }).expect("a description").cpu;
        let numbers = |isa| {
            let mapper = unit(isa).expect("a vector unit").mapper();
            (mapper.vector_bytes, mapper.fma_ports, mapper.fma_latency_cycles, mapper.vector_registers)
        };
        assert_eq!(numbers(Isa { avx512f: true, avx2_fma: true, ..Isa::default() }), (64, 2, 4, 32));
        assert_eq!(numbers(Isa { avx2_fma: true, ..Isa::default() }), (32, 4, 4, 16));
        assert_eq!(numbers(Isa { sse2: true, ..Isa::default() }), (16, 8, 4, 16));
        assert_eq!(unit(Isa::default()).is_some(), cfg!(target_arch = "aarch64"));
        let file = describe(&DetectedCpu { isa: Isa { avx2_fma: true, ..Isa::default() }, ..server() });
        let file = file.expect("a description");
        assert_eq!(HardwareFile::parse(&file.to_toml(), "server.toml").expect("valid"), file);
    }
}
