//! Cycles per MAC of four kinds of kernels on a system, from few timings and from what other systems with the same labels reach.
//!
//! ```text
//! log cycles(s, net) = log Σ_kind exp(θ_s,kind) · X_kind(net) + noise           X of [`super::network`]
//! θ_s,k = log μ_k + common + mean_k + speed_s + kernels(s)_k + runtime(s)_k + board(s)_k + system(s)_k
//! θ ← μ + K Jᵀ (J K Jᵀ + noise² I)⁻¹ (y − f + J (θ − μ))                         J: shares of the kinds in the predicted cycles
//! ```
//! Every term is normal with mean 0 and a fixed standard deviation; all but the first are of one label each, so that systems that share a
//! label share its term. θ is linear in them: a few Gauss–Newton steps find the most probable one, each with one Cholesky factor of the
//! size of the timings. Labels are levels of a grouping, no more: no rule knows a network, a board or a runtime by name.

use nalgebra::{DMatrix, DVector, SMatrix, SVector};

use super::cholesky::Cholesky;
use super::labels::Labels;
use super::network::KINDS;

/// Standard deviations of the terms, as natural logarithms, and what is fixed beside them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    /// Cycles per MAC of each kind before anything is measured.
    pub mean: [f64; KINDS],
    /// Of the term that all systems and kinds share.
    pub common: f64,
    /// Of the term that all systems share in one kind.
    pub of_kind: [f64; KINDS],
    /// Of the speed of a system, the same for all kinds.
    pub speed: f64,
    /// Of a kernel library.
    pub kernels: [f64; KINDS],
    /// Of a runtime's family.
    pub runtime: [f64; KINDS],
    /// Of a board.
    pub board: [f64; KINDS],
    /// Of one system alone.
    pub system: [f64; KINDS],
    /// Of a timing.
    pub noise: f64,
    /// MACs of an output beside its sum, in convolutions and pointwise convolutions.
    pub k0: f64,
    /// MACs of an input beside its products, in convolutions.
    pub n0: f64,
}

/// What is assumed of microcontrollers that run 8-bit integers; assumed, and flat: a change of one by a third moves held-out errors little.
pub const MICROCONTROLLERS: Hyper = Hyper {
    mean: [2.0, 2.0, 9.0, 3.75],
    common: 0.6,
    of_kind: [0.15, 0.01, 0.4, 0.3],
    speed: 0.8,
    kernels: [0.2; KINDS],
    runtime: [0.15, 0.15, 0.15, 0.18],
    board: [0.05, 0.05, 0.05, 0.08],
    system: [0.08, 0.08, 0.08, 0.15],
    noise: 0.04,
    k0: 20.0,
    n0: 4.0,
};

/// One timing: its system's place, the work of the network on it, its cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Place of the system among those that are learnt from.
    pub system: usize,
    /// Work by kind, as the system's runtime does it.
    pub work: [f64; KINDS],
    /// Measured cycles.
    pub cycles: f64,
}

/// Most Gauss–Newton steps.
const STEPS: usize = 12;
/// A step that is smaller, in the logarithm of a cost, is the last.
const SMALL: f64 = 1e-6;

/// Standard deviations beyond which a timing is left out.
pub const OUTLIER: f64 = 5.0;
/// Share of the timings that may be left out; one may always be.
pub const MOST_OUTLIERS: f64 = 0.05;

/// What is believed of the logarithms of a system's cycles per MAC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// Most probable value of each kind.
    pub mean: SVector<f64, KINDS>,
    /// Covariance.
    pub covariance: SMatrix<f64, KINDS, KINDS>,
    noise: f64,
}

/// A fit to the timings of many systems.
#[derive(Clone, Debug)]
pub struct Prior {
    hyper: Hyper,
    systems: Vec<Labels>,
    observations: Vec<Observation>,
    shares: Vec<[f64; KINDS]>,
    factor: Option<Cholesky>,
    weights: Vec<f64>,
}

/// Log of the predicted cycles, and the share of each kind in them.
fn predicted(theta: &SVector<f64, KINDS>, work: &[f64; KINDS]) -> (f64, [f64; KINDS]) {
    let parts: [f64; KINDS] = std::array::from_fn(|kind| theta[kind].exp() * work[kind]);
    let sum: f64 = parts.iter().sum();
    (sum.ln(), parts.map(|part| part / sum))
}

impl Hyper {
    fn start(&self) -> SVector<f64, KINDS> {
        SVector::from_fn(|kind, _| self.mean[kind].ln())
    }

    /// Covariance of two systems' θ: what all kinds share, and what each kind has beside.
    fn covariance(&self, a: &Labels, b: &Labels, same: bool) -> (f64, [f64; KINDS]) {
        let of = |is: bool, sd: f64| if is { sd * sd } else { 0.0 };
        let all = self.common.powi(2) + of(same, self.speed);
        let each = std::array::from_fn(|kind| {
            self.of_kind[kind].powi(2)
                + of(a.kernels == b.kernels, self.kernels[kind])
                + of(a.runtime == b.runtime, self.runtime[kind])
                + of(a.board == b.board, self.board[kind])
                + of(same, self.system[kind])
        });
        (all, each)
    }
}

impl Prior {
    /// Learns from the timings of systems with these labels; `None` where a work or a time is not positive and finite.
    #[must_use]
    pub fn learn(systems: &[Labels], observations: &[Observation], hyper: &Hyper) -> Option<Self> {
        let start = hyper.start();
        let count = observations.len();
        let mut theta = vec![start; systems.len()];
        let mut prior = Self {
            hyper: *hyper,
            systems: systems.to_vec(),
            observations: observations.to_vec(),
            shares: vec![[0.0; KINDS]; count],
            factor: None,
            weights: vec![0.0; count],
        };
        let pairs: Vec<Vec<_>> = systems
            .iter()
            .enumerate()
            .map(|(at, a)| systems[..=at].iter().enumerate().map(|(to, b)| hyper.covariance(a, b, at == to)).collect())
            .collect();
        let between = |a: usize, b: usize| &pairs[a.max(b)][a.min(b)];
        if observations.iter().any(|seen| seen.system >= systems.len()) {
            return None;
        }
        for _ in 0..if count == 0 { 0 } else { STEPS } {
            let mut residual = vec![0.0; count];
            for (row, seen) in observations.iter().enumerate() {
                let at = theta.get(seen.system)?;
                let (log, shares) = predicted(at, &seen.work);
                let mut moved = seen.cycles.ln() - log;
                for kind in 0..KINDS {
                    moved += shares[kind] * (at[kind] - start[kind]);
                }
                residual[row] = moved;
                prior.shares[row] = shares;
            }
            let factor = Cholesky::of(count, |row, column| {
                let (all, each) = between(observations[row].system, observations[column].system);
                let (a, b) = (&prior.shares[row], &prior.shares[column]);
                let mut sum = if row == column { all + hyper.noise * hyper.noise } else { *all };
                for kind in 0..KINDS {
                    sum += each[kind] * a[kind] * b[kind];
                }
                sum
            })?;
            prior.weights = factor.solve(&residual);
            prior.factor = Some(factor);
            let mut next = vec![start; systems.len()];
            for (place, next) in next.iter_mut().enumerate() {
                for (row, seen) in observations.iter().enumerate() {
                    let (all, each) = between(place, seen.system);
                    for kind in 0..KINDS {
                        next[kind] += (all + each[kind] * prior.shares[row][kind]) * prior.weights[row];
                    }
                }
            }
            let mut largest: f64 = 0.0;
            for (at, next) in theta.iter_mut().zip(next) {
                let step = (next - *at).map(|step| step.clamp(-1.0, 1.0));
                largest = largest.max(step.amax());
                *at += step;
            }
            if largest < SMALL {
                break;
            }
        }
        prior.weights.iter().all(|weight| weight.is_finite()).then_some(prior)
    }

    /// As [`learn`](Self::learn), without the timings that the others contradict: one after the other, the largest leave-one-out error of
    /// more than [`OUTLIER`] standard deviations is left out, at most [`MOST_OUTLIERS`] of all; with the places of those.
    #[must_use]
    pub fn learn_without_outliers(
        systems: &[Labels],
        observations: &[Observation],
        hyper: &Hyper,
    ) -> Option<(Self, Vec<usize>)> {
        let mut places: Vec<usize> = (0..observations.len()).collect();
        let mut rows = observations.to_vec();
        let mut out = Vec::new();
        loop {
            let prior = Self::learn(systems, &rows, hyper)?;
            let room = ((out.len() + 1) as f64) <= (MOST_OUTLIERS * observations.len() as f64).max(1.0);
            match prior.worst().filter(|(_, score)| room && *score > OUTLIER) {
                None => return Some((prior, out)),
                Some((row, _)) => {
                    rows.remove(row);
                    out.push(places.remove(row));
                }
            }
        }
    }

    /// The timing that the others foretell worst, and its error in standard deviations.
    ///
    /// ```text
    /// z = [A⁻¹ r] / √[A⁻¹]      A = J K Jᵀ + noise² I, r residuals: the error of a timing as if it had been left out
    /// ```
    /// **Source**: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, equation 5.12.
    fn worst(&self) -> Option<(usize, f64)> {
        let variances = self.factor.as_ref()?.inverse_diagonal();
        let scores = self.weights.iter().zip(variances).map(|(weight, variance)| (weight / variance.sqrt()).abs());
        scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Covariance of a kind of a system with a timing.
    fn with_row(&self, labels: &Labels, place: Option<usize>, row: usize) -> [f64; KINDS] {
        let seen = &self.observations[row];
        let (all, each) = self.hyper.covariance(labels, &self.systems[seen.system], place == Some(seen.system));
        std::array::from_fn(|kind| all + each[kind] * self.shares[row][kind])
    }

    fn mean(&self, labels: &Labels, place: Option<usize>) -> SVector<f64, KINDS> {
        let mut mean = self.hyper.start();
        for row in 0..self.observations.len() {
            mean += SVector::from(self.with_row(labels, place, row)) * self.weights[row];
        }
        mean
    }

    /// What is believed of a system: of one that was learnt from by its place, of another by its labels alone.
    #[must_use]
    pub fn belief(&self, labels: &Labels, place: Option<usize>) -> Belief {
        let (all, each) = self.hyper.covariance(labels, labels, true);
        let mut covariance = SMatrix::<f64, KINDS, KINDS>::from_element(all);
        for kind in 0..KINDS {
            covariance[(kind, kind)] += each[kind];
        }
        if let Some(factor) = &self.factor {
            let rows: Vec<_> = (0..self.observations.len()).map(|row| self.with_row(labels, place, row)).collect();
            let halves: [Vec<f64>; KINDS] =
                std::array::from_fn(|kind| factor.forward(&rows.iter().map(|row| row[kind]).collect::<Vec<f64>>()));
            covariance -= SMatrix::<f64, KINDS, KINDS>::from_fn(|a, b| {
                halves[a].iter().zip(&halves[b]).map(|(a, b)| a * b).sum::<f64>()
            });
        }
        Belief { mean: self.mean(labels, place), covariance, noise: self.hyper.noise }
    }
}

impl Belief {
    /// The belief after timings of the system: work by kind, and cycles. `None` where they are not positive and finite.
    #[must_use]
    pub fn with(&self, timings: &[([f64; KINDS], f64)]) -> Option<Self> {
        let (count, mut theta) = (timings.len(), self.mean);
        if count == 0 {
            return Some(*self);
        }
        let mut covariance = self.covariance;
        for _ in 0..STEPS {
            let at: Vec<_> = timings.iter().map(|(work, _)| predicted(&theta, work)).collect();
            let shares = DMatrix::from_fn(count, KINDS, |row, kind| at[row].1[kind]);
            let residual = DVector::from_fn(count, |row, _| {
                let moved: f64 = (0..KINDS).map(|kind| at[row].1[kind] * (theta[kind] - self.mean[kind])).sum();
                timings[row].1.ln() - at[row].0 + moved
            });
            let across = &shares * self.covariance;
            let noise = DMatrix::identity(count, count) * self.noise.powi(2);
            let factor = nalgebra::Cholesky::new(&across * shares.transpose() + noise)?;
            let step = across.transpose() * factor.solve(&residual);
            let next = self.mean + SVector::<f64, KINDS>::from_fn(|kind, _| step[kind]);
            let step = next - theta;
            theta += step.map(|step| step.clamp(-1.0, 1.0));
            let known = across.transpose() * factor.solve(&across);
            covariance = self.covariance - SMatrix::<f64, KINDS, KINDS>::from_fn(|a, b| known[(a, b)]);
        }
        theta.iter().all(|value| value.is_finite()).then_some(Self { mean: theta, covariance, noise: self.noise })
    }

    /// Cycles of a network of this work, and the standard deviation of their logarithm, a timing's noise included.
    #[must_use]
    pub fn predict(&self, work: &[f64; KINDS]) -> (f64, f64) {
        let (log, shares) = predicted(&self.mean, work);
        let shares = SVector::<f64, KINDS>::from(shares);
        let variance = (shares.transpose() * self.covariance * shares)[(0, 0)].max(0.0) + self.noise.powi(2);
        (log.exp(), variance.sqrt())
    }

    /// Cycles per MAC of each kind, and the standard deviation of its logarithm.
    #[must_use]
    pub fn cycles_per_mac(&self) -> [(f64, f64); KINDS] {
        std::array::from_fn(|kind| (self.mean[kind].exp(), self.covariance[(kind, kind)].max(0.0).sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_timings_the_assumed_costs_remain() {
        let prior = Prior::learn(&[], &[], &MICROCONTROLLERS).expect("nothing to learn");
        let (cycles, sd) = prior.belief(&Labels::default(), None).predict(&[100.0, 0.0, 0.0, 0.0]);
        // 100 MACs of 2 cycles; variances of a convolution: 0.36 + 0.64 + 0.0225 + 0.04 + 0.0225 + 0.0025 + 0.0064, noise 0.0016.
        assert!((cycles - 200.0).abs() < 1e-9 && (sd - 1.0955_f64.sqrt()).abs() < 1e-9, "{cycles} {sd}");
    }

    #[test]
    fn a_timing_of_one_kind_settles_it_and_informs_the_others() {
        let prior = Prior::learn(&[], &[], &MICROCONTROLLERS).expect("nothing to learn");
        let belief = prior.belief(&Labels::default(), None).with(&[([1e6, 0.0, 0.0, 0.0], 4e6)]).expect("positive");
        let [(conv, sd), (pointwise, _), ..] = belief.cycles_per_mac();
        // Twice the assumed 2 cycles; the share 1.0939 / 1.0955 of the step is taken: 2 · 2^0.99854.
        assert!((conv - 2.0 * 2_f64.powf(1.0939 / 1.0955)).abs() < 1e-6 && sd < 0.041, "{conv} {sd}");
        // What all kinds share is 1 of 1.0955: 2 · 2^0.91283.
        assert!((pointwise - 2.0 * 2_f64.powf(1.0 / 1.0955)).abs() < 1e-6, "{pointwise}");
    }

    #[test]
    fn a_learnt_system_is_believed_as_one_that_is_told() {
        let labels = Labels::of("chip", "runtime 1", &[]);
        let rows = [([1e6, 2e6, 0.0, 1e3], 5e6), ([0.0, 0.0, 1e5, 2e5], 2e6)];
        let seen = rows.map(|(work, cycles)| Observation { system: 0, work, cycles });
        let learnt = Prior::learn(std::slice::from_ref(&labels), &seen, &MICROCONTROLLERS).expect("positive");
        let nothing = Prior::learn(&[], &[], &MICROCONTROLLERS).expect("nothing to learn");
        let told = nothing.belief(&labels, None).with(&rows).expect("positive");
        let got = learnt.belief(&labels, Some(0));
        assert!((got.mean - told.mean).norm() < 1e-6 && (got.covariance - told.covariance).norm() < 1e-6);
    }
}
