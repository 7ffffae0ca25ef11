//! CSV files by columns: every field that makes no sense is named with its file, line, column, value, and what may stand there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use derate_core::shape::Precision;
use sha2::{Digest, Sha256};

/// A CSV that was read whole.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of its contents.
    pub sha256: String,
    headers: Vec<String>,
    records: Vec<(u64, csv::StringRecord)>,
}

/// One line of it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    file: &'a Columns,
    number: u64,
    record: &'a csv::StringRecord,
}

impl Columns {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is no CSV, ends within a line, or has no row.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let bytes = std::fs::read(path).with_context(|| name.to_string())?;
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let bad = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            anyhow!("{name}:{line}: {error}")
        };
        let headers = reader.headers().map_err(bad)?.iter().map(|header| header.trim().to_owned()).collect();
        let mut records = Vec::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            records.push((record.position().map_or(0, csv::Position::line), record));
        }
        // A file whose last line was cut inside its last field has as many fields as the others, but no end of line.
        if !bytes.ends_with(b"\n") {
            let line = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
            bail!("{name}:{line}: the file ends within the line; a whole file ends with a line break");
        }
        if records.is_empty() {
            bail!("{name}: no measured row");
        }
        Ok(Self { path: path.to_owned(), sha256: format!("{:x}", Sha256::digest(&bytes)), headers, records })
    }

    /// Whether there are columns of all these names.
    #[must_use]
    pub fn has(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.place(name).is_some())
    }

    /// The first of these columns that is there.
    ///
    /// # Errors
    /// None of them is.
    pub fn first<'a>(&self, names: &[&'a str]) -> Result<&'a str> {
        let found = names.iter().find(|name| self.place(name).is_some());
        found.copied().with_context(|| {
            format!("{}:1: there is no column {}; there are {}", self.path.display(), names.join(" or "), self.names())
        })
    }

    /// Names of the columns.
    #[must_use]
    pub fn names(&self) -> String {
        self.headers.join(", ")
    }

    /// The rows.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.records.iter().map(|(number, record)| Line { file: self, number: *number, record })
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header == name)
    }
}

impl Line<'_> {
    /// The field of a column; empty where there is none.
    #[must_use]
    pub fn text(&self, column: &str) -> &str {
        self.file.place(column).and_then(|place| self.record.get(place)).unwrap_or_default().trim()
    }

    /// An error about a field.
    #[must_use]
    pub fn wrong(&self, column: &str, allowed: &str) -> anyhow::Error {
        anyhow!("{}; {allowed}", self.at(column))
    }

    /// Where a field stands and what it is.
    #[must_use]
    pub fn at(&self, column: &str) -> String {
        format!("{}:{}: `{column}` is {:?}", self.file.path.display(), self.number, self.text(column))
    }

    /// A whole number from 1.
    ///
    /// # Errors
    /// The field is none.
    pub fn count(&self, column: &str) -> Result<u32> {
        let number = self.text(column).parse::<u32>().ok().filter(|&number| number > 0);
        number.ok_or_else(|| self.wrong(column, "it must be a whole number from 1"))
    }

    /// A positive, finite number.
    ///
    /// # Errors
    /// The field is none.
    pub fn positive(&self, column: &str) -> Result<f64> {
        let number = self.text(column).parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        number.ok_or_else(|| self.wrong(column, "it must be a positive, finite number"))
    }

    /// A precision by its name.
    ///
    /// # Errors
    /// The field is none.
    pub fn precision(&self, column: &str) -> Result<Precision> {
        let text = self.text(column);
        let estimated = |known: &Precision| known.name() == text && known.data_type().precision() == Some(*known);
        Precision::ALL.into_iter().find(estimated).ok_or_else(|| {
            let known = Precision::ALL.into_iter().filter(|known| known.data_type().precision() == Some(*known));
            let names: Vec<&str> = known.map(Precision::name).collect();
            self.wrong(column, &format!("it must be one of {}", names.join(", ")))
        })
    }

    /// Whole numbers from 1, with a sign between.
    ///
    /// # Errors
    /// The field holds others, or not so many as there are names.
    pub fn shape<const N: usize>(&self, column: &str, names: [&str; N]) -> Result<[u32; N]> {
        let text = self.text(column);
        let parts: Option<Vec<u32>> =
            text.split('x').map(|part| part.parse::<u32>().ok().filter(|&extent| extent > 0)).collect();
        parts
            .and_then(|parts| <[u32; N]>::try_from(parts).ok())
            .ok_or_else(|| self.wrong(column, &format!("it must be {}, whole numbers from 1", names.join("x"))))
    }

    /// A list like `[512, 512]` of whole numbers from 1, at least two.
    ///
    /// # Errors
    /// The field is none.
    pub fn list(&self, column: &str) -> Result<Vec<u32>> {
        let inner = self.text(column).strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let values: Option<Vec<u32>> = inner.and_then(|inner| {
            inner.split(',').map(|part| part.trim().parse::<u32>().ok().filter(|&extent| extent > 0)).collect()
        });
        let allowed = "it must be a list like [512, 1024, 10] of at least two whole numbers from 1";
        values.filter(|values| values.len() > 1).ok_or_else(|| self.wrong(column, allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_file_line_column_value_and_what_is_allowed() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "n,t,shape,dims,precision\n0,-1,2x0x3,[7],fp31\n4,1e-3,2x3x4,\"[1, 2]\",fp16\n")
            .expect("written");
        let columns = Columns::read(file.path()).expect("a CSV");
        let said = |error: anyhow::Error| error.to_string().replace(&file.path().display().to_string(), "x.csv");
        let [wrong, right] = [0, 1].map(|row| columns.lines().nth(row).expect("a row"));
        assert_eq!(
            said(wrong.count("n").expect_err("zero")),
            "x.csv:2: `n` is \"0\"; it must be a whole number from 1"
        );
        assert!(said(wrong.positive("t").expect_err("negative")).contains("x.csv:2: `t` is \"-1\""));
        let shape = wrong.shape("shape", ["M", "N", "K"]).expect_err("a zero");
        assert_eq!(said(shape), "x.csv:2: `shape` is \"2x0x3\"; it must be MxNxK, whole numbers from 1");
        assert!(said(wrong.list("dims").expect_err("one width")).contains("`dims` is \"[7]\""));
        assert!(said(wrong.precision("precision").expect_err("fp31")).contains("it must be one of fp64, fp32"));
        assert_eq!((right.count("n").ok(), right.positive("t").ok()), (Some(4), Some(1e-3)));
        assert_eq!(right.shape("shape", ["M", "N", "K"]).ok(), Some([2, 3, 4]));
        assert_eq!(right.list("dims").ok(), Some(vec![1, 2]));
        assert_eq!(right.precision("precision").ok(), Some(Precision::Fp16));
        assert!(said(columns.first(&["a", "b"]).expect_err("none")).contains("there is no column a or b"));
    }

    #[test]
    fn a_cut_or_empty_file_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (text, said) in [("a,b\n1,2\n1,2", ":3: the file ends within"), ("a,b\n", "no measured row")] {
            std::fs::write(file.path(), text).expect("written");
            let error = Columns::read(file.path()).expect_err("refused").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
