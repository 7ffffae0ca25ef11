//! A machine and products for the tests of mappers.

use heapless::Vec;

use crate::error::Error;
use crate::hardware::{Basis, ComputeUnit, Filling, Hardware, Holds, MemoryLevel, ThermalProfile};
use crate::mapping::{Machine, Mapping};
use crate::nest::{ConvLoops, ElementSizes, Homes, LoopNest, Loops};
use crate::shape::{PerPrecision, Precision};
use crate::units::{Bytes, BytesPerSecond, Hertz, MacsPerCycle, Seconds};
use crate::work::Gemm;

/// Units of 1 GHz, a scratchpad and a backing store of 1 GiB.
#[derive(Clone, Copy)]
pub(super) struct Toy {
    pub(super) count: u32,
    pub(super) macs_per_cycle: f32,
    pub(super) holds: [Holds; 2],
    pub(super) capacity: u64,
    /// Bandwidth of the scratchpad in bytes per second.
    pub(super) bandwidth: f32,
    /// How many times as fast the scratchpad is.
    pub(super) slower: f32,
}

impl Toy {
    /// One unit, a scratchpad of 1 MiB.
    pub(super) const fn new(macs_per_cycle: f32) -> Self {
        Self { count: 1, macs_per_cycle, holds: [Holds::All; 2], capacity: 1 << 20, bandwidth: 1e9, slower: 1.0 }
    }

    pub(super) fn with<R>(self, body: impl FnOnce(&Machine<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let rate = Some(MacsPerCycle::new(self.macs_per_cycle)?);
        let compute = [ComputeUnit {
            name: "array",
            count: self.count,
            clock: Hertz::new(1e9)?,
            macs_per_cycle: PerPrecision::all(None).with(Precision::Int8, rate),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        }];
        let level = |name, capacity, holds, bandwidth| -> Result<MemoryLevel<'_>, Error> {
            let level = MemoryLevel::new(name, Bytes(capacity), BytesPerSecond::new(bandwidth)?, Basis::Spec);
            Ok(MemoryLevel { holds, filling: Filling::Scratchpad, ..level })
        };
        let [inner, outer] = self.holds;
        let memory = [
            level("SRAM", self.capacity, inner, self.bandwidth)?,
            level("DRAM", 1 << 30, outer, self.bandwidth / self.slower)?,
        ];
        let profiles = [ThermalProfile::new("default", "passive", PerPrecision::all(None))];
        let hardware = Hardware::new("toy", &compute, &memory, &profiles, Seconds::ZERO)?;
        let profile = profiles.first().ok_or(Error::NoThermalProfile)?;
        body(&Machine::new(&hardware, profile, Precision::Int8)?)
    }
}

/// Everything in the scratchpad.
pub(super) const INSIDE: Homes = Homes { input: 0, weights: 0, output: 0 };

/// m × k times k × n weights in int8, everything in the scratchpad.
pub(super) fn linear([m, n, k]: [u64; 3]) -> LoopNest {
    let loops = Loops::Gemm(Gemm { m, n, k, groups: 1 });
    LoopNest { homes: INSIDE, ..LoopNest::new(loops, ElementSizes { partial: 4, ..ElementSizes::all(1) }) }
}

/// A convolution of one image in int8, windows of side `kernel`, same padding, everything in the scratchpad.
pub(super) fn conv(c_in: u64, c_out: u64, groups: u64, side: [u64; 2], kernel: u64) -> LoopNest {
    let [height, width] = side;
    let loops = Loops::Conv(ConvLoops {
        batch: 1,
        groups,
        c_in,
        c_out,
        input: [1, height, width],
        output: [1, height, width],
        kernel: [1, kernel, kernel],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, kernel / 2, kernel / 2],
    });
    LoopNest { homes: INSIDE, ..LoopNest::new(loops, ElementSizes { partial: 4, ..ElementSizes::all(1) }) }
}

/// That the losses multiply to the utilization, and that this is the least cycles over those of the mapping.
pub(super) fn assert_consistent(nest: &LoopNest, mapping: &Mapping, machine: &Machine<'_>) -> Result<(), Error> {
    let least = machine.least_cycles(nest.macs()?);
    assert!(mapping.compute_cycles.as_f32() >= least * 0.999_999, "{mapping:?}");
    assert!((mapping.utilization - least / mapping.compute_cycles.as_f32()).abs() < 1e-5, "{mapping:?}, least {least}");
    let left: Vec<f32, { crate::mapping::MAX_LOSSES }> = mapping.losses.iter().map(|lost| lost.left).collect();
    assert!(left.iter().all(|&left| left > 0.0 && left < 1.0), "{mapping:?}");
    assert!((left.iter().product::<f32>() - mapping.utilization).abs() < 1e-5, "{mapping:?}");
    Ok(())
}
