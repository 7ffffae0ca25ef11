//! The graph that is benched: ResNet-50 at 224 × 224, batch 1, fp32, as 175 ops; any number of copies side by side.
//!
//! **Source**: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1, with the stride of a block in its 3 × 3
//! convolution, as torchvision has it.

use derate_core::Error;
use derate_core::fusion::{Fused, INFERENCE, Link, Readers, fuse};
use derate_core::graph::{Build, Graph, Tables};
use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, BatchNorm, Binary, BinaryKind, Conv, Linear, Op, Pool, PoolKind, View,
    Windows,
};
use derate_core::shape::{DataType, Shape};
use derate_core::tensor::TensorId;
use derate_core::work::{Class, Work};

/// Ops of one network.
pub(crate) const OPS: usize = 175;

/// Most networks in one graph.
pub(crate) const COPIES: usize = 8;

/// A graph of up to [`COPIES`] networks: each has an input, and 16 additions that read a tensor more.
pub(crate) type Networks = Graph<{ OPS * COPIES }, { (OPS + 1 + 16) * COPIES }>;

/// So many networks, each with an input of its own.
///
/// # Errors
/// [`Error::CapacityExceeded`] beyond [`COPIES`].
pub(crate) fn networks(copies: usize) -> Result<Networks, Error> {
    networks_of(copies, DataType::Fp32)
}

/// The same of another data type.
///
/// # Errors
/// [`Error::CapacityExceeded`] beyond [`COPIES`].
pub(crate) fn networks_of(copies: usize, data_type: DataType) -> Result<Networks, Error> {
    let mut graph = Graph::new();
    for _ in 0..copies {
        network(&mut graph, data_type)?;
    }
    Ok(graph)
}

/// Scratch of fusion for any of the graphs.
#[derive(Debug)]
pub(crate) struct Scratch {
    readers: [Readers; (OPS + 1 + 16) * COPIES],
    links: [Link; OPS * COPIES],
}

impl Default for Scratch {
    fn default() -> Self {
        Self { readers: [Readers::NOBODY; (OPS + 1 + 16) * COPIES], links: [Link::FREE; OPS * COPIES] }
    }
}

impl Scratch {
    /// The kernels of an inference runtime.
    ///
    /// # Errors
    /// None for the graphs of this module.
    pub(crate) fn fuse<'a>(&'a mut self, graph: &'a Networks) -> Result<Fused<'a>, Error> {
        fuse(graph.view(), &INFERENCE, &mut self.readers, &mut self.links)
    }
}

/// Fuses the graph as an inference runtime does: the number of kernels, and the work of all of them.
///
/// # Errors
/// [`Error::CountOverflow`], for which there is no reason here.
pub(crate) fn fused(graph: &Networks, scratch: &mut Scratch) -> Result<(usize, Work), Error> {
    scratch.fuse(graph)?.kernels().try_fold((0, Work::none(Class::View)), |(kernels, sum), kernel| {
        Ok((kernels + 1, sum.checked_add(&kernel.work()?)?))
    })
}

fn network(graph: &mut impl Tables, data_type: DataType) -> Result<(), Error> {
    let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true });
    let mut x = graph.input(&[1, 3, 224, 224], data_type)?;
    x = conv(graph, x, [3, 64], Windows::square(7, 2, 3))?;
    x = graph.op(relu, &[x])?;
    x = graph.op(Op::Pool(Pool { kind: PoolKind::Max, windows: Windows::square(3, 2, 1), ceil_mode: false }), &[x])?;
    let mut c_in = 64;
    for (blocks, width, stride) in [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)] {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let c_out = 4 * width;
            let mut y = conv(graph, x, [c_in, width], Windows::square(1, 1, 0))?;
            y = graph.op(relu, &[y])?;
            y = conv(graph, y, [width, width], Windows::square(3, stride, 1))?;
            y = graph.op(relu, &[y])?;
            y = conv(graph, y, [width, c_out], Windows::square(1, 1, 0))?;
            let skip = if block == 0 { conv(graph, x, [c_in, c_out], Windows::square(1, stride, 0))? } else { x };
            y = graph.op(Op::Binary(Binary { kind: BinaryKind::Add, in_place: true }), &[y, skip])?;
            x = graph.op(relu, &[y])?;
            c_in = c_out;
        }
    }
    x = graph.op(Op::AdaptivePool(AdaptivePool::global_average()?), &[x])?;
    x = graph.op(Op::View(View { shape: Shape::new(&[1, c_in])? }), &[x])?;
    graph.op(Op::Linear(Linear { in_features: c_in, out_features: 1000, bias: true, weights: None }), &[x])?;
    Ok(())
}

/// A convolution and the batch norm after it.
fn conv(graph: &mut impl Tables, x: TensorId, [c_in, c_out]: [u32; 2], windows: Windows) -> Result<TensorId, Error> {
    let y = graph.op(Op::Conv(Conv { c_in, c_out, groups: 1, windows, bias: false, weights: None }), &[x])?;
    graph.op(Op::BatchNorm(BatchNorm { features: c_out }), &[y])
}
