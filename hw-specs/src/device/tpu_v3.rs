//! Google TPU v3, one chip. Written from `devices/tpu-v3.toml`; do not edit.

use super::prelude::*;

/// Google TPU v3, one chip.
pub static TPU_V3: Device<'static, Systolic> = Device {
    hardware: valid(Hardware::new(
        "tpu-v3",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Systolic { rows: 128, columns: 128, dataflow: WeightStationary, held_tiles: 2, accumulators: 0, vector_lanes: 1024 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "MXU",
        count: 4,
        clock: hertz(940000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Bf16, Some(macs_per_cycle(16384.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Bf16, Some(joules_per_mac(6e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "VMEM",
        capacity: Bytes(33554432),
        bandwidth: bytes_per_second(19800000000000.0),
        instances: 2,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.5e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "HBM2",
        capacity: Bytes(34359738368),
        bandwidth: bytes_per_second(900000000000.0),
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
        tdp: Some(watts(262.0)),
        static_power: Some(watts(123.0)),
        clock: None,
        boost_clock: Some(hertz(940000000.0)),
        bandwidth: None,
        cooling_solution: "liquid",
        factors: PerPrecision::all(None)
            .with(Precision::Bf16, Some(factors(0.7, 0.8, 1.0, true))),
    },
];
