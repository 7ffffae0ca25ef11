//! The search for tiles of several levels: from the outermost to the innermost, each level together with the next one inside.

use super::case::{Case, MARGIN};
use super::gemm::{Product, footprint, left_by};
use super::inside::Inside;
use super::pair::Pair;
use super::reuse::{Axis, Classes, Cut, Extents, moved};
use super::{Buffer, MAX_LEVELS};
use crate::nest::{ElementSizes, Operand};
use crate::units::Parts as _;
use crate::units::to_f32;

/// Room for tiles of a level, or of some levels that have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Bytes of one instance.
    pub(super) capacity: u64,
    pub(super) double_buffered: bool,
    /// Levels that have these tiles.
    pub(super) times: u64,
}

impl Room {
    pub(super) fn of(buffer: &Buffer) -> Self {
        Self { capacity: buffer.capacity.0, double_buffered: buffer.double_buffered, times: 1 }
    }
}

/// The best that is found so far.
#[derive(Debug)]
pub(super) struct Best<'b> {
    pub(super) least: u64,
    /// Cuts of all levels, from the innermost to the outermost: those of `least` bytes, where some are found.
    pub(super) cuts: &'b mut [Cut],
    pub(super) found: bool,
    /// Cuts to be tried later.
    pub(super) list: Option<&'b mut List>,
}

/// Cuts of a level that are tried later.
#[derive(Debug)]
pub(super) struct List {
    /// Each with the bytes that it and the levels inside move at least.
    pub(super) cuts: heapless::Vec<(f32, Cut), 16>,
    /// Cuts of the levels inside to try each of these with, where there are some.
    pub(super) seed: heapless::Vec<Cut, MAX_LEVELS>,
}

/// The search for tiles of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'s> {
    pub(super) product: &'s Product,
    pub(super) sizes: &'s ElementSizes,
    /// Bytes that a pass along each axis moves: of B along m, of A along n, of partial sums along k.
    pub(super) weights: Extents,
    /// Whether every tile is tried.
    pub(super) every: bool,
    /// Most tiles of a level for which the levels inside are searched.
    pub(super) budget: u32,
}

/// Share of the bytes by which a better tiling may be missed.
const SLACK: f32 = 1.005;

const OPERANDS: [Operand; 3] = [Operand::C, Operand::A, Operand::B];

impl Search<'_> {
    pub(super) fn case<'i>(&self, inside: &'i Inside<'_>, stationary: Operand, room: Room, free: u64) -> Case<'i> {
        let times = if room.double_buffered { free.saturating_mul(2) } else { free };
        let ElementSizes { a, b, partial, .. } = *self.sizes;
        let ([x, y, z], [s, u, v]) = match stationary {
            Operand::C => ([Axis::M, Axis::N, Axis::K], [partial, a, b]),
            Operand::A => ([Axis::M, Axis::K, Axis::N], [a, partial, b]),
            Operand::B => ([Axis::N, Axis::K, Axis::M], [b, partial, a]),
        };
        Case {
            axes: [x, y, z],
            x: inside.along(x),
            y: inside.along(y),
            z: inside.along(z),
            s,
            u: u.saturating_mul(times),
            v: v.saturating_mul(times),
            room: room.capacity,
            weights: [x, y, z].map(|axis| self.weights.along(axis).saturating_mul(room.times)),
        }
    }

    /// Bytes of a level whose tile is that of the level outside.
    pub(super) fn unchanged(&self, inside: &Inside<'_>, room: Room) -> u64 {
        let bytes = |axis: Axis| self.weights.along(axis).saturating_mul(inside.along(axis).moved);
        bytes(Axis::M).saturating_add(bytes(Axis::N)).saturating_add(bytes(Axis::K)).saturating_mul(room.times)
    }

    pub(super) fn fits_whole(&self, inside: &Inside<'_>, room: Room) -> bool {
        footprint(inside.extents(), self.sizes, inside.stationary, room.double_buffered)
            .is_some_and(|bytes| bytes <= room.capacity)
    }

    /// Bytes that these levels move, the last one the outermost, with the tiles that are written to `cuts`; `None`, and nothing is
    /// written, where none moves less than `limit`.
    pub(super) fn levels(&self, inside: &Inside<'_>, rooms: &[Room], limit: u64, cuts: &mut [Cut]) -> Option<u64> {
        let (&room, inner) = rooms.split_last()?;
        let (last, within) = cuts.split_last_mut()?;
        if inner.is_empty() {
            let (bytes, cut) = self.one(inside, room, limit)?;
            *last = cut;
            return Some(bytes);
        }
        if self.fits_whole(inside, room) {
            let bytes = self.unchanged(inside, room);
            let found = self.levels(inside, inner, limit.saturating_sub(bytes), within)?;
            *last = inside.whole();
            return Some(found.saturating_add(bytes));
        }
        if inner.len() > 1 {
            return self.many(inside, rooms, limit, cuts);
        }
        let mut best = Best { least: limit, cuts, found: false, list: None };
        self.outer(inside, (room, inner), None, &mut best);
        best.found.then_some(best.least)
    }

    /// Bytes that each stationary operand moves at least without rounding, and the number of tiles along x for it.
    fn relaxed(&self, inside: &Inside<'_>, room: Room) -> [(f32, f32, Operand); 3] {
        OPERANDS.map(|stationary| {
            let case = self.case(inside, stationary, room, 1);
            let relaxed = case.relaxed();
            let centre = relaxed.centre();
            // With one pass along the free axis, another case has the same tiles and moves no more.
            let bytes = if case.z.extent > 1 { relaxed.cost(centre) } else { f32::INFINITY };
            (bytes, centre, stationary)
        })
    }

    /// Tiles of the innermost level that move less than `limit`, and their bytes.
    pub(super) fn one(&self, inside: &Inside<'_>, room: Room, limit: u64) -> Option<(u64, Cut)> {
        if self.fits_whole(inside, room) {
            let bytes = self.unchanged(inside, room);
            return (bytes < limit).then(|| (bytes, inside.whole()));
        }
        // The case with the lowest relaxed cost first: it often rules out the others.
        let mut cases = self.relaxed(inside, room);
        sort(&mut cases, |case| case.0);
        let (mut least, mut best) = (limit, None);
        for (bytes, centre, stationary) in cases {
            if bytes * MARGIN >= to_f32(self.tolerant(least)) {
                break;
            }
            let case = self.case(inside, stationary, room, 1);
            let order = case.axes;
            let (case, relaxed, centre) = case.shorter(&case.relaxed(), centre);
            let mut tile = None;
            let mut see = |tx, ty| {
                let bytes = case.cost(tx, ty);
                if self.every && bytes < self.tolerant(least) {
                    self.see(inside, room, &case, [tx, ty], (&mut least, &mut best));
                } else if !self.every && bytes < least {
                    (least, tile) = (bytes, Some([tx, ty]));
                }
                self.tolerant(least)
            };
            case.walk(&relaxed, centre, self.every, 0.0, &mut see);
            if case.stays_whole() {
                see(case.x.extent, case.y.extent);
            }
            let cut = tile.and_then(|tile| self.grown(&case, room, tile));
            best = cut.map(|cut| Cut { order, ..cut }).or(best);
        }
        Some((least, best?))
    }

    /// Tiles of a level that needs no more passes along y, and as few as there is room for along the free axis.
    fn grown(&self, case: &Case<'_>, room: Room, [tx, ty]: [u64; 2]) -> Option<Cut> {
        // Balanced, where no edge then needs another tile.
        let even = balanced(case.y.extent, ty);
        let ty = if case.y.tiles(even) == case.y.tiles(ty) { even } else { ty };
        Some(Cut::of(case.axes, [tx, ty, self.free(case, room, tx, ty)?]))
    }

    /// Keeps these tiles of the innermost level where they move less, their edges counted.
    fn see(
        &self,
        inside: &Inside<'_>,
        room: Room,
        case: &Case<'_>,
        tile: [u64; 2],
        (least, best): (&mut u64, &mut Option<Cut>),
    ) {
        let Some(cut) = self.grown(case, room, tile) else { return };
        let [x, y, z] = case.axes;
        for order in [[x, y, z], [y, x, z]] {
            let cut = Cut { order, ..cut };
            if let Some(bytes) = self.exact(inside, cut, room).filter(|bytes| bytes < least) {
                (*least, *best) = (bytes, Some(cut));
            }
        }
    }

    /// Bytes beyond which a tiling is of no interest, before its edges are counted.
    fn tolerant(&self, least: u64) -> u64 {
        if self.every { least.saturating_add(least / 8) } else { least }
    }

    /// Bytes of a level by walking its edges.
    fn exact(&self, inside: &Inside<'_>, cut: Cut, room: Room) -> Option<u64> {
        let Extents { m, n, k } = self.product.extents;
        let extents = Extents { m: m.checked_mul(self.product.repeats)?, n, k };
        let run = Cut { tile: self.product.extents, order: [Axis::N, Axis::K, Axis::M] };
        let cuts = || [&run].into_iter().chain(&inside.outside).chain([&cut]);
        let ElementSizes { a, b, partial, .. } = *self.sizes;
        let a = moved(extents, cuts(), [Axis::M, Axis::K, Axis::N])?.checked_mul(a)?;
        let b = moved(extents, cuts(), [Axis::K, Axis::N, Axis::M])?.checked_mul(b)?;
        let c = moved(extents, cuts(), [Axis::M, Axis::N, Axis::K])?.checked_mul(partial.checked_mul(2)?)?;
        a.checked_add(b)?.checked_add(c)?.checked_mul(room.times)
    }

    /// The longest free extent beside these tiles, balanced; `None` where nothing fits.
    pub(super) fn free(&self, case: &Case<'_>, room: Room, tx: u64, ty: u64) -> Option<u64> {
        let left = case.room.checked_sub(case.s.checked_mul(tx)?.checked_mul(ty)?)?;
        let each = case.u.checked_mul(tx)?.checked_add(case.v.checked_mul(ty)?)?;
        let most = left.checked_div(each)?.min(case.z.extent);
        // With one pass along the free axis, another operand would be stationary, and this one take room twice.
        let most = if room.double_buffered { most.min(case.z.extent.in_parts_of(2)) } else { most };
        (most > 0).then(|| balanced(case.z.extent, most))
    }

    /// What the levels inside move at least, without rounding.
    pub(super) fn below(&self, inside: &Inside<'_>, rooms: &[Room]) -> f32 {
        rooms.iter().fold(0.0, |sum, &room| {
            let least = if self.fits_whole(inside, room) {
                to_f32(self.unchanged(inside, room))
            } else {
                self.relaxed(inside, room).into_iter().fold(f32::INFINITY, |least, case| least.min(case.0))
            };
            sum + least
        })
    }

    /// Tiles for a level and those inside it.
    #[inline(never)]
    pub(super) fn outer(
        &self,
        inside: &Inside<'_>,
        (room, inner): (Room, &[Room]),
        seed: Option<Cut>,
        best: &mut Best<'_>,
    ) {
        if self.every {
            // A good tiling first: it rules out most others.
            Search { every: false, ..*self }.outer(inside, (room, inner), seed, best);
            return self.all(inside, room, inner, best);
        }
        let Some((&next, rest)) = inner.split_last() else { return };
        let rest = self.below(inside, rest);
        let pair = |operands, unit| Pair::new(self, inside, [room, next], operands, unit);
        // Bytes, the free extent for them, bytes at least with it, and what makes the pair.
        let mut pairs: heapless::Vec<(f32, f32, f32, [Operand; 2], Extents), 24> = heapless::Vec::new();
        let mut push = |stays, unit, least: u64| {
            for outside in OPERANDS {
                let pair = pair([outside, stays], unit);
                if pair.case.z.extent > 1
                    && (pair.least() + rest) * MARGIN < to_f32(least)
                    && let Some((bytes, free)) = pair.best()
                {
                    let least = pair.least_at(&pair.at(free)) + rest;
                    pairs.push((bytes + rest, free, least, [outside, stays], unit)).ok();
                }
            }
        };
        for stays in OPERANDS {
            // The tiles that the next level would have alone, so that one stays where it is.
            let case = self.case(inside, stays, room, 1);
            let [x, y, _] = case.axes;
            for &unit in &self.alone(inside, next, stays) {
                if let Some(tz) = self.free(&case, room, unit.along(x), unit.along(y)) {
                    self.consider(inside, &case, [unit.along(x), unit.along(y), tz], (room, inner), best);
                }
                push(stays, unit, best.least);
            }
        }
        if let Some(Cut { tile, order: [.., z] }) = seed {
            push(left_by(z), tile, best.least);
        }
        sort(&mut pairs, |pair| pair.0);
        for near in [true, false] {
            for &(_, free, least, operands, unit) in &pairs {
                if least >= self.worth(best.least, (room, inner)) {
                    continue;
                }
                let pair = pair(operands, unit);
                if near {
                    self.snapped(inside, &pair, free, (room, inner), best);
                    self.rounded(inside, &pair, free, (room, inner), best);
                } else if best.list.is_none() {
                    self.around(inside, &pair, (free, rest), (room, inner), best);
                }
            }
        }
    }

    /// Bytes below which it is worth looking on, of a level and these inside it: a share below the least so far. Passes along k
    /// count every write of C as one of partial sums; the last one is of results.
    pub(super) fn worth(&self, least: u64, (room, inner): (Room, &[Room])) -> f32 {
        let ElementSizes { partial, c, .. } = *self.sizes;
        let each = to_f32(self.weights.k) * (1.0 - to_f32(c) / (2.0 * to_f32(partial)));
        let credit = each * inner.iter().fold(to_f32(room.times), |sum, room| sum + to_f32(room.times));
        credit + (to_f32(least) - credit) / SLACK
    }

    /// Every tile of a level.
    fn all(&self, inside: &Inside<'_>, room: Room, inner: &[Room], best: &mut Best<'_>) {
        for stationary in OPERANDS {
            let free = self.case(inside, stationary, room, 1).z.extent;
            for tz in 1..free {
                let case = self.case(inside, stationary, room, tz);
                for tx in 1..=case.x.extent {
                    for ty in 1..=case.rows(tx).min(case.y.extent) {
                        self.consider(inside, &case, [tx, ty, tz], (room, inner), best);
                    }
                }
            }
        }
    }

    /// Keeps these tiles and what is best inside them where they move less.
    #[inline(never)]
    pub(super) fn consider(
        &self,
        inside: &Inside<'_>,
        case: &Case<'_>,
        tile: [u64; 3],
        (room, inner): (Room, &[Room]),
        best: &mut Best<'_>,
    ) {
        let [x, y, z] = case.axes;
        let cut = Cut::of(case.axes, tile);
        if best.list.is_some() {
            return self.note(inside, cut, (room, inner), best);
        }
        if self.every {
            self.under(inside, &cut, (room, inner), best);
            self.under(inside, &Cut { order: [y, x, z], ..cut }, (room, inner), best);
            return;
        }
        if !self.under(inside, &cut, (room, inner), best) {
            return;
        }
        // Tiles that hold whole tiles of the level inside leave fewer edges.
        let Some(next) = best.cuts.iter().rev().nth(1).map(|next| next.tile) else { return };
        let [tx, ty, tz] = tile;
        let snapped = |axis: Axis, extent: u64| {
            let inner = next.along(axis).max(1);
            extent.in_parts_of(inner).saturating_mul(inner).min(inside.along(axis).extent)
        };
        let (sx, sy, sz) = (snapped(x, tx), snapped(y, ty), snapped(z, tz));
        for other in [[sx, sy, sz], [sx, ty, tz], [tx, sy, tz], [tx, ty, sz]] {
            let [_, _, free] = other;
            let cut = Cut::of(case.axes, other);
            let fits = footprint(cut.tile, self.sizes, left_by(z), room.double_buffered)
                .is_some_and(|bytes| bytes <= room.capacity);
            if other != tile && fits && (free < case.z.extent || free == tz) {
                self.under(inside, &cut, (room, inner), best);
            }
        }
    }

    /// Keeps this cut and what is best inside it where they move less.
    #[inline(never)]
    pub(super) fn under(
        &self,
        inside: &Inside<'_>,
        cut: &Cut,
        (room, inner): (Room, &[Room]),
        best: &mut Best<'_>,
    ) -> bool {
        let mut classes = [Classes::new(), Classes::new(), Classes::new()];
        let Some(within) = inside.cut(cut, &mut classes) else { return false };
        let bytes = self.unchanged(&within, room);
        // The innermost level sees for itself.
        let below = if inner.len() > 1 { self.below(&within, inner) } else { 0.0 };
        if (to_f32(bytes) + below) * MARGIN >= to_f32(self.tolerant(best.least)) {
            return false;
        }
        let Some((last, cuts)) = best.cuts.split_last_mut() else { return false };
        let Some(found) = self.levels(&within, inner, best.least.saturating_sub(bytes), cuts) else { return false };
        *last = *cut;
        (best.least, best.found) = (found.saturating_add(bytes), true);
        true
    }
}

/// Sorts by a number, lowest first; of equal ones the order stays.
pub(super) fn sort<T>(items: &mut [T], by: impl Fn(&T) -> f32) {
    for sorted in 1..items.len() {
        let Some((next, before)) = items.get_mut(..=sorted).and_then(<[_]>::split_last_mut) else { return };
        // What is larger moves up by one place, the last first.
        let mut place = next;
        for item in before.iter_mut().rev() {
            if by(item).total_cmp(&by(place)).is_le() {
                break;
            }
            core::mem::swap(item, place);
            place = item;
        }
    }
}

/// The shortest tile that needs no more passes than this one.
pub(super) fn balanced(extent: u64, tile: u64) -> u64 {
    extent.in_parts_of(extent.in_parts_of(tile.max(1)).max(1))
}
