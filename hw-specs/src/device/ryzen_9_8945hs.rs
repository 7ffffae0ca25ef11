//! AMD Ryzen 9 8945HS (Hawk Point), CPU. Written from `devices/ryzen-9-8945hs.toml`; do not edit.

use super::prelude::*;

/// AMD Ryzen 9 8945HS (Hawk Point), CPU.
pub static RYZEN_9_8945HS: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "ryzen-9-8945hs",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 64, fma_ports: 1, fma_latency_cycles: 4, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "AVX-512",
        count: 8,
        clock: hertz(4000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(64.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(7.91e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(3.96e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(1.98e-11)))
            .with(Precision::Int8, Some(joules_per_mac(9.89e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(262144),
        bandwidth: bytes_per_second(2048000000000.0),
        instances: 8,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.12e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(1024000000000.0),
        instances: 8,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(6.36e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(1024000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.55e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR5",
        capacity: Bytes(34359738368),
        bandwidth: bytes_per_second(89600000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.2e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "45W",
        tdp: Some(watts(45.0)),
        static_power: Some(watts(4.5)),
        clock: None,
        boost_clock: Some(hertz(5200000000.0)),
        bandwidth: None,
        cooling_solution: "heat pipes and fan of a laptop",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
    ThermalProfile {
        name: "35W",
        tdp: Some(watts(35.0)),
        static_power: Some(watts(4.5)),
        clock: Some(hertz(3470000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "heat pipes and fan of a laptop",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
