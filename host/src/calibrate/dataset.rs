//! Datasets: the rows of sweep CSVs, checked line by line. Times in seconds, memory in bytes.
//!
//! Any CSV with the columns `model` to `empirical_time_ms` will do, whoever wrote it; further columns are used where they are there.

use std::collections::HashMap;
use std::path::Path;

use derate_core::shape::Precision;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::sweep::{Kind, Net};

/// Which number of a row stands for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The 10th percentile: the undisturbed time.
    P10,
    /// The column `empirical_time_ms`: a median, or what another tool writes there.
    EmpiricalTime,
}

impl Statistic {
    /// As it is written in reports.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::P10 => "10th percentile (p10_ms)",
            Self::EmpiricalTime => "empirical_time_ms",
        }
    }
}

/// One measured configuration.
#[derive(Clone, Debug)]
pub struct Row {
    /// File and line, for messages.
    pub place: String,
    /// The network.
    pub net: Net,
    /// Precision of its tensors.
    pub precision: Precision,
    /// Measured time in seconds, by the dataset's statistic.
    pub seconds: f64,
    /// Measured growth of memory in bytes, where it was measured.
    pub memory: Option<f64>,
    /// Whether the row is marked as disturbed.
    pub disturbed: bool,
}

impl Row {
    /// Short name: kind, shape, batch, precision.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.net.label(), self.precision.name())
    }
}

/// Rows of one device, runtime and number of threads.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Files it was read from.
    pub files: Vec<String>,
    /// SHA-256 over their contents.
    pub sha256: String,
    /// What stands for the time of every row.
    pub statistic: Statistic,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Name of the hardware description that the sweep was made with, where the file says so.
    pub hardware: Option<String>,
    /// Runtime, where the file says so.
    pub runtime: Option<String>,
    /// Threads, where the file says so.
    pub threads: Option<u32>,
    /// Measured rows; skipped ones are left out.
    pub rows: Vec<Row>,
    /// Number of rows that were skipped.
    pub skipped: usize,
}

/// Why a file is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is cut off, or otherwise no CSV.
    #[error("{path}: {message}")]
    Csv {
        /// The file.
        path: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// A column that must be there.
    #[error("{path}:1: there is no column `{column}`; a dataset has {needed:?}")]
    Column {
        /// The file.
        path: String,
        /// The missing column.
        column: &'static str,
        /// All that must be there.
        needed: Vec<&'static str>,
    },
    /// A field that makes no sense.
    #[error("{path}:{line}: `{column}` is {value:?}; {allowed}")]
    Field {
        /// The file.
        path: String,
        /// Line, from 1.
        line: u64,
        /// Its column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: String,
    },
    /// Rows of two devices, runtimes or thread counts.
    #[error("{path}:{line}: `{column}` is {value:?}, earlier rows have {earlier:?}; calibrate them apart")]
    Mixed {
        /// The file.
        path: String,
        /// Line, from 1.
        line: u64,
        /// Its column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What stood there before.
        earlier: String,
    },
    /// No measured row.
    #[error("{path}: no measured row; {skipped} skipped")]
    Empty {
        /// The files.
        path: String,
        /// Rows that say why they were skipped.
        skipped: usize,
    },
}

/// Columns that must be there, beside those of the shape.
const NEEDED: [&str; 3] = ["device", "precision", "empirical_time_ms"];

impl Dataset {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// [`DatasetError`] naming file, line, column, value, and what is allowed.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, DatasetError> {
        let mut hash = Sha256::new();
        let mut texts = Vec::new();
        for path in paths {
            let name = path.as_ref().display().to_string();
            let bytes = std::fs::read(path).map_err(|source| DatasetError::Read { path: name.clone(), source })?;
            hash.update(&bytes);
            texts.push((name, bytes));
        }
        let files: Vec<String> = texts.iter().map(|(name, _)| name.clone()).collect();
        let mut parts = Parts::default();
        // A file without a readable header fails below, where its line is named.
        let has_p10 = |bytes: &[u8]| {
            let mut reader = csv::Reader::from_reader(bytes);
            reader.headers().is_ok_and(|headers| headers.iter().any(|name| name.trim() == "p10_ms"))
        };
        let every_p10 = texts.iter().all(|(_, bytes)| has_p10(bytes));
        parts.statistic = Some(if every_p10 { Statistic::P10 } else { Statistic::EmpiricalTime });
        for (name, bytes) in &texts {
            parts.read(name, bytes)?;
        }
        if parts.rows.is_empty() {
            return Err(DatasetError::Empty { path: files.join(", "), skipped: parts.skipped });
        }
        Ok(Self {
            files,
            sha256: format!("{:x}", hash.finalize()),
            statistic: parts.statistic.unwrap_or(Statistic::EmpiricalTime),
            device: parts.common.remove("device").unwrap_or_default(),
            hardware: parts.common.remove("hardware"),
            runtime: parts.common.remove("runtime"),
            threads: parts.common.remove("threads").and_then(|threads| threads.parse().ok()),
            rows: parts.rows,
            skipped: parts.skipped,
        })
    }
}

#[derive(Default)]
struct Parts {
    rows: Vec<Row>,
    skipped: usize,
    statistic: Option<Statistic>,
    /// What must be the same in every row.
    common: HashMap<&'static str, String>,
}

impl Parts {
    fn read(&mut self, path: &str, bytes: &[u8]) -> Result<(), DatasetError> {
        let bad_csv = |error: csv::Error| {
            let line = error.position().map_or(String::new(), |position| format!("line {}: ", position.line()));
            DatasetError::Csv { path: path.to_owned(), message: format!("{line}{error}") }
        };
        let mut reader = csv::Reader::from_reader(bytes);
        let headers = reader.headers().map_err(bad_csv)?.clone();
        let columns: HashMap<&str, usize> =
            headers.iter().enumerate().map(|(index, name)| (name.trim(), index)).collect();
        // Stacks of convolutions where a column says so; else MLPs, whose columns are missed by name.
        let stacks = columns.contains_key("in_channels") && !columns.contains_key("input_dim");
        let kind = if stacks { Kind::Conv2d } else { Kind::Mlp };
        let needed: Vec<&str> = kind.columns().iter().copied().chain(NEEDED).collect();
        if let Some(&column) = needed.iter().find(|column| !columns.contains_key(*column)) {
            return Err(DatasetError::Column { path: path.to_owned(), column, needed });
        }
        for record in reader.records() {
            let record = record.map_err(bad_csv)?;
            let line = record.position().map_or(0, csv::Position::line);
            self.row(kind, &Fields { path, line, record: &record, columns: &columns })?;
        }
        // A file whose last line was cut inside its last field has as many fields as the others, but no end of line.
        if !bytes.ends_with(b"\n") && !bytes.is_empty() {
            let line = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let message = format!("line {line}: the file ends within the line; a whole file ends with a line break");
            return Err(DatasetError::Csv { path: path.to_owned(), message });
        }
        Ok(())
    }

    fn row(&mut self, kind: Kind, fields: &Fields<'_>) -> Result<(), DatasetError> {
        if fields.text("status") == Some("skipped") {
            self.skipped += 1;
            return Ok(());
        }
        for column in ["device", "hardware", "runtime", "threads"] {
            let Some(value) = fields.text(column) else { continue };
            match self.common.get(column) {
                None => {
                    self.common.insert(column, value.to_owned());
                }
                Some(earlier) if earlier == value => {}
                Some(earlier) => {
                    return Err(DatasetError::Mixed {
                        path: fields.path.to_owned(),
                        line: fields.line,
                        column,
                        value: value.to_owned(),
                        earlier: earlier.clone(),
                    });
                }
            }
        }
        let precision = fields.text("precision").unwrap_or_default();
        let precision = Precision::ALL.into_iter().find(|known| known.name() == precision).ok_or_else(|| {
            let names = Precision::ALL.map(Precision::name).join(", ");
            fields.wrong("precision", format!("it must be one of {names}"))
        })?;
        let time = match self.statistic {
            Some(Statistic::P10) => "p10_ms",
            _ => "empirical_time_ms",
        };
        // Both are checked: a row whose median is no number is not trusted for its percentile.
        let median = fields.positive("empirical_time_ms")?;
        let milliseconds = if time == "p10_ms" { fields.positive("p10_ms")? } else { median };
        let memory = match fields.text("empirical_memory_mb") {
            None | Some("") => None,
            Some(_) => Some(fields.number("empirical_memory_mb")?).filter(|&mb| mb > 0.0).map(|mb| mb * 1e6),
        };
        self.rows.push(Row {
            place: format!("{}:{}", fields.path, fields.line),
            net: Net::of_cells(kind, |column| fields.text(column))
                .map_err(|(column, allowed)| fields.wrong(column, allowed.into()))?,
            precision,
            seconds: milliseconds / 1e3,
            memory,
            disturbed: fields.text("status") == Some("disturbed"),
        });
        Ok(())
    }
}

/// One line, by column.
struct Fields<'a> {
    path: &'a str,
    line: u64,
    record: &'a csv::StringRecord,
    columns: &'a HashMap<&'a str, usize>,
}

impl Fields<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        self.record.get(*self.columns.get(column)?).map(str::trim)
    }

    fn wrong(&self, column: &'static str, allowed: String) -> DatasetError {
        DatasetError::Field {
            path: self.path.to_owned(),
            line: self.line,
            column,
            value: self.text(column).unwrap_or_default().to_owned(),
            allowed,
        }
    }

    fn number(&self, column: &'static str) -> Result<f64, DatasetError> {
        let allowed = "it must be a finite number, not negative";
        self.text(column)
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|value| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| self.wrong(column, allowed.into()))
    }

    fn positive(&self, column: &'static str) -> Result<f64, DatasetError> {
        let value = self.number(column)?;
        if value > 0.0 { Ok(value) } else { Err(self.wrong(column, "it must be above 0".into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "model,input_dim,hidden_dims,output_dim,batch_size,device,precision,empirical_time_ms";

    fn read(text: &str) -> Result<Dataset, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        let path = file.path().display().to_string();
        Dataset::read(&[file.path()]).map_err(|error| error.to_string().replace(&path, "x.csv"))
    }

    #[test]
    fn a_file_of_another_tool_is_read() {
        let data =
            read(&format!("{HEADER},extra\nmlp_2layer,512,\"[512, 512]\",128,32,cpu,fp32,12.5,?\n")).expect("valid");
        assert_eq!((data.statistic, data.device.as_str(), data.rows.len()), (Statistic::EmpiricalTime, "cpu", 1));
        assert_eq!((data.rows[0].seconds, data.rows[0].name().as_str()), (0.0125, "mlp 512-512-512-128 @32 fp32"));
    }

    #[test]
    fn stacks_of_convolutions_are_told_by_their_columns() {
        let header = "model,in_channels,out_channels,kernel_size,num_layers,image_size,batch_size,device,precision,empirical_time_ms";
        let data = read(&format!("{header}\nconv2d_2layer,3,16,5,2,32,4,cpu,fp32,2\n")).expect("valid");
        assert_eq!(data.rows[0].name(), "conv2d 3-16 k5 x2 32px @4 fp32");
        let wrong = read(&format!("{header}\nconv2d_2layer,3,16,0,2,32,4,cpu,fp32,2\n")).expect_err("no kernel");
        assert_eq!(wrong, "x.csv:2: `kernel_size` is \"0\"; it must be a whole number above 0");
        let missing = read("in_channels,device\n1,cpu\n").expect_err("columns are missing");
        assert!(missing.contains("`out_channels`") && missing.contains("image_size"), "{missing}");
    }

    #[test]
    fn the_tenth_percentile_is_taken_where_it_is_there() {
        let data = read(&format!("{HEADER},p10_ms\nm,1,[2],3,4,cpu,fp32,12.5,10\n")).expect("valid");
        assert_eq!((data.statistic, data.rows[0].seconds), (Statistic::P10, 0.010));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let row = |row: &str| read(&format!("{HEADER}\nm,1,[2],3,4,cpu,fp32,1\n{row}\n")).expect_err("malformed");
        assert_eq!(
            row("m,1,[2],3,4,cpu,fp32,NaN"),
            "x.csv:3: `empirical_time_ms` is \"NaN\"; it must be a finite number, not negative"
        );
        assert_eq!(
            row("m,1,[2],3,4,cpu,fp32,-1"),
            "x.csv:3: `empirical_time_ms` is \"-1\"; it must be a finite number, not negative"
        );
        assert_eq!(row("m,1,[2],3,4,cpu,fp32,0"), "x.csv:3: `empirical_time_ms` is \"0\"; it must be above 0");
        assert_eq!(
            row("m,1,[2],3,4,cpu,fp31,1"),
            "x.csv:3: `precision` is \"fp31\"; it must be one of fp64, fp32, tf32, bf16, fp16, int8"
        );
        assert_eq!(
            row("m,1,2,3,4,cpu,fp32,1"),
            "x.csv:3: `hidden_dims` is \"2\"; it must be a list like [512, 512] of whole numbers above 0"
        );
        assert!(row("m,1,[2],3,4,cuda,fp32,1").contains("earlier rows have \"cpu\""));
        assert!(row("m,1,[2],3").contains("line 3"));
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let cut = read(&format!("{HEADER}\nm,1,[2],3,4,cpu,fp32,1\nm,1,[2],3,4,cpu,fp32,1")).expect_err("cut");
        assert!(cut.contains("line 3") && cut.contains("ends within the line"), "{cut}");
        assert!(read("").expect_err("empty").contains("no column"));
        assert!(read(&format!("{HEADER}\n")).expect_err("empty").contains("no measured row"));
    }
}
