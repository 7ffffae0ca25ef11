//! What channels of a tile leave to its positions, and what moves at least with them.

use super::Search;
use crate::nest::Operand;
use crate::tile::conv::Stays;
use crate::tile::conv::line::Line;
use crate::tile::cut::Cut;

/// What the channels of a tile leave to its positions.
pub(super) struct Terms {
    pub(super) stationary: Operand,
    pub(super) co: u64,
    pub(super) ci: u64,
    /// Bytes for each input and output position of a tile, and the room for them.
    pub(super) ka: u64,
    pub(super) kc: u64,
    pub(super) room: u64,
    /// Bytes for each input position moved, each tile of positions, each more than a level inside wants, and beside them.
    pub(super) ca: u64,
    pub(super) cb: u64,
    pub(super) more: u64,
    pub(super) fixed: u64,
    /// What moves if positions are not cut, but for `cb` of each tile outside.
    pub(super) uncut: u64,
}

impl Search<'_, '_> {
    /// What moves at least, with tiles of any size.
    pub(super) fn floor(&self, terms: &Terms) -> u64 {
        let [positions, ..] = self.outer;
        self.bytes(terms, self.moved, positions).saturating_add(terms.fixed.min(terms.uncut))
    }

    /// What moves of so many input positions in so many tiles.
    pub(super) fn bytes(&self, terms: &Terms, moved: u64, count: u64) -> u64 {
        let bytes = terms.ca.saturating_mul(moved).saturating_add(terms.cb.saturating_mul(count));
        self.goal.wants.iter().fold(bytes, |bytes, want| {
            let [most, ..] = want.counts;
            bytes.saturating_add(terms.more.saturating_mul(count.saturating_sub(most)))
        })
    }

    /// The terms of these channels.
    pub(super) fn terms(&self, stationary: Operand, co: u64, ci: u64) -> Terms {
        let (problem, state) = (self.problem, self.state);
        let [n_p, n_co_outer, n_ci_outer] = self.outer;
        let [t_a, t_b, t_c] = state.traffic;
        let count =
            |cut: &Cut, tile: u64, extent: u64, outer: u64| if tile < extent { cut.count_at(tile) } else { outer };
        let n_co = count(&state.c_out, co, state.tile.c_out, n_co_outer);
        let n_ci = count(&state.c_in, ci, state.tile.c_in, n_ci_outer);
        let (co_cut, ci_cut, groups) = (co < state.tile.c_out, ci < state.tile.c_in, state.tile.group > 1);
        let (a, b, c) = (problem.a_unit, problem.b, |n: u64| problem.c_bytes(n));
        let [x, y, z] = Stays::One(stationary).times(self.double);
        let weights = y.saturating_mul(self.beta).saturating_mul(co).saturating_mul(ci);
        // The innermost loop of an operand that is cut says which loops around it bring its tiles again.
        let (mut ca, cb, mut fixed, mut uncut) = match stationary {
            Operand::C => {
                let fixed = c(n_ci_outer);
                (a.saturating_mul(n_co), b, fixed, if co_cut || groups { fixed } else { t_c })
            }
            Operand::A => (a.saturating_mul(n_co_outer), b, c(n_ci), c(n_ci)),
            Operand::B => {
                let weights = if co_cut || ci_cut || groups { b.saturating_mul(n_p) } else { t_b };
                (a.saturating_mul(n_co), 0, weights.saturating_add(c(n_ci)), u64::MAX)
            }
        };
        if stationary == Operand::A && !ci_cut && !groups {
            uncut = uncut.saturating_add(t_a).saturating_sub(ca.saturating_mul(self.moved));
        }
        let mut more = 0_u64;
        for want in self.goal.wants.iter() {
            let [_, most_co, most_ci] = want.counts;
            ca = ca.saturating_add(a.saturating_mul(n_co.saturating_sub(most_co)));
            let spilled = problem.c_again.saturating_mul(n_ci.saturating_sub(most_ci));
            (fixed, uncut) = (fixed.saturating_add(spilled), uncut.saturating_add(spilled));
            more = b;
        }
        Terms {
            stationary,
            co,
            ci,
            ka: x.saturating_mul(problem.sizes.a).saturating_mul(ci),
            kc: z.saturating_mul(problem.sizes.partial).saturating_mul(co),
            room: self.room.saturating_sub(weights),
            ca,
            cb,
            more,
            fixed,
            uncut,
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
