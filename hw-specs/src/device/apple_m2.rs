//! Apple M2, CPU. Written from `devices/apple-m2.toml`; do not edit.

use super::prelude::*;

/// Apple M2, CPU.
pub static APPLE_M2: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "apple-m2",
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
        clock: hertz(3250000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(9.13e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(4.57e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(1.14e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(2.28e-11)))
            .with(Precision::Int8, Some(joules_per_mac(5.71e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "matrix unit (AMX or SME)",
        count: 1,
        clock: hertz(3250000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(256.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(256.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(4.57e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.14e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(1.14e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.14e-11))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "NEON of E-cores",
        count: 4,
        clock: hertz(2424000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(16.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(4.56e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(2.29e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.14e-11))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(624000000000.0),
        instances: 4,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.25e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(416000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.55e-11)),
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
        tdp: Some(watts(20.0)),
        static_power: Some(watts(1.0)),
        clock: None,
        boost_clock: Some(hertz(3490000000.0)),
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
