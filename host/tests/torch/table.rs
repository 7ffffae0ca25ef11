//! Rows of a sweep's CSV, column by column.

use std::path::Path;

/// Rows of a CSV, each column by its name.
pub(crate) struct Table {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).expect("a CSV");
        let header = reader.headers().expect("a header").clone();
        Self { header, rows: reader.records().map(|row| row.expect("a row")).collect() }
    }

    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let at = self.header.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().map(|row| &row[at]).collect()
    }

    /// The column as numbers.
    #[track_caller]
    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("`{name}` is {text:?}"));
        self.column(name).into_iter().map(number).collect()
    }

    /// The networks in their order, as `input-[hidden]-output@batch`.
    pub(crate) fn networks(&self) -> Vec<String> {
        let columns = ["input_dim", "hidden_dims", "output_dim", "batch_size"].map(|name| self.column(name));
        let [input, hidden, output, batch] = columns;
        (0..self.rows.len())
            .map(|row| format!("{}-{}-{}@{}", input[row], hidden[row], output[row], batch[row]))
            .collect()
    }
}
