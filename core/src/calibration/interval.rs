//! Intervals: how far measured times lay from estimates of ops and networks that the fit had not seen.
//!
//! ```text
//! op       estimate · e^[low, high] of its cell: 5 % and 95 % of ln(measured / estimated), held out (conformal prediction:
//!          Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005)
//! network  estimate · exp(±q · √(common² + own² · Σ share²))       share of an op in the time; q, quantile of Student's t
//! ```
//! Errors of the ops of one network are not independent (one clock, one state of the machine): `common` does not average out. Outside
//! the region of measured ops the logarithm of the width is multiplied: by 1.5 near it, by 3 far from it.

use super::call::Routine;
use super::time::Times;
use crate::units::Seconds;

/// Kinds of ops whose errors are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Group {
    /// Convolutions, but depthwise ones.
    Conv,
    /// Depthwise convolutions.
    Depthwise,
    /// Linear layers and products of activations.
    Product,
    /// Elementwise ops, normalisations, copies, views.
    Elementwise,
    /// Pooling and reductions.
    Pooling,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Conv, Self::Depthwise, Self::Product, Self::Elementwise, Self::Pooling];

    /// The group of a routine.
    #[must_use]
    pub const fn of(routine: Routine) -> Self {
        match routine {
            Routine::Conv | Routine::Pointwise | Routine::GroupedConv => Self::Conv,
            Routine::Depthwise => Self::Depthwise,
            Routine::Linear | Routine::MatMul => Self::Product,
            Routine::Pooling | Routine::Reduction => Self::Pooling,
            _ => Self::Elementwise,
        }
    }

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Depthwise => "depthwise",
            Self::Product => "product",
            Self::Elementwise => "elementwise",
            Self::Pooling => "pooling",
        }
    }
}

/// What most of a time goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Regime {
    /// Dispatch and launch.
    Overhead,
    /// Traffic and copies.
    Memory,
    /// Arithmetic.
    Compute,
}

impl Regime {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Overhead, Self::Memory, Self::Compute];

    /// The regime of a time.
    #[must_use]
    pub fn of(times: &Times) -> Self {
        let memory = times.memory + times.copies;
        if times.overhead.0 >= memory.max(times.compute).0 {
            Self::Overhead
        } else if memory.0 > times.compute.0 {
            Self::Memory
        } else {
            Self::Compute
        }
    }

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overhead => "overhead",
            Self::Memory => "memory",
            Self::Compute => "compute",
        }
    }
}

/// Logarithms of this size are of no factor that an `f32` holds.
const LOG_MAX: f32 = 80.0;

/// Held-out errors of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Intervals {
    /// Logarithm of measured over estimated time of ops: 90 % of the held-out rows lie within `[low, high]`; a row for each of [`Group::ALL`], a
    /// column for each of [`Regime::ALL`].
    pub ops: [[[f32; 2]; Regime::ALL.len()]; Group::ALL.len()],
    /// Standard deviation of the logarithm of the error that the ops of one network have in common.
    pub common: f32,
    /// Standard deviation of the logarithm of what each op adds to it.
    pub own: f32,
    /// Standard deviations on either side that hold 90 % of networks, for as many networks as there were.
    pub quantile: f32,
}

impl Intervals {
    /// How much wider, as a factor of the logarithm, near the region of measured ops and far from it.
    pub const WIDER: [f32; 2] = [1.5, 3.0];

    pub(super) fn make_sense(&self) -> bool {
        let ops =
            self.ops.iter().flatten().all(|&[low, high]| low <= 0.0 && high >= 0.0 && low > -LOG_MAX && high < LOG_MAX);
        let spreads = [self.common, self.own, self.quantile];
        ops && spreads.iter().all(|spread| (0.0..f32::INFINITY).contains(spread))
    }

    /// Interval of a kind of op, its logarithm this much wider than within the region of measured ops.
    #[must_use]
    pub fn of_op(&self, latency: Seconds, group: Group, regime: Regime, wider: f32) -> [Seconds; 2] {
        let row = Group::ALL.iter().position(|&other| other == group).and_then(|row| self.ops.get(row));
        let column = Regime::ALL.iter().position(|&other| other == regime);
        let cell = row.zip(column).and_then(|(row, column)| row.get(column)).copied().unwrap_or([0.0, 0.0]);
        cell.map(|bound| latency * libm::expf(bound * wider))
    }

    /// Interval of a network, of whose ops' shares of the time this is the sum of squares.
    #[must_use]
    pub fn of_network(&self, latency: Seconds, squares: f32, wider: f32) -> [Seconds; 2] {
        let spread = libm::sqrtf(self.common * self.common + self.own * self.own * squares);
        let factor = libm::expf(self.quantile * spread * wider);
        [latency * (1.0 / factor), latency * factor]
    }
}
