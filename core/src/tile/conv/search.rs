//! Search of one level: few tiles of positions, for each the best channels in closed form.
//!
//! Where all tiles outside are cut, or none is, what moves has a closed form. Where only the larger ones are (not the last, smaller one
//! of a row), that form with what is surely cut is a lower bound, and the tilings that it leaves in question are counted exactly. In
//! large nests edges weigh little: there all tiles outside count as cut if the first is, until one tiling is chosen.

use super::line::{LISTED, Line, Positions, Size, UNEVEN, fitting, most_listed};
use super::{Candidate, Order, Problem, Sizes, State, Stays};
use crate::nest::Operand;
use crate::tile::Buffer;
use crate::tile::cut::balanced;
use crate::units::Parts as _;

/// Shares of the least traffic, as shifts, by which the best tiling of another order may exceed it and still be followed inwards: of large
/// nests, and of small ones, where the inner levels gain most by it.
const SLACK: [u32; 2] = [4, 1];

/// Rounds of trying neighbours.
const ROUNDS: usize = 8;

/// The best tiling of a level inside that of a state, and where it is not the last level those of the other orders that move little
/// more; none where nothing fits, or nothing moves less than the limit.
pub(super) fn search(
    problem: &Problem,
    state: &State,
    buffer: &Buffer,
    last: bool,
    limit: u64,
) -> [Option<Candidate>; 3] {
    let mut search = Search { limit, ..Search::new(problem, state, buffer, last) };
    if let Some(whole) = search.whole() {
        return [Some(whole), None, None];
    }
    let ([a0, a1, a2], [c0, c1, c2], [e0, e1, e2]) = (&problem.axes, &state.axes, state.tile.axes);
    let [h0, h1, h2] = state.held;
    let mut lines = [
        Line::new(&state.batch, state.tile.batch, None, problem.small),
        Line::new(c0, e0, Some((a0, h0)), problem.small),
        Line::new(c1, e1, Some((a1, h1)), problem.small),
        Line::new(c2, e2, Some((a2, h2)), problem.small),
    ];
    let limit = most_listed(lines.iter().filter(|line| line.extent > 1).count(), problem.small);
    let most = search.room.checked_div(problem.sizes.partial.max(1)).unwrap_or(0);
    for line in &mut lines {
        line.list(limit, most);
    }
    let [batch, depth, height, width] = &lines;
    for w in &width.listed {
        for h in &height.listed {
            let rows = w.with(h);
            for d in &depth.listed {
                let image = rows.with(d);
                for b in &batch.listed {
                    search.positions(&image.with(b), [b.tile, d.tile, h.tile, w.tile]);
                }
            }
        }
    }
    if lines.iter().any(|line| line.thinned) {
        search.neighbours(&lines);
    }
    search.grown()
}

struct Search<'a> {
    problem: &'a Problem,
    state: &'a State,
    room: u64,
    double: bool,
    /// Bytes of B for each input and output channel.
    beta: u64,
    /// Numbers of tiles outside: of positions, output and input channels.
    outer: [u64; 3],
    /// Sizes of the smallest tiles outside: of output and input channels.
    smallest: [u64; 2],
    /// Least bytes of C where input channels are cut and step outside of positions.
    spilled: u64,
    /// Whether tiles outside are of more than one size.
    ragged: bool,
    /// Sizes of tiles of output channels, and how many tiles each gives.
    c_out: heapless::Vec<(u64, u64), LISTED>,
    /// Traffic from which on nothing is of interest.
    limit: u64,
    /// Whether there is no level further in.
    last: bool,
    /// The best of each stationary operand, A, B, C.
    best: [Option<Candidate>; 3],
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, state: &'a State, buffer: &Buffer, last: bool) -> Self {
        let mut c_out = heapless::Vec::new();
        let extent = state.tile.c_out;
        let mut tile = extent;
        while tile > 0 && c_out.push((tile, state.c_out.count_at(tile))).is_ok() {
            let next = tile.saturating_sub(1);
            let uneven = problem.small && extent <= UNEVEN && state.c_out.smallest() < extent;
            // All of the few largest; then steps of a quarter.
            let wanted = if c_out.len() < 6 { next } else { next.min(tile.saturating_mul(3).in_parts_of(4)) };
            tile = if uneven { next } else { balanced(extent, wanted.max(1)).min(next) };
        }
        let positions = state.axes.iter().fold(state.batch.count(), |n, cut| n.saturating_mul(cut.count()));
        Self {
            problem,
            state,
            room: buffer.capacity.0,
            double: buffer.double_buffered,
            beta: problem.sizes.b.saturating_mul(problem.taps),
            outer: [positions, state.c_out.count(), state.c_in.count()],
            smallest: if problem.small {
                [state.c_out.smallest(), state.c_in.smallest()]
            } else {
                [extent, state.tile.c_in]
            },
            spilled: problem.c_bytes(
                problem.elements,
                problem.elements.saturating_mul(state.c_in.count().saturating_mul(2).saturating_sub(1)),
            ),
            ragged: problem.small && state.ragged(),
            c_out,
            limit: u64::MAX,
            last,
            best: [None; 3],
        }
    }

    /// Takes the whole tile outside, or as many of its whole groups as fit; where that is possible.
    fn whole(&self) -> Option<Candidate> {
        let (tile, stays) = (self.state.tile, self.state.stays);
        let bytes = |group, stays: Stays| {
            let tile = Sizes { group, ..tile };
            super::footprint(self.problem, &tile, self.state.held, stays.times(self.double))
        };
        let (tile, stays) = if bytes(tile.group, stays) <= self.room {
            (tile, stays)
        } else {
            let fit = self.room.checked_div(bytes(1, Stays::Nothing)).unwrap_or(0).min(tile.group.saturating_sub(1));
            if fit == 0 {
                return None;
            }
            (Sizes { group: balanced(tile.group, fit), ..tile }, Stays::Nothing)
        };
        let order = Order::new(Operand::C);
        Some(Candidate { tile, order, stays, cost: 0, units: [0; 2] })
    }

    /// The best so far.
    fn least(&self) -> Option<Candidate> {
        self.best.iter().flatten().copied().min_by_key(|candidate| candidate.cost)
    }

    /// Traffic from which on a tiling is of no interest.
    fn threshold(&self) -> u64 {
        let least = self.best.iter().flatten().fold(u64::MAX, |least, candidate| least.min(candidate.cost));
        let [large, small] = SLACK;
        let shift = if self.problem.small { small } else { large };
        let slack = if self.last { 0 } else { least.checked_shr(shift).unwrap_or(0) };
        least.saturating_add(slack).min(self.limit)
    }

    fn offer(&mut self, candidate: Candidate) {
        let [a, b, c] = &mut self.best;
        let own = match candidate.order.stationary {
            Operand::A => a,
            Operand::B => b,
            Operand::C => c,
        };
        if own.as_ref().is_none_or(|own| candidate.cost < own.cost) {
            *own = Some(candidate);
        }
    }

    /// Tries tiles of these positions with the best channels in each order.
    fn positions(&mut self, size: &Size, [batch, depth, height, width]: [u64; 4]) {
        let alpha = self.problem.sizes.a.saturating_mul(size.held);
        let gamma = self.problem.sizes.partial.saturating_mul(size.tile);
        if alpha.saturating_add(gamma) > self.room {
            return;
        }
        let at = Positions {
            tile: Sizes { group: 1, batch, c_out: 1, c_in: 1, axes: [depth, height, width] },
            a: self.problem.a_unit.saturating_mul(size.moved),
            alpha,
            gamma,
            count: size.count,
            cut: size.cut,
            all: size.all,
        };
        let (c_out, c_in) = (self.state.tile.c_out, self.state.tile.c_in);
        let (beta, twice) = (self.beta, u64::from(self.double).saturating_add(1));
        let [t_a, t_b, t_c] = self.state.traffic;
        let others = t_b.saturating_add(t_c);
        let least = if at.all { at.a.saturating_mul(self.outer[1]) } else { t_a.min(at.a) };
        if least.saturating_add(others) >= self.threshold() {
            return;
        }
        // In both orders in which B comes with each tile of positions, it may come too often as it is.
        let often = at.a.saturating_mul(self.outer[1]).saturating_add(self.problem.b.saturating_mul(at.count));
        let often = at.all && !self.ragged && often.saturating_add(t_c) >= self.threshold();
        // C stays; one input channel at a time leaves most room for output channels.
        if c_in > 1
            && !often
            && let Some(room) = self.room.checked_sub(alpha.saturating_mul(twice))
        {
            let fit = room.checked_div(beta.saturating_mul(twice).saturating_add(gamma)).unwrap_or(0).min(c_out);
            if fit > 0 {
                for co in fitting(&self.state.c_out, c_out, fit, self.ragged).into_iter().flatten() {
                    for ci in self.stepping(&at, Operand::C, co) {
                        self.channels(&at, Operand::C, co, ci);
                    }
                }
            }
        }
        // A stays; one output channel at a time leaves most room for input channels.
        if c_out > 1
            && !often
            && let Some(room) = self.room.checked_sub(gamma.saturating_mul(twice))
        {
            let fit = room.checked_div(beta.saturating_mul(twice).saturating_add(alpha)).unwrap_or(0).min(c_in);
            if fit > 0 {
                for ci in fitting(&self.state.c_in, c_in, fit, self.ragged).into_iter().flatten() {
                    for co in self.stepping(&at, Operand::A, ci) {
                        self.channels(&at, Operand::A, co, ci);
                    }
                }
            }
        }
        if !at.cut {
            return;
        }
        // B stays: all input channels at once with the most output channels, or fewer of these for more of those.
        let (kept, stream) = (alpha.saturating_mul(twice), gamma.saturating_mul(twice));
        let fit = |ci: u64| {
            let room = self.room.saturating_sub(kept.saturating_mul(ci));
            room.checked_div(beta.saturating_mul(ci).saturating_add(stream)).unwrap_or(0).min(c_out)
        };
        let (full, most) = (fit(c_in), fit(1));
        if full > 0 {
            for co in fitting(&self.state.c_out, c_out, full, self.ragged).into_iter().flatten() {
                self.channels(&at, Operand::B, co, c_in);
            }
        }
        let spilled = |search: &Self, n_co: u64| {
            search.spilled.saturating_add(at.a.saturating_mul(n_co)).saturating_add(t_b) >= search.threshold()
        };
        let least = self.outer[1].saturating_mul(c_out.in_parts_of(most.max(1)));
        if most == 0 || at.all && !self.ragged && (full == c_out || spilled(self, least)) {
            return;
        }
        for index in 0..self.c_out.len() {
            let Some(&(co, n_co)) = self.c_out.get(index) else { break };
            if co <= full && !self.ragged
                || at.all && at.a.saturating_mul(n_co).saturating_add(others) >= self.threshold()
            {
                break;
            }
            let Some(room) = self.room.checked_sub(stream.saturating_mul(co)) else { continue };
            let unit = kept.saturating_add(beta.saturating_mul(co));
            let fit = room.checked_div(unit).unwrap_or(0).min(c_in);
            if fit == 0 || at.all && !self.ragged && spilled(self, n_co) {
                continue;
            }
            for ci in fitting(&self.state.c_in, c_in, fit, self.ragged).into_iter().flatten() {
                self.channels(&at, Operand::B, co, ci);
            }
            if fit == c_in {
                break;
            }
        }
    }

    /// Tries these channels: counts what moves, and offers the tiling.
    fn channels(&mut self, at: &Positions, stationary: Operand, co: u64, ci: u64) {
        let (problem, state) = (self.problem, self.state);
        let [n_p_outer, n_co_outer, n_ci_outer] = self.outer;
        let [t_a, t_b, t_c] = state.traffic;
        let (n_co, n_ci) = (state.c_out.count_at(co), state.c_in.count_at(ci));
        let groups = state.tile.group > 1;
        let (p, co_all, ci_all) = (at.all, co < self.smallest[0], ci < self.smallest[1]);
        // The innermost loop of an operand that is surely cut says which loops around it bring its tiles again.
        let a = |n: u64| at.a.saturating_mul(n);
        let b = |n: u64| problem.b.saturating_mul(n);
        let c = |n: u64| problem.c_bytes(problem.elements, problem.elements.saturating_mul(n.saturating_sub(1)));
        let [a, b, c] = match stationary {
            Operand::C => [
                if ci_all {
                    a(n_co)
                } else if p || groups {
                    a(n_co_outer)
                } else {
                    t_a
                },
                if ci_all || co_all {
                    b(at.count)
                } else if groups {
                    b(n_p_outer)
                } else {
                    t_b
                },
                if p || co_all || groups { c(n_ci_outer) } else { t_c },
            ],
            Operand::A => [
                if p || ci_all || groups { a(n_co_outer) } else { t_a },
                if co_all || ci_all {
                    b(at.count)
                } else if groups {
                    b(n_p_outer)
                } else {
                    t_b
                },
                if co_all {
                    c(n_ci)
                } else if p || groups {
                    c(n_ci_outer)
                } else {
                    t_c
                },
            ],
            Operand::B => [
                if p || ci_all {
                    a(n_co)
                } else if groups {
                    a(n_co_outer)
                } else {
                    t_a
                },
                if co_all || ci_all || groups { b(n_p_outer) } else { t_b },
                if p {
                    c(n_ci)
                } else if co_all || groups {
                    c(n_ci_outer)
                } else {
                    t_c
                },
            ],
        };
        let tile = Sizes { c_out: co, c_in: ci, ..at.tile };
        let cost = a.saturating_add(b).saturating_add(c);
        let order = Order::new(stationary);
        let candidate = Candidate { tile, order, stays: Stays::One(stationary), cost, units: [at.alpha, at.gamma] };
        let Sizes { c_out, c_in, .. } = state.tile;
        if at.cut == p && (co < c_out) == co_all && (ci < c_in) == ci_all {
            self.offer(candidate);
        } else if cost < self.threshold() {
            for order in [order, Order { swapped: true, ..order }] {
                let candidate = Candidate { order, ..candidate };
                self.offer(Candidate { cost: state.traffic_of(problem, &candidate), ..candidate });
            }
        }
    }

    /// Tries positions around the best ones: one size larger or smaller along each line, and one larger with one smaller.
    fn neighbours(&mut self, lines: &[Line<'_>; 4]) {
        for _ in 0..ROUNDS {
            let Some(best) = self.least() else { return };
            let cost = best.cost;
            let [d, h, w] = best.tile.axes;
            let tiles = [best.tile.batch, d, h, w];
            let moved = |step: fn(&Line<'_>, u64) -> Option<u64>| {
                let mut moved = [None; 4];
                for ((moved, line), tile) in moved.iter_mut().zip(lines).zip(tiles) {
                    *moved = step(line, tile).map(|tile| line.size(tile));
                }
                moved
            };
            let (larger, smaller) =
                (moved(|line, tile| line.larger(tile)), moved(|line, tile| line.smaller(tile, line.uneven)));
            let mut here = [Size { tile: 1, held: 1, count: 1, moved: 1, cut: false, all: false }; 4];
            for ((here, line), tile) in here.iter_mut().zip(lines).zip(tiles) {
                *here = line.size(tile);
            }
            let mut tried = |sizes: [Size; 4]| {
                let [b, d, h, w] = &sizes;
                self.positions(&w.with(h).with(d).with(b), sizes.map(|size| size.tile));
            };
            let with = |base: [Size; 4], at: usize, size: Size| {
                let mut sizes = base;
                if let Some(place) = sizes.get_mut(at) {
                    *place = size;
                }
                sizes
            };
            for (at, size) in larger.iter().enumerate() {
                let Some(size) = *size else { continue };
                let sizes = with(here, at, size);
                tried(sizes);
                for (other, size) in smaller.iter().enumerate() {
                    if let Some(size) = size.filter(|_| other != at) {
                        tried(with(sizes, other, size));
                    }
                }
            }
            for (at, size) in smaller.iter().enumerate() {
                if let Some(size) = *size {
                    tried(with(here, at, size));
                }
            }
            let better = |search: &Self| search.least().is_some_and(|best| best.cost < cost);
            if !better(self) {
                self.refit(lines, here);
            }
            if !better(self) {
                return;
            }
        }
    }

    /// Tries the best tiling with channels of one tile more or fewer, and as large a tile along one line as then fits.
    fn refit(&mut self, lines: &[Line<'_>; 4], here: [Size; 4]) {
        let Some(best) = self.least() else { return };
        let Stays::One(stationary) = best.stays else { return };
        let around = |extent: u64, tile: u64| {
            let trips = extent.in_parts_of(tile.max(1));
            [trips.saturating_sub(1), trips, trips.saturating_add(1)]
                .map(|trips| extent.in_parts_of(trips.max(1)).max(1))
        };
        let Sizes { c_out, c_in, .. } = self.state.tile;
        let (co, ci) = (around(c_out, best.tile.c_out), around(c_in, best.tile.c_in));
        let [a, b, c] = best.stays.times(self.double);
        for at in 0..lines.len() {
            let (Some(line), Some(own)) = (lines.get(at), here.get(at)) else { continue };
            let others = here.iter().enumerate().filter(|&(other, _)| other != at);
            let Some(others) = others.map(|(_, size)| *size).reduce(|product, size| product.with(&size)) else {
                continue;
            };
            for index in 0..3 {
                let channels = |of: [u64; 3]| of.get(index).copied().unwrap_or(1);
                let (co, ci) = match stationary {
                    Operand::C => (channels(co), 1),
                    Operand::A => (1, channels(ci)),
                    Operand::B => (channels(co), best.tile.c_in),
                };
                let room = self.room.checked_sub(self.beta.saturating_mul(b).saturating_mul(co).saturating_mul(ci));
                let fits = |tile: u64, held: u64| {
                    let x = a.saturating_mul(self.problem.sizes.a).saturating_mul(held).saturating_mul(others.held);
                    let p =
                        c.saturating_mul(self.problem.sizes.partial).saturating_mul(tile).saturating_mul(others.tile);
                    room.is_some_and(|room| x.saturating_mul(ci).saturating_add(p.saturating_mul(co)) <= room)
                };
                let tile = line.largest(fits);
                if let Some(tile) = tile.filter(|&tile| tile != own.tile) {
                    let mut sizes = here;
                    if let Some(place) = sizes.get_mut(at) {
                        *place = line.size(tile);
                    }
                    let [b, d, h, w] = &sizes;
                    self.positions(&w.with(h).with(d).with(b), sizes.map(|size| size.tile));
                }
            }
        }
    }

    /// Most channels that step innermost, beside so many of the others.
    fn most_stepping(&self, [alpha, gamma]: [u64; 2], stationary: Operand, others: u64) -> u64 {
        let twice = u64::from(self.double).saturating_add(1);
        let (kept, passing, extent) = match stationary {
            Operand::C | Operand::B => (gamma, alpha, self.state.tile.c_in),
            Operand::A => (alpha, gamma, self.state.tile.c_out),
        };
        let unit = self.beta.saturating_mul(others).saturating_add(passing).saturating_mul(twice);
        let fit = self.room.saturating_sub(kept.saturating_mul(others)).checked_div(unit).unwrap_or(0);
        fit.max(1).min(extent.saturating_sub(1).max(1))
    }

    /// Channels that step innermost: one at a time moves as little as more do, but where they leave some tile outside whole.
    fn stepping(&self, at: &Positions, stationary: Operand, others: u64) -> impl Iterator<Item = u64> + use<> {
        let more = if self.ragged {
            let (cut, extent) = match stationary {
                Operand::C | Operand::B => (&self.state.c_in, self.state.tile.c_in),
                Operand::A => (&self.state.c_out, self.state.tile.c_out),
            };
            fitting(cut, extent, self.most_stepping([at.alpha, at.gamma], stationary, others), true)
        } else {
            [None; 3]
        };
        core::iter::once(1).chain(more.into_iter().flatten())
    }

    /// The best, with the channels that step innermost made as large as fits: as much moves in fewer steps.
    fn grown(&self) -> [Option<Candidate>; 3] {
        let least = self.least().map_or(0, |best| best.cost);
        let (worst, outer) = (self.threshold(), &self.state.tile);
        self.best.map(|best| {
            // Of equals the last level takes one.
            let mut best = best.filter(|best| best.cost == least || !self.last && best.cost <= worst)?;
            let tile = &mut best.tile;
            match best.order.stationary {
                _ if self.ragged => {}
                Operand::C => {
                    tile.c_in = balanced(outer.c_in, self.most_stepping(best.units, Operand::C, tile.c_out));
                }
                Operand::A => {
                    tile.c_out = balanced(outer.c_out, self.most_stepping(best.units, Operand::A, tile.c_in));
                }
                Operand::B => {}
            }
            Some(best)
        })
    }
}
