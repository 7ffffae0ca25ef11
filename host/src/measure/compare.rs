//! Whether two finished sweeps of the same configurations agree: relative difference of each 10th
//! percentile (no unit, from nanoseconds), with the drift of the references beside.
//!
//! Source: 10th percentiles of undisturbed repeats differ by a few per cent; the customary limit is
//! [`AGREEMENT_LIMIT`].
//!
//! The drift is shown, not divided out: dividing by a reference does not narrow the differences.

use core::fmt;
use std::collections::HashMap;

use serde::Serialize;
use thiserror::Error;

use super::disturbance::ReferenceLevels;

/// Relative difference of two 10th percentiles up to which two sweeps agree (no unit).
pub const AGREEMENT_LIMIT: f64 = 0.07;

/// What is compared of one sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinishedRun {
    /// Key and 10th percentile, in nanoseconds, of each measured row; keys once each.
    pub p10_ns: Vec<(String, f64)>,
    /// Levels of the drift references over the sweep.
    pub references: ReferenceLevels,
}

/// One configuration that both sweeps measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Key of the configuration.
    pub key: String,
    /// 10th percentile of the first sweep, in nanoseconds.
    pub first_ns: f64,
    /// 10th percentile of the second sweep, in nanoseconds.
    pub second_ns: f64,
    /// second / first − 1 (no unit).
    pub relative: f64,
    /// Whether its size is above the limit.
    pub exceeds: bool,
}

/// Two sweeps side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Configurations that both measured, in the order of the first.
    pub rows: Vec<Difference>,
    /// Keys that only the first measured.
    pub only_in_first: Vec<String>,
    /// Keys that only the second measured.
    pub only_in_second: Vec<String>,
    /// Relative difference above which a row exceeds (no unit).
    pub limit: f64,
    /// Compute-bound reference: second / first − 1; `None` if one of them is unknown.
    pub compute_bound_drift: Option<f64>,
    /// Memory-bound reference: second / first − 1; `None` if one of them is unknown.
    pub memory_bound_drift: Option<f64>,
}

/// Why two sweeps cannot be compared.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CompareError {
    /// A time is not a positive number.
    #[error("{sweep} sweep, `{key}`: 10th percentile is {value} ns; allowed: above 0, finite")]
    Time {
        /// `first` or `second`.
        sweep: &'static str,
        /// Key of the configuration.
        key: String,
        /// The time, in nanoseconds.
        value: f64,
    },
    /// A key stands twice in one sweep.
    #[error("{sweep} sweep: `{key}` is there twice; allowed: once")]
    Twice {
        /// `first` or `second`.
        sweep: &'static str,
        /// Key of the configuration.
        key: String,
    },
    /// No configuration is in both.
    #[error("no configuration is in both sweeps ({first} in the first, {second} in the second)")]
    NothingShared {
        /// Rows of the first sweep (count).
        first: usize,
        /// Rows of the second sweep (count).
        second: usize,
    },
}

/// Compares two finished sweeps; `limit` is commonly [`AGREEMENT_LIMIT`].
///
/// # Errors
///
/// [`CompareError`] if a time is not positive and finite, a key stands twice, or none is shared.
pub fn compare(first: &FinishedRun, second: &FinishedRun, limit: f64) -> Result<Comparison, CompareError> {
    let in_first = by_key("first", first)?;
    let in_second = by_key("second", second)?;
    let mut rows = Vec::new();
    let mut only_in_first = Vec::new();
    for (key, first_ns) in &first.p10_ns {
        let Some(second_ns) = in_second.get(key.as_str()) else {
            only_in_first.push(key.clone());
            continue;
        };
        let relative = second_ns / first_ns - 1.0;
        rows.push(Difference {
            key: key.clone(),
            first_ns: *first_ns,
            second_ns: *second_ns,
            relative,
            exceeds: relative.abs() > limit,
        });
    }
    if rows.is_empty() {
        return Err(CompareError::NothingShared { first: first.p10_ns.len(), second: second.p10_ns.len() });
    }
    let only_in_second = second.p10_ns.iter().map(|(key, _)| key);
    let drift = |first: Option<f64>, second: Option<f64>| {
        let (first, second) = first.zip(second)?;
        (first > 0.0).then(|| second / first - 1.0)
    };
    let (a, b) = (&first.references, &second.references);
    Ok(Comparison {
        rows,
        only_in_first,
        only_in_second: only_in_second.filter(|key| !in_first.contains_key(key.as_str())).cloned().collect(),
        limit,
        compute_bound_drift: drift(a.compute_bound_ns, b.compute_bound_ns),
        memory_bound_drift: drift(a.memory_bound_ns, b.memory_bound_ns),
    })
}

fn by_key<'a>(sweep: &'static str, run: &'a FinishedRun) -> Result<HashMap<&'a str, f64>, CompareError> {
    let mut times = HashMap::new();
    for (key, value) in &run.p10_ns {
        let (key, value) = (key.as_str(), *value);
        if !(value.is_finite() && value > 0.0) {
            let key = key.to_owned();
            return Err(CompareError::Time { sweep, key, value });
        }
        if times.insert(key, value).is_some() {
            let key = key.to_owned();
            return Err(CompareError::Twice { sweep, key });
        }
    }
    Ok(times)
}

impl Comparison {
    /// Whether no shared configuration exceeds the limit. Keys of one sweep alone do not count.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.exceeding().next().is_none()
    }

    /// The rows above the limit.
    pub fn exceeding(&self) -> impl Iterator<Item = &Difference> {
        self.rows.iter().filter(|row| row.exceeds)
    }

    /// The row of the largest difference either way.
    #[must_use]
    pub fn worst(&self) -> Option<&Difference> {
        let size = |row: &&Difference| row.relative.abs();
        self.rows.iter().max_by(|a, b| size(a).total_cmp(&size(b)))
    }
}

impl fmt::Display for Comparison {
    /// The table, in milliseconds and per cent, then the references and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.rows.iter().map(|row| row.key.chars().count()).max();
        let width = longest.unwrap_or(0).max("configuration".len());
        writeln!(
            f,
            "{:<width$}  {:>12}  {:>12}  {:>10}",
            "configuration", "first p10 ms", "second p10 ms", "difference"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<width$}  {:>12.4}  {:>13.4}  {:>+8.1} %{}",
                row.key,
                row.first_ns / 1e6,
                row.second_ns / 1e6,
                row.relative * 100.0,
                if row.exceeds { "  exceeds" } else { "" }
            )?;
        }
        for (sweep, keys) in [("first", &self.only_in_first), ("second", &self.only_in_second)] {
            if !keys.is_empty() {
                writeln!(f, "only in the {sweep} sweep: {}", keys.join(", "))?;
            }
        }
        for (name, drift) in [("compute-bound", self.compute_bound_drift), ("memory-bound", self.memory_bound_drift)] {
            match drift {
                Some(drift) => writeln!(f, "{name} reference: {:+.1} %", drift * 100.0)?,
                None => writeln!(f, "{name} reference: unknown")?,
            }
        }
        let worst = self.worst().map_or(0.0, |row| row.relative.abs());
        write!(
            f,
            "{} of {} above {} %, worst {:.1} %: the sweeps {}",
            self.exceeding().count(),
            self.rows.len(),
            // To a hundredth of a per cent: 100 · 0.07 is not 7 in binary.
            (self.limit * 1e4).round() / 1e2,
            worst * 100.0,
            if self.agrees() { "agree" } else { "disagree" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(rows: &[(&str, f64)], references: (Option<f64>, Option<f64>)) -> FinishedRun {
        FinishedRun {
            p10_ns: rows.iter().map(|(key, ns)| ((*key).to_owned(), *ns)).collect(),
            references: ReferenceLevels { compute_bound_ns: references.0, memory_bound_ns: references.1 },
        }
    }

    #[test]
    fn differences_by_hand() {
        let first = finished(&[("a", 1e6), ("b", 2e6), ("gone", 1.0), ("c", 4e6)], (Some(100.0), Some(50.0)));
        let second = finished(&[("c", 3.7e6), ("b", 2.13e6), ("new", 1.0), ("a", 1.08e6)], (Some(103.0), None));
        let table = compare(&first, &second, AGREEMENT_LIMIT).unwrap();
        // a +8 %, b +6.5 %, c −7.5 %.
        let flags: Vec<_> = table.rows.iter().map(|r| (r.key.as_str(), r.exceeds)).collect();
        assert_eq!(flags, [("a", true), ("b", false), ("c", true)]);
        assert!((table.rows[1].relative - 0.065).abs() < 1e-12);
        assert_eq!(table.worst().unwrap().key, "a");
        assert_eq!(table.only_in_first, ["gone"]);
        assert_eq!(table.only_in_second, ["new"]);
        assert!((table.compute_bound_drift.unwrap() - 0.03).abs() < 1e-12);
        assert_eq!(table.memory_bound_drift, None);
        assert!(!table.agrees());
        assert_eq!(
            table.to_string(),
            "\
configuration  first p10 ms  second p10 ms  difference
a                    1.0000         1.0800      +8.0 %  exceeds
b                    2.0000         2.1300      +6.5 %
c                    4.0000         3.7000      -7.5 %  exceeds
only in the first sweep: gone
only in the second sweep: new
compute-bound reference: +3.0 %
memory-bound reference: unknown
2 of 3 above 7 %, worst 8.0 %: the sweeps disagree"
        );
        assert!(compare(&first, &second, 0.09).unwrap().agrees());
    }

    #[test]
    fn bad_input_is_named() {
        let good = finished(&[("a", 1.0)], (None, None));
        let message = |second: &[(&str, f64)]| {
            let second = finished(second, (None, None));
            compare(&good, &second, 0.07).unwrap_err().to_string()
        };
        assert_eq!(message(&[("a", 0.0)]), "second sweep, `a`: 10th percentile is 0 ns; allowed: above 0, finite");
        assert!(message(&[("a", f64::NAN)]).contains("is NaN ns"));
        assert_eq!(message(&[("a", 1.0), ("a", 2.0)]), "second sweep: `a` is there twice; allowed: once");
        assert_eq!(message(&[("b", 1.0)]), "no configuration is in both sweeps (1 in the first, 1 in the second)");
    }
}
