//! `derate evaluate`: its options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use derate_core::calibration::Runtime;
use derate_core::shape::Precision;

use super::precision;
use crate::evaluate::cross::Holdout;

/// `derate evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// Measured rows of one device: CSVs whose form follows from their columns (docs/formats.md). Layers of networks, sweeps of
    /// operators, or networks of your own (`graph,precision,protocol,median_ms`); or timings of micro-kernels
    /// (`kernel,mr,nr,m,k,n,seconds`), which need nothing else.
    #[arg(long, required = true, num_args = 1.., value_name = "CSV")]
    pub truth: Vec<PathBuf>,
    /// A network that a table of results of microcontrollers names (docs/formats.md), and its file; once for each, and nothing else.
    #[arg(long = "network", value_name = "NAME=FILE", value_parser = named)]
    pub networks: Vec<(String, String)>,
    /// Folder of the graphs that rows name.
    #[arg(long, value_name = "DIR")]
    pub graphs: Option<PathBuf>,
    /// Description of the device that was measured: a file, the name of a shipped one, or `detected`.
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Thermal profile that the device ran in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// The only precision that counts; of rows that do not say theirs, their precision. Without it, all, and fp32.
    #[arg(long, value_parser = precision)]
    pub precision: Option<Precision>,
    /// What ran the rows; without it, as is usual on that kind of device.
    #[arg(long, value_enum)]
    pub runtime: Option<RuntimeArg>,
    /// Threads of the runtime; without it, those of the profile, or all cores of a CPU.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// What is held out together while the others are fitted.
    #[arg(long, value_enum, required_unless_present_any = ["profile", "networks"], conflicts_with = "profile")]
    pub holdout: Option<Holdout>,
    /// Evaluate this stored calibration, and fit nothing.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Where to write a page of plots and tables (`.html`); the tables go beside it as Markdown.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// `--runtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeArg {
    /// Op after op on the cores of a CPU.
    EagerCpu,
    /// Op after op on a device beside its host.
    EagerGpu,
}

impl From<RuntimeArg> for Runtime {
    fn from(runtime: RuntimeArg) -> Self {
        match runtime {
            RuntimeArg::EagerCpu => Self::EagerCpu,
            RuntimeArg::EagerGpu => Self::EagerGpu,
        }
    }
}

/// `NAME=FILE`.
fn named(text: &str) -> Result<(String, String), String> {
    let both = text.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty());
    both.map(|(name, file)| (name.to_owned(), file.to_owned())).ok_or_else(|| "the form is NAME=FILE".to_owned())
}
