//! Ampere AmpereOne A192-32X, one socket. Written from `devices/ampereone-a192-32x.toml`; do not edit.

use super::prelude::*;

/// Ampere AmpereOne A192-32X, one socket.
pub static AMPEREONE_A192_32X: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "ampereone-a192-32x",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 16, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "NEON",
        count: 192,
        clock: hertz(3200000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(16.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(16.0)))
            .with(Precision::Int8, Some(macs_per_cycle(32.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(5.49e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(2.75e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(1.37e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.37e-11)))
            .with(Precision::Int8, Some(joules_per_mac(6.87e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(12582912),
        bandwidth: bytes_per_second(19660800000000.0),
        instances: 192,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.59e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(402653184),
        bandwidth: bytes_per_second(19660800000000.0),
        instances: 192,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LLC",
        capacity: Bytes(469762048),
        bandwidth: bytes_per_second(3686400000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.09e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR5",
        capacity: Bytes(549755813888),
        bandwidth: bytes_per_second(332800000000.0),
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
        boost_clock: Some(hertz(3200000000.0)),
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
