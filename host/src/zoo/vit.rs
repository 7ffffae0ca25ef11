//! Vision transformer (Dosovitskiy and others, "An Image is Worth 16x16 Words", ICLR 2021), base size, as torchvision builds it:
//! normalisation comes before attention and before the feed-forward layers.

use derate_core::op::{ActivationKind, Move, MoveKind, MultiHeadAttention, Op};
use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, shape};

const LAYERS: u32 = 12;
const HEADS: u32 = 12;
const HIDDEN: u32 = 768;
const FEED_FORWARD: u32 = 3072;

/// Images cut into square patches of so many pixels a side.
pub(super) fn vit_base(net: &mut Net, x: TensorId, patch: u16) -> Built {
    let batch = net.extent(x, 0);
    let tokens = patches(net, x, patch)?;
    let class = net.parameter("class_token", &[1, 1, HIDDEN])?;
    let class = net.op("expand", moved(MoveKind::Expand, &[batch, 1, HIDDEN]), &[class])?;
    let x = net.concat("cat", &[class, tokens])?;
    let x = net.module("encoder", |net| encoder(net, x))?;
    let class = net.op("getitem", moved(MoveKind::Slice, &[batch, 1, HIDDEN]), &[x])?;
    let class = net.flatten("squeeze", class)?;
    net.linear("heads.head", class, 1000)
}

/// A token of each patch: `[n, patches, HIDDEN]`.
fn patches(net: &mut Net, x: TensorId, patch: u16) -> Built {
    let x = net.conv("conv_proj", x, ConvSpec::new(HIDDEN, patch).windows(patch, patch, 0).with_bias())?;
    let [batch, rows, columns] = [0, 2, 3].map(|axis| net.extent(x, axis));
    let x = net.view("reshape", x, &[batch, HIDDEN, rows.saturating_mul(columns)])?;
    net.transpose("permute", x, &[0, 2, 1])
}

fn encoder(net: &mut Net, x: TensorId) -> Built {
    let position = net.parameter("pos_embedding", &[1, net.extent(x, 1), HIDDEN])?;
    let mut x = net.add("add", x, position)?;
    for layer in 0..LAYERS {
        x = net.module(format_args!("layers.encoder_layer_{layer}"), |net| encoder_layer(net, x))?;
    }
    net.layer_norm("ln", x)
}

fn encoder_layer(net: &mut Net, input: TensorId) -> Built {
    let attention =
        MultiHeadAttention { embed: HIDDEN, heads: HEADS, k_features: HIDDEN, v_features: HIDDEN, bias: true };
    let x = net.layer_norm("ln_1", input)?;
    let x = net.op("self_attention", Op::MultiHeadAttention(attention), &[x, x, x])?;
    let x = net.add("add", x, input)?;
    let y = net.layer_norm("ln_2", x)?;
    let y = net.linear("mlp.0", y, FEED_FORWARD)?;
    let y = net.activation("mlp.1", y, ActivationKind::Gelu)?;
    let y = net.linear("mlp.3", y, HIDDEN)?;
    net.add("add_1", x, y)
}

fn moved(kind: MoveKind, extents: &[u32]) -> Op {
    Op::Move(Move { kind, shape: shape(extents) })
}
