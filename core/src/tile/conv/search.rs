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
//!
//! Where there is a level inside, tiles are made of whole ones of it, so that no edge cuts them: all extents are in units of those.

use super::line::{LISTED, Line, Size};
use super::{Candidate, Order, Problem, Sizes, Stays};
use crate::nest::Operand;
use crate::tile::Buffer;
use crate::tile::cut::balanced;
use crate::units::Parts as _;

mod terms;

use terms::{Terms, halo};

/// Most whole images of a tile for which parts of more images are tried too: of more, a part weighs little.
const FEW: u64 = 3;

/// Share of the least traffic, as a shift, above which a bound ends the walk towards fewer tiles: it rises that way but for whole numbers.
const ROUNDED: u32 = 4;

/// Numbers of tiles of channels up to about which each is tried; beyond, steps grow with them.
const DENSE: u64 = 32;

/// The same for channels that pass while an operand stays.
const PASSING: u64 = 2;

/// What a level is made of: the tile of the level inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) tile: Sizes,
    /// Bytes that the levels inside move for each tile of this one: of positions, of output, of input channels.
    pub(super) more: [u64; 3],
    /// The operand that stays there, where its loop has to step there.
    pub(super) steps: Option<Operand>,
}

/// What a level is searched for.
pub(super) struct Goal<'a> {
    /// The operand that stays, if one has to.
    pub(super) only: Option<Operand>,
    pub(super) unit: &'a Unit,
    /// Bytes from which on nothing is of interest.
    pub(super) limit: u64,
}

/// The best tiling of a level; none where nothing fits, or nothing is below the limit. The lines are those of the unit.
pub(super) fn search(
    problem: &Problem,
    lines: &mut [Line<'_>; 3],
    buffer: &Buffer,
    goal: &Goal<'_>,
) -> Option<Candidate> {
    if let Some(whole) = whole(problem, buffer, goal) {
        return Some(whole);
    }
    let mut search = Search::new(problem, buffer, goal, lines);
    let tried = |operand| goal.only.is_none_or(|only| only == operand);
    // Weights stay more often the larger a level is.
    let order = if goal.unit.more.iter().any(|&more| more > 0) {
        [Operand::B, Operand::C, Operand::A]
    } else {
        [Operand::C, Operand::A, Operand::B]
    };
    for stationary in order.into_iter().filter(|&operand| tried(operand)) {
        search.kept(stationary);
    }
    search.best
}

/// One tile of all there is, or as many whole groups as fit; where that is possible.
fn whole(problem: &Problem, buffer: &Buffer, goal: &Goal<'_>) -> Option<Candidate> {
    let (tile, room) = (problem.whole, buffer.capacity.0);
    let bytes = |group, stays: Stays| {
        super::footprint(problem, &Sizes { group, ..tile }, problem.held, stays.times(buffer.double_buffered))
    };
    let [more_p, more_co, more_ci] = goal.unit.more;
    let cost = problem.once.saturating_add(more_p).saturating_add(more_co).saturating_add(more_ci);
    let order = Order::new(Operand::C);
    if bytes(tile.group, problem.one) <= room {
        return Some(Candidate { tile, order, stays: Stays::All, cost });
    }
    if tile.group <= 1 {
        return None;
    }
    let fit = room.checked_div(bytes(1, Stays::Nothing)).unwrap_or(0).min(tile.group.saturating_sub(1));
    let group = even(tile.group, goal.unit.tile.group, fit);
    (fit >= goal.unit.tile.group).then_some(Candidate {
        tile: Sizes { group, ..tile },
        order,
        stays: Stays::Nothing,
        cost,
    })
}

struct Search<'a, 'b> {
    problem: &'a Problem,
    room: u64,
    double: bool,
    unit: &'a Unit,
    /// Depth, height, width.
    lines: &'a mut [Line<'b>; 3],
    /// Bytes of B for each input and output channel.
    beta: u64,
    /// Input and output positions of the whole nest, and of the smallest tile.
    all: [u64; 2],
    one: [u64; 2],
    /// Input positions, images counted once, and bytes of A.
    moved: u64,
    whole: u64,
    /// Input positions that tiles of the two axes move, the halo not counted, and those of the halo of both; where there are two.
    halo: Option<[u64; 2]>,
    /// Traffic from which on nothing is of interest.
    least: u64,
    best: Option<Candidate>,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(problem: &'a Problem, buffer: &Buffer, goal: &'a Goal<'a>, lines: &'a mut [Line<'b>; 3]) -> Self {
        let moved = lines.iter().fold(1_u64, |product, line| product.saturating_mul(line.whole.moved));
        let one = lines
            .iter()
            .map(Line::smallest)
            .fold([goal.unit.tile.batch; 2], |[x, p], size| [x.saturating_mul(size.held), p.saturating_mul(size.tile)]);
        Self {
            problem,
            room: buffer.capacity.0,
            double: buffer.double_buffered,
            unit: goal.unit,
            beta: problem.sizes.b.saturating_mul(problem.taps),
            all: [moved.saturating_mul(problem.images), problem.positions],
            one,
            moved,
            whole: problem.a_unit.saturating_mul(moved),
            halo: halo(lines),
            least: goal.limit,
            best: None,
            lines,
        }
    }

    /// Tries all tiles under which this operand stays.
    fn kept(&mut self, stationary: Operand) {
        let ([_, more_co, more_ci], whole, unit) = (self.unit.more, self.problem.whole, self.unit.tile);
        let (extent, unit, more) = match stationary {
            Operand::A => (whole.c_out, unit.c_out, more_co),
            Operand::B => return self.weights_kept(),
            Operand::C => (whole.c_in, unit.c_in, more_ci),
        };
        // Channels that pass are as few as they can be, but for what the levels inside move for each tile of them.
        let least = if self.unit.steps == Some(stationary) { unit.saturating_mul(2) } else { unit };
        let units = extent.in_parts_of(unit);
        let [more_p, more_co, more_ci] = self.unit.more;
        let once =
            [more_p, more_co, more_ci].into_iter().fold(self.problem.once, u64::saturating_add).saturating_sub(more);
        let mut trips = if more == 0 { units.in_parts_of(least.in_parts_of(unit)) } else { 2 };
        while trips <= units {
            let passing = unit.saturating_mul(units.in_parts_of(trips));
            if passing < least || passing >= extent || once.saturating_add(more.saturating_mul(trips)) >= self.least {
                break;
            }
            self.beside(stationary, passing);
            trips = next(units, trips, PASSING);
        }
    }

    /// A or C stays while so many channels of weights pass at a time: as many of its own as leave the best room for positions.
    fn beside(&mut self, stationary: Operand, passing: u64) {
        let (problem, Sizes { c_out, c_in, .. }) = (self.problem, self.problem.whole);
        let [[x, p], [x_all, p_all]] = [self.one, self.all];
        let twice = u64::from(self.double).saturating_add(1);
        let (a, partial) = (problem.sizes.a, problem.sizes.partial);
        let [more_p, more_co, more_ci] = self.unit.more;
        // Bytes of a channel that stays, of one that passes, of all positions; and what one more tile of channels moves.
        let (extent, unit, kept, pass, all, slope) = match stationary {
            Operand::A => {
                let spill = problem.spill(2).saturating_add(more_ci);
                (
                    c_in,
                    self.unit.tile.c_in,
                    a.saturating_mul(x),
                    partial.saturating_mul(p),
                    a.saturating_mul(x_all),
                    spill,
                )
            }
            Operand::B | Operand::C => {
                let again = self.whole.saturating_add(more_co);
                let all = partial.saturating_mul(p_all);
                (c_out, self.unit.tile.c_out, partial.saturating_mul(p), a.saturating_mul(x), all, again)
            }
        };
        let left = self.room.saturating_sub(pass.saturating_mul(passing).saturating_mul(twice));
        let channel = self.beta.saturating_mul(passing).saturating_mul(twice).saturating_add(kept);
        let fit = left.checked_div(channel.saturating_mul(unit)).unwrap_or(0);
        if fit == 0 {
            return;
        }
        let units = extent.in_parts_of(unit);
        let fewest = units.in_parts_of(fit.min(units));
        // slope · q + cb · all · extent / (q · room) is least where its parts are equal.
        let tiles = all.saturating_mul(extent).checked_div(self.room).unwrap_or(0);
        let relaxed = problem.b.saturating_add(more_p).saturating_mul(tiles).checked_div(slope).unwrap_or(0).isqrt();
        let start = relaxed.max(fewest).min(units);
        let tried = |search: &mut Self, trips: u64| {
            let channels = unit.saturating_mul(units.in_parts_of(trips)).min(extent);
            let [co, ci] = if stationary == Operand::A { [passing, channels] } else { [channels, passing] };
            search.channels(stationary, co, ci)
        };
        let (mut trips, mut last) = (start, u64::MAX);
        while trips <= units {
            let [floor, bound] = tried(self, trips);
            if floor >= self.least || bound > last && bound >> 1 >= self.least {
                break;
            }
            (trips, last) = (next(units, trips, DENSE), bound);
        }
        let mut trips = start;
        while trips > fewest {
            trips = trips.saturating_sub(trips.checked_div(DENSE).unwrap_or(0).max(1)).max(fewest);
            let [_, bound] = tried(self, trips);
            if bound >= self.rounded() {
                break;
            }
        }
    }

    /// What a bound that rises but for whole numbers has to reach to end a walk.
    const fn rounded(&self) -> u64 {
        self.least.saturating_add(self.least >> ROUNDED)
    }

    /// Weights stay while positions pass: as many of both channels as fit.
    fn weights_kept(&mut self) {
        let (problem, Sizes { c_out, c_in, .. }, unit) = (self.problem, self.problem.whole, self.unit.tile);
        let [x, p] = self.one;
        let twice = u64::from(self.double).saturating_add(1);
        let (pass, drop) = (
            problem.sizes.a.saturating_mul(x).saturating_mul(twice),
            problem.sizes.partial.saturating_mul(p).saturating_mul(twice),
        );
        let most = |of: u64, beside: u64, channels: u64| {
            let room = self.room.saturating_sub(beside.saturating_mul(channels));
            room.checked_div(self.beta.saturating_mul(channels).saturating_add(of)).unwrap_or(0)
        };
        let (outer_units, inner_units) = (c_out.in_parts_of(unit.c_out), c_in.in_parts_of(unit.c_in));
        let fit = most(drop, pass, unit.c_in).checked_div(unit.c_out).unwrap_or(0).min(outer_units);
        if fit == 0 {
            return;
        }
        let mut outer = outer_units.in_parts_of(fit);
        while outer <= outer_units {
            let co = unit.c_out.saturating_mul(outer_units.in_parts_of(outer)).min(c_out);
            if self.floor(Operand::B, [c_out.in_parts_of(co), 1]) >= self.least {
                break;
            }
            let room = self.room.saturating_sub(drop.saturating_mul(co));
            let fit = room.checked_div(self.beta.saturating_mul(co).saturating_add(pass)).unwrap_or(0);
            let fit = if fit >= c_in { inner_units } else { fit.checked_div(unit.c_in).unwrap_or(0) };
            let mut inner = if fit > 0 { inner_units.in_parts_of(fit) } else { u64::MAX };
            while inner <= inner_units {
                let ci = unit.c_in.saturating_mul(inner_units.in_parts_of(inner)).min(c_in);
                let [floor, _] = self.channels(Operand::B, co, ci);
                if floor >= self.least {
                    break;
                }
                inner = next(inner_units, inner, DENSE);
            }
            outer = next(outer_units, outer, DENSE);
        }
    }

    /// Tries the best positions with these channels, unless they move too much whatever the positions. Returns what moves at least, with
    /// tiles of any size and with those that fit.
    fn channels(&mut self, stationary: Operand, co: u64, ci: u64) -> [u64; 2] {
        let numbers = [self.problem.whole.c_out.in_parts_of(co), self.problem.whole.c_in.in_parts_of(ci)];
        let floor = self.floor(stationary, numbers);
        if floor >= self.least {
            return [floor, floor];
        }
        let terms = self.terms(stationary, [co, ci], numbers);
        let [x, p] = self.all;
        if terms.room == 0 {
            return [floor, u64::MAX];
        }
        let fewest =
            |x: u64| terms.ka.saturating_mul(x).saturating_add(terms.kc.saturating_mul(p)).in_parts_of(terms.room);
        let (mut least, mut moved) = (fewest(x), self.moved);
        if least > self.problem.images && terms.bytes(moved, least) < self.least {
            moved = self.moved_by(least);
            least = fewest(moved.saturating_mul(self.problem.images));
        }
        let bound = terms.bytes(moved, least.max(1));
        if bound < self.least {
            self.positions(&terms, least);
        }
        [floor, bound]
    }

    /// Tries tiles of positions: whole images, or parts of as many as may fill the room better.
    fn positions(&mut self, terms: &Terms, fewest: u64) {
        let (images, unit) = (self.problem.images, self.unit.tile.batch);
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
            return self.offer(terms, terms.bytes(self.moved, 1), images, axes);
        }
        if fit >= unit {
            let batch = even(images, unit, fit);
            self.tile(terms, batch, images.in_parts_of(batch), axes);
        } else {
            self.parts(terms, unit, fewest);
        }
        // Parts of several images may leave less room unused, where whole ones or parts of one leave much.
        if terms.cb > 0 && fit <= FEW && terms.room.saturating_mul(FEW) >= image {
            let most = if fit == 0 { FEW } else { fit.saturating_mul(2).saturating_add(1) };
            let mut batch = if fit >= unit { fit.saturating_sub(fit.checked_rem(unit).unwrap_or(0)) } else { unit };
            batch = batch.saturating_add(unit);
            while batch <= most.min(images) {
                self.parts(terms, batch, fewest);
                batch = batch.saturating_add(unit);
            }
        }
    }

    /// Tries parts of so many images: for each depth and width as many rows as fit.
    fn parts(&mut self, terms: &Terms, batch: u64, fewest: u64) {
        let images = self.problem.images.in_parts_of(batch);
        let (ka, kc) = (terms.ka.saturating_mul(batch), terms.kc.saturating_mul(batch));
        let step = batch < self.problem.images || terms.stationary != Operand::B;
        let [outer_depth, outer_height, outer_width] = &*self.lines;
        let (whole, uneven, rows_uneven) = (outer_height.whole, outer_width.uneven, outer_height.uneven);
        let [tile_depth, tile_width] = [outer_depth.whole.tile, outer_width.whole.tile];
        for depth_place in 0..LISTED {
            let [depths, ..] = &mut *self.lines;
            let Some(depth) = depths.listed(depth_place) else { break };
            let (x_depth, p_depth) = (ka.saturating_mul(depth.held), kc.saturating_mul(depth.tile));
            let moved_depth = depth.moved.saturating_mul(whole.moved);
            let count_depth = images.saturating_mul(depth.count);
            for width_place in 0..LISTED {
                let [_, _, widths] = &mut *self.lines;
                let Some(width) = widths.listed(width_place) else { break };
                let (x, p) = (x_depth.saturating_mul(width.held), p_depth.saturating_mul(width.tile));
                let count = count_depth.saturating_mul(width.count);
                if terms.bytes(moved_depth.saturating_mul(width.moved), count.max(fewest)) >= self.least {
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
        self.offer(terms, terms.bytes(moved, count), batch, [depth, height, width]);
    }

    fn offer(&mut self, terms: &Terms, cost: u64, batch: u64, axes: [Size; 3]) {
        if cost >= self.least {
            return;
        }
        let axes = axes.map(|size| size.tile);
        let (tile, unit) = (Sizes { group: 1, batch, c_out: terms.co, c_in: terms.ci, axes }, &self.unit.tile);
        let steps = match self.unit.steps {
            Some(Operand::A) => tile.c_out > unit.c_out,
            Some(Operand::B) => tile.batch > unit.batch || tile.axes != unit.axes,
            Some(Operand::C) => tile.c_in > unit.c_in,
            None => true,
        };
        if steps {
            self.least = cost;
            let stays = Stays::One(terms.stationary);
            self.best = Some(Candidate { tile, order: Order::new(terms.stationary), stays, cost });
        }
    }
}

/// The smallest tile of whole units that cuts an extent into as many as the longest one up to this.
pub(super) fn even(extent: u64, unit: u64, fit: u64) -> u64 {
    unit.saturating_mul(balanced(extent.in_parts_of(unit), fit.checked_div(unit).unwrap_or(0))).min(extent)
}

/// The next number of tiles of a loop: each that is the fewest for its size, beyond the first few in steps that grow.
fn next(extent: u64, trips: u64, dense: u64) -> u64 {
    let smaller = extent.in_parts_of(trips).saturating_sub(1);
    let wanted = trips.saturating_add(trips.checked_div(dense).unwrap_or(0).max(1));
    match smaller.min(extent.in_parts_of(wanted)) {
        0 => u64::MAX,
        tile => extent.in_parts_of(tile),
    }
}
