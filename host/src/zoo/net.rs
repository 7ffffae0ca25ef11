//! A network under construction: each layer has a name, reads tensors of layers before it, and gives the one it computes.

use std::fmt::Display;

use derate_core::graph::Tables;
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, BatchNorm, Binary, BinaryKind, Concat, Conv, LayerNorm, Linear,
    Op, Pool, PoolKind, Softmax, Transpose, View, Window, Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::{TensorId, TensorKind};

use crate::graph_buf::{GraphBuf, GraphError};

/// What a layer gives: the tensor it computes, or why the graph refused it.
pub(super) type Built = Result<TensorId, GraphError>;

/// A graph, and the path of the module that is being built.
pub(super) struct Net {
    graph: GraphBuf,
    data_type: DataType,
    path: String,
}

/// A convolution of images: all but its input channels, which follow from the tensor it reads.
#[derive(Clone, Copy)]
pub(super) struct ConvSpec {
    c_out: u32,
    groups: u32,
    windows: Windows,
    bias: bool,
}

impl ConvSpec {
    /// A square kernel without bias, padded so that an odd one keeps the extent.
    pub(super) const fn new(c_out: u32, kernel: u16) -> Self {
        Self { c_out, groups: 1, windows: Windows::square(kernel, 1, kernel / 2), bias: false }
    }

    /// One filter a channel, for so many channels.
    pub(super) const fn depthwise(channels: u32, kernel: u16) -> Self {
        Self { groups: channels, ..Self::new(channels, kernel) }
    }

    /// The same with this stride, kernel and padding.
    pub(super) const fn windows(self, kernel: u16, stride: u16, padding: u16) -> Self {
        Self { windows: Windows::square(kernel, stride, padding), ..self }
    }

    /// The same with windows of its own for rows and columns.
    pub(super) fn axes(self, rows: Window, columns: Window) -> Self {
        // Two axes are never too many.
        Self { windows: Windows::new(&[rows, columns]).unwrap_or(self.windows), ..self }
    }

    /// The same with a bias.
    pub(super) const fn with_bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// Maximum over square windows.
pub(super) const fn max_pool(kernel: u16, stride: u16, padding: u16) -> Pool {
    Pool { kind: PoolKind::Max, windows: Windows::square(kernel, stride, padding), ceil_mode: false }
}

/// Mean over square windows that do not overlap.
pub(super) const fn average_pool(kernel: u16) -> Pool {
    Pool { kind: PoolKind::Average, windows: Windows::square(kernel, kernel, 0), ceil_mode: false }
}

impl Net {
    pub(super) fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { graph: GraphBuf::new(name), data_type, path: String::new() }
    }

    pub(super) fn finish(self) -> GraphBuf {
        self.graph
    }

    /// The input, with the batch as its first extent.
    pub(super) fn input(&mut self, batch: u32, extents: &[u32]) -> Built {
        let extents: Vec<u32> = std::iter::once(batch).chain(extents.iter().copied()).collect();
        self.graph.add_input(&extents, self.data_type)
    }

    /// A learned tensor that is no attribute of a layer.
    pub(super) fn parameter(&mut self, name: impl Display, extents: &[u32]) -> Built {
        let name = format!("{}{name}", self.path);
        self.graph.add_source(name, extents, self.data_type, TensorKind::Parameter)
    }

    /// Layers whose names begin with that of their module.
    pub(super) fn module(&mut self, name: impl Display, layers: impl FnOnce(&mut Self) -> Built) -> Built {
        let outer = self.path.len();
        self.path.push_str(&format!("{name}."));
        let output = layers(self);
        self.path.truncate(outer);
        output
    }

    /// Any op.
    pub(super) fn op(&mut self, name: impl Display, op: Op, operands: &[TensorId]) -> Built {
        self.graph.add(format!("{}{name}", self.path), op, operands)
    }

    /// Extent of a tensor; 0, which every op refuses, beyond its rank.
    pub(super) fn extent(&self, x: TensorId, axis: usize) -> u32 {
        self.shape(x).extent(axis).unwrap_or(0)
    }

    /// Channels of an image.
    pub(super) fn channels(&self, x: TensorId) -> u32 {
        self.extent(x, 1)
    }

    pub(super) fn shape(&self, x: TensorId) -> Shape {
        self.graph.view().tensors().get(x.index()).map(|tensor| tensor.shape).unwrap_or_default()
    }

    pub(super) fn conv(&mut self, name: impl Display, x: TensorId, conv: ConvSpec) -> Built {
        let ConvSpec { c_out, groups, windows, bias } = conv;
        let conv = Conv { c_in: self.channels(x), c_out, groups, windows, bias, weights: None };
        self.op(name, Op::Conv(conv), &[x])
    }

    pub(super) fn batch_norm(&mut self, name: impl Display, x: TensorId) -> Built {
        let features = self.channels(x);
        self.op(name, Op::BatchNorm(BatchNorm { features }), &[x])
    }

    /// Over the last axis.
    pub(super) fn layer_norm(&mut self, name: impl Display, x: TensorId) -> Built {
        self.op(name, Op::LayerNorm(LayerNorm { axes: 1, affine: Affine::BOTH }), &[x])
    }

    /// With a bias, on the last axis.
    pub(super) fn linear(&mut self, name: impl Display, x: TensorId, out_features: u32) -> Built {
        let in_features = self.shape(x).extents().last().copied().unwrap_or(0);
        self.op(name, Op::Linear(Linear { in_features, out_features, bias: true, weights: None }), &[x])
    }

    /// An activation that gives a new tensor.
    pub(super) fn activation(&mut self, name: impl Display, x: TensorId, kind: ActivationKind) -> Built {
        self.op(name, Op::Activation(Activation { kind, in_place: false }), &[x])
    }

    /// An activation that overwrites its operand.
    pub(super) fn activation_in_place(&mut self, name: impl Display, x: TensorId, kind: ActivationKind) -> Built {
        self.op(name, Op::Activation(Activation { kind, in_place: true }), &[x])
    }

    pub(super) fn relu_in_place(&mut self, name: impl Display, x: TensorId) -> Built {
        self.activation_in_place(name, x, ActivationKind::Relu)
    }

    /// `a + b`, a new tensor.
    pub(super) fn add(&mut self, name: impl Display, a: TensorId, b: TensorId) -> Built {
        self.op(name, Op::Binary(Binary { kind: BinaryKind::Add, in_place: false }), &[a, b])
    }

    /// `a += b`.
    pub(super) fn add_in_place(&mut self, name: impl Display, a: TensorId, b: TensorId) -> Built {
        self.op(name, Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[a, b])
    }

    /// `a · b`, a new tensor.
    pub(super) fn mul(&mut self, name: impl Display, a: TensorId, b: TensorId) -> Built {
        self.op(name, Op::Binary(Binary { kind: BinaryKind::Mul, in_place: false }), &[a, b])
    }

    pub(super) fn pool(&mut self, name: impl Display, x: TensorId, pool: Pool) -> Built {
        self.op(name, Op::Pool(pool), &[x])
    }

    /// Means over so many windows along each axis of an image.
    pub(super) fn adaptive_average(&mut self, name: impl Display, x: TensorId, output: [u32; 2]) -> Built {
        let pool = AdaptivePool { kind: PoolKind::Average, output: shape(&output) };
        self.op(name, Op::AdaptivePool(pool), &[x])
    }

    /// Mean of each channel of an image.
    pub(super) fn global_average(&mut self, name: impl Display, x: TensorId) -> Built {
        self.adaptive_average(name, x, [1, 1])
    }

    pub(super) fn view(&mut self, name: impl Display, x: TensorId, extents: &[u32]) -> Built {
        self.op(name, Op::View(View { shape: shape(extents) }), &[x])
    }

    /// All axes after the batch as one.
    pub(super) fn flatten(&mut self, name: impl Display, x: TensorId) -> Built {
        // The product overflows in no tensor that the graph took; were it to, no shape would match and the view be refused.
        let features = self.shape(x).extents().iter().skip(1).try_fold(1_u32, |all, &extent| all.checked_mul(extent));
        self.view(name, x, &[self.extent(x, 0), features.unwrap_or(0)])
    }

    pub(super) fn transpose(&mut self, name: impl Display, x: TensorId, order: &[u8]) -> Built {
        // No order is longer than eight; a default one would repeat axis 0 and be refused.
        let transpose = Transpose::new(order).unwrap_or(Transpose { order: Default::default() });
        self.op(name, Op::Transpose(transpose), &[x])
    }

    /// Along the channels, or whichever axis is 1.
    pub(super) fn concat(&mut self, name: impl Display, all: &[TensorId]) -> Built {
        self.op(name, Op::Concat(Concat { axis: 1 }), all)
    }

    /// Over the classes.
    pub(super) fn softmax(&mut self, name: impl Display, x: TensorId) -> Built {
        self.op(name, Op::Softmax(Softmax { axis: 1, log: false }), &[x])
    }

    /// torchvision's `Conv2dNormActivation`: convolution, batch norm, and an activation in place, unless there is none.
    pub(super) fn conv_norm(
        &mut self,
        name: impl Display,
        x: TensorId,
        conv: ConvSpec,
        activation: Option<ActivationKind>,
    ) -> Built {
        self.module(name, |net| {
            let x = net.conv(0, x, conv)?;
            let x = net.batch_norm(1, x)?;
            activation.map_or(Ok(x), |kind| net.activation_in_place(2, x, kind))
        })
    }
}

/// Shape of these extents, of which there are never more than the eight that a shape holds. Otherwise it would be that of a scalar, which
/// no layer here takes.
pub(super) fn shape(extents: &[u32]) -> Shape {
    Shape::new(extents).unwrap_or_default()
}
