//! `derate graph`: its verbs and their options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use derate_core::fusion::{EAGER, INFERENCE, MCU, Policy};
use derate_core::shape::Precision;

use super::precision;

/// `derate graph`.
#[derive(Debug, Subcommand)]
pub enum GraphVerb {
    /// Count: MACs, FLOPs, parameters, bytes; by class, by op, by kernel.
    Stats(GraphStats),
    /// Draw: Graphviz DOT on standard output, or an SVG.
    Show(GraphShow),
    /// Plan memory: live bytes in the best order, an arena with offsets, and what of it fits a device.
    Memory(GraphMemory),
    /// Write the graph in another form: JSON, a Rust source file for firmware, Graphviz DOT.
    Convert(GraphConvert),
}

/// A network, and what its file leaves open.
#[derive(Debug, Args)]
pub struct GraphSource {
    /// The network: a file, a description such as `gemm:64x512x512`, or one of the zoo, `zoo:resnet18@1`.
    pub source: String,
    /// Extent of the outermost axis of every input, where the file leaves it open.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Extent of a dimension that the file names; may be given several times.
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = dimension)]
    pub dims: Vec<(String, u32)>,
    /// Shape of the next input, such as `1x3x224x224`, for files that do not hold it (TorchScript); once for each input.
    #[arg(long = "input", value_name = "SHAPE", value_parser = shape)]
    pub inputs: Vec<Extents>,
    /// Precision of networks that are described rather than read.
    #[arg(long, value_parser = precision, default_value = "fp32")]
    pub precision: Precision,
}

/// Extents of a shape, outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extents(pub Vec<u32>);

/// `derate graph stats`.
#[derive(Debug, Args)]
pub struct GraphStats {
    /// The network.
    #[command(flatten)]
    pub source: GraphSource,
    /// Length of the lists of the largest ops.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Count kernels as well: ops grouped as such a runtime groups them.
    #[arg(long, value_enum)]
    pub fusion: Option<Fusion>,
    /// Print every op (with --fusion every kernel), not the largest alone.
    #[arg(long)]
    pub ops: bool,
}

/// `derate graph show`.
#[derive(Debug, Args)]
pub struct GraphShow {
    /// The network.
    #[command(flatten)]
    pub source: GraphSource,
    /// Group ops into kernels as such a runtime groups them.
    #[arg(long, value_enum)]
    pub fusion: Option<Fusion>,
    /// Colour ops by what bounds them on this device: a file, the name of a shipped description, or `detected`.
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Where to draw: `.dot` or `.svg`. Without it, DOT on standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `derate graph memory`.
#[derive(Debug, Args)]
pub struct GraphMemory {
    /// The network.
    #[command(flatten)]
    pub source: GraphSource,
    /// Compare with the memory levels of this device: a file, the name of a shipped description, or `detected`.
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Bytes of which every offset in the arena is a multiple.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub align: u32,
    /// Place the tensors of the best order that is found, rather than of the file's order.
    #[arg(long)]
    pub schedule: bool,
    /// Plot live bytes over the steps here (`.svg`).
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `derate graph convert`.
#[derive(Debug, Args)]
pub struct GraphConvert {
    /// The network.
    #[command(flatten)]
    pub source: GraphSource,
    /// The form.
    #[arg(long, value_enum)]
    pub to: GraphForm,
    /// Where to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Forms of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphForm {
    /// JSON, which `derate` reads again.
    Json,
    /// A Rust source file: the graph as constants that `derate-core` takes as they are.
    Rust,
    /// Graphviz DOT.
    Dot,
}

/// How runtimes group ops into kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fusion {
    /// libtorch in eager mode: one kernel an op.
    Eager,
    /// A runtime that folds and fuses: TensorRT, OpenVINO, ONNX Runtime.
    Inference,
    /// int8 kernels of a microcontroller: CMSIS-NN, TensorFlow Lite for Microcontrollers.
    Mcu,
}

impl Fusion {
    /// The policy of core.
    #[must_use]
    pub const fn policy(self) -> &'static Policy {
        match self {
            Self::Eager => &EAGER,
            Self::Inference => &INFERENCE,
            Self::Mcu => &MCU,
        }
    }
}

fn dimension(text: &str) -> Result<(String, u32), String> {
    let allowed = || "it must be NAME=VALUE, the value a whole number, 1 or more".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(allowed)?;
    let value = value.parse().ok().filter(|&value: &u32| value > 0 && !name.is_empty()).ok_or_else(allowed)?;
    Ok((name.to_owned(), value))
}

fn shape(text: &str) -> Result<Extents, String> {
    let allowed = "it must be whole numbers, 1 or more, with `x` between, such as 1x3x224x224";
    let extent = |part: &str| part.parse().ok().filter(|&extent: &u32| extent > 0);
    text.split('x').map(extent).collect::<Option<Vec<u32>>>().map(Extents).ok_or_else(|| allowed.to_owned())
}
