//! Apple M4, CPU. Written from `devices/apple-m4.toml`; do not edit.

use super::prelude::*;

/// Apple M4, CPU.
pub static APPLE_M4: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "apple-m4",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 16, fma_ports: 4, fma_latency_cycles: 4, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 3] = [
    ComputeUnit {
        name: "NEON of P-cores",
        count: 4,
        clock: hertz(4100000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(7.96e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(3.98e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(9.96e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.99e-11)))
            .with(Precision::Int8, Some(joules_per_mac(4.98e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "matrix unit (AMX or SME)",
        count: 1,
        clock: hertz(3920000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(256.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(256.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(256.0)))
            .with(Precision::Int8, Some(macs_per_cycle(512.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(4.17e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.04e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(1.04e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.04e-11)))
            .with(Precision::Int8, Some(joules_per_mac(5.21e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "NEON of E-cores",
        count: 6,
        clock: hertz(2900000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(16.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(3.98e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.99e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(9.95e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(787200000000.0),
        instances: 6,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.95e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(524800000000.0),
        instances: 2,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.21e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5X",
        capacity: Bytes(17179869184),
        bandwidth: bytes_per_second(120000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4.5e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(22.0)),
        static_power: Some(watts(1.1)),
        clock: None,
        boost_clock: Some(hertz(4400000000.0)),
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
