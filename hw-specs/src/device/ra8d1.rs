//! Renesas RA8D1, Arm Cortex-M85 at 480 MHz. Written from `devices/ra8d1.toml`; do not edit.

use super::prelude::*;

/// Renesas RA8D1, Arm Cortex-M85 at 480 MHz.
pub static RA8D1: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "ra8d1",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(5e-7),
    )),
    mapper: Mcu { macs_per_instruction: 16, mac_cycles: 2.0, issue_width: 2, bus_bytes: 8, load_cycles: 0.0, branch_cycles: 0.0, pointer_cycles: 0.0, registers: 13, requantize_cycles: 9.0, fp32_mac_cycles: 2.0, overlapped: true },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Cortex-M85",
        count: 1,
        clock: hertz(480000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(2.0)))
            .with(Precision::Fp16, Some(macs_per_cycle(4.0)))
            .with(Precision::Int8, Some(macs_per_cycle(8.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(6.11e-12)))
            .with(Precision::Fp16, Some(joules_per_mac(1.99e-12)))
            .with(Precision::Int8, Some(joules_per_mac(3.98e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "D-cache",
        capacity: Bytes(16384),
        bandwidth: bytes_per_second(3840000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(2.35e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DTCM",
        capacity: Bytes(65536),
        bandwidth: bytes_per_second(3840000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(4.69e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(917504),
        bandwidth: bytes_per_second(1920000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(9.39e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(640000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(3.32e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "480MHz",
        tdp: Some(watts(0.3)),
        static_power: Some(watts(0.24)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(1.0, 1.0, 1.0, true)))
            .with(Precision::Fp16, Some(factors(1.0, 1.0, 1.0, true)))
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
