//! `derate sweep models`, and the process that measures the memory of one network: their options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::Args;
use derate_core::shape::Precision;

use super::source::{dimension, shape};
use super::{DeviceArg, Extents, Source, precision};

/// `derate sweep models`.
#[derive(Debug, Args)]
pub struct SweepModels {
    /// Files (ONNX, .pt2, TorchScript, TFLite, JSON) and descriptions such as `zoo:resnet18`; without any and without --zoo, the whole zoo.
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Networks of the zoo, separated by commas, by torchvision's names; `all` are all.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub zoo: Vec<String>,
    /// Batch sizes, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Vec<u32>,
    /// Most MACs of a run, in billions; larger batches of larger networks are left out. The default leaves batch 16 to networks
    /// below 5 billion an image.
    #[arg(long, default_value_t = 80.0, value_name = "BILLIONS")]
    pub max_gmac: f64,
    /// Precisions of the arithmetic, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = precision, default_value = "fp32")]
    pub precision: Vec<Precision>,
    /// Numbers of threads of every op, separated by commas; without it, the cores of the description.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Vec<u32>,
    /// Where the networks run.
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
    /// Time each op too, in its network: rows of ops go to a file beside the CSV, `<CSV>_per_op.csv`.
    #[arg(long)]
    pub per_op: bool,
    /// Extent of a dimension that files name; may be given several times.
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = dimension)]
    pub dims: Vec<(String, u32)>,
    /// Shape of the next input, such as `1x3x224x224`, for files that do not hold it (TorchScript); once for each input.
    #[arg(long = "input", value_name = "SHAPE", value_parser = shape)]
    pub inputs: Vec<Extents>,
    /// Rounds: in each, every network has a turn, so that what drifts falls on all alike.
    #[arg(long, default_value_t = 10)]
    pub rounds: u32,
    /// Untimed runs before the first timed one.
    #[arg(long, default_value_t = 10)]
    pub warmup: u32,
    /// Timed runs at least, over all rounds.
    #[arg(long, default_value_t = 50)]
    pub runs: u32,
    /// The same for networks of which a run takes longer than half a second.
    #[arg(long, default_value_t = 10)]
    pub slow_runs: u32,
    /// Seconds of a turn, where runs are short.
    #[arg(long, default_value_t = 0.03, allow_negative_numbers = true, value_name = "SECONDS")]
    pub turn_time: f64,
    /// Let the system move threads between cores; without it, each is bound to one.
    #[arg(long)]
    pub no_pin: bool,
    /// Leave the column of measured memory empty, which takes a process for each network.
    #[arg(long)]
    pub no_memory: bool,
    /// Description of the device: a file, or a shipped one's name; without it, the detected CPU, described now if it is not yet.
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// The CSV; without it, `results/models_sweep_<device>.csv`.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `derate measure-graph-memory`.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "an interface between this program and itself")]
pub struct MeasureGraphMemory {
    #[command(flatten)]
    pub network: Source,
    #[arg(long, value_parser = precision)]
    pub precision: Precision,
    #[arg(long)]
    pub threads: u32,
}
