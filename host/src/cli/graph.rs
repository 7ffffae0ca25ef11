//! `derate graph`: its verbs and their options.
#![allow(clippy::doc_markdown, reason = "these comments are printed as they stand, as help")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use derate_core::fusion::{EAGER, INFERENCE, MCU, Policy};
use derate_core::shape::Precision;

use super::{Source, precision};

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

/// A network, as the verbs of `derate graph` take it.
#[derive(Debug, Args)]
pub struct GraphSource {
    /// Where it comes from.
    #[command(flatten)]
    pub network: Source,
    /// Precision of networks that are described rather than read.
    #[arg(long, value_parser = precision, default_value = "fp32")]
    pub precision: Precision,
}

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
