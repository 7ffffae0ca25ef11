//! Calibration: the few physical numbers that turn the roofs of a description into the times of a runtime on a device.
//!
//! Each coefficient is named, has a unit, a range outside which it makes no sense, and a prior from which a fit on little
//! data does not stray. They hold for one device, runtime, precision and thread count; whoever stores a [`Calibration`]
//! stores those beside it. Time of one op, with F its FLOPs and n the elements of its output:
//!
//! ```text
//! matrix · matrix   t = dispatch + fork · F/(F + fork_work) + pack + smooth_max(F / (P · gemm_efficiency · u), traffic) + fault
//!                   u = k/(k + saturation_k)
//!                   pack = weights / packing_bandwidth: a matrix library copies the weights into the layout of its register tiles
//!                   on every call, before the product starts
//! matrix · vector   t = dispatch + fork · F/(F + fork_work) + smooth_max(F / (P · vector_efficiency), traffic) + fault
//!                   a product with m or n of 1 streams the weights as they lie: one MAC for each load, no register tiles
//! never measured    a product of a class without a measurement: dispatch and fork as above, no pack, and the description's share
//!                   of the peak: F / (P · efficiency_factor · tile_utilization)
//! all else          t = dispatch + smooth_max(F / P, traffic + serial) + fault
//! traffic           [`crate::residency`], smooth borders: activations at the distance of the op's own activations (the op
//!                   before wrote them), weights at the distance of all weights of the network (each is used once a run)
//! serial            activations / serial_bandwidth / (1 + n / GRAIN): below the parallel grain one thread works alone
//! fault             bytes written to fresh memory beyond FRESH / fault_bandwidth: such blocks come from the system page by page
//! ```
//!
//! A neutral value switches a term off: 0 for a time or a saturation, a very large bandwidth.

use crate::error::Error;
use crate::work::{Class, Work};

/// Elements below which libtorch's elementwise kernels run on one thread (`at::internal::GRAIN_SIZE`).
pub const GRAIN: f32 = 32_768.0;

/// Bytes above which glibc's allocator always maps fresh pages (`DEFAULT_MMAP_THRESHOLD_MAX` on 64 bits): 32 MiB.
pub const FRESH: u64 = 32 << 20;

/// Version of the equations above. A calibration made under another one is refused.
pub const MODEL_VERSION: u16 = 1;

/// What a coefficient is and where it may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficient {
    /// Name in profiles and reports.
    pub name: &'static str,
    /// Unit; `1` for a factor.
    pub unit: &'static str,
    /// What it stands for.
    pub meaning: &'static str,
    /// Value before any measurement.
    pub prior: f32,
    /// Standard deviation of the prior, of the natural logarithm.
    pub prior_sd: f32,
    /// Lowest sensible value.
    pub low: f32,
    /// Highest sensible value.
    pub high: f32,
}

macro_rules! coefficients {
    ($($name:ident: $unit:literal, $prior:literal sd $sd:literal in [$low:literal, $high:literal], $meaning:literal;)*) => {
        /// Values of all coefficients.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
        pub struct Coefficients {
            $(#[doc = concat!($meaning, " In ", $unit, ".")] pub $name: f32,)*
        }

        /// Every coefficient, in the order of [`Coefficients::values`].
        pub const COEFFICIENTS: [Coefficient; { [$($prior),*].len() }] = [$(Coefficient {
            name: stringify!($name), unit: $unit, meaning: $meaning,
            prior: $prior, prior_sd: $sd, low: $low, high: $high,
        }),*];

        impl Coefficients {
            /// The priors: what is known before any measurement.
            pub const PRIOR: Self = Self { $($name: $prior),* };

            /// Values in the order of [`COEFFICIENTS`].
            #[must_use]
            pub const fn values(&self) -> [f32; COEFFICIENTS.len()] {
                [$(self.$name),*]
            }

            /// Coefficients of these values, in the order of [`COEFFICIENTS`].
            ///
            /// # Errors
            /// [`Error::CoefficientOutOfRange`] for the first that lies outside its range.
            pub fn from_values(values: [f32; COEFFICIENTS.len()]) -> Result<Self, Error> {
                for ((index, value), coefficient) in (0_u8..).zip(values).zip(COEFFICIENTS) {
                    if !(coefficient.low..=coefficient.high).contains(&value) {
                        return Err(Error::CoefficientOutOfRange { index });
                    }
                }
                let [$($name),*] = values;
                Ok(Self { $($name),* })
            }
        }
    };
}

pub mod micro_kernel;

coefficients! {
    gemm_efficiency: "1", 0.5 sd 0.5 in [0.02, 1.3],
        "Share of the peak throughput that large matrix products reach.";
    vector_efficiency: "1", 0.1 sd 0.7 in [1e-3, 1.3],
        "Share of the peak throughput that products of a matrix and a vector reach.";
    backing_bandwidth_factor: "1", 0.5 sd 0.5 in [0.02, 2.0],
        "Share of the bandwidth of the backing store that ops reach.";
    cache_bandwidth_factor: "1", 0.7 sd 0.5 in [0.02, 2.0],
        "Share of the bandwidth of the caches that ops reach.";
    cache_capacity_factor: "1", 0.8 sd 0.4 in [0.2, 2.0],
        "Share of the capacity of the caches that is effective.";
    dispatch: "s", 1e-6 sd 1.0 in [1e-8, 1e-3],
        "Time of the runtime for each op before its work.";
    fork: "s", 4e-6 sd 1.0 in [1e-9, 2e-3],
        "Time to start and join the threads of a parallel matrix product.";
    fork_work: "FLOP", 1e5 sd 1.5 in [1e2, 1e8],
        "FLOPs of the matrix product at which half of that time is paid; smaller ones run on one thread.";
    packing_bandwidth: "B/s", 3e10 sd 0.7 in [1e8, 1e13],
        "Rate at which the weights of a matrix product are packed.";
    saturation_k: "1", 8.0 sd 1.0 in [1e-3, 1e3],
        "Length of the sums of a matrix product at which half of the peak is reached.";
    serial_bandwidth: "B/s", 2e10 sd 1.0 in [1e8, 1e13],
        "Bandwidth of one thread alone on small elementwise ops.";
    fault_bandwidth: "B/s", 5e9 sd 1.0 in [1e8, 1e12],
        "Rate at which fresh pages come from the system.";
}

/// Region of measured ops, as ranges of their FLOPs and bytes: inside it an estimate interpolates.
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
}

/// A fit: coefficients, what they were fitted on, and how far off they were where it was held out. Fixed size, `Copy`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Calibration {
    /// [`MODEL_VERSION`] of the fit.
    pub model_version: u16,
    /// The coefficients.
    pub coefficients: Coefficients,
    /// Classes of ops that were measured: the union of [`Class::bit`].
    pub classes: u16,
    /// Region of the measured ops.
    pub hull: Hull,
    /// Measured over estimated time of a network: 90 % of the held-out rows lie within `[low, high]`, which holds 1. `None` where
    /// there were too few rows to tell.
    pub interval: Option<[f32; 2]>,
}

impl Calibration {
    /// Whether ops of this class were measured.
    #[must_use]
    pub const fn covers(&self, class: Class) -> bool {
        self.classes & class.bit() != 0
    }

    /// Checks version and ranges, as whoever reads a calibration from outside must.
    ///
    /// # Errors
    /// [`Error::ModelVersion`] of another version; [`Error::CoefficientOutOfRange`]; [`Error::InvalidCalibration`] where interval
    /// or hull hold no numbers, or the interval does not lie around 1.
    pub fn check(&self) -> Result<(), Error> {
        if self.model_version != MODEL_VERSION {
            return Err(Error::ModelVersion { found: self.model_version, expected: MODEL_VERSION });
        }
        let interval =
            self.interval.is_none_or(|[low, high]| low > 0.0 && low <= 1.0 && (1.0..f32::INFINITY).contains(&high));
        let hull =
            [self.hull.flops, self.hull.bytes].into_iter().flatten().all(|bound| (0.0..f32::INFINITY).contains(&bound));
        if !interval || !hull {
            return Err(Error::InvalidCalibration);
        }
        Coefficients::from_values(self.coefficients.values()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_lie_in_their_ranges_and_round_trip() {
        let prior = Coefficients::PRIOR;
        assert_eq!(Coefficients::from_values(prior.values()), Ok(prior));
        assert!(COEFFICIENTS.len() <= 12);
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let mut values = Coefficients::PRIOR.values();
        values[5] = f32::NAN;
        assert_eq!(Coefficients::from_values(values), Err(Error::CoefficientOutOfRange { index: 5 }));
    }
}
