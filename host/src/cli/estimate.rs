//! `derate estimate`: its options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::Args;
use derate_core::shape::Precision;

use super::{Place, Source, precision};

/// `derate estimate`.
#[derive(Debug, Args)]
pub struct Estimate {
    /// The network.
    #[command(flatten)]
    pub network: Source,
    /// Description of the device: a file, or the name of a shipped one; without it, the detected one.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<String>,
    /// Where it runs, and how.
    #[command(flatten)]
    pub place: Place,
    /// The calibration; without it, the description and the mapper of its kind.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Precision that the network is converted to; without it, its own, or the nearest that the device has.
    #[arg(long, value_parser = precision)]
    pub precision: Option<Precision>,
    /// Estimate all that can be counted where the file holds ops that cannot; without it they are listed and refused.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Run the network through libtorch as well, on random values, and compare.
    #[arg(long)]
    pub measure: bool,
    /// Seconds over which the measurement is spread at least.
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true, value_name = "SECONDS", requires = "measure")]
    pub block_time: f64,
    /// Threads of every op; without it, those of the profile, or the cores of the description.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Length of the list of the slowest ops.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
}
