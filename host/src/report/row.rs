//! Rows: everything that a report says of one measured configuration, in ms, MB (10^6 B), FLOP and FLOP/B.

use derate_core::graph::Tables;
use serde::Serialize;

use super::analysis::{AnalysisError, Subject};
use crate::calibrate::model::Model;
use crate::calibrate::{Dataset, Study};
use crate::sweep::{Kind, Scenario};

/// Operational intensity above which a network counts as compute-bound, in FLOP/B.
pub(super) const COMPUTE_BOUND_ABOVE: f64 = 10.0;

/// Whether a network does much arithmetic for each byte it must move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// More than 10 FLOP/B.
    Compute,
    /// At most that.
    Memory,
}

impl Regime {
    /// The regime of an operational intensity in FLOP/B.
    #[must_use]
    pub fn of(operational_intensity: f64) -> Self {
        if operational_intensity > COMPUTE_BOUND_ABOVE { Self::Compute } else { Self::Memory }
    }

    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute-bound",
            Self::Memory => "memory-bound",
        }
    }
}

/// One measured configuration, and what each model says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowAnalysis {
    /// Widths, batch, precision.
    pub name: String,
    /// File and line.
    pub place: String,
    /// Batch size.
    pub batch: u32,
    /// Kind of network.
    pub kind: Kind,
    /// Number of hidden layers, or of convolutions.
    pub layers: usize,
    /// Scenario of its footprint on the hardware.
    pub scenario: Scenario,
    /// `compute` above 10 FLOP/B, else `memory`.
    pub regime: Regime,
    /// FLOPs over compulsory bytes of the model, in FLOP/B.
    pub operational_intensity: f64,
    /// FLOPs of one run.
    pub flops: u64,
    /// Weights and peak live activations, in MB.
    pub footprint_mb: f64,
    /// Measured growth of memory in MB; null where it was not measured.
    pub measured_memory_mb: Option<f64>,
    /// Measured time in ms, by the dataset's statistic.
    pub measured_ms: f64,
    /// Estimate of the description as it is, in ms.
    pub before_ms: f64,
    /// Estimate of the two factors, fitted without this row, in ms.
    pub two_factors_held_out_ms: f64,
    /// Estimate of the calibrated model, fitted without this row, in ms.
    pub held_out_ms: f64,
    /// Estimate of the calibrated model, fitted on all rows, in ms.
    pub in_sample_ms: f64,
    /// Relative error of `held_out_ms`, in percent: positive where it is too long.
    pub held_out_error_pct: f64,
    /// Whether the measurement is marked as disturbed.
    pub disturbed: bool,
}

impl RowAnalysis {
    /// Relative error of an estimate in ms, in percent of the measurement.
    #[must_use]
    pub fn error_pct(&self, estimated_ms: f64) -> f64 {
        (estimated_ms - self.measured_ms) / self.measured_ms * 100.0
    }

    /// Size of the held-out error in percent; infinite where there is no estimate.
    pub(super) fn size_pct(&self) -> f64 {
        let size = self.held_out_error_pct.abs();
        if size.is_nan() { f64::INFINITY } else { size }
    }
}

/// All rows of a study, in its order.
pub(super) fn rows(dataset: &Dataset, study: &Study, subject: &Subject<'_>) -> Result<Vec<RowAnalysis>, AnalysisError> {
    let (precision, measured) = (study.precision, &dataset.rows);
    let model =
        |model: Model| study.of(model).ok_or(AnalysisError::Model { precision: precision.name(), model: model.name() });
    let (ours, two_factors) = (model(Model::Calibrated)?, model(Model::TwoFactors)?);
    let mut rows = Vec::new();
    for (at, &index) in study.rows.iter().enumerate() {
        let row = measured.get(index).filter(|row| row.precision == precision).ok_or(AnalysisError::Foreign {
            precision: precision.name(),
            row: index,
            rows: measured.len(),
        })?;
        let graph = row
            .net
            .graph(precision.data_type())
            .map_err(|source| AnalysisError::Graph { place: row.place.clone(), source })?;
        let count = |source| AnalysisError::Count { place: row.place.clone(), source };
        let flops = graph.view().total_work().map_err(count)?.flops;
        let traffic = graph.view().compulsory_traffic().map_err(count)?;
        let footprint = graph.footprint().and_then(|footprint| footprint.total()).map_err(count)?;
        let operational_intensity = flops.0 as f64 / traffic.0 as f64;
        // A model that could not be evaluated has no estimates; they are reported as missing.
        let ms = |seconds: &[f64]| seconds.get(at).map_or(f64::NAN, |seconds| seconds * 1e3);
        let mut row = RowAnalysis {
            name: row.name(),
            place: row.place.clone(),
            batch: row.net.batch(),
            kind: row.net.kind(),
            layers: row.net.layers(),
            scenario: Scenario::of(footprint.0, subject.target.hardware),
            regime: Regime::of(operational_intensity),
            operational_intensity,
            flops: flops.0,
            footprint_mb: footprint.0 as f64 / 1e6,
            measured_memory_mb: row.memory.map(|bytes| bytes / 1e6),
            measured_ms: row.seconds * 1e3,
            before_ms: ms(&study.before),
            two_factors_held_out_ms: ms(&two_factors.held_out),
            held_out_ms: ms(&ours.held_out),
            in_sample_ms: ms(&ours.in_sample),
            held_out_error_pct: f64::NAN,
            disturbed: row.disturbed,
        };
        row.held_out_error_pct = row.error_pct(row.held_out_ms);
        rows.push(row);
    }
    Ok(rows)
}
