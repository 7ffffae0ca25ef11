//! Described devices: as the texts that `derate hardware` reads, and as constants for programs without a file system.
//!
//! A firmware names one constant, such as `derate_hw_specs::device::STM32L4R5`, and links that one alone.
#![no_std]

// Written by a program, as it writes it.
#[rustfmt::skip]
#[allow(
    clippy::doc_markdown,
    clippy::excessive_precision,
    reason = "names as their makers write them; numbers of 32 bits, exactly"
)]
pub mod device;

/// Name and description of every device, by name.
pub const DEVICES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/texts.rs"));
