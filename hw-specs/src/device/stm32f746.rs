//! STM32F746, Arm Cortex-M7 at 216 MHz. Written from `devices/stm32f746.toml`; do not edit.

use super::prelude::*;

/// STM32F746, Arm Cortex-M7 at 216 MHz.
pub static STM32F746: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "stm32f746",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1.11e-6),
    )),
    mapper: Mcu { macs_per_instruction: 2, mac_cycles: 1.0, issue_width: 2, bus_bytes: 8, load_cycles: 0.0, branch_cycles: 1.0, pointer_cycles: 0.0, registers: 13, requantize_cycles: 24.0, fp32_mac_cycles: 3.0, overlapped: true },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "Cortex-M7",
        count: 1,
        clock: hertz(216000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Fp32, Some(macs_per_cycle(1.0)))
            .with(Precision::Int8, Some(macs_per_cycle(2.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Fp32, Some(joules_per_mac(1.98e-11)))
            .with(Precision::Int8, Some(joules_per_mac(1.29e-12))),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 4] = [
    MemoryLevel {
        name: "D-cache",
        capacity: Bytes(4096),
        bandwidth: bytes_per_second(1728000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(5.38e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DTCM",
        capacity: Bytes(65536),
        bandwidth: bytes_per_second(1728000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(1.52e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(262144),
        bandwidth: bytes_per_second(864000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(3.04e-11)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(1048576),
        bandwidth: bytes_per_second(864000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1.08e-10)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "over-drive",
        tdp: Some(watts(0.337)),
        static_power: Some(watts(0.27)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Fp32, Some(factors(1.0, 1.0, 1.0, true)))
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
