//! Numbers as reports write them; what is not finite is a dash.

/// For what there is no number for.
pub(super) const NONE: &str = "—";

/// A percentage, `7.4 %`; from 100 on without decimals.
pub(super) fn percent(value: f64) -> String {
    match value {
        value if !value.is_finite() => NONE.into(),
        value if value.abs() >= 99.95 => format!("{value:.0} %"),
        value => format!("{value:.1} %"),
    }
}

/// A percentage with its sign, `+7.4 %`.
pub(super) fn signed_percent(value: f64) -> String {
    let text = percent(value);
    if value >= 0.0 && value.is_finite() { format!("+{text}") } else { text.replace('-', "−") }
}

/// So many significant digits, without exponent from 0.001 to 10^6.
pub(super) fn significant(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let decimals = usize::try_from(digits - 1).unwrap_or(0);
    // Rounding first: 9.996 to three digits is 10.0, not 10.00.
    let rounded = crate::digits::significant(value, decimals + 1);
    if !(1e-3..1e6).contains(&rounded.abs()) {
        return format!("{value:.decimals$e}");
    }
    let after_point = (digits - 1 - rounded.abs().log10().floor() as i32).max(0);
    format!("{rounded:.*}", usize::try_from(after_point).unwrap_or(0))
}

/// A count with its noun: `1 row`, `2 rows`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!([7.44, 99.94, 99.96, 187.2].map(percent), ["7.4 %", "99.9 %", "100 %", "187 %"]);
        assert_eq!([7.44, -7.44, 0.0].map(signed_percent), ["+7.4 %", "−7.4 %", "+0.0 %"]);
        assert_eq!((percent(f64::NAN), signed_percent(f64::INFINITY)), ("—".into(), "—".into()));
    }

    #[test]
    fn significant_digits() {
        let three = |value| significant(value, 3);
        assert_eq!([0.634_2, 9.996, 12.34, 1234.0, 0.0].map(three), ["0.634", "10.0", "12.3", "1230", "0"]);
        assert_eq!([2e-6, 3.456e9, 0.001].map(three), ["2.00e-6", "3.46e9", "0.00100"]);
        assert_eq!(three(f64::NAN), "—");
    }

    #[test]
    fn counts() {
        assert_eq!((count(1, "row"), count(0, "row")), ("1 row".into(), "0 rows".into()));
    }
}
