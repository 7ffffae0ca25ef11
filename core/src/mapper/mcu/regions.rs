//! Regions of memory: which level serves an operand's loads. What a level holds decides, not how much fits it.
//!
//! A loop whose operand does not stay in a cache loads all of it for each block; it may run in parts that do stay. Of the
//! order of the loop and of runs of parts each cache sees the better one. Leaves out that parts of one cache bind those of
//! another, and the calls of parts.

use crate::error::Error;
use crate::hardware::{Filling, Holds, MemoryLevel};
use crate::mapping::Machine;
use crate::nest::Homes;
use crate::shape::product;
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, to_f32};

/// Loads of one operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// Bytes of all loads.
    pub(super) bytes: u64,
    /// Bytes of each element once.
    pub(super) least: u64,
    /// Bytes that are touched between two uses of one.
    pub(super) distance: u64,
    /// How often all of it is used anew, at least 1; between two runs every byte of it is touched.
    pub(super) runs: u64,
}

impl Flow {
    /// Bytes that pass once.
    pub(super) const fn once(bytes: u64) -> Self {
        Self { bytes, least: bytes, distance: u64::MAX, runs: 1 }
    }

    /// Bytes that a cache asks for of so many that are asked of it: where it holds what is touched between two uses,
    /// each once in each of so many parts.
    fn missed(&self, capacity: u64, asked: u64, parts: u64) -> Result<u64, Error> {
        if self.distance > capacity {
            return Ok(asked);
        }
        // Small enough to stay from one run to the next, or loaded anew for each.
        let runs = if parts == 1 && self.least <= capacity { 1 } else { self.runs };
        product([self.least, runs, parts])
    }
}

/// Columns of A that a product takes all for each block of rows, or in several parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strips {
    /// How many.
    pub(super) columns: u64,
    /// Bytes of one of them.
    pub(super) bytes: u64,
    /// How many a block takes at once.
    pub(super) block: u64,
}

impl Strips {
    /// The fewest parts of whole blocks of which each fits a cache; none where not even a block does.
    fn parts(self, capacity: u64) -> Option<u64> {
        let columns = capacity.checked_div(self.bytes)?;
        let whole = columns.saturating_sub(columns.checked_rem(self.block)?);
        if whole == 0 { None } else { Some(self.columns.div_ceil(whole)) }
    }
}

/// Traffic and footprint of the levels of a device, as they add up.
#[derive(Clone, Debug)]
pub(super) struct Regions<'a> {
    levels: &'a [MemoryLevel<'a>],
    homes: Homes,
    traffic: [Bytes; MAX_LEVELS],
    footprint: [Bytes; MAX_LEVELS],
}

impl<'a> Regions<'a> {
    /// Nothing moved yet.
    pub(super) const fn new(machine: &Machine<'a>, homes: Homes) -> Self {
        let levels = machine.hardware.memory();
        Self { levels, homes, traffic: [Bytes::ZERO; MAX_LEVELS], footprint: [Bytes::ZERO; MAX_LEVELS] }
    }

    /// Bytes that each level serves, and that tiles take in it.
    pub(super) const fn tables(&self) -> ([Bytes; MAX_LEVELS], [Bytes; MAX_LEVELS]) {
        (self.traffic, self.footprint)
    }

    /// Cycles of this clock in which the core is served a byte of the input.
    pub(super) fn byte_cycles(&self, clock: f32) -> f32 {
        let home = self.region(self.homes.input, false);
        let serves = (0..home).find(|&level| self.cached(level, false)).unwrap_or(home);
        self.levels.get(serves).map_or(0.0, |level| clock / level.bandwidth.get())
    }

    /// Loads of both operands of a product.
    ///
    /// ```text
    /// in its order   A once where the cache holds all columns, else for each block of rows; B once
    /// in p parts     A once; B p times          p = ⌈columns / columns that the cache holds⌉
    /// ```
    /// The one of less time at the levels outside. Twice the columns are at most twice the parts, so that no cache
    /// makes twice the rows of a batch take more than twice the traffic.
    pub(super) fn operands(&mut self, [a, b]: [Flow; 2], weighted: bool, strips: Option<Strips>) -> Result<(), Error> {
        let kinds = [false, weighted];
        let names = [self.homes.input, if weighted { self.homes.weights } else { self.homes.input }];
        let [name_a, name_b] = names;
        let homes = [self.region(name_a, false), self.region(name_b, weighted)];
        let [home_a, home_b] = homes;
        let mut asked = [a.bytes.max(a.least), b.bytes.max(b.least)];
        for level in 0..=home_a.max(home_b) {
            let mut passes = [false; 2];
            for (((&bytes, home), weights), passes) in asked.iter().zip(homes).zip(kinds).zip(&mut passes) {
                let serves = level == home || (level < home && self.cached(level, weights));
                if let Some(traffic) = self.traffic.get_mut(level).filter(|_| serves) {
                    *traffic = traffic.checked_add(Bytes(bytes))?;
                }
                *passes = serves && level < home;
            }
            let capacity = self.levels.get(level).map_or(0, |level| level.instance_capacity().0);
            let ([pass_a, pass_b], [asked_a, asked_b]) = (passes, asked);
            let whole = [
                if pass_a { a.missed(capacity, asked_a, 1)? } else { asked_a },
                if pass_b { b.missed(capacity, asked_b, 1)? } else { asked_b },
            ];
            asked = whole;
            if let (true, Some(parts)) = (pass_a && pass_b, strips.and_then(|strips| strips.parts(capacity))) {
                let cut = [a.least, b.missed(capacity, asked_b, parts)?];
                let outside = [self.outside(level, home_a, false), self.outside(level, home_b, weighted)];
                if self.time(cut, outside) < self.time(whole, outside) {
                    asked = cut;
                }
            }
        }
        Ok(())
    }

    /// The level that serves what a cache asks for.
    fn outside(&self, cache: usize, home: usize, weights: bool) -> usize {
        (cache..home).skip(1).find(|&level| self.cached(level, weights)).unwrap_or(home)
    }

    /// Seconds that two levels need for so many bytes each; one level, for both.
    fn time(&self, [a, b]: [u64; 2], [level_a, level_b]: [usize; 2]) -> f32 {
        let seconds = |bytes: u64, level: usize| {
            self.levels.get(level).map_or(0.0, |level| to_f32(bytes) / level.bandwidth.get())
        };
        if level_a == level_b {
            seconds(a.saturating_add(b), level_a)
        } else {
            seconds(a, level_a).max(seconds(b, level_b))
        }
    }

    /// Loads of weights, or of activations.
    pub(super) fn read(&mut self, flow: Flow, weights: bool) -> Result<(), Error> {
        let home = self.region(if weights { self.homes.weights } else { self.homes.input }, weights);
        self.serve(flow, home, weights)
    }

    /// Stores of the result.
    pub(super) fn write(&mut self, bytes: u64) -> Result<(), Error> {
        let home = self.region(self.homes.output, false);
        self.serve(Flow::once(bytes), home, false)
    }

    /// Stores to and loads from a buffer of this size beside the input: bytes of both together, and what is touched
    /// between two uses of one.
    pub(super) fn buffer(&mut self, bytes: u64, size: u64, distance: u64) -> Result<(), Error> {
        let home = self.region(self.homes.input, false);
        if let Some(footprint) = self.footprint.get_mut(home) {
            *footprint = (*footprint).max(Bytes(size));
        }
        self.serve(Flow { bytes, least: 0, distance, runs: 1 }, home, false)
    }

    /// The level of a home. A home beyond the last level is the last; where that does not hold such bytes, it is the
    /// next one inwards that does: the backing store of a microcontroller is flash, and its activations lie in SRAM.
    fn region(&self, home: u8, weights: bool) -> usize {
        let last = self.levels.len().min(MAX_LEVELS).saturating_sub(1);
        let named = usize::from(home);
        // Weights that are copied to a level lie there, whatever else it holds.
        if weights && named <= last && !self.cached(named, weights) {
            return named;
        }
        let home = named.min(last);
        let inwards = (0..=home).rev().chain(home..=last);
        inwards.into_iter().find(|&level| self.holds(level, weights)).unwrap_or(home)
    }

    fn holds(&self, level: usize, weights: bool) -> bool {
        self.levels.get(level).is_some_and(|level| match level.holds {
            Holds::All => true,
            Holds::Weights => weights,
            Holds::Activations => !weights,
        })
    }

    /// Whether a level is a cache that such bytes pass.
    fn cached(&self, level: usize, weights: bool) -> bool {
        self.holds(level, weights) && self.levels.get(level).is_some_and(|level| level.filling == Filling::Cache)
    }

    /// Loads served by the caches in front of a level and by the level itself: a cache that holds what is touched
    /// between two uses passes each byte once.
    fn serve(&mut self, flow: Flow, home: usize, weights: bool) -> Result<(), Error> {
        let mut bytes = flow.bytes.max(flow.least);
        for level in 0..=home {
            let serves = level == home || self.cached(level, weights);
            if !serves {
                continue;
            }
            if let Some(traffic) = self.traffic.get_mut(level) {
                *traffic = traffic.checked_add(Bytes(bytes))?;
            }
            let capacity = self.levels.get(level).map_or(0, |level| level.instance_capacity().0);
            bytes = flow.missed(capacity, bytes, 1)?;
        }
        Ok(())
    }
}
