//! Intel Xeon Platinum 8490H (Sapphire Rapids), one socket. Written from `devices/xeon-8490h.toml`; do not edit.

use super::prelude::*;

/// Intel Xeon Platinum 8490H (Sapphire Rapids), one socket.
pub static XEON_8490H: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "xeon-8490h",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 64, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "AVX-512",
        count: 60,
        clock: hertz(1900000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(16.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(32.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(32.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(64.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(7.4e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(3.7e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(3.7e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.85e-11)))
            .with(Precision::Int8, Some(joules_per_mac(9.25e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "AMX",
        count: 60,
        clock: hertz(1900000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(512.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(2.31e-12)))
            .with(Precision::Int8, Some(joules_per_mac(1.16e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(2949120),
        bandwidth: bytes_per_second(14592000000000.0),
        instances: 60,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.84e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(125829120),
        bandwidth: bytes_per_second(5472000000000.0),
        instances: 60,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.2e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(243793920),
        bandwidth: bytes_per_second(1140000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.2e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR5",
        capacity: Bytes(549755813888),
        bandwidth: bytes_per_second(307200000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.2e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(350.0)),
        static_power: Some(watts(80.0)),
        clock: None,
        boost_clock: Some(hertz(2900000000.0)),
        bandwidth: None,
        cooling_solution: "heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
