//! The model zoo: networks as graphs, from one definition each; `crate::torch` runs the same graphs.
//!
//! Layer names and attributes follow torchvision 0.26, so that parameter and MAC counts can be compared with the published ones.

mod conv_stack;
mod mlp;
mod mobilenet;
mod resnet;

pub use conv_stack::ConvStack;
pub use mlp::Mlp;

use derate_core::graph::Tables;
use derate_core::op::{Activation, ActivationKind, AdaptivePool, BatchNorm, Conv, Linear, Op, PoolKind, View, Windows};
use derate_core::shape::DataType;
use derate_core::shape::Shape;
use derate_core::tensor::TensorId;

use crate::graph_buf::{GraphBuf, GraphError};

/// Networks that [`network`] knows.
pub const NETWORKS: [&str; 2] = ["resnet18", "mobilenet_v2"];

/// Graph of a named network on images of 3 × 224 × 224; `None` for a name that is not in [`NETWORKS`].
///
/// # Errors
/// [`GraphError`] for a batch so large that a count overflows.
#[must_use]
pub fn network(name: &str, batch: u32, data_type: DataType) -> Option<Result<GraphBuf, GraphError>> {
    Some(match name {
        "resnet18" => resnet::resnet18(batch, data_type),
        "mobilenet_v2" => mobilenet::mobilenet_v2(batch, data_type),
        _ => return None,
    })
}

/// A graph under construction as a chain: each layer reads what the one before gave.
struct Chain {
    graph: GraphBuf,
    /// Output of the last layer.
    at: TensorId,
    channels: u32,
}

/// Square convolution without bias; padding keeps the extent at stride 1.
#[derive(Clone, Copy)]
struct ConvSpec {
    c_out: u32,
    kernel: u16,
    stride: u16,
    groups: u32,
}

impl Chain {
    fn image(name: &str, batch: u32, data_type: DataType) -> Result<Self, GraphError> {
        let mut graph = GraphBuf::new(name);
        let at = graph.add_input(&[batch, 3, 224, 224], data_type)?;
        Ok(Self { graph, at, channels: 3 })
    }

    fn layer(&mut self, name: &str, op: Op) -> Result<(), GraphError> {
        self.at = self.graph.add(name, op, &[self.at])?;
        Ok(())
    }

    fn conv(&mut self, name: &str, conv: ConvSpec) -> Result<(), GraphError> {
        let ConvSpec { c_out, kernel, stride, groups } = conv;
        let c_in = std::mem::replace(&mut self.channels, c_out);
        let windows = Windows::square(kernel, stride, kernel / 2);
        self.layer(name, Op::Conv(Conv { c_in, c_out, groups, windows, bias: false, weights: None }))
    }

    fn batch_norm(&mut self, name: &str) -> Result<(), GraphError> {
        self.layer(name, Op::BatchNorm(BatchNorm { features: self.channels }))
    }

    fn activation(&mut self, name: &str, kind: ActivationKind) -> Result<(), GraphError> {
        self.layer(name, Op::Activation(Activation { kind, in_place: true }))
    }

    /// Global average, flatten, linear to 1000 classes.
    fn classify(mut self, pool: &str, flatten: &str, classifier: &str) -> Result<GraphBuf, GraphError> {
        let global = AdaptivePool { kind: PoolKind::Average, output: Shape::new(&[1, 1]).unwrap_or_default() };
        self.layer(pool, Op::AdaptivePool(global))?;
        let rows = self.graph.view().tensors()[self.at.index()].shape.extent(0).unwrap_or(1);
        let flat = View { shape: Shape::new(&[rows, self.channels]).unwrap_or_default() };
        self.layer(flatten, Op::View(flat))?;
        let linear = Linear { in_features: self.channels, out_features: 1000, bias: true, weights: None };
        self.layer(classifier, Op::Linear(linear))?;
        Ok(self.graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published counts: torchvision's parameter figures; MACs of its graphs at 224 × 224, batch 1.
    #[test]
    fn counts_are_the_published_ones() {
        for (name, macs, params) in [("resnet18", 1_814_073_344, 11_689_512), ("mobilenet_v2", 300_774_272, 3_504_872)]
        {
            let graph = network(name, 1, DataType::Fp32).expect("known").expect("valid");
            let work = graph.view().total_work().expect("small");
            assert_eq!((work.macs.0, work.params), (macs, params), "{name}");
            let batch = network(name, 8, DataType::Fp32).expect("known").expect("valid");
            assert_eq!(batch.view().total_work().expect("small").macs.0, 8 * macs, "{name} at batch 8");
        }
    }

    #[test]
    fn an_unknown_network_is_none() {
        assert!(network("resnet19", 1, DataType::Fp32).is_none());
    }
}
