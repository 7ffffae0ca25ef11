//! AMD EPYC 9965 (Turin dense), one socket. Written from `devices/epyc-9965.toml`; do not edit.

use super::prelude::*;

/// AMD EPYC 9965 (Turin dense), one socket.
pub static EPYC_9965: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "epyc-9965",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 64, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "AVX-512",
        count: 192,
        clock: hertz(2250000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(16.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(32.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(64.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(2.82e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.41e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(7.05e-12)))
            .with(Precision::Int8, Some(joules_per_mac(3.53e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(9437184),
        bandwidth: bytes_per_second(55296000000000.0),
        instances: 192,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.19e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(201326592),
        bandwidth: bytes_per_second(27648000000000.0),
        instances: 192,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.52e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(402653184),
        bandwidth: bytes_per_second(6912000000000.0),
        instances: 12,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.12e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR5",
        capacity: Bytes(824633720832),
        bandwidth: bytes_per_second(614400000000.0),
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
        tdp: Some(watts(500.0)),
        static_power: Some(watts(110.0)),
        clock: None,
        boost_clock: Some(hertz(3350000000.0)),
        bandwidth: None,
        cooling_solution: "heat sink in the airflow of a server",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
