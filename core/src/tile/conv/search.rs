//! Search of one level: few tiles of channels, for each the best positions.
//!
//! With the channels given, what a tile takes and what moves are linear in its input positions x, its output positions p, all input
//! positions M that tiles move, and the number n of tiles of positions:
//!
//! ```text
//! footprint = ka · x + kc · p + weights        bytes = ca · M + cb · n + fixed
//! ```
//! So none with these channels moves less than ca · X + cb · ⌈(kc · P + ka · X) / room⌉ + fixed, P and X all positions: that says which
//! are tried, from the relaxed optimum outwards. Whole images come first; else for each width the height has a closed form.

use super::line::{LISTED, Line, Size};
use super::{Candidate, Order, Problem, Sizes, State, Stays, Want};
use crate::nest::Operand;
use crate::tile::Buffer;
use crate::tile::cut::balanced;
use crate::units::Parts as _;

mod terms;

use terms::{Terms, halo};

/// Most whole images of a tile for which parts of more images are tried too: of more, a part weighs little.
const FEW: u64 = 3;

/// Most numbers of tiles of input channels beside one of output channels, where there are levels inside.
const TRIED: usize = 6;

/// Numbers of tiles of the channels that pass that are tried for the levels inside.
const PASSING: usize = 2;

/// Share of the least traffic, as a shift, above which a bound ends the walk towards fewer tiles: it rises that way but for whole numbers.
const ROUNDED: u32 = 4;

/// Numbers of tiles of channels up to about which each is tried; beyond, steps grow with them.
const DENSE: u64 = 32;

/// What a level is searched for.
pub(super) struct Goal<'a> {
    /// The operand that stays, if one has to.
    pub(super) only: Option<Operand>,
    /// What the levels inside would do alone: what they move beyond that, because tiles outside are smaller, counts too.
    pub(super) wants: &'a [Want],
    /// Bytes from which on nothing is of interest.
    pub(super) limit: u64,
}

/// The best tiling of a level inside that of a state; none where nothing fits, or nothing is below the limit. `lines` are those of the
/// state, once they are needed.
pub(super) fn search<'a>(
    problem: &'a Problem,
    state: &'a State,
    lines: &mut Option<[Line<'a>; 3]>,
    buffer: &Buffer,
    goal: &Goal<'_>,
) -> Option<Candidate> {
    if let Some(whole) = whole(problem, state, buffer) {
        return Some(whole);
    }
    let lines = lines.get_or_insert_with(|| super::line::lines(problem, state));
    let mut search = Search::new(problem, state, buffer, goal, lines);
    let tried = |operand| goal.only.is_none_or(|only| only == operand);
    for stationary in [Operand::C, Operand::A, Operand::B].into_iter().filter(|&operand| tried(operand)) {
        search.kept(stationary);
    }
    search.grown()
}

/// The whole tile outside, or as many of its whole groups as fit; where that is possible.
fn whole(problem: &Problem, state: &State, buffer: &Buffer) -> Option<Candidate> {
    let (tile, room) = (state.tile, buffer.capacity.0);
    let bytes = |group, stays: Stays| {
        super::footprint(problem, &Sizes { group, ..tile }, state.held, stays.times(buffer.double_buffered))
    };
    let order = Order::new(Operand::C);
    let cost = state.traffic.iter().fold(0_u64, |sum, &bytes| sum.saturating_add(bytes));
    if bytes(tile.group, state.stays) <= room {
        return Some(Candidate { tile, order, stays: state.stays, held: state.held, cost });
    }
    let most = tile.group.saturating_sub(1);
    let fit = if most == 0 { 0 } else { room.checked_div(bytes(1, Stays::Nothing)).unwrap_or(0).min(most) };
    let tile = Sizes { group: balanced(tile.group, fit), ..tile };
    (fit > 0).then_some(Candidate { tile, order, stays: Stays::Nothing, held: state.held, cost })
}

struct Search<'a, 'b> {
    problem: &'a Problem,
    state: &'a State,
    room: u64,
    double: bool,
    goal: &'a Goal<'a>,
    /// Depth, height, width.
    lines: &'a mut [Line<'b>; 3],
    /// Bytes of B for each input and output channel.
    beta: u64,
    /// Numbers of tiles outside: of positions, output and input channels.
    outer: [u64; 3],
    /// Input and output positions of the whole nest, and of the smallest tile.
    all: [u64; 2],
    one: [u64; 2],
    /// Input positions that the tiles outside move, images counted once.
    moved: u64,
    /// Input positions that tiles of the two axes move, the halo not counted, and those of the halo of both; where there are two.
    halo: Option<[u64; 2]>,
    /// Traffic from which on nothing is of interest.
    least: u64,
    best: Option<Candidate>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(
        problem: &'a Problem,
        state: &'a State,
        buffer: &Buffer,
        goal: &'a Goal<'a>,
        lines: &'a mut [Line<'b>; 3],
    ) -> Self {
        let times =
            |of: fn(&Line<'_>) -> u64| lines.iter().fold(1_u64, |product, line| product.saturating_mul(of(line)));
        let moved = times(|line| line.whole.moved);
        let one = lines
            .iter()
            .map(Line::smallest)
            .fold([1_u64; 2], |[x, p], size| [x.saturating_mul(size.held), p.saturating_mul(size.tile)]);
        Self {
            problem,
            state,
            room: buffer.capacity.0,
            double: buffer.double_buffered,
            goal,
            beta: problem.sizes.b.saturating_mul(problem.taps),
            outer: [
                times(|line| line.whole.count).saturating_mul(state.batch.count()),
                state.c_out.count(),
                state.c_in.count(),
            ],
            all: [moved.saturating_mul(problem.images), problem.positions],
            one,
            moved,
            halo: halo(lines),
            least: goal.limit,
            best: None,
            lines,
        }
    }

    /// A or C stays while weights pass: as many of its channels as leave the best room for positions, one of the others at a time.
    fn kept(&mut self, stationary: Operand) {
        if stationary == Operand::B {
            return self.weights_kept();
        }
        let (problem, Sizes { c_out, c_in, .. }) = (self.problem, self.state.tile);
        let [[x, p], [x_all, p_all]] = [self.one, self.all];
        let [_, n_co, n_ci] = self.outer;
        let twice = u64::from(self.double).saturating_add(1);
        let (a, partial) = (problem.sizes.a, problem.sizes.partial);
        // Bytes of a channel that stays, of one that passes, of all positions; and what one more tile of channels moves.
        let (extent, passing, kept, pass, all, slope) = match stationary {
            Operand::A => {
                let spill = problem.spill(2).saturating_mul(n_ci);
                (c_in, c_out, a.saturating_mul(x), partial.saturating_mul(p), a.saturating_mul(x_all), spill)
            }
            Operand::B | Operand::C => {
                let again = problem.a_unit.saturating_mul(self.moved).saturating_mul(n_co);
                (c_out, c_in, partial.saturating_mul(p), a.saturating_mul(x), partial.saturating_mul(p_all), again)
            }
        };
        let left = self.room.saturating_sub(pass.saturating_mul(twice));
        let fit = left.checked_div(self.beta.saturating_mul(twice).saturating_add(kept)).unwrap_or(0).min(extent);
        if fit == 0 || passing < 2 {
            return;
        }
        let fewest = extent.in_parts_of(fit);
        // slope · q + B · all · extent / (q · room) is least where its parts are equal.
        let tiles = all.saturating_mul(extent).checked_div(self.room).unwrap_or(0);
        let relaxed = problem.b.saturating_mul(tiles).checked_div(slope).unwrap_or(0).isqrt();
        let start = relaxed.max(fewest).min(extent);
        let tried = |search: &mut Self, trips: u64| {
            let channels = extent.in_parts_of(trips);
            let pair = |passing| if stationary == Operand::A { [passing, channels] } else { [channels, passing] };
            let [co, ci] = pair(1);
            let least = search.channels(stationary, co, ci);
            // More of those that pass leave the levels inside more to keep.
            if let Some(most) = search.passing(stationary) {
                let mut trips = most;
                for _ in 0..PASSING {
                    let [co, ci] = pair(passing.in_parts_of(trips));
                    if trips >= passing {
                        break;
                    }
                    search.channels(stationary, co, ci);
                    trips = trips.saturating_mul(2);
                }
            }
            least
        };
        let mut trips = start;
        while trips <= extent {
            let [floor, _] = tried(self, trips);
            if floor >= self.least {
                break;
            }
            trips = next(extent, trips);
        }
        let mut trips = start;
        while trips > fewest {
            trips = trips.saturating_sub(trips.checked_div(DENSE).unwrap_or(0).max(1)).max(fewest);
            let [_, bound] = tried(self, trips);
            if bound >= self.least.saturating_add(self.least >> ROUNDED) {
                break;
            }
        }
    }

    /// Fewest tiles of the channels that pass that suit all levels inside.
    fn passing(&self, stationary: Operand) -> Option<u64> {
        let wants = self.goal.wants.iter();
        wants.map(|Want { counts: [_, c_out, c_in], .. }| if stationary == Operand::A { *c_out } else { *c_in }).min()
    }

    /// Weights stay while positions pass: as many of both channels as fit.
    fn weights_kept(&mut self) {
        let (problem, Sizes { c_out, c_in, .. }) = (self.problem, self.state.tile);
        let [x, p] = self.one;
        let twice = u64::from(self.double).saturating_add(1);
        let (pass, drop) = (
            problem.sizes.a.saturating_mul(x).saturating_mul(twice),
            problem.sizes.partial.saturating_mul(p).saturating_mul(twice),
        );
        let most = |of: u64, beside: u64, channels: u64, extent: u64| {
            let room = self.room.saturating_sub(beside.saturating_mul(channels));
            room.checked_div(self.beta.saturating_mul(channels).saturating_add(of)).unwrap_or(0).min(extent)
        };
        let fit = most(drop, pass, 1, c_out);
        if fit == 0 {
            return;
        }
        let mut outer = c_out.in_parts_of(fit);
        while outer <= c_out {
            let co = c_out.in_parts_of(outer);
            if self.floor(&self.terms(Operand::B, co, c_in)) >= self.least {
                break;
            }
            let room = self.room.saturating_sub(drop.saturating_mul(co));
            let fit = room.checked_div(self.beta.saturating_mul(co).saturating_add(pass)).unwrap_or(0).min(c_in);
            let mut inner = if fit > 0 { c_in.in_parts_of(fit) } else { u64::MAX };
            let mut tries = 0_usize;
            while inner <= c_in && (tries < TRIED || self.goal.wants.is_empty()) {
                tries = tries.saturating_add(1);
                let [floor, _] = self.channels(Operand::B, co, c_in.in_parts_of(inner));
                if floor >= self.least {
                    break;
                }
                inner = next(c_in, inner);
            }
            outer = next(c_out, outer);
        }
    }

    /// Tries the best positions with these channels, unless they move too much whatever the positions. Returns what moves at least, with
    /// tiles of any size and with those that fit.
    fn channels(&mut self, stationary: Operand, co: u64, ci: u64) -> [u64; 2] {
        let terms = self.terms(stationary, co, ci);
        let floor = self.floor(&terms);
        if floor >= self.least {
            return [floor, floor];
        }
        let [x, p] = self.all;
        if terms.room == 0 {
            return [floor, u64::MAX];
        }
        let fewest =
            |x: u64| terms.ka.saturating_mul(x).saturating_add(terms.kc.saturating_mul(p)).in_parts_of(terms.room);
        let (mut least, mut moved) = (fewest(x), self.moved);
        if least > self.problem.images {
            moved = self.moved_by(least);
            least = fewest(moved.saturating_mul(self.problem.images));
        }
        let fewest = least;
        let [positions, ..] = self.outer;
        let bound = self.bytes(&terms, moved, fewest.max(positions));
        let bound = bound.saturating_add(terms.fixed.min(terms.uncut));
        if bound < self.least {
            self.positions(&terms, fewest);
        }
        [floor, bound]
    }

    /// Tries tiles of positions: whole images, or parts of as many as may fill the room better.
    fn positions(&mut self, terms: &Terms, fewest: u64) {
        let images = self.state.tile.batch;
        let [x, p] = self.lines.iter().fold([terms.ka, terms.kc], |[x, p], line| {
            [x.saturating_mul(line.whole.held), p.saturating_mul(line.whole.tile)]
        });
        let image = x.saturating_add(p);
        // Weights stay only while positions step.
        let most = if terms.stationary == Operand::B { images.saturating_sub(1) } else { images };
        let fit = terms.room.checked_div(image).unwrap_or(0).min(most);
        let [depth, height, width] = &*self.lines;
        let axes = [depth.whole, height.whole, width.whole];
        if fit == images && terms.stationary != Operand::B {
            let [n_p, ..] = self.outer;
            let cost = self.bytes(terms, self.moved, n_p);
            return self.offer(terms, cost.saturating_add(terms.uncut), images, axes);
        }
        if fit > 0 {
            let batch = balanced(images, fit);
            self.tile(terms, batch, self.state.batch.count_at(batch), axes);
        } else {
            self.parts(terms, 1, fewest);
        }
        // Parts of several images may leave less room unused, where whole ones or parts of one leave much.
        if terms.cb.max(terms.more) > 0 && fit <= FEW && terms.room.saturating_mul(FEW) >= image {
            let most = if fit == 0 { FEW } else { fit.saturating_mul(2).saturating_add(1) };
            let mut batch = fit.saturating_add(1).max(2);
            while batch <= most.min(images) {
                self.parts(terms, batch, fewest);
                batch = batch.saturating_add(1);
            }
        }
    }

    /// Tries parts of so many images: for each depth and width as many rows as fit.
    fn parts(&mut self, terms: &Terms, batch: u64, fewest: u64) {
        let images = self.state.batch.count_at(batch);
        let (ka, kc) = (terms.ka.saturating_mul(batch), terms.kc.saturating_mul(batch));
        let step = batch < self.state.tile.batch || terms.stationary != Operand::B;
        let [outer_depth, outer_height, outer_width] = &*self.lines;
        let (whole, uneven, rows_uneven) = (outer_height.whole, outer_width.uneven, outer_height.uneven);
        let [tile_depth, tile_width] = [outer_depth.whole.tile, outer_width.whole.tile];
        for depth_place in 0..LISTED {
            let [depths, ..] = &mut *self.lines;
            let Some(depth) = depths.listed(depth_place) else { break };
            let (x_depth, p_depth) = (ka.saturating_mul(depth.held), kc.saturating_mul(depth.tile));
            let moved_depth = depth.moved.saturating_mul(whole.moved);
            let count_depth = images.saturating_mul(depth.count).saturating_mul(whole.count);
            for width_place in 0..LISTED {
                let [_, _, widths] = &mut *self.lines;
                let Some(width) = widths.listed(width_place) else { break };
                let (x, p) = (x_depth.saturating_mul(width.held), p_depth.saturating_mul(width.tile));
                let count = count_depth.saturating_mul(width.count);
                let bytes = self.bytes(terms, moved_depth.saturating_mul(width.moved), count.max(fewest));
                if bytes.saturating_add(terms.fixed) >= self.least {
                    if !uneven {
                        break;
                    }
                    continue;
                }
                let step = step || depth.tile < tile_depth || width.tile < tile_width;
                if rows_uneven {
                    for place in 0..LISTED {
                        let [_, heights, _] = &mut *self.lines;
                        let Some(rows) = heights.listed(place) else { break };
                        let taken = x.saturating_mul(rows.held).saturating_add(p.saturating_mul(rows.tile));
                        if taken <= terms.room && (step || rows.tile < whole.tile) {
                            self.tile(terms, batch, images, [depth, rows, width]);
                        }
                    }
                    continue;
                }
                let [_, height, _] = &*self.lines;
                if let Some(rows) = height.largest(terms.room, x, p) {
                    let rows = if step || rows.tile < whole.tile { rows } else { height.halved() };
                    if !step && rows.tile >= whole.tile {
                        continue;
                    }
                    self.tile(terms, batch, images, [depth, rows, width]);
                    if rows.tile == whole.tile && !uneven {
                        break;
                    }
                }
            }
        }
    }

    /// Counts what moves with tiles of so many images, of which there are so many, and these axes.
    fn tile(&mut self, terms: &Terms, batch: u64, images: u64, [depth, height, width]: [Size; 3]) {
        let moved = depth.moved.saturating_mul(height.moved).saturating_mul(width.moved);
        let count = images.saturating_mul(depth.count).saturating_mul(height.count).saturating_mul(width.count);
        let bytes = self.bytes(terms, moved, count);
        self.offer(terms, bytes.saturating_add(terms.fixed), batch, [depth, height, width]);
    }

    fn offer(&mut self, terms: &Terms, cost: u64, batch: u64, axes: [Size; 3]) {
        if cost < self.least {
            self.least = cost;
            let axes = axes.map(|size| size.tile);
            self.best = Some(Candidate {
                tile: Sizes { group: 1, batch, c_out: terms.co, c_in: terms.ci, axes },
                order: Order::new(terms.stationary),
                stays: Stays::One(terms.stationary),
                held: [0; 3],
                cost,
            });
        }
    }

    /// The best, with the channels that pass made as many as fit: as much moves in fewer steps.
    fn grown(&self) -> Option<Candidate> {
        let mut best = self.best?;
        let twice = u64::from(self.double).saturating_add(1);
        best.held = self.state.held_by(self.problem, &best.tile);
        let tile = &mut best.tile;
        let [x, p] = best
            .held
            .iter()
            .zip(tile.axes)
            .fold([tile.batch; 2], |[x, p], (&held, tile)| [x.saturating_mul(held), p.saturating_mul(tile)]);
        let (x, p) = (x.saturating_mul(self.problem.sizes.a), p.saturating_mul(self.problem.sizes.partial));
        let most = |kept: u64, passing: u64, others: u64, extent: u64| {
            let unit = self.beta.saturating_mul(others).saturating_add(passing).saturating_mul(twice);
            let fit = self.room.saturating_sub(kept.saturating_mul(others)).checked_div(unit).unwrap_or(0);
            balanced(extent, fit.max(1).min(extent.saturating_sub(1).max(1)))
        };
        match best.order.stationary {
            Operand::C => tile.c_in = most(p, x, tile.c_out, self.state.tile.c_in),
            Operand::A => tile.c_out = most(x, p, tile.c_in, self.state.tile.c_out),
            Operand::B => {}
        }
        Some(best)
    }
}

/// The next number of tiles of a loop: each that is the fewest for its size, beyond the first few in steps that grow.
fn next(extent: u64, trips: u64) -> u64 {
    let smaller = extent.in_parts_of(trips).saturating_sub(1);
    let wanted = trips.saturating_add(trips.checked_div(DENSE).unwrap_or(0).max(1));
    match smaller.min(extent.in_parts_of(wanted)) {
        0 => u64::MAX,
        tile => extent.in_parts_of(tile),
    }
}
