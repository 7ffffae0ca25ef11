//! The same network on other data types: what an imported graph computes in, as another precision would.

use derate_core::graph::Tables;
use derate_core::op::Op;
use derate_core::shape::DataType;
use derate_core::tensor::TensorId;

use crate::graph_buf::{GraphBuf, GraphError};

/// The graph with every real number, and every integer that stands for one (int8 and int16), stored as `to`. Weights are stored as
/// their operands. Indices, masks and accumulators (int64, bool, int32) stay.
///
/// Conversions and quantizations that have nothing left to do are left out: an int8 network in fp32 has none.
///
/// # Errors
/// [`GraphError`] where an op refuses its operands, as one that mixes accumulators with values of another type.
pub fn retyped(graph: &GraphBuf, to: DataType) -> Result<GraphBuf, GraphError> {
    let view = graph.view();
    let mut new = GraphBuf::new(graph.name());
    let mut names =
        graph.sources().iter().map(|(id, name)| (id.index(), name)).collect::<std::collections::HashMap<_, _>>();
    let mut numbers: Vec<Option<TensorId>> = vec![None; view.tensors().len()];
    for (slot, tensor) in view.tensors().iter().enumerate() {
        let Some(name) = names.remove(&slot) else { continue };
        let id = new.add_source(name, tensor.shape.extents(), other(tensor.data_type, to), tensor.kind)?;
        if let Some(number) = numbers.get_mut(slot) {
            *number = Some(id);
        }
    }
    for (node, name) in view.nodes().iter().zip(graph.names()) {
        let known = |id: &TensorId| numbers.get(id.index()).copied().flatten();
        let operands: Vec<TensorId> = view.operands(node).ids().iter().filter_map(known).collect();
        let found = operands.first().and_then(|id| new.view().tensors().get(id.index())).map(|tensor| tensor.data_type);
        let op = op(node.op, found, to);
        let first = match (&op, operands.first()) {
            (Op::Cast(cast), Some(&operand)) if found == Some(cast.to) => operand,
            (Op::Quantize(quantize), Some(&operand)) if found == Some(quantize.to) => operand,
            _ => new.add_node(name, op, &operands, node.shared)?,
        };
        for (position, id) in (0..).zip(view.outputs(node)) {
            if let Some(number) = numbers.get_mut(id.index()) {
                *number = Some(first.offset(position));
            }
        }
    }
    Ok(new)
}

/// What a data type becomes.
const fn other(data_type: DataType, to: DataType) -> DataType {
    match data_type {
        DataType::Fp64 | DataType::Fp32 | DataType::Bf16 | DataType::Fp16 | DataType::Int8 | DataType::Int16 => to,
        kept => kept,
    }
}

/// The op on operands of which the first now has the data type `found`.
fn op(op: Op, found: Option<DataType>, to: DataType) -> Op {
    let mut op = op;
    match &mut op {
        Op::Linear(linear) => linear.weights = None,
        Op::Conv(conv) => conv.weights = None,
        Op::ConvTranspose(conv) => conv.weights = None,
        Op::Embedding(embedding) => embedding.data_type = other(embedding.data_type, to),
        Op::Cast(cast) => cast.to = other(cast.to, to),
        Op::Quantize(quantize) => {
            quantize.to = other(quantize.to, to);
            // Scaling between real numbers is none; accumulators are converted still.
            if quantize.to == to && !matches!(to, DataType::Int8) && found != Some(to) {
                op = Op::Cast(derate_core::op::Cast { to });
            }
        }
        _ => {}
    }
    op
}

#[cfg(test)]
mod tests {
    use super::*;
    use derate_core::op::{Activation, ActivationKind, Linear, Quantize};
    use derate_core::tensor::TensorKind;

    /// Quantize, an int8 layer with weights of its own type, ReLU, dequantize.
    fn quantized() -> GraphBuf {
        let mut graph = GraphBuf::new("quantized");
        let x = graph.add_input(&[2, 8], DataType::Fp32).expect("valid");
        let q = graph.add("quantize", Op::Quantize(Quantize { to: DataType::Int8 }), &[x]).expect("valid");
        let layer = Linear { in_features: 8, out_features: 4, bias: true, weights: Some(DataType::Int8) };
        let y = graph.add("linear", Op::Linear(layer), &[q]).expect("valid");
        let relu = Op::Activation(Activation { kind: ActivationKind::Relu, in_place: true });
        let y = graph.add("relu", relu, &[y]).expect("valid");
        graph.add("dequantize", Op::Quantize(Quantize { to: DataType::Fp32 }), &[y]).expect("valid");
        graph
    }

    #[test]
    fn an_int8_network_in_fp32_has_no_quantization_left() {
        let graph = retyped(&quantized(), DataType::Fp32).expect("valid");
        assert_eq!(graph.names(), ["linear", "relu"]);
        assert!(graph.view().tensors().iter().all(|tensor| tensor.data_type == DataType::Fp32));
        // 8 · 4 weights and 4 biases of 4 bytes; in int8 32 of 1 byte and 4 of 4.
        let bytes = |graph: &GraphBuf| graph.view().bytes_stored().expect("small").0;
        assert_eq!((bytes(&graph), bytes(&quantized())), (144, 48));
        let macs = |graph: &GraphBuf| graph.view().total_work().expect("small").macs;
        assert_eq!(macs(&graph), macs(&quantized()));
    }

    #[test]
    fn indices_stay_and_sources_keep_their_names_and_kinds() {
        let mut graph = GraphBuf::new("lookup");
        let table = graph.add_source("table", &[10, 4], DataType::Fp32, TensorKind::Parameter).expect("valid");
        let rows = graph.add_source("rows", &[3], DataType::Int64, TensorKind::Input).expect("valid");
        let gather = Op::Gather(derate_core::op::Gather { axis: 0 });
        graph.add("gather", gather, &[table, rows]).expect("valid");
        let half = retyped(&graph, DataType::Fp16).expect("valid");
        let types: Vec<DataType> = half.view().tensors().iter().map(|tensor| tensor.data_type).collect();
        assert_eq!(types, [DataType::Fp16, DataType::Int64, DataType::Fp16]);
        assert_eq!(half.sources(), graph.sources());
        assert_eq!(half.view().tensors()[0].kind, TensorKind::Parameter);
    }
}
