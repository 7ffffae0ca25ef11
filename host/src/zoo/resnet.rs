//! ResNet (He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016), as torchvision builds it: the stride of a
//! bottleneck lies in its 3 × 3 convolution.

use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, max_pool};

/// Channels of the 3 × 3 convolutions of each stage.
const WIDTHS: [u32; 4] = [64, 128, 256, 512];

/// What a network repeats.
#[derive(Clone, Copy)]
pub(super) enum Block {
    /// Two 3 × 3 convolutions.
    Basic,
    /// 1 × 1 down, 3 × 3, 1 × 1 up to four times the width.
    Bottleneck,
}

impl Block {
    fn convs(self, width: u32, stride: u16) -> Vec<ConvSpec> {
        let three = ConvSpec::new(width, 3).windows(3, stride, 1);
        match self {
            Self::Basic => vec![three, ConvSpec::new(width, 3)],
            Self::Bottleneck => vec![ConvSpec::new(width, 1), three, ConvSpec::new(4 * width, 1)],
        }
    }
}

/// A stem, four stages of so many blocks, and 1000 classes.
pub(super) fn resnet(net: &mut Net, x: TensorId, block: Block, blocks: [u32; 4]) -> Built {
    let x = net.conv("conv1", x, ConvSpec::new(64, 7).windows(7, 2, 3))?;
    let x = net.batch_norm("bn1", x)?;
    let x = net.relu_in_place("relu", x)?;
    let mut x = net.pool("maxpool", x, max_pool(3, 2, 1))?;
    for (stage, (width, blocks)) in (1..).zip(WIDTHS.into_iter().zip(blocks)) {
        for index in 0..blocks {
            let stride = if stage > 1 && index == 0 { 2 } else { 1 };
            let convs = block.convs(width, stride);
            x = net.module(format_args!("layer{stage}.{index}"), |net| residual(net, x, &convs, stride))?;
        }
    }
    let x = net.global_average("avgpool", x)?;
    let x = net.flatten("flatten", x)?;
    net.linear("fc", x, 1000)
}

/// Convolutions with batch norm, ReLU between them, and a shortcut, which is a 1 × 1 convolution where the shape changes.
fn residual(net: &mut Net, x: TensorId, convs: &[ConvSpec], stride: u16) -> Built {
    let mut main = x;
    for (index, &conv) in (1..).zip(convs) {
        if index > 1 {
            main = relu(net, index - 2, main)?;
        }
        main = net.conv(format_args!("conv{index}"), main, conv)?;
        main = net.batch_norm(format_args!("bn{index}"), main)?;
    }
    let c_out = net.channels(main);
    let mut shortcut = x;
    if stride != 1 || net.channels(x) != c_out {
        shortcut = net.conv("downsample.0", x, ConvSpec::new(c_out, 1).windows(1, stride, 0))?;
        shortcut = net.batch_norm("downsample.1", shortcut)?;
    }
    let sum = net.add_in_place("add", main, shortcut)?;
    relu(net, convs.len() - 1, sum)
}

/// One module, called several times: `relu`, `relu_1`, …
fn relu(net: &mut Net, call: usize, x: TensorId) -> Built {
    if call == 0 { net.relu_in_place("relu", x) } else { net.relu_in_place(format_args!("relu_{call}"), x) }
}
