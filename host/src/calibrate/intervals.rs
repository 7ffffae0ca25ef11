//! Intervals from held-out errors: of ops by kind and regime, of networks by what their ops have in common.

use std::collections::BTreeMap;

use derate_core::calibration::{Coefficients, Group, Intervals, Regime};

use super::model::Bench;

/// Rows that a cell needs to speak for itself.
const CELL_ROWS: usize = 40;

/// Configurations below which there is no interval: the 5 % quantile of the next one would lie beyond the outermost.
const LEAST_ROWS: usize = 19;

/// Least standard deviation of the error that the ops of one network have in common.
const LEAST_COMMON: f64 = 0.02;

/// A held-out row: logarithm of measured over estimated time, weight, group of rows.
#[derive(Clone, Copy)]
struct Residual<'a> {
    log: f64,
    weight: f64,
    group: &'a str,
    cell: (Group, Regime),
}

impl Bench<'_> {
    /// Intervals from times that were held out; `None` of too few rows.
    ///
    /// Of ops: the 5 % and 95 % quantiles of each cell, a row weighted by one over the root of the number of rows of its model; of a cell with fewer
    /// than 40 rows or of one model, those of its regime, else of all. They are widened by one part in the number of models: the next model is another
    /// one. Of networks: σ² of a group's error, less what its ops add on their own.
    #[must_use]
    pub fn intervals(&self, coefficients: &Coefficients, held_out: &[f64]) -> Option<Intervals> {
        let counted: Vec<usize> = (0..held_out.len()).filter(|&row| self.samples[row].has_kernels()).collect();
        if counted.len() < LEAST_ROWS {
            return None;
        }
        let mut in_model: BTreeMap<&str, f64> = BTreeMap::new();
        for &row in &counted {
            *in_model.entry(&self.samples[row].kinds[1]).or_default() += 1.0;
        }
        let residuals: Vec<Residual<'_>> = counted
            .iter()
            .map(|&row| {
                let sample = &self.samples[row];
                let model = sample.kinds[1].as_str();
                Residual {
                    log: (sample.seconds / held_out[row]).ln(),
                    weight: 1.0 / in_model[model].sqrt(),
                    group: model,
                    cell: self.character(sample, coefficients),
                }
            })
            .collect();
        let wider = 1.0 + 1.0 / in_model.len() as f64;
        let bounds = |keep: &dyn Fn(&Residual<'_>) -> bool| -> Option<[f32; 2]> {
            let kept: Vec<Residual<'_>> = residuals.iter().copied().filter(|row| keep(row)).collect();
            let models = kept.iter().map(|row| row.group).collect::<std::collections::BTreeSet<_>>().len();
            (kept.len() >= CELL_ROWS && models > 1 || kept.len() == residuals.len())
                .then(|| [0.05, 0.95].map(|share| (quantile(&kept, share) * wider) as f32))
        };
        let all = bounds(&|_| true)?;
        let mut ops = [[all; Regime::ALL.len()]; Group::ALL.len()];
        for (row, group) in ops.iter_mut().zip(Group::ALL) {
            for (cell, regime) in row.iter_mut().zip(Regime::ALL) {
                let own = bounds(&|residual| residual.cell == (group, regime));
                let [low, high] = own.or_else(|| bounds(&|residual| residual.cell.1 == regime)).unwrap_or(all);
                *cell = [low.min(0.0), high.max(0.0)];
            }
        }
        let [common, own, quantile] = self.of_networks(held_out, &counted).map(|value| value as f32);
        Some(Intervals { ops, common, own, quantile })
    }

    /// Standard deviation of the error that the rows of a group have in common, that of each row beside it, and the quantile of
    /// Student's t for as many models as there are.
    fn of_networks(&self, held_out: &[f64], counted: &[usize]) -> [f64; 3] {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for &row in counted {
            groups.entry(&self.samples[row].group).or_default().push(row);
        }
        let log = |measured: f64, estimated: f64| (measured / estimated).ln();
        let mut models: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        let (mut own_squares, mut own_rows) = (0.0, 0.0);
        for rows in groups.values() {
            let estimated: f64 = rows.iter().map(|&row| held_out[row]).sum();
            let measured: f64 = rows.iter().map(|&row| self.samples[row].seconds).sum();
            let error = log(measured, estimated);
            // Around the group's own error: what a row adds. Medians of squares would hide the tails that sums are made of.
            let around: f64 = rows
                .iter()
                .map(|&row| (log(self.samples[row].seconds, held_out[row]) - error).powi(2) * held_out[row] / estimated)
                .sum();
            if rows.len() > 1 {
                own_squares += around;
                own_rows += 1.0;
            }
            let squares: f64 = rows.iter().map(|&row| (held_out[row] / estimated).powi(2)).sum();
            let model = models.entry(self.samples[rows[0]].kinds[1].as_str()).or_default();
            model.0 += (error * error - if rows.len() > 1 { around * squares } else { 0.0 }).max(LEAST_COMMON.powi(2));
            model.1 += 1.0;
        }
        let common = models.values().map(|(sum, count)| sum / count).sum::<f64>() / models.len() as f64;
        let own: f64 = if own_rows > 0.0 { own_squares / own_rows } else { 0.0 };
        [common.sqrt().max(LEAST_COMMON), own.sqrt(), student_95(models.len().saturating_sub(1))]
    }
}

/// Weighted quantile: the least value with at least this share of the weights up to it.
fn quantile(rows: &[Residual<'_>], share: f64) -> f64 {
    let mut sorted: Vec<(f64, f64)> = rows.iter().map(|row| (row.log, row.weight)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = sorted.iter().map(|row| row.1).sum();
    let mut sum = 0.0;
    for (log, weight) in &sorted {
        sum += weight;
        if sum >= share * total {
            return *log;
        }
    }
    sorted.last().map_or(0.0, |row| row.0)
}

/// 95 % quantile of Student's t, to three digits from 2 degrees of freedom on (Cornish–Fisher expansion, Abramowitz and Stegun 26.7.5).
fn student_95(degrees: usize) -> f64 {
    const Z: f64 = 1.644_853_626_951_472_2;
    let n = degrees as f64;
    let z = [Z, Z.powi(3), Z.powi(5), Z.powi(7), Z.powi(9)];
    match degrees {
        // Exact: tan(0.45 π), and 0.9 / √(2 · 0.05 · 0.95).
        0 | 1 => 6.313_751_515,
        2 => 2.919_985_580,
        _ => {
            Z + (z[1] + z[0]) / (4.0 * n)
                + (5.0 * z[2] + 16.0 * z[1] + 3.0 * z[0]) / (96.0 * n.powi(2))
                + (3.0 * z[3] + 19.0 * z[2] + 17.0 * z[1] - 15.0 * z[0]) / (384.0 * n.powi(3))
                + (79.0 * z[4] + 776.0 * z[3] + 1482.0 * z[2] - 1920.0 * z[1] - 945.0 * z[0]) / (92_160.0 * n.powi(4))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_quantile_by_hand() {
        let row = |log, weight| Residual { log, weight, group: "", cell: (Group::Conv, Regime::Compute) };
        // Weights 1, 2, 1 in order of the values: a quarter lies up to 0.1, three quarters up to 0.2.
        let rows = [row(0.3, 1.0), row(0.1, 1.0), row(0.2, 2.0)];
        assert_eq!([0.05, 0.25, 0.3, 0.75, 0.8].map(|share| quantile(&rows, share)), [0.1, 0.1, 0.2, 0.2, 0.3]);
    }

    #[test]
    fn students_t_as_tabulated() {
        for (degrees, wanted) in [(1, 6.314), (2, 2.920), (3, 2.353), (5, 2.015), (8, 1.860), (30, 1.697)] {
            assert!((student_95(degrees) - wanted).abs() < 6e-3, "{degrees}: {}", student_95(degrees));
        }
    }
}
