//! AWS Graviton3 (Neoverse V1), one socket. Written from `devices/graviton3.toml`; do not edit.

use super::prelude::*;

/// AWS Graviton3 (Neoverse V1), one socket.
pub static GRAVITON3: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "graviton3",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cpu { vector_bytes: 32, fma_ports: 2, fma_latency_cycles: 2, vector_registers: 32 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "SVE",
        count: 64,
        clock: hertz(2600000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(8.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(16.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(64.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(2.82e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(1.41e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(3.52e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(7.04e-12)))
            .with(Precision::Int8, Some(joules_per_mac(1.76e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(10649600000000.0),
        instances: 64,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.59e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(67108864),
        bandwidth: bytes_per_second(5324800000000.0),
        instances: 64,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(6.36e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LLC",
        capacity: Bytes(100663296),
        bandwidth: bytes_per_second(1331200000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.6e-11)),
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
        tdp: Some(watts(100.0)),
        static_power: Some(watts(25.0)),
        clock: None,
        boost_clock: Some(hertz(2600000000.0)),
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
