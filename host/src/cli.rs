//! The command line: verbs and their options, as `--help` teaches them.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

mod device;
mod estimate;
mod graph;
mod operators;
mod source;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use derate_core::shape::Precision;

pub use self::device::{ClockArg, Compare, Explain, Place, SortBy, Tile};
pub use self::estimate::Estimate;
pub use self::graph::{Fusion, GraphConvert, GraphForm, GraphMemory, GraphShow, GraphSource, GraphStats, GraphVerb};
pub use self::operators::{MeasureOperator, OperatorSweepArgs};
pub use self::source::{Extents, Source};
use crate::sweep::{Kind, Scenario};

/// Predicts latency and memory of neural networks on a device, and calibrates the prediction against measurements.
///
/// A device has a datasheet peak; a network reaches a fraction of it: its derate. Find it in five steps:
///
///   derate hardware detect                    describe this CPU: peaks, caches, bandwidths, measured
///   derate sweep mlp --quick                  measure five networks beside their estimates, into a CSV
///   derate calibrate --input results/mlp_sweep_quick_cpu.csv
///                                             fit the coefficients; report with held-out errors
///   derate apply results/mlp_sweep_quick_cpu_calibration.profile.json
///                                             write the two factors into the description
///   derate verify --profile results/mlp_sweep_quick_cpu_calibration.profile.json
///                                             estimate and measure networks that the sweep never saw
///
/// Errors are called excellent below 10 %, good to 15 %, needs tuning to 25 %, poor above.
///
/// Exit codes: 0 done, 1 a check failed, 2 bad input, 3 done with skipped rows, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "derate", version, verbatim_doc_comment, disable_help_subcommand = true)]
pub struct Cli {
    /// How results are printed on standard output; progress and notes go to standard error.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document with documented keys.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Describe devices: detect this CPU, list, show and check descriptions.
    #[command(subcommand)]
    Hardware(HardwareVerb),
    /// Look into networks: count, draw, plan memory, convert.
    #[command(subcommand)]
    Graph(GraphVerb),
    /// Measure networks beside their estimates, into a CSV that a killed run resumes.
    #[command(subcommand)]
    Sweep(SweepVerb),
    /// Fit the coefficients to sweeps, and report errors held out, beside the baselines.
    Calibrate(Calibrate),
    /// Write a profile's two factors into a hardware description, in place, comments kept.
    Apply(Apply),
    /// Estimate and measure networks that no sweep holds, and compare.
    Verify(Verify),
    /// Estimate one network, op by op; and measure it beside, if asked to.
    Estimate(Estimate),
    /// Say which limit binds a network's kernels on a device, and what their time is made of.
    Explain(Explain),
    /// Put networks on devices side by side: latency, throughput, energy, whether they fit, what bounds.
    Compare(Compare),
    /// Tile a network's products for memories of given sizes: tiles, traffic, and the least traffic there can be.
    Tile(Tile),
    /// Growth of peak memory by one network, in bytes; run by sweeps in a process of its own.
    #[command(hide = true)]
    MeasureMemory(MeasureMemory),
    /// Times of one op that takes much memory; run by sweeps in a process of its own.
    #[command(hide = true)]
    MeasureOperator(MeasureOperator),
}

/// `derate hardware`.
#[derive(Debug, Subcommand)]
pub enum HardwareVerb {
    /// Describe this CPU: model, cores, caches, and its peaks and bandwidths by micro-benchmarks of some seconds.
    Detect {
        /// The description to write; without it, the one that other verbs use when they are given none. A file that is there
        /// already is kept beside it, as `<name>.1.toml` or the first free number after it.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List the descriptions that are shipped and the ones detected here.
    List,
    /// Print a description's peaks, levels and factors.
    Show {
        /// Name of a shipped description, or a file.
        hardware: String,
    },
    /// Put devices side by side: peaks, bandwidths, memories, power; and their rooflines in one drawing.
    Compare {
        /// Names of shipped descriptions, files, or `detected`; `all` are all shipped ones.
        #[arg(required = true, value_name = "HARDWARE")]
        hardware: Vec<String>,
        /// Precision of the rooflines; without it, the first that each device has of fp32, fp16, bf16, int8.
        #[arg(long, value_parser = precision)]
        precision: Option<Precision>,
        /// Where to draw the rooflines: `.svg`.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the JSON Schema of descriptions, for editors.
    Schema,
    /// Check descriptions: every wrong key with its file and line. Exit code 2 if there is one.
    Check {
        /// Files to check.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// `derate sweep`.
#[derive(Debug, Subcommand)]
pub enum SweepVerb {
    /// Multi-layer perceptrons: linear layers with bias, ReLU between.
    Mlp(SweepArgs),
    /// Stacks of convolutions: padded by half the kernel, with bias, ReLU after each.
    Conv2d(SweepArgs),
    /// Single ops of every class, warm and cold, and short sequences of them: designed shapes, as many as the budget allows.
    Operators(OperatorSweepArgs),
    /// As `operators`, linear layers and products alone.
    Gemm(OperatorSweepArgs),
    /// As `operators`, functions of elements alone.
    Elementwise(OperatorSweepArgs),
}

/// Which configurations: one of four.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ScopeArgs {
    /// Five configurations of all kinds: under a minute.
    #[arg(long)]
    pub quick: bool,
    /// Configurations whose working set fits a cache of this device, or none.
    #[arg(long, value_enum)]
    pub scenario: Option<Scenario>,
    /// 150 configurations and more: a grid, all scenarios, odd sizes.
    #[arg(long)]
    pub full: bool,
    /// Your own parameter lists: a TOML file, for MLPs with `input_dim`, `hidden` and `batch_size`, for convolutions with
    /// `in_channels`, `out_channels`, `kernel_size`, `num_layers`, `image_size` and `batch_size`; if you like, with `precision`.
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
}

/// `derate sweep mlp`, `derate sweep conv2d`.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Which configurations.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where the networks run.
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub device: DeviceArg,
    /// Precisions of the tensors, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = precision)]
    pub precision: Vec<Precision>,
    /// Batch sizes, separated by commas, in the place of the configurations' own.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<Vec<u32>>,
    /// Threads of every op; without it, the cores of the description.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Untimed runs before the first timed one.
    #[arg(long, default_value_t = 10)]
    pub warmup: u32,
    /// Timed runs at least; more follow until the median's 95 % confidence interval is within 2 %, or the time cap.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Seconds of its own running time after which a configuration is not repeated further.
    #[arg(long, default_value_t = 20.0, allow_negative_numbers = true, value_name = "SECONDS")]
    pub time_cap: f64,
    /// Seconds over which a block of configurations is spread at least; without it, 30 for --quick, 15 otherwise.
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS")]
    pub block_time: Option<f64>,
    /// Description of this device; without it, the detected one, made now if there is none.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// The CSV; without it, `results/<mlp or conv2d>_sweep_<scope>_<device>.csv`.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Where networks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// The CPU of this machine.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

/// `derate calibrate`.
#[derive(Debug, Args)]
pub struct Calibrate {
    /// Sweep CSVs of one device, runtime and thread count; of this tool, or of another with the same columns.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// The report; profile, JSON and plots go beside it. Without it, `<first input>_calibration.md`.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Description of the device that was measured; without it, the detected one.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Thermal profile that the device ran in; without it, the default one.
    #[arg(long)]
    pub thermal_profile: Option<String>,
    /// Runtime that was measured, where the CSV does not say.
    #[arg(long)]
    pub runtime: Option<String>,
    /// Threads that were used, where the CSV does not say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
}

/// `derate apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The profile that `calibrate` wrote.
    pub profile: PathBuf,
    /// Description to edit: your own copy; without it, the detected one.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Thermal profile to edit; without it, the default one.
    #[arg(long)]
    pub thermal_profile: Option<String>,
    /// Apply factors of another runtime or thread count than the description's; without it they are refused.
    #[arg(long)]
    pub replace_runtime: bool,
    /// Print the difference and write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `derate verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The profile to verify; without it, the description's factors alone.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Description of this device; without it, the detected one.
    #[arg(long, value_name = "FILE")]
    pub hardware: Option<PathBuf>,
    /// Thermal profile that the device runs in; without it, the default one.
    #[arg(long, value_name = "NAME")]
    pub thermal_profile: Option<String>,
    /// Networks, separated by commas: `mlp` (five that are in no sweep), or those of the zoo by torchvision's names, such as `resnet50`,
    /// `vgg16`, `vit_b_16`; an unknown name is answered with the list.
    #[arg(long, value_delimiter = ',', default_value = "mlp,resnet18,mobilenet_v2")]
    pub models: Vec<String>,
    /// Precision of the tensors.
    #[arg(long, value_parser = precision, default_value = "fp32")]
    pub precision: Precision,
    /// Threads of every op; without it, those of the profile, or the cores of the description.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Seconds over which the measurements are spread at least.
    #[arg(long, default_value_t = 30.0, allow_negative_numbers = true, value_name = "SECONDS")]
    pub block_time: f64,
    /// Fail (exit code 1) if the mean absolute percentage error over all networks is above this.
    #[arg(long, value_name = "PERCENT", value_parser = percent, allow_negative_numbers = true)]
    pub max_mape: Option<f64>,
    /// Fail (exit code 1) if the error over all networks is more than 5 points above that of this earlier `--format json` output
    /// of the same hardware, runtime, threads, precision and networks.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write the table as Markdown here (`.md`), and the JSON beside it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Measure nothing: estimate the ResNet family on every shipped device, and check that MACs are exact and times in order.
    #[arg(long, conflicts_with_all = ["profile", "hardware", "thermal_profile", "models", "threads", "max_mape", "baseline", "output"])]
    pub all_hardware: bool,
}

/// `derate measure-memory`.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "an interface between this program and itself")]
pub struct MeasureMemory {
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// Cells of the network's shape, in the order of its columns.
    #[arg(long = "cell")]
    pub cells: Vec<String>,
    #[arg(long, value_parser = precision)]
    pub precision: Precision,
    #[arg(long)]
    pub threads: u32,
}

fn percent(text: &str) -> Result<f64, String> {
    let allowed = "it must be a finite number, 0 or more";
    text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0).ok_or_else(|| allowed.to_owned())
}

fn precision(text: &str) -> Result<Precision, String> {
    Precision::ALL
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| format!("it must be one of {}", Precision::ALL.map(Precision::name).join(", ")))
}
