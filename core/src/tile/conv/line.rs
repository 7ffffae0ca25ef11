//! Sizes of tiles along one loop, of positions or channels: what each holds and moves, and which few are tried.

use super::Sizes;
use crate::nest::Axis;
use crate::tile::cut::{Cut, balanced};
use crate::units::Parts as _;

/// Most sizes of one loop that are listed.
pub(super) const LISTED: usize = 16;

/// Largest extent of which all sizes are tried where even ones may not be the best: where a window lies in the padding, or tiles outside
/// are of more than one size.
pub(super) const UNEVEN: u64 = 16;

/// A size of tiles along one loop of positions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) tile: u64,
    /// Most input positions of a tile.
    pub(super) held: u64,
    /// Number of tiles of the whole nest.
    pub(super) count: u64,
    /// Input positions that all of them move.
    pub(super) moved: u64,
    /// Whether it cuts the tile outside.
    pub(super) cut: bool,
    /// Whether it cuts even the smallest tile outside.
    pub(super) all: bool,
}

impl Size {
    /// Tiles of two loops: their sizes are numbers of positions.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self {
            tile: self.tile.saturating_mul(other.tile),
            held: self.held.saturating_mul(other.held),
            count: self.count.saturating_mul(other.count),
            moved: self.moved.saturating_mul(other.moved),
            cut: self.cut || other.cut,
            all: self.all || other.all,
        }
    }
}

/// A loop of positions: batch, or an axis.
pub(super) struct Line<'a> {
    cut: &'a Cut,
    /// Extent of the tile outside.
    pub(super) extent: u64,
    axis: Option<(&'a Axis, u64)>,
    pub(super) least: u64,
    /// Whether tiles that cut unevenly are tried too.
    pub(super) uneven: bool,
    pub(super) listed: heapless::Vec<Size, LISTED>,
    /// Size of the smallest tile outside, where that is looked at.
    smallest: u64,
    /// Whether sizes were left out.
    pub(super) thinned: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(cut: &'a Cut, extent: u64, axis: Option<(&'a Axis, u64)>, small: bool) -> Self {
        let least = axis.map_or(1, |(axis, _)| Cut::least(axis)).min(extent);
        let in_padding = axis.is_some_and(|(axis, _)| {
            let after = axis.end(axis.output.saturating_sub(1)).saturating_sub(axis.border());
            axis.padding.max(after) > axis.stride
        });
        let smallest = if small { cut.smallest() } else { extent };
        let uneven = extent <= UNEVEN && (in_padding || smallest < extent);
        Self { cut, extent, axis, least, uneven, smallest, listed: heapless::Vec::new(), thinned: false }
    }

    pub(super) fn size(&self, tile: u64) -> Size {
        let count = self.cut.count_at(tile);
        let (held, moved) = match self.axis {
            Some((axis, outer)) => (self.cut.held(axis, tile, outer), self.cut.moved_at(axis, tile, count)),
            None => (tile, 1),
        };
        Size { tile, held, count, moved, cut: tile < self.extent, all: tile < self.smallest }
    }

    /// The next smaller tile: of those that cut into so many, the smallest holds least and moves as much.
    pub(super) fn smaller(&self, tile: u64, by_one: bool) -> Option<u64> {
        let next = tile.checked_sub(1).filter(|&next| next >= self.least)?;
        Some(if by_one { next } else { balanced(self.extent, next).max(self.least) })
    }

    /// The next larger tile.
    pub(super) fn larger(&self, tile: u64) -> Option<u64> {
        if self.uneven {
            return tile.checked_add(1).filter(|&next| next <= self.extent);
        }
        let fewer = self.extent.in_parts_of(tile.max(1)).checked_sub(1).filter(|&trips| trips > 0)?;
        Some(self.extent.in_parts_of(fewer))
    }

    /// The even tile as large as what fits; `fits` is asked with a tile and what it holds.
    pub(super) fn largest(&self, fits: impl Fn(u64, u64) -> bool) -> Option<u64> {
        let held = |tile| self.axis.map_or(tile, |(axis, outer)| self.cut.held(axis, tile, outer));
        let asked = |tile: u64| fits(tile, held(tile));
        let (mut low, mut high) = (self.least.max(1), self.extent.max(1));
        if !asked(low) {
            return None;
        }
        while low < high {
            let middle = low.midpoint(high).saturating_add(1).min(high);
            if asked(middle) {
                low = middle;
            } else {
                high = middle.saturating_sub(1).max(low);
            }
        }
        Some(balanced(self.extent, low).max(self.least))
    }

    /// Lists up to so many sizes of at most `most`, from the largest on.
    pub(super) fn list(&mut self, limit: usize, most: u64) {
        let most = most.max(self.least.max(1)).min(self.extent.max(1));
        // All sizes only where there is room for all of them.
        let every = self.uneven && u64::try_from(limit.min(LISTED)).is_ok_and(|limit| most < limit);
        self.thinned = self.uneven && !every;
        let mut tile = if every { most } else { balanced(self.extent, most).max(self.least) };
        // Eighths that are left of a size by the next one: a range of sizes needs so few steps.
        let eighths = match tile.checked_ilog2().unwrap_or(0) {
            _ if tile.isqrt().saturating_mul(2) <= u64::try_from(limit).unwrap_or(0) => 8,
            0..=4 => 6,
            5..=6 => 5,
            7..=8 => 4,
            9..=12 => 3,
            _ => 2,
        };
        loop {
            let size = self.size(tile);
            if self.listed.len().saturating_add(1) >= limit.min(LISTED) && tile > self.least {
                self.thinned = true;
                tile = self.least;
                continue;
            }
            self.listed.push(size).ok();
            let Some(next) = self.smaller(tile, every) else { break };
            let wanted = tile.saturating_mul(eighths).checked_div(8).unwrap_or(1);
            if every || wanted >= next {
                tile = next;
            } else {
                self.thinned = true;
                tile = balanced(self.extent, wanted.max(self.least).max(1)).max(self.least);
            }
        }
    }
}

/// Sizes of tiles of channels of which so many fit: the even one; where tiles outside are of two sizes, also the largest, and the largest
/// that leaves the smaller ones whole.
pub(super) fn fitting(cut: &Cut, extent: u64, fit: u64, ragged: bool) -> [Option<u64>; 3] {
    let even = balanced(extent, fit);
    if !ragged {
        return [Some(even), None, None];
    }
    let smallest = cut.smallest();
    let ragged = smallest < extent;
    [
        Some(even),
        Some(fit).filter(|&fit| ragged && fit != even),
        Some(smallest).filter(|&smallest| ragged && smallest < fit && smallest != even),
    ]
}

/// Tiles of positions.
pub(super) struct Positions {
    pub(super) tile: Sizes,
    /// Bytes of A if each tile of positions comes once.
    pub(super) a: u64,
    /// Bytes of A of a tile for each input channel.
    pub(super) alpha: u64,
    /// Bytes of C of a tile for each output channel.
    pub(super) gamma: u64,
    /// Number of tiles of the whole nest.
    pub(super) count: u64,
    /// Whether they cut the tile outside.
    pub(super) cut: bool,
    /// Whether they cut every tile outside.
    pub(super) all: bool,
}

/// Most sizes that are listed of each loop, of so many loops of more than one step.
pub(super) fn most_listed(loops: usize, small: bool) -> usize {
    match (loops, small) {
        (0 | 1, _) => LISTED,
        (2, true) => 10,
        (2, false) => 7,
        (3, true) => 8,
        (3, false) => 5,
        _ => 4,
    }
}
