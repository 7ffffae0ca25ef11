//! Described devices: as the texts that `derate hardware` reads, and as constants for programs without a file system.
//!
//! A firmware names one constant, such as `derate_hw_specs::device::STM32L4R5`, and links that one alone.
#![no_std]

// Written by a program, as it writes it.
#[rustfmt::skip]
pub mod device;

/// Name and description of every device, by name.
pub const DEVICES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/texts.rs"));
