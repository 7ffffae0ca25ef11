//! Any of the mappers, for a program that learns only when it runs which device it is asked about.

use super::Roofline;
use super::cgra::Cgra;
use super::cpu::Cpu;
use super::dpu::Dpu;
use super::gpu::Gpu;
use super::mcu::Mcu;
use super::npu::Npu;
use super::systolic::Systolic;
use super::tile_fabric::TileFabric;
use crate::error::Error;
use crate::mapping::{Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream};
use crate::units::Seconds;

/// One of the mappers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Any {
    /// Cores of a processor.
    Cpu(Cpu),
    /// Multiprocessors of a graphics processor.
    Gpu(Gpu),
    /// Systolic arrays.
    Systolic(Systolic),
    /// A fabric of compute tiles.
    TileFabric(TileFabric),
    /// A neural processor, or the matrix engine of a signal processor.
    Npu(Npu),
    /// A dataflow processor.
    Dpu(Dpu),
    /// A reconfigurable array.
    Cgra(Cgra),
    /// The core of a microcontroller.
    Mcu(Mcu),
    /// Nothing but the roofs is known.
    Roofline(Roofline),
}

impl Mapper for Any {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        match self {
            Self::Cpu(mapper) => mapper.product(nest, machine),
            Self::Gpu(mapper) => mapper.product(nest, machine),
            Self::Systolic(mapper) => mapper.product(nest, machine),
            Self::TileFabric(mapper) => mapper.product(nest, machine),
            Self::Npu(mapper) => mapper.product(nest, machine),
            Self::Dpu(mapper) => mapper.product(nest, machine),
            Self::Cgra(mapper) => mapper.product(nest, machine),
            Self::Mcu(mapper) => mapper.product(nest, machine),
            Self::Roofline(mapper) => mapper.product(nest, machine),
        }
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        match self {
            Self::Cpu(mapper) => mapper.stream(stream, machine),
            Self::Gpu(mapper) => mapper.stream(stream, machine),
            Self::Systolic(mapper) => mapper.stream(stream, machine),
            Self::TileFabric(mapper) => mapper.stream(stream, machine),
            Self::Npu(mapper) => mapper.stream(stream, machine),
            Self::Dpu(mapper) => mapper.stream(stream, machine),
            Self::Cgra(mapper) => mapper.stream(stream, machine),
            Self::Mcu(mapper) => mapper.stream(stream, machine),
            Self::Roofline(mapper) => mapper.stream(stream, machine),
        }
    }

    fn launch(&self) -> Seconds {
        match self {
            Self::Gpu(mapper) => mapper.launch(),
            _ => Seconds::ZERO,
        }
    }
}
