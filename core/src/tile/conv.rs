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
//! **Search.** For given channels and stationary operand, footprint and traffic are linear in the positions: a bound says which channels
//! can be the best, and the best positions have a closed form for each of few widths ([`search`]). One level is so near to exact. Of
//! several, what is least is the bytes of all levels together. The innermost level is tiled first, each other one of whole tiles of the
//! level inside it, so that none of those is cut: what it moves and what it makes the one inside move is then one problem of one level
//! ([`chain`]). Each is tried with each operand that may stay, and levels of close capacities, or of small nests, with less room too.
//!
//! So the levels inside are tiled alike whatever the room outside: more of it leaves the tiles that were tried, and tries more. The bytes
//! of one level alone have no such law: of two levels, the best for both may give up some of one. The outermost level first of all, as if
//! it were alone, would leave those inside little: in 512 KiB alone, tiles of 3 x 3 over 256 channels of 14 x 14 have two input channels,
//! so that sums come 128 times into 32 KiB inside, ten times the bytes of the tiles that are best for both.
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

mod chain;
mod line;
mod product;
mod search;
mod walk;

pub(super) use product::cut_product;
use walk::Walk;

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

impl Order {
    /// What stays while the innermost loop that steps runs; none where none does.
    fn stays(self, tile: &Sizes, whole: &Sizes) -> Option<Stays> {
        self.dims()
            .iter()
            .rev()
            .find(|&&dim| {
                let step = tile.along(dim, whole);
                step.tile < step.extent
            })
            .map(|dim| match dim {
                Dim::COut => Stays::One(Operand::A),
                Dim::CIn => Stays::One(Operand::C),
                Dim::Batch | Dim::Depth | Dim::Height | Dim::Width => Stays::One(Operand::B),
                Dim::Group | Dim::M | Dim::N | Dim::K => Stays::Nothing,
            })
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
    /// One tile of all there is, and the input positions of it along each axis.
    whole: Sizes,
    held: [u64; 3],
    axes: [Axis; 3],
    sizes: ElementSizes,
    taps: u64,
    images: u64,
    /// Output positions of all images.
    positions: u64,
    /// Bytes of A for each position that is moved of one image and channel.
    a_unit: u64,
    /// Bytes of B.
    b: u64,
    /// Bytes of C that come once, and that leave and come again.
    c_once: u64,
    c_again: u64,
    /// Whether the nest is so small that windows in the padding weigh.
    small: bool,
    /// What stays where there is one tile of all there is.
    one: Stays,
    /// Whether it is so small that levels far apart are tried with less than all of their room too.
    few: bool,
    /// Bytes of A, B and C once, and of all of them.
    operands: [u64; 3],
    once: u64,
}

/// Pairs of output and input channel and position of an image up to which a nest is small.
const SMALL: u64 = 1 << 12;

/// The same for which tiles of levels far apart are tried with less room too: in a larger nest, whole numbers weigh little there.
const FEW: u64 = 1 << 21;

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
    /// Bytes that move: those of levels inside that depend on this one among them while it is searched for, without them then.
    cost: u64,
}

/// The nest cut by the levels chosen so far.
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
}

/// Cuts a convolution into tiles for these buffers, from the innermost to the outermost.
///
/// # Errors
/// [`Error::Infeasible`] with the level that does not hold one output position of one input and one output channel;
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn tile_conv(loops: &ConvLoops, sizes: &ElementSizes, buffers: &[Buffer]) -> Result<Tiling, Error> {
    let problem = Problem::new(loops, sizes)?;
    let whole = State::whole(&problem);
    let mut walk = Walk { problem: &problem, path: heapless::Vec::new(), best: heapless::Vec::new(), least: u64::MAX };
    let nested = chain::nested(buffers);
    let mut lines = line::lines(&problem, &whole);
    let mut bounds = heapless::Vec::<u64, MAX_LEVELS>::new();
    for buffer in buffers {
        let bound = super::conv_bound::bound_conv(loops, sizes, buffer.capacity)?.0;
        bounds.push(bound).map_err(|_| super::gemm::too_many_levels())?;
    }
    let mut found = chain::chain(&problem, &mut lines, &nested, &bounds);
    if let Some(chain) = &mut found {
        chain.grow(&problem, |tile| whole.held_by(&problem, tile), buffers);
        walk.given(whole.clone(), &chain.levels, buffers);
    }
    walk.two(&whole, buffers);
    if walk.best.len() < buffers.len() {
        lines.iter_mut().for_each(|line| line.made_of(1));
        let mut fits =
            |buffer: &Buffer| chain::chain(&problem, &mut lines, core::slice::from_ref(buffer), &[0]).is_some();
        let level = buffers.iter().position(|buffer| !fits(buffer)).unwrap_or(0);
        return if found.is_some() {
            Err(Error::CountOverflow)
        } else {
            Err(Error::Infeasible { level: u8::try_from(level).unwrap_or(u8::MAX) })
        };
    }
    tiling(&walk.best, &problem, &bounds)
}

impl Problem {
    fn new(loops: &ConvLoops, sizes: &ElementSizes) -> Result<Self, Error> {
        let axes = loops.axes()?;
        let taps = product(loops.kernel)?;
        let images = product([loops.batch, loops.groups])?;
        let weights = product([loops.groups, loops.c_out, loops.c_in, taps])?;
        let positions = product([loops.batch, product(loops.output)?])?;
        let elements = product([loops.groups, loops.c_out, positions])?;
        // Every tile is at most the whole: what fits once, does not wrap in any product of parts.
        product([elements, sizes.c.max(sizes.partial)])?;
        let c_again = elements.saturating_mul(2).saturating_mul(sizes.partial);
        let pairs = product([loops.c_out, loops.c_in, product(loops.output)?])?;
        let held = axes.map(|axis| axis.touched());
        let (a_unit, b) = (product([images, loops.c_in, sizes.a])?, product([weights, sizes.b])?);
        let c_once = elements.saturating_mul(sizes.c);
        let operands = [product([a_unit, product(held)?])?, b, c_once];
        let once = operands.into_iter().fold(0, u64::saturating_add);
        Ok(Self {
            whole: Sizes {
                group: loops.groups,
                batch: loops.batch,
                c_out: loops.c_out,
                c_in: loops.c_in,
                axes: loops.output,
            },
            held,
            axes,
            sizes: *sizes,
            taps,
            images: loops.batch,
            positions,
            a_unit,
            b,
            c_once,
            c_again,
            operands,
            once,
            small: pairs <= SMALL,
            one: Stays::All,
            few: pairs <= FEW,
        })
    }

    /// Bytes of C if each element comes so often.
    fn c_bytes(&self, visits: u64) -> u64 {
        self.c_once.saturating_add(self.spill(visits))
    }

    /// Bytes of C beyond the first of so many visits.
    fn spill(&self, visits: u64) -> u64 {
        self.c_again.saturating_mul(visits.saturating_sub(1))
    }

    /// Bytes of so many elements of C that leave and come again.
    fn spilled(&self, elements: u64) -> u64 {
        elements.saturating_mul(2).saturating_mul(self.sizes.partial)
    }
}

impl State {
    /// Before any level: the whole nest is one tile.
    fn whole(problem: &Problem) -> Self {
        let Problem { whole, held, .. } = *problem;
        Self {
            tile: whole,
            held,
            group: Cut::whole(whole.group),
            batch: Cut::whole(whole.batch),
            c_out: Cut::whole(whole.c_out),
            c_in: Cut::whole(whole.c_in),
            axes: whole.axes.map(Cut::whole),
            counts: [[1; MAX_LEVELS + 1]; CLASSES],
            stays: Stays::All,
        }
    }

    /// Cuts its tiles once more.
    fn cut(&mut self, choice: &Choice, held: [u64; 3]) {
        let Choice { tile, stays, .. } = *choice;
        self.counts = self.counts_at(&tile);
        (self.tile, self.held, self.stays) = (tile, held, stays);
        for (cut, tile) in self.axes.iter_mut().zip(tile.axes) {
            cut.push(tile);
        }
        self.group.push(tile.group);
        self.batch.push(tile.batch);
        self.c_out.push(tile.c_out);
        self.c_in.push(tile.c_in);
    }

    /// Numbers of tiles of each class if they were cut into these sizes.
    fn numbers(&self, tile: &Sizes) -> [u64; CLASSES] {
        let positions = self.axes.iter().zip(tile.axes);
        let images = self.batch.count_at(tile.batch);
        let positions = positions.fold(images, |n, (cut, tile)| n.saturating_mul(cut.count_at(tile)));
        [self.group.count_at(tile.group), positions, self.c_out.count_at(tile.c_out), self.c_in.count_at(tile.c_in)]
    }

    /// Numbers of tiles of each class after each level, if tiles of these sizes are the next.
    fn counts_at(&self, tile: &Sizes) -> [ByDepth; CLASSES] {
        let at = self.numbers(tile);
        let mut counts = self.counts;
        let level = self.group.levels().saturating_add(1);
        for (by, count) in counts.iter_mut().zip(at) {
            if let Some(entry) = by.get_mut(level) {
                *entry = count;
            }
        }
        counts
    }

    /// Most input positions of a tile along each axis, if tiles of these sizes are the next.
    fn held_by(&self, problem: &Problem, tile: &Sizes) -> [u64; 3] {
        let mut held = self.held;
        for ((held, cut), (axis, tile)) in held.iter_mut().zip(&self.axes).zip(problem.axes.iter().zip(tile.axes)) {
            *held = cut.held(axis, tile, *held);
        }
        held
    }

    /// Bytes of each operand at the next level, inside these ones, if it has these tiles and this order.
    fn traffic_of(&self, problem: &Problem, outside: &[Choice], tile: &Sizes, order: Order) -> [u64; 3] {
        let mut ranks = heapless::Vec::<Ranks, MAX_LEVELS>::new();
        for choice in outside {
            ranks.push(choice.order.ranks()).ok();
        }
        ranks.push(order.ranks()).ok();
        let ([a0, a1, a2], [t0, t1, t2]) = (&problem.axes, tile.axes);
        let [depth, height, width] = &self.axes;
        let batch = self.batch.sums_at(tile.batch);
        let positions = times(times(batch, depth.sums_at(t0)), times(height.sums_at(t1), width.sums_at(t2)));
        let inputs = times(times(batch, depth.moved(a0, t0)), times(height.moved(a1, t1), width.moved(a2, t2)));
        let (groups, c_out, c_in) =
            (self.group.sums_at(tile.group), self.c_out.sums_at(tile.c_out), self.c_in.sums_at(tile.c_in));
        let counts = &self.counts_at(tile);
        let a = visits(&ranks, &[Some(groups), Some(inputs), None, Some(c_in)], counts);
        let b = visits(&ranks, &[Some(groups), None, Some(c_out), Some(c_in)], counts);
        let c = visits(&ranks, &[Some(groups), Some(positions), Some(c_out), None], counts);
        let ElementSizes { a: a_size, b: b_size, c: c_size, .. } = problem.sizes;
        [
            a.first.saturating_add(a.again).saturating_mul(a_size),
            b.first.saturating_add(b.again).saturating_mul(b_size).saturating_mul(problem.taps),
            c.first.saturating_mul(c_size).saturating_add(problem.spilled(c.again)),
        ]
    }
}

/// The levels as they are reported, the innermost first.
fn tiling(chosen: &[Choice], problem: &Problem, bounds: &[u64]) -> Result<Tiling, Error> {
    let mut levels = heapless::Vec::new();
    let mut outers = [problem.whole; MAX_LEVELS];
    for (outer, choice) in outers.iter_mut().skip(1).zip(chosen) {
        *outer = choice.tile;
    }
    for ((choice, outer), &bound) in chosen.iter().zip(&outers).rev().zip(bounds) {
        let [a, b, c] = choice.traffic;
        if choice.traffic.contains(&u64::MAX) {
            return Err(Error::CountOverflow);
        }
        let level = LevelTiling {
            loops: choice.order.dims().iter().map(|&dim| choice.tile.along(dim, outer)).collect(),
            stationary: match choice.stays {
                Stays::One(operand) => operand,
                Stays::All | Stays::Nothing => Operand::C,
            },
            footprint: Bytes(choice.footprint),
            traffic: Traffic { a: Bytes(a), b: Bytes(b), c: Bytes(c) },
            lower_bound: Bytes(bound),
        };
        levels.push(level).map_err(|_| Error::CountOverflow)?;
    }
    Ok(Tiling { levels })
}

impl Sizes {
    /// Steps through the tile, taps and groups apart.
    fn steps(&self) -> u64 {
        let Self { group, batch, c_out, c_in, axes: [d, h, w] } = *self;
        [group, batch, c_out, c_in, d, h, w].into_iter().fold(1, u64::saturating_mul)
    }

    /// The next sizes up to those of the whole, as a number counts on; false after the last.
    fn step(&mut self, whole: &Self) -> bool {
        let Self { group, batch, c_out, c_in, axes: [d, h, w] } = self;
        let [e0, e1, e2] = whole.axes;
        let most = [whole.group, whole.batch, whole.c_out, whole.c_in, e0, e1, e2];
        for (size, most) in [group, batch, c_out, c_in, d, h, w].into_iter().zip(most) {
            if *size < most {
                *size = size.saturating_add(1);
                return true;
            }
            *size = 1;
        }
        false
    }

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
