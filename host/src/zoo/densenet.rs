//! DenseNet-121 (Huang, Liu, van der Maaten, Weinberger, CVPR 2017): every layer reads all layers of its block before it.

use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, average_pool, max_pool};

/// Layers of each block.
const BLOCKS: [u32; 4] = [6, 12, 24, 16];
/// Channels that a layer adds.
const GROWTH: u32 = 32;
/// Channels of a layer's 1 × 1 convolution.
const BOTTLENECK: u32 = 4 * GROWTH;

pub(super) fn densenet121(net: &mut Net, x: TensorId) -> Built {
    let x = net.module("features", |net| features(net, x))?;
    let x = net.relu_in_place("relu", x)?;
    let x = net.global_average("adaptive_avg_pool2d", x)?;
    let x = net.flatten("flatten", x)?;
    net.linear("classifier", x, 1000)
}

fn features(net: &mut Net, x: TensorId) -> Built {
    let x = net.conv("conv0", x, ConvSpec::new(2 * GROWTH, 7).windows(7, 2, 3))?;
    let x = norm_relu(net, 0, x)?;
    let mut x = net.pool("pool0", x, max_pool(3, 2, 1))?;
    for (block, layers) in (1..).zip(BLOCKS) {
        if block > 1 {
            x = net.module(format_args!("transition{}", block - 1), |net| transition(net, x))?;
        }
        x = net.module(format_args!("denseblock{block}"), |net| dense_block(net, x, layers))?;
    }
    net.batch_norm("norm5", x)
}

/// Each layer copies what came before into one tensor (`torch.cat`), even where that is one tensor already.
fn dense_block(net: &mut Net, x: TensorId, layers: u32) -> Built {
    let mut features = vec![x];
    for layer in 1..=layers {
        let new = net.module(format_args!("denselayer{layer}"), |net| {
            let x = net.concat("cat", &features)?;
            let x = norm_relu(net, 1, x)?;
            let x = net.conv("conv1", x, ConvSpec::new(BOTTLENECK, 1))?;
            let x = norm_relu(net, 2, x)?;
            net.conv("conv2", x, ConvSpec::new(GROWTH, 3))
        })?;
        features.push(new);
    }
    net.concat("cat", &features)
}

/// Half the channels, half the extents.
fn transition(net: &mut Net, x: TensorId) -> Built {
    let x = net.batch_norm("norm", x)?;
    let x = net.relu_in_place("relu", x)?;
    let x = net.conv("conv", x, ConvSpec::new(net.channels(x) / 2, 1))?;
    net.pool("pool", x, average_pool(2))
}

fn norm_relu(net: &mut Net, index: u32, x: TensorId) -> Built {
    let x = net.batch_norm(format_args!("norm{index}"), x)?;
    net.relu_in_place(format_args!("relu{index}"), x)
}
