#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::as_conversions
    )
)]

#[cfg(test)]
extern crate std;

// Layers, lowest first; a module uses only those before it:
// units, error · shape · tensor · work · op · graph · fusion · memory · hardware · residency · roofline · nest · tile · mapping · mapper · calibration · estimate
pub mod calibration;
pub mod error;
pub mod estimate;
pub mod fusion;
pub mod graph;
pub mod hardware;
pub mod mapper;
pub mod mapping;
pub mod memory;
pub mod nest;
pub mod op;
pub mod residency;
pub mod roofline;
pub mod shape;
pub mod tensor;
pub mod tile;
pub mod units;
pub mod work;

pub use error::Error;
pub use estimate::estimate;
