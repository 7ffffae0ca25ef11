//! Mappers: the geometry of each kind of device, as few parameters and one [`Mapper`](crate::mapping::Mapper) each.
//!
//! A mapper says which lanes the tiles of a product fill and how many cycles that takes; what moves between memory levels
//! follows from [`mod@crate::tile`] and from where the operands lie.
//!
//! Leaves out software: dispatch, and the share of the roofs that it reaches.

pub mod cgra;
pub mod dpu;
mod flows;
pub mod lanes;
pub mod npu;
#[cfg(test)]
mod npu_toy;
