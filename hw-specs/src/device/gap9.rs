//! GreenWaves GAP9, NE16 accelerator and cluster of nine RISC-V cores at 370 MHz. Written from `devices/gap9.toml`; do not edit.

use super::prelude::*;

/// GreenWaves GAP9, NE16 accelerator and cluster of nine RISC-V cores at 370 MHz.
pub static GAP9: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "gap9",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 3, columns: 3, c_in: 16, taps: 1, c_out: 1, share: 1.0 }, depthwise: Some(Lanes { rows: 3, columns: 3, c_in: 1, taps: 9, c_out: 16, share: 0.0625 }), weights_per_cycle: None, accumulators: Some(288), output: Some(4.4), rates: Rates { elementwise: 8.0, window: 8.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "NE16",
        count: 1,
        clock: hertz(370000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(162.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(1.16e-13))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "cluster core",
        count: 9,
        clock: hertz(370000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(1.0)))
            .with(Precision::Bf16, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(2.0)))
            .with(Precision::Int8, Some(macs_per_cycle(4.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(1.78e-12)))
            .with(Precision::Bf16, Some(joules_per_mac(7.73e-13)))
            .with(Precision::Fp16, Some(joules_per_mac(5.79e-13)))
            .with(Precision::Int8, Some(joules_per_mac(1.16e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "L1",
        capacity: Bytes(131072),
        bandwidth: bytes_per_second(23700000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4.83e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "L2",
        capacity: Bytes(1572864),
        bandwidth: bytes_per_second(2960000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.73e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "MRAM",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(320000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(9.66e-12)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "370MHz",
        tdp: Some(watts(0.0649)),
        static_power: Some(watts(0.025)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
    ThermalProfile {
        name: "240MHz",
        tdp: Some(watts(0.0289)),
        static_power: Some(watts(0.012)),
        clock: Some(hertz(240000000.0)),
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Bf16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Fp16, Some(factors(0.6, 0.7, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
