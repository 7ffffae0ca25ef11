//! NVIDIA Tesla V100 SXM2 32 GB. Written from `devices/v100-sxm2-32gb.toml`; do not edit.

use super::prelude::*;

/// NVIDIA Tesla V100 SXM2 32 GB.
pub static V100_SXM2_32GB: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "v100-sxm2-32gb",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(4e-6),
    )),
    mapper: Gpu { matrix: [8, 8, 4], threads: 2048, registers: Bytes(262144), launch: Seconds(2e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 80,
        clock: hertz(1290000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(32.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(64.0)))
            .with(Precision::Int8, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(6.94e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.42e-11)))
            .with(Precision::Int8, Some(joules_per_mac(3.55e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 80,
        clock: hertz(1290000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp16, Some(macs_per_cycle(512.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp16, Some(joules_per_mac(3.5e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(5242880),
        bandwidth: bytes_per_second(15667200000000.0),
        instances: 80,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.9e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(6291456),
        bandwidth: bytes_per_second(2155000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "HBM2",
        capacity: Bytes(34089926656),
        bandwidth: bytes_per_second(898048000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.49e-10)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(300.0)),
        static_power: Some(watts(52.0)),
        clock: None,
        boost_clock: Some(hertz(1530000000.0)),
        bandwidth: None,
        cooling_solution: "passive heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
