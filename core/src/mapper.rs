//! Mappers: the geometry of each kind of device, one file a kind.
//!
//! Each is a struct of the few numbers that the kind has beside clocks, rates and memories, and implements
//! [`Mapper`](crate::mapping::Mapper). It says which lanes the tiles of a product fill and how many cycles that takes; what moves between
//! memory levels follows from [`mod@crate::tile`] and from where the operands lie. A firmware that names one mapper links that one
//! alone.
//!
//! Leaves out software: dispatch, and the share of the roofs that it reaches.

mod any;
mod arrays;
pub mod cgra;
pub mod cpu;
pub mod dpu;
mod flows;
pub mod gpu;
pub mod lanes;
mod levels;
mod losses;
pub mod mcu;
pub mod npu;
#[cfg(test)]
mod npu_toy;
pub mod roofline;
pub mod systolic;
pub mod tile_fabric;

pub use any::Any;
pub use roofline::Roofline;
