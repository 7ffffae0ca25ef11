//! NVIDIA H200 SXM5 141 GB (HBM3e). Written from `devices/h200-sxm.toml`; do not edit.

use super::prelude::*;

/// NVIDIA H200 SXM5 141 GB (HBM3e).
pub static H200_SXM: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "h200-sxm",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(4e-6),
    )),
    mapper: Gpu { matrix: [64, 8, 16], threads: 2048, registers: Bytes(262144), launch: Seconds(2e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 4] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 132,
        clock: hertz(1980000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(3.36e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(7e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 132,
        clock: hertz(1473000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Tf32, Some(macs_per_cycle(1024.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(2048.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(2048.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Tf32, Some(joules_per_mac(3.27e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(1.69e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.75e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores, FP64",
        count: 132,
        clock: hertz(1629000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(2.14e-11))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores, INT8",
        count: 132,
        clock: hertz(1831000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(4096.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(5.7e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(34603008),
        bandwidth: bytes_per_second(32600000000000.0),
        instances: 132,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8.9e-12)),
        basis: Basis::Measured,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(62914560),
        bandwidth: bytes_per_second(8000000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.66e-11)),
        basis: Basis::Measured,
    },
    MemoryLevel {
        name: "HBM3e",
        capacity: Bytes(150754820096),
        bandwidth: bytes_per_second(4814300000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(6.8e-11)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(700.0)),
        static_power: Some(watts(126.0)),
        clock: None,
        boost_clock: Some(hertz(1980000000.0)),
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
