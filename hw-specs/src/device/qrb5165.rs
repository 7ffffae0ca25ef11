//! Qualcomm QRB5165, Hexagon 698 with four HVX units and the tensor accelerator. Written from `devices/qrb5165.toml`; do not edit.

use super::prelude::*;

/// Qualcomm QRB5165, Hexagon 698 with four HVX units and the tensor accelerator.
pub static QRB5165: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "qrb5165",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-5),
    )),
    mapper: Npu { dense: Lanes { rows: 1, columns: 1, c_in: 32, taps: 1, c_out: 128, share: 1.0 }, depthwise: None, weights_per_cycle: None, accumulators: None, output: None, rates: Rates { elementwise: 512.0, window: 512.0 }, stored_weights: 1.0, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "HTA",
        count: 1,
        clock: hertz(900000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(4512.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(3.24e-14))),
        basis: Basis::Assumed,
    },
    ComputeUnit {
        name: "HVX",
        count: 4,
        clock: hertz(900000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(128.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(3.24e-14))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "L2",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(100000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.35e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "LPDDR5",
        capacity: Bytes(17179869184),
        bandwidth: bytes_per_second(44000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "7W",
        tdp: Some(watts(7.0)),
        static_power: Some(watts(0.3)),
        clock: Some(hertz(900000000.0)),
        boost_clock: Some(hertz(1500000000.0)),
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
