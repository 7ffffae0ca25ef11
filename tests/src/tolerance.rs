//! Every tolerance of the tests, with its reason. Relative unless said otherwise.

/// Of two latencies that a law orders. The roofs are ordered exactly, since rounding keeps order in each step; the smooth
/// maximum rounds three times more, a few times 6e-8.
pub const ORDER: f32 = 1e-6;

/// Of a sum of shares from 1, absolute: one rounding of 6e-8 a level, on at most four levels.
pub const SHARES: f32 = 5e-7;

/// Of an `f32` latency from the same equations in `f64`: some ten roundings an op of 6e-8, and the share beyond a level, see
/// [`SHARE`], which counts more where the level behind is slower.
pub const LATENCY: f64 = 2e-5;

/// Of the share of a stream beyond a level, absolute: it is a difference from 1, so its error is one of 1.
pub const SHARE: f64 = 2.5e-7;
