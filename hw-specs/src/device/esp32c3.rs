//! ESP32-C3, RISC-V (RV32IMC) at 160 MHz. Written from `devices/esp32c3.toml`; do not edit.

use super::prelude::*;

/// ESP32-C3, RISC-V (RV32IMC) at 160 MHz.
pub static ESP32C3: Device<'static, Mcu> = Device {
    hardware: valid(Hardware::new(
        "esp32c3",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1.5e-6),
    )),
    mapper: Mcu { macs_per_instruction: 1, mac_cycles: 2.0, issue_width: 1, bus_bytes: 4, load_cycles: 0.0, branch_cycles: 3.0, pointer_cycles: 1.0, registers: 26, requantize_cycles: 45.0, fp32_mac_cycles: 120.0, overlapped: false },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "RV32IMC core",
        count: 1,
        clock: hertz(160000000.0),
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
        bandwidth: bytes_per_second(640000000.0),
        instances: 1,
        filling: Filling::Cache,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(2.35e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "SRAM",
        capacity: Bytes(393216),
        bandwidth: bytes_per_second(640000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        energy_per_byte: Some(joules_per_byte(4.69e-12)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "flash",
        capacity: Bytes(4194304),
        bandwidth: bytes_per_second(40000000.0),
        instances: 1,
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        energy_per_byte: Some(joules_per_byte(1e-9)),
        basis: Basis::Assumed,
    },
];

const THERMAL_PROFILES: [ThermalProfile<'static>; 1] = [
    ThermalProfile {
        name: "160MHz",
        tdp: Some(watts(0.079)),
        static_power: Some(watts(0.0632)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "none",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(1.0, 1.0, 1.0, true))),
    },
];
