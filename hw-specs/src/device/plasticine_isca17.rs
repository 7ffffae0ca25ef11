//! Plasticine as published at ISCA 2017, design study. Written from `devices/plasticine-isca17.toml`; do not edit.

use super::prelude::*;

/// Plasticine as published at ISCA 2017, design study.
pub static PLASTICINE_ISCA17: Device<'static, Cgra> = Device {
    hardware: valid(Hardware::new(
        "plasticine-isca17",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Cgra { rows: 16, columns: 6, initiation_interval: 1, pipeline_cycles: 10, reconfiguration_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "PCU",
        count: 64,
        clock: hertz(1000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(96.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(2.86e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "PMU",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(4100000000000.0),
        instances: 64,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.1e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR3",
        capacity: Bytes(4294967296),
        bandwidth: bytes_per_second(51200000000.0),
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
        tdp: Some(watts(49.0)),
        static_power: None,
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active fan",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.4, 0.7, 1.0, true))),
    },
];
