//! SqueezeNet 1.0 and 1.1 (Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer, 2016, and the authors' later release).

use derate_core::op::Pool;
use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, max_pool};

/// What stands at an index of `features` after the first convolution and its ReLU.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Maximum over 3 × 3 at stride 2; a last, partial window counts.
    MaxPool,
    /// Channels of the squeeze, and of each of the two expansions beside each other.
    Fire(u32, u32),
}

use Stage::{Fire, MaxPool};

pub(super) const V1_0: &[Stage] = &[
    MaxPool,
    Fire(16, 64),
    Fire(16, 64),
    Fire(32, 128),
    MaxPool,
    Fire(32, 128),
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    MaxPool,
    Fire(64, 256),
];

pub(super) const V1_1: &[Stage] = &[
    MaxPool,
    Fire(16, 64),
    Fire(16, 64),
    MaxPool,
    Fire(32, 128),
    Fire(32, 128),
    MaxPool,
    Fire(48, 192),
    Fire(48, 192),
    Fire(64, 256),
    Fire(64, 256),
];

/// A first convolution of stride 2 without padding, these stages, and a convolution to 1000 classes.
pub(super) fn squeezenet(net: &mut Net, x: TensorId, channels: u32, kernel: u16, stages: &[Stage]) -> Built {
    let mut x = net.module("features", |net| {
        let x = net.conv(0, x, ConvSpec::new(channels, kernel).windows(kernel, 2, 0).with_bias())?;
        net.relu_in_place(1, x)
    })?;
    for (index, stage) in (2..).zip(stages) {
        x = net.module("features", |net| match *stage {
            MaxPool => net.pool(index, x, Pool { ceil_mode: true, ..max_pool(3, 2, 0) }),
            Fire(squeeze, expand) => net.module(index, |net| fire(net, x, squeeze, expand)),
        })?;
    }
    x = net.conv("classifier.1", x, ConvSpec::new(1000, 1).with_bias())?;
    x = net.relu_in_place("classifier.2", x)?;
    x = net.global_average("classifier.3", x)?;
    net.flatten("flatten", x)
}

/// A 1 × 1 convolution, then a 1 × 1 and a 3 × 3 one beside each other.
fn fire(net: &mut Net, x: TensorId, squeeze: u32, expand: u32) -> Built {
    let x = net.conv("squeeze", x, ConvSpec::new(squeeze, 1).with_bias())?;
    let x = net.relu_in_place("squeeze_activation", x)?;
    let one = net.conv("expand1x1", x, ConvSpec::new(expand, 1).with_bias())?;
    let one = net.relu_in_place("expand1x1_activation", one)?;
    let three = net.conv("expand3x3", x, ConvSpec::new(expand, 3).with_bias())?;
    let three = net.relu_in_place("expand3x3_activation", three)?;
    net.concat("cat", &[one, three])
}
