//! Measured operators: rows of a CSV that hold the shape of a convolution, a product, a chain of layers or a sum.
//!
//! ```text
//! conv_type,in_channels,out_channels,spatial_size,kernel_size,stride,groups,batch_size,precision,…   square, padded by half the kernel, no bias
//! M,N,K,batch_size,precision,…                              x [batch, M, K] times stored weights [N, K], no bias
//! …,layer_dims,batch_size,precision,…                       linear layers of these widths, tanh between, softmax at the end
//! hardware,op,shape,dtype,latency_s,…                       matmul MxKxN of two activations, linear BATCHxINxOUT with bias, vector_add N
//! ```
//! Times are `p10_ms`, `median_ms`, `empirical_time_ms` or `mean_ms`, the first that is there. Rows of one call repeat it with the same
//! tensors. Those of the first three forms are whole runs, with a wait before and after; those of the last are ops by themselves.

use anyhow::{Context, Result};
use derate_core::calibration::{Protocol, Reuse};
use derate_core::graph::Tables;
use derate_core::op::{Activation, ActivationKind, Binary, BinaryKind, Linear, MatMul, Op, Softmax};
use derate_core::shape::{DataType, Precision};
use derate_core::tensor::TensorKind;

use super::columns::{Columns, Line};
use crate::calibrate::sample::{Sample, ops};
use crate::graph_buf::{GraphBuf, GraphError};
use crate::import::{Options, import};

/// Columns that may stand for the time, the first that is there.
const TIMES: [&str; 4] = ["p10_ms", "median_ms", "empirical_time_ms", "mean_ms"];

/// A form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Single convolutions.
    Conv2d,
    /// Single products with stored weights.
    Gemm,
    /// Chains of linear layers.
    Chain,
    /// Ops by name and shape.
    Named,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Conv2d, Self::Gemm, Self::Chain, Self::Named];

    /// Columns that tell it.
    #[must_use]
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Conv2d => &[
                "conv_type",
                "in_channels",
                "out_channels",
                "spatial_size",
                "kernel_size",
                "stride",
                "groups",
                "batch_size",
                "precision",
            ],
            Self::Gemm => &["M", "N", "K", "batch_size", "precision"],
            Self::Chain => &["layer_dims", "batch_size", "precision"],
            Self::Named => &["op", "shape", "dtype", "latency_s"],
        }
    }

    /// How its rows were timed.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Named => Protocol::PerOp,
            _ => Protocol::WholeRun,
        }
    }
}

/// Rows of a file, with their precisions.
///
/// # Errors
/// A file, line or column that is wrong, with what is allowed.
pub fn read(file: &Columns, form: Form) -> Result<Vec<(Precision, Sample)>> {
    let time = if form == Form::Named { "latency_s" } else { file.first(&TIMES)? };
    let scale = if form == Form::Named { 1.0 } else { 1e-3 };
    file.lines()
        .map(|line| {
            let precision = line.precision(if form == Form::Named { "dtype" } else { "precision" })?;
            let seconds = line.positive(time)? * scale;
            let shape = Shape::of(form, &line, precision.data_type())?;
            Ok((precision, shape.sample(precision, seconds).with_context(|| line.at(form.columns()[0]))?))
        })
        .collect()
}

/// What a row ran.
struct Shape {
    graph: GraphBuf,
    /// Without the batch.
    layer: String,
    batch: u32,
    family: &'static str,
    reuse: Reuse,
}

impl Shape {
    fn of(form: Form, line: &Line<'_>, data_type: DataType) -> Result<Self> {
        let batch = || line.count("batch_size");
        Ok(match form {
            Form::Conv2d => {
                const TYPES: [&str; 4] = ["standard", "pointwise", "depthwise", "grouped"];
                if !TYPES.contains(&line.text("conv_type")) {
                    return Err(line.wrong("conv_type", &format!("it must be one of {}", TYPES.join(", "))));
                }
                let [c_in, c_out, size, kernel, stride, groups] =
                    ["in_channels", "out_channels", "spatial_size", "kernel_size", "stride", "groups"]
                        .map(|column| line.count(column));
                let (batch, kernel) = (batch()?, kernel?);
                let described = format!(
                    "{c_in}x{size}x{size},{c_out},k{kernel},s{stride},p{padding},g{groups}",
                    c_in = c_in?,
                    size = size?,
                    c_out = c_out?,
                    stride = stride?,
                    padding = kernel / 2,
                    groups = groups?,
                );
                let options = Options { data_type, ..Options::default() };
                let graph = import(&format!("conv2d:{batch}x{described}"), &options);
                let graph = graph.with_context(|| line.at("in_channels"))?.graph;
                Self { graph, layer: described, batch, family: "conv2d", reuse: Reuse::Warm }
            }
            Form::Gemm => {
                let [m, n, k] = ["M", "N", "K"].map(|column| line.count(column));
                let (m, n, k, batch) = (m?, n?, k?, batch()?);
                let graph = product(&[batch, m, k], n, false, data_type).with_context(|| line.at("M"))?;
                Self { graph, layer: format!("{m}x{n}x{k}"), batch, family: "gemm", reuse: Reuse::Warm }
            }
            Form::Chain => {
                let (widths, batch) = (line.list("layer_dims")?, batch()?);
                let layer = widths.iter().map(u32::to_string).collect::<Vec<_>>().join("-");
                let graph = chain(&widths, batch, data_type).with_context(|| line.at("layer_dims"))?;
                Self { graph, layer, batch, family: "mlp", reuse: Reuse::Network }
            }
            Form::Named => {
                let (graph, family) = match line.text("op") {
                    "matmul" => {
                        let [m, k, n] = line.shape("shape", ["M", "K", "N"])?;
                        (of_two(&[m, k], &[k, n], MATMUL, data_type), "matmul")
                    }
                    "linear" => {
                        let [rows, inputs, outputs] = line.shape("shape", ["BATCH", "IN", "OUT"])?;
                        (product(&[rows, inputs], outputs, true, data_type), "linear")
                    }
                    "vector_add" => {
                        let [n] = line.shape("shape", ["N"])?;
                        (of_two(&[n], &[n], ADD, data_type), "vector_add")
                    }
                    _ => return Err(line.wrong("op", "it must be one of matmul, linear, vector_add")),
                };
                let graph = graph.with_context(|| line.at("shape"))?;
                Self { graph, layer: line.text("shape").to_owned(), batch: 1, family, reuse: Reuse::Warm }
            }
        })
    }

    fn sample(self, precision: Precision, seconds: f64) -> Result<Sample> {
        let view = self.graph.view();
        let (calls, works) = ops(view, 0..view.nodes().len())?;
        let name = format!("{} {} @{} {}", self.family, self.layer, self.batch, precision.name());
        Ok(Sample {
            kinds: [name.clone(), format!("{} {}", self.family, self.layer), self.family.to_owned()],
            group: name.clone(),
            name,
            ops: calls,
            works,
            weights: view.bytes_stored()?,
            reuse: self.reuse,
            seconds,
            graph: None,
        })
    }
}

const MATMUL: Op = Op::MatMul(MatMul { transpose_a: false, transpose_b: false });

const ADD: Op = Op::Binary(Binary { kind: BinaryKind::Add, in_place: false });

const TANH: Op = Op::Activation(Activation { kind: ActivationKind::Tanh, in_place: false });

/// Rows times stored weights.
fn product(rows: &[u32], out_features: u32, bias: bool, data_type: DataType) -> Result<GraphBuf, GraphError> {
    let mut graph = GraphBuf::new("linear");
    let x = graph.add_input(rows, data_type)?;
    let in_features = rows.last().copied().unwrap_or(0);
    graph.add("linear", Op::Linear(Linear { in_features, out_features, bias, weights: None }), &[x])?;
    Ok(graph)
}

/// An op of two inputs.
fn of_two(a: &[u32], b: &[u32], op: Op, data_type: DataType) -> Result<GraphBuf, GraphError> {
    let mut graph = GraphBuf::new(op.name());
    let a = graph.add_source("a", a, data_type, TensorKind::Input)?;
    let b = graph.add_source("b", b, data_type, TensorKind::Input)?;
    graph.add(op.name(), op, &[a, b])?;
    Ok(graph)
}

/// Linear layers, tanh between, softmax at the end.
fn chain(widths: &[u32], batch: u32, data_type: DataType) -> Result<GraphBuf, GraphError> {
    let mut graph = GraphBuf::new("mlp");
    let mut x = graph.add_input(&[batch, widths[0]], data_type)?;
    for (place, pair) in widths.windows(2).enumerate() {
        let linear = Linear { in_features: pair[0], out_features: pair[1], bias: true, weights: None };
        x = graph.add(format!("linear{place}"), Op::Linear(linear), &[x])?;
        let last = place + 2 == widths.len();
        let op = if last { Op::Softmax(Softmax { axis: 1, log: false }) } else { TANH };
        x = graph.add(format!("{}{place}", op.name()), op, &[x])?;
    }
    Ok(graph)
}
