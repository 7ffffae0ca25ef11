//! Stillwater KPU T256, design study, no silicon. Written from `devices/kpu-t256.toml`; do not edit.

use super::prelude::*;

/// Stillwater KPU T256, design study, no silicon.
pub static KPU_T256: Device<'static, TileFabric> = Device {
    hardware: valid(Hardware::new(
        "kpu-t256",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: TileFabric { rows: 32, columns: 32, streamers: Engines { count: 4, bytes_per_cycle: 64 }, block_movers: Engines { count: 512, bytes_per_cycle: 64 }, dma: Engines { count: 32, bytes_per_cycle: 64 } },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "tile",
        count: 256,
        clock: hertz(600000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(512.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(512.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(1.6e-13)))
            .with(Precision::Fp16, Some(joules_per_mac(1.6e-13)))
            .with(Precision::Int8, Some(joules_per_mac(1e-13))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "BF16 tile",
        count: 51,
        clock: hertz(600000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(3e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L2",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(39321600000000.0),
        instances: 256,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L3",
        capacity: Bytes(67108864),
        bandwidth: bytes_per_second(19660800000000.0),
        instances: 256,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DRAM",
        capacity: Bytes(34359738368),
        bandwidth: bytes_per_second(256000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 3] = [
    ThermalProfile {
        name: "30W",
        tdp: Some(watts(30.0)),
        static_power: Some(watts(1.79)),
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
        name: "15W",
        tdp: Some(watts(15.0)),
        static_power: Some(watts(1.79)),
        clock: Some(hertz(450000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "50W",
        tdp: Some(watts(50.0)),
        static_power: Some(watts(1.79)),
        clock: Some(hertz(700000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active fan",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
