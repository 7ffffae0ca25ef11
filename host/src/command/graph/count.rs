//! What is counted of each op and each kernel.

use std::collections::BTreeSet;

use anyhow::Result;
use derate_core::Error;
use derate_core::fusion::{Fused, Kernel, Rule};
use derate_core::graph::{Node, Tables};
use derate_core::memory::{Buffer, lifetimes};
use derate_core::tensor::{Operands, TensorId, TensorKind};
use derate_core::units::{Bytes, FlopsPerByte};
use derate_core::work::{Class, Work};
use serde::Serialize;

use crate::export::drawing::members;
use crate::graph_buf::GraphBuf;

/// One op.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Op {
    pub(super) name: String,
    pub(super) op: &'static str,
    pub(super) class: Class,
    pub(super) macs: u64,
    pub(super) flops: u64,
    /// Of the op, and of the stored tensors that it is the first to read.
    pub(super) params: u64,
    pub(super) bytes_in: u64,
    /// Of parameters and constants that it reads, whoever else reads them.
    pub(super) bytes_weight: u64,
    pub(super) bytes_out: u64,
    pub(super) operational_intensity: Option<f64>,
    pub(super) input_shapes: Vec<Vec<u32>>,
    pub(super) output_shape: Vec<u32>,
    pub(super) data_type: &'static str,
    /// Of parameters and constants that no op before it reads.
    pub(super) bytes_stored: u64,
    /// Bytes of activations alive while it runs.
    pub(super) bytes_live: u64,
}

impl Op {
    /// Bytes that it must move.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_in.saturating_add(self.bytes_weight).saturating_add(self.bytes_out)
    }
}

/// FLOP a byte; `None` for an op that moves nothing.
pub(super) fn intensity(intensity: FlopsPerByte) -> Option<f64> {
    Some(f64::from(intensity.0)).filter(|value| value.is_finite())
}

/// Every op of a graph, in execution order.
pub(super) fn ops(graph: &GraphBuf) -> Result<Vec<Op>> {
    let view = graph.view();
    let mut buffers = vec![Buffer::EMPTY; view.tensors().len()];
    let lifetimes = lifetimes(view, None, &mut buffers)?;
    let live: Vec<Bytes> = lifetimes.live()?.collect::<Result<_, Error>>()?;
    let mut read = BTreeSet::new();
    let mut ops = Vec::with_capacity(view.nodes().len());
    for ((node, name), live) in view.nodes().iter().zip(graph.names()).zip(live) {
        ops.push(op(graph, node, name, live, &mut read)?);
    }
    Ok(ops)
}

/// One op; `read` are the stored tensors that those before it read.
fn op(graph: &GraphBuf, node: &Node, name: &str, live: Bytes, read: &mut BTreeSet<TensorId>) -> Result<Op> {
    let view = graph.view();
    let (work, output, operands) = (view.work(node)?, view.output(node)?, view.operands(node));
    let first = first_read(operands, read)?;
    let shapes = operands.iter().map(|operand| Ok(operand?.1.shape.extents().to_vec()));
    Ok(Op {
        name: name.to_owned(),
        op: node.op.name(),
        class: work.class,
        macs: work.macs.0,
        flops: work.flops.0,
        params: work.params.saturating_add(first.params),
        bytes_in: work.bytes_in.0,
        bytes_weight: work.bytes_weight.0,
        bytes_out: work.bytes_out.0,
        operational_intensity: intensity(work.operational_intensity()?),
        input_shapes: shapes.collect::<Result<_, Error>>()?,
        output_shape: output.shape.extents().to_vec(),
        data_type: output.data_type.name(),
        bytes_stored: work.bytes_stored.0.saturating_add(first.bytes),
        bytes_live: live.0,
    })
}

/// Parameters and bytes of stored tensors.
#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    params: u64,
    bytes: u64,
}

/// What of the stored tensors among these operands no op has read before.
fn first_read(operands: Operands<'_>, read: &mut BTreeSet<TensorId>) -> Result<Stored, Error> {
    let mut stored = Stored::default();
    for (operand, id) in operands.iter().zip(operands.ids()) {
        let (_, tensor) = operand?;
        if tensor.kind.is_stored() && read.insert(*id) {
            let params = if tensor.kind == TensorKind::Parameter { tensor.shape.elements()? } else { 0 };
            stored.params = stored.params.saturating_add(params);
            stored.bytes = stored.bytes.saturating_add(tensor.bytes()?.0);
        }
    }
    Ok(stored)
}

/// One kernel.
#[derive(Clone, Debug, Serialize)]
pub(super) struct KernelCount {
    /// Name of the op that takes most of its time.
    pub(super) name: String,
    /// Rule of the policy; `None` for a single op.
    pub(super) rule: Option<&'static str>,
    /// Names of its ops, in their order.
    pub(super) ops: Vec<String>,
    pub(super) macs: u64,
    pub(super) flops: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_weight: u64,
    pub(super) bytes_out: u64,
    /// Bytes that its ops move when each runs alone.
    pub(super) bytes_unfused: u64,
    pub(super) class: Class,
    #[serde(skip)]
    pub(super) why: Option<&'static Rule>,
}

impl KernelCount {
    /// Bytes that cross its border.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes_in.saturating_add(self.bytes_weight).saturating_add(self.bytes_out)
    }
}

/// Every kernel, in execution order.
pub(super) fn kernels(graph: &GraphBuf, fused: Fused<'_>) -> Result<Vec<KernelCount>> {
    fused.kernels().map(|kernel| kernel_count(graph, &fused, &kernel)).collect()
}

fn kernel_count(graph: &GraphBuf, fused: &Fused<'_>, kernel: &Kernel<'_>) -> Result<KernelCount> {
    let view = graph.view();
    let work = kernel.work()?;
    let main = kernel.main();
    let (mut ops, mut name, mut unfused) = (Vec::new(), String::new(), Work::none(Class::View));
    for index in members(kernel) {
        let (Some(node), Some(named)) = (view.nodes().get(index), graph.names().get(index)) else { continue };
        let alone = view.work(node)?;
        let alone = if fused.policy().is_view(view, node) { alone.as_view() } else { alone };
        unfused = unfused.checked_add(&alone)?;
        if main == Some(node) {
            name.clone_from(named);
        }
        ops.push(named.clone());
    }
    let why = kernel.rule();
    Ok(KernelCount {
        name,
        rule: why.map(|rule| rule.name),
        ops,
        macs: work.macs.0,
        flops: work.flops.0,
        bytes_in: work.bytes_in.0,
        bytes_weight: work.bytes_weight.0,
        bytes_out: work.bytes_out.0,
        bytes_unfused: unfused.compulsory_traffic()?.0,
        class: work.class,
        why,
    })
}

#[cfg(test)]
mod tests {
    use derate_core::op::{Binary, BinaryKind, Op as CoreOp};
    use derate_core::shape::DataType;

    use super::*;

    /// x + table, the sum + table, and that + mask: the table is learned, the mask is not.
    fn net() -> Result<GraphBuf> {
        let mut net = GraphBuf::new("net");
        let x = net.add_input(&[2, 8], DataType::Fp32)?;
        let table = net.add_source("table", &[8], DataType::Fp32, TensorKind::Parameter)?;
        let mask = net.add_source("mask", &[2, 1], DataType::Fp32, TensorKind::Constant)?;
        let add = CoreOp::Binary(Binary { kind: BinaryKind::Add, in_place: false });
        let first = net.add("first", add, &[x, table])?;
        let second = net.add("second", add, &[first, table])?;
        net.add("third", add, &[second, mask])?;
        Ok(net)
    }

    #[test]
    fn a_stored_tensor_counts_once_where_it_is_first_read() -> Result<()> {
        let net = net()?;
        let ops = ops(&net)?;
        let all = |value: fn(&Op) -> u64| ops.iter().map(value).collect::<Vec<_>>();
        assert_eq!(all(|op| op.params), [8, 0, 0]);
        assert_eq!(all(|op| op.bytes_stored), [32, 0, 8]);
        // Whoever reads it moves it.
        assert_eq!(all(|op| op.bytes_weight), [32, 32, 8]);
        let work = net.view().total_work()?;
        assert_eq!((work.params, work.bytes_stored), (8, Bytes(40)));
        assert_eq!(all(|op| op.bytes_live), [128, 128, 128]);
        // 16 FLOP over 64 + 32 + 64 bytes.
        assert_eq!(ops[0].operational_intensity, Some(f64::from(16.0_f32 / 160.0)));
        Ok(())
    }
}
