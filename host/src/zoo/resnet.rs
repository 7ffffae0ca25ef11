//! ResNet (He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016), as torchvision builds it.

use derate_core::op::{ActivationKind, Binary, BinaryKind, Op, Pool, PoolKind, Windows};
use derate_core::shape::DataType;

use super::{Chain, ConvSpec};
use crate::graph_buf::{GraphBuf, GraphError};

/// ResNet-18: four stages of two basic blocks.
pub(super) fn resnet18(batch: u32, data_type: DataType) -> Result<GraphBuf, GraphError> {
    let mut net = Chain::image("resnet18", batch, data_type)?;
    net.conv("conv1", ConvSpec { c_out: 64, kernel: 7, stride: 2, groups: 1 })?;
    net.batch_norm("bn1")?;
    net.activation("relu", ActivationKind::Relu)?;
    let pool = Pool { kind: PoolKind::Max, windows: Windows::square(3, 2, 1), ceil_mode: false };
    net.layer("maxpool", Op::Pool(pool))?;
    for (stage, (c_out, blocks)) in (1..).zip([(64, 2), (128, 2), (256, 2), (512, 2)]) {
        for block in 0..blocks {
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            basic_block(&mut net, &format!("layer{stage}.{block}"), c_out, stride)?;
        }
    }
    net.classify("avgpool", "flatten", "fc")
}

/// Two 3 × 3 convolutions and a shortcut, which is a 1 × 1 convolution where the shape changes.
fn basic_block(net: &mut Chain, name: &str, c_out: u32, stride: u16) -> Result<(), GraphError> {
    let (identity, c_in) = (net.at, net.channels);
    net.conv(&format!("{name}.conv1"), ConvSpec { c_out, kernel: 3, stride, groups: 1 })?;
    net.batch_norm(&format!("{name}.bn1"))?;
    net.activation(&format!("{name}.relu"), ActivationKind::Relu)?;
    net.conv(&format!("{name}.conv2"), ConvSpec { c_out, kernel: 3, stride: 1, groups: 1 })?;
    net.batch_norm(&format!("{name}.bn2"))?;
    let main = net.at;

    let shortcut = if stride == 1 && c_in == c_out {
        identity
    } else {
        (net.at, net.channels) = (identity, c_in);
        net.conv(&format!("{name}.downsample.0"), ConvSpec { c_out, kernel: 1, stride, groups: 1 })?;
        net.batch_norm(&format!("{name}.downsample.1"))?;
        net.at
    };
    let add = Op::Binary(Binary { kind: BinaryKind::Add, in_place: true });
    net.at = net.graph.add(format!("{name}.add"), add, &[main, shortcut])?;
    net.activation(&format!("{name}.relu_1"), ActivationKind::Relu)
}
