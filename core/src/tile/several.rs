//! The search for tiles of three levels or more, of products that run several times.
//!
//! Two neighbours of much the same capacity do best with the same tile: they are searched as one level that counts twice. Levels far
//! apart are searched one by one, the outermost first; its tile is one of a few whose bound is low, or holds whole tiles of
//! the levels inside as they would be without it.

use super::MAX_LEVELS;
use super::inside::Inside;
use super::reuse::{Classes, Cut, Extents, gathered};
use super::search::{Best, List, Room, Search, sort};
use crate::units::to_f32;

/// Ratio of capacities from which on two levels never do best with the same tiles.
const CLOSE: u64 = 16;

/// Cuts of an outer level for which the levels inside are searched.
const TRIED: usize = 2;

/// Share of the bytes by which a cut of half as many tiles may be worse by its bound.
const FEW: f32 = 1.0 / 512.0;

impl Search<'_> {
    /// Tiles for three levels or more: two neighbours of much the same size as one, or each for itself; as [`Self::levels`].
    #[inline(never)]
    pub(super) fn many(&self, inside: &Inside<'_>, rooms: &[Room], limit: u64, cuts: &mut [Cut]) -> Option<u64> {
        let (&room, inner) = rooms.split_last()?;
        let mut best = Best { least: limit, cuts, found: false, list: None };
        self.joined(inside, rooms, &mut best);
        // The tiles of the levels inside if this one were not there.
        let mut list = List { cuts: heapless::Vec::new(), seed: gathered(inner.iter().map(|_| Cut::ONE)) };
        if self.levels(inside, inner, u64::MAX, &mut list.seed).is_none() {
            list.seed.clear();
        }
        let next = list.seed.last().copied();
        let mut first = Best { least: best.least, cuts: &mut *best.cuts, found: false, list: Some(&mut list) };
        self.outer(inside, (room, inner), next, &mut first);
        if first.found {
            (best.least, best.found) = (first.least, true);
            // Each search of the levels inside takes a few of those inside them: with many levels, one is enough.
            if let (3, Some(&cut)) = (rooms.len(), best.cuts.last()) {
                self.under(inside, &cut, (room, inner), &mut best);
            }
        }
        sort(&mut list.cuts, |cut| cut.0);
        let tried = if rooms.len() > 3 && best.found { 0 } else { TRIED };
        for (_, cut) in list.cuts.iter().take(tried) {
            self.under(inside, cut, (room, inner), &mut best);
        }
        best.found.then_some(best.least)
    }

    /// Two neighbours of much the same size as one.
    #[inline(never)]
    fn joined(&self, inside: &Inside<'_>, rooms: &[Room], best: &mut Best<'_>) {
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
            let mut cuts = [Cut::ONE; MAX_LEVELS];
            let Some(cuts) = cuts.get_mut(..fewer.len()) else { return };
            if let Some(bytes) = self.levels(inside, &fewer, best.least, cuts) {
                (best.least, best.found) = (bytes, true);
                // The joined levels have the same tile.
                let all = cuts.iter().take(level.saturating_add(1)).chain(cuts.iter().skip(level));
                best.cuts.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// Puts a cut on the list, and keeps it where it moves less with the cuts inside that it is tried with.
    #[inline(never)]
    pub(super) fn note(&self, inside: &Inside<'_>, cut: Cut, (room, inner): (Room, &[Room]), best: &mut Best<'_>) {
        let Some(list) = &mut best.list else { return };
        let mut classes = [Classes::new(), Classes::new(), Classes::new()];
        let Some(within) = inside.cut(&cut, &mut classes) else { return };
        let bytes = self.unchanged(&within, room);
        let mut cuts = list.seed.clone();
        let kept = if bytes < best.least && !cuts.is_empty() { self.kept(&within, &mut cuts, inner) } else { None };
        if let Some(all) = kept.map(|kept| kept.saturating_add(bytes)).filter(|&all| all < best.least) {
            (best.least, best.found) = (all, true);
            best.cuts.iter_mut().zip(cuts.iter().chain([&cut])).for_each(|(to, from)| *to = *from);
        }
        // Of tiles with much the same bound, few large ones leave the levels inside more freedom.
        let tiles = within.m.count.saturating_mul(within.n.count).saturating_mul(within.k.count).max(1);
        let bytes = to_f32(bytes) + self.below(&within, inner);
        let bytes = bytes * (1.0 + to_f32(u64::from(tiles.checked_ilog2().unwrap_or(0))) * FEW);
        if list.cuts.iter().any(|&(_, other)| other == cut) {
            return;
        }
        if list.cuts.push((bytes, cut)).is_err()
            && let Some(worst) = list.cuts.iter_mut().max_by(|left, right| left.0.total_cmp(&right.0))
            && bytes < worst.0
        {
            *worst = (bytes, cut);
        }
    }

    /// Bytes of levels with the cuts that are given, each within the tile outside it, where they fit.
    fn kept(&self, inside: &Inside<'_>, cuts: &mut [Cut], rooms: &[Room]) -> Option<u64> {
        let (Some((cut, cuts)), Some((&room, rooms))) = (cuts.split_last_mut(), rooms.split_last()) else {
            return Some(0);
        };
        let Extents { m, n, k } = inside.extents();
        cut.tile = Extents { m: cut.tile.m.min(m), n: cut.tile.n.min(n), k: cut.tile.k.min(k) };
        let mut classes = [Classes::new(), Classes::new(), Classes::new()];
        let within = inside.cut(cut, &mut classes)?;
        if !self.fits_whole(&within, room) {
            return None;
        }
        Some(self.unchanged(&within, room).saturating_add(self.kept(&within, cuts, rooms)?))
    }
}
