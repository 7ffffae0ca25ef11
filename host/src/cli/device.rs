//! `derate tile`, `explain` and `compare`: their options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use derate_core::estimate::ClockState;
use derate_core::shape::{DataType, Precision};

use super::{Fusion, Source, precision};
use crate::on_device::Mode;

/// `derate tile`.
#[derive(Debug, Args)]
pub struct Tile {
    /// The network; its products are tiled, one after the other.
    #[command(flatten)]
    pub network: Source,
    /// Bytes of a memory level, such as 65536, 64KiB or 1.5MiB; several times for several levels, from the innermost on.
    #[arg(long = "capacity", value_name = "BYTES", required = true, value_parser = bytes)]
    pub capacities: Vec<u64>,
    /// Type of the operands of a described network.
    #[arg(long, default_value = "fp32", value_parser = data_type)]
    pub dtype: DataType,
    /// What comes next is loaded beside what is used: tiles that are streamed take room twice.
    #[arg(long)]
    pub double_buffered: bool,
}

/// Where a network runs, and how.
#[derive(Debug, Args)]
pub struct Place {
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// Which clock of the thermal profile.
    #[arg(long, value_enum, default_value_t = ClockArg::Sustained)]
    pub clock: ClockArg,
    /// How the runtime groups ops into kernels; without it, as is usual on that kind of device.
    #[arg(long, value_enum)]
    pub fusion: Option<Fusion>,
}

impl Place {
    /// The mode that these options ask for.
    #[must_use]
    pub fn mode(&self) -> Mode<'_> {
        Mode {
            thermal_profile: self.thermal_profile.as_deref(),
            clock_state: self.clock.into(),
            policy: self.fusion.map(Fusion::policy),
        }
    }
}

/// `--clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockArg {
    /// The one that the device keeps up.
    Sustained,
    /// The one that it runs at until it is warm.
    Boost,
}

impl From<ClockArg> for ClockState {
    fn from(clock: ClockArg) -> Self {
        match clock {
            ClockArg::Sustained => Self::Sustained,
            ClockArg::Boost => Self::Boost,
        }
    }
}

/// `derate explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The network.
    #[command(flatten)]
    pub network: Source,
    /// Description of the device: a file, the name of a shipped one, or `detected`.
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: String,
    /// Where it runs, and how.
    #[command(flatten)]
    pub place: Place,
    /// Precision that the network is converted to; without it, its own, or the nearest that the device has.
    #[arg(long, value_parser = precision)]
    pub precision: Option<Precision>,
    /// Kernels that are explained, the slowest first.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
}

/// `derate compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The networks: files, descriptions, or ones of the zoo.
    #[arg(required = true, value_name = "MODEL")]
    pub models: Vec<String>,
    /// Devices: files, names of shipped descriptions, or `detected`; with commas between. `all` are all shipped ones.
    #[arg(long, required = true, value_delimiter = ',', value_name = "A,B,…")]
    pub hardware: Vec<String>,
    /// Batches; without them, that of each network.
    #[arg(long, value_delimiter = ',', value_name = "N,…", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Vec<u32>,
    /// Precisions; without them, the network's own, or the nearest that the device has.
    #[arg(long, value_delimiter = ',', value_name = "P,…", value_parser = precision)]
    pub precision: Vec<Precision>,
    /// Where it runs, and how.
    #[command(flatten)]
    pub place: Place,
    /// What the rows are sorted by, the best first.
    #[arg(long, value_enum, default_value_t = SortBy::Latency)]
    pub sort: SortBy,
    /// Where to write the comparison: `.csv`, `.json`, `.md` or `.svg`; several times for several. Without it, a table on standard
    /// output.
    #[arg(long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
}

/// `--sort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// Time of one run.
    Latency,
    /// Samples per second.
    Throughput,
    /// Energy of one run; unknown ones last.
    Energy,
    /// Energy times delay; unknown ones last.
    Edp,
}

/// A number of bytes, with or without a unit of 1024 or 1000.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 7] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("B", 1.0),
    ];
    let allowed = || "it must be a number of bytes from 1 to 2^53, such as 65536, 64KiB or 1.5MB".to_owned();
    let text = text.trim();
    let (digits, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text, 1.0));
    let number: f64 = digits.trim().parse().map_err(|_| allowed())?;
    let bytes = (number * unit).floor();
    if (1.0..=9_007_199_254_740_992.0).contains(&bytes) { Ok(bytes as u64) } else { Err(allowed()) }
}

fn data_type(text: &str) -> Result<DataType, String> {
    let found = DataType::ALL.into_iter().find(|data_type| data_type.name() == text);
    found.filter(|data_type| data_type.precision().is_some()).ok_or_else(|| {
        let names = DataType::ALL.iter().filter(|data_type| data_type.precision().is_some()).map(|each| each.name());
        format!("it must be one of {}", names.collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_with_and_without_units() {
        let good = [("65536", 65_536), ("64KiB", 65_536), ("1.5 MB", 1_500_000), ("1B", 1), ("2GiB", 2 << 30)];
        for (text, expected) in good {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "-1", "x", "KiB", "1e30", "NaN", "0.5B"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
