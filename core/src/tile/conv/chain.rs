//! Levels from the innermost outwards: each made of whole tiles of the one inside it.
//!
//! No tile of the level inside is then cut by an edge of this one, so that of its bytes only those of its stationary operand depend on
//! this level: they come again with each tile along the loop that the operand does not depend on.
//!
//! ```text
//! bytes of two levels = own(inner, one tile outside) + own(outer) + bytes of the inner stationary operand · (n_outer − 1)
//! n_outer             = tiles of the outer level: positions for B, output channels for A, input channels for C
//! ```
//! Weights that are the same ones in both levels, and stationary in both, stay in both: they come as often as in the outer level. So do
//! all operands where both have the same tile.

use super::line::Line;
use super::search::{Goal, Unit, even, search};
use super::{Candidate, Problem, Sizes, Stays, footprint};
use crate::nest::Operand;
use crate::tile::{Buffer, MAX_LEVELS};
use crate::units::Parts as _;

/// Ratio of capacities up to which a level is tried with less than all of its room: of close levels, a tile that is the best of one may
/// leave the next one outside without use for its room.
const CLOSE: u64 = 16;

/// Significant bits of the capacities that are tried.
const BITS: u32 = 5;

/// Least share, as a shift, of the room that is tried.
const SHARE: u32 = 2;

/// Tiles of some levels, from the innermost on.
pub(super) struct Chain {
    pub(super) levels: heapless::Vec<Candidate, MAX_LEVELS>,
    /// Bytes that they move together.
    pub(super) bytes: u64,
}

/// The search for tiles of all levels.
pub(super) struct Chains<'a, 'b> {
    problem: &'a Problem,
    lines: &'a mut [Line<'b>; 3],
    path: heapless::Vec<Candidate, MAX_LEVELS>,
    /// Bytes that each level moves at least.
    bounds: &'a [u64],
    /// The best so far.
    best: Option<Chain>,
}

/// The levels so far, from the innermost on.
#[derive(Clone, Copy)]
struct Inside {
    unit: Unit,
    /// Bytes that the last one moves if there is one tile of it outside, and how many levels have its tile.
    alone: u64,
    times: u64,
    /// Bytes of them all if there is one tile of the last one.
    bytes: u64,
}

impl Unit {
    /// Of the innermost level.
    const ONE: Self =
        Self { tile: Sizes { group: 1, batch: 1, c_out: 1, c_in: 1, axes: [1; 3] }, more: [0; 3], steps: None };

    /// Whether a tile has the same weights.
    fn weights(&self, tile: &Sizes) -> bool {
        [tile.c_out, tile.c_in] == [self.tile.c_out, self.tile.c_in]
    }
}

/// The best tiles that are found; none where nothing fits.
pub(super) fn chain(problem: &Problem, lines: &mut [Line<'_>; 3], buffers: &[Buffer], bounds: &[u64]) -> Option<Chain> {
    let mut chains = Chains { problem, lines, path: heapless::Vec::new(), bounds, best: None };
    chains.outwards(buffers, &Inside { unit: Unit::ONE, alone: u64::MAX, times: 0, bytes: 0 });
    chains.best
}

impl Chains<'_, '_> {
    /// Tiles the levels outside these.
    fn outwards(&mut self, buffers: &[Buffer], inside: &Inside) {
        let Some((buffer, outer)) = buffers.split_first() else {
            self.best = Some(Chain { levels: self.path.clone(), bytes: inside.bytes });
            return;
        };
        // What levels outside move at least.
        let rest = self.bounds.iter().rev().take(outer.len()).fold(0_u64, |sum, &bound| sum.saturating_add(bound));
        let close = outer
            .first()
            .is_some_and(|next| self.problem.few || next.capacity.0 < buffer.capacity.0.saturating_mul(CLOSE));
        // What moves least first, then with the other operands kept.
        let (mut first, mut joined) = (None, false);
        for turn in [None, Some(Operand::C), Some(Operand::A), Some(Operand::B)] {
            if turn.is_some() && (outer.is_empty() || turn == first) {
                continue;
            }
            let (mut only, mut room) = (turn, *buffer);
            while room.capacity.0 >= buffer.capacity.0 >> SHARE {
                let least = self.best.as_ref().map_or(u64::MAX, |best| best.bytes);
                let found = self.next(inside, &room, only, least.saturating_sub(rest));
                let (candidate, next) = match (found, self.path.last().copied()) {
                    (Some(found), _) => found,
                    // The tile of the level inside does for both.
                    (None, Some(candidate)) if !joined => (candidate, inside.joined()),
                    _ => break,
                };
                joined |= found.is_none();
                if let Stays::One(operand) = candidate.stays {
                    only = Some(operand);
                    first = first.or(only);
                }
                if next.bytes.saturating_add(rest) >= least {
                    break;
                }
                let (next, held) = self.outside(&candidate, next, buffer);
                if self.path.push(Candidate { cost: next.alone, ..candidate }).is_err() {
                    return;
                }
                self.outwards(outer, &next);
                self.path.pop();
                if !close || found.is_none() {
                    break;
                }
                // The same with less room, from where on the tile is another.
                let taken = footprint(self.problem, &candidate.tile, held, candidate.stays.times(room.double_buffered));
                room.capacity.0 = rounded(taken.min(room.capacity.0).saturating_sub(1));
            }
        }
    }

    /// A level outside these that moves less than their last one would in its place, and less than so many bytes with all of them.
    fn next(
        &mut self,
        inside: &Inside,
        room: &Buffer,
        only: Option<Operand>,
        least: u64,
    ) -> Option<(Candidate, Inside)> {
        let Inside { unit, alone, times, bytes } = *inside;
        let [more_p, more_co, more_ci] = unit.more;
        // What the levels inside move beside what they move alone, if there is one tile of this one.
        let more = more_p.saturating_add(more_co).saturating_add(more_ci);
        let limit = alone.min(least.saturating_sub(bytes)).saturating_add(more);
        self.lines.iter_mut().zip(unit.tile.axes).for_each(|(line, unit)| line.made_of(unit));
        let found = search(self.problem, self.lines, room, &Goal { only, unit: &unit, limit })?;
        let [n_p, n_co, n_ci] = self.problem.tiles(&found.tile);
        let same = found.stays == Stays::One(Operand::B) && more_p > 0 && unit.weights(&found.tile);
        let moved = [(more_p, if same { 1 } else { n_p }), (more_co, n_co), (more_ci, n_ci)];
        let alone = moved.into_iter().fold(found.cost, |cost, (more, n)| cost.saturating_sub(more.saturating_mul(n)));
        let bytes = bytes.saturating_add(found.cost.saturating_sub(more));
        Some((found, Inside { unit, alone, times: if same { times.saturating_add(1) } else { 1 }, bytes }))
    }

    /// What a level leaves to those outside it, and the input positions that it holds.
    fn outside(&self, candidate: &Candidate, next: Inside, buffer: &Buffer) -> (Inside, [u64; 3]) {
        let mut held = [1; 3];
        let mut moved = self.problem.a_unit;
        for ((held, line), tile) in held.iter_mut().zip(&*self.lines).zip(candidate.tile.axes) {
            let size = line.size(tile);
            (*held, moved) = (size.held, moved.saturating_mul(size.moved));
        }
        let (more, stays) = match candidate.stays {
            Stays::One(Operand::A) => ([0, moved, 0], Some(Operand::A)),
            Stays::One(Operand::B) => ([self.problem.b, 0, 0], Some(Operand::B)),
            Stays::One(Operand::C) => ([0, 0, self.problem.c_again], Some(Operand::C)),
            Stays::All | Stays::Nothing => ([0; 3], None),
        };
        let doubled = buffer.double_buffered || next.times > 1 && next.unit.steps.is_some();
        let more = more.map(|bytes| bytes.saturating_mul(next.times));
        let unit = Unit { tile: candidate.tile, more, steps: stays.filter(|_| doubled) };
        (Inside { unit, ..next }, held)
    }
}

impl Inside {
    /// The same with one more level that has the tile of the last one.
    const fn joined(&self) -> Self {
        Self { times: self.times.saturating_add(1), bytes: self.bytes.saturating_add(self.alone), ..*self }
    }
}

/// A number of few significant bits, rounded down.
fn rounded(number: u64) -> u64 {
    let low = u64::BITS.saturating_sub(number.leading_zeros()).saturating_sub(BITS);
    number.checked_shr(low).and_then(|high| high.checked_shl(low)).unwrap_or(0)
}

/// Room for what each level holds, so that every level outside holds it too.
pub(super) fn nested(buffers: &[Buffer]) -> heapless::Vec<Buffer, MAX_LEVELS> {
    let mut all = heapless::Vec::new();
    for (level, buffer) in (0..MAX_LEVELS).zip(buffers) {
        let mut buffer = *buffer;
        for outside in buffers.iter().skip(level).skip(1) {
            // Twice all that is there is room for it where what does not stay takes room twice.
            let twice = outside.double_buffered && !buffer.double_buffered;
            if !twice || outside.capacity.0 < buffer.capacity.0.saturating_mul(2) {
                buffer = buffer.both(*outside);
            }
        }
        all.push(buffer).ok();
    }
    all
}

impl Chain {
    /// Makes the channels that pass as many as fit, in whole tiles of the level inside: as much moves in fewer steps.
    pub(super) fn grow(&mut self, problem: &Problem, held: impl Fn(&Sizes) -> [u64; 3], buffers: &[Buffer]) {
        let mut outer = problem.whole;
        for (level, buffer) in (0..MAX_LEVELS).zip(buffers).rev() {
            let unit = level
                .checked_sub(1)
                .and_then(|inside| self.levels.get(inside))
                .map_or(Unit::ONE.tile, |unit| unit.tile);
            let Some(candidate) = self.levels.get_mut(level) else { continue };
            let tile = &mut candidate.tile;
            let twice = u64::from(buffer.double_buffered).saturating_add(1);
            let [x, p] = held(tile)
                .into_iter()
                .zip(tile.axes)
                .fold([tile.batch; 2], |[x, p], (held, tile)| [x.saturating_mul(held), p.saturating_mul(tile)]);
            let (x, p) = (x.saturating_mul(problem.sizes.a), p.saturating_mul(problem.sizes.partial));
            let weights = problem.sizes.b.saturating_mul(problem.taps);
            let most = |kept: u64, passing: u64, others: u64, extent: u64, tile: u64, unit: u64| {
                let each = weights.saturating_mul(others).saturating_add(passing).saturating_mul(twice);
                let fit = buffer.capacity.0.saturating_sub(kept.saturating_mul(others)).checked_div(each).unwrap_or(0);
                even(extent, unit, fit.min(extent.saturating_sub(1))).max(tile)
            };
            match candidate.stays {
                Stays::One(Operand::C) => tile.c_in = most(p, x, tile.c_out, outer.c_in, tile.c_in, unit.c_in),
                Stays::One(Operand::A) => tile.c_out = most(x, p, tile.c_in, outer.c_out, tile.c_out, unit.c_out),
                Stays::One(Operand::B) | Stays::All | Stays::Nothing => {}
            }
            outer = *tile;
        }
    }
}

impl Problem {
    /// Numbers of tiles of positions, output and input channels.
    fn tiles(&self, tile: &Sizes) -> [u64; 3] {
        let whole = &self.whole;
        let axes = whole.axes.iter().zip(tile.axes).map(|(extent, tile)| extent.in_parts_of(tile));
        [
            axes.fold(whole.batch.in_parts_of(tile.batch), u64::saturating_mul),
            whole.c_out.in_parts_of(tile.c_out),
            whole.c_in.in_parts_of(tile.c_in),
        ]
    }
}

impl Buffer {
    /// What fits this, fits both.
    fn both(self, other: Self) -> Self {
        Self {
            capacity: self.capacity.min(other.capacity),
            double_buffered: self.double_buffered || other.double_buffered,
        }
    }
}
