//! Tables of text: the same rows as Markdown, for reports, or as aligned text, for terminals.
//!
//! Widths are counted in characters; those in use are one column wide. Written here because Markdown's marks of alignment
//! (`---:`) are what table crates leave out.

use std::fmt;

/// One column: its heading, and on which side its cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    /// Words.
    Left(&'a str),
    /// Numbers.
    Right(&'a str),
}

impl<'a> Column<'a> {
    const fn heading(self) -> &'a str {
        match self {
            Self::Left(heading) | Self::Right(heading) => heading,
        }
    }

    fn pad(self, cell: &str, width: usize) -> String {
        // Formatting knows no wider columns; names in files are of any length.
        let width = width.min(usize::from(u16::MAX));
        match self {
            Self::Left(_) => format!("{cell:<width$}"),
            Self::Right(_) => format!("{cell:>width$}"),
        }
    }
}

/// Rows under headings. Its `Display` is Markdown.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    columns: Vec<Column<'a>>,
    rows: Vec<Vec<String>>,
}

impl<'a> Table<'a> {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: impl Into<Vec<Column<'a>>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty, cells beyond the last column are dropped; line breaks become blanks.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut row: Vec<String> = cells.into_iter().map(|cell| cell.into().replace(['\n', '\r'], " ")).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// As Markdown, aligned in the source as well; `|` in cells is escaped. Ends with a line break.
    #[must_use]
    pub fn markdown(&self) -> String {
        let escape = |cell: &str| cell.replace('|', "\\|");
        let headings: Vec<String> = self.columns.iter().map(|column| escape(column.heading())).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
        let widths = widths(&headings, &rows, 3);
        let rule = |(column, &width): (&Column<'_>, &usize)| match column {
            Column::Left(_) => "-".repeat(width),
            Column::Right(_) => "-".repeat(width - 1) + ":",
        };
        let rule: Vec<String> = self.columns.iter().zip(&widths).map(rule).collect();
        let line = |row: &Vec<String>| format!("| {} |\n", self.aligned(row, &widths).join(" | "));
        [&headings, &rule].into_iter().chain(&rows).map(line).collect()
    }

    /// As aligned text under a rule, columns two blanks apart. Ends with a line break.
    #[must_use]
    pub fn text(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading().to_owned()).collect();
        let widths = widths(&headings, &self.rows, 1);
        let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        let line = |row: &Vec<String>| format!("{}\n", self.aligned(row, &widths).join("  ").trim_end());
        [&headings, &rule].into_iter().chain(&self.rows).map(line).collect()
    }

    fn aligned(&self, cells: &[String], widths: &[usize]) -> Vec<String> {
        self.columns.iter().zip(cells).zip(widths).map(|((column, cell), &width)| column.pad(cell, width)).collect()
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.markdown())
    }
}

/// Characters of the widest cell of each column, at least `least`.
fn widths(headings: &[String], rows: &[Vec<String>], least: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count().max(least)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table<'static> {
        let mut table = Table::new([Column::Left("model"), Column::Right("MAPE")]);
        table.row(["two factors", "18.3 %"]);
        table.row(["a|b"]);
        table
    }

    #[test]
    fn a_cell_may_be_longer_than_formatting_allows() {
        let mut table = Table::new([Column::Left("name"), Column::Right("n")]);
        table.row(["x".repeat(100_000), "1".to_owned()]);
        table.row(["y", "2"]);
        assert!(table.markdown().contains(&"x".repeat(100_000)));
    }

    #[test]
    fn markdown_is_aligned_and_escaped() {
        let want = "| model       |   MAPE |\n\
                    | ----------- | -----: |\n\
                    | two factors | 18.3 % |\n\
                    | a\\|b        |        |\n";
        assert_eq!(example().markdown(), want);
        assert_eq!(example().to_string(), want);
    }

    #[test]
    fn text_is_aligned_without_trailing_blanks() {
        let want = "model          MAPE\n\
                    ───────────  ──────\n\
                    two factors  18.3 %\n\
                    a|b\n";
        assert_eq!(example().text(), want);
    }

    #[test]
    fn a_line_break_cannot_break_a_row() {
        let mut table = Table::new([Column::Left("x")]);
        table.row(["a\nb", "beyond the last column"]);
        assert_eq!(table.markdown(), "| x   |\n| --- |\n| a b |\n");
    }
}
