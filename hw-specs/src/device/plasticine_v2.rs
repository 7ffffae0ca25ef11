//! Plasticine v2, 32 pattern compute units, design study. Written from `devices/plasticine-v2.toml`; do not edit.

use super::prelude::*;

/// Plasticine v2, 32 pattern compute units, design study.
pub static PLASTICINE_V2: Device<'static, Cgra> = Device {
    hardware: valid(Hardware::new(
        "plasticine-v2",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cgra { rows: 8, columns: 5, initiation_interval: 1, pipeline_cycles: 8, reconfiguration_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "PCU",
        count: 32,
        clock: hertz(1000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp16, Some(macs_per_cycle(40.0)))
            .with(Precision::Int8, Some(macs_per_cycle(160.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp16, Some(joules_per_mac(9.33e-13)))
            .with(Precision::Int8, Some(joules_per_mac(1.87e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "PMU",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(2050000000000.0),
        instances: 32,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.2e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR4",
        capacity: Bytes(4294967296),
        bandwidth: bytes_per_second(40000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.62e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(15.0)),
        static_power: Some(watts(2.0)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Fp16, Some(factors(0.4, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.4, 0.7, 1.0, true))),
    },
];
