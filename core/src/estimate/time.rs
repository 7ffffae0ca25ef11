//! Time of one op or kernel: its arithmetic, its traffic and what stands beside both, by the description alone or by a calibration.

use super::Target;
use crate::calibration::{Calibration, FRESH, GRAIN};
use crate::error::Error;
use crate::hardware::{Basis, PrecisionFactors};
use crate::residency::{Border, Residency, Transfer, ramp};
use crate::shape::Precision;
use crate::units::{Bytes, Factor, FlopsPerSecond, Seconds, to_f32};
use crate::work::{Class, Gemm, Work};

/// The roofs of a target for one precision, and the factors of the description: what is the same for every op.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roofs {
    /// Of arithmetic, at the clock of the mode.
    peak: FlopsPerSecond,
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
            peak,
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

/// Times of arithmetic, traffic and overhead by the coefficients of a calibration; the equations stand in its module.
pub(super) fn calibrated(
    work: &Work,
    weights: Bytes,
    in_place: bool,
    target: &Target<'_>,
    roofs: &Roofs,
    calibration: &Calibration,
) -> Result<(Seconds, Transfer, Seconds), Error> {
    let c = &calibration.coefficients;
    let activations = work.bytes_activation()?;
    let residency = Residency {
        hardware: target.hardware,
        border: Border::Smooth { capacity: Factor::new(c.cache_capacity_factor)? },
        cache: Factor::new(c.cache_bandwidth_factor)?,
        backing: target.backing(Factor::new(c.backing_bandwidth_factor)?)?,
    };
    let mut transfer = residency
        .transfer(activations, activations)
        .and(residency.transfer(work.bytes_weight, weights.checked_add(activations)?));
    let mut overhead = overhead_of(work, Seconds(c.dispatch));

    let compute = if let Some(Gemm { m, n, k, groups }) = work.gemm {
        let flops = work.flops.as_f32();
        overhead = overhead + Seconds(c.fork * (flops / (flops + c.fork_work)));
        if !calibration.covers(work.class) {
            roofs.described(work)
        } else if groups == 1 && (m == 1 || n == 1) {
            work.flops / (roofs.peak * Factor::new(c.vector_efficiency)?)
        } else {
            overhead = overhead + Seconds(work.bytes_weight.as_f32() / c.packing_bandwidth);
            work.flops / (roofs.peak * Factor::new(c.gemm_efficiency * saturation(k, c.saturation_k))?)
        }
    } else {
        let serial = activations.as_f32() / c.serial_bandwidth / ramp(work.elements_out, GRAIN);
        transfer.time = transfer.time + Seconds(serial);
        work.flops / roofs.peak
    };
    if !in_place && work.bytes_out.0 > FRESH {
        overhead = overhead + Seconds(work.bytes_out.as_f32() / c.fault_bandwidth);
    }
    Ok((compute, transfer, overhead))
}

/// Share of the peak at an extent, of which `half` reaches a half.
fn saturation(extent: u64, half: f32) -> f32 {
    let extent = to_f32(extent);
    extent / (extent + half)
}

/// A view costs nothing but its dispatch, and only where the runtime dispatches it; without kernels, none.
const fn overhead_of(work: &Work, dispatch: Seconds) -> Seconds {
    if matches!(work.class, Class::View) { Seconds::ZERO } else { dispatch }
}
