//! Descent through the levels, from the outermost inwards: what each is searched for, and the best of all levels together.

use super::line::Line;
use super::search::{Goal, search};
use super::{Candidate, Choice, Order, Problem, Sizes, State, Stays, Want, footprint};
use crate::nest::Operand;
use crate::tile::{Buffer, MAX_LEVELS};

/// How many times larger a level may be than the next one inwards for both to be given the same tile.
const ALIKE: u64 = 8;

/// Share, as a shift, by which a level may move more alone with another operand that stays than the best one.
const SLACK: u32 = 1;

/// Steps of a tile up to which all tiles inside it are tried.
const FEW: u64 = 96;

/// Steps of a nest up to which all tiles of the outer of two levels are tried too.
const TINY: u64 = 32;

/// The levels chosen so far, from the outermost on, and the best of all levels.
pub(super) struct Descent<'a> {
    pub(super) problem: &'a Problem,
    /// What each level would do alone with A, B or C kept, from the innermost on; the least first.
    pub(super) alone: heapless::Vec<[Option<Want>; 3], MAX_LEVELS>,
    pub(super) path: heapless::Vec<Choice, MAX_LEVELS>,
    pub(super) best: heapless::Vec<Choice, MAX_LEVELS>,
    /// Bytes that the best one moves.
    pub(super) least: u64,
    /// Whether each level is given a tile that fits those inside too.
    pub(super) tight: bool,
    /// The level that held no tile.
    pub(super) failed: usize,
}

impl<'a> Descent<'a> {
    /// What a level would do if there were no level outside: the best, and what moves little more with another operand that stays.
    pub(super) fn alone<'b>(
        &self,
        whole: &'b State,
        lines: &mut Option<[Line<'b>; 3]>,
        buffer: &Buffer,
    ) -> [Option<Want>; 3]
    where
        'a: 'b,
    {
        let want = |candidate: &Candidate| {
            let [_, positions, c_out, c_in] = whole.numbers(&candidate.tile);
            let counts = match candidate.stays {
                Stays::One(Operand::A) => [positions, 1, c_in],
                Stays::One(Operand::B) => [1, c_out, c_in],
                Stays::One(Operand::C) => [positions, c_out, 1],
                Stays::All | Stays::Nothing => [1; 3],
            };
            Want { counts, cost: candidate.cost }
        };
        let mut found: [Option<Candidate>; 3] = [None; 3];
        let mut least = u64::MAX;
        // C first, as where several move the same.
        let [of_a, of_b, of_c] = &mut found;
        for (operand, place) in [(Operand::C, of_c), (Operand::A, of_a), (Operand::B, of_b)] {
            let limit = least.saturating_add(least >> SLACK);
            let goal = Goal { only: Some(operand), wants: &[], limit };
            let Some(candidate) = search(self.problem, whole, lines, buffer, &goal) else { continue };
            if matches!(candidate.stays, Stays::All | Stays::Nothing) {
                return [Some(want(&candidate)), None, None];
            }
            least = least.min(candidate.cost);
            *place = Some(candidate);
        }
        let [of_a, of_b, of_c] = &found;
        let best = |candidate: &&Candidate| candidate.cost == least;
        let Some(best) = [of_c, of_a, of_b].into_iter().flatten().find(best) else { return [None; 3] };
        let limit = least.saturating_add(least >> SLACK);
        let mut others = found
            .iter()
            .filter(|found| found.is_none_or(|other| other.order.stationary != best.order.stationary))
            .map(|found| found.as_ref().filter(|other| other.cost < limit).map(want));
        [Some(want(best)), others.next().flatten(), others.next().flatten()]
    }

    /// Tiles the levels inside a state, of which those outside move so many bytes.
    pub(super) fn inwards<'b>(
        &mut self,
        state: &'b State,
        lines: &mut Option<[Line<'b>; 3]>,
        buffers: &[Buffer],
        outside: u64,
    ) where
        'a: 'b,
    {
        let Some((buffer, inner)) = buffers.split_last() else { return };
        let level = inner.len();
        let Some((next, further)) = inner.split_last() else {
            let goal = Goal { only: None, wants: &[], limit: self.least.saturating_sub(outside) };
            if self.alone_least(level) < goal.limit {
                match search(self.problem, state, lines, buffer, &goal) {
                    Some(candidate) => self.take(state, &candidate, (buffer, inner), outside),
                    None => self.failed = self.failed.min(level),
                }
            }
            if !self.path.is_empty() && state.tile.steps() <= FEW {
                self.walk(state, (buffer, inner), outside);
            }
            return;
        };
        if self.tight {
            let buffer = inner.iter().fold(*buffer, |all, inner| all.both(*inner));
            let goal = Goal { only: None, wants: &[], limit: u64::MAX };
            match search(self.problem, state, lines, &buffer, &goal) {
                Some(candidate) => self.take(state, &candidate, (&buffer, inner), outside),
                None => self.failed = level,
            }
            return;
        }
        // The levels further in are taken to keep what suits them best alone; the last place is that of the next one.
        let mut wants = heapless::Vec::<Want, MAX_LEVELS>::new();
        for want in self.alone.iter().take(further.len()).filter_map(|alone| alone.first().copied().flatten()) {
            wants.push(want).ok();
        }
        let rest = wants.iter().fold(0_u64, |sum, want| sum.saturating_add(want.cost));
        let mut tried: [Option<Candidate>; 4] = [None; 4];
        for index in 0..4 {
            let want = self.alone.get(further.len()).and_then(|wants| wants.get(index)).copied().flatten();
            let limit = self.least.saturating_sub(outside).saturating_sub(rest);
            let found = match (index, want) {
                _ if self.alone_least(level) >= limit => None,
                (3, _) if next.capacity.0.saturating_mul(ALIKE) >= buffer.capacity.0 => {
                    // Both levels may have the same tile.
                    let goal = Goal { only: None, wants: &wants, limit: limit >> 1 };
                    search(self.problem, state, lines, &buffer.both(*next), &goal)
                }
                (_, Some(want)) => {
                    let limit = limit.saturating_sub(want.cost);
                    if self.alone_least(level) >= limit {
                        continue;
                    }
                    wants.push(want).ok();
                    let goal = Goal { only: None, wants: &wants, limit };
                    let found = search(self.problem, state, lines, buffer, &goal);
                    wants.pop();
                    found
                }
                _ => None,
            };
            let Some(candidate) = found else { continue };
            let same = |other: &Candidate| other.tile == candidate.tile && other.order == candidate.order;
            if !tried.iter().flatten().any(same) {
                self.take(state, &candidate, (buffer, inner), outside);
            }
            if let Some(place) = tried.get_mut(index) {
                *place = Some(candidate);
            }
            if matches!(candidate.stays, Stays::All | Stays::Nothing) {
                break;
            }
        }
        if self.path.is_empty() && further.is_empty() && state.tile.steps() <= TINY {
            self.walk(state, (buffer, inner), outside);
        }
        if tried.iter().flatten().next().is_none() && self.best.is_empty() {
            self.failed = level;
        }
    }

    /// Bytes that a level moves at the least alone, and inside others no less; 0 for the outermost.
    fn alone_least(&self, level: usize) -> u64 {
        self.alone.get(level).and_then(|[want, ..]| want.as_ref()).map_or(0, |want| want.cost)
    }

    /// Takes what is best of all tiles of a level: in a few steps tiles outside of two sizes matter most.
    fn walk(&mut self, state: &State, (buffer, inner): (&Buffer, &[Buffer]), outside: u64) {
        let whole = state.tile;
        let mut tile = Sizes { group: 1, batch: 1, c_out: 1, c_in: 1, axes: [1; 3] };
        loop {
            let held = state.held_by(self.problem, &tile);
            for (stationary, swapped) in [Operand::A, Operand::B, Operand::C]
                .into_iter()
                .zip([false; 3])
                .chain([Operand::A, Operand::B, Operand::C].into_iter().zip([true; 3]))
            {
                let order = Order { stationary, swapped };
                let stays = order.stays(&tile, &whole).unwrap_or(state.stays);
                if footprint(self.problem, &tile, held, stays.times(buffer.double_buffered)) <= buffer.capacity.0 {
                    self.take(state, &Candidate { tile, order, stays, held, cost: 0 }, (buffer, inner), outside);
                }
            }
            // The next sizes, as a number counts on.
            if !tile.step(&whole) {
                return;
            }
        }
    }

    /// Takes a tiling of a level, and tiles those inside it.
    fn take(&mut self, state: &State, candidate: &Candidate, (buffer, inner): (&Buffer, &[Buffer]), outside: u64) {
        let &Candidate { tile, order, stays, held, .. } = candidate;
        let traffic = state.traffic_of(self.problem, &self.path, candidate);
        let footprint = footprint(self.problem, &tile, held, stays.times(buffer.double_buffered));
        let total = traffic.iter().fold(outside, |sum, &bytes| sum.saturating_add(bytes));
        // What the levels inside move at least.
        let rest = (0..inner.len()).fold(total, |sum, level| sum.saturating_add(self.alone_least(level)));
        if rest >= self.least {
            return;
        }
        if self.path.push(Choice { tile, order, stays, footprint, traffic }).is_err() {
            return;
        }
        if !inner.is_empty() {
            self.inwards(&state.cut(self.problem, candidate, traffic), &mut None, inner, total);
        } else if total < self.least {
            self.least = total;
            self.best.clone_from(&self.path);
        }
        self.path.pop();
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
