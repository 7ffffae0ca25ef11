//! Described devices, as the texts that `derate hardware` reads: name and TOML.
#![no_std]

/// Name and description of every shipped device, by name.
pub const DEVICES: &[(&str, &str)] = &[("stm32l4r5", include_str!("../devices/stm32l4r5.toml"))];
