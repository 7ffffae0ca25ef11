//! Held-out error: each configuration is predicted by a fit that never saw it.

use std::collections::HashSet;

use derate_core::calibration::{Calibration, Coefficients, Evidence, Hull, MODEL_VERSION, Machine, Protocol, Runtime};
use derate_core::estimate::Target;
use derate_core::shape::Precision;
use derate_core::work::Class;

use super::dataset::Row;
use super::fit::{Fit, Options, Parameter};
use super::metrics::{ErrorSummary, summary};
use super::model::{Bench, Model};
use super::sample::Sample;
use crate::graph_buf::GraphError;
use crate::sweep::Net;

/// Folds of the cross-validation; fewer rows are held out one by one.
pub const FOLDS: usize = 5;

/// One model, fitted on all rows, and how it does.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Which model.
    pub model: Model,
    /// Its free parameters, before any measurement.
    pub parameters: Vec<Parameter>,
    /// Their values, fitted on all rows.
    pub values: Vec<f64>,
    /// Standard errors of the logarithms of the values.
    pub standard_errors: Vec<f64>,
    /// Predictions of the fit on all rows, in seconds.
    pub in_sample: Vec<f64>,
    /// Predictions of fits that did not see the row, in seconds.
    pub held_out: Vec<f64>,
    /// Error of the first, beside which it is printed.
    pub in_sample_error: ErrorSummary,
    /// Error of the second: the one to quote.
    pub held_out_error: ErrorSummary,
}

/// All models on the rows of one precision.
#[derive(Clone, Debug)]
pub struct Study {
    /// The precision.
    pub precision: Precision,
    /// Indices of its rows in the dataset.
    pub rows: Vec<usize>,
    /// Estimates of the description as it is, in seconds.
    pub before: Vec<f64>,
    /// Their error.
    pub before_error: ErrorSummary,
    /// The models of [`Model::ALL`], in that order.
    pub fitted: Vec<Fitted>,
    /// What core takes: coefficients, coverage, interval.
    pub calibration: Calibration,
    /// Number of folds.
    pub folds: usize,
}

impl Study {
    /// One of the models.
    #[must_use]
    pub fn of(&self, model: Model) -> Option<&Fitted> {
        self.fitted.iter().find(|fitted| fitted.model == model)
    }
}

/// Why rows cannot be studied.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A row that is no network.
    #[error("{place}: {source}")]
    Graph {
        /// File and line.
        place: String,
        /// What is wrong.
        source: GraphError,
    },
    /// A row that cannot be estimated on the hardware.
    #[error("{place}: {precision} on {hardware}: {source}")]
    Estimate {
        /// File and line.
        place: String,
        /// Its precision.
        precision: &'static str,
        /// Name of the hardware.
        hardware: String,
        /// What is wrong.
        source: derate_core::Error,
    },
    /// A precision that is a mode of another one's storage, and that no estimate tells apart.
    #[error("{place}: {precision} is not estimated by this version; fp32, bf16, fp16, fp64 and int8 are")]
    Precision {
        /// File and line.
        place: String,
        /// The precision.
        precision: &'static str,
    },
    /// A fit that found no values.
    #[error("the {model} could not be fitted to the rows of {precision}: no values give finite times")]
    NoFit {
        /// The model.
        model: &'static str,
        /// The precision.
        precision: &'static str,
    },
    /// Counts of a network that overflow.
    #[error("{0}")]
    Count(derate_core::Error),
    /// Fewer configurations than a fit can be held out on.
    #[error("{configurations} configurations of {precision}: at least 3 are needed to hold one out")]
    TooFew {
        /// Different configurations there are.
        configurations: usize,
        /// Their precision.
        precision: &'static str,
    },
}

/// Fits all models on the rows of one precision, and holds each row out once. `runtime` and `threads` are those of the sweep.
///
/// # Errors
/// [`StudyError`] naming the row that no model can take.
pub fn study(
    rows: &[Row],
    precision: Precision,
    target: &Target<'_>,
    (runtime, threads): (Runtime, u32),
    mut progress: impl FnMut(&str),
) -> Result<Study, StudyError> {
    let indices: Vec<usize> = (0..rows.len()).filter(|&index| rows[index].precision == precision).collect();
    if let (Some(&first), true) = (indices.first(), precision.data_type().precision() != Some(precision)) {
        return Err(StudyError::Precision { place: rows[first].place.clone(), precision: precision.name() });
    }
    let configurations = indices.iter().map(|&index| &rows[index].net).collect::<HashSet<_>>().len();
    if configurations < 3 {
        return Err(StudyError::TooFew { configurations, precision: precision.name() });
    }
    let described = Target { calibration: None, ..*target };
    let mut samples = Vec::new();
    let mut before = Vec::new();
    for &index in &indices {
        let row = &rows[index];
        let no_estimate = |source| StudyError::Estimate {
            place: row.place.clone(),
            precision: precision.name(),
            hardware: target.hardware.name().to_owned(),
            source,
        };
        let graph = row
            .net
            .graph(precision.data_type())
            .map_err(|source| StudyError::Graph { place: row.place.clone(), source })?;
        let got = derate_core::estimate(derate_core::graph::Tables::view(&graph), &described).map_err(no_estimate)?;
        before.push(f64::from(got.latency.0));
        samples.push(Sample::of_network(row.name(), graph, row.seconds).map_err(StudyError::Count)?);
    }
    let machine = Machine::of(target.hardware, target.thermal_profile, precision, runtime, Protocol::WholeRun, threads)
        .map_err(StudyError::Count)?;
    let bench = Bench { samples: &samples, machine, evidence: Evidence::Stacks, target: Some(&described), precision };
    let folds = FOLDS.min(configurations);
    let fold = folds_of(rows, &indices, folds);
    let mut fitted = Vec::new();
    for model in Model::ALL {
        progress(model.name());
        let no_fit = StudyError::NoFit { model: model.name(), precision: precision.name() };
        fitted.push(bench.cross_validate(model, &fold).ok_or(no_fit)?);
    }
    let ours = &fitted[0];
    let no_fit = StudyError::NoFit { model: Model::Calibrated.name(), precision: precision.name() };
    let coefficients = bench.coefficients(&ours.values).ok_or(no_fit)?;
    let calibration = bench.calibration(coefficients, &ours.held_out).map_err(StudyError::Count)?;
    let measured: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
    let before_error = summary(&before, &measured);
    Ok(Study { precision, rows: indices, before, before_error, fitted, calibration, folds })
}

/// The fold of each row, from 0. What is held out is the configuration: rows of the same network, batch and precision, from two
/// files say, share a fold. Configurations are dealt out in order of their time, so that every fold has all sizes.
fn folds_of(rows: &[Row], indices: &[usize], folds: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..indices.len()).collect();
    order.sort_by(|&a, &b| rows[indices[a]].seconds.total_cmp(&rows[indices[b]].seconds));
    let mut dealt: Vec<&Net> = Vec::new();
    let mut fold = vec![0; indices.len()];
    for &at in &order {
        let net = &rows[indices[at]].net;
        let rank = dealt.iter().position(|earlier| *earlier == net).unwrap_or_else(|| {
            dealt.push(net);
            dealt.len() - 1
        });
        fold[at] = rank % folds;
    }
    fold
}

/// Error of the log-time of a stack of layers that counts as 1: what a good model leaves.
const SCALE: f64 = 0.1;

/// Strengths of the priors among which [`Bench::fit_stacks`] chooses: factors of their standard deviations.
const STRENGTHS: [f64; 3] = [0.1, 0.3, 1.0];

impl Bench<'_> {
    fn cross_validate(&self, model: Model, fold: &[usize]) -> Option<Fitted> {
        let all: Vec<usize> = (0..self.samples.len()).collect();
        let Fit { values, standard_errors, .. } = self.fit_stacks(model, &all, fold)?;
        let in_sample = self.predict(model, &all, &values)?;
        let held_out = self.held_out(model, fold, |rows| self.fit_stacks(model, rows, fold).map(|fit| fit.values))?;
        let measured: Vec<f64> = self.samples.iter().map(|sample| sample.seconds).collect();
        let in_sample_error = summary(&in_sample, &measured);
        let held_out_error = summary(&held_out, &measured);
        let parameters = self.parameters(model);
        Some(Fitted {
            model,
            parameters,
            values,
            standard_errors,
            in_sample,
            held_out,
            in_sample_error,
            held_out_error,
        })
    }

    /// Times of all samples in seconds, those of each fold by a fit on the others.
    pub fn held_out(
        &self,
        model: Model,
        fold: &[usize],
        fit: impl Fn(&[usize]) -> Option<Vec<f64>>,
    ) -> Option<Vec<f64>> {
        let mut times = vec![f64::NAN; self.samples.len()];
        for this in 0..fold.iter().max().map_or(0, |last| last + 1) {
            let (out, kept): (Vec<usize>, Vec<usize>) = (0..self.samples.len()).partition(|&index| fold[index] == this);
            if out.is_empty() {
                continue;
            }
            let values = fit(&kept)?;
            for (index, seconds) in out.iter().zip(self.predict(model, &out, &values)?) {
                times[*index] = seconds;
            }
        }
        Some(times)
    }

    /// Values fitted on these samples alone. Of the description's factors, how far they may go from what they were is not assumed:
    /// it is the strength with the least error on samples held out once more, within these.
    fn fit_stacks(&self, model: Model, rows: &[usize], fold: &[usize]) -> Option<Fit> {
        let fit_with = |strength: f64, rows: &[usize]| {
            let options = Options { scale: SCALE, ..Options::default() };
            self.fit_by(model, rows, &options, strength).ok()
        };
        if model != Model::TwoFactors {
            return fit_with(1.0, rows);
        }
        let held_out_error = |strength: f64| -> f64 {
            let mut folds: Vec<usize> = rows.iter().map(|&index| fold[index]).collect();
            folds.sort_unstable();
            folds.dedup();
            let mut error = 0.0;
            for this in folds {
                let (out, kept): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&index| fold[index] == this);
                let predicted = fit_with(strength, &kept).and_then(|fit| self.predict(model, &out, &fit.values));
                error += predicted.map_or(f64::INFINITY, |predicted| {
                    let measured = out.iter().map(|&row| self.samples[row].seconds);
                    predicted.iter().zip(measured).map(|(p, m)| (p / m).ln().abs()).sum()
                });
            }
            error
        };
        let best = STRENGTHS.into_iter().min_by(|&a, &b| held_out_error(a).total_cmp(&held_out_error(b)));
        fit_with(best.unwrap_or(1.0), rows)
    }

    /// What core takes: these coefficients, where they were measured, and how far off they were on samples that were held out.
    ///
    /// # Errors
    /// [`derate_core::Error::CountOverflow`].
    pub fn calibration(&self, coefficients: Coefficients, held_out: &[f64]) -> Result<Calibration, derate_core::Error> {
        let mut calibration = Calibration {
            model_version: MODEL_VERSION,
            runtime: self.machine.runtime,
            protocol: self.machine.protocol,
            threads: self.machine.threads as u16,
            coefficients,
            hulls: [Hull::EMPTY; Class::ALL.len()],
            intervals: self.intervals(&coefficients, held_out),
        };
        for work in self.samples.iter().flat_map(|sample| &sample.works) {
            calibration.widen(work)?;
        }
        Ok(calibration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::with_two_core_cpu;
    use crate::zoo::Mlp;

    const TWO: (Runtime, u32) = (Runtime::EagerCpu, 2);

    fn bench<'a>(target: &'a Target<'a>, samples: &'a [Sample]) -> Bench<'a> {
        let (hardware, mode) = (target.hardware, target.thermal_profile);
        let machine = Machine::of(hardware, mode, Precision::Fp32, TWO.0, Protocol::WholeRun, TWO.1).expect("fp32");
        Bench { samples, machine, evidence: Evidence::Stacks, target: Some(target), precision: Precision::Fp32 }
    }

    /// Rows of a device whose free coefficients are their priors times these factors, in turn.
    fn rows(target: &Target<'_>, factors: &[f64]) -> Vec<Row> {
        let parameters = bench(target, &[]).parameters(Model::Calibrated);
        let truth: Vec<f64> =
            parameters.iter().zip(factors.iter().cycle()).map(|(p, factor)| p.prior * factor).collect();
        let mut rows = Vec::new();
        for width in [64, 200, 512, 1024, 2048] {
            for batch in [1, 8, 64, 256] {
                let mlp = Mlp { input_dim: width, hidden_dims: vec![width, width], output_dim: width, batch };
                let graph = mlp.graph(Precision::Fp32.data_type()).expect("valid");
                let sample = [Sample::of_network(String::new(), graph, 1.0).expect("small")];
                let seconds = bench(target, &sample).predict(Model::Calibrated, &[0], &truth).expect("finite")[0];
                let place = format!("row {}", rows.len());
                rows.push(Row {
                    place,
                    net: mlp.into(),
                    precision: Precision::Fp32,
                    seconds,
                    memory: None,
                    disturbed: false,
                });
            }
        }
        rows
    }

    #[test]
    fn a_device_that_follows_the_model_is_found_and_baselines_are_not() {
        with_two_core_cpu(|hardware| {
            let target = Target::new(hardware).expect("valid");
            // Every coefficient away from its prior, by up to a half, and times that scatter by 3 %.
            let mut rows = rows(&target, &[0.8, 1.3, 0.7, 1.4, 1.2, 0.7, 1.3, 0.8, 0.6, 1.4]);
            for (index, row) in rows.iter_mut().enumerate() {
                row.seconds *= [0.97, 1.0, 1.03][index % 3];
            }
            let study = study(&rows, Precision::Fp32, &target, TWO, |_| ()).expect("fits");
            let ours = study.of(Model::Calibrated).expect("fitted");
            assert!(ours.held_out_error.median_pct < 5.0, "{:?}", ours.held_out_error);
            let linear = ours.parameters.iter().position(|p| p.name == "linear_throughput").expect("free");
            let error = ours.values[linear] / (ours.parameters[linear].prior * 1.3) - 1.0;
            assert!(error.abs() < 0.1, "{error}");
            assert_eq!(study.calibration.coefficients.linear_throughput, ours.values[linear] as f32);
            assert!(study.of(Model::MacOnly).expect("fitted").held_out_error.mape_pct > 20.0);
            assert!(study.before_error.mape_pct > 10.0);
            // The held-out error is not the in-sample one under another name.
            assert!(ours.held_out_error.mape_pct > ours.in_sample_error.mape_pct);
            // Rows of one model each: what a network adds is all there is.
            let intervals = study.calibration.intervals.expect("20 rows");
            assert!(intervals.own == 0.0 && intervals.common >= 0.02, "{intervals:?}");
        });
    }

    #[test]
    fn one_configuration_measured_often_is_still_one() {
        with_two_core_cpu(|hardware| {
            let target = Target::new(hardware).expect("valid");
            let row = rows(&target, &[1.0]).remove(0);
            let got = study(&vec![row; 9], Precision::Fp32, &target, TWO, |_| ());
            assert!(matches!(got, Err(StudyError::TooFew { configurations: 1, .. })));
        });
    }

    #[test]
    fn every_row_is_held_out_once_and_folds_have_all_sizes() {
        with_two_core_cpu(|hardware| {
            let target = Target::new(hardware).expect("valid");
            let rows = rows(&target, &[1.0]);
            let indices: Vec<usize> = (0..rows.len()).collect();
            let fold = folds_of(&rows, &indices, FOLDS);
            for this in 0..FOLDS {
                assert_eq!(fold.iter().filter(|&&fold| fold == this).count(), rows.len() / FOLDS);
            }
            // A second measurement of a configuration is no new one: it must not tell what is held out.
            let mut twice = rows.clone();
            twice.extend(rows.iter().map(|row| Row { seconds: row.seconds * 1.1, ..row.clone() }));
            let indices: Vec<usize> = (0..twice.len()).collect();
            let fold = folds_of(&twice, &indices, FOLDS);
            assert_eq!(fold[..rows.len()], fold[rows.len()..]);
        });
    }

    #[test]
    fn two_rows_are_too_few() {
        with_two_core_cpu(|hardware| {
            let target = Target::new(hardware).expect("valid");
            let rows = &rows(&target, &[1.0])[..2];
            assert!(matches!(
                study(rows, Precision::Fp32, &target, TWO, |_| ()),
                Err(StudyError::TooFew { configurations: 2, .. })
            ));
        });
    }
}
