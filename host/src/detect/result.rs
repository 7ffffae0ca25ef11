//! What a detection gives: the description of the CPU, and rates in Hz, FLOP/s and bytes per second, each with its
//! spread, its number of samples and the way it was measured (see [`Measured`]).

use std::time::Duration;

use super::cpu::{Identity, Isa};
use super::peak::Precision;
use super::sampling::Measured;
use super::system::{Environment, Memory};
use super::topology::{Cache, Topology};
use super::working_set::MemoryLevel;

/// A rate on one core and on all available cores together, in the unit its field names.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// First available core alone, the others left idle by this program.
    pub single_core: Measured,
    /// One thread on each available core.
    pub all_cores: Measured,
}

/// Arithmetic peak of one precision.
#[derive(Debug, Clone, PartialEq)]
pub enum Peak {
    /// Measured, in FLOP/s (int8: integer operations/s); one multiply-accumulate counts as two.
    Measured {
        /// The rates.
        flops_per_s: Rates,
    },
    /// The CPU has no arithmetic instruction of its own for this precision.
    NoNativeUnit,
    /// There may be a unit, but it was not measured.
    NotMeasured {
        /// Why.
        reason: String,
    },
}

impl Peak {
    /// The rates, in FLOP/s, if measured.
    #[must_use]
    pub fn flops_per_s(&self) -> Option<&Rates> {
        match self {
            Self::Measured { flops_per_s } => Some(flops_per_s),
            Self::NoNativeUnit | Self::NotMeasured { .. } => None,
        }
    }
}

/// Bandwidth of one memory level.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelBandwidth {
    /// The level.
    pub level: MemoryLevel,
    /// Working set of the single-core measurement, in bytes.
    pub single_core_set_bytes: u64,
    /// Working sets of all threads together, in bytes.
    pub all_cores_set_bytes: u64,
    /// Bytes loaded per second.
    pub read_bytes_per_s: Rates,
    /// Bytes loaded plus bytes stored per second while copying.
    pub copy_bytes_per_s: Rates,
}

/// The CPU as it describes itself and as it measures.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectedCpu {
    /// Vendor, model, hypervisor.
    pub identity: Identity,
    /// Vector and matrix instruction sets.
    pub isa: Isa,
    /// Cores and hardware threads.
    pub topology: Topology,
    /// Caches of the available CPUs, each instance once.
    pub caches: Vec<Cache>,
    /// Memory size and limits, before the measurement.
    pub memory: Memory,
    /// Kernel, governor, quota, power limit.
    pub environment: Environment,
    /// Effective clock, in Hz; of all cores: the mean per core while all run. `None` on architectures without the kernel.
    pub clock_hz: Option<Rates>,
    /// Arithmetic peaks, one for each of [`Precision::ALL`].
    pub peaks: Vec<(Precision, Peak)>,
    /// Bandwidths, nearest level first, memory last.
    pub bandwidths: Vec<LevelBandwidth>,
    /// CPU time stolen by the hypervisor during the measurement, in per cent, where the kernel counts it.
    pub steal_percent: Option<f64>,
    /// Wall time of the whole detection.
    pub elapsed: Duration,
    /// What to know when using the numbers, as sentences for the user.
    pub notes: Vec<String>,
}
