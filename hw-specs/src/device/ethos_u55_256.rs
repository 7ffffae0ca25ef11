//! Arm Ethos-U55-256 in Vela's system Ethos_U55_High_End_Embedded. Written from `devices/ethos-u55-256.toml`; do not edit.

use super::prelude::*;

/// Arm Ethos-U55-256 in Vela's system Ethos_U55_High_End_Embedded.
pub static ETHOS_U55_256: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "ethos-u55-256",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 2, columns: 2, c_in: 8, taps: 4, c_out: 8, share: 1.0 }, depthwise: Some(Lanes { rows: 2, columns: 2, c_in: 1, taps: 4, c_out: 8, share: 0.125 }), weights_per_cycle: Some(8.0), accumulators: Some(3072), output: Some(4.0), rates: Rates { elementwise: 1.333, window: 8.0 }, stored_weights: 1.0, setup_cycles: 128 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Ethos-U55-256",
        count: 1,
        clock: hertz(500000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Spec,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "SHRAM",
        capacity: Bytes(49152),
        bandwidth: bytes_per_second(144000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(3.51e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(4000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(1.99e-12)),
        basis: Basis::Spec,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(67108864),
        bandwidth: bytes_per_second(500000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1e-9)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "high-end-embedded",
        tdp: None,
        static_power: None,
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "deep-embedded",
        tdp: None,
        static_power: None,
        clock: Some(hertz(200000000.0)),
        boost_clock: None,
        bandwidth: Some(bytes_per_second(100000000.0)),
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
