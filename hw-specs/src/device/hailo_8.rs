//! Hailo-8, M.2 module. Written from `devices/hailo-8.toml`; do not edit.

use super::prelude::*;

/// Hailo-8, M.2 module.
pub static HAILO_8: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "hailo-8",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 32, taps: 1, c_out: 32, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 32.0, window: 32.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "compute block",
        count: 32,
        clock: hertz(400000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(200000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.99e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "host",
        capacity: Bytes(4294967296),
        bandwidth: bytes_per_second(3940000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(2.5)),
        static_power: Some(watts(0.5)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
