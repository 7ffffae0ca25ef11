//! Reports: what a calibration found, as numbers ([`analysis`]), as Markdown ([`markdown()`]) and as plots ([`plot`]).
//!
//! Everything that is said is computed once, in [`Analysis`], which is also what `--format json` prints. Times are in
//! milliseconds there, memory in MB (10^6 B), errors in percent of the measurement.

pub mod analysis;
pub mod bars;
mod coefficient;
mod command;
mod format;
mod group;
pub mod markdown;
pub mod plot;
pub mod roofs;
mod row;
mod slowdown;
pub mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use analysis::{Analysis, AnalysisError, PrecisionAnalysis, Subject, analyze};
pub use coefficient::{CoefficientValue, FactorChange, Factors};
pub use command::NextSweep;
pub use group::{Group, Splits};
pub use markdown::markdown;
pub use plot::{Plot, plots};
pub use row::{Regime, RowAnalysis};
pub use slowdown::Slowdown;
pub use table::{Column, Table};

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file that cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A name that one of the files beside the report takes.
    #[error("{path}: a report is Markdown; name it `.md`, its `.json` and `.svg` files lie beside it")]
    Name {
        /// The name.
        path: String,
    },
    /// A plot that could not be drawn.
    #[error("plot {plot}: {message}")]
    Plot {
        /// Which one.
        plot: String,
        /// What is wrong.
        message: String,
    },
    /// Numbers that could not be written as JSON.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The name of a report without its `.md`.
///
/// # Errors
/// [`ReportError::Name`] for any other ending: the report must not take the place of the data, or of its own parts.
pub fn stem_of(report: &Path) -> Result<String, ReportError> {
    let stem = report.file_stem().filter(|_| report.extension().is_some_and(|extension| extension == "md"));
    let name = || ReportError::Name { path: report.display().to_string() };
    stem.map(|stem| stem.to_string_lossy().into_owned()).ok_or_else(name)
}

/// Writes the report, and beside it `<stem>.json` and the plots `<stem>_*.svg`; gives all files, the report first.
///
/// # Errors
/// [`ReportError`] naming the file; the report itself is written last, so that it never names a missing plot.
pub fn write(report: &Path, analysis: &Analysis) -> Result<Vec<PathBuf>, ReportError> {
    let stem = stem_of(report)?;
    let folder = report.parent().unwrap_or(Path::new(""));
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|source| ReportError::Write { path: path.display().to_string(), source })
    };
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder)
            .map_err(|source| ReportError::Write { path: folder.display().to_string(), source })?;
    }

    let mut files = vec![report.to_path_buf()];
    let plots = plots(analysis, &stem)?;
    for plot in &plots {
        let path = folder.join(&plot.file);
        write(&path, &plot.svg)?;
        files.push(path);
    }
    let path = folder.join(format!("{stem}.json"));
    let json = serde_json::to_string_pretty(analysis)
        .map_err(|source| ReportError::Json { path: path.display().to_string(), source })?;
    write(&path, &(json + "\n"))?;
    files.push(path);
    write(report, &markdown(analysis, &plots))?;
    Ok(files)
}
