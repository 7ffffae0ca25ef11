//! Cadence Tensilica Vision Q8 DSP. Written from `devices/tensilica-vision-q8.toml`; do not edit.

use super::prelude::*;

/// Cadence Tensilica Vision Q8 DSP.
pub static TENSILICA_VISION_Q8: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "tensilica-vision-q8",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 8, taps: 1, c_out: 128, share: 1.0 }, depthwise: Some(Lanes { rows: 1, columns: 1, c_in: 1, taps: 1, c_out: 128, share: 0.125 }), weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 128.0, window: 128.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Vision Q8",
        count: 1,
        clock: hertz(1855000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(32.0)))
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(1.29e-12)))
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "local memory",
        capacity: Bytes(1048576),
        bandwidth: bytes_per_second(475000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.93e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR4",
        capacity: Bytes(4294967296),
        bandwidth: bytes_per_second(40000000000.0),
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
        tdp: Some(watts(1.0)),
        static_power: Some(watts(0.1)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
