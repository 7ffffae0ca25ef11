//! Tiles of a level that are worth trying: near those that are best without rounding.

use super::bound;
use super::inside::Inside;
use super::pair::{At, Pair};
use super::reuse::{Cut, Extents};
use super::search::{Best, Room, Search, balanced};
use crate::nest::Operand;
use crate::units::Parts as _;
use crate::units::to_f32;

/// Added before a number is rounded down that may be a rounding error below an integer.
const ROUND: f32 = 1.0 / 1024.0;

impl Search<'_> {
    /// Good tiles of a level for this stationary operand as if no other level were there, balanced, the free extent 1.
    pub(super) fn alone(&self, inside: &Inside<'_>, room: Room, stationary: Operand) -> heapless::Vec<Extents, 3> {
        let mut units = heapless::Vec::new();
        let case = self.case(inside, stationary, room, 1);
        if case.z.extent <= 1 {
            return units;
        }
        let relaxed = case.relaxed();
        let (mut least, mut tile) = (u64::MAX, None);
        case.walk(&relaxed, relaxed.centre(), false, 0.0, |tx, ty| {
            let bytes = case.cost(tx, ty);
            if bytes < least {
                (least, tile) = (bytes, Some((tx, ty)));
            }
            least
        });
        let Some((tx, ty)) = tile else { return units };
        let mut push = |tx, ty| {
            let unit = Cut::of(case.axes, [tx, balanced(case.y.extent, ty), 1]).tile;
            if !units.contains(&unit) {
                units.push(unit).ok();
            }
        };
        push(tx, ty);
        // A tile as long as an axis, where it is not much worse, leaves no edges along it.
        let most = least.saturating_add(least / 8);
        let ty = case.rows(case.x.extent).min(case.y.extent);
        if ty > 0 && case.cost(case.x.extent, ty) <= most {
            push(case.x.extent, ty);
        }
        let left = case.room.saturating_sub(case.v.saturating_mul(case.y.extent));
        let tx = left.checked_div(case.s.saturating_mul(case.y.extent).saturating_add(case.u)).unwrap_or(0);
        let tx = balanced(case.x.extent, tx.min(case.x.extent));
        if case.rows(tx) >= case.y.extent && case.cost(tx, case.y.extent) <= most {
            push(tx, case.y.extent);
        }
        units
    }

    /// Tiles of whole tiles of the level inside, at the best free extent without rounding.
    pub(super) fn snapped(
        &self,
        inside: &Inside<'_>,
        pair: &Pair<'_>,
        free: f32,
        levels: (Room, &[Room]),
        best: &mut Best<'_>,
    ) {
        let [x, y, z] = pair.case.axes;
        let most = pair.case.z.extent.in_parts_of(2).max(1);
        let unit = pair.unit;
        let lower = whole(bound::floor(free + ROUND), unit.along(z));
        for tz in [lower, lower.saturating_add(unit.along(z))] {
            let tz = tz.min(most);
            let At { p, outer: relaxed, .. } = pair.at(to_f32(tz));
            let case = self.case(inside, pair.stationary, levels.0, tz);
            let tx = whole(bound::floor(relaxed.x / p + ROUND), unit.along(x)).min(case.x.extent);
            let ty = case.rows(tx).min(case.y.extent);
            if ty > 0 {
                let ty = whole(ty, unit.along(y)).min(ty);
                self.consider(inside, &case, [tx, ty, tz], levels, best);
                // What is left of the room lets the levels inside go further along the free axis.
                let grown = self.free(&pair.case, levels.0, tx, ty).unwrap_or(tz);
                let grown = whole(grown, unit.along(z)).min(most);
                if tz == lower.min(most) && grown > tz {
                    self.consider(inside, &case, [tx, ty, grown], levels, best);
                }
            }
        }
    }

    /// Numbers of tiles next to the best ones without rounding, and the free extent that they leave room for.
    pub(super) fn rounded(
        &self,
        inside: &Inside<'_>,
        pair: &Pair<'_>,
        free: f32,
        levels: (Room, &[Room]),
        best: &mut Best<'_>,
    ) {
        let At { p, q, .. } = pair.at(free);
        let [p, q] = [p, q].map(|tiles| bound::floor(tiles + ROUND).max(1));
        let case = &pair.case;
        for (p, q) in [(p, q), (p, q.saturating_add(1)), (p.saturating_add(1), q)] {
            let [tx, ty] = [(case.x, p), (case.y, q)].map(|(along, tiles)| along.extent.in_parts_of(tiles.max(1)));
            if let Some(tz) = self.free(case, levels.0, tx, ty) {
                self.consider(inside, case, [tx, ty, tz.min(case.z.extent.in_parts_of(2))], levels, best);
            }
        }
    }

    /// Free extents and tiles outward from those that are best without rounding.
    pub(super) fn around(
        &self,
        inside: &Inside<'_>,
        pair: &Pair<'_>,
        (free, rest): (f32, f32),
        levels: (Room, &[Room]),
        best: &mut Best<'_>,
    ) {
        let mut budget = self.budget;
        let extent = pair.case.z.extent;
        let tile_of = |tiles: u64| extent.in_parts_of(tiles.max(1));
        let most = extent.in_parts_of(2).max(1);
        let mut visit = |tz: u64| -> bool {
            let at = pair.at(to_f32(tz));
            let (least, At { p, outer: relaxed, .. }) = (pair.least_at(&at), at);
            if least + rest >= self.worth(best.least, levels) || budget == 0 {
                return false;
            }
            let case = self.case(inside, pair.stationary, levels.0, tz);
            case.walk(&relaxed, p, false, least - relaxed.cost(p) + rest, |tx, ty| {
                if budget == 0 {
                    return 0;
                }
                budget = budget.saturating_sub(1);
                self.consider(inside, &case, [tx, ty, tz], levels, best);
                bound::floor(self.worth(best.least, levels))
            });
            true
        };
        let start = tile_of(tile_of(bound::floor(free + ROUND))).max(1).min(most);
        let mut tz = start;
        let mut go = visit(tz);
        while go && tz > 1 {
            let shorter = tile_of(tile_of(tz).saturating_add(1));
            tz = if shorter >= tz { tz.saturating_sub(1) } else { shorter };
            go = visit(tz);
        }
        tz = start;
        while tz < most {
            tz = tile_of(tile_of(tz).saturating_sub(1)).max(tz.saturating_add(1)).min(most);
            if !visit(tz) {
                break;
            }
        }
    }
}

/// The longest tile of whole units that is not longer than this, one unit at least.
fn whole(extent: u64, unit: u64) -> u64 {
    let unit = unit.max(1);
    extent.checked_div(unit).unwrap_or(0).max(1).saturating_mul(unit)
}
