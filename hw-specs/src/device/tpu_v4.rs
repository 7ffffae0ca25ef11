//! Google TPU v4, one chip. Written from `devices/tpu-v4.toml`; do not edit.

use super::prelude::*;

/// Google TPU v4, one chip.
pub static TPU_V4: Device<'static, Systolic> = Device {
    hardware: valid(Hardware::new(
        "tpu-v4",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Systolic { rows: 128, columns: 128, dataflow: WeightStationary, held_tiles: 2, accumulators: 0, vector_lanes: 512 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "MXU",
        count: 8,
        clock: hertz(1050000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(16384.0)))
            .with(Precision::Int8, Some(macs_per_cycle(16384.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(4e-13)))
            .with(Precision::Int8, Some(joules_per_mac(2e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "VMEM",
        capacity: Bytes(33554432),
        bandwidth: bytes_per_second(26400000000000.0),
        instances: 2,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "CMEM",
        capacity: Bytes(134217728),
        bandwidth: bytes_per_second(2000000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(8.5e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "HBM2",
        capacity: Bytes(34359738368),
        bandwidth: bytes_per_second(1200000000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(6.1e-11)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(192.0)),
        static_power: Some(watts(90.0)),
        clock: None,
        boost_clock: Some(hertz(1050000000.0)),
        bandwidth: None,
        cooling_solution: "liquid",
        factors: PerPrecision::all(None)
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true)))
            .with(Precision::Int8, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
