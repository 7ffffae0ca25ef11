//! SiFive FE310-G002 (E31 core, RV32IMAC) at 320 MHz on a HiFive1 Rev B. Written from `devices/fe310.toml`; do not edit.

use super::prelude::*;

/// SiFive FE310-G002 (E31 core, RV32IMAC) at 320 MHz on a HiFive1 Rev B.
pub static FE310: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "fe310",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(7.5e-7),
    )),
    mapper: Mcu { macs_per_instruction: 1, mac_cycles: 2.0, issue_width: 1, bus_bytes: 4, load_cycles: 0.0, branch_cycles: 3.0, pointer_cycles: 1.0, registers: 26, requantize_cycles: 45.0, fp32_mac_cycles: 120.0, overlapped: false },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "E31",
        count: 1,
        clock: hertz(320000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(0.5))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(4.8e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "DTIM",
        capacity: Bytes(16384),
        bandwidth: bytes_per_second(1280000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(2.83e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(25000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1e-9)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "320MHz",
        tdp: Some(watts(0.15)),
        static_power: Some(watts(0.12)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
