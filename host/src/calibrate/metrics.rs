//! How far estimates are from measurements, and in which words that is said.

use serde::Serialize;

use crate::measure::Sorted;

/// The four words for a mean absolute percentage error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Below 10 %.
    Excellent,
    /// 10 to 15 %.
    Good,
    /// 15 to 25 %.
    NeedsTuning,
    /// Above 25 %.
    Poor,
}

impl Grade {
    /// The word for a MAPE in percent.
    #[must_use]
    pub fn of(mape_pct: f64) -> Self {
        match mape_pct {
            error if error < 10.0 => Self::Excellent,
            error if error <= 15.0 => Self::Good,
            error if error <= 25.0 => Self::NeedsTuning,
            _ => Self::Poor,
        }
    }

    /// As it is written in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Excellent => "excellent",
            Self::Good => "good",
            Self::NeedsTuning => "needs tuning",
            Self::Poor => "poor",
        }
    }
}

/// Errors of a set of estimates: relative error = (estimated − measured) / measured, in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// Number of pairs.
    pub n: usize,
    /// Mean of the absolute relative errors, in percent.
    pub mape_pct: f64,
    /// Median of the absolute relative errors, in percent.
    pub median_pct: f64,
    /// Coefficient of determination of measured against estimated times; `None` for fewer than two pairs, or equal times.
    pub r2: Option<f64>,
    /// Mean of the signed relative errors, in percent: positive where estimates are too long.
    pub bias_pct: f64,
    /// Least absolute relative error, in percent.
    pub min_pct: f64,
    /// Greatest absolute relative error, in percent.
    pub max_pct: f64,
    /// Standard deviation of the absolute relative errors, in percent; 0 for a single pair.
    pub std_pct: f64,
    /// Share of the pairs within 10 %, from 0 to 1.
    pub within_10_share: f64,
}

impl ErrorSummary {
    /// Summary of (estimated, measured) pairs of positive values; `None` for no pair.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        if pairs.is_empty() {
            return None;
        }
        let n = pairs.len() as f64;
        let signed: Vec<f64> =
            pairs.iter().map(|(estimated, measured)| (estimated - measured) / measured * 100.0).collect();
        let sorted = Sorted::new(signed.iter().map(|error| error.abs()))?;
        let sizes = sorted.as_slice();
        let mape_pct = sizes.iter().sum::<f64>() / n;
        let variance = sizes.iter().map(|size| (size - mape_pct).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let mean = pairs.iter().map(|(_, measured)| measured).sum::<f64>() / n;
        let total: f64 = pairs.iter().map(|(_, measured)| (measured - mean).powi(2)).sum();
        let residual: f64 = pairs.iter().map(|(estimated, measured)| (measured - estimated).powi(2)).sum();
        Some(Self {
            n: pairs.len(),
            mape_pct,
            median_pct: sorted.median(),
            r2: (total > 0.0).then(|| 1.0 - residual / total),
            bias_pct: signed.iter().sum::<f64>() / n,
            min_pct: sorted.min(),
            max_pct: sorted.max(),
            std_pct: variance.sqrt(),
            within_10_share: sizes.iter().filter(|&&size| size <= 10.0).count() as f64 / n,
        })
    }

    /// The word for the MAPE.
    #[must_use]
    pub fn grade(&self) -> Grade {
        Grade::of(self.mape_pct)
    }
}

/// Summary of estimated against measured values; of no pair, one that says so.
#[must_use]
pub fn summary(estimated: &[f64], measured: &[f64]) -> ErrorSummary {
    let pairs: Vec<(f64, f64)> = estimated.iter().copied().zip(measured.iter().copied()).collect();
    ErrorSummary::of(&pairs).unwrap_or(ErrorSummary {
        n: 0,
        mape_pct: f64::NAN,
        median_pct: f64::NAN,
        r2: None,
        bias_pct: f64::NAN,
        min_pct: f64::NAN,
        max_pct: f64::NAN,
        std_pct: f64::NAN,
        within_10_share: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        // Estimated 110, 90, 150 of 100: +10, −10, +50 %.
        let got = ErrorSummary::of(&[(110.0, 100.0), (90.0, 100.0), (150.0, 100.0)]).expect("three pairs");
        assert!((got.mape_pct - 70.0 / 3.0).abs() < 1e-9);
        assert!((got.bias_pct - 50.0 / 3.0).abs() < 1e-9);
        assert_eq!((got.median_pct, got.min_pct, got.max_pct, got.r2), (10.0, 10.0, 50.0, None));
        assert!((got.within_10_share - 2.0 / 3.0).abs() < 1e-9);
        // Deviations from the mean of 23.3: −13.3, −13.3, 26.7; variance 1066.7 / 2.
        assert!((got.std_pct - (1_066.666_667_f64 / 2.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn r2_is_one_for_a_perfect_estimate() {
        let got = ErrorSummary::of(&[(1.0, 1.0), (2.0, 2.0)]).expect("two pairs");
        assert_eq!((got.r2, got.mape_pct), (Some(1.0), 0.0));
        // Estimating the mean everywhere explains nothing.
        let mean = ErrorSummary::of(&[(1.5, 1.0), (1.5, 2.0)]).expect("two pairs");
        assert!(mean.r2.expect("two times").abs() < 1e-12);
    }

    #[test]
    fn the_four_words() {
        let words = [9.9, 10.0, 15.0, 15.1, 25.0, 25.1].map(|error| Grade::of(error).word());
        assert_eq!(words, ["excellent", "good", "good", "needs tuning", "needs tuning", "poor"]);
    }
}
