//! Analysis: what a dataset and its studies say, as plain numbers with stable keys; errors in percent, times in ms.
//!
//! `--format json` prints an [`Analysis`]; a number that does not exist is null. For scripts, the error of the first precision
//! stands at the top: `error.before.mape_pct`, `error.after_held_out.mape_pct`, `error.after_in_sample.mape_pct`.

use derate_core::calibration::MODEL_VERSION;
use derate_core::estimate::Target;
use derate_core::shape::Precision;
use derate_core::units::Seconds;
use serde::Serialize;

use super::coefficient::{CoefficientValue, Factors, coefficients, factors};
use super::command::{NextSweep, Place, apply, next_sweeps};
use super::group::Splits;
use super::row::{RowAnalysis, rows};
use super::slowdown::{Slowdown, slowdowns};
use crate::calibrate::model::Model;
use crate::calibrate::{Dataset, ErrorSummary, Grade, Statistic, Study};
use crate::graph_buf::GraphError;

/// Version of the keys below; a key is added without a new one, never renamed or removed.
pub const FORMAT: u32 = 1;

/// Rows in the list of the worst.
const WORST: usize = 5;

/// What an analysis is about, beside the data.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The hardware and thermal profile that the studies were made with.
    pub target: &'a Target<'a>,
    /// The description's file, where it is not the detected one: the commands that the report prints name it.
    pub hardware_file: Option<&'a str>,
    /// Path of the profile that was made of the studies, as the user would name it.
    pub profile: &'a str,
    /// When the calibration was made, RFC 3339, UTC.
    pub date: &'a str,
}

/// An error with its word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradedError {
    /// `n`, `mape_pct`, `median_pct`, `r2`, `bias_pct`, `min_pct`, `max_pct`, `std_pct`; `within_10_share` is a share from 0 to 1.
    #[serde(flatten)]
    pub summary: ErrorSummary,
    /// `excellent`, `good`, `needs_tuning` or `poor`.
    pub grade: Grade,
}

impl GradedError {
    /// Of (estimated, measured) pairs; `None` for no pair.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        ErrorSummary::of(pairs).map(|summary| Self::from(&summary))
    }
}

impl From<&ErrorSummary> for GradedError {
    fn from(summary: &ErrorSummary) -> Self {
        Self { grade: summary.grade(), summary: summary.clone() }
    }
}

/// Time error of the description as it is, and of the calibrated model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeError {
    /// The description as it is.
    pub before: GradedError,
    /// The calibrated model, on rows that the fit did not see: the error to quote.
    pub after_held_out: GradedError,
    /// The calibrated model, on the rows of the fit.
    pub after_in_sample: GradedError,
}

/// Time error of one form of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelError {
    /// On rows that the fit did not see.
    pub held_out: GradedError,
    /// On the rows of the fit.
    pub in_sample: GradedError,
}

/// Time error of all forms of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Models {
    /// The model with its coefficients.
    pub calibrated: ModelError,
    /// The description with recommended factors.
    pub two_factors: ModelError,
    /// Baseline: one throughput, one bandwidth.
    pub plain_roofline: ModelError,
    /// Baseline: time in proportion to MACs.
    pub mac_only: ModelError,
}

/// Error of the analytical footprint against the measured growth of memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryError {
    /// Null where no row has a measurement.
    pub error: Option<GradedError>,
    /// Rows with a measurement.
    pub measured_rows: usize,
    /// Rows without.
    pub unmeasured_rows: usize,
}

/// What is said of one precision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionAnalysis {
    /// The precision.
    pub precision: Precision,
    /// Rows of this precision.
    pub rows: usize,
    /// Those of them that are marked as disturbed; they are fitted like the others.
    pub disturbed_rows: usize,
    /// Folds of the cross-validation that the held-out errors come from.
    pub folds: usize,
    /// Before and after.
    pub error: TimeError,
    /// All forms of the model beside each other.
    pub models: Models,
    /// Measured over estimated time that held 90 % of the held-out rows: `[low, high]` around 1; null below 19 rows.
    pub interval: Option<[f32; 2]>,
    /// Memory.
    pub memory: MemoryError,
    /// Held-out time error by group.
    pub splits: Splits,
    /// Time per FLOP against `L1_fit`; empty on a device without that cache.
    pub slowdowns: Vec<Slowdown>,
    /// Recommended factors of the description.
    pub factors: Factors,
    /// Coefficients of the calibrated model.
    pub coefficients: Vec<CoefficientValue>,
    /// The rows with the greatest held-out error of the calibrated model, worst first; five at most.
    pub worst_rows: Vec<RowAnalysis>,
    /// What to measure next, most useful first.
    pub next_sweeps: Vec<NextSweep>,
    /// Every row, in the order of the dataset.
    pub points: Vec<RowAnalysis>,
}

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provenance {
    /// Files of the dataset.
    pub files: Vec<String>,
    /// SHA-256 over their contents.
    pub sha256: String,
    /// Measured rows of all precisions.
    pub rows: usize,
    /// Rows that the sweep skipped.
    pub skipped: usize,
    /// What stands for the time of a row: `p10` or `empirical_time`.
    pub statistic: Statistic,
    /// Name of the hardware description that the estimates were made with.
    pub hardware: String,
    /// Its thermal profile.
    pub thermal_profile: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Runtime; null where the files do not say.
    pub runtime: Option<String>,
    /// Threads of every op; null where the files do not say.
    pub threads: Option<u32>,
    /// Version of the model's equations.
    pub model_version: u16,
    /// Version of this tool.
    pub tool_version: &'static str,
    /// When, RFC 3339, UTC.
    pub date: String,
}

/// Everything that a report says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// [`FORMAT`].
    pub format: u32,
    /// The word for the held-out error after calibration, of the first precision.
    pub grade: Grade,
    /// Time error of the first precision.
    pub error: TimeError,
    /// One for each precision of the dataset.
    pub precisions: Vec<PrecisionAnalysis>,
    /// The command line that writes the recommended factors into the description.
    pub apply_command: String,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// No study at all.
    #[error("no precision was studied: there is nothing to report")]
    NoStudy,
    /// A study without one of the models.
    #[error("the study of {precision} has no fit of the {model}")]
    Model {
        /// Its precision.
        precision: &'static str,
        /// The model.
        model: &'static str,
    },
    /// A study of another dataset.
    #[error(
        "the study of {precision} is of another dataset: its row {row} is none of {precision} among the {rows} rows"
    )]
    Foreign {
        /// Its precision.
        precision: &'static str,
        /// Index of the row.
        row: usize,
        /// Rows of the dataset.
        rows: usize,
    },
    /// A thermal profile without factors for the precision.
    #[error("thermal profile `{profile}` has no factors for {precision}")]
    Factors {
        /// The precision.
        precision: &'static str,
        /// Name of the thermal profile.
        profile: String,
    },
    /// A row that is no network.
    #[error("{place}: {source}")]
    Graph {
        /// File and line.
        place: String,
        /// What is wrong.
        source: GraphError,
    },
    /// A row whose counts overflow.
    #[error("{place}: {source}")]
    Count {
        /// File and line.
        place: String,
        /// What is wrong.
        source: derate_core::Error,
    },
}

/// Computes what a report says of a dataset and the studies of its precisions.
///
/// # Errors
/// [`AnalysisError`] where there is no study, or a study does not belong to the dataset or the target.
pub fn analyze(dataset: &Dataset, studies: &[Study], subject: &Subject<'_>) -> Result<Analysis, AnalysisError> {
    let precisions: Vec<PrecisionAnalysis> =
        studies.iter().map(|study| of_precision(dataset, study, subject)).collect::<Result<_, _>>()?;
    let error = precisions.first().ok_or(AnalysisError::NoStudy)?.error.clone();
    let provenance = Provenance {
        files: dataset.files.clone(),
        sha256: dataset.sha256.clone(),
        rows: dataset.rows.len(),
        skipped: dataset.skipped,
        statistic: dataset.statistic,
        hardware: subject.target.hardware.name().to_owned(),
        thermal_profile: subject.target.thermal_profile.name.to_owned(),
        device: dataset.device.clone(),
        runtime: dataset.runtime.clone(),
        threads: dataset.threads,
        model_version: MODEL_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        date: subject.date.to_owned(),
    };
    let (grade, apply_command) = (error.after_held_out.grade, apply(subject));
    Ok(Analysis { format: FORMAT, grade, error, precisions, apply_command, provenance })
}

fn of_precision(dataset: &Dataset, study: &Study, subject: &Subject<'_>) -> Result<PrecisionAnalysis, AnalysisError> {
    let points = rows(dataset, study, subject)?;
    let model = |model: Model| {
        let missing = AnalysisError::Model { precision: study.precision.name(), model: model.name() };
        let fitted = study.of(model).ok_or(missing)?;
        Ok(ModelError {
            held_out: GradedError::from(&fitted.held_out_error),
            in_sample: GradedError::from(&fitted.in_sample_error),
        })
    };
    let models = Models {
        calibrated: model(Model::Calibrated)?,
        two_factors: model(Model::TwoFactors)?,
        plain_roofline: model(Model::PlainRoofline)?,
        mac_only: model(Model::MacOnly)?,
    };
    let splits = Splits::of(&points);
    let place = Place {
        dataset,
        precision: study.precision,
        hardware: subject.target.hardware,
        hardware_file: subject.hardware_file,
    };
    let next_sweeps = next_sweeps(&points, &splits, &models.calibrated.held_out.summary, &place);
    Ok(PrecisionAnalysis {
        precision: study.precision,
        rows: points.len(),
        disturbed_rows: points.iter().filter(|row| row.disturbed).count(),
        folds: study.folds,
        error: TimeError {
            before: GradedError::from(&study.before_error),
            after_held_out: models.calibrated.held_out.clone(),
            after_in_sample: models.calibrated.in_sample.clone(),
        },
        models,
        interval: study
            .calibration
            .intervals
            .map(|intervals| intervals.of_network(Seconds(1.0), 0.0, 1.0).map(|bound| bound.0)),
        memory: memory(&points),
        slowdowns: slowdowns(&points, subject.target.hardware),
        factors: factors(study, subject.target)?,
        coefficients: coefficients(study)?,
        worst_rows: worst(&points),
        next_sweeps,
        splits,
        points,
    })
}

fn memory(rows: &[RowAnalysis]) -> MemoryError {
    let pairs: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((row.footprint_mb, row.measured_memory_mb?))).collect();
    MemoryError {
        error: GradedError::of(&pairs),
        measured_rows: pairs.len(),
        unmeasured_rows: rows.len() - pairs.len(),
    }
}

fn worst(rows: &[RowAnalysis]) -> Vec<RowAnalysis> {
    let mut sorted: Vec<&RowAnalysis> = rows.iter().collect();
    sorted.sort_by(|a, b| b.size_pct().total_cmp(&a.size_pct()));
    sorted.into_iter().take(WORST).cloned().collect()
}
