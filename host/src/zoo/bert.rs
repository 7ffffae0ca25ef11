//! BERT, base size (Devlin, Chang, Lee, Toutanova, NAACL 2019): the encoder on embedded tokens, without embeddings and pooler.
//!
//! The layers are those that Hugging Face's `BertEncoder` runs in eager mode: three projections, heads apart by view and transpose,
//! scaled dot-product attention without a mask, and normalisation after each sum.

use derate_core::op::{ActivationKind, Attention, Op};
use derate_core::tensor::TensorId;

use super::net::{Built, Net};

const LAYERS: u32 = 12;
const HEADS: u32 = 12;
/// Features of a head.
const DEPTH: u32 = 64;
pub(super) const HIDDEN: u32 = HEADS * DEPTH;
/// Tokens of a sequence.
pub(super) const SEQUENCE: u32 = 128;
const FEED_FORWARD: u32 = 3072;

/// Between `[n, tokens, heads, depth]` and `[n, heads, tokens, depth]`.
const SWAP_TOKENS_AND_HEADS: [u8; 4] = [0, 2, 1, 3];

pub(super) fn bert_base(net: &mut Net, mut x: TensorId) -> Built {
    for layer in 0..LAYERS {
        x = net.module(format_args!("encoder.layer.{layer}"), |net| encoder_layer(net, x))?;
    }
    Ok(x)
}

fn encoder_layer(net: &mut Net, x: TensorId) -> Built {
    let context = net.module("attention.self", |net| self_attention(net, x))?;
    let x = net.module("attention.output", |net| output(net, context, x))?;
    let y = net.linear("intermediate.dense", x, FEED_FORWARD)?;
    let y = net.activation("intermediate.intermediate_act_fn", y, ActivationKind::Gelu)?;
    net.module("output", |net| output(net, y, x))
}

fn self_attention(net: &mut Net, x: TensorId) -> Built {
    let query = heads(net, "query", x)?;
    let key = heads(net, "key", x)?;
    let value = heads(net, "value", x)?;
    let context =
        net.op("scaled_dot_product_attention", Op::Attention(Attention { causal: false }), &[query, key, value])?;
    let context = net.transpose("transpose", context, &SWAP_TOKENS_AND_HEADS)?;
    net.view("reshape", context, &[net.extent(x, 0), net.extent(x, 1), HIDDEN])
}

/// A projection, as `[n, heads, tokens, depth]`.
fn heads(net: &mut Net, name: &str, x: TensorId) -> Built {
    let x = net.linear(name, x, HIDDEN)?;
    let x = net.view(format_args!("{name}.view"), x, &[net.extent(x, 0), net.extent(x, 1), HEADS, DEPTH])?;
    net.transpose(format_args!("{name}.transpose"), x, &SWAP_TOKENS_AND_HEADS)
}

/// Back to `HIDDEN` features, added to what the layer read, and normalised.
fn output(net: &mut Net, x: TensorId, residual: TensorId) -> Built {
    let x = net.linear("dense", x, HIDDEN)?;
    let sum = net.add("add", x, residual)?;
    net.layer_norm("LayerNorm", sum)
}
