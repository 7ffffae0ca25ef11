//! Calibration: the few physical numbers that turn the calls of an eager runtime on a device into times.
//!
//! Each coefficient is named, has a unit, a range outside which it makes no sense, and a prior from which a fit on little
//! data does not stray ([`priors`]). They hold for one device, clock, runtime, precision, thread count and way of measuring; whoever
//! stores a [`Calibration`] stores those beside it. With F = 2·M·N·K·G the FLOPs of a call as a matrix product, n its elements,
//! A the bytes of its activations, w those of its weights, W those of all weights of the network, T threads:
//!
//! ```text
//! β(D) = 1/cache_bandwidth + far(D)/memory_bandwidth       seconds a byte takes that was used D bytes ago (the reuse distance)
//! far(D) = x²/(1 + x²),  x = D/cache_capacity              share of them that the caches no longer hold
//! m = A·β(A) + w·β(W + A)                                  activations come from the call before, weights from the run before
//! pmax(a, b) = (a³ + b³)^(1/3)                             arithmetic and traffic overlap, but for where they are alike
//!
//! convolutions and matrix products
//!   direct    = CPU, convolution, batch 1, one group, window of at most 3 × 3, operand of at most 20 480 elements: the runtime
//!               makes it a plain matrix product; blocked = any other convolution
//!   s         = (1 + m₀/M)(1 + n₀/N)(1 + k₀/K)             what edges of tiles, waves and prologues add; conv_* or linear_*
//!   t         = (direct ? dispatch : library_dispatch) + pmax(F·s/throughput, m)
//!             + reorder_passes·m                           blocked: operands to the library's layout and back, each call
//!             + 2·M·K·G·bytes/thread_bandwidth             direct, of several taps: the windows are copied out (im2col)
//!             + 2·elements(w)/indexed_rate                 GPU, of several taps: weights are permuted each call
//!             + fresh/fault_bandwidth                      buffers above 32 MiB come from the system page by page
//! all else
//!   team      = min(T, ⌈n/32768⌉)                          threads that share it; a batch normalisation: all
//!   t         = dispatch of its kind + fork [n > 32768] + pmax(z, max(A·β(A), A/(thread_bandwidth·team))) + fresh/fault_bandwidth
//!   z         = n/transcendental_rate · T/team             exponentials and their like
//!             = n·(taps + 4)/pooling_rate                  pooling
//!             = n/indexed_rate                             reductions, operands that are broadcast
//! a view      t = view_dispatch
//! an op whose code and data are cold pays its overhead 1 + (cold_factor − 1) times, one within a network network_coldness of that
//!
//! a network, each op timed alone           Σ t
//! a whole run on a CPU                     run_overhead + Σ t
//! a whole run on a device beside its host  the end of two lines of work: the host dispatches, the device follows,
//!                                          each kernel at least kernel_floor
//! after the device idled                   + idle_clock/(1 + t/wake)
//! ```
//!
//! A neutral value switches a term off: 0 for a time, a very large bandwidth, 1 for a factor.

mod call;
mod coefficients;
mod interval;
mod machine;
pub mod micro_kernel;
mod priors;
mod run;
mod time;

pub use self::call::{Call, Calls, Routine};
pub use self::coefficients::{COEFFICIENTS, Coefficient, Coefficients};
pub use self::interval::{Group, Intervals, Regime};
pub use self::machine::Machine;
pub use self::priors::{Evidence, Prior, Priors, expected, priors, tied};
pub use self::run::{OpTime, Run};
pub use self::time::{FRESH, GRAIN, Protocol, Reuse, Runtime, SMALL_CONV, Setting, Times};

use crate::error::Error;
use crate::units::{Bytes, to_f32};
use crate::work::{Class, Work};

/// Version of the equations above. A calibration made under another one is refused.
pub const MODEL_VERSION: u16 = 2;

/// Region of measured ops of a class, as ranges of their FLOPs and bytes: inside it an estimate interpolates.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Hull {
    /// Least and greatest FLOPs of a measured op.
    pub flops: [f32; 2],
    /// Least and greatest compulsory bytes of a measured op.
    pub bytes: [f32; 2],
}

impl Hull {
    /// The region that holds nothing.
    pub const EMPTY: Self = Self { flops: [f32::MAX, 0.0], bytes: [f32::MAX, 0.0] };

    /// Widens the region by one measured op.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub fn widen(&mut self, work: &Work) -> Result<(), Error> {
        let bytes = work.compulsory_traffic()?.as_f32();
        let flops = work.flops.as_f32();
        self.flops = [self.flops[0].min(flops), self.flops[1].max(flops)];
        self.bytes = [self.bytes[0].min(bytes), self.bytes[1].max(bytes)];
        Ok(())
    }

    /// Whether an op lies inside, or outside by at most a factor of `slack`.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub fn holds(&self, work: &Work, slack: f32) -> Result<bool, Error> {
        let within = |value: f32, [low, high]: [f32; 2]| value * slack >= low && value <= high * slack;
        Ok(within(work.flops.as_f32(), self.flops) && within(work.compulsory_traffic()?.as_f32(), self.bytes))
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flops[0] > self.flops[1]
    }
}

/// A fit: coefficients, what they were fitted on, and how far off they were where it was held out. Fixed size, `Copy`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Calibration {
    /// [`MODEL_VERSION`] of the fit.
    pub model_version: u16,
    /// What ran the ops.
    pub runtime: Runtime,
    /// How they were timed.
    pub protocol: Protocol,
    /// Threads of the runtime, at least 1.
    pub threads: u16,
    /// The coefficients.
    pub coefficients: Coefficients,
    /// Regions of the measured ops, one for each of [`Class::ALL`].
    pub hulls: [Hull; Class::ALL.len()],
    /// Held-out errors; `None` where there were too few rows to tell.
    pub intervals: Option<Intervals>,
}

impl Calibration {
    /// Region of the measured ops of a class.
    #[must_use]
    pub fn hull(&self, class: Class) -> Hull {
        self.hulls.get(class.index()).copied().unwrap_or(Hull::EMPTY)
    }

    /// Widens the region of an op's class by the op. A view has none: it is measured where anything is.
    ///
    /// # Errors
    /// [`Error::CountOverflow`] above 2^64 − 1 bytes.
    pub fn widen(&mut self, work: &Work) -> Result<(), Error> {
        self.hulls.get_mut(work.class.index()).map_or(Ok(()), |hull| hull.widen(work))
    }

    /// A run of a network whose weights are so many bytes together.
    #[must_use]
    pub fn run(&self, weights: Bytes) -> Run<'_> {
        let setting = Setting {
            runtime: self.runtime,
            threads: to_f32(u64::from(self.threads)),
            weights: weights.as_f32(),
            reuse: Reuse::Network,
        };
        Run::new(&self.coefficients, setting, self.protocol)
    }

    /// Whether ops of this class were measured.
    #[must_use]
    pub fn covers(&self, class: Class) -> bool {
        !self.hull(class).is_empty()
    }

    /// Checks version and ranges, as whoever reads a calibration from outside must.
    ///
    /// # Errors
    /// [`Error::ModelVersion`] of another version; [`Error::CoefficientOutOfRange`]; [`Error::InvalidCalibration`] where intervals
    /// or hulls hold no numbers, an interval does not lie around 1, or there is no thread.
    pub fn check(&self) -> Result<(), Error> {
        if self.model_version != MODEL_VERSION {
            return Err(Error::ModelVersion { found: self.model_version, expected: MODEL_VERSION });
        }
        let mut bounds = self.hulls.iter().flat_map(|hull| hull.flops.into_iter().chain(hull.bytes));
        let hulls = bounds.all(|bound| (0.0..f32::INFINITY).contains(&bound));
        let intervals = self.intervals.as_ref().is_none_or(Intervals::make_sense);
        if !hulls || !intervals || self.threads == 0 {
            return Err(Error::InvalidCalibration);
        }
        Coefficients::from_values(self.coefficients.values()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutral_values_lie_in_their_ranges_and_round_trip() {
        let neutral = Coefficients::NEUTRAL;
        assert_eq!(Coefficients::from_values(neutral.values()), Ok(neutral));
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let mut values = Coefficients::NEUTRAL.values();
        values[5] = f32::NAN;
        assert_eq!(Coefficients::from_values(values), Err(Error::CoefficientOutOfRange { index: 5 }));
    }
}
