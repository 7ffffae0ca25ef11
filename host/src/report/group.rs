//! Groups: the held-out time error by regime, batch, layers, scenario and disturbance, in percent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::analysis::GradedError;
use super::row::RowAnalysis;

/// Rows that have something in common, and how far off the estimates are there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common: `compute-bound`, `32`, `L3_fit`, …
    pub value: String,
    /// Number of rows.
    pub rows: usize,
    /// Those of them that are marked as disturbed.
    pub disturbed: usize,
    /// Error of the description as it is.
    pub before: GradedError,
    /// Held-out error of the two factors.
    pub two_factors: GradedError,
    /// Held-out error of the calibrated model.
    pub calibrated: GradedError,
}

/// The rows of one precision, divided in several ways.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Splits {
    /// `compute-bound` (above 10 FLOP/B) and `memory-bound`.
    pub regime: Vec<Group>,
    /// By batch size, ascending.
    pub batch: Vec<Group>,
    /// By number of hidden layers, or of convolutions, ascending.
    pub layers: Vec<Group>,
    /// By scenario of the footprint, nearest memory first.
    pub scenario: Vec<Group>,
    /// `disturbed` and `undisturbed` rows.
    pub disturbance: Vec<Group>,
}

impl Splits {
    pub(super) fn of(rows: &[RowAnalysis]) -> Self {
        Self {
            regime: groups(rows, |row| row.regime, |regime| regime.name().into()),
            batch: groups(rows, |row| row.batch, u32::to_string),
            layers: groups(rows, |row| row.layers, usize::to_string),
            scenario: groups(rows, |row| row.scenario, |scenario| scenario.name().into()),
            disturbance: groups(
                rows,
                |row| row.disturbed,
                |disturbed| if *disturbed { "disturbed" } else { "undisturbed" }.into(),
            ),
        }
    }
}

/// Groups of equal keys, in the order of the keys.
fn groups<K: Ord>(rows: &[RowAnalysis], key: impl Fn(&RowAnalysis) -> K, name: impl Fn(&K) -> String) -> Vec<Group> {
    let mut by_key: BTreeMap<K, Vec<&RowAnalysis>> = BTreeMap::new();
    for row in rows {
        by_key.entry(key(row)).or_default().push(row);
    }
    let error = |rows: &[&RowAnalysis], estimated_ms: fn(&RowAnalysis) -> f64| {
        GradedError::of(&rows.iter().map(|row| (estimated_ms(row), row.measured_ms)).collect::<Vec<_>>())
    };
    let group = |(key, rows): (K, Vec<&RowAnalysis>)| {
        Some(Group {
            value: name(&key),
            rows: rows.len(),
            disturbed: rows.iter().filter(|row| row.disturbed).count(),
            before: error(&rows, |row| row.before_ms)?,
            two_factors: error(&rows, |row| row.two_factors_held_out_ms)?,
            calibrated: error(&rows, |row| row.held_out_ms)?,
        })
    };
    by_key.into_iter().filter_map(group).collect()
}
