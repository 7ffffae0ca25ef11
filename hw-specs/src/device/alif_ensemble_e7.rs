//! Alif Ensemble E7, high-performance subsystem: Cortex-M55 at 400 MHz with Ethos-U55-256. Written from `devices/alif-ensemble-e7.toml`; do not edit.

use super::prelude::*;

/// Alif Ensemble E7, high-performance subsystem: Cortex-M55 at 400 MHz with Ethos-U55-256.
pub static ALIF_ENSEMBLE_E7: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "alif-ensemble-e7",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(6e-7),
    )),
    mapper: Npu { dense: Lanes { rows: 2, columns: 2, c_in: 8, taps: 4, c_out: 8, share: 1.0 }, depthwise: Some(Lanes { rows: 2, columns: 2, c_in: 1, taps: 4, c_out: 8, share: 0.125 }), weights_per_cycle: Some(8.0), accumulators: Some(3072), output: Some(4.0), rates: Rates { elementwise: 1.333, window: 8.0 }, stored_weights: 1.0, setup_cycles: 96 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "Ethos-U55-256",
        count: 1,
        clock: hertz(400000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(256.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(1.16e-13))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "Cortex-M55",
        count: 1,
        clock: hertz(400000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(4.0)))
            .with(Precision::Int8, Some(macs_per_cycle(8.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(1.78e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(5.79e-13)))
            .with(Precision::Int8, Some(joules_per_mac(1.16e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "DTCM",
        capacity: Bytes(1048576),
        bandwidth: bytes_per_second(3200000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(1.37e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM0",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(3200000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(2.73e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "MRAM",
        capacity: Bytes(5767168),
        bandwidth: bytes_per_second(800000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(9.66e-12)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "400MHz",
        tdp: None,
        static_power: Some(watts(0.05)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
