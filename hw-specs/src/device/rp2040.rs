//! RP2040 on a Raspberry Pi Pico, two Arm Cortex-M0+ at 133 MHz. Written from `devices/rp2040.toml`; do not edit.

use super::prelude::*;

/// RP2040 on a Raspberry Pi Pico, two Arm Cortex-M0+ at 133 MHz.
pub static RP2040: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "rp2040",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1.8e-6),
    )),
    mapper: Mcu { macs_per_instruction: 1, mac_cycles: 2.0, issue_width: 1, bus_bytes: 4, load_cycles: 1.0, branch_cycles: 2.0, pointer_cycles: 2.0, registers: 8, requantize_cycles: 100.0, fp32_mac_cycles: 300.0, overlapped: false },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Cortex-M0+",
        count: 2,
        clock: hertz(133000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(0.5))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(3.98e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 3] = [
    MemoryLevel {
        name: "flash cache",
        capacity: Bytes(16384),
        bandwidth: bytes_per_second(532000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(2.35e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(270336),
        bandwidth: bytes_per_second(1064000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(4.69e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(33000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1e-9)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "133MHz",
        tdp: Some(watts(0.083)),
        static_power: Some(watts(0.0664)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
