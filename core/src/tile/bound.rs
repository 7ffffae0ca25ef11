//! Lower bounds of traffic: bytes that must pass between a memory and the level outside it, whatever the tiling.

use crate::error::Error;
use crate::nest::{LoopNest, Traffic};
use crate::units::Bytes;

/// Bytes that must pass; see [`super::lower_bound`].
pub(super) fn lower_bound(nest: &LoopNest, capacity: Bytes) -> Result<Bytes, Error> {
    let _ = capacity;
    Traffic::compulsory(nest)?.total()
}

/// Largest integer not above a number that is not negative; 0 for what is below 1 or no number, 2^64 − 1 for what is above it.
pub(super) fn floor(number: f32) -> u64 {
    if number.is_nan() || number < 1.0 {
        return 0;
    }
    // 24 bits of the significand, shifted by the exponent: 1.f · 2^e = (2^23 + f · 2^23) · 2^(e − 23).
    let bits = number.to_bits();
    let exponent = (bits >> 23).saturating_sub(127);
    let significand = u64::from((bits & 0x007f_ffff) | 0x0080_0000);
    if exponent > 63 {
        u64::MAX
    } else if exponent >= 23 {
        significand.checked_shl(exponent.saturating_sub(23)).unwrap_or(u64::MAX)
    } else {
        significand.checked_shr(23_u32.saturating_sub(exponent)).unwrap_or(0)
    }
}
