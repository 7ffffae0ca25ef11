//! Levenberg–Marquardt on the logarithms of the values, with re-weighted rows and projection onto the bounds.
//!
//! ```text
//! (A + λ diag A) step = −g          A = Jᵀ W J / scale² + diag(1 / prior_sd²)         g = Jᵀ W e / scale² + (x − ln prior) / prior_sd²
//! ```
//! with x the logarithms, J = ∂e/∂x by differences, and W the weight of a row times that of its loss, ρ'(e) / e. A parameter at a bound
//! whose gradient points outwards leaves the system, the others step as if it were fixed.
//! **Source**: Marquardt, J. SIAM 11(2), 1963; Bertsekas, SIAM J. Control and Optimization 20(2), 1982 (projected Newton steps on bounds).

use nalgebra::{Cholesky, DMatrix, DVector};

use super::{Measured, Parameter};

/// Step of the logarithms for derivatives: models compute in f32, whose rounding (6e-8 an operation) must stay far below it.
const STEP: f64 = 1e-3;

/// Longest step of a logarithm: the derivatives hold nearby only.
const LONGEST: f64 = 1.5;

/// A descent ends when a step lowers the cost by a smaller share than this.
const LEAST_GAIN: f64 = 1e-6;

/// Loss of one row's error e, and the weight it gives the row: (dρ/de / 2e) · scale².
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    PseudoHuber { scale: f64, corner: f64 },
    Biweight { scale: f64, cut: f64 },
}

impl Loss {
    fn scale(self) -> f64 {
        match self {
            Self::PseudoHuber { scale, .. } | Self::Biweight { scale, .. } => scale,
        }
    }

    pub(super) fn of(self, error: f64) -> f64 {
        match self {
            Self::PseudoHuber { scale, corner } => {
                let z = error / (corner * scale);
                2.0 * corner * corner * ((1.0 + z * z).sqrt() - 1.0)
            }
            Self::Biweight { scale, cut } => {
                let z = error / (cut * scale);
                let inside = 1.0 - (z * z).min(1.0);
                cut * cut / 3.0 * (1.0 - inside * inside * inside)
            }
        }
    }

    pub(super) fn weight(self, error: f64) -> f64 {
        match self {
            Self::PseudoHuber { scale, corner } => {
                let z = error / (corner * scale);
                1.0 / (1.0 + z * z).sqrt()
            }
            Self::Biweight { scale, cut } => {
                let z = error / (cut * scale);
                let inside = 1.0 - (z * z).min(1.0);
                inside * inside
            }
        }
    }
}

/// What is minimised.
pub(super) struct Problem<'a, F> {
    pub(super) parameters: &'a [Parameter],
    pub(super) measured: Measured<'a>,
    pub(super) predict: &'a F,
}

/// Where a descent stands.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) values: Vec<f64>,
    /// Natural logarithms of the values.
    logs: Vec<f64>,
    /// ln(predicted / measured) of each row.
    pub(super) residuals: Vec<f64>,
    pub(super) cost: f64,
}

/// Where a descent ended.
pub(super) struct Descent {
    pub(super) end: Point,
    pub(super) steps: usize,
}

impl<F: Fn(&[f64]) -> Option<Vec<f64>>> Problem<'_, F> {
    /// From a point down to a minimum; `None` where times are not finite at the start.
    pub(super) fn descend(&self, start: &[f64], loss: Loss, most_steps: usize) -> Option<Descent> {
        let logs = self.parameters.iter().zip(start).map(|(p, value)| if p.is_fixed() { p.prior } else { *value }.ln());
        let mut at = self.point(logs.collect(), loss)?;
        let mut damping = 1e-2;
        for step in 0..most_steps {
            let (normal, gradient) = self.normal_equations(&at, loss);
            // A little damping first; more until the cost falls.
            let Some(next) = (0..12).find_map(|_| {
                let logs = self.stepped(&at, &normal, &gradient, damping);
                let next = logs.and_then(|logs| self.point(logs, loss)).filter(|next| next.cost < at.cost);
                damping = if next.is_some() { f64::max(damping / 5.0, 1e-9) } else { damping * 4.0 };
                next
            }) else {
                return Some(Descent { end: at, steps: step });
            };
            let gain = at.cost - next.cost;
            at = next;
            if gain < LEAST_GAIN * at.cost {
                return Some(Descent { end: at, steps: step + 1 });
            }
        }
        Some(Descent { end: at, steps: most_steps })
    }

    /// Standard errors of the logarithms: roots of the diagonal of A⁻¹, with the rows' own weights, not those of the loss, so that a
    /// row that is off is not taken for one that was never measured.
    pub(super) fn standard_errors(&self, at: &Point, scale: f64) -> Vec<f64> {
        let free = self.free();
        let columns: Vec<Vec<f64>> = free.iter().map(|&index| self.central_difference(at, index)).collect();
        let weights: Vec<f64> = (0..at.residuals.len()).map(|row| self.row_weight(row) / (scale * scale)).collect();
        let normal = self.normal_matrix(&free, &columns, &weights);
        let inverse = Cholesky::new(normal).map(|cholesky| cholesky.inverse());
        let mut errors = vec![0.0; self.parameters.len()];
        for (at, &index) in free.iter().enumerate() {
            errors[index] = inverse.as_ref().map_or(f64::INFINITY, |inverse| inverse[(at, at)].sqrt());
        }
        errors
    }

    /// Indices of the parameters that are not fixed.
    fn free(&self) -> Vec<usize> {
        (0..self.parameters.len()).filter(|&index| !self.parameters[index].is_fixed()).collect()
    }

    fn row_weight(&self, row: usize) -> f64 {
        self.measured.weights.map_or(1.0, |weights| weights[row])
    }

    /// The values inside their bounds; those that are fixed, or lie at a bound, to the bit.
    fn values(&self, logs: &[f64]) -> Vec<f64> {
        let value = |(p, &log): (&Parameter, &f64)| match log {
            _ if p.is_fixed() => p.prior,
            log if log <= p.low.ln() => p.low,
            log if log >= p.high.ln() => p.high,
            log => log.exp(),
        };
        self.parameters.iter().zip(logs).map(value).collect()
    }

    /// ln(predicted / measured) of each row; `None` where one is not finite.
    fn residuals(&self, values: &[f64]) -> Option<Vec<f64>> {
        let predicted = (self.predict)(values)?;
        if predicted.len() != self.measured.times.len() {
            return None;
        }
        let residuals: Vec<f64> = predicted.iter().zip(self.measured.times).map(|(p, m)| (p / m).ln()).collect();
        residuals.iter().all(|e| e.is_finite()).then_some(residuals)
    }

    fn point(&self, mut logs: Vec<f64>, loss: Loss) -> Option<Point> {
        for (log, p) in logs.iter_mut().zip(self.parameters) {
            *log = log.clamp(p.low.ln(), p.high.ln());
        }
        let values = self.values(&logs);
        let residuals = self.residuals(&values)?;
        let rows = residuals.iter().enumerate().map(|(row, &error)| self.row_weight(row) * loss.of(error)).sum::<f64>();
        let priors = self.free().into_iter().map(|index| self.prior_distance(&logs, index).powi(2)).sum::<f64>();
        let cost = rows + priors;
        cost.is_finite().then_some(Point { values, logs, residuals, cost })
    }

    /// Distance of a logarithm from its prior, in standard deviations.
    fn prior_distance(&self, logs: &[f64], index: usize) -> f64 {
        let parameter = &self.parameters[index];
        (logs[index] - parameter.prior.ln()) / parameter.prior_sd
    }

    /// Matrix and gradient of the free parameters, in the order of [`Self::free`].
    fn normal_equations(&self, at: &Point, loss: Loss) -> (DMatrix<f64>, DVector<f64>) {
        let free = self.free();
        let columns: Vec<Vec<f64>> = free.iter().map(|&index| self.difference(at, index)).collect();
        let per_scale = 1.0 / (loss.scale() * loss.scale());
        let weight = |(row, &error): (usize, &f64)| self.row_weight(row) * loss.weight(error) * per_scale;
        let weights: Vec<f64> = at.residuals.iter().enumerate().map(weight).collect();
        let pulls: Vec<f64> = weights.iter().zip(&at.residuals).map(|(weight, error)| weight * error).collect();
        let gradient = free.iter().zip(&columns).map(|(&index, column)| {
            dot(column, &pulls) + self.prior_distance(&at.logs, index) / self.parameters[index].prior_sd
        });
        let gradient = DVector::from_iterator(free.len(), gradient);
        (self.normal_matrix(&free, &columns, &weights), gradient)
    }

    fn normal_matrix(&self, free: &[usize], columns: &[Vec<f64>], weights: &[f64]) -> DMatrix<f64> {
        let mut normal = DMatrix::zeros(free.len(), free.len());
        for (i, column) in columns.iter().enumerate() {
            let weighted: Vec<f64> = column.iter().zip(weights).map(|(slope, weight)| slope * weight).collect();
            for (j, other) in columns.iter().enumerate().take(i + 1) {
                let sum = dot(&weighted, other);
                (normal[(i, j)], normal[(j, i)]) = (sum, sum);
            }
            normal[(i, i)] += self.parameters[free[i]].prior_sd.powi(-2);
        }
        normal
    }

    /// Logarithms after a damped step; `None` where no parameter can move.
    fn stepped(&self, at: &Point, normal: &DMatrix<f64>, gradient: &DVector<f64>, damping: f64) -> Option<Vec<f64>> {
        let free = self.free();
        let moves = |&i: &usize| {
            let (p, log) = (&self.parameters[free[i]], at.logs[free[i]]);
            !(log <= p.low.ln() && gradient[i] > 0.0 || log >= p.high.ln() && gradient[i] < 0.0)
        };
        let moving: Vec<usize> = (0..free.len()).filter(moves).collect();
        let damped = DMatrix::from_fn(moving.len(), moving.len(), |i, j| {
            let element = normal[(moving[i], moving[j])];
            // The constant keeps a parameter that nothing depends on from making the matrix singular.
            if i == j { element * (1.0 + damping) + 1e-12 } else { element }
        });
        let down = DVector::from_fn(moving.len(), |i, _| -gradient[moving[i]]);
        let step = Cholesky::new(damped)?.solve(&down);
        let mut logs = at.logs.clone();
        for (i, step) in moving.iter().zip(step.iter()) {
            logs[free[*i]] += step.clamp(-LONGEST, LONGEST);
        }
        (!moving.is_empty()).then_some(logs)
    }

    /// Change of each row's error with one logarithm, by a step into the bounds.
    fn difference(&self, at: &Point, index: usize) -> Vec<f64> {
        let up = if at.logs[index] + STEP <= self.parameters[index].high.ln() { STEP } else { -STEP };
        self.slope(at, index, up)
            .or_else(|| self.slope(at, index, -up))
            .unwrap_or_else(|| vec![0.0; at.residuals.len()])
    }

    /// The same by steps to both sides, beyond a bound too, where the model allows it.
    fn central_difference(&self, at: &Point, index: usize) -> Vec<f64> {
        match (self.slope(at, index, STEP), self.slope(at, index, -STEP)) {
            (Some(above), Some(below)) => above.iter().zip(&below).map(|(a, b)| 0.5 * (a + b)).collect(),
            _ => self.difference(at, index),
        }
    }

    fn slope(&self, at: &Point, index: usize, step: f64) -> Option<Vec<f64>> {
        let mut values = at.values.clone();
        values[index] = (at.logs[index] + step).exp();
        let there = self.residuals(&values)?;
        Some(there.iter().zip(&at.residuals).map(|(there, here)| (there - here) / step).collect())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
