//! CEVA NeuPro-M NPM11, one engine. Written from `devices/neupro-m-npm11.toml`; do not edit.

use super::prelude::*;

/// CEVA NeuPro-M NPM11, one engine.
pub static NEUPRO_M_NPM11: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "neupro-m-npm11",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 64, taps: 1, c_out: 64, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 64.0, window: 64.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "NeuPro-M engine",
        count: 1,
        clock: hertz(1250000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(4096.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(160000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.93e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(80000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.99e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5",
        capacity: Bytes(8589934592),
        bandwidth: bytes_per_second(50000000000.0),
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
        tdp: Some(watts(2.0)),
        static_power: Some(watts(0.15)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
