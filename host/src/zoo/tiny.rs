//! The four networks of MLPerf Tiny (Banbury and others, NeurIPS Datasets 2021), as its reference models are deployed: **batch norm is
//! folded** into the weights and the bias of the layer before it, so that parameters are those of the published TFLite files.
//!
//! Padding is TensorFlow's "same": at stride 2 on an even extent one row more is added at the end than at the start. Layers have the
//! names of the Keras models. Activations overwrite their operand, since a deployed layer applies them as it writes.

use derate_core::op::{ActivationKind, Pool, PoolKind, Window, Windows};
use derate_core::tensor::TensorId;

use super::net::{Built, ConvSpec, Net, average_pool};

/// Anomaly detection (`ad01`): an autoencoder of the spectrogram, with ReLU between its linear layers.
pub(super) fn anomaly_detection(net: &mut Net, mut x: TensorId) -> Built {
    const HIDDEN: [u32; 9] = [128, 128, 128, 128, 8, 128, 128, 128, 128];
    let features = net.extent(x, 1);
    for (index, out_features) in HIDDEN.into_iter().enumerate() {
        x = net.linear(numbered("dense", index), x, out_features)?;
        x = net.relu_in_place(numbered("activation", index), x)?;
    }
    net.linear(numbered("dense", HIDDEN.len()), x, features)
}

/// Keyword spotting (`kws_ref_model`): DS-CNN on 49 frames of 10 coefficients.
pub(super) fn keyword_spotting(net: &mut Net, x: TensorId) -> Built {
    const CHANNELS: u32 = 64;
    let mut layers = Layers::default();
    let rows = Window { padding: [4, 5], ..Window::new(10, 2, 0) };
    let first = ConvSpec::new(CHANNELS, 1).axes(rows, Window::new(4, 2, 1));
    let mut x = layers.conv_relu(net, x, first)?;
    for _ in 0..4 {
        x = layers.depthwise_relu(net, x, same(1))?;
        x = layers.conv_relu(net, x, ConvSpec::new(CHANNELS, 1))?;
    }
    let whole = Windows::new(&[Window::new(25, 25, 0), Window::new(5, 5, 0)]);
    let whole = whole.unwrap_or(Windows::square(5, 5, 0));
    classify(net, x, Pool { kind: PoolKind::Average, windows: whole, ceil_mode: false }, 12)
}

/// Image classification (`pretrainedResnet`): ResNet-8 on CIFAR-10.
pub(super) fn image_classification(net: &mut Net, x: TensorId) -> Built {
    let mut layers = Layers::default();
    let mut x = layers.conv_relu(net, x, ConvSpec::new(16, 3))?;
    for (c_out, stride) in [(16, 1), (32, 2), (64, 2)] {
        let main = layers.conv_relu(net, x, ConvSpec::new(c_out, 3).axes(same(stride), same(stride)))?;
        let main = layers.conv(net, main, ConvSpec::new(c_out, 3))?;
        let shortcut =
            if stride == 1 { x } else { layers.conv(net, x, ConvSpec::new(c_out, 1).windows(1, stride, 0))? };
        x = layers.add_relu(net, shortcut, main)?;
    }
    classify(net, x, average_pool(8), 10)
}

/// Visual wake words (`vww_96`): MobileNet-V1 of width 0.25 on 96 × 96 pixels.
pub(super) fn visual_wake_words(net: &mut Net, x: TensorId) -> Built {
    /// Output channels of a 1 × 1 convolution, stride of the depthwise one before it.
    const BLOCKS: [(u32, u16); 13] = [
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (256, 2),
        (256, 1),
    ];
    let mut layers = Layers::default();
    let mut x = layers.conv_relu(net, x, ConvSpec::new(8, 3).axes(same(2), same(2)))?;
    for (c_out, stride) in BLOCKS {
        x = layers.depthwise_relu(net, x, same(stride))?;
        x = layers.conv_relu(net, x, ConvSpec::new(c_out, 1))?;
    }
    classify(net, x, average_pool(3), 2)
}

/// Three taps with "same" padding: at stride 2 the extents here are even.
const fn same(stride: u16) -> Window {
    let padding = if stride == 1 { [1, 1] } else { [0, 1] };
    Window { padding, ..Window::new(3, stride, 0) }
}

fn classify(net: &mut Net, x: TensorId, pool: Pool, classes: u32) -> Built {
    let x = net.pool("average_pooling2d", x, pool)?;
    let x = net.flatten("flatten", x)?;
    let x = net.linear("dense", x, classes)?;
    net.softmax("softmax", x)
}

/// Keras's name of the layer of a kind at an index.
fn numbered(kind: &str, index: usize) -> String {
    if index == 0 { kind.to_owned() } else { format!("{kind}_{index}") }
}

/// How many layers of each kind there are so far.
#[derive(Default)]
struct Layers {
    convs: usize,
    depthwise: usize,
    activations: usize,
    adds: usize,
}

impl Layers {
    fn conv(&mut self, net: &mut Net, x: TensorId, conv: ConvSpec) -> Built {
        let name = numbered("conv2d", self.convs);
        self.convs += 1;
        net.conv(name, x, conv.with_bias())
    }

    fn conv_relu(&mut self, net: &mut Net, x: TensorId, conv: ConvSpec) -> Built {
        let x = self.conv(net, x, conv)?;
        self.relu(net, x)
    }

    fn depthwise_relu(&mut self, net: &mut Net, x: TensorId, window: Window) -> Built {
        let name = numbered("depthwise_conv2d", self.depthwise);
        self.depthwise += 1;
        let x = net.conv(name, x, ConvSpec::depthwise(net.channels(x), 3).axes(window, window).with_bias())?;
        self.relu(net, x)
    }

    fn add_relu(&mut self, net: &mut Net, a: TensorId, b: TensorId) -> Built {
        let name = numbered("add", self.adds);
        self.adds += 1;
        let sum = net.add(name, a, b)?;
        self.relu(net, sum)
    }

    fn relu(&mut self, net: &mut Net, x: TensorId) -> Built {
        let name = numbered("activation", self.activations);
        self.activations += 1;
        net.activation_in_place(name, x, ActivationKind::Relu)
    }
}
