//! Regions of memory: which level serves an operand's loads. What a level holds decides, not how much fits it.

use crate::error::Error;
use crate::hardware::{Filling, Holds, MemoryLevel};
use crate::mapping::Machine;
use crate::nest::Homes;
use crate::shape::product;
use crate::tile::MAX_LEVELS;
use crate::units::Bytes;

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
            if flow.distance <= capacity {
                // Small enough to stay from one run to the next, or loaded anew for each.
                let runs = if flow.least <= capacity { 1 } else { flow.runs };
                bytes = product([flow.least, runs])?;
            }
        }
        Ok(())
    }
}
