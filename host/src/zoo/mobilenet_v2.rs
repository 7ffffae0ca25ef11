//! MobileNet-V2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018) of width 1.0.

use derate_core::op::ActivationKind::Relu6;
use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net};

/// Expansion factor, output channels, blocks, stride of the first block (table 2 of the paper).
const STAGES: [(u32, u32, u32, u16); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

pub(super) fn mobilenet_v2(net: &mut Net, x: TensorId) -> Built {
    let mut x = net.conv_norm("features.0", x, ConvSpec::new(32, 3).windows(3, 2, 1), Some(Relu6))?;
    let mut index = 1;
    for (expansion, c_out, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            x = net.module(format_args!("features.{index}"), |net| block_of(net, x, expansion, c_out, stride))?;
            index += 1;
        }
    }
    x = net.conv_norm(format_args!("features.{index}"), x, ConvSpec::new(1280, 1), Some(Relu6))?;
    x = net.global_average("adaptive_avg_pool2d", x)?;
    x = net.flatten("flatten", x)?;
    net.linear("classifier.1", x, 1000)
}

/// 1 × 1 expansion, 3 × 3 depthwise, 1 × 1 projection; its input is added where the shape stays.
fn block_of(net: &mut Net, x: TensorId, expansion: u32, c_out: u32, stride: u16) -> Built {
    let c_in = net.channels(x);
    let hidden = c_in * expansion;
    let y = net.module("conv", |net| {
        let (mut y, mut index) = (x, 0);
        if expansion != 1 {
            y = net.conv_norm(index, y, ConvSpec::new(hidden, 1), Some(Relu6))?;
            index += 1;
        }
        y = net.conv_norm(index, y, ConvSpec::depthwise(hidden, 3).windows(3, stride, 1), Some(Relu6))?;
        y = net.conv(index + 1, y, ConvSpec::new(c_out, 1))?;
        net.batch_norm(index + 2, y)
    })?;
    if stride == 1 && c_in == c_out { net.add("add", x, y) } else { Ok(y) }
}
