//! NVIDIA T4 16 GB. Written from `devices/t4.toml`; do not edit.

use super::prelude::*;

/// NVIDIA T4 16 GB.
pub static T4: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "t4",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(4e-6),
    )),
    mapper: Gpu { matrix: [16, 8, 8], threads: 1024, registers: Bytes(262144), launch: Seconds(2e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 40,
        clock: hertz(585000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(64.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(6.94e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.42e-11))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 40,
        clock: hertz(585000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp16, Some(macs_per_cycle(512.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp16, Some(joules_per_mac(3.5e-12)))
            .with(Precision::Int8, Some(joules_per_mac(1.38e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(3932160),
        bandwidth: bytes_per_second(4070400000000.0),
        instances: 40,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.9e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(1270000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "GDDR6",
        capacity: Bytes(15843721216),
        bandwidth: bytes_per_second(320064000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.78e-10)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(70.0)),
        static_power: Some(watts(12.0)),
        clock: None,
        boost_clock: Some(hertz(1590000000.0)),
        bandwidth: None,
        cooling_solution: "passive heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
