//! The search for tiles of three levels or more.
//!
//! Two neighbours of much the same capacity do best with the same tile: they are searched as one level that counts twice. Levels far
//! apart are searched one by one, the outermost first; its tile is one of a few whose bound is low, or holds whole tiles of
//! the levels inside as they would be without it.

use super::MAX_LEVELS;
use super::inside::Inside;
use super::reuse::{Classes, Cut, Extents, gathered};
use super::search::{Best, Found, Room, Search, sort};

/// Ratio of capacities from which on two levels never do best with the same tiles.
const CLOSE: u64 = 16;

/// Cuts of an outer level for which the levels inside are searched.
const TRIED: usize = 3;

impl Search<'_> {
    /// Tiles for three levels or more: two neighbours of much the same size as one, or each for itself.
    pub(super) fn many(&self, inside: &Inside<'_>, rooms: &[Room], limit: u64) -> Option<Found> {
        let (&room, inner) = rooms.split_last()?;
        let mut best = Best { least: limit, found: None, list: None, seed: None };
        let pairs = || (0..MAX_LEVELS).zip(rooms.iter().zip(rooms.iter().skip(1)));
        let ratio = |small: &Room, large: &Room| large.capacity.checked_div(small.capacity).unwrap_or(u64::MAX);
        let closest = pairs().map(|(level, (small, large))| (ratio(small, large), level)).min();
        for (level, (small, large)) in pairs() {
            let ratio = ratio(small, large);
            if ratio >= CLOSE || rooms.len() > 3 && Some((ratio, level)) != closest {
                continue;
            }
            let double_buffered = small.double_buffered || large.double_buffered;
            let capacity = small.capacity.min(large.capacity);
            let joined = Room { capacity, double_buffered, times: small.times.saturating_add(large.times) };
            let others = (0..MAX_LEVELS).zip(rooms).filter(|&(other, _)| other != level);
            let fewer = others.map(|(other, &room)| if other == level.saturating_add(1) { joined } else { room });
            let fewer: heapless::Vec<Room, MAX_LEVELS> = gathered(fewer);
            if let Some(Found { bytes, cuts }) = self.levels(inside, &fewer, best.least) {
                // The joined levels have the same tile.
                let before = cuts.iter().take(level.saturating_add(1));
                let cuts = gathered(before.chain(cuts.iter().skip(level)).copied());
                best = Best { least: bytes, found: Some(Found { bytes, cuts }), list: None, seed: None };
            }
        }
        // The tiles of the levels inside if this one were not there.
        let seed = self.levels(inside, inner, u64::MAX).map(|found| found.cuts);
        let next = seed.as_ref().and_then(|cuts| cuts.last().copied());
        let mut first = Best { least: best.least, found: None, list: Some(heapless::Vec::new()), seed };
        self.outer(inside, (room, inner), next, &mut first);
        let mut list = first.list.unwrap_or_default();
        sort(&mut list, |cut| cut.0);
        if let Some(found) = first.found {
            let cut = found.cuts.last().copied();
            best = Best { least: found.bytes, found: Some(found), list: None, seed: None };
            // Each search of the levels inside takes a few of those inside them: with many levels, one is enough.
            if let (3, Some(cut)) = (rooms.len(), cut) {
                self.under(inside, &cut, (room, inner), &mut best);
            }
        }
        let tried = if rooms.len() > 3 && best.found.is_some() { 0 } else { TRIED };
        for (_, cut) in list.iter().take(tried) {
            self.under(inside, cut, (room, inner), &mut best);
        }
        best.found
    }

    /// Bytes of a cut and of those found for the levels inside, each within the tile outside it, where they fit.
    pub(super) fn kept(
        &self,
        inside: &Inside<'_>,
        cut: Cut,
        seed: &mut [Cut],
        (room, inner): (Room, &[Room]),
    ) -> Option<u64> {
        let mut classes = [Classes::new(), Classes::new(), Classes::new()];
        let inside = inside.cut(&cut, &mut classes)?;
        if !self.fits_whole(&inside, room) {
            return None;
        }
        let bytes = self.unchanged(&inside, room);
        let (Some((next, seed)), Some((&room, inner))) = (seed.split_last_mut(), inner.split_last()) else {
            return Some(bytes);
        };
        let Extents { m, n, k } = inside.extents();
        next.tile = Extents { m: next.tile.m.min(m), n: next.tile.n.min(n), k: next.tile.k.min(k) };
        Some(bytes.saturating_add(self.kept(&inside, *next, seed, (room, inner))?))
    }
}
