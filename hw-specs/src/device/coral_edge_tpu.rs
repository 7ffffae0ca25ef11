//! Google Coral Edge TPU, M.2 or Mini PCIe module. Written from `devices/coral-edge-tpu.toml`; do not edit.

use super::prelude::*;

/// Google Coral Edge TPU, M.2 or Mini PCIe module.
pub static CORAL_EDGE_TPU: Device<'static, Systolic> = Device {
    hardware: valid(Hardware::new(
        "coral-edge-tpu",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Systolic { rows: 64, columns: 64, dataflow: WeightStationary, held_tiles: 1, accumulators: 1024, vector_lanes: 64 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "systolic array",
        count: 1,
        clock: hertz(480000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(4096.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(1.87e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(8388608),
        bandwidth: bytes_per_second(61000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(7.78e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "host",
        capacity: Bytes(1073741824),
        bandwidth: bytes_per_second(500000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(1.62e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(2.0)),
        static_power: Some(watts(0.5)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "passive heatsink",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
