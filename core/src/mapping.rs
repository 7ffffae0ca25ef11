//! Mapping: how a task lies on the units of a device, in cycles and bytes, before software's share of the roofs is taken off.
//!
//! A [`Mapper`] is the geometry of one kind of device: which lanes its tiles fill, how often an array is filled and drained, what its
//! tilings move. It says cycles of arithmetic and bytes at each level; [`mod@crate::estimate`] makes times and energies of them, the
//! same way for all.

use crate::error::Error;
use crate::hardware::{ComputeUnit, Hardware, ThermalProfile};
use crate::nest::{LoopNest, Stream};
use crate::shape::Precision;
use crate::tile::{MAX_LEVELS, Tiling};
use crate::units::{Bytes, Cycles, Hertz, Macs, MacsPerCycle, Seconds, to_f32};

/// A described device with the mapper of its kind, as a constant in flash or lent by a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device<'a, M> {
    /// Its units, memories and power modes.
    pub hardware: Hardware<'a>,
    /// Its geometry.
    pub mapper: M,
}

/// What a mapper maps to: a device in one of its power modes, for one precision.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// The device.
    pub hardware: &'a Hardware<'a>,
    /// Its power mode.
    pub thermal_profile: &'a ThermalProfile<'a>,
    /// The units that work in this precision.
    pub unit: &'a ComputeUnit<'a>,
    /// Their clock in this mode.
    pub clock: Hertz,
    /// The precision.
    pub precision: Precision,
    /// MACs that one unit completes in a cycle.
    pub macs_per_cycle: MacsPerCycle,
}

impl<'a> Machine<'a> {
    /// The fastest units of a device for a precision, at their sustained clock in a power mode.
    ///
    /// # Errors
    /// [`Error::NoUnitForPrecision`] where none works in it.
    pub fn new(
        hardware: &'a Hardware<'a>,
        thermal_profile: &'a ThermalProfile<'a>,
        precision: Precision,
    ) -> Result<Self, Error> {
        let (unit, _) = hardware.fastest(precision)?;
        let macs_per_cycle = unit.macs_per_cycle.at(precision).ok_or(Error::NoUnitForPrecision)?;
        Ok(Self {
            hardware,
            thermal_profile,
            unit,
            clock: hardware.clock(unit, thermal_profile.clock)?,
            precision,
            macs_per_cycle,
        })
    }

    /// The same machine while the first unit of the device runs at this clock, and the others with it.
    ///
    /// # Errors
    /// [`Error::NotPositive`] where the scaled clock is no number of 32 bits.
    pub fn at_clock(mut self, first: Option<Hertz>) -> Result<Self, Error> {
        self.clock = self.hardware.clock(self.unit, first)?;
        Ok(self)
    }

    /// Share of the units that the tiles of a large problem fill, by the description; 1 where it says nothing.
    #[must_use]
    pub fn tile_utilization(&self) -> f32 {
        self.thermal_profile.factors.at(self.precision).map_or(1.0, |factors| factors.tile_utilization.get().min(1.0))
    }

    /// Cycles that these units need at least for so many MACs, all lanes full.
    #[must_use]
    pub fn least_cycles(&self, macs: Macs) -> f32 {
        macs.as_f32() / (to_f32(u64::from(self.unit.count)) * self.macs_per_cycle.get())
    }
}

/// A reason why units idle although there is work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Loss {
    /// Tiles at the edge do not fill the lanes of the unit.
    EdgeTiles,
    /// Channels are padded to what the unit works on at once.
    Padding,
    /// The last wave of tiles does not fill all units, or there are fewer tiles than units.
    Waves,
    /// Units have unequal shares.
    Imbalance,
    /// An array or pipeline fills and drains.
    FillDrain,
    /// Too few independent sums hide the latency of an instruction.
    Latency,
    /// Instructions that are no MACs: loads, address arithmetic, branches.
    Issue,
    /// Weights are loaded into the array before they are used.
    WeightLoad,
    /// The units have no instructions of this kind and emulate them.
    Emulation,
    /// Engines that bring operands are slower than the arithmetic.
    Movement,
}

/// A loss, and the share of the peak that it leaves: above 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lost {
    /// Why.
    pub loss: Loss,
    /// Share that is left.
    pub left: f32,
}

/// Most losses that a mapping names.
pub const MAX_LOSSES: usize = 6;

/// How one nest or stream lies on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Cycles of arithmetic, all units side by side, at the machine's clock.
    pub compute_cycles: Cycles,
    /// MACs over those that all units could have done in these cycles, 0 to 1; the product of what the losses leave.
    pub utilization: f32,
    /// Why units idle.
    pub losses: heapless::Vec<Lost, MAX_LOSSES>,
    /// Bytes that each memory level serves or takes, from the innermost on; of levels beyond an operand's home none.
    pub traffic: [Bytes; MAX_LEVELS],
    /// Bytes that tiles take in one instance of each level.
    pub footprint: [Bytes; MAX_LEVELS],
    /// The tiles, where there are some: an entry for each level from the innermost on, whose loops each cut the whole nest.
    pub tiling: Option<Tiling>,
    /// Time before the arithmetic starts, beside the runtime's dispatch and the launch of the kernel.
    pub setup: Seconds,
    /// Whether moves hide behind arithmetic; else the times add up.
    pub overlapped: bool,
}

impl Mapping {
    /// Nothing computed, nothing moved; moves hide behind arithmetic.
    #[must_use]
    pub const fn idle() -> Self {
        Self {
            compute_cycles: Cycles::ZERO,
            utilization: 0.0,
            losses: heapless::Vec::new(),
            traffic: [Bytes::ZERO; MAX_LEVELS],
            footprint: [Bytes::ZERO; MAX_LEVELS],
            tiling: None,
            setup: Seconds::ZERO,
            overlapped: true,
        }
    }
}

/// Cycles of this length, rounded up to whole ones.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^63 cycles; [`Error::InvalidTime`] for a negative length, or one that is not a number.
pub fn whole_cycles(length: f32) -> Result<Cycles, Error> {
    /// 2^63.
    const LIMIT: f32 = 9.223_372e18;
    if length.is_nan() || length < 0.0 {
        return Err(Error::InvalidTime);
    }
    if length >= LIMIT {
        return Err(Error::CountOverflow);
    }
    // A whole number as a float is its 24 digits, shifted by its exponent.
    let bits = libm::ceilf(length).to_bits();
    let digits = u64::from(bits & 0x007f_ffff | 0x0080_0000);
    let exponent = bits >> 23;
    let cycles = match (exponent.checked_sub(150), 150_u32.checked_sub(exponent)) {
        _ if exponent == 0 => Some(0),
        (Some(left), _) => digits.checked_shl(left),
        (None, Some(right)) => digits.checked_shr(right),
        (None, None) => None,
    };
    cycles.map(Cycles).ok_or(Error::CountOverflow)
}

/// The geometry of a kind of device.
pub trait Mapper {
    /// Lays a product on the units.
    ///
    /// # Errors
    /// [`Error::Infeasible`] where not even the smallest tile fits; [`Error::CountOverflow`] above 2^64 − 1 cycles or bytes.
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error>;

    /// Lays everything that is no product on the units.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 cycles or bytes.
    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error>;

    /// Time to start a kernel, beside the runtime's dispatch: once for a task, however many products it has.
    fn launch(&self) -> Seconds {
        Seconds::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_rounded_up() {
        for (length, cycles) in
            [(0.0, 0), (0.2, 1), (1.0, 1), (374.5, 375), (16_777_215.0, 16_777_215), (1e12, 999_999_995_904)]
        {
            assert_eq!(whole_cycles(length), Ok(Cycles(cycles)), "{length}");
        }
        assert_eq!(whole_cycles(1e20), Err(Error::CountOverflow));
        assert_eq!(whole_cycles(f32::INFINITY), Err(Error::CountOverflow));
        assert_eq!(whole_cycles(f32::NAN), Err(Error::InvalidTime));
        assert_eq!(whole_cycles(-1.0), Err(Error::InvalidTime));
    }
}
