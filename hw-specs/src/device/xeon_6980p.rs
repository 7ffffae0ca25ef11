//! Intel Xeon 6980P (Granite Rapids), one socket. Written from `devices/xeon-6980p.toml`; do not edit.

use super::prelude::*;

/// Intel Xeon 6980P (Granite Rapids), one socket.
pub static XEON_6980P: Device<'static, Cpu> = Device {
    hardware: valid(Hardware::new(
        "xeon-6980p",
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
        count: 128,
        clock: hertz(2000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(16.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(32.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(32.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(64.0)))
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp64, Some(joules_per_mac(4.64e-11)))
            .with(Precision::Fp32, Some(joules_per_mac(2.32e-11)))
            .with(Precision::Bf16, Some(joules_per_mac(2.32e-11)))
            .with(Precision::Fp16, Some(joules_per_mac(1.16e-11)))
            .with(Precision::Int8, Some(joules_per_mac(5.8e-12))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "AMX",
        count: 128,
        clock: hertz(2000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(512.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(512.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(1.45e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.45e-12)))
            .with(Precision::Int8, Some(joules_per_mac(7.25e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(6291456),
        bandwidth: bytes_per_second(32768000000000.0),
        instances: 128,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.38e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(268435456),
        bandwidth: bytes_per_second(12288000000000.0),
        instances: 128,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(528482304),
        bandwidth: bytes_per_second(2560000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9e-12)),
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
        static_power: Some(watts(120.0)),
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
