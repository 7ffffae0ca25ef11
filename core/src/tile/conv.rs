//! Tiling of a convolution: tiles of output positions, output and input channels for each level, from the outermost inwards.
//!
//! A tile has all taps of its windows, so it reads a halo beside the positions that it steps over; each tile reads its own. With
//! x input positions and p output positions of a tile, ci and co channels, K taps, and elements of a, b and `partial` bytes:
//!
//! ```text
//! footprint = a · x · ci + b · K · ci · co + partial · p · co       (twice what is not stationary, where double-buffered)
//! order                          stationary   A        B        C
//! group, positions, co, ci       C            × n_co   × n_p    once
//! group, co, ci, positions       B            × n_co   once     × n_ci
//! group, positions, ci, co       A            once     × n_p    × n_ci
//! ```
//! where n are the numbers of tiles, and a loop of one trip is none. A result that comes v times costs (v − 1) · 2 · `partial` bytes
//! more an element than its c. Groups share nothing: a tile has one, or several whole ones.
//!
//! **Search.** For given positions the rest has a closed form: in the first order ci = 1 and the largest co that fits, in the third
//! co = 1 and the largest ci, in the second the largest ci for each of few co. So only tiles of positions are listed, few sizes on each
//! axis that cut it evenly; then neighbours are tried. An inner level cuts the tile of the level outside it. Where the
//! next level is not much smaller, two tilings are followed inwards, the best and one that fits there too; what moves least in all is
//! taken.
//!
//! Leaves out reuse of the halo by the next tile: a level that keeps rows while it slides moves less.
//!
//! **Source**: loop orders as in Chen, Emer, Sze, "Eyeriss", ISCA 2016, section IV; traffic and footprint written down here.

use super::cut::Cut;
use super::visits::{ByDepth, CLASSES, Ranks, visits};
use super::{Buffer, LevelTiling, MAX_LEVELS, TileLoop, Tiling};
use crate::error::Error;
use crate::nest::{Axis, ConvLoops, Dim, ElementSizes, Operand, Traffic};
use crate::shape::product;
use crate::units::Bytes;

mod line;
mod search;

use search::search;

/// Tilings that are followed inwards at once.
const BEAM: usize = 4;

/// How many times larger a level may be than the next one inwards for a tile that fits both to be tried.
const ALIKE: u64 = 8;

/// Extents of a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sizes {
    group: u64,
    batch: u64,
    c_out: u64,
    c_in: u64,
    axes: [u64; 3],
}

/// A loop order, outermost first: groups, two classes of positions, `c_out` and `c_in`, and the one that the stationary operand does not
/// depend on. That of the two outer ones matters only where some tiles are not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    stationary: Operand,
    swapped: bool,
}

impl Order {
    const fn new(stationary: Operand) -> Self {
        Self { stationary, swapped: false }
    }

    /// Places of group, positions, `c_out` and `c_in`.
    const fn ranks(self) -> Ranks {
        match (self.stationary, self.swapped) {
            (Operand::C, false) => [0, 1, 2, 3],
            (Operand::C, true) => [0, 2, 1, 3],
            (Operand::B, false) => [0, 3, 1, 2],
            (Operand::B, true) => [0, 3, 2, 1],
            (Operand::A, false) => [0, 1, 3, 2],
            (Operand::A, true) => [0, 2, 3, 1],
        }
    }

    const fn dims(self) -> [Dim; 7] {
        use Dim::{Batch, CIn, COut, Depth, Group, Height, Width};
        match (self.stationary, self.swapped) {
            (Operand::C, false) => [Group, Batch, Depth, Height, Width, COut, CIn],
            (Operand::C, true) => [Group, COut, Batch, Depth, Height, Width, CIn],
            (Operand::B, false) => [Group, COut, CIn, Batch, Depth, Height, Width],
            (Operand::B, true) => [Group, CIn, COut, Batch, Depth, Height, Width],
            (Operand::A, false) => [Group, Batch, Depth, Height, Width, CIn, COut],
            (Operand::A, true) => [Group, CIn, Batch, Depth, Height, Width, COut],
        }
    }
}

/// What stays in a level while the innermost loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    /// Everything: there is no loop.
    All,
    One(Operand),
    /// Nothing: groups step, which share nothing.
    Nothing,
}

impl Stays {
    /// How often the tiles of A, B and C take room where the level is double-buffered.
    fn times(self, double: bool) -> [u64; 3] {
        let twice = u64::from(double).saturating_add(1);
        match self {
            Self::All => [1; 3],
            Self::One(Operand::A) => [1, twice, twice],
            Self::One(Operand::B) => [twice, 1, twice],
            Self::One(Operand::C) => [twice, twice, 1],
            Self::Nothing => [twice; 3],
        }
    }
}

/// A convolution in bytes.
struct Problem {
    axes: [Axis; 3],
    sizes: ElementSizes,
    taps: u64,
    /// Bytes of A for each position that is moved of one image and channel.
    a_unit: u64,
    /// Bytes of B.
    b: u64,
    /// Elements of C.
    elements: u64,
    /// Whether the nest is so small that tiles at its edges weigh.
    small: bool,
}

/// Pairs of output and input channel and position up to which a nest is small.
const SMALL: u64 = 1 << 13;

impl Problem {
    /// Bytes of C, of which so many elements come in again.
    fn c_bytes(&self, elements: u64, again: u64) -> u64 {
        let spilled = again.saturating_mul(2).saturating_mul(self.sizes.partial);
        elements.saturating_mul(self.sizes.c).saturating_add(spilled)
    }
}

/// What a level was given.
#[derive(Clone, Copy, Debug)]
struct Choice {
    tile: Sizes,
    order: Order,
    stays: Stays,
    footprint: u64,
    traffic: [u64; 3],
}

/// A tiling of one level.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    tile: Sizes,
    order: Order,
    stays: Stays,
    /// Bytes that move.
    cost: u64,
    /// Bytes of A for each input channel, of C for each output channel.
    units: [u64; 2],
}

/// The levels chosen so far, from the outermost on.
#[derive(Clone)]
struct State {
    /// The innermost tile so far.
    tile: Sizes,
    /// Most input positions of it along each axis.
    held: [u64; 3],
    group: Cut,
    batch: Cut,
    c_out: Cut,
    c_in: Cut,
    axes: [Cut; 3],
    /// Numbers of tiles of groups, positions, output and input channels after each level.
    counts: [ByDepth; CLASSES],
    stays: Stays,
    traffic: [u64; 3],
    chosen: heapless::Vec<Choice, MAX_LEVELS>,
    total: u64,
}

/// Cuts a convolution into tiles for these buffers, from the innermost to the outermost.
///
/// # Errors
/// [`Error::Infeasible`] with the level that does not hold one output position of one input and one output channel;
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn tile_conv(loops: &ConvLoops, sizes: &ElementSizes, buffers: &[Buffer]) -> Result<Tiling, Error> {
    match follow(loops, sizes, buffers, ALIKE) {
        // A tile may leave the next level no loop under which what is large stays there; one that fits both does.
        Err(Error::Infeasible { .. }) => follow(loops, sizes, buffers, u64::MAX),
        found => found,
    }
}

/// Follows the best tilings inwards; `alike` is how many times larger a level may be for a tile to be tried that fits the next one
/// too; without limit, one that fits all further in.
fn follow(loops: &ConvLoops, sizes: &ElementSizes, buffers: &[Buffer], alike: u64) -> Result<Tiling, Error> {
    let (problem, whole) = start(loops, sizes)?;
    let mut states = heapless::Vec::<State, BEAM>::new();
    states.push(whole).ok();
    for (level, buffer) in buffers.iter().enumerate().rev() {
        let mut next = heapless::Vec::<State, BEAM>::new();
        for state in &states {
            // At the last level a state is of interest only if it moves less in all than the best one.
            let least = next.first().filter(|_| level == 0).map_or(u64::MAX, |best| best.total);
            let best = search(&problem, state, buffer, level == 0, least.saturating_sub(state.total));
            // What moves least here may cost more further in than it saves, where that level is not much smaller: a tile that fits it too
            // does not.
            let inner = buffers.iter().take(level).rev().take(if alike == u64::MAX { level } else { 1 });
            let inner = inner.copied().reduce(|a, b| a.both(b));
            let inner = inner.filter(|inner| inner.capacity.0.saturating_mul(alike) >= buffer.capacity.0);
            let inner = inner.map(|inner| inner.both(*buffer));
            let small = inner.map_or([None; 3], |inner| search(&problem, state, &inner, true, u64::MAX));
            for candidate in best.into_iter().chain(small).flatten() {
                let reached = state.inwards(&problem, &candidate, buffer);
                keep(&mut next, reached);
            }
        }
        if next.is_empty() {
            return Err(Error::Infeasible { level: u8::try_from(level).unwrap_or(u8::MAX) });
        }
        states = next;
    }
    match states.first() {
        Some(best) => best.tiling(loops, sizes, buffers),
        None => Err(Error::CountOverflow),
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

/// Keeps the states that moved least, best first; of equals the earlier.
fn keep(states: &mut heapless::Vec<State, BEAM>, state: State) {
    let place = states.iter().take_while(|other| other.total <= state.total).count();
    if place < BEAM {
        if states.is_full() {
            states.pop();
        }
        // Each later one moves by a place.
        let mut state = state;
        states.iter_mut().skip(place).for_each(|later| core::mem::swap(later, &mut state));
        states.push(state).ok();
    }
}

/// The convolution in bytes, and the state before any level: the whole nest is one tile.
fn start(loops: &ConvLoops, sizes: &ElementSizes) -> Result<(Problem, State), Error> {
    let axes = loops.axes()?;
    let taps = product(loops.kernel)?;
    let images = product([loops.batch, loops.groups])?;
    let weights = product([loops.groups, loops.c_out, loops.c_in, taps])?;
    let elements = product([images, loops.c_out, product(loops.output)?])?;
    let problem = Problem {
        axes,
        sizes: *sizes,
        taps,
        a_unit: product([images, loops.c_in, sizes.a])?,
        b: product([weights, sizes.b])?,
        elements,
        small: elements.saturating_mul(loops.c_in) <= SMALL,
    };
    // Every tile is at most the whole: what fits once, does not wrap in any product of parts.
    product([elements, sizes.c.max(sizes.partial)])?;
    let held = axes.map(|axis| axis.touched());
    let [depth, height, width] = loops.output;
    let state = State {
        tile: Sizes {
            group: loops.groups,
            batch: loops.batch,
            c_out: loops.c_out,
            c_in: loops.c_in,
            axes: loops.output,
        },
        held,
        group: Cut::whole(loops.groups),
        batch: Cut::whole(loops.batch),
        c_out: Cut::whole(loops.c_out),
        c_in: Cut::whole(loops.c_in),
        axes: [Cut::whole(depth), Cut::whole(height), Cut::whole(width)],
        counts: [[1; MAX_LEVELS + 1]; CLASSES],
        stays: Stays::All,
        traffic: [product([problem.a_unit, product(held)?])?, problem.b, product([elements, sizes.c])?],
        chosen: heapless::Vec::new(),
        total: 0,
    };
    Ok((problem, state))
}

impl State {
    /// This state with one more level.
    fn inwards(&self, problem: &Problem, candidate: &Candidate, buffer: &Buffer) -> Self {
        let mut next = self.cut(problem, candidate);
        let footprint = footprint(problem, &next.tile, next.held, next.stays.times(buffer.double_buffered));
        next.total = next.traffic.iter().fold(self.total, |sum, &bytes| sum.saturating_add(bytes));
        let (tile, stays, traffic) = (next.tile, next.stays, next.traffic);
        next.chosen.push(Choice { tile, order: candidate.order, stays, footprint, traffic }).ok();
        next
    }

    /// This state with its tiles cut once more, its traffic exact.
    fn cut(&self, problem: &Problem, candidate: &Candidate) -> Self {
        let mut next = self.clone();
        let (tile, order) = (candidate.tile, candidate.order);
        next.tile = tile;
        next.group.push(tile.group);
        next.batch.push(tile.batch);
        next.c_out.push(tile.c_out);
        next.c_in.push(tile.c_in);
        let outer = self.axes.iter().zip(self.held).zip(&problem.axes);
        for (((cut, held), axis), (next_held, (next_cut, tile))) in
            outer.zip(next.held.iter_mut().zip(next.axes.iter_mut().zip(tile.axes)))
        {
            *next_held = cut.held(axis, tile, held);
            next_cut.push(tile);
        }
        let axes = next.axes.iter().fold(next.batch.count(), |n, cut| n.saturating_mul(cut.count()));
        let counts = [next.group.count(), axes, next.c_out.count(), next.c_in.count()];
        for (by, count) in next.counts.iter_mut().zip(counts) {
            if let Some(entry) = by.get_mut(self.chosen.len().saturating_add(1)) {
                *entry = count;
            }
        }
        next.stays = candidate.stays;
        next.traffic = next.exact(problem, order);
        next
    }

    /// Whether tiles are of more than one size.
    fn ragged(&self) -> bool {
        let channels = [&self.group, &self.batch, &self.c_out, &self.c_in];
        let sizes = [self.tile.group, self.tile.batch, self.tile.c_out, self.tile.c_in];
        let [sizes, axes] = [sizes.as_slice(), self.tile.axes.as_slice()];
        channels.into_iter().chain(&self.axes).zip(sizes.iter().chain(axes)).any(|(cut, &size)| cut.smallest() < size)
    }

    /// Bytes that move if this is the next level.
    fn traffic_of(&self, problem: &Problem, candidate: &Candidate) -> u64 {
        let next = self.cut(problem, candidate);
        next.traffic.iter().fold(0, |sum, &bytes| sum.saturating_add(bytes))
    }

    /// Bytes of each operand at the innermost level, the last of these loops in this order.
    fn exact(&self, problem: &Problem, order: Order) -> [u64; 3] {
        let mut ranks = heapless::Vec::<Ranks, MAX_LEVELS>::new();
        for choice in &self.chosen {
            ranks.push(choice.order.ranks()).ok();
        }
        ranks.push(order.ranks()).ok();
        let [a0, a1, a2] = &problem.axes;
        let [depth, height, width] = &self.axes;
        let batch = self.batch.sums();
        let positions = times(times(batch, depth.sums()), times(height.sums(), width.sums()));
        let inputs = times(times(batch, depth.moved(a0)), times(height.moved(a1), width.moved(a2)));
        let (groups, c_out, c_in) = (self.group.sums(), self.c_out.sums(), self.c_in.sums());
        let counts = &self.counts;
        let a = visits(&ranks, &[Some(groups), Some(inputs), None, Some(c_in)], counts);
        let b = visits(&ranks, &[Some(groups), None, Some(c_out), Some(c_in)], counts);
        let c = visits(&ranks, &[Some(groups), Some(positions), Some(c_out), None], counts);
        let ElementSizes { a: a_size, b: b_size, .. } = problem.sizes;
        [
            a.first.saturating_add(a.again).saturating_mul(a_size),
            b.first.saturating_add(b.again).saturating_mul(b_size).saturating_mul(problem.taps),
            problem.c_bytes(c.first, c.again),
        ]
    }

    /// The levels as they are reported, the innermost first.
    fn tiling(&self, loops: &ConvLoops, sizes: &ElementSizes, buffers: &[Buffer]) -> Result<Tiling, Error> {
        let mut levels = heapless::Vec::new();
        let [depth, height, width] = loops.output;
        let mut outer = Sizes {
            group: loops.groups,
            batch: loops.batch,
            c_out: loops.c_out,
            c_in: loops.c_in,
            axes: [depth, height, width],
        };
        for (choice, buffer) in self.chosen.iter().zip(buffers.iter().rev()) {
            let [a, b, c] = choice.traffic;
            if choice.traffic.contains(&u64::MAX) {
                return Err(Error::CountOverflow);
            }
            let level = LevelTiling {
                loops: choice.order.dims().iter().map(|&dim| choice.tile.along(dim, &outer)).collect(),
                stationary: match choice.stays {
                    Stays::One(operand) => operand,
                    Stays::All | Stays::Nothing => Operand::C,
                },
                footprint: Bytes(choice.footprint),
                traffic: Traffic { a: Bytes(a), b: Bytes(b), c: Bytes(c) },
                lower_bound: super::conv_bound::bound_conv(loops, sizes, buffer.capacity)?,
            };
            super::put_first(&mut levels, level)?;
            outer = choice.tile;
        }
        Ok(Tiling { levels })
    }
}

impl Sizes {
    /// The loop over tiles of these sizes along a dim.
    fn along(&self, dim: Dim, outer: &Self) -> TileLoop {
        let ([d, h, w], [outer_d, outer_h, outer_w]) = (self.axes, outer.axes);
        let (tile, extent) = match dim {
            Dim::Group | Dim::M | Dim::N | Dim::K => (self.group, outer.group),
            Dim::Batch => (self.batch, outer.batch),
            Dim::COut => (self.c_out, outer.c_out),
            Dim::CIn => (self.c_in, outer.c_in),
            Dim::Depth => (d, outer_d),
            Dim::Height => (h, outer_h),
            Dim::Width => (w, outer_w),
        };
        TileLoop { dim, tile, extent }
    }
}

/// Sums over pairs of tiles of two loops, by the depth of both.
fn times(mut a: ByDepth, b: ByDepth) -> ByDepth {
    for (a, b) in a.iter_mut().zip(b) {
        *a = a.saturating_mul(b);
    }
    a
}

/// Bytes that tiles of these sizes take.
fn footprint(problem: &Problem, tile: &Sizes, held: [u64; 3], times: [u64; 3]) -> u64 {
    let saturating = |factors: &[u64]| factors.iter().fold(1_u64, |product, &factor| product.saturating_mul(factor));
    let ([x0, x1, x2], [p0, p1, p2], [a, b, c]) = (held, tile.axes, times);
    let group = tile.group;
    saturating(&[a, problem.sizes.a, group, tile.batch, tile.c_in, x0, x1, x2])
        .saturating_add(saturating(&[b, problem.sizes.b, group, tile.c_out, tile.c_in, problem.taps]))
        .saturating_add(saturating(&[c, problem.sizes.partial, group, tile.batch, tile.c_out, p0, p1, p2]))
}
