//! NVIDIA L4 24 GB. Written from `devices/l4.toml`; do not edit.

use super::prelude::*;

/// NVIDIA L4 24 GB.
pub static L4: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "l4",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(4e-6),
    )),
    mapper: Gpu { matrix: [16, 8, 16], threads: 1536, registers: Bytes(262144), launch: Seconds(2e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 58,
        clock: hertz(795000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(3.47e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(7.1e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 58,
        clock: hertz(795000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Tf32, Some(macs_per_cycle(256.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(512.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(512.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Tf32, Some(joules_per_mac(3.18e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(1.67e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.75e-12)))
            .with(Precision::Int8, Some(joules_per_mac(6.9e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(7602176),
        bandwidth: bytes_per_second(15145000000000.0),
        instances: 58,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.5e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(50331648),
        bandwidth: bytes_per_second(3372120000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "GDDR6",
        capacity: Bytes(23612293120),
        bandwidth: bytes_per_second(300048000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.19e-10)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(72.0)),
        static_power: Some(watts(13.0)),
        clock: None,
        boost_clock: Some(hertz(2040000000.0)),
        bandwidth: None,
        cooling_solution: "passive heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Tf32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
