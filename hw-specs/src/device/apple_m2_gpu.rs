//! Apple M2, GPU. Written from `devices/apple-m2-gpu.toml`; do not edit.

use super::prelude::*;

/// Apple M2, GPU.
pub static APPLE_M2_GPU: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "apple-m2-gpu",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-5),
    )),
    mapper: Gpu { matrix: [8, 8, 8], threads: 3072, registers: Bytes(393216), launch: Seconds(5e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "shader cores",
        count: 10,
        clock: hertz(1398000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(128.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(3.55e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(3.55e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "threadgroup memory",
        capacity: Bytes(655360),
        bandwidth: bytes_per_second(894720000000.0),
        instances: 10,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4.75e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "system-level cache",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(204800000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5",
        capacity: Bytes(17179869184),
        bandwidth: bytes_per_second(102400000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(15.0)),
        static_power: Some(watts(0.75)),
        clock: None,
        boost_clock: Some(hertz(1398000000.0)),
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
