//! What the tests share: strategies for random graphs, devices and calibrations, oracles, and the tolerances of comparisons.
//!
//! A strategy gives a *recipe*, plain owned data, from which the same graph is built in any owner and at any batch size.

pub mod device;
pub mod mapper_laws;
pub mod mappers;
pub mod network;
pub mod oracle;
pub mod source;
pub mod tolerance;
