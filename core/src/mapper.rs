//! Mappers: one module for each kind of device, each an implementation of [`crate::mapping::Mapper`].

pub mod mcu;
