//! STM32H7A3, Arm Cortex-M7 at 280 MHz. Written from `devices/stm32h7a3.toml`; do not edit.

use super::prelude::*;

/// STM32H7A3, Arm Cortex-M7 at 280 MHz.
pub static STM32H7A3: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "stm32h7a3",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(8.57e-7),
    )),
    mapper: Mcu { macs_per_instruction: 2, mac_cycles: 1.0, issue_width: 2, bus_bytes: 8, load_cycles: 0.0, branch_cycles: 1.0, pointer_cycles: 0.0, registers: 13, requantize_cycles: 24.0, fp32_mac_cycles: 3.0, overlapped: true },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Cortex-M7",
        count: 1,
        clock: hertz(280000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(1.0)))
            .with(Precision::Int8, Some(macs_per_cycle(2.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(7.89e-12)))
            .with(Precision::Int8, Some(joules_per_mac(5.14e-13))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "D-cache",
        capacity: Bytes(16384),
        bandwidth: bytes_per_second(2240000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(3.03e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DTCM",
        capacity: Bytes(131072),
        bandwidth: bytes_per_second(2240000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(6.06e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(1212416),
        bandwidth: bytes_per_second(2240000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(1.21e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(640000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(4.29e-11)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "default",
        tdp: Some(watts(0.166)),
        static_power: Some(watts(0.102)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(1.0, 1.0, 1.0, true)))
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
