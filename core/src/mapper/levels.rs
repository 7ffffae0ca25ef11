//! Bytes at each memory level: what the tilings of a nest move, and what a stream passes, up to where the operands lie.
//!
//! ```text
//! level 0:      what the units read and write
//! level l > 0:  what passes between level l − 1 and level l
//! ```
//! Each level is tiled on its own, for the whole nest in one instance: its traffic is the least that its capacity allows. So more
//! room never moves more, and what is best does not depend on how fast the levels are. What a level inside does not ask for, none
//! outside it serves. A level too small for any tile lets everything pass.
//!
//! An operand passes no level beyond its home, and no level that does not hold its kind: it then goes straight to the next inner
//! level that does, or to the units. Where an operand lies whole within a level, the others cross the border of that level once:
//! it is the stationary one, and the loops of the others go around it.
//!
//! Leaves out that tiles of an inner level end at the edges of those outside it: tilings that are nested move more. For the
//! convolutions of ResNet-50 and eight products in 32 KiB, 1 MiB and 32 MiB it is 4 % more at the median in the innermost level and
//! nothing in the others; in 32 KiB and 512 KiB 12 and 11 %; up to twice as much where a level has only four times the capacity of
//! the one inside it (`cargo run -p derate-tests --example nested_levels`). Leaves out, too, what several instances all read: what
//! they need at once is moved to them once.

use super::lanes::ceil;
use crate::error::Error;
use crate::hardware::{Filling, Holds, MemoryLevel};
use crate::mapping::{Machine, Mapping};
use crate::nest::{Homes, LoopNest, Operand, Stream, Traffic};
use crate::roofline::smooth_max;
use crate::shape::product;
use crate::tile::{Buffer, LevelTiling, MAX_LEVELS, Tiling, tile};
use crate::units::{Bytes, Seconds, to_f32};

/// What crosses the border of each level with the one inside it; of the first, with the units.
pub(super) type Crossing = [Traffic; MAX_LEVELS];

/// The memory levels that a mapping tells apart: the first [`MAX_LEVELS`], of which the last is the backing store.
pub(super) fn of<'a>(machine: &Machine<'a>) -> &'a [MemoryLevel<'a>] {
    let memory = machine.hardware.memory();
    memory.get(..MAX_LEVELS).unwrap_or(memory)
}

/// One operand on its way from its home to the units, or back.
#[derive(Clone, Copy, Debug)]
struct Flow {
    weights: bool,
    home: usize,
}

/// The operands of traffic, in the order of flows.
const OPERANDS: [fn(&Traffic) -> Bytes; 3] = [|traffic| traffic.a, |traffic| traffic.b, |traffic| traffic.c];

/// The memory levels as a nest uses them: all that does not depend on what the units ask for.
#[derive(Clone, Debug)]
pub(super) struct Levels<'a> {
    memory: &'a [MemoryLevel<'a>],
    flows: [Flow; 3],
    /// Every operand once.
    pub(super) once: Traffic,
    /// Within this level lies the first operand whole; levels before it are tiled.
    resident: usize,
    /// `None` of a level that holds not even the smallest tile, and of those whose tiles the mapper cuts itself.
    tiles: heapless::Vec<Option<LevelTiling>, MAX_LEVELS>,
    /// What crosses the outer border of each level with its tiles, or with whole operands in it, and the sum; `None` where there are
    /// neither.
    own: [Option<(Traffic, Bytes)>; MAX_LEVELS],
}

impl<'a> Levels<'a> {
    /// Tiles for the levels from this one on, the last left out; tiles inside it are the mapper's own.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn of(nest: &'a LoopNest, machine: &Machine<'a>, first: usize) -> Result<Self, Error> {
        Self::in_capacities(nest, machine, first, |_, level| level.instance_capacity())
    }

    /// The same where tiles have this room in an instance of a level, by its index.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn in_capacities(
        nest: &'a LoopNest,
        machine: &Machine<'a>,
        first: usize,
        capacity: impl Fn(usize, &MemoryLevel<'a>) -> Bytes,
    ) -> Result<Self, Error> {
        let memory = of(machine);
        let last = memory.len().saturating_sub(1);
        let Homes { input, weights, output } = nest.homes;
        let [a, b, c] =
            [input, if nest.weighted { weights } else { input }, output].map(|home| usize::from(home).min(last));
        let flows = [
            Flow { weights: false, home: a },
            Flow { weights: nest.weighted, home: b },
            Flow { weights: false, home: c },
        ];
        // Filled where it is returned: tiles are large.
        let mut levels = Ok(Self {
            memory,
            flows,
            once: Traffic::compulsory(nest)?,
            resident: a.min(b).min(c),
            tiles: heapless::Vec::new(),
            own: [None; MAX_LEVELS],
        });
        if let Ok(place) = &mut levels
            && let Err(error) = place.fill(nest, first, capacity)
        {
            levels = Err(error);
        }
        levels
    }

    /// Tiles the levels, and counts what crosses their borders.
    fn fill(
        &mut self,
        nest: &LoopNest,
        first: usize,
        capacity: impl Fn(usize, &MemoryLevel<'a>) -> Bytes,
    ) -> Result<(), Error> {
        for (level, number) in self.memory.iter().take(self.resident).zip(0_usize..MAX_LEVELS) {
            let buffer =
                Buffer { capacity: capacity(number, level), double_buffered: level.filling == Filling::Scratchpad };
            let tiles = if number < first {
                None
            } else {
                match &mut tile(nest, &[buffer]) {
                    Ok(tiling) => tiling.levels.pop(),
                    Err(Error::Infeasible { .. }) => None,
                    Err(error) => return Err(*error),
                }
            };
            self.tiles.push(tiles).ok();
        }
        self.own = self.own(nest.repeats)?;
        Ok(())
    }

    /// What crosses the outer border of each level by itself.
    fn own(&self, repeats: u64) -> Result<[Option<(Traffic, Bytes)>; MAX_LEVELS], Error> {
        let mut crossing = [None; MAX_LEVELS];
        for (border, (level, place)) in (0..MAX_LEVELS).zip(self.memory.iter().zip(&mut crossing)) {
            let own = if border < self.resident {
                let tiles = self.tiles.get(border).and_then(Option::as_ref);
                tiles.map(|tiles| self.enough(&tiles.traffic))
            } else {
                // Weights of a recurrent layer that a level does not keep come again for each run.
                let times = if self.once.b <= level.instance_capacity() { 1 } else { repeats };
                Some(Traffic { b: Bytes(product([self.once.b.0, times])?), ..self.once })
            };
            *place = own.map(|own| Ok((own, own.total()?))).transpose()?;
        }
        Ok(crossing)
    }

    /// Whether every operand passes so many of the innermost levels.
    pub(super) fn all_pass(&self, count: usize) -> bool {
        let inner = self.memory.get(..count);
        self.flows.iter().all(|flow| flow.home >= count.saturating_sub(1))
            && inner.is_some_and(|levels| levels.iter().all(|level| level.holds == Holds::All))
    }

    /// The innermost level that was to be tiled and holds not even the smallest tile.
    pub(super) fn too_small(&self, first: usize) -> Option<u8> {
        let mut levels = (0_u8..u8::MAX).zip(&self.tiles).skip(first);
        levels.find(|(_, tiles)| tiles.is_none()).map(|(number, _)| number)
    }

    /// At least each operand once.
    ///
    /// A dilated window with steps larger than itself is taken to touch what lies between its taps: more than what is read.
    fn enough(&self, traffic: &Traffic) -> Traffic {
        let Traffic { a, b, c } = self.once;
        Traffic { a: traffic.a.max(a), b: traffic.b.max(b), c: traffic.c.max(c) }
    }

    /// What crosses each border, where `given` crosses the innermost ones: that of the units, and of levels that they tile.
    ///
    /// ```text
    /// crossing(l) = the one of fewer bytes of crossing(l − 1) and the tiles of level l − 1
    /// ```
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn crossing(&self, given: &[Traffic]) -> Result<Crossing, Error> {
        self.crossing_at_least(given, &[Traffic::default(); MAX_LEVELS])
    }

    /// The same where so much crosses the outer border of each level at least, whatever its tiles: what several instances all
    /// read.
    ///
    /// # Errors
    /// As [`Self::crossing`].
    pub(super) fn crossing_at_least(&self, given: &[Traffic], at_least: &Crossing) -> Result<Crossing, Error> {
        let first = given.first().map_or(self.once, |given| self.enough(given));
        let mut crossing = [first; MAX_LEVELS];
        let mut inside = (first, first.total()?);
        let mut given = given.iter().skip(1);
        let borders = self.own.iter().zip(at_least).zip(crossing.iter_mut().skip(1));
        for (border, ((own, least), place)) in (0..self.memory.len()).zip(borders) {
            let mut own = match given.next().filter(|_| border < self.resident).map(|given| self.enough(given)) {
                Some(given) => (given, given.total()?),
                None => own.unwrap_or(inside),
            };
            let least = (*least, least.total()?);
            if least.1 > own.1 {
                own = least;
            }
            if own.1 < inside.1 {
                inside = own;
            }
            *place = inside.0;
        }
        Ok(crossing)
    }

    /// Bytes that each level serves or takes; weights take `stored` bytes a byte in memory.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn served(&self, crossing: &Crossing, stored: f32) -> Result<[Bytes; MAX_LEVELS], Error> {
        let mut served = [Bytes::ZERO; MAX_LEVELS];
        for (flow, of) in self.flows.iter().zip(OPERANDS) {
            let times = stored_times(flow, stored);
            // What the inner level that holds this operand asks for, or the units.
            let mut asked = None;
            let places = self.memory.iter().zip(&mut served).zip(crossing);
            for (number, ((level, place), crossing)) in (0..flow.home.saturating_add(1)).zip(places) {
                let traffic = *asked.get_or_insert(crossing);
                if number == flow.home || holds(level, flow.weights) {
                    *place = place.checked_add(bytes_of(of(traffic), times)?)?;
                    asked = None;
                }
            }
        }
        Ok(served)
    }

    /// Writes into a mapping what is moved and what it occupies.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub(super) fn moved(&self, crossing: &Crossing, stored: f32, mapping: &mut Mapping) -> Result<(), Error> {
        mapping.traffic = self.served(crossing, stored)?;
        self.occupied(crossing, stored, mapping)
    }

    /// Writes into a mapping what its tiles and whole operands occupy.
    ///
    /// # Errors
    /// As [`Self::moved`].
    pub(super) fn occupied(&self, crossing: &Crossing, stored: f32, mapping: &mut Mapping) -> Result<(), Error> {
        let footprint = &mut mapping.footprint;
        let last = self.memory.len().saturating_sub(1);
        for (flow, of) in self.flows.iter().zip(OPERANDS).filter(|(flow, _)| flow.home < last) {
            if let (Some(place), Some(level)) = (footprint.get_mut(flow.home), self.memory.get(flow.home)) {
                let bytes = place.checked_add(bytes_of(of(&self.once), stored_times(flow, stored))?)?;
                *place = bytes.min(level.instance_capacity());
            }
        }
        if self.tiles.is_empty() {
            return Ok(());
        }
        let levels = &mut mapping.tiling.insert(Tiling { levels: heapless::Vec::new() }).levels;
        for ((tiles, place), &traffic) in self.tiles.iter().zip(footprint).zip(crossing.iter().skip(1)) {
            *place = tiles.as_ref().map_or(Bytes::ZERO, |tiles| tiles.footprint);
            levels.push(tiles.clone().unwrap_or_else(|| passing(traffic))).ok();
        }
        Ok(())
    }
}

/// The entry of a level that holds no tile.
const fn passing(traffic: Traffic) -> LevelTiling {
    LevelTiling {
        loops: heapless::Vec::new(),
        stationary: Operand::C,
        footprint: Bytes::ZERO,
        traffic,
        lower_bound: Bytes::ZERO,
    }
}

/// Bytes that are stored for one of an operand, where they are fewer or more than one.
fn stored_times(flow: &Flow, stored: f32) -> Option<f32> {
    (flow.weights && (stored - 1.0).abs() >= f32::EPSILON).then_some(stored)
}

/// Bytes of one operand as they are stored.
fn bytes_of(bytes: Bytes, times: Option<f32>) -> Result<Bytes, Error> {
    times.map_or(Ok(bytes), |times| Ok(Bytes(ceil(bytes.as_f32() * times)?)))
}

/// Whether a level holds weights, or activations.
pub(super) fn holds(level: &MemoryLevel<'_>, weights: bool) -> bool {
    match level.holds {
        Holds::All => true,
        Holds::Weights => weights,
        Holds::Activations => !weights,
    }
}

/// Bytes of a stream at each level: each byte once, up to its home, past levels that do not hold its kind.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub(super) fn streamed(stream: &Stream, machine: &Machine<'_>) -> Result<[Bytes; MAX_LEVELS], Error> {
    let memory = of(machine);
    let last = memory.len().saturating_sub(1);
    let Homes { input, weights, output } = stream.homes;
    let mut served = [Bytes::ZERO; MAX_LEVELS];
    for (bytes, home, is_weights) in
        [(stream.read, input, false), (stream.weights, weights, true), (stream.written, output, false)]
    {
        let home = usize::from(home).min(last);
        for (number, (level, place)) in (0..home.saturating_add(1)).zip(memory.iter().zip(&mut served)) {
            if number == home || holds(level, is_weights) {
                *place = place.checked_add(bytes)?;
            }
        }
    }
    Ok(served)
}

/// How fast a machine computes and moves, in cycles of its units: of two mappings it tells the faster one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Software's share of the arithmetic.
    efficiency: f32,
    /// Bytes that software moves in a cycle at each level.
    rates: [f32; MAX_LEVELS],
}

impl Pace {
    pub(super) fn of(machine: &Machine<'_>) -> Self {
        let factors = machine.thermal_profile.factors.at(machine.precision);
        let [efficiency, share] =
            factors.map_or([1.0; 2], |at| [at.efficiency_factor.get(), at.memory_bottleneck_factor.get()]);
        // Inner levels are clocked with the units; the backing store has a bandwidth of its own in each power mode.
        let [described, clock] = [machine.unit.clock.get(), machine.clock.get()];
        let mut rates = [f32::INFINITY; MAX_LEVELS];
        let mut levels = machine.hardware.memory().iter().zip(&mut rates).peekable();
        while let Some((level, rate)) = levels.next() {
            let bandwidth = if levels.peek().is_some() {
                level.bandwidth.get() / described
            } else {
                machine.thermal_profile.bandwidth.unwrap_or(level.bandwidth).get() / clock
            };
            *rate = bandwidth * share;
        }
        Self { efficiency, rates }
    }

    /// Time of so many cycles alone, in cycles of the units: with bytes it is no less.
    pub(super) fn computing(&self, cycles: f32) -> f32 {
        cycles / self.efficiency
    }

    /// Time of so many cycles and bytes at each level, in cycles of the units, moves hidden behind arithmetic: what an estimate
    /// makes of them.
    pub(super) fn busy(&self, cycles: f32, traffic: &[Bytes; MAX_LEVELS]) -> f32 {
        let mut longest = 0.0_f32;
        for (bytes, rate) in traffic.iter().zip(self.rates) {
            longest = longest.max(bytes.as_f32() / rate);
        }
        smooth_max(Seconds(self.computing(cycles)), Seconds(longest)).0
    }

    /// Whether so many cycles, and bytes at the innermost levels, take longer than this time by more than a rounding.
    ///
    /// ```text
    /// (cycles / efficiency / time)³ + (bytes / rate / time)³ > 1          the smooth maximum, without its root
    /// ```
    pub(super) fn is_longer<const N: usize>(&self, time: f32, cycles: f32, bytes: [f32; N]) -> bool {
        let slowest = bytes.iter().zip(self.rates).fold(0.0_f32, |most, (bytes, rate)| most.max(bytes / rate));
        let [compute, memory] = [self.computing(cycles) / time, slowest / time];
        compute * compute * compute + memory * memory * memory > LONGER
    }

    /// What takes longer than this time: pieces of work of so many cycles each, and as often their bytes at the innermost level.
    pub(super) fn limit(&self, time: f32, cycles: f32, runs: f32) -> Limit {
        let innermost = self.rates.first().copied().unwrap_or(f32::INFINITY);
        Limit { of_work: cycles / (self.efficiency * time), of_byte: runs / (innermost * time) }
    }
}

/// A sum of cubes of shares of a time that is above 1 whatever the roundings.
const LONGER: f32 = 1.0001;

/// A time that is to be undercut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Share of it that a piece of work takes.
    of_work: f32,
    /// Share of it that a byte at the innermost level takes.
    of_byte: f32,
}

impl Limit {
    /// No limit.
    pub(super) const NONE: Self = Self { of_work: 0.0, of_byte: 0.0 };

    /// Whether so much work and so many bytes take longer, by more than a rounding.
    ///
    /// ```text
    /// (work · of_work)³ + (bytes · of_byte)³ > 1          the smooth maximum, without its root
    /// ```
    pub(super) fn is_passed(&self, work: u64, bytes: f32) -> bool {
        let [work, memory] = [to_f32(work) * self.of_work, bytes * self.of_byte];
        work * work * work + memory * memory * memory > LONGER
    }
}
