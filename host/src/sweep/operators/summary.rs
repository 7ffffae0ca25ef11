//! What a sweep of operators measured, by class and protocol: rows, runs, and how far the runs of a row lie apart.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::pick::Sampled;
use super::row::{header, sampled};
use crate::measure::Sorted;
use crate::report::table::{Column, Table};

/// One class under one protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Name of the family of ops.
    pub op_class: String,
    /// How they were run.
    pub protocol: String,
    /// Shapes that were measured.
    pub shapes: usize,
    /// Shapes that were skipped.
    pub skipped: usize,
    /// Rows marked as disturbed.
    pub disturbed: usize,
    /// Kept runs of all of them.
    pub runs: u64,
    /// Median over the rows of the median absolute deviation over the median, in percent.
    pub median_spread_pct: Option<f64>,
    /// Median over the rows of the measured time, in milliseconds.
    pub median_ms: Option<f64>,
}

/// Sums over the rows of a file.
///
/// # Errors
/// A file that cannot be read as CSV.
pub fn classes(csv: &Path) -> Result<Vec<Class>, csv::Error> {
    let column = |name: &str| header().iter().position(|column| *column == name).unwrap_or(usize::MAX);
    let (class, protocol, status) = (column("op_class"), column("protocol"), column("status"));
    let mut all: BTreeMap<(String, String), Rows> = BTreeMap::new();
    for record in csv::Reader::from_path(csv)?.records() {
        let record = record?;
        let text = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let rows = all.entry((text(class), text(protocol))).or_default();
        rows.skipped += usize::from(record.get(status) == Some("skipped"));
        rows.measured.extend(sampled(0, &record));
    }
    Ok(all.into_iter().map(|(names, rows)| rows.summed(names)).collect())
}

/// Rows of one class under one protocol.
#[derive(Debug, Default)]
struct Rows {
    measured: Vec<Sampled>,
    skipped: usize,
}

impl Rows {
    fn summed(&self, (op_class, protocol): (String, String)) -> Class {
        let median =
            |value: fn(&Sampled) -> f64| Sorted::new(self.measured.iter().map(value)).map(|sorted| sorted.median());
        Class {
            op_class,
            protocol,
            shapes: self.measured.len(),
            skipped: self.skipped,
            disturbed: self.measured.iter().filter(|row| row.disturbed).count(),
            runs: self.measured.iter().map(|row| u64::from(row.runs)).sum(),
            median_spread_pct: median(|row| 100.0 * row.mad_s / row.median_s),
            median_ms: median(|row| row.median_s * 1e3),
        }
    }
}

/// The sums as a table for people.
#[must_use]
pub fn table(classes: &[Class]) -> String {
    let mut table = Table::new([
        Column::Left("class"),
        Column::Left("protocol"),
        Column::Right("shapes"),
        Column::Right("skipped"),
        Column::Right("disturbed"),
        Column::Right("runs"),
        Column::Right("median"),
        Column::Right("spread"),
    ]);
    for class in classes {
        table.row([
            class.op_class.clone(),
            class.protocol.clone(),
            class.shapes.to_string(),
            class.skipped.to_string(),
            class.disturbed.to_string(),
            class.runs.to_string(),
            class.median_ms.map_or(String::new(), |ms| format!("{ms:.3} ms")),
            class.median_spread_pct.map_or(String::new(), |pct| format!("{pct:.1} %")),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        let row = |class: &str, cells: &[(&str, &str)]| {
            let cell = |name: &&str| match cells.iter().find(|(column, _)| column == name) {
                Some((_, cell)) => *cell,
                None if *name == "op_class" => class,
                None if *name == "protocol" => "warm",
                None => "",
            };
            header().iter().map(|name| cell(name).to_owned()).collect::<Vec<_>>()
        };
        let measured = |median, mad, status| {
            [("empirical_time_ms", median), ("p10_ms", median), ("mad_ms", mad), ("runs", "7"), ("status", status)]
        };
        let mut writer = csv::Writer::from_path(&path).expect("a file");
        writer.write_record(header()).expect("written");
        writer.write_record(row("conv", &measured("2", "0.1", "ok"))).expect("written");
        writer.write_record(row("conv", &measured("4", "0.6", "disturbed"))).expect("written");
        writer.write_record(row("conv", &[("status", "skipped")])).expect("written");
        writer.write_record(row("linear", &[("status", "skipped")])).expect("written");
        writer.flush().expect("written");
        let classes = classes(&path).expect("a CSV");
        let [conv, linear] = classes.as_slice() else { panic!("{classes:?}") };
        assert_eq!((conv.shapes, conv.skipped, conv.disturbed, conv.runs), (2, 1, 1, 14));
        // 5 % and 15 %; 2 ms and 4 ms.
        assert!((conv.median_spread_pct.expect("two rows") - 10.0).abs() < 1e-9);
        assert!((conv.median_ms.expect("two rows") - 3.0).abs() < 1e-9);
        assert_eq!((linear.shapes, linear.skipped, linear.median_ms), (0, 1, None));
        assert!(table(&classes).contains("conv    warm           2        1          1    14  3.000 ms  10.0 %"));
    }
}
