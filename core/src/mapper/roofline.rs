//! The mapper of a device of which nothing but its roofs is known: units that are always full, bytes that move once.

use crate::error::Error;
use crate::mapping::{Loss, Lost, Machine, Mapper, Mapping, whole_cycles};
use crate::nest::{Homes, LoopNest, Stream, Traffic};
use crate::tile::MAX_LEVELS;
use crate::units::{Bytes, Flops, Seconds};

/// Every unit does its MACs each cycle, and every operand passes each level up to its home once.
///
/// ```text
/// cycles  = ⌈MACs / (units · macs_per_cycle · tile_utilization)⌉
/// traffic = A + B + C, at each level up to the operand's home
/// ```
/// **Source**: Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Roofline;

impl Mapper for Roofline {
    fn product(&self, nest: &LoopNest, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let share = machine.tile_utilization();
        let bytes = Traffic::compulsory(nest)?;
        let mut mapping = Mapping::idle();
        mapping.compute_cycles = whole_cycles(machine.least_cycles(nest.macs()?) / share)?;
        mapping.utilization = share;
        mapping.losses.push(Lost { loss: Loss::EdgeTiles, left: share }).ok();
        mapping.traffic = passing(machine, nest.homes, bytes, nest.weighted)?;
        Ok(mapping)
    }

    fn stream(&self, stream: &Stream, machine: &Machine<'_>) -> Result<Mapping, Error> {
        let mut mapping = Mapping::idle();
        // Two FLOPs in the time of a MAC.
        let least = machine.least_cycles(crate::units::Macs(stream.flops.0)) * 0.5;
        mapping.compute_cycles = whole_cycles(least)?;
        mapping.utilization = if stream.flops == Flops::ZERO { 0.0 } else { 1.0 };
        let bytes = Traffic { a: stream.read, b: stream.weights, c: stream.written };
        mapping.traffic = passing(machine, stream.homes, bytes, true)?;
        mapping.setup = Seconds::ZERO;
        Ok(mapping)
    }
}

/// Bytes at each level where every operand passes once, up to its home.
///
/// # Errors
/// [`Error::CountOverflow`] above 2^64 − 1 bytes.
pub fn passing(
    machine: &Machine<'_>,
    homes: Homes,
    bytes: Traffic,
    weighted: bool,
) -> Result<[Bytes; MAX_LEVELS], Error> {
    let mut traffic = [Bytes::ZERO; MAX_LEVELS];
    let b = if weighted { homes.weights } else { homes.input };
    for (home, bytes) in [(homes.input, bytes.a), (b, bytes.b), (homes.output, bytes.c)] {
        for ((_, sum), _) in (0..=home).zip(&mut traffic).zip(machine.hardware.memory()) {
            *sum = sum.checked_add(bytes)?;
        }
    }
    Ok(traffic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::tests::with_toy;
    use crate::nest::{ElementSizes, Loops};
    use crate::shape::Precision;
    use crate::units::Cycles;
    use crate::work::Gemm;

    #[test]
    fn a_product_by_hand() -> Result<(), Error> {
        with_toy(|toy| {
            let machine = Machine::new(toy, &toy.thermal_profiles()[0], Precision::Fp32)?;
            let gemm = Gemm { m: 10, n: 20, k: 30, groups: 1 };
            let mut nest = LoopNest::new(Loops::Gemm(gemm), ElementSizes::all(4));
            // 6000 MACs on 2 units of 8 a cycle: 375 cycles. 4 · (300 + 600 + 200) B at both levels.
            let mapping = Roofline.product(&nest, &machine)?;
            assert_eq!((mapping.compute_cycles, mapping.utilization), (Cycles(375), 1.0));
            assert_eq!(mapping.traffic[..3], [Bytes(4400), Bytes(4400), Bytes(0)]);
            // Weights alone in the backing store.
            nest.homes = Homes { input: 0, weights: u8::MAX, output: 0 };
            assert_eq!(Roofline.product(&nest, &machine)?.traffic[..2], [Bytes(4400), Bytes(2400)]);
            Ok(())
        })?
    }
}
