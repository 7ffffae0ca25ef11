//! Any of the mappers, for a program that learns only when it runs which device it is asked about.

use super::Roofline;
use crate::error::Error;
use crate::mapping::{Machine, Mapper, Mapping};
use crate::nest::{LoopNest, Stream};

/// One of the mappers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Any {
    /// Nothing but the roofs is known.
    Roofline(Roofline),
}

impl Mapper for Any {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        match self {
            Self::Roofline(mapper) => mapper.product(nest, machine),
        }
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        match self {
            Self::Roofline(mapper) => mapper.stream(stream, machine),
        }
    }
}
