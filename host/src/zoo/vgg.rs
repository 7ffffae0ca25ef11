//! VGG (Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015), without batch norm.

use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, max_pool};

/// Channels of the 3 × 3 convolutions of each stage; a maximum over 2 × 2 ends it.
const WIDTHS: [u32; 5] = [64, 128, 256, 512, 512];

/// So many convolutions a stage, and three linear layers.
pub(super) fn vgg(net: &mut Net, x: TensorId, convs: [u32; 5]) -> Built {
    let x = net.module("features", |net| features(net, x, convs))?;
    let x = net.adaptive_average("avgpool", x, [7, 7])?;
    let x = net.flatten("flatten", x)?;
    net.module("classifier", |net| {
        let x = net.linear(0, x, 4096)?;
        let x = net.relu_in_place(1, x)?;
        let x = net.linear(3, x, 4096)?;
        let x = net.relu_in_place(4, x)?;
        net.linear(6, x, 1000)
    })
}

fn features(net: &mut Net, mut x: TensorId, convs: [u32; 5]) -> Built {
    let mut indices = 0..;
    let mut next = || indices.next().unwrap_or(0);
    for (c_out, convs) in WIDTHS.into_iter().zip(convs) {
        for _ in 0..convs {
            x = net.conv(next(), x, ConvSpec::new(c_out, 3).with_bias())?;
            x = net.relu_in_place(next(), x)?;
        }
        x = net.pool(next(), x, max_pool(2, 2, 0))?;
    }
    Ok(x)
}
