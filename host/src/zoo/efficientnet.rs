//! EfficientNet (Tan, Le, ICML 2019): B0, and B0 scaled in width, depth and resolution.

use derate_core::op::ActivationKind::{Sigmoid, Silu};
use derate_core::tensor::TensorId;

use super::inverted_residual::{InvertedResidual, Squeeze, multiple_of_8};
use super::net::{Built, ConvSpec, Net};

/// Expansion factor, kernel, stride of the first block, output channels, blocks (table 1 of the paper).
const STAGES: [(u32, u16, u16, u32, u32); 7] = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
];

/// How much wider and deeper than B0, in tenths.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) width: u32,
    pub(super) depth: u32,
}

pub(super) fn efficientnet(net: &mut Net, x: TensorId, scale: Scale) -> Built {
    let wide = |channels: u32| multiple_of_8(scale.width * channels, 10);
    let mut x = net.conv_norm("features.0", x, ConvSpec::new(wide(32), 3).windows(3, 2, 1), Some(Silu))?;
    for (stage, (expansion, kernel, first_stride, c_out, blocks)) in (1..).zip(STAGES) {
        for index in 0..(scale.depth * blocks).div_ceil(10) {
            let stride = if index == 0 { first_stride } else { 1 };
            let c_in = net.channels(x);
            // A quarter of the channels before the expansion.
            let squeeze = Squeeze { channels: c_in / 4, activation: Silu, in_place: true, gate: Sigmoid };
            let block = InvertedResidual {
                expanded: expansion * c_in,
                kernel,
                stride,
                c_out: wide(c_out),
                activation: Silu,
                squeeze: Some(squeeze),
            };
            x = net.module(format_args!("features.{stage}.{index}"), |net| block.layers(net, x))?;
        }
    }
    let last = ConvSpec::new(4 * net.channels(x), 1);
    x = net.conv_norm(format_args!("features.{}", STAGES.len() + 1), x, last, Some(Silu))?;
    x = net.global_average("avgpool", x)?;
    x = net.flatten("flatten", x)?;
    net.linear("classifier.1", x, 1000)
}
