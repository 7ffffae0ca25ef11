//! What channels of a tile leave to its positions, and what moves at least with them.

use super::Search;
use crate::nest::Operand;
use crate::tile::conv::Stays;
use crate::tile::conv::line::Line;

/// What the channels of a tile leave to its positions.
pub(super) struct Terms {
    pub(super) stationary: Operand,
    pub(super) co: u64,
    pub(super) ci: u64,
    /// Bytes for each input and output position of a tile, and the room for them.
    pub(super) ka: u64,
    pub(super) kc: u64,
    pub(super) room: u64,
    /// Bytes for each input position moved, each tile of positions, and beside them.
    pub(super) ca: u64,
    pub(super) cb: u64,
    pub(super) fixed: u64,
}

impl Terms {
    /// What moves of so many input positions in so many tiles.
    pub(super) fn bytes(&self, moved: u64, count: u64) -> u64 {
        self.ca.saturating_mul(moved).saturating_add(self.cb.saturating_mul(count)).saturating_add(self.fixed)
    }
}

impl Search<'_, '_> {
    /// What moves at least with so many tiles of channels, of any positions.
    pub(super) fn floor(&self, stationary: Operand, [n_co, n_ci]: [u64; 2]) -> u64 {
        let [more_p, more_co, more_ci] = self.unit.more;
        let (a, spills) = match stationary {
            Operand::A => (1, n_ci),
            Operand::B => (n_co, n_ci),
            Operand::C => (n_co, 1),
        };
        self.whole
            .saturating_mul(a)
            .saturating_add(self.problem.b)
            .saturating_add(self.problem.c_bytes(spills))
            .saturating_add(more_p)
            .saturating_add(more_co.saturating_mul(n_co))
            .saturating_add(more_ci.saturating_mul(n_ci))
    }

    /// The terms of these channels: what the level moves, and what those inside move for each of its tiles.
    pub(super) fn terms(&self, stationary: Operand, [co, ci]: [u64; 2], [n_co, n_ci]: [u64; 2]) -> Terms {
        let problem = self.problem;
        let (a, b, c) = (problem.a_unit, problem.b, |n: u64| problem.c_bytes(n));
        let [x, y, z] = Stays::One(stationary).times(self.double);
        let weights = y.saturating_mul(self.beta).saturating_mul(co).saturating_mul(ci);
        let (ca, cb, fixed) = match stationary {
            Operand::C => (a.saturating_mul(n_co), b, c(1)),
            Operand::A => (a, b, c(n_ci)),
            Operand::B => (a.saturating_mul(n_co), 0, b.saturating_add(c(n_ci))),
        };
        let [more_p, more_co, more_ci] = self.unit.more;
        let more = more_co.saturating_mul(n_co).saturating_add(more_ci.saturating_mul(n_ci));
        // Weights that are the same ones in the level inside stay there as well.
        let same = stationary == Operand::B && [co, ci] == [self.unit.tile.c_out, self.unit.tile.c_in];
        let (more_p, more) = if same { (0, more.saturating_add(more_p)) } else { (more_p, more) };
        Terms {
            stationary,
            co,
            ci,
            ka: x.saturating_mul(problem.sizes.a).saturating_mul(ci),
            kc: z.saturating_mul(problem.sizes.partial).saturating_mul(co),
            room: self.room.saturating_sub(weights),
            ca,
            cb: cb.saturating_add(more_p),
            fixed: fixed.saturating_add(more),
        }
    }

    /// Input positions that so many tiles of positions move at the least, images counted once.
    pub(super) fn moved_by(&self, tiles: u64) -> u64 {
        let (Some([once, halo]), [depth, ..]) = (self.halo, &*self.lines) else { return self.moved };
        // (a + g · s) · (b + h · t) with s · t = n is least where a · h · t = b · g · s.
        let tiles = tiles.checked_div(self.problem.images).unwrap_or(0);
        let both = halo.saturating_mul(tiles);
        let Some(square) = once.checked_mul(both) else { return self.moved };
        let moved = once.saturating_add(square.isqrt().saturating_mul(2)).saturating_add(both);
        moved.saturating_mul(depth.whole.moved).max(self.moved)
    }
}

/// What tiles of height and width move but for their halo, and the halo of both; none where depth is cut too.
pub(super) fn halo([depth, height, width]: &[Line<'_>; 3]) -> Option<[u64; 2]> {
    let ([a, g], [b, h]) = (height.linear()?, width.linear()?);
    let halo = g.saturating_mul(h);
    (depth.whole.tile == 1 && halo > 0).then_some([a.saturating_mul(b), halo])
}
