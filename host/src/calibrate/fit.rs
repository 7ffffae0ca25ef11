//! Fits: positive parameters that minimise the error of log-times, robustly, held to priors and bounds.
//!
//! ```text
//! minimise  Σ weight · ρ(e) + Σ ((ln value − ln prior) / prior_sd)²        e = ln predicted − ln measured
//!
//! pseudo-Huber   ρ(e) = 2 c² (√(1 + (e / (c·scale))²) − 1)     a square near 0, linear beyond c scales
//! biweight       ρ(e) = c²/3 · (1 − (1 − min((e / (c·scale))², 1))³)      a square near 0, constant beyond c scales
//! ```
//! An outlier pulls at the pseudo-Huber loss with a bounded force, at the biweight with none; but the biweight has many minima. So it
//! is a second stage, from where the first ends, at the scale of the errors that the first leaves.
//! **Source**: Charbonnier et al., IEEE Trans. Image Processing 6(2), 1997 (pseudo-Huber); Beaton and Tukey, Technometrics 16(2), 1974
//! (biweight); Huber and Ronchetti, "Robust Statistics", 2009, chapters 6 and 7 (scale by the median, re-weighted least squares).
//! The descent is in `fit/descend.rs`.

mod descend;
#[cfg(test)]
mod tests;

use descend::{Descent, Loss, Point, Problem};

/// One positive number of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Name in reports.
    pub name: &'static str,
    /// Value before any measurement: the centre of its prior.
    pub prior: f64,
    /// Standard deviation of the prior, of the natural logarithm; 0 fixes the parameter at the centre, infinity leaves it free.
    pub prior_sd: f64,
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
}

impl Parameter {
    /// Whether a fit leaves it where it is.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.prior_sd == 0.0
    }

    /// Whether a value lies at its bound, within 1 %.
    #[must_use]
    pub fn at_bound(&self, value: f64) -> bool {
        value <= self.low * 1.01 || value >= self.high / 1.01
    }

    /// Whether a value stayed at its prior, within 2 %: the data do not tell it.
    #[must_use]
    pub fn at_prior(&self, value: f64) -> bool {
        (value / self.prior).ln().abs() < 0.02
    }

    fn is_sound(&self) -> bool {
        let centre = self.low..=self.high;
        self.low > 0.0 && self.high.is_finite() && centre.contains(&self.prior) && self.prior_sd >= 0.0
    }
}

/// Second stage: Tukey's biweight, under which rows beyond the cut count for nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Biweight {
    /// Error, in scales, from which a row is ignored.
    pub cut: f64,
    /// Least scale: with errors below it, rows are not sorted out for scattering as much as measurements do.
    pub least_scale: f64,
}

impl Biweight {
    /// A cut at 4.685 scales, as efficient as least squares to 95 % where errors are normal (Huber and Ronchetti, 2009), and a scale
    /// of 5 % at least.
    pub const USUAL: Self = Self { cut: 4.685, least_scale: 0.05 };
}

/// How a fit is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Error of a log-time that counts as 1 in the first stage: what a good model leaves.
    pub scale: f64,
    /// Error, in scales, about which the loss of the first stage turns from a square to a line.
    pub corner: f64,
    /// Second stage; `None` leaves the values of the first.
    pub biweight: Option<Biweight>,
    /// Points to start from, each a value for every parameter; the one that ends at the lowest cost counts. Empty: the priors.
    pub starts: Vec<Vec<f64>>,
    /// Most steps of one descent.
    pub iterations: usize,
}

impl Default for Options {
    /// As networks are fitted: scale 0.15, one stage, from the priors.
    fn default() -> Self {
        Self { scale: 0.15, corner: 1.0, biweight: None, starts: Vec::new(), iterations: 50 }
    }
}

/// Measured rows.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// Time of each row.
    pub times: &'a [f64],
    /// Weight of each row's loss; a row of weight 0 is predicted, and leaves the fit as it is. `None`: 1 for each.
    pub weights: Option<&'a [f64]>,
}

impl<'a> Measured<'a> {
    /// Rows that count alike.
    #[must_use]
    pub const fn new(times: &'a [f64]) -> Self {
        Self { times, weights: None }
    }
}

/// What a fit found. Vectors have one value per parameter, in their order, unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The values.
    pub values: Vec<f64>,
    /// Standard errors of the logarithms of the values, from the curvature of loss and priors at the scale of the last stage; 0 of a
    /// fixed parameter, infinite where neither data nor prior tell a value.
    pub standard_errors: Vec<f64>,
    /// Whether a value ended at a bound.
    pub at_bound: Vec<bool>,
    /// Whether a free parameter is as uncertain as before: the data tell less than a quarter of what its prior tells.
    pub at_prior: Vec<bool>,
    /// Lowest cost of the last stage.
    pub cost: f64,
    /// Scale of the last stage.
    pub scale: f64,
    /// ln(predicted / measured) of each row.
    pub residuals: Vec<f64>,
    /// Steps of all descents.
    pub iterations: usize,
}

/// Why there is no fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// A parameter that no value can satisfy.
    #[error("parameter {name}: needs 0 < low <= prior <= high, all finite, and a prior_sd that is not negative")]
    Parameter {
        /// Its name.
        name: &'static str,
    },
    /// A measured time or a weight that is none.
    #[error("row {row}: a time must be positive and finite, a weight finite and not negative")]
    Row {
        /// Its index.
        row: usize,
    },
    /// Lists that do not go together.
    #[error("{what}: {found} values, {expected} are needed")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// A model that gives finite times at no starting point.
    #[error("no starting point gives finite times")]
    NotFinite,
}

/// Values that fit the measured times best. `predict` gives the times of all rows for some values, in the unit of the measured times,
/// or `None` where the values make no sense. Same inputs, same result.
///
/// # Errors
/// [`FitError`].
pub fn fit(
    parameters: &[Parameter],
    measured: Measured<'_>,
    options: &Options,
    predict: impl Fn(&[f64]) -> Option<Vec<f64>>,
) -> Result<Fit, FitError> {
    check(parameters, measured, options)?;
    let problem = Problem { parameters, measured, predict: &predict };
    let priors: Vec<f64> = parameters.iter().map(|p| p.prior).collect();
    let starts = if options.starts.is_empty() { std::slice::from_ref(&priors) } else { options.starts.as_slice() };

    let mut scale = options.scale;
    let first = Loss::PseudoHuber { scale, corner: options.corner };
    let (mut best, mut iterations): (Option<Point>, usize) = (None, 0);
    for start in starts {
        let Some(Descent { end, steps }) = problem.descend(start, first, options.iterations) else { continue };
        iterations += steps;
        if best.as_ref().is_none_or(|best| end.cost < best.cost) {
            best = Some(end);
        }
    }
    let mut best = best.ok_or(FitError::NotFinite)?;
    if let Some(Biweight { cut, least_scale }) = options.biweight {
        scale = robust_scale(&best.residuals, measured.weights).max(least_scale);
        let second = Loss::Biweight { scale, cut };
        let Descent { end, steps } =
            problem.descend(&best.values, second, options.iterations).ok_or(FitError::NotFinite)?;
        iterations += steps;
        best = end;
    }

    let standard_errors = problem.standard_errors(&best, scale);
    let at_prior = parameters.iter().zip(&standard_errors).map(|(p, se)| !p.is_fixed() && *se >= 0.9 * p.prior_sd);
    let at_bound = parameters.iter().zip(&best.values).map(|(p, value)| !p.is_fixed() && p.at_bound(*value));
    Ok(Fit {
        at_prior: at_prior.collect(),
        at_bound: at_bound.collect(),
        standard_errors,
        values: best.values,
        cost: best.cost,
        scale,
        residuals: best.residuals,
        iterations,
    })
}

/// Starting points: the priors, with every combination of other values for some parameters, named. A name that no parameter has is
/// passed over.
#[must_use]
pub fn alternatives(parameters: &[Parameter], others: &[(&str, &[f64])]) -> Vec<Vec<f64>> {
    let mut starts = vec![parameters.iter().map(|p| p.prior).collect::<Vec<f64>>()];
    for (name, values) in others {
        let Some(index) = parameters.iter().position(|p| p.name == *name) else { continue };
        let with = |start: &Vec<f64>, value: f64| {
            let mut start = start.clone();
            start[index] = value;
            start
        };
        starts = starts.iter().flat_map(|start| values.iter().map(|&value| with(start, value))).collect();
    }
    starts
}

/// Starting points: the priors, then all of them lower, then all of them higher, by half a standard deviation or e^0.5.
#[must_use]
pub fn around_priors(parameters: &[Parameter]) -> Vec<Vec<f64>> {
    let shifted = |by: f64| parameters.iter().map(|p| p.prior * (by * p.prior_sd.min(1.0)).exp()).collect();
    vec![shifted(0.0), shifted(-0.5), shifted(0.5)]
}

/// Standard deviation of the errors as their median tells it: 1.4826 times the median of their size, about 0. Rows of weight 0 do not
/// count.
fn robust_scale(residuals: &[f64], weights: Option<&[f64]>) -> f64 {
    let counts = |row: usize| weights.is_none_or(|weights| weights[row] > 0.0);
    let mut sizes: Vec<f64> = (0..residuals.len()).filter(|&row| counts(row)).map(|row| residuals[row].abs()).collect();
    sizes.sort_by(f64::total_cmp);
    match sizes.len() {
        0 => 0.0,
        n => 1.4826 * 0.5 * (sizes[(n - 1) / 2] + sizes[n / 2]),
    }
}

fn check(parameters: &[Parameter], measured: Measured<'_>, options: &Options) -> Result<(), FitError> {
    if let Some(parameter) = parameters.iter().find(|p| !p.is_sound()) {
        return Err(FitError::Parameter { name: parameter.name });
    }
    if let Some(start) = options.starts.iter().find(|start| start.len() != parameters.len()) {
        return Err(FitError::Length { what: "starting point", found: start.len(), expected: parameters.len() });
    }
    let rows = measured.times.len();
    if let Some(weights) = measured.weights.filter(|weights| weights.len() != rows) {
        return Err(FitError::Length { what: "weights", found: weights.len(), expected: rows });
    }
    let sound = |row: usize| {
        let weight = measured.weights.map_or(1.0, |weights| weights[row]);
        measured.times[row] > 0.0 && measured.times[row].is_finite() && weight >= 0.0 && weight.is_finite()
    };
    (0..rows).find(|&row| !sound(row)).map_or(Ok(()), |row| Err(FitError::Row { row }))
}
