//! What a kernel issues: instructions by kind and bytes by operand, exact, and the cycles that a core needs for them.

use super::Mcu;
use crate::error::Error;
use crate::units::to_f32;

/// Instructions of a kernel by kind, and the bytes that its loads and stores move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Multiply-accumulate instructions, or pairs of a multiplication and an addition.
    pub(super) macs: u64,
    /// Other instructions of one cycle: extensions, packing, addresses, counters.
    pub(super) arithmetic: u64,
    /// Pointers that step by one load.
    pub(super) pointers: u64,
    /// Loads.
    pub(super) loads: u64,
    /// Stores.
    pub(super) stores: u64,
    /// Bytes by which accesses are narrower than the bus.
    pub(super) idle: u64,
    /// Values kept on the stack for want of a register: a store and a load each.
    pub(super) spills: u64,
    /// Branches that are taken.
    pub(super) branches: u64,
    /// Sums that are scaled to an integer of 8 bits.
    pub(super) results: u64,
    /// Bytes read of A where it lies.
    pub(super) a: u64,
    /// Bytes read of B.
    pub(super) b: u64,
    /// Bytes written to and read from the buffer of gathered columns.
    pub(super) scratch: u64,
    /// Bytes written of C.
    pub(super) c: u64,
}

impl Counts {
    /// Number of kinds.
    const KINDS: usize = 13;

    const fn list(self) -> [u64; Self::KINDS] {
        let Self { macs, arithmetic, pointers, loads, stores, idle, spills, branches, results, a, b, scratch, c } =
            self;
        [macs, arithmetic, pointers, loads, stores, idle, spills, branches, results, a, b, scratch, c]
    }

    const fn of(
        [macs, arithmetic, pointers, loads, stores, idle, spills, branches, results, a, b, scratch, c]: [u64;
            Self::KINDS],
    ) -> Self {
        Self { macs, arithmetic, pointers, loads, stores, idle, spills, branches, results, a, b, scratch, c }
    }

    /// Both, one after the other.
    pub(super) fn plus(self, other: Self) -> Result<Self, Error> {
        let mut sums = self.list();
        for (sum, more) in sums.iter_mut().zip(other.list()) {
            *sum = sum.checked_add(more).ok_or(Error::CountOverflow)?;
        }
        Ok(Self::of(sums))
    }

    /// This, so many times.
    pub(super) fn times(self, count: u64) -> Result<Self, Error> {
        let mut products = self.list();
        for product in &mut products {
            *product = product.checked_mul(count).ok_or(Error::CountOverflow)?;
        }
        Ok(Self::of(products))
    }

    /// So many loads of this width, of a core whose bus has this one.
    pub(super) const fn loads(count: u64, width: u64, bus: u64) -> Self {
        let mut counts = Self::NONE;
        counts.loads = count;
        counts.idle = count.saturating_mul(bus.saturating_sub(width));
        counts
    }

    /// So many stores of this width.
    pub(super) const fn stores(count: u64, width: u64, bus: u64) -> Self {
        let mut counts = Self::NONE;
        counts.stores = count;
        counts.idle = count.saturating_mul(bus.saturating_sub(width));
        counts
    }

    /// The step of a loop: its counter, its pointers, the branch back.
    pub(super) const fn step(pointers: u64) -> Self {
        let mut counts = Self::NONE;
        counts.arithmetic = 1;
        counts.pointers = pointers;
        counts.branches = 1;
        counts
    }

    /// Nothing.
    pub(super) const NONE: Self = Self::of([0; Self::KINDS]);
}

impl Mcu {
    /// Cycles that a core needs for these instructions, beside those in which bytes move where it cannot do both at
    /// once.
    ///
    /// ```text
    /// others      = arithmetic + pointers · pointer_cycles
    /// stalling    = others / width + macs · mac_cycles + loads · load_cycles + idle / bus + spills · (2 + load_cycles)
    /// overlapping = max((others + macs + loads + stores + 2 · spills) / width, macs · mac_cycles)
    /// cycles      = either + branches · branch_cycles + results · requantize_cycles
    /// ```
    /// A load of a stalling core takes `load_cycles` here and its data a cycle for each word, which the bandwidth of
    /// the level counts; of a load narrower than the bus the bandwidth counts only the part that its bytes fill, `idle
    /// / bus` is the rest.
    pub(super) fn cycles(&self, counts: &Counts, mac_cycles: f32) -> f32 {
        let [macs, arithmetic, loads, stores, idle, spills] =
            [counts.macs, counts.arithmetic, counts.loads, counts.stores, counts.idle, counts.spills].map(to_f32);
        let arithmetic = arithmetic + to_f32(counts.pointers) * self.pointer_cycles;
        let multiplies = macs * mac_cycles;
        let width = to_f32(u64::from(self.issue_width.max(1)));
        let body = if self.overlapped {
            let slots = (arithmetic + macs + loads + stores + 2.0 * spills) / width;
            if slots > multiplies { slots } else { multiplies }
        } else {
            let bus = to_f32(u64::from(self.bus_bytes.max(1)));
            arithmetic / width + multiplies + loads * self.load_cycles + idle / bus + spills * (2.0 + self.load_cycles)
        };
        body + to_f32(counts.branches) * self.branch_cycles + to_f32(counts.results) * self.requantize_cycles
    }
}

/// The least integer that is not below a number of cycles.
///
/// # Errors
/// [`Error::CountOverflow`] from 2^64 on, and for what is negative or no number.
pub(super) fn ceiling(cycles: f32) -> Result<u64, Error> {
    if !(0.0..18_446_744_073_709_551_616.0).contains(&cycles) {
        return Err(Error::CountOverflow);
    }
    // Sign, 8 bits of exponent, 23 of fraction: value = (2^23 + fraction) · 2^(exponent − 150); all below 2^-126 rounds
    // up to 1.
    let bits = cycles.to_bits();
    let exponent = bits.checked_shr(23).unwrap_or(0) & 0xff;
    if exponent == 0 {
        return Ok(u64::from(bits & 0x7f_ffff != 0));
    }
    let significand = u64::from(bits & 0x7f_ffff | 0x80_0000);
    if let Some(left) = exponent.checked_sub(150) {
        return significand.checked_shl(left).ok_or(Error::CountOverflow);
    }
    let right = 150_u32.saturating_sub(exponent);
    let whole = significand.checked_shr(right).unwrap_or(0);
    let exact = whole.checked_shl(right) == Some(significand);
    Ok(if exact { whole } else { whole.saturating_add(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_rounded_up() {
        for (cycles, expected) in
            [(0.0, 0), (1e-40, 1), (0.25, 1), (1.0, 1), (1.5, 2), (4_194_304.5, 4_194_305), (3e9, 3_000_000_000)]
        {
            assert_eq!(ceiling(cycles), Ok(expected), "{cycles}");
        }
        // 2^63 is exact; 2^64, what is negative and what is no number are refused.
        assert_eq!(ceiling(9_223_372_036_854_775_808.0), Ok(1 << 63));
        for cycles in [18_446_744_073_709_551_616.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(ceiling(cycles), Err(Error::CountOverflow));
        }
    }
}
