//! Two Vitis AI DPUs (DPUCZDX8G B4096) on a ZCU104 board (Zynq UltraScale+ ZU7EV). Written from `devices/dpu-b4096-zcu104.toml`; do not edit.

use super::prelude::*;

/// Two Vitis AI DPUs (DPUCZDX8G B4096) on a ZCU104 board (Zynq UltraScale+ ZU7EV).
pub static DPU_B4096_ZCU104: Device<'static, Dpu> = Device {
    hardware: valid(Hardware::new(
        "dpu-b4096-zcu104",
        &COMPUTE,
        &MEMORY,
        &THERMAL_PROFILES,
        Seconds(1e-6),
    )),
    mapper: Dpu { pixels: 8, c_in: 16, c_out: 16, alu_pixels: 4, setup_cycles: 0 },
};

const COMPUTE: [ComputeUnit<'static>; 1] = [
    ComputeUnit {
        name: "B4096",
        count: 2,
        clock: hertz(300000000.0),
        macs_per_cycle: PerPrecision::all(None)
            .with(Precision::Int8, Some(macs_per_cycle(2048.0))),
        energy_per_mac: PerPrecision::all(None)
            .with(Precision::Int8, Some(joules_per_mac(9.51e-14))),
        basis: Basis::Spec,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    MemoryLevel {
        name: "buffers",
        capacity: Bytes(2350080),
        bandwidth: bytes_per_second(307000000000.0),
        instances: 2,
        filling: Filling::Scratchpad,
        holds: Holds::All,
        energy_per_byte: Some(joules_per_byte(7.02e-13)),
        basis: Basis::Assumed,
    },
    MemoryLevel {
        name: "DDR4",
        capacity: Bytes(2147483648),
        bandwidth: bytes_per_second(19200000000.0),
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
        tdp: Some(watts(20.0)),
        static_power: Some(watts(3.0)),
        clock: None,
        boost_clock: None,
        bandwidth: None,
        cooling_solution: "active fan",
        factors: PerPrecision::all(None)
            .with(Precision::Int8, Some(factors(0.6, 0.7, 1.0, true))),
    },
];
