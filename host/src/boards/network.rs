//! A network as a microcontroller's kernels see it: MACs of four classes, with what a kernel does beside them.
//!
//! ```text
//! X_class = Σ layers MACs · (1 + k0 / K) · (1 + n0 / N)        [MAC]
//! K, N    length of each sum, outputs that share what is read for it
//! k0      cost of an output beside its sum (requantisation, write-out), in MACs
//! n0      cost of an input beside its products (gathering a window into a row), in MACs
//! ```
//! The first factor is of convolutions and pointwise convolutions, the second of convolutions alone; both are 1 of the other classes. A
//! runtime that leaves dead channels out has the live MACs, K and N of [`super::live`].

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use derate_core::graph::Tables;
use derate_core::work::Class;
use serde::{Deserialize, Serialize};

use super::live::{Live, live_in};
use crate::graph_buf::GraphBuf;
use crate::import::{Options, import};

/// What kernels are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Convolution of several taps.
    Conv,
    /// Convolution of one tap, and products of several rows.
    Pointwise,
    /// Convolution of one channel a group.
    Depthwise,
    /// Product of one row: each weight is used once.
    FullyConnected,
}

/// Number of [`Kind`]s.
pub const KINDS: usize = 4;

impl Kind {
    /// Every kind, in the order of all arrays here.
    pub const ALL: [Self; KINDS] = [Self::Conv, Self::Pointwise, Self::Depthwise, Self::FullyConnected];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Pointwise => "pointwise",
            Self::Depthwise => "depthwise",
            Self::FullyConnected => "fully_connected",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Conv => 0,
            Self::Pointwise => 1,
            Self::Depthwise => 2,
            Self::FullyConnected => 3,
        }
    }

    /// The kind of an op of this class, whose product has so many rows.
    const fn of(class: Class, rows: u64) -> Option<Self> {
        match class {
            Class::Conv | Class::GroupedConv => Some(Self::Conv),
            Class::Pointwise => Some(Self::Pointwise),
            Class::Depthwise => Some(Self::Depthwise),
            // Rows beyond the first use the same weights again, as positions of a pointwise convolution do.
            Class::Linear if rows > 1 => Some(Self::Pointwise),
            Class::Linear => Some(Self::FullyConnected),
            _ => None,
        }
    }
}

/// MACs of a layer, with the extents that its kernel is paid by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Length of each sum.
    pub k: u64,
    /// Outputs of a position.
    pub n: u64,
}

/// A layer with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its kind.
    pub kind: Kind,
    /// As the file says.
    pub dense: Size,
    /// Without dead channels.
    pub live: Size,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its layers with weights, in execution order.
    pub layers: Vec<Layer>,
    /// Ops with MACs that are of no [`Kind`], by name: their time is not in any prediction.
    pub uncounted: Vec<String>,
}

/// Work of a network by kind, in MACs with what is beside them: for runtimes that run dead channels, and for those that do not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Of all channels.
    pub dense: [f64; KINDS],
    /// Of live channels alone.
    pub live: [f64; KINDS],
}

impl Work {
    /// The work that a runtime does.
    #[must_use]
    pub const fn of(&self, removes_dead_channels: bool) -> &[f64; KINDS] {
        if removes_dead_channels { &self.live } else { &self.dense }
    }
}

impl Network {
    /// Reads a network from a file or a description; of a TFLite file of integers, with its dead channels.
    ///
    /// # Errors
    /// What [`import`] refuses, and counts that overflow.
    pub fn read(source: &str, name: &str, options: &Options) -> Result<Self> {
        let import = import(source, options)?;
        let live =
            if Path::new(source).is_file() { live_in(Path::new(source)).unwrap_or_default() } else { Vec::new() };
        let mut network = Self::of(&import.graph, name, &live).with_context(|| source.to_owned())?;
        network.uncounted.extend(import.unsupported.into_iter().map(|node| format!("{} ({})", node.name, node.op)));
        Ok(network)
    }

    /// The layers of a graph; `live` are the live channels of its ops, by name.
    ///
    /// # Errors
    /// Counts that overflow.
    pub fn of(graph: &GraphBuf, name: &str, live: &[Live]) -> Result<Self> {
        let live: HashMap<&str, &Live> = live.iter().map(|layer| (layer.name.as_str(), layer)).collect();
        let view = graph.view();
        let (mut layers, mut uncounted) = (Vec::new(), Vec::new());
        for (node, op) in view.nodes().iter().zip(graph.names()) {
            let work = view.work(node)?;
            if work.macs.0 == 0 {
                continue;
            }
            let kind = work.gemm.and_then(|gemm| Some((gemm, Kind::of(work.class, gemm.m)?)));
            let Some((gemm, kind)) = kind else {
                uncounted.push(op.clone());
                continue;
            };
            // A depthwise convolution is as many products as groups; its outputs are those of all of them.
            let dense = Size { macs: work.macs.0, k: gemm.k, n: gemm.n.saturating_mul(gemm.groups) };
            let live = live.get(op.as_str()).map_or(dense, |live| cut(dense, live));
            layers.push(Layer { kind, dense, live });
        }
        Ok(Self { name: name.to_owned(), layers, uncounted })
    }

    /// Multiply-accumulates, as published figures count them.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.dense.macs).sum()
    }

    /// Multiply-accumulates of live channels.
    #[must_use]
    pub fn live_macs(&self) -> u64 {
        self.layers.iter().map(|layer| layer.live.macs).sum()
    }

    /// Work by kind, with `k0` MACs for each output of a sum and `n0` for each of its inputs.
    #[must_use]
    pub fn work(&self, k0: f64, n0: f64) -> Work {
        let sum = |size: fn(&Layer) -> Size| {
            let mut sums = [0.0; KINDS];
            for layer in &self.layers {
                let Size { macs, k, n } = size(layer);
                let beside = |cost: f64, shared: u64| 1.0 + cost / shared.max(1) as f64;
                let factor = match layer.kind {
                    Kind::Conv => beside(k0, k) * beside(n0, n),
                    Kind::Pointwise => beside(k0, k),
                    Kind::Depthwise | Kind::FullyConnected => 1.0,
                };
                if let Some(sum) = sums.get_mut(layer.kind.index()) {
                    *sum += macs as f64 * factor;
                }
            }
            sums
        };
        Work { dense: sum(|layer| layer.dense), live: sum(|layer| layer.live) }
    }
}

/// A layer's size without its dead channels.
fn cut(dense: Size, live: &Live) -> Size {
    let part = |count: u64, live: usize, all: usize| {
        let (live, all) = (u128::from(live as u64), u128::from(all as u64).max(1));
        u64::try_from(u128::from(count) * live / all).unwrap_or(count)
    };
    let shrunk = |count| part(part(count, live.outputs, live.all_outputs), live.inputs, live.all_inputs);
    Size {
        macs: shrunk(dense.macs),
        k: part(dense.k, live.inputs, live.all_inputs),
        n: part(dense.n, live.outputs, live.all_outputs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::shape::DataType;

    fn described(source: &str) -> Network {
        Network::read(source, "a network", &Options { data_type: DataType::Int8, ..Options::default() }).expect("valid")
    }

    #[test]
    fn work_by_hand() {
        // 8 windows of 3 × 3 × 2 over 4 × 4 positions: 16 · 8 · 18 = 2304 MACs, K = 18, N = 8.
        let network = described("conv2d:1x2x4x4,8,k3,p1");
        assert_eq!(network.layers.len(), 1);
        assert_eq!(network.layers[0].dense, Size { macs: 2304, k: 18, n: 8 });
        assert_eq!((network.macs(), network.live_macs()), (2304, 2304));
        // 2304 · (1 + 9/18) · (1 + 4/8) = 5184.
        let work = network.work(9.0, 4.0);
        assert_eq!(work.dense, [5184.0, 0.0, 0.0, 0.0]);
        assert_eq!(work.of(true), work.of(false));
        // One row of 64 inputs and 10 outputs: 640 MACs, nothing beside; 5 rows share the weights.
        assert_eq!(described("gemm:1x10x64").work(9.0, 4.0).dense[3], 0.0, "a product of activations is no layer");
        assert_eq!(described("gemm:1x10x64").uncounted, ["mat_mul"]);
    }

    #[test]
    fn dead_channels_are_cut() {
        let live = |outputs, inputs| Live { name: String::new(), outputs, all_outputs: 8, inputs, all_inputs: 2 };
        let dense = Size { macs: 2304, k: 18, n: 8 };
        // Half the inputs and 3 of 8 outputs: 2304 · 3/8 · 1/2 = 432.
        assert_eq!(cut(dense, &live(3, 1)), Size { macs: 432, k: 9, n: 3 });
        assert_eq!(cut(dense, &live(8, 2)), dense);
        assert_eq!(cut(dense, &live(0, 2)).macs, 0);
    }
}
