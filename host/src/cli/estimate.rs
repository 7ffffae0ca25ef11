//! `derate estimate`: its options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::Args;
use derate_core::shape::Precision;

use super::precision;

/// `derate estimate`.
#[derive(Debug, Args)]
pub struct Estimate {
    /// The network: a file, or one of the zoo, `zoo:resnet18@1`.
    pub source: String,
    /// Description of the device: a file, or the name of a shipped one; without it, the detected one.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<String>,
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// The calibration; without it, the description's two factors alone.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Precision that the network is converted to; without it, that of the file.
    #[arg(long, value_parser = precision)]
    pub precision: Option<Precision>,
    /// Extent of the outermost axis of every input, where the file leaves it open.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Extent of a dimension that the file names; may be given several times.
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = dimension)]
    pub dims: Vec<(String, u32)>,
    /// Shape of the next input, such as `1x3x224x224`, for files that do not hold it (TorchScript); once for each input.
    #[arg(long = "input", value_name = "SHAPE", value_parser = shape)]
    pub inputs: Vec<InputShape>,
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

/// Extents of an input, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputShape(pub Vec<u32>);

fn dimension(text: &str) -> Result<(String, u32), String> {
    let wrong = || "it must be NAME=VALUE, VALUE a whole number, 1 or more".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let value = value.parse().ok().filter(|value| *value > 0).ok_or_else(wrong)?;
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), value)) }
}

fn shape(text: &str) -> Result<InputShape, String> {
    let extents: Option<Vec<u32>> =
        text.split('x').map(|part| part.parse().ok().filter(|extent| *extent > 0)).collect();
    extents.map(InputShape).ok_or_else(|| "it must be extents joined by `x`, such as 1x3x224x224".to_owned())
}
