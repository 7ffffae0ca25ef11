//! Ampere Altra Max M128-30, one socket. Written from `devices/altra-max-m128-30.toml`; do not edit.

use super::prelude::*;

/// Ampere Altra Max M128-30, one socket.
pub static ALTRA_MAX_M128_30: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "altra-max-m128-30",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 16, fma_ports: 2, fma_latency_cycles: 2, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "NEON",
        count: 128,
        clock: hertz(3000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(16.0)))
            .with(Precision::Int8, Some(macs_per_cycle(32.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(6.12e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(3.06e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.53e-11)))
            .with(Precision::Int8, Some(joules_per_mac(7.65e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(12288000000000.0),
        instances: 128,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.12e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(134217728),
        bandwidth: bytes_per_second(12288000000000.0),
        instances: 128,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8.49e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LLC",
        capacity: Bytes(150994944),
        bandwidth: bytes_per_second(3072000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.39e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR4",
        capacity: Bytes(549755813888),
        bandwidth: bytes_per_second(204800000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.5e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(250.0)),
        static_power: Some(watts(62.0)),
        clock: None,
        boost_clock: Some(hertz(3000000000.0)),
        bandwidth: None,
        cooling_solution: "heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
