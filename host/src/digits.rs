//! Rounding to significant digits: what is written says no more than what was measured.

/// The value with so many significant digits, at least 1; what is not finite stays as it is.
#[must_use]
pub fn significant(value: f64, digits: usize) -> f64 {
    let decimals = digits.saturating_sub(1);
    format!("{value:.decimals$e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_by_hand() {
        assert_eq!(significant(123_456_789.0, 4), 123_500_000.0);
        assert_eq!(significant(0.001_234_56, 4), 0.001_235);
        assert_eq!(significant(9.996, 3), 10.0);
        assert_eq!(significant(0.0, 3), 0.0);
        assert!(significant(f64::INFINITY, 3).is_infinite());
    }
}
