//! NVIDIA A100 SXM4 80 GB (HBM2e). Written from `devices/a100-sxm-80gb.toml`; do not edit.

use super::prelude::*;

/// NVIDIA A100 SXM4 80 GB (HBM2e).
pub static A100_SXM_80GB: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "a100-sxm-80gb",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(4e-6),
    )),
    mapper: Gpu { matrix: [16, 8, 16], threads: 2048, registers: Bytes(262144), launch: Seconds(2e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 108,
        clock: hertz(1275000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(32.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(64.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(4.63e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(9.47e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 108,
        clock: hertz(1275000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(64.0)))
            .with(Precision::Tf32, Some(macs_per_cycle(512.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(1024.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(1024.0)))
            .with(Precision::Int8, Some(macs_per_cycle(2048.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(2.89e-11)))
            .with(Precision::Tf32, Some(joules_per_mac(4.24e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(2.23e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(2.33e-12)))
            .with(Precision::Int8, Some(joules_per_mac(9.2e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(21233664),
        bandwidth: bytes_per_second(19491800000000.0),
        instances: 108,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.27e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(41943040),
        bandwidth: bytes_per_second(4339980000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.33e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "HBM2e",
        capacity: Bytes(85100068864),
        bandwidth: bytes_per_second(2039040000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.1e-10)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(400.0)),
        static_power: Some(watts(70.0)),
        clock: None,
        boost_clock: Some(hertz(1410000000.0)),
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
