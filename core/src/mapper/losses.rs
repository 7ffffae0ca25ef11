//! From a cost that grows step by step to the losses that a mapping names; counts and cycles rounded up; mappings in their place.

use crate::error::Error;
use crate::mapping::{Loss, Lost, MAX_LOSSES, Mapping};
use crate::units::{Cycles, Parts as _, to_f32};

/// Number of parts of a size that hold a count, the last one partly filled; a size of 0 counts as 1.
pub(super) fn parts(count: u64, size: u64) -> u64 {
    count.in_parts_of(size.max(1))
}

/// The largest whole number that is not above this one; 0 for what is no number, 2^64 − 1 above that.
pub(super) const fn floor(number: f32) -> u64 {
    #[allow(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "this conversion cuts fractions off and stays within the range"
    )]
    {
        number as u64
    }
}

/// The smallest count of cycles that is not below this one.
///
/// # Errors
/// [`Error::CountOverflow`] from 2^64 on, and for what is not a number.
pub(super) fn whole(cycles: f32) -> Result<Cycles, Error> {
    // 2^64 as a float, exact.
    const LIMIT: f32 = 18_446_744_073_709_551_616.0;
    if !(0.0..LIMIT).contains(&cycles) {
        return Err(Error::CountOverflow);
    }
    // Where there is a fraction the number is below 2^24, exact as a float.
    let below = floor(cycles);
    Ok(Cycles(if to_f32(below) < cycles { below.saturating_add(1) } else { below }))
}

/// A mapping that is filled where it is returned: it is large.
///
/// # Errors
/// Those of `fill`.
pub(super) fn filled(fill: impl FnOnce(&mut Mapping) -> Result<(), Error>) -> Result<Mapping, Error> {
    let mut mapping = Ok(Mapping::idle());
    if let Ok(place) = &mut mapping
        && let Err(error) = fill(place)
    {
        mapping = Err(error);
    }
    mapping
}

/// Share from which on a loss is none: some roundings of 6e-8.
const NO_LOSS: f32 = 1.0 - 1e-6;

/// Costs of the same work, each with one more reason why units idle.
///
/// ```text
/// left of a loss = cost before it / cost with it          utilization = product of what is left
/// ```
pub(super) struct Losses {
    cost: f32,
    losses: heapless::Vec<Lost, MAX_LOSSES>,
}

impl Losses {
    /// The cost of the work alone, all units full.
    pub(super) const fn from(ideal: f32) -> Self {
        Self { cost: ideal, losses: heapless::Vec::new() }
    }

    /// The same work at a cost that is higher for this reason; a cost that is not higher names no loss.
    pub(super) fn then(mut self, loss: Loss, cost: f32) -> Self {
        let left = self.cost / cost;
        if left > 0.0 && left < NO_LOSS {
            // Room for one of each reason that a mapper gives.
            self.losses.push(Lost { loss, left }).ok();
            self.cost = cost;
        }
        self
    }

    /// Writes into a mapping the losses, and the share of the peak that they leave together.
    pub(super) fn finish(self, mapping: &mut Mapping) {
        mapping.utilization = self.losses.iter().fold(1.0, |share, lost| share * lost.left);
        mapping.losses = self.losses;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_round_up_and_end() {
        assert_eq!(whole(0.0), Ok(Cycles(0)));
        assert_eq!(whole(1.25), Ok(Cycles(2)));
        // The largest float below 2^64.
        assert_eq!(whole(18_446_742_974_197_923_840.0), Ok(Cycles(18_446_742_974_197_923_840)));
        for refused in [18_446_744_073_709_551_616.0, f32::INFINITY, f32::NAN, -1.0] {
            assert_eq!(whole(refused), Err(Error::CountOverflow));
        }
    }

    #[test]
    fn losses_multiply_to_the_share_that_is_left() {
        // 6 of 8, then 8 of 10: 6 of 10. A step that costs nothing names nothing.
        let steps = Losses::from(6.0).then(Loss::EdgeTiles, 8.0).then(Loss::Latency, 8.0).then(Loss::Waves, 10.0);
        let mut mapping = Mapping::idle();
        steps.finish(&mut mapping);
        assert_eq!(
            mapping.losses.as_slice(),
            [Lost { loss: Loss::EdgeTiles, left: 0.75 }, Lost { loss: Loss::Waves, left: 0.8 }]
        );
        assert!((mapping.utilization - 0.6).abs() < 1e-6);
    }
}
