//! TI TDA4VH, four C7x with MMAv2, 32 TOPS. Written from `devices/tda4vh.toml`; do not edit.

use super::prelude::*;

/// TI TDA4VH, four C7x with MMAv2, 32 TOPS.
pub static TDA4VH: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "tda4vh",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(5e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 64, taps: 1, c_out: 64, share: 1.0 }, depthwise: None, weights_per_cycle: Some(64.0), accumulators: Some(4096), output: None, rates: Rates { elementwise: 64.0, window: 64.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "MMA",
        count: 4,
        clock: hertz(1000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(4096.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "C7x",
        count: 4,
        clock: hertz(1000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(16.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(1.29e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L2",
        capacity: Bytes(1835008),
        bandwidth: bytes_per_second(512000000000.0),
        instances: 4,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.93e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "MSMC",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(64000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.51e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR4",
        capacity: Bytes(17179869184),
        bandwidth: bytes_per_second(68300000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "35W",
        tdp: Some(watts(35.0)),
        static_power: Some(watts(1.0)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "20W",
        tdp: Some(watts(20.0)),
        static_power: Some(watts(1.0)),
        clock: Some(hertz(850000000.0)),
        boost_clock: Some(hertz(1000000000.0)),
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
