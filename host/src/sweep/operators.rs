//! Sweeps of single ops and short sequences: which shapes, under which protocols, in which order.
//!
//! The shapes are designed, not random: each family of ops has a low-discrepancy sequence of shapes as networks have them
//! (`shapes`, `sequence`), sorted by what should limit them on the device at hand (`regime`): launches, arithmetic, or one of its
//! memory levels. The plan takes families by their shares and regimes in turn, so that each prefix of it is balanced, whenever the
//! time is over.

mod chains;
pub mod pick;
pub mod regime;
pub mod row;
#[cfg(feature = "torch")]
pub mod run;
mod sequence;
mod shapes;
pub mod spent;
pub mod summary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use derate_core::hardware::Hardware;
use derate_core::shape::Precision;
use serde::Serialize;

use self::regime::{Place, place};
use crate::graph_buf::GraphBuf;
use crate::import::ImportError;
use crate::import::inline::graph_of;

pub use self::pick::{InOrder, Pick, Sampled};

/// Version of the shapes: a sweep that was begun with others is not resumed.
pub const PLAN_VERSION: u32 = 1;

/// Shapes of one regime of one family.
const PER_REGIME: usize = 24;

/// Points that are tried for them; regimes that few points fall into stay short.
const MOST_POINTS: u32 = 1_200;

/// Of this many shapes of a regime, one may lie at the border of a cache: enough to see the transition, not enough to spend the time on.
const BORDER_EVERY: usize = 8;

/// Time by the roofline above which a shape is left out: five runs of it take a second or two.
const MOST_SECONDS: f64 = 0.05;

/// Working sets above so many of the last cache tell nothing more.
const MOST_CACHES: u64 = 8;

/// Where there is no cache to compare with.
const MOST_BYTES: u64 = 256 << 20;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// Every class of ops, and sequences of them.
    Operators,
    /// Linear layers and products.
    Gemm,
    /// Functions of elements, cheap and transcendental.
    Elementwise,
}

impl Selection {
    /// Name of the verb below `derate sweep`, and first part of the names of result files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operators => "operators",
            Self::Gemm => "gemm",
            Self::Elementwise => "elementwise",
        }
    }

    /// Its families, each with its share of the shapes: more where networks have more of their time, or more to tell apart.
    #[must_use]
    pub const fn families(self) -> &'static [(Family, u32)] {
        match self {
            Self::Operators => &[
                (Family::Conv, 3),
                (Family::Linear, 3),
                (Family::Pointwise, 2),
                (Family::Elementwise, 2),
                (Family::Depthwise, 2),
                (Family::Sequence(SequenceKind::Networks), 2),
                (Family::Pooling, 1),
                (Family::BatchNorm, 1),
                (Family::MatMul, 1),
                (Family::Transcendental, 1),
                (Family::Attention, 1),
                (Family::LayerNorm, 1),
                (Family::GroupedConv, 1),
                (Family::Softmax, 1),
                (Family::GlobalPooling, 1),
                (Family::Copy, 1),
            ],
            Self::Gemm => &[(Family::Linear, 3), (Family::MatMul, 2), (Family::Sequence(SequenceKind::Gemm), 1)],
            Self::Elementwise => &[
                (Family::Elementwise, 2),
                (Family::Transcendental, 2),
                (Family::Sequence(SequenceKind::Elementwise), 1),
            ],
        }
    }
}

/// Sequences of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SequenceKind {
    /// Blocks of published networks.
    Networks,
    /// Linear layers.
    Gemm,
    /// Functions of elements.
    Elementwise,
}

/// Ops whose shapes have the same axes. Finer than [`derate_core::work::Class`], which follows from the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Convolutions of several taps that mix all channels.
    Conv,
    /// Convolutions of one tap.
    Pointwise,
    /// One filter a channel.
    Depthwise,
    /// Several groups of several channels.
    GroupedConv,
    /// Fully connected layers.
    Linear,
    /// Products of two activations, one or a batch of them.
    MatMul,
    /// Scaled dot-product attention.
    Attention,
    /// Cheap functions of elements, and of two tensors.
    Elementwise,
    /// Functions with an exponential or its like.
    Transcendental,
    /// Normalisation by stored statistics.
    BatchNorm,
    /// Normalisation over the last axis.
    LayerNorm,
    /// Softmax over the last axis.
    Softmax,
    /// Sliding windows.
    Pooling,
    /// One value a channel.
    GlobalPooling,
    /// Concatenation, copies, transposes.
    Copy,
    /// Several ops, one after the other.
    Sequence(SequenceKind),
}

impl Family {
    /// Name in rows and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Pointwise => "pointwise",
            Self::Depthwise => "depthwise",
            Self::GroupedConv => "grouped_conv",
            Self::Linear => "linear",
            Self::MatMul => "mat_mul",
            Self::Attention => "attention",
            Self::Elementwise => "elementwise",
            Self::Transcendental => "transcendental",
            Self::BatchNorm => "batch_norm",
            Self::LayerNorm => "layer_norm",
            Self::Softmax => "softmax",
            Self::Pooling => "pooling",
            Self::GlobalPooling => "global_pooling",
            Self::Copy => "copy",
            Self::Sequence(_) => "sequence",
        }
    }
}

/// How a graph is run when it is timed. Rows of different protocols are never mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Protocol {
    /// One op, the same tensors again and again.
    Warm,
    /// One op, the caches filled with other data before each run.
    Cold,
    /// A sequence of ops, timed as a whole from its first op to its last.
    InSequence,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Warm, Self::Cold, Self::InSequence];

    /// Name in rows and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
            Self::InSequence => "in_sequence",
        }
    }

    /// Those of a family: single ops are timed warm and cold, sequences as they are.
    #[must_use]
    pub const fn of(family: Family) -> &'static [Self] {
        match family {
            Family::Sequence(_) => &[Self::InSequence],
            _ => &[Self::Warm, Self::Cold],
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A shape that may be measured.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is a shape of.
    pub family: Family,
    /// Its description, which reads back into the graph.
    pub text: String,
    /// The graph.
    pub graph: GraphBuf,
    /// What should limit it, and where it lies.
    pub place: Place,
}

/// A shape under a protocol: one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Number of the shape in [`Plan::samples`].
    pub sample: usize,
    /// How it is run.
    pub protocol: Protocol,
}

/// What a sweep may measure in one precision by one number of threads, in the order in which it does unless told otherwise.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All shapes, in their order.
    pub samples: Vec<Sample>,
    /// All rows, in their order.
    pub configurations: Vec<Configuration>,
    /// Precision of the tensors.
    pub precision: Precision,
    /// Threads of every op.
    pub threads: u32,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A description that does not read: the sampler and the grammar disagree.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A count that overflows, or a precision that the device does not have.
    #[error(transparent)]
    Core(#[from] derate_core::Error),
}

impl Plan {
    /// The plan for a device as so many threads see it.
    ///
    /// # Errors
    /// [`PlanError`] for a precision in which the device does not work.
    pub fn new(
        selection: Selection,
        protocols: &[Protocol],
        hardware: &Hardware<'_>,
        precision: Precision,
        threads: u32,
    ) -> Result<Self, PlanError> {
        let mut queues = Vec::new();
        for &(family, share) in selection.families() {
            let protocols: Vec<Protocol> =
                Protocol::of(family).iter().copied().filter(|protocol| protocols.contains(protocol)).collect();
            if !protocols.is_empty() {
                let samples = samples(family, hardware, precision)?;
                queues.push(Queue { samples: samples.into_iter(), share, taken: 0, protocols });
            }
        }
        let mut plan = Self { samples: Vec::new(), configurations: Vec::new(), precision, threads };
        while let Some((sample, protocols)) = next(&mut queues) {
            let index = plan.samples.len();
            plan.samples.push(sample);
            plan.configurations.extend(protocols.iter().map(|&protocol| Configuration { sample: index, protocol }));
        }
        Ok(plan)
    }

    /// What tells a row from all others: graph, protocol, precision, threads.
    #[must_use]
    pub fn key(&self, configuration: usize) -> String {
        let Some(&Configuration { sample, protocol }) = self.configurations.get(configuration) else {
            return String::new();
        };
        let text = self.samples.get(sample).map_or("", |sample| sample.text.as_str());
        format!("{text} {protocol} {}", self.pass())
    }

    /// The last two parts of the keys of all rows.
    #[must_use]
    pub fn pass(&self) -> String {
        pass(self.precision.name(), &self.threads.to_string())
    }
}

/// What rows of one precision and thread count end their keys with.
fn pass(precision: &str, threads: &str) -> String {
    format!("{precision} t{threads}")
}

/// Shapes of a family that are left.
struct Queue {
    samples: std::vec::IntoIter<Sample>,
    share: u32,
    taken: u32,
    protocols: Vec<Protocol>,
}

/// The shape of the family that is furthest behind its share: the one whose next shape comes first when each family's are spread evenly.
fn next(queues: &mut Vec<Queue>) -> Option<(Sample, Vec<Protocol>)> {
    loop {
        let due = |queue: &Queue| (2 * queue.taken + 1, queue.share);
        // (2 · taken + 1) / share, compared without division; of equals the first.
        let earlier = |one: (u32, u32), other: (u32, u32)| one.0 * other.1 < other.0 * one.1;
        let mut first = 0;
        for at in 1..queues.len() {
            if earlier(due(&queues[at]), due(&queues[first])) {
                first = at;
            }
        }
        let queue = queues.get_mut(first)?;
        match queue.samples.next() {
            Some(sample) => {
                queue.taken += 1;
                return Some((sample, queue.protocols.clone()));
            }
            None => drop(queues.remove(first)),
        }
    }
}

/// Shapes of a family, its regimes in turn, each in the order of the sequence.
fn samples(family: Family, hardware: &Hardware<'_>, precision: Precision) -> Result<Vec<Sample>, PlanError> {
    let caches = hardware.memory().split_last().map_or(&[][..], |(_, caches)| caches);
    let most_bytes = caches.last().map_or(MOST_BYTES, |last| last.capacity.0.saturating_mul(MOST_CACHES).max(64 << 20));
    let mut regimes: BTreeMap<(regime::Limit, usize), Vec<Sample>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for n in 0..MOST_POINTS {
        let Some(text) = shapes::description(family, n) else { continue };
        if !seen.insert(text.clone()) {
            continue;
        }
        // A point may make an op that is none: a window larger than its image.
        let Ok(graph) = graph_of(&text, precision.data_type()) else { continue };
        let place = place(&graph, hardware, precision)?;
        if place.seconds > MOST_SECONDS || place.working_set > most_bytes {
            continue;
        }
        let list = regimes.entry((place.limit, place.level)).or_default();
        let at_border = list.iter().filter(|sample| sample.place.border).count();
        if list.len() < PER_REGIME && (!place.border || (at_border + 1) * BORDER_EVERY <= list.len() + 1) {
            list.push(Sample { family, text, graph, place });
        }
    }
    let mut lists: Vec<std::vec::IntoIter<Sample>> = regimes.into_values().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    while !lists.is_empty() {
        lists.retain_mut(|list| list.next().map(|sample| all.push(sample)).is_some());
    }
    Ok(all)
}
