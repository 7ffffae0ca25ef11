//! Visits: how often each tile of an operand comes into a level, over the whole nest.
//!
//! All loops of all levels stand in one row, outermost first. A tile of an operand leaves when a loop steps that it depends on, or
//! any loop around such a one. So a tile whose innermost such loop with more than one trip stands at place π comes as often as
//! the loops before π that the operand does not depend on step:
//!
//! ```text
//! moved = Σ_π (F(π) − F(π − 1)) · Π_{loops e before π, not of the operand} trips(e)
//! F(π)  = size of the operand's tiles that no loop behind π cuts
//! ```
//! F is a product over the operand's dims, so the sum is exact with edges of any size: no walk through the nest is needed.

use super::MAX_LEVELS;

/// Classes of loops: those of one class are of the same operands.
pub(super) const CLASSES: usize = 4;

/// The innermost place of a level.
const LAST: u8 = 3;

/// Place of each class among the loops of a level, 0 outermost.
pub(super) type Ranks = [u8; CLASSES];

/// Sums of one class by depth: entry l is of tiles that no level beyond l cuts.
pub(super) type ByDepth = [u64; MAX_LEVELS + 1];

/// What an operand moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Visits {
    /// Elements that come in for the first time.
    pub(super) first: u64,
    /// Elements that come in again.
    pub(super) again: u64,
}

/// Visits of an operand's tiles at the level of the last ranks. `sizes` are the sums of its classes, `None` of those that it does not
/// depend on; `counts` the numbers of tiles of every class.
pub(super) fn visits(ranks: &[Ranks], sizes: &[Option<ByDepth>; CLASSES], counts: &[ByDepth; CLASSES]) -> Visits {
    // Entry l at or before rank r of level l, entry l − 1 behind it.
    let at = |by: &ByDepth, level: usize, before: bool| {
        by.get(if before { level } else { level.saturating_sub(1) }).copied().unwrap_or(0)
    };
    let whole = sizes.iter().flatten().fold(1_u64, |product, by| product.saturating_mul(at(by, 0, true)));
    let (mut reached, mut again) = (whole, 0_u64);
    for (level, ranks) in (1..=MAX_LEVELS).zip(ranks) {
        for rank in 0..=LAST {
            // Without a cut here, nothing new is reached.
            let cuts = |by: &ByDepth| at(by, level, true) != at(by, level, false);
            let mut here = sizes.iter().zip(ranks).filter(|&(_, &class)| class == rank);
            if !here.any(|(by, _)| by.as_ref().is_some_and(cuts)) {
                continue;
            }
            let mut size = 1_u64;
            let mut trips = 1_u64;
            for ((by, count), &class) in sizes.iter().zip(counts).zip(ranks) {
                match by {
                    Some(by) => size = size.saturating_mul(at(by, level, class <= rank)),
                    None => trips = trips.saturating_mul(at(count, level, class < rank)),
                }
            }
            let new = size.saturating_sub(reached);
            again = again.saturating_add(new.saturating_mul(trips.saturating_sub(1)));
            reached = reached.max(size);
        }
    }
    Visits { first: reached, again }
}
