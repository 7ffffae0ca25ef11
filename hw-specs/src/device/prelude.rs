//! What the written constants use: types, and constructors whose wrong values do not compile.

pub(super) use derate_core::hardware::{
    Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, PrecisionFactors, ThermalProfile,
};
#[allow(unused_imports, reason = "of some kinds there may be no device")]
pub(super) use derate_core::mapper::{
    Any, Roofline,
    cgra::Cgra,
    cpu::Cpu,
    dpu::Dpu,
    gpu::Gpu,
    lanes::{Lanes, Rates},
    mcu::Mcu,
    npu::Npu,
    systolic::{Dataflow::*, Systolic},
    tile_fabric::{Engines, TileFabric},
};
pub(super) use derate_core::mapping::Device;
pub(super) use derate_core::shape::{PerPrecision, Precision};
pub(super) use derate_core::units::{Bytes, Seconds};

use derate_core::Error;
use derate_core::units::{BytesPerSecond, Factor, Hertz, JoulesPerByte, JoulesPerMac, MacsPerCycle, Watts};

/// The value of a checked constant.
pub(super) const fn valid<T: Copy>(value: Result<T, Error>) -> T {
    match value {
        Ok(value) => value,
        Err(_) => panic!("a number of the description is refused"),
    }
}

/// A device whose mapper is known when the program runs.
pub(super) const fn any<M>(device: &Device<'static, M>, mapper: Any) -> Device<'static, Any> {
    Device { hardware: device.hardware, mapper }
}

pub(super) const fn hertz(value: f32) -> Hertz {
    valid(Hertz::new(value))
}

pub(super) const fn watts(value: f32) -> Watts {
    valid(Watts::new(value))
}

pub(super) const fn bytes_per_second(value: f32) -> BytesPerSecond {
    valid(BytesPerSecond::new(value))
}

pub(super) const fn macs_per_cycle(value: f32) -> MacsPerCycle {
    valid(MacsPerCycle::new(value))
}

pub(super) const fn joules_per_mac(value: f32) -> JoulesPerMac {
    valid(JoulesPerMac::new(value))
}

pub(super) const fn joules_per_byte(value: f32) -> JoulesPerByte {
    valid(JoulesPerByte::new(value))
}

/// A dimensionless factor; named as `Debug` writes it.
#[allow(non_snake_case, reason = "the parameters of mappers are written as Debug writes them")]
pub(super) const fn Factor(value: f32) -> Factor {
    valid(Factor::new(value))
}

pub(super) const fn factors(efficiency: f32, memory: f32, tile_utilization: f32, native: bool) -> PrecisionFactors {
    PrecisionFactors {
        efficiency_factor: Factor(efficiency),
        memory_bottleneck_factor: Factor(memory),
        tile_utilization: Factor(tile_utilization),
        native_acceleration: native,
    }
}
