//! Tables of results: one row a network on a system, such as the published ones of MLPerf Tiny, or a user's own few.
//!
//! | column | holds | |
//! |---|---|---|
//! | `benchmark` | the network | must be there |
//! | `latency_ms` | time of one inference | must be there |
//! | `clock_mhz` | clock of the core meanwhile | must be there |
//! | `version`, `submitter`, `system`, `core`, `source_system` | which system: rows that agree in all of them and the framework are one | |
//! | `soc`, `board` | chip and board; the chip labels the system, the board where there is none | |
//! | `framework`, `software_libraries` | runtime with its version; its libraries | |
//! | `energy_uJ`, `energy_mode_power_mW` | energy of one inference, power while it was measured | |
//! | `removes_dead_channels` | `0` or `1`: whether the runtime computes dead channels; inferred where it is not said | |
//! | `division`, `has_accelerator`, `model_precision` | what [`Selection`] looks at | |
//!
//! A row that is selected must be whole: what is wrong is an error with file, line, column, value and what is allowed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::labels::Labels;

/// One network's measurement on a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Time of one inference, in seconds.
    pub seconds: f64,
    /// Clock of the core, in Hz.
    pub clock_hz: f64,
    /// Energy of one inference, in joules.
    pub energy: Option<f64>,
    /// Power while energy was measured, in watts.
    pub power: Option<f64>,
}

impl Timing {
    /// Cycles of one inference.
    #[must_use]
    pub fn cycles(&self) -> f64 {
        self.seconds * self.clock_hz
    }
}

/// A board with its software, and what was measured on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct System {
    /// What a reader tells it by.
    pub name: String,
    /// What it may have in common with others.
    pub labels: Labels,
    /// Whether its runtime leaves dead channels out, where that is said.
    pub removes_dead_channels: Option<bool>,
    /// By network.
    pub timings: BTreeMap<String, Timing>,
}

/// Which rows of a table are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All.
    Everything,
    /// Networks as published, of 8-bit integers, on the core of a microcontroller alone: `division` is `closed`, `model_precision`
    /// begins with `int8`, `has_accelerator` is `0`, and `core` is a Cortex-M or a RISC-V.
    Microcontrollers,
}

/// Why a file is no table of results.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line that is no CSV.
    #[error("{path}: {message}")]
    Csv {
        /// The file.
        path: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// A column that must be there.
    #[error("{path}:1: there is no column `{column}`; a table of results has {needed:?}")]
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
}

/// Columns without which nothing can be said.
const NEEDED: [&str; 3] = ["benchmark", "latency_ms", "clock_mhz"];

/// Columns in which the rows of one system agree.
const SAME: [&str; 6] = ["version", "submitter", "system", "core", "source_system", "framework"];

/// Reads the systems of a table, in the order of their first rows.
///
/// # Errors
/// [`ResultsError`].
pub fn read(path: &Path, selection: Selection) -> Result<Vec<System>, ResultsError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| ResultsError::Read { path: name.clone(), source })?;
    parse(&bytes, &name, selection)
}

/// As [`read`], of a file's bytes.
///
/// # Errors
/// [`ResultsError`].
pub fn parse(bytes: &[u8], path: &str, selection: Selection) -> Result<Vec<System>, ResultsError> {
    let bad_csv = |error: csv::Error| {
        let line = error.position().map_or(String::new(), |position| format!("line {}: ", position.line()));
        ResultsError::Csv { path: path.to_owned(), message: format!("{line}{error}") }
    };
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader.headers().map_err(bad_csv)?.clone();
    let columns: HashMap<&str, usize> = headers.iter().enumerate().map(|(index, name)| (name.trim(), index)).collect();
    if let Some(column) = NEEDED.into_iter().find(|column| !columns.contains_key(column)) {
        return Err(ResultsError::Column { path: path.to_owned(), column, needed: NEEDED.to_vec() });
    }
    let records = reader.records().collect::<Result<Vec<_>, _>>().map_err(bad_csv)?;
    let rows: Vec<Fields<'_>> = records.iter().map(|record| Fields { path, record, columns: &columns }).collect();
    let rows: Vec<Fields<'_>> = rows.into_iter().filter(|row| row.selected(selection)).collect();
    let chips = chips(&rows);
    let mut places: HashMap<[&str; SAME.len()], usize> = HashMap::new();
    let mut systems: Vec<System> = Vec::new();
    for row in &rows {
        let place = *places.entry(SAME.map(|column| row.text(column))).or_insert_with(|| {
            systems.push(row.system(&chips));
            systems.len() - 1
        });
        let Some(system) = systems.get_mut(place) else { continue };
        let removes = row.flag("removes_dead_channels")?;
        if removes.is_some() {
            system.removes_dead_channels = removes;
        }
        let network = row.text("benchmark");
        if network.is_empty() {
            return Err(row.wrong("benchmark", "the name of a network"));
        }
        if system.timings.insert(network.to_owned(), row.timing()?).is_some() {
            return Err(row.wrong("benchmark", "one row for each network of a system; this one has an earlier row"));
        }
    }
    Ok(systems)
}

/// The chip of each board: submissions that name another than most do for the same board are mistaken.
fn chips(rows: &[Fields<'_>]) -> HashMap<String, String> {
    let mut named: HashMap<String, BTreeMap<String, usize>> = HashMap::new();
    for row in rows.iter().filter(|row| !row.text("soc").is_empty()) {
        let of_board = named.entry(same_board(row.text("board"))).or_default();
        *of_board.entry(Labels::of(row.text("soc"), "", &[]).board).or_default() += 1;
    }
    let most = |chips: BTreeMap<String, usize>| chips.into_iter().max_by_key(|(_, rows)| *rows).map(|(chip, _)| chip);
    named.into_iter().filter_map(|(board, chips)| Some((board, most(chips)?))).collect()
}

/// A board's name as all write it: letters and digits.
fn same_board(board: &str) -> String {
    board.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_ascii_uppercase()
}

/// The fields of a row.
struct Fields<'a> {
    path: &'a str,
    record: &'a csv::StringRecord,
    columns: &'a HashMap<&'a str, usize>,
}

impl<'a> Fields<'a> {
    /// A field; empty where there is none.
    fn text(&self, column: &str) -> &'a str {
        self.columns.get(column).and_then(|&index| self.record.get(index)).map_or("", str::trim)
    }

    fn selected(&self, selection: Selection) -> bool {
        let core = self.text("core");
        match selection {
            Selection::Everything => true,
            Selection::Microcontrollers => {
                self.text("division") == "closed"
                    && self.text("has_accelerator") == "0"
                    && self.text("model_precision").starts_with("int8")
                    && (core.starts_with("Cortex-M") || core.starts_with("RV32") || core.contains("RISC-V"))
            }
        }
    }

    fn system(&self, chips: &HashMap<String, String>) -> System {
        let (board, soc) = (self.text("board"), self.text("soc"));
        let chip = chips.get(&same_board(board)).filter(|_| !board.is_empty()).map_or(soc, String::as_str);
        let chip = if chip.is_empty() { board } else { chip };
        let labels = Labels::of(chip, self.text("framework"), &[self.text("software_libraries"), self.text("system")]);
        let said = ["version", "submitter", "system"].map(|column| self.text(column));
        let name = said.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        System { name, labels, ..System::default() }
    }

    fn timing(&self) -> Result<Timing, ResultsError> {
        let needed = |column| self.positive(column)?.ok_or_else(|| self.wrong(column, POSITIVE));
        Ok(Timing {
            seconds: needed("latency_ms")? * 1e-3,
            clock_hz: needed("clock_mhz")? * 1e6,
            energy: self.positive("energy_uJ")?.map(|energy| energy * 1e-6),
            power: self.positive("energy_mode_power_mW")?.map(|power| power * 1e-3),
        })
    }

    /// A number that is larger than zero; `None` for an empty field.
    fn positive(&self, column: &'static str) -> Result<Option<f64>, ResultsError> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        number.map(Some).ok_or_else(|| self.wrong(column, POSITIVE))
    }

    fn flag(&self, column: &'static str) -> Result<Option<bool>, ResultsError> {
        match self.text(column) {
            "" => Ok(None),
            "0" => Ok(Some(false)),
            "1" => Ok(Some(true)),
            _ => Err(self.wrong(column, "it must be 0, 1 or empty")),
        }
    }

    fn wrong(&self, column: &'static str, allowed: &str) -> ResultsError {
        ResultsError::Field {
            path: self.path.to_owned(),
            line: self.record.position().map_or(0, csv::Position::line),
            column,
            value: self.text(column).to_owned(),
            allowed: allowed.to_owned(),
        }
    }
}

const POSITIVE: &str = "it must be a number larger than 0";

#[cfg(test)]
mod tests {
    use super::*;

    fn systems(table: &str) -> Result<Vec<System>, String> {
        parse(table.as_bytes(), "results.csv", Selection::Everything).map_err(|error| error.to_string())
    }

    #[test]
    fn three_columns_are_enough() {
        let got = systems("benchmark,latency_ms,clock_mhz\na,2.5,100\nb,10,100\n").expect("a table");
        assert_eq!(got.len(), 1, "rows that say no system are of one");
        // 2.5 ms at 100 MHz: 250,000 cycles.
        assert!((got[0].timings["a"].cycles() - 250_000.0).abs() < 1e-6);
        assert_eq!((got[0].timings["b"].energy, got[0].removes_dead_channels), (None, None));
    }

    #[test]
    fn rows_are_grouped_and_selected() {
        let table = "division,submitter,core,has_accelerator,model_precision,benchmark,latency_ms,clock_mhz,energy_uJ,energy_mode_power_mW\n\
                     closed,x,Cortex-M4,0,int8 (stated),a,1,10,20,30\n\
                     closed,y,Cortex-M4,0,int8,a,1,10,,\n\
                     closed,x,Cortex-M4,0,int8,b,2,10,,\n\
                     open,x,Cortex-M4,0,int8,c,2,10,,\n\
                     closed,x,Cortex-M4,1,int8,c,not a number,10,,\n\
                     closed,x,Cortex-A9,0,int8,c,2,10,,\n\
                     closed,x,Cortex-M4,0,float32,c,2,10,,\n";
        let got = parse(table.as_bytes(), "results.csv", Selection::Microcontrollers).expect("a table");
        let said = |system: &System| system.timings.keys().cloned().collect::<Vec<_>>().join(" ");
        let said: Vec<(&str, String)> = got.iter().map(|system| (system.name.as_str(), said(system))).collect();
        assert_eq!(said, [("x", "a b".to_owned()), ("y", "a".to_owned())]);
        // 20 µJ, 30 mW.
        let timing = got[0].timings["a"];
        assert!(
            (timing.energy.expect("said") - 20e-6).abs() < 1e-15 && (timing.power.expect("said") - 0.03).abs() < 1e-15
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (table, said) in [
            ("benchmark,latency_ms\na,1\n", "results.csv:1: there is no column `clock_mhz`"),
            (
                "benchmark,latency_ms,clock_mhz\na,1,10\na,2,10\n",
                "results.csv:3: `benchmark` is \"a\"; one row for each",
            ),
            (
                "benchmark,latency_ms,clock_mhz\na,1,10\nb,-2,10\n",
                "results.csv:3: `latency_ms` is \"-2\"; it must be a number",
            ),
            ("benchmark,latency_ms,clock_mhz\na,1,\n", "results.csv:2: `clock_mhz` is \"\"; it must be a number"),
            ("benchmark,latency_ms,clock_mhz\n,1,1\n", "results.csv:2: `benchmark` is \"\"; the name of a network"),
            (
                "benchmark,latency_ms,clock_mhz,removes_dead_channels\na,1,1,yes\n",
                "`removes_dead_channels` is \"yes\"; it must be 0",
            ),
            ("benchmark,latency_ms,clock_mhz\na,1\n", "results.csv: line 2"),
        ] {
            let error = systems(table).expect_err(table);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_board_has_the_chip_that_most_rows_name() {
        let table = "benchmark,latency_ms,clock_mhz,system,board,soc\n\
                     a,1,10,x,BOARD-1,ABCDEFGHI\nb,1,10,x,BOARD-1,ABCDEFGHI\n\
                     a,1,10,y,Board_1,QRSTUVWXYZ\na,1,10,z,BOARD-2,QRSTUVWXYZ\n";
        let got = systems(table).expect("a table");
        let boards: Vec<&str> = got.iter().map(|system| system.labels.board.as_str()).collect();
        assert_eq!(boards, ["ABCDEFGHI", "ABCDEFGHI", "QRSTUVWXY"]);
    }
}
