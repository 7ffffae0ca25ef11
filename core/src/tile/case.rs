//! One stationary operand at one level: the numbers of tiles along its two axes that move least.
//!
//! ```text
//! cost(p, q) = α · p + β · q        tx = ⌈x/p⌉, ty ≤ (S − u · tx) / (s · tx + v), q = y/ty
//! ```
//! Without rounding the cost is convex in `p`: the search starts where it is least and walks outward on both sides, until the
//! cost without rounding is already above the best one with it. So the optimum is exact.

use super::bound;
use super::reuse::{Along, Axis};
use crate::units::Parts as _;
use crate::units::to_f32;

/// Share by which a cost without rounding is lowered, so that the errors of `f32` never hide a better tiling: 2^-16.
pub(super) const MARGIN: f32 = 1.0 - 1.0 / 65536.0;

/// One stationary operand: `x` and `y` are its axes, the third, `z`, is free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'i> {
    /// The axes `x`, `y`, `z`.
    pub(super) axes: [Axis; 3],
    pub(super) x: &'i Along<'i>,
    pub(super) y: &'i Along<'i>,
    pub(super) z: &'i Along<'i>,
    /// Bytes of an element of the stationary operand.
    pub(super) s: u64,
    /// Bytes that the operand along `x` and `z` takes for each element of `x`.
    pub(super) u: u64,
    /// Bytes that the operand along `y` and `z` takes for each element of `y`.
    pub(super) v: u64,
    /// Bytes of the buffer.
    pub(super) room: u64,
    /// Bytes that a pass along `x`, `y` and `z` moves.
    pub(super) weights: [u64; 3],
}

impl Case<'_> {
    /// The same with those tiles along `x` of which there are fewer near the best ones, and the number of tiles along it.
    pub(super) fn shorter(self, relaxed: &Relaxed, p: f32) -> (Self, Relaxed, f32) {
        let q = relaxed.along_y(p);
        if q.min(relaxed.y / q) >= p.min(relaxed.x / p) {
            return (self, *relaxed, p);
        }
        let ([x, y, z], [alpha, beta, stays]) = (self.axes, self.weights);
        let (axes, weights) = ([y, x, z], [beta, alpha, stays]);
        let case = Self { axes, x: self.y, y: self.x, u: self.v, v: self.u, weights, ..self };
        let Relaxed { x, y, u, v, alpha, beta, .. } = *relaxed;
        (case, Relaxed { x: y, y: x, u: v, v: u, alpha: beta, beta: alpha, ..*relaxed }, q)
    }

    /// Most elements along `y` beside so many along `x`; 0 where nothing fits.
    pub(super) fn rows(&self, tx: u64) -> u64 {
        let left = self.room.saturating_sub(self.u.saturating_mul(tx));
        left.checked_div(self.s.saturating_mul(tx).saturating_add(self.v)).unwrap_or(0)
    }

    /// Whether the stationary operand fits whole, so that it moves as often as in the level outside.
    pub(super) fn stays_whole(&self) -> bool {
        let (x, y) = (self.x.extent, self.y.extent);
        let bytes = self.s.saturating_mul(x).saturating_mul(y).saturating_add(self.u.saturating_mul(x));
        bytes.saturating_add(self.v.saturating_mul(y)) <= self.room
    }

    /// Bytes that these tiles move, over the whole nest; the tile of the stationary operand leaves with that of the level
    /// outside where it is the same, else once for each of its passes along `z`.
    pub(super) fn cost(&self, tx: u64, ty: u64) -> u64 {
        let [x, y, z] = self.weights;
        let whole = tx >= self.x.extent && ty >= self.y.extent;
        let stays = z.saturating_mul(if whole { self.z.moved } else { self.z.count });
        let moves = x.saturating_mul(self.x.tiles(tx)).saturating_add(y.saturating_mul(self.y.tiles(ty)));
        moves.saturating_add(stays)
    }

    /// The problem without rounding.
    pub(super) fn relaxed(&self) -> Relaxed {
        let [x, y] = [self.x, self.y].map(|along| along.mean());
        let [s, u, v, room] = [self.s, self.u, self.v, self.room].map(to_f32);
        let [alpha, beta, gamma] = self.weights.map(to_f32);
        let [alpha, beta] = [alpha * to_f32(self.x.count), beta * to_f32(self.y.count)];
        let stays = gamma * to_f32(if self.stays_whole() { self.z.moved } else { self.z.count });
        Relaxed { x, y, s, u, v, room, alpha, beta, stays }
    }

    /// Walks over tile extents along `x`, outward from a number of tiles; `see` takes tile extents and gives the least cost
    /// known, beyond which nothing is of interest. `rest` is what every candidate costs beside this.
    pub(super) fn walk(
        &self,
        relaxed: &Relaxed,
        centre: f32,
        every: bool,
        rest: f32,
        mut see: impl FnMut(u64, u64) -> u64,
    ) {
        // The longest tile along x beside one row.
        let most = self.room.saturating_sub(self.v).checked_div(self.s.saturating_add(self.u)).unwrap_or(0);
        let most = most.min(self.x.extent);
        if most == 0 {
            return;
        }
        let mut limit = f32::INFINITY;
        // Whether to go on beyond a tile extent.
        let mut visit = |tx: u64| {
            if (relaxed.cost(relaxed.x / to_f32(tx)) + rest) * MARGIN >= limit {
                return false;
            }
            let ty = self.rows(tx).min(self.y.extent);
            if ty > 0 {
                limit = to_f32(see(tx, ty));
            }
            true
        };
        let tile_of = |tiles: u64| self.x.extent.in_parts_of(tiles.max(1));
        let start = tile_of(tile_of(bound::floor(relaxed.x / centre))).max(1).min(most);
        let passes = tile_of(start);
        let (mut tx, mut tiles) = (start, passes);
        while visit(tx) && tx > 1 {
            // The longest tile that needs more passes; where passes are few, one more of them.
            let shorter = tile_of(tiles.saturating_add(1));
            if every || shorter >= tx {
                tx = tx.saturating_sub(1);
                tiles = tile_of(tx);
            } else {
                (tx, tiles) = (shorter, tiles.saturating_add(1));
            }
        }
        (tx, tiles) = (start, passes);
        while tx < most {
            // Of the tiles that need fewer passes the shortest.
            tiles = tiles.saturating_sub(1);
            let longer = tile_of(tiles);
            if every || longer <= tx {
                tx = tx.saturating_add(1);
                tiles = tile_of(tx);
            } else {
                tx = longer.min(most);
            }
            if !visit(tx) {
                break;
            }
        }
    }
}

/// A case without rounding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relaxed {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) s: f32,
    pub(super) u: f32,
    pub(super) v: f32,
    pub(super) room: f32,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    /// Bytes that the stationary operand moves.
    pub(super) stays: f32,
}

impl Relaxed {
    /// Bytes for `p` tiles along `x`.
    ///
    /// ```text
    /// ty = (S − u · x/p) / (s · x/p + v) = (S · p − u · x) / (s · x + v · p)
    /// cost(p) = α · max(1, p) + β · max(1, y/ty) + stays
    /// ```
    pub(super) fn cost(&self, p: f32) -> f32 {
        self.alpha * if p > 1.0 { p } else { 1.0 } + self.beta * self.along_y(p) + self.stays
    }

    /// Number of tiles along `y` for `p` along `x`, 1 at least; infinite where nothing fits.
    fn along_y(&self, p: f32) -> f32 {
        let left = self.room * p - self.u * self.x;
        if left <= 0.0 {
            return f32::INFINITY;
        }
        let q = self.y * (self.s * self.x + self.v * p) / left;
        if q > 1.0 { q } else { 1.0 }
    }

    /// Number of tiles along `x` for which the cost is least; infinite or no number where nothing fits.
    ///
    /// ```text
    /// d cost/dp = α − β · y · (s · x · S + v · u · x) / (S · p − u · x)² = 0
    /// ```
    /// or where `q` reaches 1 before that, and within the tiles that fit.
    pub(super) fn centre(&self) -> f32 {
        let Self { x, y, s, u, v, room, alpha, beta, .. } = *self;
        // α and β have the product of all extents in common: their quotient stays far from the ends of the range.
        let root = libm::sqrtf(beta / alpha * y) * libm::sqrtf(x * (s * room + v * u));
        let free = (u * x + root) / room;
        let left = room - v * y;
        let whole = if left > 0.0 { x * (s * y + u) / left } else { f32::INFINITY };
        let p = if free < whole { free } else { whole };
        let least = x * (s + u) / (room - v);
        let p = if p > least { p } else { least };
        if p > 1.0 { p } else { 1.0 }
    }
}
