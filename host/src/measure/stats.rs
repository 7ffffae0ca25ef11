//! Robust statistics of one configuration's run times: median, percentiles, spread, outlier labels
//! and a confidence interval of the median. All values in nanoseconds unless said otherwise.
//!
//! Sources: percentile type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The
//! American Statistician 50(4), 1996; outliers by Iglewicz and Hoaglin, "How to Detect and Handle
//! Outliers", ASQC, 1993; interval of the median from order statistics, David and Nagaraja, "Order
//! Statistics", 3rd edition, 2003, section 7.1.
//!
//! Leaves out any repair of the data: outliers are labelled and kept.

use serde::{Deserialize, Serialize};

/// Modified z-score (no unit) above which a sample is labelled an outlier.
///
/// **Source**: Iglewicz and Hoaglin 1993, who recommend 3.5.
pub const OUTLIER_LIMIT: f64 = 3.5;

/// Factor from the MAD to a standard deviation (no unit), for normally distributed samples:
/// 1 / Φ⁻¹(3/4), rounded to the customary four decimals.
pub const MAD_TO_STD: f64 = 1.4826;

/// Share of the samples' distribution that the interval of the median must cover (no unit).
pub const CONFIDENCE: f64 = 0.95;

/// Φ⁻¹(3/4), the numerator of the modified z-score, as Iglewicz and Hoaglin write it.
const Z_NUMERATOR: f64 = 0.6745;

/// √(π/2): factor from the mean absolute deviation to a standard deviation, normal samples.
const MEAN_DEVIATION_TO_STD: f64 = 1.253_314;

/// Samples in ascending order: at least one, each finite. Same unit as what went in.
#[derive(Clone, Debug, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// Sorts `values`; `None` if there are none, or one of them is NaN or infinite.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some(Self(values))
    }

    /// Sorts whole nanoseconds (exact below 2⁵³ ns, 104 days); `None` if there are none.
    #[must_use]
    pub fn of_ns(samples_ns: &[u64]) -> Option<Self> {
        Self::new(samples_ns.iter().map(|&ns| ns as f64))
    }

    /// The samples, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Percentile of type 7: linear between order statistics.
    ///
    /// ```text
    /// h = (n − 1) · percent / 100;  x[⌊h⌋] + (h − ⌊h⌋) · (x[⌊h⌋ + 1] − x[⌊h⌋]),  x counted from 0
    /// ```
    /// **Valid for** 0 ≤ `percent` ≤ 100; beyond, the minimum or the maximum.
    ///
    /// **Source**: Hyndman and Fan 1996, definition 7 (the default of R and of `NumPy`).
    #[must_use]
    pub fn percentile(&self, percent: f64) -> f64 {
        let last = self.0.len() - 1;
        let h = last as f64 * (percent / 100.0).clamp(0.0, 1.0);
        let below = (h.floor() as usize).min(last);
        let above = (below + 1).min(last);
        self.0[below] + (h - below as f64) * (self.0[above] - self.0[below])
    }

    /// Median: the 50th percentile.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// Arithmetic mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Standard deviation with n − 1 in the denominator; `None` for a single sample.
    #[must_use]
    pub fn std(&self) -> Option<f64> {
        let n = self.0.len();
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|value| (value - mean).powi(2)).sum();
        (n > 1).then(|| (squares / (n - 1) as f64).sqrt())
    }

    /// Median absolute deviation from the median, raw; times [`MAD_TO_STD`] it estimates a standard
    /// deviation.
    #[must_use]
    pub fn mad(&self) -> f64 {
        let median = self.median();
        let deviations = self.0.iter().map(|value| (value - median).abs());
        // Differences of finite samples are finite here: times are far below the range of f64.
        Self::new(deviations).map_or(f64::INFINITY, |sorted| sorted.median())
    }

    /// Smallest sample.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// Largest sample.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The rule that labels outliers among these samples.
    #[must_use]
    pub fn outlier_rule(&self) -> OutlierRule {
        let median = self.median();
        let mad = self.mad();
        let scale = if mad > 0.0 {
            mad / Z_NUMERATOR
        } else {
            let total: f64 = self.0.iter().map(|value| (value - median).abs()).sum();
            MEAN_DEVIATION_TO_STD * total / self.0.len() as f64
        };
        OutlierRule { median, scale }
    }

    /// Distribution-free 95 % confidence interval of the median, as (low, high).
    ///
    /// `None` for fewer than six samples: even minimum to maximum then covers less than 95 %. See
    /// [`median_ranks`] for the assumption on the samples.
    #[must_use]
    pub fn median_interval(&self) -> Option<(f64, f64)> {
        median_ranks(self.0.len()).map(|(low, high)| (self.0[low - 1], self.0[high - 1]))
    }
}

/// Labels samples whose modified z-score is above [`OUTLIER_LIMIT`].
///
/// ```text
/// |0.6745 · (x − median) / MAD| > 3.5
/// ```
/// More than half of the samples being equal makes the MAD 0; the mean absolute deviation, times
/// √(π/2), then takes the place of MAD / 0.6745. If all are equal, nothing is an outlier.
///
/// **Source**: Iglewicz and Hoaglin 1993.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierRule {
    median: f64,
    scale: f64,
}

impl OutlierRule {
    /// Whether `value`, in the unit of the samples, is an outlier among them.
    #[must_use]
    pub fn is_outlier(&self, value: f64) -> bool {
        self.scale > 0.0 && ((value - self.median) / self.scale).abs() > OUTLIER_LIMIT
    }
}

/// Ranks (counted from 1) of the order statistics that enclose the median of a distribution with
/// at least 95 % confidence: the largest `d` and `n + 1 − d` for which
///
/// ```text
/// P(X ≤ d − 1) ≤ 2.5 %,  X ~ Binomial(n, 1/2)
/// ```
/// `None` for n < 6, where no such pair exists.
///
/// **Valid for** independent samples of one distribution. Neighbouring runs are correlated, so the
/// true coverage is lower; runs spread over many rounds come closest.
///
/// **Source**: David and Nagaraja 2003, section 7.1.
///
/// ```text
/// n = 10: P(X ≤ 1) = 11/1024 = 1.1 %, P(X ≤ 2) = 56/1024 = 5.5 %, so ranks 2 and 9
/// ```
#[must_use]
pub fn median_ranks(n: usize) -> Option<(usize, usize)> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    // Logarithms, since 2⁻ⁿ underflows beyond n = 1074.
    let mut ln_probability = -(n as f64) * core::f64::consts::LN_2;
    let mut cumulative = 0.0;
    let mut rank = 0;
    for k in 0..n {
        cumulative += ln_probability.exp();
        if cumulative > tail {
            break;
        }
        rank = k + 1;
        ln_probability += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (rank > 0).then(|| (rank, n + 1 - rank))
}

/// What a row says of its kept samples, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of kept samples, at least 1.
    pub n: usize,
    /// Median.
    pub median_ns: f64,
    /// Arithmetic mean.
    pub mean_ns: f64,
    /// 10th percentile: the time in nearly undisturbed moments.
    pub p10_ns: f64,
    /// Standard deviation (n − 1); `None` for a single sample.
    pub std_ns: Option<f64>,
    /// Median absolute deviation, raw.
    pub mad_ns: f64,
    /// Smallest sample.
    pub min_ns: f64,
    /// Largest sample.
    pub max_ns: f64,
    /// Number of samples labelled outliers; they are part of every other figure.
    pub outliers: usize,
    /// 95 % confidence interval of the median (low, high); `None` for fewer than six samples.
    pub median_interval_ns: Option<(f64, f64)>,
}

impl Summary {
    /// Summary of samples in whole nanoseconds; `None` if there are none.
    #[must_use]
    pub fn of(samples_ns: &[u64]) -> Option<Self> {
        let sorted = Sorted::of_ns(samples_ns)?;
        let rule = sorted.outlier_rule();
        let outliers = sorted.as_slice().iter().filter(|&&ns| rule.is_outlier(ns)).count();
        Some(Self {
            n: samples_ns.len(),
            median_ns: sorted.median(),
            mean_ns: sorted.mean(),
            p10_ns: sorted.percentile(10.0),
            std_ns: sorted.std(),
            mad_ns: sorted.mad(),
            min_ns: sorted.min(),
            max_ns: sorted.max(),
            outliers,
            median_interval_ns: sorted.median_interval(),
        })
    }

    /// Standard deviation estimated from the MAD: [`MAD_TO_STD`] · MAD.
    #[must_use]
    pub fn scaled_mad_ns(&self) -> f64 {
        MAD_TO_STD * self.mad_ns
    }

    /// Half the width of the median's interval over the median (no unit, 0.02 is ±2 %); `None`
    /// without an interval or at a median of 0.
    #[must_use]
    pub fn relative_half_width(&self) -> Option<f64> {
        relative_half_width(self.median_ns, self.median_interval_ns)
    }
}

/// Half width of `interval` over `median`; `None` without an interval or at a median of 0.
#[must_use]
pub fn relative_half_width(median: f64, interval: Option<(f64, f64)>) -> Option<f64> {
    let (low, high) = interval?;
    (median > 0.0).then(|| (high - low) / 2.0 / median)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(values: &[f64]) -> Sorted {
        Sorted::new(values.iter().copied()).expect("finite samples")
    }

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-9, "{got} is not {want}");
    }

    #[test]
    fn percentiles_are_of_type_7() {
        // n = 4: h = 3 · 0.1 = 0.3 → 10 + 0.3 · 10 = 13; h = 1.5 → 20 + 0.5 · 10 = 25.
        let samples = sorted(&[40.0, 10.0, 30.0, 20.0]);
        near(samples.percentile(10.0), 13.0);
        near(samples.median(), 25.0);
        near(samples.percentile(100.0), 40.0);
        near(samples.percentile(-5.0), 10.0);
        near(sorted(&[7.0]).percentile(37.0), 7.0);
    }

    #[test]
    fn spread_by_hand() {
        // Mean 5; squares 9+1+1+1+0+0+4+16 = 32; 32/7 → √4.571428….
        let samples = sorted(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        near(samples.mean(), 5.0);
        near(samples.std().unwrap(), (32.0_f64 / 7.0).sqrt());
        // Median 4.5; deviations 2.5 .5 .5 .5 .5 .5 2.5 4.5 → median 0.5.
        near(samples.mad(), 0.5);
        assert_eq!(sorted(&[3.0]).std(), None);
    }

    #[test]
    fn empty_and_not_finite_samples_are_refused() {
        assert_eq!(Sorted::new([]), None);
        assert_eq!(Sorted::new([1.0, f64::NAN]), None);
        assert_eq!(Sorted::new([f64::INFINITY]), None);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn outlier_limit_is_where_the_paper_puts_it() {
        // 1..=9: median 5, MAD 2. Limit: 3.5 · 2 / 0.6745 = 10.378 from the median.
        let rule = sorted(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).outlier_rule();
        assert!(!rule.is_outlier(15.37));
        assert!(rule.is_outlier(15.39));
        assert!(rule.is_outlier(-5.39));
        assert!(!rule.is_outlier(-5.37));
    }

    #[test]
    fn zero_mad_falls_back_on_the_mean_deviation() {
        // Nine of 100, one of 200: MAD 0, mean deviation 10, scale 12.533; 100/12.533 = 7.98 > 3.5.
        let mut values = vec![100_u64; 9];
        values.push(200);
        let summary = Summary::of(&values).unwrap();
        near(summary.mad_ns, 0.0);
        assert_eq!(summary.outliers, 1);
        // Six of 100, four of 101: mean deviation 0.4, scale 0.50; 1/0.50 = 1.99, no outlier.
        let jitter = [100, 100, 100, 100, 100, 100, 101, 101, 101, 101];
        assert_eq!(Summary::of(&jitter).unwrap().outliers, 0);
        assert_eq!(Summary::of(&[5; 20]).unwrap().outliers, 0);
    }

    #[test]
    fn median_ranks_by_exact_integer_binomials() {
        // Sums of binomial coefficients in exact integers, worked out apart from this code.
        for (n, want) in [
            (5, None),
            (6, Some((1, 6))),
            (10, Some((2, 9))),
            (15, Some((4, 12))),
            (50, Some((18, 33))),
            (100, Some((40, 61))),
            (2_000, Some((956, 1_045))),
            (20_000, Some((9_861, 10_140))),
        ] {
            assert_eq!(median_ranks(n), want, "n = {n}");
        }
        assert_eq!(median_ranks(0), None);
    }

    #[test]
    fn median_ranks_cover_95_percent_and_no_rank_closer_does() {
        for n in 6..=100_u32 {
            // P(X ≤ k) from coefficients in u128, exact up to n = 100.
            let mut coefficient = 1_u128;
            let mut tails = Vec::new();
            let mut sum = 0_u128;
            for k in 0..=n {
                sum += coefficient;
                tails.push(sum as f64 / 2_f64.powi(n as i32));
                coefficient = coefficient * u128::from(n - k) / u128::from(k + 1);
            }
            let (low, high) = median_ranks(n as usize).unwrap();
            assert_eq!(low + high, n as usize + 1);
            assert!(1.0 - 2.0 * tails[low - 1] >= 0.95, "n = {n}");
            assert!(1.0 - 2.0 * tails[low] < 0.95, "n = {n}");
        }
    }

    #[test]
    fn summary_by_hand() {
        // 10, 20, …, 100: median 55, p10 = 10 + 0.9 · 10 = 19, interval = ranks 2 and 9.
        let samples: Vec<u64> = (1..=10).map(|i| i * 10).collect();
        let summary = Summary::of(&samples).unwrap();
        assert_eq!((summary.n, summary.outliers), (10, 0));
        near(summary.median_ns, 55.0);
        near(summary.p10_ns, 19.0);
        near(summary.mean_ns, 55.0);
        // Deviations 5 5 15 15 25 25 35 35 45 45 → 25.
        near(summary.mad_ns, 25.0);
        near(summary.scaled_mad_ns(), 37.065);
        assert_eq!((summary.min_ns, summary.max_ns), (10.0, 100.0));
        assert_eq!(summary.median_interval_ns, Some((20.0, 90.0)));
        // (90 − 20) / 2 / 55.
        near(summary.relative_half_width().unwrap(), 35.0 / 55.0);
        assert_eq!(Summary::of(&[1, 2, 3]).unwrap().relative_half_width(), None);
        assert_eq!(Summary::of(&[0; 9]).unwrap().relative_half_width(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn order_of_figures(samples in prop::collection::vec(0_u64..1_000_000_000_000, 1..400)) {
            let summary = Summary::of(&samples).unwrap();
            prop_assert!(summary.min_ns <= summary.p10_ns && summary.p10_ns <= summary.median_ns);
            prop_assert!(summary.median_ns <= summary.max_ns);
            prop_assert!(summary.outliers <= summary.n / 2, "outliers are a minority");
            if let Some((low, high)) = summary.median_interval_ns {
                prop_assert!(low <= summary.median_ns && summary.median_ns <= high);
            }
        }

        #[test]
        fn scaling_time_scales_the_figures(
            samples in prop::collection::vec(1_u64..1_000_000, 6..60),
        ) {
            let thousandfold: Vec<u64> = samples.iter().map(|ns| ns * 1_000).collect();
            let (one, thousand) = (Summary::of(&samples).unwrap(), Summary::of(&thousandfold).unwrap());
            prop_assert!((thousand.median_ns / one.median_ns - 1_000.0).abs() < 1e-6);
            prop_assert!((thousand.p10_ns / one.p10_ns - 1_000.0).abs() < 1e-6);
            prop_assert_eq!(thousand.outliers, one.outliers);
        }
    }
}
