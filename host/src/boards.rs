//! How fast a network is on a microcontroller, known from a few timings of other networks on it.
//!
//! What is known of other boards, runtimes and kernel libraries stands beside the few timings, as a prior.

pub mod cholesky;
pub mod hierarchy;
pub mod labels;
pub mod live;
pub mod model;
pub mod network;
pub mod results;
