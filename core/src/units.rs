//! Units: what is counted, and what is measured, each a type of its own.
//!
//! Counts ([`Macs`], [`Flops`], [`Bytes`]) are exact `u64` and add by `checked_add`, so that nothing
//! wraps. Quantities ([`Seconds`], [`BytesPerSecond`], …) are `f32`: a Cortex-M4F has no `f64` unit, and a rounding
//! of 6e-8 is far below any error of the model. Only operators that mean something exist:
//! bytes over bytes per second are seconds; bytes plus seconds do not compile.
//!
//! One MAC (multiply-accumulate) is two FLOPs: a multiplication and an addition. This is said here and
//! used everywhere; [`Macs::flops`] is the only place that converts.

use core::fmt;
use core::ops::{Add, Div, Mul};

use crate::error::{Error, Quantity};

/// Nearest `f32` to a count; exact up to 2^24, then within 6e-8 of it.
#[allow(
    clippy::as_conversions,
    reason = "u64 to f32 rounds to nearest and never fails; From is not implemented because it is lossy"
)]
pub(crate) const fn to_f32(count: u64) -> f32 {
    count as f32
}

/// Division of counts that rounds up, and has no panic path: where the standard one divides by zero, this leaves the count.
pub(crate) trait Parts {
    /// How many parts of this size a count has, the last one perhaps smaller; the count itself for parts of size 0.
    fn in_parts_of(self, size: Self) -> Self;
}

impl Parts for u64 {
    fn in_parts_of(self, size: Self) -> Self {
        match self.checked_rem(size) {
            None => self,
            Some(0) => self.checked_div(size).unwrap_or(self),
            Some(_) => self.checked_div(size).unwrap_or(self).saturating_add(1),
        }
    }
}

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(pub u64);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);

            /// Sum of two counts.
            ///
            /// # Errors
            /// [`Error::CountOverflow`] above 2^64 − 1.
            pub const fn checked_add(self, other: Self) -> Result<Self, Error> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Ok(Self(sum)),
                    None => Err(Error::CountOverflow),
                }
            }

            /// The count as a float, rounded to 24 bits.
            #[must_use]
            pub const fn as_f32(self) -> f32 {
                to_f32(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $unit), self.0)
            }
        }
    };
}

count!(
    /// Multiply-accumulates; one is two FLOPs.
    Macs, "MAC"
);
count!(
    /// Arithmetic operations, two for each MAC and those outside MACs as the op's documentation counts them.
    /// Integer arithmetic is counted alike.
    Flops, "FLOP"
);
count!(
    /// Bytes, held (a footprint) or moved (traffic).
    Bytes, "B"
);
count!(
    /// Cycles of a clock.
    Cycles, "cycles"
);

impl Macs {
    /// FLOPs of these MACs: two each.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 FLOPs.
    pub const fn flops(self) -> Result<Flops, Error> {
        match self.0.checked_mul(2) {
            Some(flops) => Ok(Flops(flops)),
            None => Err(Error::CountOverflow),
        }
    }
}

/// A time in seconds, finite and not negative where this crate produces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Seconds(pub f32);

impl Seconds {
    /// No time.
    pub const ZERO: Self = Self(0.0);

    /// The longer of two times.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.0 >= other.0 { self } else { other }
    }
}

impl Add for Seconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Mul<f32> for Seconds {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self(self.0 * factor)
    }
}

impl core::iter::Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::ZERO, Add::add)
    }
}

/// An energy in joules, finite and not negative where this crate produces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Joules(pub f32);

impl Joules {
    /// No energy.
    pub const ZERO: Self = Self(0.0);
}

impl Add for Joules {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

macro_rules! rate {
    ($(#[$doc:meta])* $name:ident, $quantity:ident) => {
        $(#[$doc])*
        /// Positive and finite: the constructor refuses anything else, so a division by it is safe.
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "f32", into = "f32"))]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(f32);

        impl $name {
            /// The quantity of this value.
            ///
            /// # Errors
            /// [`Error::NotPositive`] where the value is zero, negative, infinite or not a number.
            pub const fn new(value: f32) -> Result<Self, Error> {
                if value > 0.0 && value < f32::INFINITY {
                    Ok(Self(value))
                } else {
                    Err(Error::NotPositive(Quantity::$quantity))
                }
            }

            /// The plain number, in the unit of the type.
            #[must_use]
            pub const fn get(self) -> f32 {
                self.0
            }
        }

        impl From<$name> for f32 {
            fn from(value: $name) -> f32 {
                value.0
            }
        }

        impl TryFrom<f32> for $name {
            type Error = Error;
            fn try_from(value: f32) -> Result<Self, Error> {
                Self::new(value)
            }
        }
    };
}

rate!(
    /// A bandwidth in bytes per second.
    BytesPerSecond, Bandwidth
);
rate!(
    /// A throughput in FLOP per second.
    FlopsPerSecond, Throughput
);
rate!(
    /// A clock frequency in Hz.
    Hertz, Clock
);
rate!(
    /// A power in watts.
    Watts, Power
);
rate!(
    /// MACs that one unit completes in one clock cycle.
    MacsPerCycle, MacsPerCycle
);
rate!(
    /// Energy of one MAC in joules.
    JoulesPerMac, Energy
);
rate!(
    /// Energy of one byte moved in joules.
    JoulesPerByte, Energy
);
rate!(
    /// A dimensionless factor by which a roof is multiplied: 1 leaves it, 0.5 halves it.
    Factor, Factor
);

impl Factor {
    /// The factor that changes nothing.
    pub const ONE: Self = Self(1.0);
}

/// Operational intensity in FLOP per byte (Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FlopsPerByte(pub f32);

impl Div<BytesPerSecond> for Bytes {
    type Output = Seconds;
    fn div(self, bandwidth: BytesPerSecond) -> Seconds {
        Seconds(self.as_f32() / bandwidth.0)
    }
}

impl Div<FlopsPerSecond> for Flops {
    type Output = Seconds;
    fn div(self, throughput: FlopsPerSecond) -> Seconds {
        Seconds(self.as_f32() / throughput.0)
    }
}

impl Div<Bytes> for Flops {
    type Output = FlopsPerByte;
    /// Infinite where no byte moves, as for an op that is a view.
    fn div(self, bytes: Bytes) -> FlopsPerByte {
        FlopsPerByte(self.as_f32() / bytes.as_f32())
    }
}

impl Div<Hertz> for Cycles {
    type Output = Seconds;
    fn div(self, clock: Hertz) -> Seconds {
        Seconds(self.as_f32() / clock.0)
    }
}

impl Mul<JoulesPerMac> for Macs {
    type Output = Joules;
    fn mul(self, energy: JoulesPerMac) -> Joules {
        Joules(self.as_f32() * energy.0)
    }
}

impl Mul<JoulesPerByte> for Bytes {
    type Output = Joules;
    fn mul(self, energy: JoulesPerByte) -> Joules {
        Joules(self.as_f32() * energy.0)
    }
}

impl Mul<Seconds> for Watts {
    type Output = Joules;
    fn mul(self, time: Seconds) -> Joules {
        Joules(self.0 * time.0)
    }
}

impl Mul<Factor> for BytesPerSecond {
    type Output = Self;
    fn mul(self, factor: Factor) -> Self {
        Self(self.0 * factor.0)
    }
}

impl Mul<Factor> for FlopsPerSecond {
    type Output = Self;
    fn mul(self, factor: Factor) -> Self {
        Self(self.0 * factor.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_two_flops() {
        assert_eq!(Macs(3).flops(), Ok(Flops(6)));
        assert_eq!(Macs(u64::MAX).flops(), Err(Error::CountOverflow));
    }

    #[test]
    fn bytes_over_bandwidth_are_seconds() -> Result<(), Error> {
        // 1 MB at 100 MB/s: 10 ms.
        assert_eq!(Bytes(1_000_000) / BytesPerSecond::new(100e6)?, Seconds(0.01));
        Ok(())
    }

    #[test]
    fn a_rate_is_positive_and_finite() {
        for value in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(Hertz::new(value), Err(Error::NotPositive(Quantity::Clock)));
        }
    }

    #[test]
    fn a_count_does_not_wrap() {
        assert_eq!(Bytes(u64::MAX).checked_add(Bytes(1)), Err(Error::CountOverflow));
    }
}
