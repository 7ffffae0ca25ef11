//! Ways to tile a product in registers: their slots and bytes, and which of them are worth a look.

use super::kernel::sum;
use crate::error::Error;
use crate::nest::Traffic;
use crate::shape::product;
use crate::units::Bytes;

/// Slots of all tiles by what they need, each including the one before, and of the busiest core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    /// Multiply-adds, lanes partly filled.
    pub(super) multiply: u64,
    /// Loads and sums across lanes.
    pub(super) issue: u64,
    /// Waits for the latency of an instruction.
    pub(super) wait: u64,
    /// Of the busiest core.
    pub(super) busiest: u64,
}

impl Slots {
    /// Of two products one after the other.
    pub(super) fn and(&self, other: &Self) -> Result<Self, Error> {
        Ok(Self {
            multiply: sum(self.multiply, other.multiply)?,
            issue: sum(self.issue, other.issue)?,
            wait: sum(self.wait, other.wait)?,
            busiest: sum(self.busiest, other.busiest)?,
        })
    }
}

/// A product in register tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiled {
    pub(super) slots: Slots,
    /// Bytes between registers and the innermost level.
    pub(super) traffic: Traffic,
    /// Bytes there that belong to no operand.
    pub(super) local: Bytes,
    /// Whether its time is known.
    pub(super) seen: bool,
}

/// A way that rules out tiles.
#[derive(Clone, Copy)]
pub(super) struct Rival {
    /// Tiles of more slots than this, on one core, are no faster.
    pub(super) slots_before: u64,
    pub(super) bytes: u64,
}

/// Whether the first is no worse than the second in both slots and bytes.
const fn no_worse((slots, bytes): (u64, u64), (more_slots, more_bytes): (u64, u64)) -> bool {
    slots <= more_slots && bytes <= more_bytes
}

/// Bytes of all operands.
pub(super) const fn whole(traffic: &Traffic) -> u64 {
    let Traffic { a, b, c } = traffic;
    a.0.saturating_add(b.0).saturating_add(c.0)
}

/// Ways to tile a product of which none is worse than another in both slots and bytes.
pub(super) type Ways = heapless::Vec<Tiled, 40>;

impl Tiled {
    /// Slots of the busiest core, and bytes between registers and the innermost level.
    const fn cost(&self) -> (u64, u64) {
        (self.slots.busiest, whole(&self.traffic))
    }

    /// What a tile on so many cores must be better than where this way is there.
    pub(super) fn rival(&self, cores: u64) -> Rival {
        let (busiest, bytes) = self.cost();
        // ⌈total / cores⌉ ≥ busiest where total > (busiest − 1) · cores: no division for each tile.
        Rival { slots_before: busiest.saturating_sub(1).saturating_mul(cores), bytes }
    }

    /// One way more, where none is as good in both; those that it beats in both go.
    pub(super) fn join(self, ways: &mut Ways) {
        let cost = self.cost();
        if ways.iter().any(|way| no_worse(way.cost(), cost)) {
            return;
        }
        let mut kept = 0_usize;
        for number in 0..ways.len() {
            if let Some(way) = ways.get(number).copied().filter(|way| !no_worse(cost, way.cost())) {
                if let Some(place) = ways.get_mut(kept) {
                    *place = way;
                }
                kept = kept.saturating_add(1);
            }
        }
        while ways.len() > kept {
            ways.pop();
        }
        ways.push(self).ok();
    }

    /// This product and then another one, whose A is the C of this one and stays in the innermost level.
    pub(super) fn then(&self, next: &Self) -> Result<Self, Error> {
        Ok(Self {
            local: self.traffic.c.checked_add(next.traffic.a)?,
            traffic: Traffic { a: self.traffic.a, b: self.traffic.b.checked_add(next.traffic.b)?, c: next.traffic.c },
            slots: self.slots.and(&next.slots)?,
            seen: false,
        })
    }

    /// The same product so many times.
    pub(super) fn repeat(&mut self, times: u64) -> Result<(), Error> {
        let Slots { multiply, issue, wait, busiest } = &mut self.slots;
        let Traffic { a, b, c } = &mut self.traffic;
        for count in [multiply, issue, wait, busiest, &mut a.0, &mut b.0, &mut c.0, &mut self.local.0] {
            *count = product([*count, times])?;
        }
        Ok(())
    }
}
