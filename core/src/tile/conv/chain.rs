//! Levels from the innermost outwards: each made of whole tiles of the one inside it.

use super::line::Line;
use super::search::{Goal, Unit, even, search};
use super::{Candidate, Problem, Sizes, Stays, footprint};
use crate::nest::Operand;
use crate::tile::{Buffer, MAX_LEVELS};
use crate::units::Parts as _;

/// Tiles of some levels, from the innermost on.
pub(super) struct Chain {
    pub(super) levels: heapless::Vec<Candidate, MAX_LEVELS>,
    /// Bytes that they move together.
    pub(super) bytes: u64,
}

impl Unit {
    /// Of the innermost level.
    const ONE: Self =
        Self { tile: Sizes { group: 1, batch: 1, c_out: 1, c_in: 1, axes: [1; 3] }, more: [0; 3], steps: None };
}

/// The best tiles that are found, where the innermost level keeps an operand if one is given; none where none move less than a limit.
pub(super) fn chain(
    problem: &Problem,
    lines: &mut [Line<'_>; 3],
    buffers: &[Buffer],
    only: Option<Operand>,
    limit: u64,
) -> Option<Chain> {
    let mut chain = Chain { levels: heapless::Vec::new(), bytes: 0 };
    let mut unit = Unit::ONE;
    // Bytes of the last level alone, and how many levels have its tile.
    let (mut alone, mut times) = (u64::MAX, 0_u64);
    for (buffer, left) in buffers.iter().zip((0..buffers.len()).rev()) {
        lines.iter_mut().zip(unit.tile.axes).for_each(|(line, unit)| line.made_of(unit));
        let inside = chain.levels.last().copied();
        // One tile of this level: it leaves the levels inside as they are.
        let [more_p, more_co, more_ci] = unit.more;
        let more = more_p.saturating_add(more_co).saturating_add(more_ci);
        let rest = problem.once.saturating_mul(u64::try_from(left).unwrap_or(u64::MAX));
        let most = limit.saturating_sub(chain.bytes).saturating_sub(rest).saturating_add(more);
        let only = if inside.is_none() { only } else { None };
        let goal = Goal { only, unit: &unit, limit: alone.saturating_add(more).min(most) };
        let found = search(problem, lines, buffer, &goal);
        let candidate = if let Some(found) = found {
            let tile = &found.tile;
            let [n_p, n_co, n_ci] = problem.tiles(tile);
            let moved = [(more_p, n_p), (more_co, n_co), (more_ci, n_ci)];
            alone = moved.into_iter().fold(found.cost, |cost, (more, n)| cost.saturating_sub(more.saturating_mul(n)));
            chain.bytes = chain.bytes.saturating_add(found.cost.saturating_sub(more));
            times = 1;
            found
        } else {
            // The tile of the level inside does for both.
            let inside = inside?;
            chain.bytes = chain.bytes.saturating_add(alone);
            times = times.saturating_add(1);
            inside
        };
        if chain.bytes.saturating_add(rest) >= limit {
            return None;
        }
        let more = match candidate.stays {
            Stays::One(Operand::A) => {
                let moved = lines.iter().zip(candidate.tile.axes).map(|(line, tile)| line.size(tile).moved);
                [0, moved.fold(problem.a_unit, u64::saturating_mul), 0]
            }
            Stays::One(Operand::B) => [problem.b, 0, 0],
            Stays::One(Operand::C) => [0, 0, problem.c_again],
            Stays::All | Stays::Nothing => [0; 3],
        };
        let steps = match candidate.stays {
            Stays::One(operand) => Some(operand).filter(|_| buffer.double_buffered || times > 1 && unit.steps.is_some()),
            Stays::All | Stays::Nothing => None,
        };
        unit = Unit { tile: candidate.tile, more: more.map(|bytes| bytes.saturating_mul(times)), steps };
        chain.levels.push(candidate).ok()?;
    }
    Some(chain)
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
            let unit = level.checked_sub(1).and_then(|inside| self.levels.get(inside)).map_or(Unit::ONE.tile, |unit| unit.tile);
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
