//! Sizes of tiles along one axis of positions: what each holds and moves, and which few are tried.

use super::{Problem, State};
use crate::nest::Axis;
use crate::tile::cut::{Cut, balanced};
use crate::units::Parts as _;

/// Most sizes of one axis that are listed.
pub(super) const LISTED: usize = 20;

/// Number of largest sizes that are all listed.
const DENSE: usize = 8;

/// Largest extent of which all sizes are tried where even ones may not be the best.
const UNEVEN: u64 = 16;

/// A size of tiles along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) tile: u64,
    /// Most input positions of a tile.
    pub(super) held: u64,
    /// Number of tiles of the whole nest.
    pub(super) count: u64,
    /// Input positions that all of them move.
    pub(super) moved: u64,
}

/// An axis of positions inside the tile of the level outside.
pub(super) struct Line<'a> {
    cut: &'a Cut,
    axis: &'a Axis,
    /// The tile of the level outside.
    pub(super) whole: Size,
    /// Input positions that a window adds to those before it, and what the first has beyond that.
    step: u64,
    halo: u64,
    /// The smallest tile.
    least: u64,
    /// Half of the tile outside, and what it holds: windows at both ends reach into the padding.
    half: [u64; 2],
    /// Whether several windows may lie in the padding, so that sizes are counted one by one.
    clipped: bool,
    /// Whether tiles outside are of more than one size.
    ragged: bool,
    /// Whether tiles that cut unevenly are tried too: where either matters, of few windows.
    pub(super) uneven: bool,
    /// The first sizes that are tried.
    listed: heapless::Vec<Size, LISTED>,
}

/// Depth, height and width of the tiles of a state.
pub(super) fn lines<'a>(problem: &'a Problem, state: &'a State) -> [Line<'a>; 3] {
    let ([a0, a1, a2], [c0, c1, c2]) = (&problem.axes, &state.axes);
    let ([e0, e1, e2], [h0, h1, h2], [m0, m1, m2]) = (state.tile.axes, state.held, state.moved);
    [
        Line::new(c0, a0, [e0, h0, m0], problem.small),
        Line::new(c1, a1, [e1, h1, m1], problem.small),
        Line::new(c2, a2, [e2, h2, m2], problem.small),
    ]
}

impl<'a> Line<'a> {
    fn new(cut: &'a Cut, axis: &'a Axis, [extent, held, moved]: [u64; 3], small: bool) -> Self {
        let mut line = Self {
            cut,
            axis,
            whole: Size { tile: extent, held, count: cut.count(), moved },
            step: axis.stride.min(axis.reach),
            halo: axis.reach.saturating_sub(axis.stride),
            least: Cut::least(axis).min(extent),
            half: [extent, held],
            clipped: false,
            ragged: false,
            uneven: false,
            listed: heapless::Vec::new(),
        };
        if extent > 1 {
            let after = axis.end(axis.output.saturating_sub(1)).saturating_sub(axis.border());
            line.clipped = axis.padding.max(after) > axis.stride;
            line.ragged = cut.smallest() < extent;
            let counted = line.clipped || small && line.ragged;
            line.uneven = counted && extent <= if small { UNEVEN } else { UNEVEN >> 1 };
            let half = extent.in_parts_of(2).max(line.least);
            line.half = [half, cut.held(axis, half, held)];
        }
        line
    }

    /// The sizes that are tried, by their place in a list from the largest on: the first few of all that cut evenly, then ever coarser.
    pub(super) fn listed(&mut self, place: usize) -> Option<Size> {
        while self.listed.len() <= place {
            let size = match self.listed.last() {
                None => self.whole,
                Some(last) if last.tile > self.least => self.size(self.after(last.tile)),
                Some(_) => return None,
            };
            self.listed.push(size).ok()?;
        }
        self.listed.get(place).copied()
    }

    /// The next smaller tile that is tried.
    fn after(&self, tile: u64) -> u64 {
        if self.listed.len().saturating_add(1) >= LISTED {
            return self.least;
        }
        let next = tile.saturating_sub(1);
        let coarse = self.listed.len() >= DENSE;
        let next = if coarse { next.min(tile.saturating_mul(3).checked_div(4).unwrap_or(0)) } else { next };
        if self.uneven { next } else { balanced(self.whole.tile, next) }.max(self.least)
    }

    /// Input positions that all tiles move: the first of these and, for each tile, the second. None where it is not as simple.
    pub(super) fn linear(&self) -> Option<[u64; 2]> {
        let once = self.whole.moved.checked_sub(self.whole.count.saturating_mul(self.halo))?;
        (!self.clipped).then_some([once, self.halo])
    }

    /// A size.
    fn size(&self, tile: u64) -> Size {
        let count = self.cut.count_at(tile);
        if self.clipped {
            let (held, moved) =
                (self.cut.held(self.axis, tile, self.whole.held), self.cut.moved_at(self.axis, tile, count));
            return Size { tile, held, count, moved };
        }
        // Each further tile moves its halo once more.
        let more = count.saturating_sub(self.whole.count).saturating_mul(self.halo);
        let [half, most] = self.half;
        let span = tile.saturating_mul(self.step).saturating_add(self.halo);
        let held = if tile == half { most } else { span.min(self.whole.held) };
        Size { tile, held, count, moved: self.whole.moved.saturating_add(more) }
    }

    /// The even tile as large as what fits, where each position held takes x bytes of the room and each window p.
    pub(super) fn largest(&self, room: u64, x: u64, p: u64) -> Option<Size> {
        let fits = |[tile, held]: [u64; 2]| x.saturating_mul(held).saturating_add(p.saturating_mul(tile)) <= room;
        if fits([self.whole.tile, self.whole.held]) {
            return Some(self.whole);
        }
        if fits(self.half) {
            return Some(self.halved());
        }
        let unit = x.saturating_mul(self.step).saturating_add(p);
        let fit = room.checked_sub(x.saturating_mul(self.halo))?.checked_div(unit)?.min(self.whole.tile);
        if fit < self.least || fit == 0 {
            return None;
        }
        let even = self.size(balanced(self.whole.tile, fit).max(self.least));
        // A larger one may leave smaller tiles outside whole.
        let large = Some(fit).filter(|&fit| self.ragged && fit > even.tile).map(|fit| self.size(fit));
        large.filter(|large| large.count < even.count).or(Some(even))
    }

    /// Half of the tile outside.
    pub(super) fn halved(&self) -> Size {
        let [half, _] = self.half;
        self.size(half)
    }

    /// The smallest size.
    pub(super) fn smallest(&self) -> Size {
        self.size(self.least)
    }
}
