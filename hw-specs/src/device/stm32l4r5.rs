//! STM32L4R5, Arm Cortex-M4F at 120 MHz. Written from `devices/stm32l4r5.toml`; do not edit.

use super::prelude::*;

/// STM32L4R5, Arm Cortex-M4F at 120 MHz.
pub static STM32L4R5: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "stm32l4r5",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(2e-6),
    )),
    mapper: Mcu { macs_per_instruction: 2, mac_cycles: 1.0, issue_width: 1, bus_bytes: 4, load_cycles: 0.5, branch_cycles: 3.0, pointer_cycles: 0.0, registers: 13, requantize_cycles: 45.0, fp32_mac_cycles: 3.0, overlapped: false },
};

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "FPU",
        count: 1,
        clock: hertz(120000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(0.5))),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Spec,
    },
    ComputeUnit {
        name: "SMLAD",
        count: 1,
        clock: hertz(120000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(2.0))),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(655360),
        bandwidth: bytes_per_second(480000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: None,
        basis: Basis::Spec,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(2097152),
        bandwidth: bytes_per_second(160000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: None,
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "range-1-boost",
        tdp: None,
        static_power: None,
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(0.5, 1.0, 1.0, true)))
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
