//! NVIDIA Jetson Orin NX 16 GB, GPU. Written from `devices/jetson-orin-nx-16gb.toml`; do not edit.

use super::prelude::*;

/// NVIDIA Jetson Orin NX 16 GB, GPU.
pub static JETSON_ORIN_NX_16GB: Device<'static, Gpu> = Device {
    hardware: valid(Hardware::new(
        "jetson-orin-nx-16gb",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(3e-5),
    )),
    mapper: Gpu { matrix: [16, 8, 16], threads: 1536, registers: Bytes(262144), launch: Seconds(5e-6) },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "CUDA cores",
        count: 8,
        clock: hertz(1173000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(5.09e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.04e-11))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "tensor cores",
        count: 8,
        clock: hertz(1173000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Tf32, Some(macs_per_cycle(512.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(1024.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(1024.0)))
            .with(Precision::Int8, Some(macs_per_cycle(2048.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Tf32, Some(joules_per_mac(4.66e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(2.45e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(2.57e-12)))
            .with(Precision::Int8, Some(joules_per_mac(1.01e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1 and shared memory",
        capacity: Bytes(1572864),
        bandwidth: bytes_per_second(1201150000000.0),
        instances: 8,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.39e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(267444000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.87e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5",
        capacity: Bytes(16136011776),
        bandwidth: bytes_per_second(102400000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(7e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 5] = [
    ThermalProfile {
        name: "40W",
        tdp: Some(watts(40.0)),
        static_power: Some(watts(4.0)),
        clock: Some(hertz(1173000000.0)),
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
        name: "25W",
        tdp: Some(watts(25.0)),
        static_power: Some(watts(4.0)),
        clock: Some(hertz(408000000.0)),
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
        name: "15W",
        tdp: Some(watts(15.0)),
        static_power: Some(watts(4.0)),
        clock: Some(hertz(612000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "heat sink and fan of the developer kit",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Tf32, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 0.5, true))),
    },
    ThermalProfile {
        name: "10W",
        tdp: Some(watts(10.0)),
        static_power: Some(watts(3.0)),
        clock: Some(hertz(612000000.0)),
        boost_clock: None,
        bandwidth: Some(bytes_per_second(68256000000.0)),
        cooling_solution: "heat sink and fan of the developer kit",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Tf32, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 0.5, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 0.5, true))),
    },
    ThermalProfile {
        name: "MAXN-before-Super",
        tdp: Some(watts(25.0)),
        static_power: Some(watts(4.0)),
        clock: Some(hertz(918000000.0)),
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
