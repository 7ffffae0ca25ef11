//! Inverted residuals with squeeze and excitation: the block of MobileNet-V3 and of EfficientNet (there `MBConv`).

use derate_core::op::ActivationKind;
use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net};

/// A block: 1 × 1 expansion, depthwise, squeeze and excitation, 1 × 1 projection.
#[derive(Clone, Copy)]
pub(super) struct InvertedResidual {
    /// Channels of the depthwise convolution; where they are those of the input, there is no expansion.
    pub(super) expanded: u32,
    pub(super) kernel: u16,
    pub(super) stride: u16,
    pub(super) c_out: u32,
    pub(super) activation: ActivationKind,
    pub(super) squeeze: Option<Squeeze>,
}

/// Squeeze and excitation: each channel times a gate that two linear maps compute from the means of all.
#[derive(Clone, Copy)]
pub(super) struct Squeeze {
    /// Channels between the two maps.
    pub(super) channels: u32,
    /// Between them.
    pub(super) activation: ActivationKind,
    /// Whether that overwrites its operand.
    pub(super) in_place: bool,
    /// After both.
    pub(super) gate: ActivationKind,
}

/// The nearest multiple of 8 to `numerator / denominator`, but not more than a tenth below it (torchvision's `_make_divisible`).
pub(super) const fn multiple_of_8(numerator: u32, denominator: u32) -> u32 {
    let rounded = (numerator + 4 * denominator) / (8 * denominator) * 8;
    let nearest = if rounded < 8 { 8 } else { rounded };
    if 10 * nearest * denominator < 9 * numerator { nearest + 8 } else { nearest }
}

impl InvertedResidual {
    /// The layers; the input is added where the shape stays.
    pub(super) fn layers(self, net: &mut Net, x: TensorId) -> Built {
        let y = net.module("block", |net| self.block(net, x))?;
        if self.stride == 1 && net.channels(x) == self.c_out { net.add_in_place("add", y, x) } else { Ok(y) }
    }

    fn block(self, net: &mut Net, x: TensorId) -> Built {
        let (mut y, mut index) = (x, 0);
        if self.expanded != net.channels(x) {
            y = net.conv_norm(index, y, ConvSpec::new(self.expanded, 1), Some(self.activation))?;
            index += 1;
        }
        let depthwise =
            ConvSpec::depthwise(self.expanded, self.kernel).windows(self.kernel, self.stride, self.kernel / 2);
        y = net.conv_norm(index, y, depthwise, Some(self.activation))?;
        index += 1;
        if let Some(squeeze) = self.squeeze {
            y = net.module(index, |net| squeeze.layers(net, y))?;
            index += 1;
        }
        net.conv_norm(index, y, ConvSpec::new(self.c_out, 1), None)
    }
}

impl Squeeze {
    fn layers(self, net: &mut Net, x: TensorId) -> Built {
        let gate = net.global_average("avgpool", x)?;
        let gate = net.conv("fc1", gate, ConvSpec::new(self.channels, 1).with_bias())?;
        let gate = if self.in_place {
            net.activation_in_place("activation", gate, self.activation)?
        } else {
            net.activation("activation", gate, self.activation)?
        };
        let gate = net.conv("fc2", gate, ConvSpec::new(net.channels(x), 1).with_bias())?;
        let gate = net.activation("scale_activation", gate, self.gate)?;
        net.mul("mul", gate, x)
    }
}

#[cfg(test)]
mod tests {
    use super::multiple_of_8;

    /// Channels of MobileNet-V3's squeezes (a quarter of 72, 88, 120, 240), and of EfficientNet-B2 (11/10 of 16, 40, 1280).
    #[test]
    fn channels_are_multiples_of_8() {
        let quarters = [72, 88, 120, 240].map(|expanded| multiple_of_8(expanded / 4, 1));
        assert_eq!(quarters, [24, 24, 32, 64]);
        assert_eq!([16, 40, 1280].map(|channels| multiple_of_8(11 * channels, 10)), [16, 48, 1408]);
    }
}
