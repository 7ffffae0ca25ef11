//! Synopsys ARC EV7x with DNN accelerator of 14,080 MACs. Written from `devices/arc-ev7x.toml`; do not edit.

use super::prelude::*;

/// Synopsys ARC EV7x with DNN accelerator of 14,080 MACs.
pub static ARC_EV7X: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "arc-ev7x",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 11, c_in: 16, taps: 1, c_out: 80, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 80.0, window: 80.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "DNN accelerator",
        count: 1,
        clock: hertz(1250000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(14080.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "shared memory",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(100000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.99e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR4",
        capacity: Bytes(8589934592),
        bandwidth: bytes_per_second(60000000000.0),
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
        tdp: Some(watts(5.0)),
        static_power: Some(watts(0.3)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
