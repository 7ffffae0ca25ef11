//! The device: STM32L4R5, a Cortex-M4F of 120 MHz, on whose Nucleo board the reference results of MLPerf Tiny are measured.
//!
//! Sources: *DS12023*, the datasheet of the STM32L4R5 (clock, memories); *TRM*, Arm Cortex-M4 Technical Reference Manual
//! (DDI 0439), table 7-1 (cycles of the FPU's instructions). What neither says is marked assumed, and so is the report.
//!
//! **Valid for** a first look: memory levels are taken for caches by [`derate_core::residency`], so that weights of an op that
//! fits in SRAM are read at the SRAM's bandwidth, though they lie in flash.

use derate_core::Error;
use derate_core::hardware::{
    Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, PrecisionFactors, ThermalProfile,
};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::{Bytes, BytesPerSecond, Factor, Hertz, MacsPerCycle, Seconds};

/// Clock in Hz; DS12023, range 1 boost mode.
const CLOCK: f32 = 120e6;

/// The microcontroller, in flash.
pub static CORTEX_M4F: Hardware<'static> = valid(Hardware::new("stm32l4r5", &COMPUTE, &MEMORY, &PROFILES, DISPATCH));

/// Time of an interpreter's step from one op to the next, in seconds: 240 cycles. Assumed; a timing loop on a board settles it.
const DISPATCH: Seconds = Seconds(2e-6);

const COMPUTE: [ComputeUnit<'static>; 2] = [
    ComputeUnit {
        name: "FPU",
        count: 1,
        clock: valid(Hertz::new(CLOCK)),
        // TRM: VMUL.F32 and VADD.F32 take 1 cycle each, VMLA.F32 and VFMA.F32 take 3; the pair is the fastest MAC.
        macs_per_cycle: PerPrecision::all(None).with(Precision::Fp32, Some(valid(MacsPerCycle::new(0.5)))),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Spec,
    },
    ComputeUnit {
        name: "SMLAD",
        count: 1,
        clock: valid(Hertz::new(CLOCK)),
        // Assumed: SMLAD multiplies two pairs of 16 bits and adds them in a cycle, like MLA.
        macs_per_cycle: PerPrecision::all(None).with(Precision::Int8, Some(valid(MacsPerCycle::new(2.0)))),
        energy_per_mac: PerPrecision::all(None),
        basis: Basis::Assumed,
    },
];

const MEMORY: [MemoryLevel<'static>; 2] = [
    // DS12023: 640 Kbytes, at the core's clock without wait states, over a bus of 32 bits.
    MemoryLevel {
        filling: Filling::Scratchpad,
        holds: Holds::Activations,
        ..MemoryLevel::new("SRAM", Bytes(640 << 10), valid(BytesPerSecond::new(4.0 * CLOCK)), Basis::Spec)
    },
    // DS12023: 2 Mbytes. Assumed: lines of 64 bits, each after 5 wait states; prefetch and data cache left out.
    MemoryLevel {
        filling: Filling::Scratchpad,
        holds: Holds::Weights,
        ..MemoryLevel::new("flash", Bytes(2 << 20), valid(BytesPerSecond::new(8.0 * CLOCK / 6.0)), Basis::Assumed)
    },
];

const PROFILES: [ThermalProfile<'static>; 1] =
    [ThermalProfile::new("range-1-boost", "none", PerPrecision::all(None).with(Precision::Fp32, Some(FACTORS)))];

/// Shares of the roofs. Assumed: half of the peak, since two of four instructions of a plain loop are loads.
const FACTORS: PrecisionFactors = PrecisionFactors {
    efficiency_factor: valid(Factor::new(0.5)),
    memory_bottleneck_factor: Factor::ONE,
    tile_utilization: Factor::ONE,
    native_acceleration: true,
};

/// The value of a checked constant; a wrong one does not compile.
const fn valid<T: Copy>(value: Result<T, Error>) -> T {
    match value {
        Ok(value) => value,
        Err(_) => panic!("a number of the device's description is refused"),
    }
}
