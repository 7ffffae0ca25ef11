//! What the levels outside leave to a level: the tiles of each axis, and how often each operand passes.

use super::gemm::left_by;
use super::reuse::{Along, Axis, Cut, Extents};
use super::search::Cuts;
use crate::nest::Operand;

/// What the levels outside leave to a level.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub(super) m: Along,
    pub(super) n: Along,
    pub(super) k: Along,
    pub(super) stationary: Operand,
    /// Cuts of the levels outside, from the outermost on.
    pub(super) outside: Cuts,
}

impl Inside {
    pub(super) fn new(extents: Extents, runs: u64, stationary: Operand) -> Self {
        let Extents { m, n, k } = extents;
        let (m, n, k) = (Along::new(m, runs), Along::new(n, 1), Along::new(k, 1));
        Self { m, n, k, stationary, outside: Cuts::new() }
    }

    pub(super) fn along(&self, axis: Axis) -> &Along {
        match axis {
            Axis::M => &self.m,
            Axis::N => &self.n,
            Axis::K => &self.k,
        }
    }

    pub(super) fn extents(&self) -> Extents {
        Extents { m: self.m.extent, n: self.n.extent, k: self.k.extent }
    }

    /// What a level with these tiles leaves, its free axis innermost.
    pub(super) fn cut(&self, cut: &Cut) -> Option<Self> {
        let [_, _, z] = cut.order;
        let whole = |axis: Axis| cut.tile.along(axis) >= self.along(axis).extent;
        if [Axis::M, Axis::N, Axis::K].into_iter().all(whole) {
            return Some(self.clone());
        }
        let along = |axis: Axis| {
            let (outside, tile) = (self.along(axis), cut.tile.along(axis));
            let moved = if axis != z {
                outside.tiles(tile)
            } else if cut.order.into_iter().all(|other| other == z || whole(other)) {
                outside.moved
            } else {
                outside.count
            };
            outside.cut(tile, moved)
        };
        let (m, n, k) = (along(Axis::M)?, along(Axis::N)?, along(Axis::K)?);
        let mut outside = self.outside.clone();
        outside.push(*cut).ok()?;
        Some(Self { m, n, k, stationary: left_by(z), outside })
    }
}
