//! The estimator on a device: a network and a microcontroller as tables in flash, and a report of what is estimated of them.
//!
//! Everything here is plain `no_std` code without a word about the target, so that a host runs the same code and compares
//! its results with the device's bit by bit; start-up, printing and exit codes are in the binaries.
#![no_std]
#![forbid(unsafe_code)]

pub mod network;
pub mod report;
