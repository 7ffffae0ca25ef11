//! The network: the anomaly detection autoencoder of MLPerf Tiny, fp32, batch 1.
//!
//! **Source**: MLCommons Tiny, `benchmark/training/anomaly_detection/keras_model.py`: dense layers
//! 640-128-128-128-128-8-128-128-128-128-640, batch norm and ReLU after each but the last. Batch norm is folded into the layer
//! before it, as converters for inference do: 265,864 parameters are left of 269,992.

use derate_core::Error;
use derate_core::graph::{Build, Graph};
use derate_core::op::{Activation, ActivationKind, Linear, Op};
use derate_core::shape::DataType;

/// Widths of the activations, from the input (5 frames of 128 mel bands) to the output, which reconstructs it.
pub const WIDTHS: [u32; 11] = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640];

/// Ops: ten dense layers, and a ReLU after each but the last.
pub const OPS: usize = 19;

/// Tensors: the input, and what each op gives.
pub const TENSORS: usize = OPS + 1;

/// The autoencoder as a graph.
///
/// # Errors
/// None with these widths; what [`Build::op`] refuses.
pub fn autoencoder() -> Result<Graph<OPS, TENSORS>, Error> {
    let mut graph = Graph::new();
    let mut x = graph.input(&[1, WIDTHS[0]], DataType::Fp32)?;
    for (layer, pair) in WIDTHS.windows(2).enumerate() {
        if layer > 0 {
            x = graph.op(Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true }), &[x])?;
        }
        if let &[in_features, out_features] = pair {
            x = graph.op(Op::Linear(Linear { in_features, out_features, bias: true, weights: None }), &[x])?;
        }
    }
    Ok(graph)
}
