//! Options of the sweeps of operators.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use derate_core::shape::Precision;

use super::{DeviceArg, precision};
use crate::sweep::operators::Protocol;

/// `derate sweep operators`, `derate sweep gemm`, `derate sweep elementwise`.
#[derive(Debug, Args)]
pub struct OperatorSweepArgs {
    /// Where the ops run.
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
    /// Wall-clock time for each precision and thread count: `300s`, `10m`, `1h`. Shapes come in an order of which any beginning is
    /// balanced; a sweep that is resumed goes on with the rest of its time, or with what a larger budget adds.
    #[arg(long, default_value = "300s", value_parser = duration, allow_negative_numbers = true, value_name = "TIME")]
    pub budget: Duration,
    /// Precisions of the tensors, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = precision, default_value = "fp32")]
    pub precision: Vec<Precision>,
    /// Threads of every op, separated by commas; without it, the cores of the description.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Vec<u32>,
    /// How ops are run, separated by commas; without it, in all ways.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Protocol::ALL)]
    pub protocol: Vec<Protocol>,
    /// Description of this device; without it, the detected one, made now if there is none.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// The CSV; without it, `results/<operators, gemm or elementwise>_sweep_<device>.csv`.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `derate measure-operator`.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "an interface between this program and itself")]
pub struct MeasureOperator {
    #[arg(long)]
    pub graph: String,
    #[arg(long, value_parser = precision)]
    pub precision: Precision,
    #[arg(long, value_enum)]
    pub protocol: Protocol,
    #[arg(long)]
    pub threads: u32,
    #[arg(long)]
    pub warmup: u32,
    #[arg(long)]
    pub last_cache: u64,
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
}

/// A number of seconds, minutes or hours.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let (number, unit) =
        units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds))).unwrap_or((text, 1.0));
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    let allowed = "it must be a time above 0, up to a week, such as 300s, 10m or 1h";
    seconds
        .filter(|seconds| *seconds > 0.0 && *seconds <= 604_800.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("300s", 300.0), ("2.5m", 150.0), ("1h", 3_600.0), ("7", 7.0), ("0.5s", 0.5)] {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "s", "0s", "-3s", "3d", "nans", "200h", "infs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
