//! What the levels outside leave to a level: the tiles of each axis, and how often each operand passes.

use super::gemm::left_by;
use super::reuse::{Along, Axis, Classes, Cut, Extents};
use crate::nest::Operand;

/// What the levels outside leave to a level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'c> {
    pub(super) m: Along<'c>,
    pub(super) n: Along<'c>,
    pub(super) k: Along<'c>,
    pub(super) stationary: Operand,
    /// The last cut, where there is one.
    pub(super) outside: Option<Cut>,
}

impl<'c> Inside<'c> {
    pub(super) fn along(&self, axis: Axis) -> &Along<'c> {
        match axis {
            Axis::M => &self.m,
            Axis::N => &self.n,
            Axis::K => &self.k,
        }
    }

    pub(super) fn extents(&self) -> Extents {
        Extents { m: self.m.extent, n: self.n.extent, k: self.k.extent }
    }

    /// One tile of all there is.
    pub(super) fn whole(&self) -> Cut {
        Cut { tile: self.extents(), order: [Axis::M, Axis::N, Axis::K] }
    }

    /// What a level with these tiles leaves, its free axis innermost; `classes` is where the tiles of the axes are kept.
    pub(super) fn cut<'d>(&self, cut: &Cut, classes: &'d mut [Classes; 3]) -> Option<Inside<'d>>
    where
        'c: 'd,
    {
        let [_, _, z] = cut.order;
        let whole = |axis: Axis| cut.tile.along(axis) >= self.along(axis).extent;
        if [Axis::M, Axis::N, Axis::K].into_iter().all(whole) {
            return Some(*self);
        }
        // How often the operand passes that does not depend on an axis: with each tile along it, or as for the level outside.
        let moved = |axis: Axis| {
            let outside = self.along(axis);
            if axis != z {
                None
            } else if cut.order.into_iter().all(|other| other == z || whole(other)) {
                Some(outside.moved)
            } else {
                Some(outside.count)
            }
        };
        let [m, n, k] = classes;
        Some(Inside {
            m: self.m.cut(cut.tile.m, moved(Axis::M), m)?,
            n: self.n.cut(cut.tile.n, moved(Axis::N), n)?,
            k: self.k.cut(cut.tile.k, moved(Axis::K), k)?,
            stationary: left_by(z),
            outside: Some(*cut),
        })
    }
}
