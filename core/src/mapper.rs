//! Mappers: the geometry of each kind of device, one file a kind.
//!
//! Each is a struct of the few numbers that the kind has beside clocks, rates and memories, and implements
//! [`Mapper`](crate::mapping::Mapper). A firmware that names one links that one alone.

mod any;
pub mod roofline;

pub use any::Any;
pub use roofline::Roofline;
