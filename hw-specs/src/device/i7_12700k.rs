//! Intel Core i7-12700K. Written from `devices/i7-12700k.toml`; do not edit.

use super::prelude::*;

/// Intel Core i7-12700K.
pub static I7_12700K: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "i7-12700k",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1.79e-6),
    )),
    mapper: Cpu { vector_bytes: 32, fma_ports: 2, fma_latency_cycles: 4, vector_registers: 16 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "AVX2 of P-cores",
        count: 8,
        clock: hertz(4700000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Int8, Some(macs_per_cycle(64.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(2.44e-10)))
            .with(Precision::Fp32, Some(joules_per_mac(1.22e-10)))
            .with(Precision::Int8, Some(joules_per_mac(3.05e-11))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "AVX2 of E-cores",
        count: 4,
        clock: hertz(3600000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(4.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(8.0)))
            .with(Precision::Int8, Some(macs_per_cycle(32.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(1.22e-10)))
            .with(Precision::Fp32, Some(joules_per_mac(6.1e-11)))
            .with(Precision::Int8, Some(joules_per_mac(1.52e-11))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(393216),
        bandwidth: bytes_per_second(2406400000000.0),
        instances: 8,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.84e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(10485760),
        bandwidth: bytes_per_second(1804800000000.0),
        instances: 8,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.49e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(26214400),
        bandwidth: bytes_per_second(300800000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4.24e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR5",
        capacity: Bytes(34359738368),
        bandwidth: bytes_per_second(76800000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.2e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "190W",
        tdp: Some(watts(190.0)),
        static_power: Some(watts(12.5)),
        clock: None,
        boost_clock: Some(hertz(4900000000.0)),
        bandwidth: None,
        cooling_solution: "tower cooler",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
    ThermalProfile {
        name: "125W",
        tdp: Some(watts(125.0)),
        static_power: Some(watts(12.5)),
        clock: Some(hertz(3600000000.0)),
        boost_clock: Some(hertz(4900000000.0)),
        bandwidth: None,
        cooling_solution: "tower cooler",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
