//! Ops to their attributes in a graph file, and back.

use derate_core::op::{
    Activation, ActivationKind, AdaptivePool, Affine, Attention, BatchNorm, Binary, BinaryKind, Cast, Cell, Concat,
    Contraction, Conv, ConvTranspose, Embedding, Gather, GroupNorm, LayerNorm, Linear, LocalResponseNorm, MatMul, Move,
    MoveKind, MultiHeadAttention, Op, PRelu, Pick, Pool, PoolKind, Quantize, Recurrent, Reduce, ReduceKind, Resize,
    ResizeKind, RmsNorm, Scalar, Scan, Scatter, Softmax, TopK, Transpose, View, Where, Windows,
};
use derate_core::shape::{DataType, Shape};
use serde_json::{Value, json};

use super::values::Fields;

/// The attributes of an op, in the order of the table; those that are left out have their default.
pub(super) fn attributes(op: &Op, rank: u8) -> Vec<(&'static str, Value)> {
    let mut out = Vec::new();
    let mut put = |key: &'static str, value: Value| out.push((key, value));
    match *op {
        Op::Linear(op) => {
            put("in_features", json!(op.in_features));
            put("out_features", json!(op.out_features));
            put("bias", json!(op.bias));
            weights(op.weights, &mut put);
        }
        Op::MatMul(op) => {
            flag("transpose_a", op.transpose_a, &mut put);
            flag("transpose_b", op.transpose_b, &mut put);
        }
        Op::Contraction(op) => {
            put("shape", shape(&op.shape));
            for (key, extent) in [("batch", op.batch), ("m", op.m), ("n", op.n), ("k", op.k)] {
                put(key, json!(extent));
            }
        }
        Op::Conv(op) => {
            put("in_channels", json!(op.c_in));
            put("out_channels", json!(op.c_out));
            windows(&op.windows, false, &mut put);
            put("groups", json!(op.groups));
            put("bias", json!(op.bias));
            weights(op.weights, &mut put);
        }
        Op::ConvTranspose(op) => {
            put("in_channels", json!(op.c_in));
            put("out_channels", json!(op.c_out));
            windows(&op.windows, false, &mut put);
            let output_padding: Vec<u16> = op.output_padding.into_iter().take(op.windows.axes().len()).collect();
            if output_padding.iter().any(|&more| more > 0) {
                put("output_padding", json!(output_padding));
            }
            put("groups", json!(op.groups));
            put("bias", json!(op.bias));
            weights(op.weights, &mut put);
        }
        Op::Attention(op) => flag("causal", op.causal, &mut put),
        Op::MultiHeadAttention(op) => {
            put("embed_dim", json!(op.embed));
            put("num_heads", json!(op.heads));
            put("k_features", json!(op.k_features));
            put("v_features", json!(op.v_features));
            put("bias", json!(op.bias));
        }
        Op::Recurrent(op) => {
            put("input_size", json!(op.input));
            put("hidden_size", json!(op.hidden));
            put("num_layers", json!(op.layers));
            flag("bidirectional", op.bidirectional, &mut put);
            put("bias", json!(op.bias));
            flag("batch_first", op.batch_first, &mut put);
        }
        Op::BatchNorm(op) => put("num_features", json!(op.features)),
        Op::LayerNorm(op) => {
            put("axes", json!(op.axes));
            put("weight", json!(op.affine.weight));
            put("bias", json!(op.affine.bias));
        }
        Op::RmsNorm(op) => put("weight", json!(op.weight)),
        Op::GroupNorm(op) => {
            put("groups", json!(op.groups));
            put("weight", json!(op.affine.weight));
            put("bias", json!(op.affine.bias));
        }
        Op::LocalResponseNorm(op) => put("size", json!(op.size)),
        Op::Activation(op) => flag("in_place", op.in_place, &mut put),
        Op::PRelu(op) => put("slopes", json!(op.slopes)),
        Op::Binary(op) => flag("in_place", op.in_place, &mut put),
        Op::Scalar(op) => flag("in_place", op.in_place, &mut put),
        Op::Cast(op) => put("to", json!(op.to.name())),
        Op::Quantize(op) => put("to", json!(op.to.name())),
        Op::Softmax(op) => put("axis", json!(op.axis)),
        Op::Pool(op) => {
            windows(&op.windows, true, &mut put);
            flag("ceil_mode", op.ceil_mode, &mut put);
        }
        Op::AdaptivePool(op) => put("output_size", shape(&op.output)),
        Op::Reduce(op) => {
            let axes: Vec<u32> = (0..8).filter(|&axis| op.axes & (1 << axis) != 0).collect();
            put("axes", json!(axes));
            flag("keep_dims", op.keep_dims, &mut put);
        }
        Op::Scan(op) => put("axis", json!(op.axis)),
        Op::TopK(op) => {
            put("axis", json!(op.axis));
            put("k", json!(op.k));
        }
        Op::Concat(op) => put("axis", json!(op.axis)),
        Op::View(op) => put("shape", shape(&op.shape)),
        // Entries beyond the rank of the operand mean nothing.
        Op::Transpose(op) => put("order", op.order.into_iter().take(usize::from(rank)).collect()),
        Op::Move(op) => put("shape", shape(&op.shape)),
        Op::Gather(op) => put("axis", json!(op.axis)),
        Op::Pick(op) => put("shape", shape(&op.shape)),
        Op::Scatter(op) => flag("combine", op.combine, &mut put),
        Op::Embedding(op) => {
            put("entries", json!(op.entries));
            put("features", json!(op.features));
            put("data_type", json!(op.data_type.name()));
        }
        Op::Resize(op) => put("shape", shape(&op.shape)),
        // `Where` has none; what core adds later is refused by the test that writes every op.
        _ => {}
    }
    out
}

type Put<'p> = &'p mut dyn FnMut(&'static str, Value);

fn flag(key: &'static str, value: bool, put: Put<'_>) {
    if value {
        put(key, json!(true));
    }
}

fn weights(data_type: Option<DataType>, put: Put<'_>) {
    if let Some(data_type) = data_type {
        put("weights", json!(data_type.name()));
    }
}

fn shape(shape: &Shape) -> Value {
    json!(shape.extents())
}

fn windows(windows: &Windows, pool: bool, put: Put<'_>) {
    let axes = windows.axes();
    put("kernel", axes.iter().map(|axis| axis.kernel).collect());
    if pool || axes.iter().any(|axis| axis.stride != 1) {
        put("stride", axes.iter().map(|axis| axis.stride).collect());
    }
    if axes.iter().any(|axis| axis.padding != [0; 2]) {
        let side = |[before, after]: [u16; 2]| if before == after { json!(before) } else { json!([before, after]) };
        put("padding", axes.iter().map(|axis| side(axis.padding)).collect());
    }
    if axes.iter().any(|axis| axis.dilation != 1) {
        put("dilation", axes.iter().map(|axis| axis.dilation).collect());
    }
}

/// The op of this name, one that the table knows, on so many operands.
pub(super) fn op(name: &str, operands: usize, fields: Fields<'_>) -> Result<Op, String> {
    let op = layer(name, fields)?;
    let op = match op {
        Some(op) => Some(op),
        None => pointwise(name, operands, fields)?,
    };
    let op = match op {
        Some(op) => Some(op),
        None => arranged(name, fields)?,
    };
    let op = op.ok_or_else(|| format!("\"{name}\" is no op"))?;
    if op.name() == name {
        Ok(op)
    } else {
        Err(format!("\"{name}\" with attributes of {}: the number of axes differs", op.name()))
    }
}

/// Ops with weights or windows.
fn layer(name: &str, f: Fields<'_>) -> Result<Option<Op>, String> {
    Ok(Some(match name {
        "linear" => Op::Linear(Linear {
            in_features: f.extent("in_features")?,
            out_features: f.extent("out_features")?,
            bias: f.flag("bias")?,
            weights: f.data_type_or_none("weights")?,
        }),
        "mat_mul" => Op::MatMul(MatMul {
            transpose_a: f.flag_or_false("transpose_a")?,
            transpose_b: f.flag_or_false("transpose_b")?,
        }),
        "contraction" => Op::Contraction(Contraction {
            shape: f.shape("shape")?,
            batch: f.extent("batch")?,
            m: f.extent("m")?,
            n: f.extent("n")?,
            k: f.extent("k")?,
        }),
        "conv1d" | "conv2d" | "conv3d" => Op::Conv(Conv {
            c_in: f.extent("in_channels")?,
            c_out: f.extent("out_channels")?,
            groups: f.extent_or("groups", 1)?,
            windows: f.windows()?,
            bias: f.flag("bias")?,
            weights: f.data_type_or_none("weights")?,
        }),
        "conv_transpose1d" | "conv_transpose2d" | "conv_transpose3d" => {
            let windows = f.windows()?;
            let mut output_padding = [0; Windows::MAX];
            let stated = f.each_or("output_padding", windows.axes().len(), 0)?;
            for (place, more) in output_padding.iter_mut().zip(stated) {
                *place = more;
            }
            Op::ConvTranspose(ConvTranspose {
                c_in: f.extent("in_channels")?,
                c_out: f.extent("out_channels")?,
                groups: f.extent_or("groups", 1)?,
                windows,
                output_padding,
                bias: f.flag("bias")?,
                weights: f.data_type_or_none("weights")?,
            })
        }
        "attention" => Op::Attention(Attention { causal: f.flag_or_false("causal")? }),
        "multi_head_attention" => {
            let embed = f.extent("embed_dim")?;
            Op::MultiHeadAttention(MultiHeadAttention {
                embed,
                heads: f.extent("num_heads")?,
                k_features: f.extent_or("k_features", embed)?,
                v_features: f.extent_or("v_features", embed)?,
                bias: f.flag("bias")?,
            })
        }
        "batch_norm" => Op::BatchNorm(BatchNorm { features: f.extent("num_features")? }),
        "layer_norm" => Op::LayerNorm(LayerNorm { axes: f.axis_or("axes", 1)?, affine: affine(f)? }),
        "rms_norm" => Op::RmsNorm(RmsNorm { weight: f.flag("weight")? }),
        "group_norm" => Op::GroupNorm(GroupNorm { groups: f.extent("groups")?, affine: affine(f)? }),
        "local_response_norm" => Op::LocalResponseNorm(LocalResponseNorm { size: f.small("size")? }),
        "prelu" => Op::PRelu(PRelu { slopes: f.extent("slopes")? }),
        "embedding" => Op::Embedding(Embedding {
            entries: f.extent("entries")?,
            features: f.extent("features")?,
            data_type: f.data_type("data_type")?,
        }),
        "max_pool1d" | "max_pool2d" | "max_pool3d" => pool(PoolKind::Max, f)?,
        "avg_pool1d" | "avg_pool2d" | "avg_pool3d" => pool(PoolKind::Average, f)?,
        "lp_pool" => pool(PoolKind::Norm, f)?,
        "adaptive_max_pool1d" | "adaptive_max_pool2d" | "adaptive_max_pool3d" => adaptive(PoolKind::Max, f)?,
        "adaptive_avg_pool1d" | "adaptive_avg_pool2d" | "adaptive_avg_pool3d" => adaptive(PoolKind::Average, f)?,
        "global_lp_pool" => adaptive(PoolKind::Norm, f)?,
        _ => match Cell::ALL.into_iter().find(|cell| cell.name() == name) {
            Some(cell) => Op::Recurrent(Recurrent {
                cell,
                input: f.extent("input_size")?,
                hidden: f.extent("hidden_size")?,
                layers: f.small_or("num_layers", 1)?,
                bidirectional: f.flag_or_false("bidirectional")?,
                bias: f.flag("bias")?,
                batch_first: f.flag_or_false("batch_first")?,
            }),
            None => return Ok(None),
        },
    }))
}

fn affine(f: Fields<'_>) -> Result<Affine, String> {
    Ok(Affine { weight: f.flag("weight")?, bias: f.flag("bias")? })
}

fn pool(kind: PoolKind, f: Fields<'_>) -> Result<Op, String> {
    // Frameworks disagree on what a pooling without a stride means: it must be said.
    f.windows_of("stride")?;
    Ok(Op::Pool(Pool { kind, windows: f.windows()?, ceil_mode: f.flag_or_false("ceil_mode")? }))
}

fn adaptive(kind: PoolKind, f: Fields<'_>) -> Result<Op, String> {
    Ok(Op::AdaptivePool(AdaptivePool { kind, output: f.shape("output_size")? }))
}

/// Ops on each element, and reductions.
fn pointwise(name: &str, operands: usize, f: Fields<'_>) -> Result<Option<Op>, String> {
    if let Some(kind) = ActivationKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(Some(Op::Activation(Activation { kind, in_place: f.flag_or_false("in_place")? })));
    }
    if let Some(kind) = BinaryKind::ALL.into_iter().find(|kind| kind.name() == name) {
        let in_place = f.flag_or_false("in_place")?;
        // With one operand: arithmetic with a number.
        let op =
            if operands == 1 { Op::Scalar(Scalar { kind, in_place }) } else { Op::Binary(Binary { kind, in_place }) };
        return Ok(Some(op));
    }
    if let Some(kind) = ReduceKind::ALL.into_iter().find(|kind| kind.name() == name) {
        let axes =
            f.axes("axes")?.into_iter().fold(0_u8, |bits, axis| bits | 1_u8.checked_shl(axis.into()).unwrap_or(0));
        return Ok(Some(Op::Reduce(Reduce { kind, axes, keep_dims: f.flag_or_false("keep_dims")? })));
    }
    Ok(Some(match name {
        "where" => Op::Where(Where),
        "cast" => Op::Cast(Cast { to: f.data_type("to")? }),
        "quantize" => Op::Quantize(Quantize { to: f.data_type("to")? }),
        "softmax" => Op::Softmax(Softmax { axis: f.axis("axis")?, log: false }),
        "log_softmax" => Op::Softmax(Softmax { axis: f.axis("axis")?, log: true }),
        "scan" => Op::Scan(Scan { axis: f.axis("axis")? }),
        "top_k" => Op::TopK(TopK { axis: f.axis("axis")?, k: f.extent("k")? }),
        _ => return Ok(None),
    }))
}

/// Ops that arrange elements.
fn arranged(name: &str, f: Fields<'_>) -> Result<Option<Op>, String> {
    if let Some(kind) = MoveKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(Some(Op::Move(Move { kind, shape: f.shape("shape")? })));
    }
    if let Some(kind) = ResizeKind::ALL.into_iter().find(|kind| kind.name() == name) {
        return Ok(Some(Op::Resize(Resize { kind, shape: f.shape("shape")? })));
    }
    Ok(Some(match name {
        "concat" => Op::Concat(Concat { axis: f.axis("axis")? }),
        "view" => Op::View(View { shape: f.shape("shape")? }),
        "transpose" => {
            let order = f.axes("order")?;
            Op::Transpose(Transpose::new(&order).map_err(|error| format!("\"order\": {error}"))?)
        }
        "gather" => Op::Gather(Gather { axis: f.axis("axis")? }),
        "pick" => Op::Pick(Pick { shape: f.shape("shape")? }),
        "scatter" => Op::Scatter(Scatter { combine: f.flag_or_false("combine")? }),
        _ => return Ok(None),
    }))
}
