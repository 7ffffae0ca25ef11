//! Evaluations: what a model says of rows that it was not fitted on, beside what was measured. Every figure of accuracy is a summary of these.

pub mod boards;
pub mod gemm;
pub mod layers;

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
