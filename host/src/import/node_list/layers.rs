//! Nodes to ops, by the names and attributes of PyTorch's modules.

use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Concat, Conv,
    GroupNorm, LayerNorm, Linear, MatMul, Move, MoveKind, MultiHeadAttention, Op, Pool, PoolKind, Scalar, Softmax,
    Transpose, View, Window, Windows,
};
use derate_core::shape::Shape;
use derate_core::tensor::TensorId;
use serde_json::Value;

use super::values::{extents, flag, number, shown};
use super::{Node, Reader, Step, Stop, unsupported};

/// Attributes of a node; what is wrong with one is an error of the node.
struct Attributes<'a> {
    reader: &'a Reader,
    node: &'a Node<'a>,
}

impl<'a> Attributes<'a> {
    fn wrong(&self, message: impl Into<String>) -> Stop {
        Stop::Error(self.reader.builder.error(self.node.name, message))
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.node.attributes.and_then(|attributes| attributes.get(key))
    }

    fn required(&self, key: &str) -> Step<&'a Value> {
        self.value(key).ok_or_else(|| self.wrong(format!("\"{key}\" is missing")))
    }

    fn count(&self, key: &str) -> Step<u32> {
        number(self.required(key)?, 1).map_err(|message| self.wrong(format!("\"{key}\": {message}")))
    }

    fn flag(&self, key: &str) -> Step<bool> {
        let Some(attributes) = self.node.attributes else { return Ok(false) };
        flag(attributes, key).map_err(|message| self.wrong(message))
    }

    /// A flag that must be there.
    fn stated(&self, key: &str) -> Step<bool> {
        self.required(key)?;
        self.flag(key)
    }

    /// A number for each of so many axes: a list, or one for all; `default` where it is left out.
    fn each(&self, key: &str, axes: usize, default: Option<u16>) -> Step<Vec<u16>> {
        let value = match (self.value(key), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return Ok(vec![default; axes]),
            (None, None) => self.required(key)?,
        };
        let read = |value: &Value| number(value, 0).map_err(|message| self.wrong(format!("\"{key}\": {message}")));
        match value {
            Value::Array(items) if items.len() == axes => items.iter().map(read).collect(),
            Value::Array(items) => Err(self.wrong(format!("\"{key}\": {} axes; {axes} are needed", items.len()))),
            single => Ok(vec![read(single)?; axes]),
        }
    }

    fn windows(&self, axes: usize, stride: Option<u16>) -> Step<Windows> {
        let (kernel, stride) = (self.each("kernel", axes, None)?, self.each("stride", axes, stride)?);
        let (padding, dilation) = (self.each("padding", axes, Some(0))?, self.each("dilation", axes, Some(1))?);
        let windows: Vec<Window> = kernel
            .into_iter()
            .zip(stride)
            .zip(padding)
            .zip(dilation)
            .map(|(((kernel, stride), side), dilation)| Window { kernel, stride, padding: [side; 2], dilation })
            .collect();
        Windows::new(&windows).map_err(|error| self.wrong(error.to_string()))
    }

    /// A positional argument as called.
    fn argument(&self, place: usize) -> Option<&'a Value> {
        self.value("args").and_then(Value::as_array).and_then(|arguments| arguments.get(place))
    }

    /// An axis: an attribute `dim`, a keyword or a positional argument; counted from the end where negative.
    fn axis(&self, place: usize, rank: u8, default: Option<i64>) -> Step<u8> {
        let keyword = self.value("kwargs").and_then(|keywords| keywords.get("dim"));
        let value = self.value("dim").or(keyword).or_else(|| self.argument(place));
        let axis = match value {
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(format!("axis {} is no number", shown(value))))?,
            None => default.ok_or_else(|| self.wrong("\"dim\" is missing"))?,
        };
        let from_the_front = if axis < 0 { axis.saturating_add(i64::from(rank)) } else { axis };
        let axis = u8::try_from(from_the_front).ok().filter(|&axis| axis < rank);
        axis.ok_or_else(|| self.wrong(format!("axis {from_the_front} of a tensor of {rank} axes")))
    }
}

/// The number of axes at the end of a name such as `conv2d`.
fn axes_of(op: &str) -> usize {
    match op.as_bytes() {
        [.., b'1', b'd'] => 1,
        [.., b'3', b'd'] => 3,
        _ => 2,
    }
}

fn binary(op: &str) -> Option<BinaryKind> {
    BinaryKind::ALL.into_iter().find(|kind| kind.name() == op).filter(|kind| {
        use BinaryKind::{Add, Div, Max, Min, Mul, Pow, Sub};
        matches!(kind, Add | Sub | Mul | Div | Pow | Max | Min)
    })
}

impl Reader {
    /// The op that a node is, on its operands; `wanted` is the shape that the file states.
    pub(super) fn computed(&mut self, node: &Node<'_>, operands: &[TensorId], wanted: Shape) -> Step<TensorId> {
        let Some(&first) = operands.first() else { return unsupported("it reads no tensor") };
        let rank = self.builder.shape(first).rank();
        let op = self.op(node, operands.len(), rank, wanted)?;
        // An op takes its own operands; scalars among the inputs are attributes.
        let taken = match op {
            Op::Concat(_) => operands.len(),
            Op::Binary(_) | Op::MatMul(_) => 2,
            Op::MultiHeadAttention(_) => 3,
            Op::Attention(_) => operands.len().min(4),
            _ => 1,
        };
        match operands.get(..taken) {
            Some(operands) => Ok(self.builder.op(node.name, op, operands)?),
            None => {
                let message = format!("{} of {} tensors; {taken} are needed", node.op, operands.len());
                Err(Stop::Error(self.builder.error(node.name, message)))
            }
        }
    }

    fn op(&self, node: &Node<'_>, operands: usize, rank: u8, wanted: Shape) -> Step<Op> {
        let a = Attributes { reader: self, node };
        let in_place = a.flag("inplace")?;
        if let Some(kind) = binary(node.op) {
            let scalar = operands == 1;
            return Ok(if scalar {
                Op::Scalar(Scalar { kind, in_place })
            } else {
                Op::Binary(Binary { kind, in_place })
            });
        }
        if node.op != "gelu"
            && let Some(kind) = ActivationKind::ALL.into_iter().find(|kind| kind.name() == node.op)
        {
            return Ok(Op::Activation(Activation { kind, in_place }));
        }
        Ok(match node.op {
            "gelu" => {
                let tanh = a.value("approximate").is_some_and(|value| value == "tanh");
                let kind = if tanh { ActivationKind::GeluTanh } else { ActivationKind::Gelu };
                Op::Activation(Activation { kind, in_place })
            }
            "conv1d" | "conv2d" | "conv3d" => Op::Conv(Conv {
                c_in: a.count("in_channels")?,
                c_out: a.count("out_channels")?,
                groups: if a.value("groups").is_some() { a.count("groups")? } else { 1 },
                windows: a.windows(axes_of(node.op), Some(1))?,
                bias: a.stated("bias")?,
                weights: None,
            }),
            "linear" => Op::Linear(Linear {
                in_features: a.count("in_features")?,
                out_features: a.count("out_features")?,
                bias: a.stated("bias")?,
                weights: None,
            }),
            "batch_norm" if a.value("affine") == Some(&Value::Bool(false)) => {
                return unsupported("a batch normalisation without weight and bias");
            }
            "batch_norm" => Op::BatchNorm(BatchNorm { features: a.count("num_features")? }),
            "layer_norm" => {
                let axes = match a.required("normalized_shape")? {
                    Value::Array(items) => items.len(),
                    _ => 1,
                };
                let axes = u8::try_from(axes)
                    .map_err(|_| a.wrong(format!("{axes} normalised axes; at most 8 are possible")))?;
                Op::LayerNorm(LayerNorm { axes, affine: self.affine(&a)? })
            }
            "group_norm" => Op::GroupNorm(GroupNorm { groups: a.count("num_groups")?, affine: self.affine(&a)? }),
            "multihead_attention" => {
                if !a.stated("batch_first")? {
                    return unsupported("attention with the batch on axis 1");
                }
                let embed = a.count("embed_dim")?;
                let features = |key: &str| if a.value(key).is_some() { a.count(key) } else { Ok(embed) };
                Op::MultiHeadAttention(MultiHeadAttention {
                    embed,
                    heads: a.count("num_heads")?,
                    k_features: features("kdim")?,
                    v_features: features("vdim")?,
                    bias: a.stated("bias")?,
                })
            }
            "scaled_dot_product_attention" => Op::Attention(Attention { causal: a.flag("is_causal")? }),
            "max_pool1d" | "max_pool2d" | "max_pool3d" => self.pool(&a, PoolKind::Max)?,
            "avg_pool1d" | "avg_pool2d" | "avg_pool3d" => self.pool(&a, PoolKind::Average)?,
            "adaptive_avg_pool1d" | "adaptive_avg_pool2d" | "adaptive_avg_pool3d" => {
                self.adaptive(&a, PoolKind::Average)?
            }
            "adaptive_max_pool1d" | "adaptive_max_pool2d" | "adaptive_max_pool3d" => {
                self.adaptive(&a, PoolKind::Max)?
            }
            "matmul" | "bmm" => Op::MatMul(MatMul { transpose_a: false, transpose_b: false }),
            "softmax" => Op::Softmax(Softmax { axis: a.axis(1, rank, None)?, log: false }),
            "log_softmax" => Op::Softmax(Softmax { axis: a.axis(1, rank, None)?, log: true }),
            "cat" => Op::Concat(Concat { axis: a.axis(1, rank, Some(0))? }),
            "flatten" | "reshape" | "view" | "squeeze" | "unsqueeze" => Op::View(View { shape: wanted }),
            "expand" => Op::Move(Move { kind: MoveKind::Expand, shape: wanted }),
            "contiguous" | "clone" => Op::Move(Move { kind: MoveKind::Copy, shape: wanted }),
            "permute" => {
                let stated = a.value("args").and_then(Value::as_array).map(|items| items.iter().skip(1));
                let axes: Option<Vec<u8>> =
                    stated.and_then(|items| items.map(|item| u8::try_from(item.as_i64()?).ok()).collect());
                let axes = axes.ok_or_else(|| a.wrong("\"args\": the order of the axes is needed, from 0"))?;
                Op::Transpose(Transpose::new(&axes).map_err(|error| a.wrong(error.to_string()))?)
            }
            _ => return unsupported("no op describes it"),
        })
    }

    fn affine(&self, a: &Attributes<'_>) -> Step<Affine> {
        let affine = if a.value("affine").is_some() { a.flag("affine")? } else { true };
        Ok(if affine { Affine::BOTH } else { Affine::NONE })
    }

    fn pool(&self, a: &Attributes<'_>, kind: PoolKind) -> Step<Op> {
        let windows = a.windows(axes_of(a.node.op), None)?;
        Ok(Op::Pool(Pool { kind, windows, ceil_mode: a.flag("ceil_mode")? }))
    }

    /// The output extents are an attribute of the module, an argument of the function.
    fn adaptive(&self, a: &Attributes<'_>, kind: PoolKind) -> Step<Op> {
        let axes = axes_of(a.node.op);
        let value = a.value("output_size").or_else(|| a.argument(1));
        let value = value.ok_or_else(|| a.wrong("\"output_size\" is missing"))?;
        let size = match value {
            Value::Array(_) => extents(value).map_err(|message| a.wrong(format!("\"output_size\": {message}")))?,
            single => vec![number(single, 1).map_err(|message| a.wrong(format!("\"output_size\": {message}")))?; axes],
        };
        let output = Shape::new(&size).map_err(|error| a.wrong(error.to_string()))?;
        Ok(Op::AdaptivePool(AdaptivePool { kind, output }))
    }
}
