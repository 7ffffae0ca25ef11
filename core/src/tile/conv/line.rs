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
    /// Number of tiles.
    pub(super) count: u64,
    /// Input positions that all of them move.
    pub(super) moved: u64,
}

/// An axis of positions.
pub(super) struct Line<'a> {
    cut: &'a Cut,
    axis: &'a Axis,
    /// One tile of all there is.
    pub(super) whole: Size,
    /// Input positions that a window adds to those before it, and what the first has beyond that.
    step: u64,
    halo: u64,
    /// What a tile is made of: the tile of the level inside, 1 where there is none; and how many there are.
    unit: u64,
    units: u64,
    /// The smallest tile.
    least: u64,
    /// Half of the axis, and what it holds: windows at both ends reach into the padding.
    half: [u64; 2],
    /// Whether several windows may lie in the padding, so that sizes are counted one by one.
    clipped: bool,
    /// Whether tiles that cut unevenly are tried too: where either matters, of few windows.
    pub(super) uneven: bool,
    /// The first sizes that are tried.
    listed: heapless::Vec<Size, LISTED>,
}

/// Depth, height and width of a nest.
pub(super) fn lines<'a>(problem: &'a Problem, whole: &'a State) -> [Line<'a>; 3] {
    let ([a0, a1, a2], [c0, c1, c2], [h0, h1, h2]) = (&problem.axes, &whole.axes, whole.held);
    [Line::new(c0, a0, h0, problem.small), Line::new(c1, a1, h1, problem.small), Line::new(c2, a2, h2, problem.small)]
}

impl<'a> Line<'a> {
    fn new(cut: &'a Cut, axis: &'a Axis, held: u64, small: bool) -> Self {
        let extent = axis.output;
        let after = axis.end(axis.output.saturating_sub(1)).saturating_sub(axis.border());
        let clipped = extent > 1 && axis.padding.max(after) > axis.stride;
        let mut line = Self {
            cut,
            axis,
            whole: Size { tile: extent, held, count: 1, moved: held },
            step: axis.stride.min(axis.reach),
            halo: axis.reach.saturating_sub(axis.stride),
            unit: 1,
            units: extent,
            least: 1,
            half: [extent, held],
            clipped,
            uneven: clipped && extent <= if small { UNEVEN } else { UNEVEN >> 1 },
            listed: heapless::Vec::new(),
        };
        line.made_of(1);
        line
    }

    /// Takes tiles of whole units.
    pub(super) fn made_of(&mut self, unit: u64) {
        let extent = self.whole.tile;
        self.unit = unit.max(1);
        self.units = extent.in_parts_of(self.unit);
        self.least = if unit > 1 { unit } else { Cut::least(self.axis) }.min(extent);
        let half = self.unit.saturating_mul(self.units.in_parts_of(2)).max(self.least).min(extent);
        self.half = [half, self.cut.held(self.axis, half, self.whole.held)];
        self.listed.clear();
    }

    /// The smallest tile of whole units that cuts into as many tiles as the longest one up to this does.
    fn even(&self, fit: u64) -> u64 {
        let fit = fit.checked_div(self.unit).unwrap_or(0);
        self.unit.saturating_mul(balanced(self.units, fit)).min(self.whole.tile)
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
        let whole = next.saturating_sub(next.checked_rem(self.unit).unwrap_or(0));
        if self.uneven { whole } else { self.even(next) }.max(self.least)
    }

    /// Input positions that all tiles move: the first of these and, for each tile, the second. None where it is not as simple.
    pub(super) fn linear(&self) -> Option<[u64; 2]> {
        let once = self.whole.moved.checked_sub(self.whole.count.saturating_mul(self.halo))?;
        (!self.clipped).then_some([once, self.halo])
    }

    /// A size.
    pub(super) fn size(&self, tile: u64) -> Size {
        let count = self.whole.tile.in_parts_of(tile);
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
        Some(self.size(self.even(fit).max(self.least)))
    }

    /// Half of the axis.
    pub(super) fn halved(&self) -> Size {
        let [half, _] = self.half;
        self.size(half)
    }

    /// The smallest size.
    pub(super) fn smallest(&self) -> Size {
        self.size(self.least)
    }
}
