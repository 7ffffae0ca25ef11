//! The models that are fitted: ours, the description's two factors, and the two baselines that every figure stands beside.
//!
//! Each predicts the time of a sample from a handful of positive numbers; all are fitted alike (see [`super::fit`]).

use derate_core::calibration::{
    COEFFICIENTS, Calls, Coefficients, Evidence, Group, Machine, Priors, Regime, Run, Setting, Times, priors, tied,
};
use derate_core::estimate::{Target, estimate};
use derate_core::graph::Tables;
use derate_core::hardware::{PrecisionFactors, ThermalProfile};
use derate_core::shape::{PerPrecision, Precision};
use derate_core::units::Factor;
use derate_core::work::Work;

use super::fit::{Fit, FitError, Measured, Options, Parameter, fit};
use super::sample::Sample;

/// A form of prediction with free parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The coefficients of [`derate_core::calibration`].
    Calibrated,
    /// The description's `efficiency_factor` and `memory_bottleneck_factor`.
    TwoFactors,
    /// Time in proportion to MACs.
    MacOnly,
    /// Each op at the longer of its arithmetic at one throughput and its bytes at one bandwidth; no overhead, one memory level.
    PlainRoofline,
}

impl Model {
    /// All of them, ours first.
    pub const ALL: [Self; 4] = [Self::Calibrated, Self::TwoFactors, Self::PlainRoofline, Self::MacOnly];

    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calibrated => "calibrated model",
            Self::TwoFactors => "two factors",
            Self::MacOnly => "MAC-only",
            Self::PlainRoofline => "plain roofline",
        }
    }
}

/// What is fitted, and to what: the samples, what is known of their device, and what they can tell.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// Measured rows.
    pub samples: &'a [Sample],
    /// What is known of the device.
    pub machine: Machine,
    /// What the samples can tell.
    pub evidence: Evidence,
    /// The device's description, for the model of two factors.
    pub target: Option<&'a Target<'a>>,
    /// Precision of the samples.
    pub precision: Precision,
}

/// Least time of a row whose model gives none, in seconds: a row of views has no MACs.
const LEAST: f64 = 1e-9;

impl Bench<'_> {
    /// Priors of the coefficients.
    #[must_use]
    pub fn priors(&self) -> Priors {
        priors(&self.machine, self.evidence)
    }

    /// Free parameters of a model, before any measurement.
    #[must_use]
    pub fn parameters(&self, model: Model) -> Vec<Parameter> {
        // Without a prior to speak of: a standard deviation of e^10.
        let free = |name, prior: f64| Parameter { name, prior, prior_sd: 10.0, low: prior * 1e-6, high: prior * 1e6 };
        let factor = |name| Parameter { name, prior: 0.7, prior_sd: 1.0, low: 0.01, high: 1.5 };
        match model {
            Model::Calibrated => free_coefficients(&self.priors())
                .map(|(index, prior)| Parameter {
                    name: COEFFICIENTS[index].name,
                    prior: f64::from(prior.centre),
                    prior_sd: f64::from(prior.sd),
                    low: f64::from(prior.low),
                    high: f64::from(prior.high),
                })
                .collect(),
            Model::TwoFactors => vec![factor("efficiency_factor"), factor("memory_bottleneck_factor")],
            Model::MacOnly => vec![free("seconds_per_mac", 1e-11)],
            Model::PlainRoofline => vec![free("peak_throughput", 1e11), free("bandwidth", 1e10)],
        }
    }

    /// Coefficients of fitted values.
    #[must_use]
    pub fn coefficients(&self, values: &[f64]) -> Option<Coefficients> {
        let priors = self.priors();
        let mut all = priors.map(|prior| prior.centre);
        let mut given = values.iter();
        for (index, prior) in free_coefficients(&priors) {
            // From f64 to f32 a value at its bound may land just outside.
            all[index] = (*given.next()? as f32).clamp(prior.low, prior.high);
        }
        tied(&priors, all).ok().filter(|_| given.next().is_none())
    }

    /// What a sample's time depends on beside its calls.
    fn setting(&self, sample: &Sample) -> Setting {
        Setting {
            runtime: self.machine.runtime,
            threads: self.machine.threads,
            weights: sample.weights.as_f32(),
            reuse: sample.reuse,
        }
    }

    /// Time of one sample by some coefficients, in seconds.
    #[must_use]
    pub fn time(&self, sample: &Sample, coefficients: &Coefficients) -> f64 {
        let mut run = Run::new(coefficients, self.setting(sample), self.machine.protocol);
        for calls in &sample.ops {
            run.op(calls);
        }
        f64::from(run.end().0)
    }

    /// What most of a sample's time goes to: its ops' kinds, and its regime.
    #[must_use]
    pub fn character(&self, sample: &Sample, coefficients: &Coefficients) -> (Group, Regime) {
        let mut run = Run::new(coefficients, self.setting(sample), self.machine.protocol);
        let mut kinds = [0.0; Group::ALL.len()];
        let mut sum = Times::ZERO;
        for calls in &sample.ops {
            let op = run.op(calls);
            let group = Group::of(Calls::routine(calls));
            for (time, kind) in kinds.iter_mut().zip(Group::ALL) {
                *time += if kind == group { f64::from(op.latency.0) } else { 0.0 };
            }
            sum.overhead = sum.overhead + op.times.overhead;
            sum.compute = sum.compute + op.times.compute;
            sum.memory = sum.memory + op.times.memory;
            sum.copies = sum.copies + op.times.copies;
        }
        let longest = kinds.iter().zip(Group::ALL).max_by(|a, b| a.0.total_cmp(b.0));
        (longest.map_or(Group::Elementwise, |(_, group)| group), Regime::of(&sum))
    }

    /// Times of some samples in seconds; `None` where the values make no sense.
    #[must_use]
    pub fn predict(&self, model: Model, rows: &[usize], values: &[f64]) -> Option<Vec<f64>> {
        let samples = rows.iter().map(|&row| &self.samples[row]);
        match (model, values) {
            (Model::Calibrated, values) => {
                let coefficients = self.coefficients(values)?;
                Some(samples.map(|sample| self.time(sample, &coefficients)).collect())
            }
            (Model::TwoFactors, &[efficiency, memory]) => {
                let target = self.target?;
                let profile = with_factors(target.thermal_profile, self.precision, efficiency, memory)?;
                let target = Target { calibration: None, thermal_profile: &profile, ..*target };
                samples
                    .map(|sample| {
                        let graph = sample.graph.as_ref()?;
                        Some(f64::from(estimate(graph.view(), &target).ok()?.latency.0))
                    })
                    .collect()
            }
            (Model::MacOnly | Model::PlainRoofline, values) => {
                samples.map(|sample| baseline(model, &sample.works, values)).collect()
            }
            _ => None,
        }
    }

    /// Fits a model to some samples.
    ///
    /// Rows of one group share a state of the machine, so that a group of n counts as √n rows; within it, rows with a large share of its
    /// time count more. The shares are those that a first fit predicts: a row that was measured wrongly does not set its own weight.
    /// Rows of views alone leave the fit as it is.
    ///
    /// # Errors
    /// [`FitError`] where no values give finite times.
    pub fn fit(&self, model: Model, rows: &[usize], options: &Options) -> Result<Fit, FitError> {
        self.fit_by(model, rows, options, 1.0)
    }

    /// As [`Bench::fit`], the standard deviations of the priors times a strength.
    ///
    /// # Errors
    /// [`FitError`] where no values give finite times.
    pub fn fit_by(&self, model: Model, rows: &[usize], options: &Options, strength: f64) -> Result<Fit, FitError> {
        let mut parameters = self.parameters(model);
        for parameter in &mut parameters {
            parameter.prior_sd *= strength;
        }
        let times: Vec<f64> = rows.iter().map(|&row| self.samples[row].seconds).collect();
        let even: Vec<f64> = vec![1.0; rows.len()];
        let weights = self.weights(rows, &even);
        let first = Options { iterations: options.iterations.min(8), biweight: None, ..options.clone() };
        let measured = Measured { times: &times, weights: Some(&weights) };
        let start = fit(&parameters, measured, &first, |values| self.predict(model, rows, values))?;
        let predicted = self.predict(model, rows, &start.values).ok_or(FitError::NotFinite)?;
        let weights = self.weights(rows, &predicted);
        let second = Options { starts: vec![start.values], ..options.clone() };
        let measured = Measured { times: &times, weights: Some(&weights) };
        fit(&parameters, measured, &second, |values| self.predict(model, rows, values))
    }

    fn weights(&self, rows: &[usize], times: &[f64]) -> Vec<f64> {
        let mut groups: std::collections::HashMap<&str, (f64, f64)> = std::collections::HashMap::new();
        for (&row, time) in rows.iter().zip(times) {
            let (count, sum) = groups.entry(&self.samples[row].group).or_default();
            *count += 1.0;
            *sum += time;
        }
        let mut weights: Vec<f64> = rows
            .iter()
            .zip(times)
            .map(|(&row, time)| {
                let (count, sum) = groups[self.samples[row].group.as_str()];
                (0.3 + 0.7 * time / sum * count).sqrt() / count.sqrt()
            })
            .collect();
        let scale = weights.len() as f64 / weights.iter().sum::<f64>();
        for (weight, &row) in weights.iter_mut().zip(rows) {
            *weight = if self.samples[row].has_kernels() { *weight * scale } else { 0.0 };
        }
        weights
    }
}

/// Time of ops by one of the baselines, in seconds; `None` of another model, or of values that it does not have.
#[must_use]
pub fn baseline(model: Model, works: &[Work], values: &[f64]) -> Option<f64> {
    let time = match (model, values) {
        (Model::MacOnly, &[seconds_per_mac]) => {
            works.iter().map(|work| work.macs.0 as f64).sum::<f64>() * seconds_per_mac
        }
        (Model::PlainRoofline, &[flops_per_second, bytes_per_second]) => works.iter().try_fold(0.0, |sum, work| {
            let bytes = work.compulsory_traffic().ok()?;
            Some(sum + f64::max(work.flops.0 as f64 / flops_per_second, bytes.0 as f64 / bytes_per_second))
        })?,
        _ => return None,
    };
    Some(time.max(LEAST))
}

/// Coefficients that are fitted, with their places.
fn free_coefficients(priors: &Priors) -> impl Iterator<Item = (usize, derate_core::calibration::Prior)> {
    priors.iter().copied().enumerate().filter(|(_, prior)| prior.sd > 0.0 && prior.like.is_none())
}

/// The thermal profile with other factors for one precision.
#[must_use]
pub fn with_factors<'a>(
    profile: &ThermalProfile<'a>,
    precision: Precision,
    efficiency: f64,
    memory: f64,
) -> Option<ThermalProfile<'a>> {
    let factors: PrecisionFactors = profile.factors.at(precision)?;
    let factors = PrecisionFactors {
        efficiency_factor: Factor::new(efficiency as f32).ok()?,
        memory_bottleneck_factor: Factor::new(memory as f32).ok()?,
        ..factors
    };
    let all: PerPrecision<Option<PrecisionFactors>> = profile.factors.with(precision, Some(factors));
    Some(ThermalProfile { factors: all, ..*profile })
}
