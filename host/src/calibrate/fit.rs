//! Fits: positive parameters that minimise the error of log-times, robustly, held to priors and bounds.
//!
//! ```text
//! minimise  Σ ρ((ln predicted − ln measured) / SCALE) + Σ ((ln value − ln prior) / prior_sd)²
//! ρ(r) = 2 (√(1 + r²) − 1)          pseudo-Huber: a square near 0, linear for outliers (Charbonnier et al. 1997)
//! ```
//! by Levenberg–Marquardt on the logarithms of the values (crate `levenberg-marquardt`, after MINPACK), from the priors and from
//! starting points on both sides of them; derivatives by central differences.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DMatrix, DVector, Dyn, Owned};

/// Error of a log-time that counts as 1: what a good model leaves.
const SCALE: f64 = 0.1;

/// Step of the logarithms for derivatives: the model computes in f32, whose rounding must stay far below it.
const STEP: f64 = 2e-3;

/// One free, positive number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Value before any measurement.
    pub prior: f64,
    /// Standard deviation of the prior, of the natural logarithm.
    pub prior_sd: f64,
    /// Lowest value.
    pub low: f64,
    /// Highest value.
    pub high: f64,
}

impl Parameter {
    fn value(&self, ln: f64) -> f64 {
        ln.exp().clamp(self.low, self.high)
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
}

/// Values that fit the measured times best; `None` where no start gives finite times. `predict` gives the times of all samples for some
/// values, or `None` where they make no sense; `measured` are the times, in the same unit.
#[must_use]
pub fn fit(
    parameters: &[Parameter],
    measured: &[f64],
    predict: impl Fn(&[f64]) -> Option<Vec<f64>>,
) -> Option<Vec<f64>> {
    let start = |offset: f64| {
        DVector::from_iterator(parameters.len(), parameters.iter().map(|p| p.prior.ln() + offset * p.prior_sd.min(1.0)))
    };
    let mut best: Option<(f64, DVector<f64>)> = None;
    for offset in [0.0, -0.5, 0.5] {
        let problem = Problem { parameters, measured, predict: &predict, at: start(offset) };
        // However the search ends, what counts is how well its last point fits: a start that got stuck loses to the others.
        let (problem, _) =
            LevenbergMarquardt::new().with_patience(40).with_ftol(1e-7).with_xtol(1e-7).minimize(problem);
        let Some(cost) = problem.residuals().map(|r| r.norm_squared()) else { continue };
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, problem.at));
        }
    }
    best.map(|(_, at)| parameters.iter().zip(at.iter()).map(|(p, ln)| p.value(*ln)).collect())
}

struct Problem<'a, F> {
    parameters: &'a [Parameter],
    measured: &'a [f64],
    predict: &'a F,
    /// Logarithms of the values.
    at: DVector<f64>,
}

impl<F: Fn(&[f64]) -> Option<Vec<f64>>> Problem<'_, F> {
    fn residuals_at(&self, at: &DVector<f64>) -> Option<DVector<f64>> {
        let values: Vec<f64> = self.parameters.iter().zip(at.iter()).map(|(p, ln)| p.value(*ln)).collect();
        let predicted = (self.predict)(&values)?;
        let data = predicted.iter().zip(self.measured).map(|(predicted, measured)| {
            let r = (predicted / measured).ln() / SCALE;
            // The signed root of ρ: its square is ρ.
            r.signum() * (2.0 * ((1.0 + r * r).sqrt() - 1.0)).sqrt()
        });
        let priors = self.parameters.iter().zip(at.iter()).map(|(p, ln)| (ln - p.prior.ln()) / p.prior_sd);
        let all: Vec<f64> = data.chain(priors).collect();
        all.iter().all(|r| r.is_finite()).then(|| DVector::from_vec(all))
    }
}

impl<F: Fn(&[f64]) -> Option<Vec<f64>>> LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_, F> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;

    fn set_params(&mut self, at: &DVector<f64>) {
        self.at.copy_from(at);
    }

    fn params(&self) -> DVector<f64> {
        self.at.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        self.residuals_at(&self.at)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let rows = self.measured.len() + self.parameters.len();
        let mut jacobian = DMatrix::zeros(rows, self.parameters.len());
        for column in 0..self.parameters.len() {
            let mut at = self.at.clone();
            at[column] += STEP;
            let above = self.residuals_at(&at)?;
            at[column] -= 2.0 * STEP;
            let below = self.residuals_at(&at)?;
            jacobian.set_column(column, &((above - below) / (2.0 * STEP)));
        }
        Some(jacobian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(prior: f64) -> Parameter {
        Parameter { prior, prior_sd: 10.0, low: prior * 1e-3, high: prior * 1e3 }
    }

    /// t = a + b · x.
    fn line(values: &[f64], xs: &[f64]) -> Option<Vec<f64>> {
        Some(xs.iter().map(|x| values[0] + values[1] * x).collect())
    }

    #[test]
    fn a_line_is_found() {
        let xs = [1.0, 2.0, 5.0, 10.0, 30.0];
        let measured = line(&[3.0, 0.5], &xs).expect("finite");
        let got = fit(&[free(1.0), free(1.0)], &measured, |values| line(values, &xs)).expect("finite");
        assert!((got[0] - 3.0).abs() < 1e-2 && (got[1] - 0.5).abs() < 1e-2, "{got:?}");
    }

    #[test]
    fn an_outlier_moves_little() {
        let xs: Vec<f64> = (1..=50).map(f64::from).collect();
        let mut measured = line(&[3.0, 0.5], &xs).expect("finite");
        measured[20] *= 10.0;
        let got = fit(&[free(1.0), free(1.0)], &measured, |values| line(values, &xs)).expect("finite");
        assert!((got[0] / 3.0).ln().abs() < 0.03 && (got[1] / 0.5).ln().abs() < 0.03, "{got:?}");
    }

    #[test]
    fn where_nothing_is_finite_there_is_no_fit() {
        assert_eq!(fit(&[free(1.0)], &[1.0], |_| None), None);
    }

    #[test]
    fn without_data_the_prior_stays_and_bounds_hold() {
        let parameter = Parameter { prior: 2.0, prior_sd: 1.0, low: 1.5, high: 2.5 };
        let got = fit(&[parameter], &[], |_| Some(Vec::new())).expect("finite");
        assert!(parameter.at_prior(got[0]), "{got:?}");
        let got = fit(&[parameter], &[100.0; 20], |values| Some(vec![values[0]; 20])).expect("finite");
        assert!((got[0], parameter.at_bound(got[0])) == (2.5, true), "{got:?}");
    }
}
