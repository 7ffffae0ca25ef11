//! Time of one op or kernel: its arithmetic, its traffic and what stands beside both, by the description alone or by a calibration.

use super::Target;
use crate::error::Error;
use crate::hardware::{Basis, PrecisionFactors};
use crate::residency::{Border, Residency, Transfer};
use crate::shape::Precision;
use crate::units::{Factor, FlopsPerSecond, Seconds};
use crate::work::{Class, Work};

/// The roofs of a target for one precision, and the factors of the description: what is the same for every op.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roofs {
    /// What software reaches of it, by the description.
    described: FlopsPerSecond,
    pub(super) factors: PrecisionFactors,
    /// What software reaches of the bandwidth of the backing store, by the description, as a share of what it says of it.
    pub(super) backing: Factor,
    /// Whether the units' rate or a bandwidth is an assumption.
    pub(super) assumed: bool,
}

impl Roofs {
    pub(super) fn of(target: &Target<'_>, precision: Precision) -> Result<Self, Error> {
        let (unit, peak) = target.hardware.fastest(precision)?;
        let factors = target.thermal_profile.factors.at(precision).ok_or(Error::NoFactorsForPrecision)?;
        let clock = target.hardware.clock(unit, target.clock())?;
        let peak = peak * Factor::new(clock.get() / unit.clock.get())?;
        let mut bases = target.hardware.memory().iter().map(|level| level.basis);
        Ok(Self {
            described: peak * factors.efficiency_factor * factors.tile_utilization,
            factors,
            backing: target.backing(factors.memory_bottleneck_factor)?,
            assumed: unit.basis == Basis::Assumed || bases.any(|basis| basis == Basis::Assumed),
        })
    }

    /// Arithmetic at the description's share of the peak.
    fn described(&self, work: &Work) -> Seconds {
        work.flops / self.described
    }
}

/// Times of arithmetic, traffic and overhead by the description's two factors.
pub(super) fn described(
    work: &Work,
    target: &Target<'_>,
    roofs: &Roofs,
) -> Result<(Seconds, Transfer, Seconds), Error> {
    let residency = Residency {
        hardware: target.hardware,
        border: Border::Sharp,
        cache: roofs.factors.memory_bottleneck_factor,
        backing: roofs.backing,
    };
    let footprint = work.compulsory_traffic()?;
    let transfer = residency.transfer(footprint, footprint);
    Ok((roofs.described(work), transfer, overhead_of(work, target.hardware.dispatch())))
}

/// A view costs nothing but its dispatch, and only where the runtime dispatches it; without kernels, none.
const fn overhead_of(work: &Work, dispatch: Seconds) -> Seconds {
    if matches!(work.class, Class::View) { Seconds::ZERO } else { dispatch }
}
