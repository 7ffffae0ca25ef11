//! Evaluation on measured matrix products of micro-kernels: [`derate_core::calibration::micro_kernel`] beside two baselines, each shape
//! held out.
//!
//! Files are CSV with a header that names these columns, in any order, among others that are passed over:
//!
//! ```text
//! kernel    name of the micro-kernel: rows of one name are one kernel
//! mr, nr    its register tile: whole numbers from 1 on
//! m, k, n   the product C[m × n] = A[m × k] · B[k × n]: whole numbers from 1 on
//! seconds   measured time of one call, above 0
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use derate_core::calibration::micro_kernel::{COEFFICIENTS, Coefficients, RegisterTile, kernel_time};
use derate_core::roofline::Bound;
use derate_core::work::Gemm;

use super::{HeldOut, Prediction};
use crate::calibrate::fit::{Biweight, Fit, FitError, Measured, Options, Parameter, alternatives, fit};

/// Parts into which shapes are dealt; each is predicted by a fit on the others.
pub const FOLDS: usize = 5;

/// Starting points of the second capacity, in bytes: that border is steep, so the cost has several minima.
const SECOND_CAPACITIES: [f64; 3] = [3e5, 9e5, 2.5e6];

/// One measured product.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the micro-kernel.
    pub kernel: String,
    /// Its register tile.
    pub tile: RegisterTile,
    /// The product.
    pub gemm: Gemm,
    /// Measured time of one call, in seconds.
    pub seconds: f64,
}

impl Row {
    fn shape(&self) -> [u64; 3] {
        [self.gemm.m, self.gemm.k, self.gemm.n]
    }

    fn macs(&self) -> f64 {
        self.shape().map(|extent| extent as f64).iter().product()
    }

    /// Bytes of both operands and the output, each once.
    fn bytes(&self) -> f64 {
        let [m, k, n] = self.shape().map(|extent| extent as f64);
        4.0 * (m * k + k * n + m * n)
    }

    /// FLOPs of whole register tiles.
    fn padded_flops(&self) -> f64 {
        let padded = |extent: u64, tile: u32| extent.next_multiple_of(u64::from(tile)) as f64;
        2.0 * padded(self.gemm.m, self.tile.mr) * padded(self.gemm.n, self.tile.nr) * self.gemm.k as f64
    }
}

/// Why rows cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum GemmError {
    /// A file that cannot be read as CSV.
    #[error("{}: {source}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: csv::Error,
    },
    /// A column that is not there.
    #[error("{}: no column {column}; kernel, mr, nr, m, k, n and seconds are needed", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A value that cannot be.
    #[error("{}:{line}: {column} is {value:?}; {allowed}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line in it, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value as it stands there.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
    /// Fewer shapes than folds.
    #[error("{what}: {shapes} shapes; at least {FOLDS} are needed to hold each out in {FOLDS} folds")]
    TooFew {
        /// Of what.
        what: String,
        /// How many there are.
        shapes: usize,
    },
    /// A fit that found nothing.
    #[error("{predictor} of {what}: {source}")]
    Fit {
        /// Who predicts.
        predictor: &'static str,
        /// Of what.
        what: String,
        /// What is wrong.
        source: FitError,
    },
    /// A product that core cannot count.
    #[error("{kernel}, m {m} k {k} n {n}: tiles or bytes beyond 2^64", m = shape[0], k = shape[1], n = shape[2])]
    Count {
        /// The kernel.
        kernel: String,
        /// Extents m, k, n.
        shape: [u64; 3],
    },
}

/// Reads a file of the format above.
///
/// # Errors
/// [`GemmError::Csv`], [`GemmError::Column`] or [`GemmError::Value`], naming file, line and column.
pub fn read(path: &Path) -> Result<Vec<Row>, GemmError> {
    let bad_csv = |source| GemmError::Csv { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_path(path).map_err(bad_csv)?;
    let header = reader.headers().map_err(bad_csv)?.clone();
    let column = |column: &'static str| {
        let found = header.iter().position(|name| name.trim() == column);
        found.map(|index| (column, index)).ok_or_else(|| GemmError::Column { path: path.to_owned(), column })
    };
    let kernel = column("kernel")?;
    let [mr, nr] = [column("mr")?, column("nr")?];
    let [m, k, n] = [column("m")?, column("k")?, column("n")?];
    let seconds = column("seconds")?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(bad_csv)?;
        let text = |(_, index): (&'static str, usize)| record.get(index).unwrap_or("").trim();
        let bad = |at: (&'static str, usize), allowed| GemmError::Value {
            path: path.to_owned(),
            line: record.position().map_or(0, csv::Position::line),
            column: at.0,
            value: text(at).to_owned(),
            allowed,
        };
        let extent = |at| match text(at).parse::<u32>() {
            Ok(extent) if extent > 0 => Ok(extent),
            _ => Err(bad(at, "a whole number from 1 to 4294967295 is needed")),
        };
        let measured = text(seconds).parse::<f64>().ok().filter(|time| *time > 0.0 && time.is_finite());
        if text(kernel).is_empty() {
            return Err(bad(kernel, "a name is needed"));
        }
        let [m, k, n] = [extent(m)?, extent(k)?, extent(n)?].map(u64::from);
        rows.push(Row {
            kernel: text(kernel).to_owned(),
            tile: RegisterTile { mr: extent(mr)?, nr: extent(nr)? },
            gemm: Gemm { m, n, k, groups: 1 },
            seconds: measured.ok_or_else(|| bad(seconds, "a time above 0 is needed"))?,
        });
    }
    Ok(rows)
}

/// The fastest kernel of each shape, in the order of the shapes' first rows.
#[must_use]
pub fn best_per_shape(rows: &[Row]) -> Vec<Row> {
    let mut place = BTreeMap::new();
    let mut best: Vec<Row> = Vec::new();
    for row in rows {
        let index = *place.entry(row.shape()).or_insert_with(|| {
            best.push(row.clone());
            best.len() - 1
        });
        if row.seconds < best[index].seconds {
            best[index] = row.clone();
        }
    }
    best
}

/// Who predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predictor {
    /// The form of [`derate_core::calibration::micro_kernel`].
    Derate,
    /// The longer of arithmetic at one throughput and compulsory bytes at one bandwidth.
    PlainRoofline,
    /// Time in proportion to MACs.
    MacOnly,
}

impl Predictor {
    /// All of them, ours first.
    pub const ALL: [Self; 3] = [Self::Derate, Self::PlainRoofline, Self::MacOnly];

    /// As it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Derate => "derate",
            Self::PlainRoofline => "plain roofline",
            Self::MacOnly => "MAC-only",
        }
    }

    /// Its coefficients.
    #[must_use]
    pub fn parameters(self) -> Vec<Parameter> {
        // Of a baseline, without a prior.
        let free =
            |name, prior| Parameter { name, prior, prior_sd: f64::INFINITY, low: prior * 1e-6, high: prior * 1e6 };
        match self {
            Self::Derate => {
                let parameter = |c: &derate_core::calibration::Coefficient| Parameter {
                    name: c.name,
                    prior: f64::from(c.value),
                    prior_sd: f64::from(c.sd),
                    low: f64::from(c.low),
                    high: f64::from(c.high),
                };
                COEFFICIENTS.iter().map(parameter).collect()
            }
            Self::PlainRoofline => vec![free("peak", 1e10), free("bandwidth", 1e10)],
            Self::MacOnly => vec![free("seconds_per_mac", 1e-10)],
        }
    }

    /// Time in seconds of each row, and what takes most of it; `None` where values lie outside their range or counts overflow.
    fn predict(self, row: &Row, values: &[f64]) -> Option<(f64, &'static str)> {
        match (self, values) {
            (Self::Derate, values) => self.times(std::slice::from_ref(row), values).and_then(|times| {
                let time = kernel_time(row.gemm, row.tile, &coefficients(values)?).ok()?;
                let regime = match time.bound() {
                    Bound::Compute => "compute",
                    Bound::Memory(_) => "memory",
                    Bound::Overhead => "overhead",
                };
                Some((*times.first()?, regime))
            }),
            (Self::PlainRoofline, &[peak, bandwidth]) => {
                let (compute, memory) = (2.0 * row.macs() / peak, row.bytes() / bandwidth);
                Some(if compute >= memory { (compute, "compute") } else { (memory, "memory") })
            }
            (Self::MacOnly, &[seconds_per_mac]) => Some((row.macs() * seconds_per_mac, "compute")),
            _ => None,
        }
    }

    /// Time in seconds of each row.
    fn times(self, rows: &[Row], values: &[f64]) -> Option<Vec<f64>> {
        if self != Self::Derate {
            return rows.iter().map(|row| self.predict(row, values).map(|(time, _)| time)).collect();
        }
        let coefficients = coefficients(values)?;
        let time = |row: &Row| kernel_time(row.gemm, row.tile, &coefficients).ok().map(|time| f64::from(time.total.0));
        rows.iter().map(time).collect()
    }

    /// Fits its coefficients to rows: errors of 8 %, a square up to one and a half of them, then the biweight.
    ///
    /// # Errors
    /// [`FitError`].
    pub fn fit(self, rows: &[Row]) -> Result<Fit, FitError> {
        let parameters = self.parameters();
        // The throughput that one row in ten exceeds is near the peak.
        let mut rates: Vec<f64> = rows.iter().map(|row| row.padded_flops() / row.seconds).collect();
        rates.sort_by(f64::total_cmp);
        let peak = rates.get(rates.len() * 9 / 10).copied().unwrap_or(1e10);
        let starts = match self {
            Self::Derate => alternatives(&parameters, &[("peak", &[peak]), ("second_capacity", &SECOND_CAPACITIES)]),
            Self::PlainRoofline => alternatives(&parameters, &[("peak", &[peak]), ("bandwidth", &[peak / 8.0, peak])]),
            Self::MacOnly => alternatives(&parameters, &[("seconds_per_mac", &[2.0 / peak])]),
        };
        let biweight = Some(Biweight::USUAL);
        let options = Options { scale: 0.08, corner: 1.5, biweight, starts, iterations: 30 };
        let measured: Vec<f64> = rows.iter().map(|row| row.seconds).collect();
        fit(&parameters, Measured::new(&measured), &options, |values| self.times(rows, values))
    }
}

/// Coefficients of fitted values; `None` outside their ranges.
#[must_use]
pub fn coefficients(values: &[f64]) -> Option<Coefficients> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Coefficients::from_values(values.try_into().ok()?).ok()
}

/// What is fitted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// All rows.
    All,
    /// The rows of each kernel.
    Kernel,
}

/// Predicts each row by a fit that saw no row of its shape: shapes are dealt to [`FOLDS`] folds by a hash of their extents.
///
/// # Errors
/// [`GemmError::TooFew`], [`GemmError::Fit`] or [`GemmError::Count`].
pub fn hold_out(rows: &[Row], predictor: Predictor, together: Together, holdout: &str) -> Result<HeldOut, GemmError> {
    let mut groups: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let group = if together == Together::Kernel { row.kernel.as_str() } else { "best" };
        groups.entry(group).or_default().push(row.clone());
    }
    let mut predictions = Vec::new();
    for (group, rows) in &groups {
        let folds = folds(rows);
        if folds.len() < FOLDS {
            return Err(GemmError::TooFew { what: (*group).to_owned(), shapes: folds.len() });
        }
        for this in 0..FOLDS {
            let (out, kept): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(|row| folds[&row.shape()] == this);
            let no_fit = |source| GemmError::Fit { predictor: predictor.name(), what: (*group).to_owned(), source };
            let fitted = predictor.fit(&kept).map_err(no_fit)?;
            for row in &out {
                let count = || GemmError::Count { kernel: row.kernel.clone(), shape: row.shape() };
                let (predicted, regime) = predictor.predict(row, &fitted.values).ok_or_else(count)?;
                let [m, k, n] = row.shape();
                predictions.push(Prediction {
                    name: format!("{} {m}x{k}x{n}", row.kernel),
                    group: (*group).to_owned(),
                    class: if n == 1 { "gemv" } else { "gemm" },
                    regime,
                    measured: row.seconds,
                    predicted,
                    interval: None,
                });
            }
        }
    }
    Ok(HeldOut {
        holdout: holdout.to_owned(),
        predictor: predictor.name().to_owned(),
        coefficients: predictor.parameters().len(),
        predictions,
    })
}

/// Everything that is said of one device: the best kernel of each shape, each kernel apart, and matrix and vector products together,
/// each by all predictors. `gemv` may be empty.
///
/// # Errors
/// As [`hold_out`].
pub fn evaluate(gemm: &[Row], gemv: &[Row]) -> Result<Vec<HeldOut>, GemmError> {
    let both: Vec<Row> = gemm.iter().chain(gemv).cloned().collect();
    let mut studies = vec![
        ("5 folds by shape, best kernel", best_per_shape(gemm), Together::All),
        ("5 folds by shape, each kernel", gemm.to_vec(), Together::Kernel),
    ];
    if !gemv.is_empty() {
        studies.push(("5 folds by shape, best kernel, GEMM and GEMV together", best_per_shape(&both), Together::All));
        studies.push(("5 folds by shape, best kernel, GEMV alone", best_per_shape(gemv), Together::All));
    }
    let mut all = Vec::new();
    for (holdout, rows, together) in studies {
        for predictor in Predictor::ALL {
            all.push(hold_out(&rows, predictor, together, holdout)?);
        }
    }
    Ok(all)
}

/// The fold of each shape: shapes in the order of their hashes, dealt out in turn, so that folds are as large as each other.
fn folds(rows: &[Row]) -> BTreeMap<[u64; 3], usize> {
    let shapes: BTreeSet<[u64; 3]> = rows.iter().map(Row::shape).collect();
    let mut order: Vec<[u64; 3]> = shapes.into_iter().collect();
    order.sort_by_key(|shape| (hash(*shape), *shape));
    order.into_iter().enumerate().map(|(rank, shape)| (shape, rank % FOLDS)).collect()
}

/// FNV-1a of the bytes of the extents, the lowest first (draft-eastlake-fnv: offset 14695981039346656037, prime 1099511628211).
fn hash(shape: [u64; 3]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
    shape.iter().flat_map(|extent| extent.to_le_bytes()).fold(14_695_981_039_346_656_037, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "kernel,mr,nr,m,k,n,seconds\n";

    fn read_text(text: &str) -> Result<Vec<Row>, GemmError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, text).expect("written");
        read(&path)
    }

    fn row(kernel: &str, [m, k, n]: [u64; 3], seconds: f64) -> Row {
        let tile = RegisterTile { mr: 8, nr: 8 };
        Row { kernel: kernel.to_owned(), tile, gemm: Gemm { m, n, k, groups: 1 }, seconds }
    }

    #[test]
    fn a_row_is_read() {
        let got = read_text(&format!("{HEADER}a,8,8,5,7,3,1e-6\n")).expect("read");
        assert_eq!(got, [row("a", [5, 7, 3], 1e-6)]);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let message = |text: &str| read_text(text).expect_err("refused").to_string();
        let got = message(&format!("{HEADER}a,8,8,5,7,3,1e-6\na,8,0,5,7,3,1e-6\n"));
        assert!(got.ends_with(r#"rows.csv:3: nr is "0"; a whole number from 1 to 4294967295 is needed"#), "{got}");
        let got = message(&format!("{HEADER}a,8,8,5,7,3,-1\n"));
        assert!(got.ends_with(r#"rows.csv:2: seconds is "-1"; a time above 0 is needed"#), "{got}");
        let got = message("kernel,mr,nr,m,k,n\n");
        assert!(got.contains("no column seconds; kernel, mr"), "{got}");
        assert!(message(&format!("{HEADER}a,8,8\n")).contains("rows.csv"));
    }

    #[test]
    fn the_best_kernel_of_each_shape() {
        let rows = [row("a", [1, 2, 3], 3.0), row("b", [1, 2, 4], 1.0), row("c", [1, 2, 3], 2.0)];
        assert_eq!(best_per_shape(&rows), [rows[2].clone(), rows[1].clone()]);
    }

    #[test]
    fn rows_of_a_shape_share_a_fold_and_folds_are_even() {
        let rows: Vec<Row> = (1..=50).flat_map(|m| [row("a", [m, 2, 3], 1.0), row("b", [m, 2, 3], 2.0)]).collect();
        let folds = folds(&rows);
        assert!((0..FOLDS).all(|this| folds.values().filter(|fold| **fold == this).count() == 10), "{folds:?}");
        // FNV-1a of eight zero bytes: offset · prime⁸ mod 2⁶⁴; what matters is that it stays the same.
        assert_eq!(hash([1, 2, 3]), hash([1, 2, 3]));
        assert_ne!(hash([1, 2, 3]), hash([3, 2, 1]));
    }

    #[test]
    fn a_device_that_follows_the_form_is_predicted_and_baselines_are_not() {
        let truth = Coefficients::PRIOR;
        let extents = [3_u64, 8, 33, 64, 200];
        let mut rows = Vec::new();
        for (m, k, n) in extents.iter().flat_map(|m| extents.iter().flat_map(move |k| extents.map(|n| (*m, *k, n)))) {
            let mut row = row("a", [m, k, n], 1.0);
            row.seconds = f64::from(kernel_time(row.gemm, row.tile, &truth).expect("counts").total.0);
            rows.push(row);
        }
        let error = |predictor| {
            let got = hold_out(&rows, predictor, Together::All, "test").expect("fits");
            assert_eq!(got.predictions.len(), rows.len());
            got.predictions.iter().map(|p| (p.predicted / p.measured - 1.0).abs()).sum::<f64>() / rows.len() as f64
        };
        assert!(error(Predictor::Derate) < 0.01, "{}", error(Predictor::Derate));
        assert!(error(Predictor::PlainRoofline) > 0.1 && error(Predictor::MacOnly) > 0.1);
    }

    #[test]
    fn too_few_shapes_are_refused() {
        let rows = [row("a", [1, 2, 3], 1.0), row("a", [1, 2, 4], 1.0)];
        let got = hold_out(&rows, Predictor::MacOnly, Together::All, "test");
        assert!(matches!(got, Err(GemmError::TooFew { shapes: 2, .. })));
    }
}
