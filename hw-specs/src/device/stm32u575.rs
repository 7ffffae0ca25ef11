//! STM32U575, Arm Cortex-M33 at 160 MHz. Written from `devices/stm32u575.toml`; do not edit.

use super::prelude::*;

/// STM32U575, Arm Cortex-M33 at 160 MHz.
pub static STM32U575: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "stm32u575",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1.5e-6),
    )),
    mapper: Mcu { macs_per_instruction: 2, mac_cycles: 1.0, issue_width: 1, bus_bytes: 4, load_cycles: 0.0, branch_cycles: 2.0, pointer_cycles: 0.0, registers: 13, requantize_cycles: 40.0, fp32_mac_cycles: 3.0, overlapped: false },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Cortex-M33",
        count: 1,
        clock: hertz(160000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(0.5)))
            .with(Precision::Int8, Some(macs_per_cycle(2.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(7.27e-12)))
            .with(Precision::Int8, Some(joules_per_mac(4.74e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(804864),
        bandwidth: bytes_per_second(640000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(1.12e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(512000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(3.95e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "smps",
        tdp: Some(watts(0.0103)),
        static_power: Some(watts(0.0082)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(1.0, 1.0, 1.0, true)))
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
