//! Cuts: one loop cut into tiles level by level, and how often and how far that cuts its operands.
//!
//! A tile that a level leaves whole stays where it is while loops inside it run. So each tile is known by its *depth*: the
//! innermost level that cut it from its neighbours, 0 where none did. Sums over tiles are exact: of every depth there are few sizes.

use super::MAX_LEVELS;
use super::visits::ByDepth;
use crate::nest::Axis;
use crate::units::Parts as _;

/// Number of tiles of an axis up to which each is looked at for what it holds; of more, one is taken to lie within the input.
const FEW: u64 = 6;

/// Equal tiles.
#[derive(Clone, Copy, Debug)]
struct Kind {
    size: u64,
    count: u64,
    depth: usize,
}

/// A loop cut by some levels, from the outermost on: level 1 is the first.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    extent: u64,
    tiles: heapless::Vec<u64, MAX_LEVELS>,
    // A level adds at most one kind: the rest of a tile that it cuts takes that tile's place.
    kinds: heapless::Vec<Kind, { MAX_LEVELS + 1 }>,
}

impl Cut {
    /// A loop that nothing cuts.
    pub(super) fn whole(extent: u64) -> Self {
        let mut kinds = heapless::Vec::new();
        kinds.push(Kind { size: extent, count: 1, depth: 0 }).ok();
        Self { extent, tiles: heapless::Vec::new(), kinds }
    }

    /// Cuts every tile into tiles of this size, the last of each smaller.
    pub(super) fn push(&mut self, tile: u64) {
        let tile = tile.max(1);
        self.tiles.push(tile).ok();
        let depth = self.tiles.len();
        let mut full = 0_u64;
        for kind in &mut self.kinds {
            if kind.size > tile {
                let (trips, rest) =
                    (kind.size.checked_div(tile).unwrap_or(0), kind.size.checked_rem(tile).unwrap_or(0));
                full = full.saturating_add(kind.count.saturating_mul(trips));
                *kind = Kind { size: rest, count: if rest == 0 { 0 } else { kind.count }, depth };
            }
        }
        if full > 0 {
            let mut kept = heapless::Vec::new();
            for kind in self.kinds.iter().filter(|kind| kind.count > 0) {
                kept.push(*kind).ok();
            }
            self.kinds = kept;
            self.kinds.push(Kind { size: tile, count: full, depth }).ok();
        }
    }

    /// Number of tiles.
    pub(super) fn count(&self) -> u64 {
        self.kinds.iter().fold(0, |sum, kind| sum.saturating_add(kind.count))
    }

    /// Number of tiles if they were cut once more.
    pub(super) fn count_at(&self, tile: u64) -> u64 {
        let tiles = |kind: &Kind| kind.count.saturating_mul(kind.size.in_parts_of(tile.max(1)));
        self.kinds.iter().fold(0, |sum, kind| sum.saturating_add(tiles(kind)))
    }

    /// The size of the smallest tile: smaller ones cut them all.
    pub(super) fn smallest(&self) -> u64 {
        self.kinds.iter().fold(self.extent, |least, kind| least.min(kind.size))
    }

    /// Whether any level cuts it.
    pub(super) fn is_cut(&self) -> bool {
        self.kinds.iter().any(|kind| kind.depth > 0)
    }

    /// Number of levels that cut it, or could have.
    pub(super) fn levels(&self) -> usize {
        self.tiles.len()
    }

    /// Sums of the sizes of tiles of at most each depth.
    pub(super) fn sums(&self) -> ByDepth {
        self.sums_at(u64::MAX)
    }

    /// The same if they were cut once more.
    pub(super) fn sums_at(&self, tile: u64) -> ByDepth {
        self.by_depth(tile, |size| size)
    }

    /// Sums of input positions that tiles of at most each depth move, each its own, if they were cut once more.
    pub(super) fn moved(&self, axis: &Axis, tile: u64) -> ByDepth {
        let mut by = self.by_depth(tile, |size| axis.span(size));
        self.clipped(axis, Some(tile), |depth, positions| {
            for entry in by.iter_mut().skip(depth) {
                *entry = entry.saturating_sub(positions);
            }
        });
        by
    }

    fn by_depth(&self, tile: u64, of: impl Fn(u64) -> u64) -> ByDepth {
        if let [Kind { size, count, depth: 0 }] = *self.kinds.as_slice()
            && size <= tile
        {
            return [count.saturating_mul(of(size)); MAX_LEVELS + 1];
        }
        let mut by = [0_u64; MAX_LEVELS + 1];
        let mut add = |depth: usize, sum: u64| {
            for entry in by.iter_mut().skip(depth) {
                *entry = entry.saturating_add(sum);
            }
        };
        for kind in &self.kinds {
            let mut depth = kind.depth;
            let mut sum = of(kind.size);
            if kind.size > tile {
                let (trips, rest) =
                    (kind.size.checked_div(tile).unwrap_or(0), kind.size.checked_rem(tile).unwrap_or(0));
                depth = self.tiles.len().saturating_add(1);
                sum = trips.saturating_mul(of(tile)).saturating_add(if rest > 0 { of(rest) } else { 0 });
            }
            add(depth, kind.count.saturating_mul(sum));
        }
        by
    }

    /// Sum of input positions that all tiles move if they are cut once more, into so many.
    pub(super) fn moved_at(&self, axis: &Axis, tile: u64, count: u64) -> u64 {
        // Σ (t − 1) · stride + reach over tiles that make up the axis.
        let mut moved = if axis.stride > axis.reach {
            self.extent.saturating_mul(axis.reach)
        } else {
            let halo = axis.reach.saturating_sub(axis.stride);
            self.extent.saturating_mul(axis.stride).saturating_add(count.saturating_mul(halo))
        };
        self.clipped(axis, Some(tile), |_, positions| moved = moved.saturating_sub(positions));
        moved
    }

    /// The tile around an index: its start, its end and its depth.
    fn at(&self, index: u64, further: Option<u64>) -> (u64, u64, usize) {
        let (mut from, mut to, mut depth) = (0_u64, self.extent, 0);
        for (level, tile) in (1..=MAX_LEVELS).zip(self.tiles.iter().copied().chain(further)) {
            if to.saturating_sub(from) > tile {
                let steps = index.saturating_sub(from).checked_div(tile).unwrap_or(0);
                from = from.saturating_add(steps.saturating_mul(tile));
                to = to.min(from.saturating_add(tile));
                depth = level;
            }
        }
        (from, to, depth)
    }

    /// Calls with depth and positions in the padding for each tile that reaches into it: the first few and the last few.
    fn clipped(&self, axis: &Axis, further: Option<u64>, mut each: impl FnMut(usize, u64)) {
        let mut call = |(from, to, depth): (u64, u64, usize)| {
            each(depth, axis.span(to.saturating_sub(from)).saturating_sub(axis.moved(from, to)));
        };
        let mut low = 0_u64;
        while low < self.extent && low.saturating_mul(axis.stride) < axis.padding {
            let tile = self.at(low, further);
            call(tile);
            low = tile.1;
        }
        let mut high = self.extent;
        while let Some(last) = high.checked_sub(1).filter(|&last| last >= low && axis.end(last) > axis.border()) {
            let tile = self.at(last, further);
            call(tile);
            high = tile.0;
        }
    }

    /// Most input positions that one tile moves if tiles are cut once more; `outer` is that of the tiles as they are.
    pub(super) fn held(&self, axis: &Axis, tile: u64, outer: u64) -> u64 {
        if tile >= self.smallest() && !self.is_cut() {
            return outer;
        }
        if self.is_cut() {
            let most = outer.min(axis.span(tile));
            if axis.padding == 0 && axis.end(axis.output.saturating_sub(1)) <= axis.border()
                || self.count_at(tile) > FEW
            {
                return most;
            }
            // Of few tiles each may reach into the padding.
            let (mut held, mut from) = (0, 0_u64);
            while from < self.extent && held < most {
                let (start, end, _) = self.at(from, Some(tile));
                (held, from) = (held.max(axis.moved(start, end)), end);
            }
            return held;
        }
        // The first tile that starts within the input moves more than any after it; of those before it the last moves most.
        let step = tile.saturating_mul(axis.stride);
        let last = self.extent.saturating_sub(1).checked_div(tile).unwrap_or(0);
        let within = axis.padding.in_parts_of(step.max(1)).min(last);
        let moved = |index: u64| {
            let from = index.saturating_mul(tile);
            axis.moved(from, from.saturating_add(tile).min(self.extent))
        };
        moved(within).max(within.checked_sub(1).map_or(0, moved))
    }

    /// The smallest tile for which the number of tiles that reach into the padding is bounded, by 4,096 at each end.
    ///
    /// Above 1 only where thousands of windows overlap.
    pub(super) fn least(axis: &Axis) -> u64 {
        axis.reach.max(axis.padding).in_parts_of(axis.stride.saturating_mul(4096).max(1)).max(1).min(axis.output.max(1))
    }
}

/// The smallest tile that cuts an extent into as many tiles as this one does.
pub(super) fn balanced(extent: u64, tile: u64) -> u64 {
    extent.in_parts_of(extent.in_parts_of(tile.max(1)).max(1))
}
