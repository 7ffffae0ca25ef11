//! Axes: which span of values they show, and where their ticks stand.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    /// Where it begins.
    pub(crate) low: f64,
    /// Where it ends.
    pub(crate) high: f64,
    /// Values with a tick and a label.
    pub(crate) ticks: Vec<f64>,
    logarithmic: bool,
}

impl Ranged for Span {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let place = |value: f64| if self.logarithmic { value.ln() } else { value };
        let share = (place(*value) - place(self.low)) / (place(self.high) - place(self.low));
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl Span {
    /// A logarithmic axis around all positive, finite values, wider by a factor on both sides.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64>, margin: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if high <= 0.0 {
            (low, high) = (1.0, 1.0);
        }
        (low, high) = (low / margin, high * margin);
        let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
        // Powers of ten; where fewer than three of them fit, twos and fives between.
        let ticks = |steps: &[f64]| -> Vec<f64> {
            let decade = |exponent: i32| steps.iter().map(move |step| step * 10_f64.powi(exponent));
            exponents.clone().flat_map(decade).filter(|tick| (low..=high).contains(tick)).collect()
        };
        let powers = ticks(&[1.0]);
        let ticks = if powers.len() < 3 { ticks(&[1.0, 2.0, 5.0]) } else { powers };
        Self { low, high, ticks, logarithmic: true }
    }

    /// A linear axis from 0 to an end, with these ticks.
    pub(crate) const fn linear(high: f64, ticks: Vec<f64>) -> Self {
        Self { low: 0.0, high, ticks, logarithmic: false }
    }

    /// A linear axis from −size to size, a little wider.
    pub(crate) fn symmetric(size: f64) -> Self {
        let high = size * 1.06;
        let half = steps(high, 5.0);
        let ticks = half.iter().skip(1).rev().map(|tick| -tick).chain(half.iter().copied()).collect();
        Self { low: -high, high, ticks, logarithmic: false }
    }

    /// A linear axis from 0 to a positive end, a little beyond.
    pub(crate) fn from_zero(end: f64) -> Self {
        let high = end * 1.06;
        Self::linear(high, steps(high, 8.0))
    }
}

/// Round values from 0 up to a positive end, with at most `most` steps between.
fn steps(high: f64, most: f64) -> Vec<f64> {
    let power = 10_f64.powf(high.log10().floor());
    let round = [0.2, 0.25, 0.5, 1.0, 2.0, 5.0].map(|step| step * power);
    let step = round.into_iter().find(|step| high / step <= most).unwrap_or(power * 10.0);
    let n = (high / step).floor() as usize;
    (0..=n).map(|index| index as f64 * step).collect()
}

/// A tick's label: plain decimals, without trailing zeros.
pub(crate) fn label(value: &f64) -> String {
    if *value == 0.0 {
        return "0".into();
    }
    if value.abs() >= 1e6 || value.abs() < 1e-4 {
        return format!("{value:e}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithmic_ticks_are_powers_of_ten_or_finer() {
        let wide = Span::logarithmic([0.02, f64::NAN, 300.0].into_iter(), 2.0);
        assert_eq!((wide.low, wide.high), (0.01, 600.0));
        assert_eq!(wide.ticks.iter().map(label).collect::<Vec<_>>(), ["0.01", "0.1", "1", "10", "100"]);
        let narrow = Span::logarithmic([1.0, 10.0].into_iter(), 2.0);
        assert_eq!(narrow.ticks, [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        // Nothing to show is still an axis.
        assert!(Span::logarithmic(std::iter::empty(), 2.0).high > 1.0);
    }

    #[test]
    fn linear_ticks_have_round_steps() {
        assert_eq!(Span::from_zero(12.0).ticks, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        assert_eq!(Span::from_zero(38.0).ticks, [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(Span::symmetric(25.0).ticks, [-20.0, -10.0, 0.0, 10.0, 20.0]);
        assert_eq!(Span::symmetric(80.0).ticks, [-80.0, -60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(label(&-2.5), "−2.5");
    }
}
