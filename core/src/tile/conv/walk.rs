//! Levels from the outermost inwards: what tiles that are given move, and all tiles there are, where they are few.

use super::{Candidate, Choice, Order, Problem, Sizes, State, footprint};
use crate::nest::Operand;
use crate::tile::{Buffer, MAX_LEVELS};

/// Steps of a tile up to which all tiles inside it are tried.
const FEW: u64 = 96;

/// Steps of a nest up to which all tiles of two levels are tried.
const TINY: u64 = 32;

/// The levels chosen so far, from the outermost on, and the best of all levels.
pub(super) struct Walk<'a> {
    pub(super) problem: &'a Problem,
    pub(super) path: heapless::Vec<Choice, MAX_LEVELS>,
    pub(super) best: heapless::Vec<Choice, MAX_LEVELS>,
    /// Bytes that the best one moves.
    pub(super) least: u64,
}

impl Walk<'_> {
    /// Takes these tiles, the last one that of the outermost level, and what is best of the innermost one where its tiles are few.
    pub(super) fn given(&mut self, mut state: State, candidates: &[Candidate], buffers: &[Buffer]) {
        let mut total = 0;
        for (level, (candidate, buffer)) in (0..MAX_LEVELS).zip(candidates.iter().zip(buffers)).rev() {
            let before = total;
            let Some((choice, held, moved)) = self.take(&state, candidate, buffer, total) else { break };
            total = moved;
            if level > 0 {
                state.cut(&choice, held);
                continue;
            }
            self.end(total);
            self.path.pop();
            if !self.path.is_empty() && self.problem.whole.steps() <= FEW {
                self.all(&state, buffers.get(..1).unwrap_or_default(), before);
            }
        }
        self.path.clear();
    }

    /// Takes the best of all tiles of two levels where they are few.
    pub(super) fn two(&mut self, whole: &State, buffers: &[Buffer]) {
        if buffers.len() == 2 && whole.tile.steps() <= TINY {
            self.all(whole, buffers, 0);
        }
    }

    /// Takes the best of all tiles of these levels.
    fn all(&mut self, state: &State, buffers: &[Buffer], outside: u64) {
        let Some((buffer, inner)) = buffers.split_last() else { return };
        let rest = if inner.is_empty() { 0 } else { self.problem.once };
        let whole = state.tile;
        let mut tile = Sizes { group: 1, batch: 1, c_out: 1, c_in: 1, axes: [1; 3] };
        loop {
            for (stationary, swapped) in [Operand::A, Operand::B, Operand::C]
                .into_iter()
                .zip([false; 3])
                .chain([Operand::A, Operand::B, Operand::C].into_iter().zip([true; 3]))
            {
                let order = Order { stationary, swapped };
                let candidate = Candidate { tile, order, stays: state.stays, cost: u64::MAX };
                if let Some((choice, held, total)) = self.take(state, &candidate, buffer, outside.saturating_add(rest))
                {
                    let total = total.saturating_sub(rest);
                    if inner.is_empty() {
                        self.end(total);
                    } else {
                        let mut within = state.clone();
                        within.cut(&choice, held);
                        self.all(&within, inner, total);
                    }
                    self.path.pop();
                }
            }
            // The next sizes, as a number counts on.
            if !tile.step(&whole) {
                return;
            }
        }
    }

    /// Puts a level on the path, where it fits and leaves less than the best so far: what it is given, the input positions that it holds,
    /// and the bytes with it.
    fn take(
        &mut self,
        state: &State,
        Candidate { tile, order, cost, .. }: &Candidate,
        buffer: &Buffer,
        outside: u64,
    ) -> Option<(Choice, [u64; 3], u64)> {
        let held = state.held_by(self.problem, tile);
        let stays = order.stays(tile, &state.tile).unwrap_or(state.stays);
        let footprint = footprint(self.problem, tile, held, stays.times(buffer.double_buffered));
        if footprint > buffer.capacity.0 {
            return None;
        }
        let traffic = if *cost == self.problem.once {
            self.problem.operands
        } else {
            state.traffic_of(self.problem, &self.path, tile, *order)
        };
        let total = traffic.iter().fold(outside, |sum, &bytes| sum.saturating_add(bytes));
        if total >= self.least {
            return None;
        }
        let choice = Choice { tile: *tile, order: *order, stays, footprint, traffic };
        self.path.push(choice).ok()?;
        Some((choice, held, total))
    }

    /// Keeps the path.
    fn end(&mut self, total: u64) {
        if total < self.least {
            self.least = total;
            self.best.clone_from(&self.path);
        }
    }
}
