//! MobileNet-V2 (Sandler, Howard, Zhu, Zhmoginov, Chen, CVPR 2018), as torchvision builds it.

use derate_core::op::{ActivationKind, Binary, BinaryKind, Op};
use derate_core::shape::DataType;

use super::{Chain, ConvSpec};
use crate::graph_buf::{GraphBuf, GraphError};

/// Expansion factor, output channels, blocks, stride of the first block (table 2 of the paper).
const STAGES: [(u32, u32, u32, u16); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

/// MobileNet-V2 of width 1.0.
pub(super) fn mobilenet_v2(batch: u32, data_type: DataType) -> Result<GraphBuf, GraphError> {
    let mut net = Chain::image("mobilenet_v2", batch, data_type)?;
    conv_bn_relu6(&mut net, "features.0", 0, ConvSpec { c_out: 32, kernel: 3, stride: 2, groups: 1 })?;
    let mut index = 1;
    for (expansion, c_out, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            inverted_residual(&mut net, &format!("features.{index}"), expansion, c_out, stride)?;
            index += 1;
        }
    }
    conv_bn_relu6(&mut net, "features.18", 0, ConvSpec { c_out: 1280, kernel: 1, stride: 1, groups: 1 })?;
    net.classify("avgpool", "flatten", "classifier.1")
}

fn conv_bn_relu6(net: &mut Chain, name: &str, at: u32, conv: ConvSpec) -> Result<(), GraphError> {
    net.conv(&format!("{name}.{at}"), conv)?;
    net.batch_norm(&format!("{name}.{}", at + 1))?;
    net.activation(&format!("{name}.{}", at + 2), ActivationKind::Relu6)
}

/// 1 × 1 expansion, 3 × 3 depthwise, 1 × 1 projection; added to its input where the shape stays.
fn inverted_residual(net: &mut Chain, name: &str, expansion: u32, c_out: u32, stride: u16) -> Result<(), GraphError> {
    let (identity, c_in) = (net.at, net.channels);
    let hidden = c_in * expansion;
    if expansion != 1 {
        conv_bn_relu6(net, &format!("{name}.expand"), 0, ConvSpec { c_out: hidden, kernel: 1, stride: 1, groups: 1 })?;
    }
    let depthwise = ConvSpec { c_out: hidden, kernel: 3, stride, groups: hidden };
    conv_bn_relu6(net, &format!("{name}.depthwise"), 0, depthwise)?;
    net.conv(&format!("{name}.project.0"), ConvSpec { c_out, kernel: 1, stride: 1, groups: 1 })?;
    net.batch_norm(&format!("{name}.project.1"))?;
    if stride == 1 && c_in == c_out {
        let add = Op::Binary(Binary { kind: BinaryKind::Add, in_place: false });
        net.at = net.graph.add(format!("{name}.add"), add, &[identity, net.at])?;
    }
    Ok(())
}
