//! Arm Ethos-U85-1024 in Vela's system Ethos_U85_SYS_DRAM_Mid. Written from `devices/ethos-u85-1024.toml`; do not edit.

use super::prelude::*;

/// Arm Ethos-U85-1024 in Vela's system Ethos_U85_SYS_DRAM_Mid.
pub static ETHOS_U85_1024: Device<'static, Npu> = Device {
    hardware: valid(Hardware::new(
        "ethos-u85-1024",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Npu { dense: Lanes { rows: 2, columns: 4, c_in: 8, taps: 4, c_out: 16, share: 1.0 }, depthwise: Some(Lanes { rows: 2, columns: 4, c_in: 1, taps: 4, c_out: 16, share: 0.125 }), weights_per_cycle: Some(32.0), accumulators: Some(8192), output: Some(16.0), rates: Rates { elementwise: 16.0, window: 4.0 }, stored_weights: 1.0, setup_cycles: 564 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Ethos-U85-1024",
        count: 1,
        clock: hertz(1000000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(1024.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(8.43e-14))),
        basis: Basis::Spec,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(524288),
        bandwidth: bytes_per_second(32000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(9.93e-13)),
        basis: Basis::Spec,
    },
    MemoryLevel {
        name: "DRAM",
        capacity: Bytes(1073741824),
        bandwidth: bytes_per_second(12000000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(4e-11)),
        basis: Basis::Spec,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 2] = [
    ThermalProfile {
        name: "sys-dram-mid",
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
        name: "sys-dram-low",
        tdp: None,
        static_power: None,
        clock: Some(hertz(500000000.0)),
        boost_clock: None,
        bandwidth: Some(bytes_per_second(3750000000.0)),
        cooling_solution: "unknown",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
