//! MobileNet-V3 (Howard, Sandler, Chu and others, "Searching for MobileNetV3", ICCV 2019) of width 1.0, small and large.

use derate_core::op::ActivationKind::{self, HardSigmoid, HardSwish, Relu};
use derate_core::tensor::TensorId;

use super::inverted_residual::{InvertedResidual, Squeeze, multiple_of_8};
use super::net::{Built, ConvSpec, Net};

/// Kernel, expanded channels, output channels, squeeze and excitation, activation, stride.
type Row = (u16, u32, u32, bool, ActivationKind, u16);

/// Table 1 of the paper.
pub(super) const LARGE: &[Row] = &[
    (3, 16, 16, false, Relu, 1),
    (3, 64, 24, false, Relu, 2),
    (3, 72, 24, false, Relu, 1),
    (5, 72, 40, true, Relu, 2),
    (5, 120, 40, true, Relu, 1),
    (5, 120, 40, true, Relu, 1),
    (3, 240, 80, false, HardSwish, 2),
    (3, 200, 80, false, HardSwish, 1),
    (3, 184, 80, false, HardSwish, 1),
    (3, 184, 80, false, HardSwish, 1),
    (3, 480, 112, true, HardSwish, 1),
    (3, 672, 112, true, HardSwish, 1),
    (5, 672, 160, true, HardSwish, 2),
    (5, 960, 160, true, HardSwish, 1),
    (5, 960, 160, true, HardSwish, 1),
];

/// Table 2 of the paper.
pub(super) const SMALL: &[Row] = &[
    (3, 16, 16, true, Relu, 2),
    (3, 72, 24, false, Relu, 2),
    (3, 88, 24, false, Relu, 1),
    (5, 96, 40, true, HardSwish, 2),
    (5, 240, 40, true, HardSwish, 1),
    (5, 240, 40, true, HardSwish, 1),
    (5, 120, 48, true, HardSwish, 1),
    (5, 144, 48, true, HardSwish, 1),
    (5, 288, 96, true, HardSwish, 2),
    (5, 576, 96, true, HardSwish, 1),
    (5, 576, 96, true, HardSwish, 1),
];

/// These blocks, then a hidden layer of so many features before the classes.
pub(super) fn mobilenet_v3(net: &mut Net, x: TensorId, blocks: &[Row], features: u32) -> Built {
    let mut x = net.conv_norm("features.0", x, ConvSpec::new(16, 3).windows(3, 2, 1), Some(HardSwish))?;
    for (index, &(kernel, expanded, c_out, squeezed, activation, stride)) in (1..).zip(blocks) {
        let channels = multiple_of_8(expanded / 4, 1);
        let squeeze = Squeeze { channels, activation: Relu, in_place: false, gate: HardSigmoid };
        let squeeze = squeezed.then_some(squeeze);
        let block = InvertedResidual { expanded, kernel, stride, c_out, activation, squeeze };
        x = net.module(format_args!("features.{index}"), |net| block.layers(net, x))?;
    }
    let last = ConvSpec::new(6 * net.channels(x), 1);
    x = net.conv_norm(format_args!("features.{}", blocks.len() + 1), x, last, Some(HardSwish))?;
    x = net.global_average("avgpool", x)?;
    x = net.flatten("flatten", x)?;
    x = net.linear("classifier.0", x, features)?;
    x = net.activation_in_place("classifier.1", x, HardSwish)?;
    net.linear("classifier.3", x, 1000)
}
