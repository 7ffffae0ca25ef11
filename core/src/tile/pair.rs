//! Two levels next to each other, without rounding: which free extent of the outer one is best for both.

use super::case::{Case, Relaxed};
use super::inside::Inside;
use super::reuse::{Axis, Extents};
use super::search::{Room, Search};
use crate::nest::Operand;
use crate::units::to_f32;

/// The stationary operands of two levels.
///
/// ```text
/// bytes(tz) = min over p of outer(p, tz)                 each weight once for this level, and once more along the axis that the
///           + w_z · z/tz where the axis is free in both    inner level leaves to the loops outside it
///           + min over p of inner(p) within tx, ty, tz
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'i> {
    /// The operand that is stationary in the outer level.
    pub(super) stationary: Operand,
    /// The outer level, its free extent 1.
    pub(super) case: Case<'i>,
    /// The tile of the inner level if it were alone.
    pub(super) unit: Extents,
    outer: Relaxed,
    inner: Relaxed,
    inner_axes: [Axis; 3],
    extent: f32,
    /// Bytes that a pass along the free axis moves.
    free: f32,
}

/// Two levels with a free extent of the outer one.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// Bytes of the outer one, and of the axis that is free in both.
    moved: f32,
    /// Extents of a tile of the outer level.
    tile: [f32; 3],
    /// Tiles along x of the outer level.
    pub(super) p: f32,
    /// Tiles along y of the outer level.
    pub(super) q: f32,
    /// The outer level.
    pub(super) outer: Relaxed,
}

impl<'i> Pair<'i> {
    pub(super) fn new(
        search: &Search<'_>,
        inside: &'i Inside<'_>,
        [room, next]: [Room; 2],
        [stationary, stays]: [Operand; 2],
        unit: Extents,
    ) -> Self {
        let case = search.case(inside, stationary, room, 1);
        let within = search.case(inside, stays, next, 1);
        let [_, _, common] = within.axes;
        let [x, y, z] = case.axes.map(|axis| axis == common);
        let [_, _, weight] = within.weights.map(to_f32);
        let both = (to_f32(room.times) + to_f32(next.times)) / to_f32(room.times);
        let (mut outer, mut inner) = (case.relaxed(), within.relaxed());
        outer.alpha = if x { outer.alpha * both } else { outer.alpha };
        outer.beta = if y { outer.beta * both } else { outer.beta };
        inner.stays = 0.0;
        let free = if z { weight * to_f32(case.z.count) } else { 0.0 };
        let extent = case.z.mean();
        Self { stationary, case, unit, outer, inner, inner_axes: within.axes, extent, free }
    }

    /// Bytes that both levels move at least.
    pub(super) fn least(&self) -> f32 {
        self.outer.cost(self.outer.centre()) + self.free + self.inner.cost(self.inner.centre())
    }

    /// Both levels with this free extent.
    pub(super) fn at(&self, tz: f32) -> At {
        let mut outer = self.outer;
        outer.u *= tz;
        outer.v *= tz;
        let p = outer.centre();
        let left = outer.room * p - outer.u * outer.x;
        let ty = if left > 0.0 { left / (outer.s * outer.x + outer.v * p) } else { 0.0 };
        let tx = outer.x / p;
        let passes = self.extent / tz;
        let moved = outer.cost(p) + self.free * if passes > 1.0 { passes } else { 1.0 };
        At { moved, tile: [tx, ty, tz], p, q: outer.y / ty, outer }
    }

    /// Bytes of both levels, each within what is best for the outer one.
    fn bytes(&self, tz: f32) -> f32 {
        let At { moved, tile, .. } = self.at(tz);
        moved + self.within(tile)
    }

    /// Bytes that both levels move at least with this free extent: the one inside is within that alone.
    pub(super) fn least_at(&self, at: &At) -> f32 {
        let [_, _, tz] = at.tile;
        at.moved + self.within([f32::INFINITY, f32::INFINITY, tz])
    }

    /// Bytes of the inner level within these extents along x, y and z of the outer one.
    fn within(&self, [tx, ty, tz]: [f32; 3]) -> f32 {
        let mut inner = self.inner;
        let [x, y, _] = self.case.axes;
        let tile = |axis: Axis, mean: f32| {
            let tile = if axis == x {
                tx
            } else if axis == y {
                ty
            } else {
                tz
            };
            if tile < mean { tile } else { mean }
        };
        let [inner_x, inner_y, _] = self.inner_axes;
        let (tile_x, tile_y) = (tile(inner_x, inner.x), tile(inner_y, inner.y));
        inner.alpha *= inner.x / tile_x;
        inner.beta *= inner.y / tile_y;
        (inner.x, inner.y) = (tile_x, tile_y);
        inner.cost(inner.centre())
    }

    /// The least bytes and the free extent that has them; `None` where nothing fits.
    pub(super) fn best(&self) -> Option<(f32, f32)> {
        let most = (self.outer.room - self.outer.s) / (self.outer.u + self.outer.v);
        let most = if most < self.extent { most } else { self.extent };
        if most.is_nan() || most < 1.0 {
            return None;
        }
        let [.., z] = self.case.axes;
        let [.., common] = self.inner_axes;
        // Beyond the tile of the inner level, room along its axes is of no use; along its free axis, a cube is a fair guess.
        let start = if z == common { self.outer.x / self.at(1.0).p * 0.5 } else { to_f32(self.unit.along(z)) };
        let start = if start < most { start } else { most };
        let start = if start > 1.0 { start } else { 1.0 };
        let mut best = (self.bytes(start), start);
        let mut try_out = |tz: f32| -> bool {
            if tz > most || tz < 1.0 {
                return false;
            }
            let bytes = self.bytes(tz);
            let better = bytes < best.0;
            if better {
                best = (bytes, tz);
            }
            better
        };
        let mut centre = start;
        let mut step = 2.0;
        for _ in 0..4 {
            let mut up = centre * step;
            let mut moved = false;
            while try_out(up) {
                centre = up;
                up *= step;
                moved = true;
            }
            let mut down = centre / step;
            while !moved && try_out(down) {
                centre = down;
                down /= step;
            }
            step = libm::sqrtf(step);
        }
        best.0.is_finite().then_some(best)
    }
}
