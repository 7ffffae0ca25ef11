//! Stillwater KPU T768, design study, no silicon. Written from `devices/kpu-t768.toml`; do not edit.

use super::prelude::*;

/// Stillwater KPU T768, design study, no silicon.
pub static KPU_T768: Device<'static, TileFabric> = Device {
    hardware: valid(Hardware::new(
        "kpu-t768",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: TileFabric { rows: 16, columns: 8, streamers: Engines { count: 4, bytes_per_cycle: 64 }, block_movers: Engines { count: 1382, bytes_per_cycle: 64 }, dma: Engines { count: 86, bytes_per_cycle: 64 } },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "tile",
        count: 691,
        clock: hertz(1375000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(128.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(128.0)))
            .with(Precision::Int8, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(1.3e-13)))
            .with(Precision::Fp16, Some(joules_per_mac(1.3e-13)))
            .with(Precision::Int8, Some(joules_per_mac(8e-14))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "BF16 tile",
        count: 154,
        clock: hertz(1375000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(64.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(2.4e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L2",
        capacity: Bytes(22642688),
        bandwidth: bytes_per_second(243232000000000.0),
        instances: 691,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(181141504),
        bandwidth: bytes_per_second(121616000000000.0),
        instances: 691,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DRAM",
        capacity: Bytes(68719476736),
        bandwidth: bytes_per_second(1638000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(6e-12)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 3] = [
    ThermalProfile {
        name: "60W",
        tdp: Some(watts(60.0)),
        static_power: Some(watts(3.35)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active fan",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "30W",
        tdp: Some(watts(30.0)),
        static_power: Some(watts(3.35)),
        clock: Some(hertz(1075000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active fan",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "100W",
        tdp: Some(watts(100.0)),
        static_power: Some(watts(3.35)),
        clock: Some(hertz(1550000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "liquid",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
