//! What the tests share: strategies for random graphs, devices and calibrations, oracles, and the tolerances of comparisons.
//!
//! `resnet18` and `every_op` are written by `derate graph convert --to rust` and its like; `tests/generated.rs` keeps them current.
//!
//! A strategy gives a *recipe*, plain owned data, from which the same graph is built in any owner and at any batch size.

pub mod device;
pub mod every_op;
pub mod network;
pub mod oracle;
pub mod resnet18;
pub mod source;
pub mod tolerance;
