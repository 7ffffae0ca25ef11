//! Evaluations: what a model says of rows that it was not fitted on, beside what was measured. Every figure of accuracy is a summary of these.

pub mod boards;
pub mod columns;
pub mod cross;
pub mod gemm;
pub mod layers;
pub mod networks;
pub mod report;
pub mod summary;
pub mod sweeps;
pub mod truth;

use std::collections::BTreeMap;

use crate::calibrate::ErrorSummary;

/// One measured row, and what was predicted of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Short name of the row.
    pub name: String,
    /// What it is summarised under: a model, a device, a kernel.
    pub group: String,
    /// Kind of op that takes most of its time.
    pub class: &'static str,
    /// What takes most of its time: `overhead`, `memory` or `compute`.
    pub regime: &'static str,
    /// Measured time, in seconds (or energy, in joules).
    pub measured: f64,
    /// Predicted, in the same unit.
    pub predicted: f64,
    /// Interval that was predicted to hold 90 % of measurements, in the same unit.
    pub interval: Option<[f64; 2]>,
}

impl Prediction {
    /// (predicted − measured) / measured, in percent.
    #[must_use]
    pub fn error_pct(&self) -> f64 {
        (self.predicted - self.measured) / self.measured * 100.0
    }
}

/// Predictions of one predictor, each row held out in its turn.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct HeldOut {
    /// What was held out together: `5 folds by shape`, `one model`, `one family`.
    pub holdout: String,
    /// Who predicts: `derate`, `plain roofline`, `MAC-only`.
    pub predictor: String,
    /// Its fitted coefficients, those that are fixed not counted.
    pub coefficients: usize,
    /// One a row.
    pub predictions: Vec<Prediction>,
}

/// Class of rows in which nothing runs: they count in sums, and in no figure of rows.
pub const VIEW: &str = "view";

/// Predictors side by side, on the same rows; ours first.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What was evaluated, and how.
    pub title: String,
    /// Each predictor.
    pub held_out: Vec<HeldOut>,
    /// Of each predictor, groups of several rows as a whole: networks whose parts were measured.
    pub wholes: Vec<Vec<Prediction>>,
    /// Families of groups.
    pub families: BTreeMap<String, String>,
    /// Families that have a class of ops which no other family has, with these classes.
    pub apart: BTreeMap<String, Vec<&'static str>>,
    /// Share of the measurements that intervals are asked to hold, and that they hold.
    pub coverage: Vec<[f64; 2]>,
    /// Rows that were measured, and the mean absolute error in percent of fits on so many.
    pub learning: Vec<[f64; 2]>,
    /// Rows.
    pub held_out_rows: usize,
}

impl Study {
    /// Nothing yet.
    #[must_use]
    pub fn new(title: String) -> Self {
        Self {
            title,
            held_out: Vec::new(),
            wholes: Vec::new(),
            families: BTreeMap::new(),
            apart: BTreeMap::new(),
            coverage: Vec::new(),
            learning: Vec::new(),
            held_out_rows: 0,
        }
    }

    /// Predictions that were made elsewhere, ours first.
    #[must_use]
    pub fn of(title: String, held_out: Vec<HeldOut>) -> Self {
        let held_out_rows = held_out.first().map_or(0, |ours| ours.predictions.len());
        Self { held_out, held_out_rows, ..Self::new(title) }
    }
}

/// Errors of the rows in which something runs; `None` where there is none.
#[must_use]
pub fn errors(predictions: &[Prediction]) -> Option<ErrorSummary> {
    let pairs: Vec<(f64, f64)> =
        predictions.iter().filter(|row| row.class != VIEW).map(|row| (row.predicted, row.measured)).collect();
    ErrorSummary::of(&pairs)
}
