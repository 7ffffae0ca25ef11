//! Kendryte K210, KPU accelerator and two RV64GC cores at 400 MHz. Written from `devices/k210.toml`; do not edit.

use super::prelude::*;

/// Kendryte K210, KPU accelerator and two RV64GC cores at 400 MHz.
pub static K210: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "k210",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-5),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 16, c_in: 4, taps: 9, c_out: 1, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 1.0, window: 64.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "KPU",
        count: 1,
        clock: hertz(400000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(576.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(1.87e-13))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "RV64GC core",
        count: 2,
        clock: hertz(400000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp64, Some(macs_per_cycle(1.0)))
            .with(Precision::Fp32, Some(macs_per_cycle(1.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(2.86e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "AI SRAM",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(25600000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(2.2e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(6291456),
        bandwidth: bytes_per_second(3200000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(7.78e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(16777216),
        bandwidth: bytes_per_second(50000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1e-9)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "400MHz",
        tdp: Some(watts(0.3)),
        static_power: Some(watts(0.1)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp64, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
