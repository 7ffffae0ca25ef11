//! What measures: sweeps that are killed, interrupted and repeated, verification, and networks as libtorch runs them.
#![cfg(feature = "torch")]

#[path = "../common/mod.rs"]
mod common;
mod conv2d;
mod estimate;
mod every_op;
mod interrupted;
mod operators;
mod ops;
mod refused;
mod sweep;
mod table;
mod verify;
mod zoo;

/// A sweep as short as it can be: five runs at least, blocks of 0.2 s.
pub(crate) const BRIEF: &str =
    "sweep mlp --hardware two_core.toml --runs 5 --block-time 0.2 --time-cap 0.2 --warmup 1 --output sweep.csv";
