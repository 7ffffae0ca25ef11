//! Calibration: from a sweep's rows to the two factors of the description, the coefficients of the model, and their held-out error.

pub mod dataset;
pub mod fit;
pub mod holdout;
pub mod intervals;
pub mod metrics;
pub mod model;
pub mod sample;

pub use dataset::{Dataset, DatasetError, Row, Statistic};
pub use holdout::{Study, study};
pub use metrics::{ErrorSummary, Grade};

#[cfg(test)]
pub(crate) mod tests {
    use derate_core::hardware::{Basis, ComputeUnit, Hardware, MemoryLevel, PrecisionFactors, ThermalProfile};
    use derate_core::shape::{PerPrecision, Precision};
    use derate_core::units::{Bytes, BytesPerSecond, Factor, Hertz, MacsPerCycle, Seconds};

    /// Two cores at 4 GHz with 32 fp32 MACs a cycle (512 GFLOP/s), 96 KiB, 2 MiB and 32 MiB of cache.
    pub(crate) fn with_two_core_cpu<R>(body: impl FnOnce(&Hardware<'_>) -> R) -> R {
        let rate = |value| BytesPerSecond::new(value).expect("positive");
        let level = |name, capacity, bandwidth| MemoryLevel::new(name, Bytes(capacity), rate(bandwidth), Basis::Spec);
        let compute = [ComputeUnit {
            name: "simd",
            count: 2,
            clock: Hertz::new(4e9).expect("positive"),
            macs_per_cycle: PerPrecision::all(None)
                .with(Precision::Fp32, Some(MacsPerCycle::new(32.0).expect("positive"))),
            energy_per_mac: PerPrecision::all(None),
            basis: Basis::Spec,
        }];
        let memory = [
            level("L1", 96 << 10, 1e12),
            level("L2", 2 << 20, 4e11),
            level("L3", 32 << 20, 1.5e11),
            level("DRAM", 16 << 30, 3e10),
        ];
        let factors = PrecisionFactors {
            efficiency_factor: Factor::new(0.7).expect("positive"),
            memory_bottleneck_factor: Factor::new(0.7).expect("positive"),
            tile_utilization: Factor::ONE,
            native_acceleration: true,
        };
        let factors = PerPrecision::all(None).with(Precision::Fp32, Some(factors));
        let profiles = [ThermalProfile::new("default", "unknown", factors)];
        body(&Hardware::new("two-core", &compute, &memory, &profiles, Seconds(2e-6)).expect("valid"))
    }
}
