//! MAX78000, CNN accelerator of 64 processors at 50 MHz. Written from `devices/max78000.toml`; do not edit.

use super::prelude::*;

/// MAX78000, CNN accelerator of 64 processors at 50 MHz.
pub static MAX78000: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "max78000",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 64, taps: 9, c_out: 1, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 1.0, window: 1.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "processor",
        count: 64,
        clock: hertz(50000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(9.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(3.98e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "weight memory",
        capacity: Bytes(442368),
        bandwidth: bytes_per_second(28800000000.0),
        instances: 64,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1.66e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "data memory",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(3200000000.0),
        instances: 16,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(3.32e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "host flash and SRAM",
        capacity: Bytes(655360),
        bandwidth: bytes_per_second(200000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.32e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(0.06)),
        static_power: Some(watts(0.0067)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
