//! Slowdown: how much longer a FLOP takes where the working set fits in no near cache, as a ratio to `L1_fit`.
//!
//! Like is compared with like: a ratio is of two medians of time per FLOP at the *same* kind of network, number of layers and batch size, and
//! the slowdown is the median of those ratios. Widths differ by construction, since it is they that fill a memory.

use std::collections::BTreeMap;

use derate_core::hardware::Hardware;
use serde::Serialize;

use super::row::RowAnalysis;
use crate::measure::Sorted;
use crate::sweep::{Kind, Scenario};

/// Time per FLOP of a scenario over that of `L1_fit`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slowdown {
    /// The scenario.
    pub scenario: Scenario,
    /// Whether the device has the memory that the scenario is about.
    pub on_device: bool,
    /// Rows of the scenario.
    pub rows: usize,
    /// Pairs of layers and batch size that both scenarios have.
    pub pairs: usize,
    /// Median ratio of the measured times; null without pairs.
    pub observed: Option<f64>,
    /// The same of the calibrated model's estimates, fitted on all rows (in-sample).
    pub expected: Option<f64>,
    /// The same of the estimates of the description as it is.
    pub expected_before: Option<f64>,
}

/// One for each scenario but `L1_fit`, nearest memory first; none on a device without `L1`.
pub(super) fn slowdowns(rows: &[RowAnalysis], hardware: &Hardware<'_>) -> Vec<Slowdown> {
    if !on_device(Scenario::L1_fit, hardware) {
        return Vec::new();
    }
    let slowdown = |scenario: Scenario| {
        let ratios = |ms: fn(&RowAnalysis) -> f64| ratios(rows, scenario, ms);
        let measured = ratios(|row| row.measured_ms);
        Slowdown {
            scenario,
            on_device: on_device(scenario, hardware),
            rows: rows.iter().filter(|row| row.scenario == scenario).count(),
            pairs: measured.len(),
            observed: median(measured),
            expected: median(ratios(|row| row.in_sample_ms)),
            expected_before: median(ratios(|row| row.before_ms)),
        }
    };
    Scenario::ALL.into_iter().filter(|&scenario| scenario != Scenario::L1_fit).map(slowdown).collect()
}

/// Whether some working set falls into the scenario on this device.
pub(super) fn on_device(scenario: Scenario, hardware: &Hardware<'_>) -> bool {
    hardware.memory().iter().any(|level| Scenario::of(level.capacity.0, hardware) == scenario)
}

/// Ratios to `L1_fit`, one for each kind, number of layers and batch size that both have.
fn ratios(rows: &[RowAnalysis], scenario: Scenario, ms: impl Fn(&RowAnalysis) -> f64) -> Vec<f64> {
    let near = time_per_flop(rows, Scenario::L1_fit, &ms);
    let far = time_per_flop(rows, scenario, &ms);
    far.iter().filter_map(|(pair, far)| Some(far / near.get(pair)?)).filter(|ratio| ratio.is_finite()).collect()
}

/// Median time per FLOP of a scenario, by kind of network, layers and batch size.
fn time_per_flop(
    rows: &[RowAnalysis],
    scenario: Scenario,
    ms: impl Fn(&RowAnalysis) -> f64,
) -> BTreeMap<(Kind, usize, u32), f64> {
    let mut times: BTreeMap<(Kind, usize, u32), Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.scenario == scenario && row.flops > 0) {
        times.entry((row.kind, row.layers, row.batch)).or_default().push(ms(row) / row.flops as f64);
    }
    times.into_iter().filter_map(|(pair, times)| Some((pair, median(times)?))).collect()
}

fn median(values: Vec<f64>) -> Option<f64> {
    Sorted::new(values).map(|sorted| sorted.median())
}
