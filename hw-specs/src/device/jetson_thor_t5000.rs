//! NVIDIA Jetson AGX Thor (T5000), GPU. Written from `devices/jetson-thor-t5000.toml`; do not edit.

use super::prelude::*;

/// NVIDIA Jetson AGX Thor (T5000), GPU.
pub static JETSON_THOR_T5000: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "jetson-thor-t5000",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-5),
    )),
    mapper: Gpu { matrix: [64, 8, 16], threads: 1536, registers: Bytes(262144), launch: Seconds(5e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 20,
        clock: hertz(1575000000.0),
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
        count: 20,
        clock: hertz(1575000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Tf32, Some(macs_per_cycle(2048.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(4096.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(4096.0)))
            .with(Precision::Int8, Some(macs_per_cycle(8192.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Tf32, Some(joules_per_mac(1.2e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(6e-13)))
            .with(Precision::Fp16, Some(joules_per_mac(6e-13)))
            .with(Precision::Int8, Some(joules_per_mac(3e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(5242880),
        bandwidth: bytes_per_second(4032000000000.0),
        instances: 20,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.5e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(33554432),
        bandwidth: bytes_per_second(897750000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5X",
        capacity: Bytes(131587801088),
        bandwidth: bytes_per_second(273024000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.5e-11)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "120W",
        tdp: Some(watts(120.0)),
        static_power: Some(watts(20.0)),
        clock: Some(hertz(1049000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "heat sink and fan of the developer kit",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Tf32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
    ThermalProfile {
        name: "MAXN",
        tdp: Some(watts(130.0)),
        static_power: Some(watts(20.0)),
        clock: Some(hertz(1575000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "heat sink and fan of the developer kit",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Tf32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
