//! Apple M3, CPU. Written from `devices/apple-m3.toml`; do not edit.

use super::prelude::*;

/// Apple M3, CPU.
pub static APPLE_M3: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "apple-m3",
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
        clock: hertz(3780000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(7.85e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(3.93e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(9.82e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.96e-11)))
            .with(Precision::Int8, Some(joules_per_mac(4.91e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "matrix unit (AMX or SME)",
        count: 1,
        clock: hertz(3780000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(256.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(256.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(3.93e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(9.82e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(9.82e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(9.82e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "NEON of E-cores",
        count: 4,
        clock: hertz(2750000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(16.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(3.92e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.96e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(9.8e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(725760000000.0),
        instances: 4,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.95e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(483840000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.21e-11)),
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
        boost_clock: Some(hertz(4060000000.0)),
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
