//! Residency: which memory level serves an op's bytes. Until tilings say it exactly, a byte is served by the level that
//! still holds everything touched since its last use: the *reuse distance*, in bytes.
//!
//! This is the one place to replace: [`Residency::share`] gives the share of a stream that each level serves.

use crate::hardware::{Hardware, MemoryLevel};
use crate::units::{Bytes, Factor, Seconds};

/// How sharply a level stops serving as the reuse distance passes its capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Border {
    /// All at once: the smallest level that holds the distance serves every byte.
    Sharp,
    /// Smoothly, as replacement and conflicts do: of a distance D, the share beyond a capacity C is x² / (1 + x²), x = D / (C · factor).
    Smooth {
        /// Effective share of each capacity.
        capacity: Factor,
    },
}

/// Serving of streams by the levels of a device, each level's bandwidth times a factor.
#[derive(Clone, Copy, Debug)]
pub struct Residency<'a> {
    /// The device.
    pub hardware: &'a Hardware<'a>,
    /// How levels hand over to the next.
    pub border: Border,
    /// Share of the bandwidth of every level but the last.
    pub cache: Factor,
    /// Share of the bandwidth of the last level.
    pub backing: Factor,
}

/// Time to move some bytes, and the level that takes most of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transfer {
    /// Time of all levels together.
    pub time: Seconds,
    /// Index of the level with the largest share of the time.
    pub level: u8,
}

impl Residency<'_> {
    /// Share of a stream of this reuse distance that passes beyond a level.
    fn beyond(&self, level: &MemoryLevel<'_>, distance: Bytes) -> f32 {
        match self.border {
            Border::Sharp => {
                if distance.0 > level.capacity.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Border::Smooth { capacity } => {
                let x = distance.as_f32() / (level.capacity.as_f32() * capacity.get());
                // x²/(1 + x²), written so that neither end loses digits: 0 at x = 0, 1 at x = ∞.
                1.0 / (1.0 + 1.0 / (x * x))
            }
        }
    }

    /// Shares of a stream that the levels serve, from the smallest level on; they add up to 1.
    pub fn share(&self, distance: Bytes) -> impl Iterator<Item = f32> + '_ {
        let last = self.hardware.memory().len().saturating_sub(1);
        let mut arriving = 1.0_f32;
        self.hardware.memory().iter().enumerate().map(move |(index, level)| {
            // The backing store holds everything, whatever its capacity: a graph that does not fit is told elsewhere.
            let passing = if index == last { 0.0 } else { arriving.min(self.beyond(level, distance)) };
            let served = arriving - passing;
            arriving = passing;
            served
        })
    }

    /// Time to move a stream of this reuse distance, level after level.
    ///
    /// ```text
    /// time = Σ over levels of bytes · share(level, distance) / (bandwidth(level) · factor(level))
    /// ```
    #[must_use]
    pub fn transfer(&self, bytes: Bytes, distance: Bytes) -> Transfer {
        let levels = self.hardware.memory();
        let last = levels.len().saturating_sub(1);
        let mut transfer = Transfer { time: Seconds::ZERO, level: 0 };
        let mut longest = Seconds::ZERO;
        for ((index, level), share) in levels.iter().enumerate().zip(self.share(distance)) {
            let factor = if index == last { self.backing } else { self.cache };
            let time = Seconds(bytes.as_f32() * share / (level.bandwidth * factor).get());
            if time.0 > longest.0 {
                longest = time;
                transfer.level = u8::try_from(index).unwrap_or(u8::MAX);
            }
            transfer.time = transfer.time + time;
        }
        transfer
    }
}

impl Transfer {
    /// Two streams one after the other; the level is that of the longer one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let level = if other.time.0 > self.time.0 { other.level } else { self.level };
        Self { time: self.time + other.time, level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::hardware::tests::with_toy;

    fn residency<'a>(hardware: &'a Hardware<'a>, border: Border) -> Residency<'a> {
        Residency { hardware, border, cache: Factor::ONE, backing: Factor::ONE }
    }

    #[test]
    fn the_smallest_level_that_holds_the_distance_serves() -> Result<(), Error> {
        with_toy(|toy| {
            let sharp = residency(toy, Border::Sharp);
            // 10 kB within 32 KiB at 100 GB/s: 0.1 µs; 100 kB from DRAM at 10 GB/s: 10 µs.
            let inner = sharp.transfer(Bytes(10_000), Bytes(10_000));
            assert_eq!((inner.time, inner.level), (Seconds(1e-7), 0));
            let outer = sharp.transfer(Bytes(100_000), Bytes(100_000));
            assert_eq!((outer.time, outer.level), (Seconds(1e-5), 1));
        })
    }

    #[test]
    fn a_smooth_border_halves_at_the_capacity_and_shares_add_up() -> Result<(), Error> {
        with_toy(|toy| {
            let smooth = residency(toy, Border::Smooth { capacity: Factor::ONE });
            let shares: std::vec::Vec<f32> = smooth.share(Bytes(32 << 10)).collect();
            assert_eq!(shares, [0.5, 0.5]);
            for distance in [0, 1, 1 << 20, u64::MAX] {
                assert_eq!(smooth.share(Bytes(distance)).sum::<f32>(), 1.0);
            }
        })
    }
}
