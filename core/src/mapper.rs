//! Mappers: how nests and streams lie on each kind of device, in cycles and bytes; one module a kind.
//!
//! A mapper is geometry alone, with sources: edges of tiles, lanes, waves, fill and drain. What software leaves of that is
//! fitted elsewhere ([`crate::calibration`]).

pub mod cpu;
pub mod gpu;
mod levels;
mod losses;
