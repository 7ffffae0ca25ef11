//! Short sequences of ops as networks have them, one result feeding the next: what `in_sequence` measures.

use super::SequenceKind;
use super::sequence::Draw;
use super::shapes::{Image, options};

/// Steps of a description, each by the number of the tensor it gives.
struct Chain {
    steps: Vec<String>,
    inputs: usize,
}

impl Chain {
    const fn of(inputs: usize) -> Self {
        Self { steps: Vec::new(), inputs }
    }

    /// Adds a step, and gives the number of its result.
    fn step(&mut self, step: impl Into<String>) -> usize {
        self.steps.push(step.into());
        self.inputs + self.steps.len() - 1
    }

    fn steps(&mut self, steps: &[&str]) -> usize {
        steps.iter().map(|step| self.step(*step)).last().unwrap_or_default()
    }

    /// A convolution padded to keep the extent, its batch norm, and an activation in place.
    fn block(&mut self, c_out: u32, kernel: u32, stride: u32, groups: u32, activation: &str) -> usize {
        self.step(format!("conv2d,{c_out},k{kernel}{}", options(stride, kernel / 2, groups)));
        self.step("batch_norm");
        self.step(activation)
    }

    fn describe(&self, shapes: &str) -> String {
        format!("op:{}:{shapes}", self.steps.join("/"))
    }
}

/// The description of a sequence; `None` where the point makes none.
pub(super) fn description(kind: SequenceKind, d: &mut Draw) -> Option<String> {
    match kind {
        SequenceKind::Gemm => Some(perceptron(d)),
        SequenceKind::Elementwise => Some(elements(d)),
        SequenceKind::Networks => Some(match d.n() % 11 {
            0 => basic(d),
            1 => bottleneck(d),
            2 => inverted(d),
            3 => squeeze(d),
            4 => feed_forward(d),
            5 => attention(d),
            6 => plain(d),
            7 => stem(d),
            8 => dense(d),
            9 => head(d),
            _ => grouped(d),
        }),
    }
}

/// Linear layers, nothing between them.
fn perceptron(d: &mut Draw) -> String {
    let rows = d.of(&[1, 4, 16, 1, 64, 128, 197, 512]);
    let (features, steps) = (d.size(32, 4_096), 2 + d.n() % 4);
    let mut chain = Chain::of(1);
    for _ in 0..steps {
        chain.step(format!("linear,{},b", d.size(16, 4_096)));
    }
    chain.describe(&format!("{rows}x{features}"))
}

/// Sums, products and functions of elements.
fn elements(d: &mut Draw) -> String {
    let image = Image::draw(d);
    let mut chain = Chain::of(2);
    chain.steps(&["add", "relu,i", "mul,@3,@1", "sigmoid", "mul,@5,@0"]);
    if d.n() % 2 == 1 {
        chain.steps(&["gelu", "add,@7,@0"]);
    }
    chain.describe(&format!("{image}+{image}"))
}

/// Two 3 × 3 convolutions beside an identity (ResNet-18).
fn basic(d: &mut Draw) -> String {
    let image = Image::with(d, 16);
    let mut chain = Chain::of(1);
    chain.block(image.channels, 3, 1, 1, "relu,i");
    chain.step(format!("conv2d,{},k3,p1", image.channels));
    let last = chain.step("batch_norm");
    chain.steps(&[&format!("add,i,@{last},@0"), "relu,i"]);
    chain.describe(&image.to_string())
}

/// 1 × 1, 3 × 3, 1 × 1 beside an identity (ResNet-50); `groups` of them in the middle (`ResNeXt`).
fn narrowed(d: &mut Draw, groups: u32) -> String {
    let mut image = Image::with(d, 32);
    let width = (image.channels / 4 / groups).max(2) * groups;
    image.channels = width * if groups == 1 { 4 } else { 2 };
    let mut chain = Chain::of(1);
    chain.block(width, 1, 1, 1, "relu,i");
    chain.block(width, 3, 1, groups, "relu,i");
    chain.step(format!("conv2d,{},k1", image.channels));
    let last = chain.step("batch_norm");
    chain.steps(&[&format!("add,i,@{last},@0"), "relu,i"]);
    chain.describe(&image.to_string())
}

fn bottleneck(d: &mut Draw) -> String {
    narrowed(d, 1)
}

fn grouped(d: &mut Draw) -> String {
    narrowed(d, 16)
}

/// Expansion, depthwise convolution, projection (MobileNet).
fn inverted(d: &mut Draw) -> String {
    let mut image = Image::with(d, 16);
    image.channels = image.channels.min(320);
    let activation = d.of(&["relu6,i", "hardswish,i", "silu,i"]);
    let (kernel, stride, wide) = (d.of(&[3, 5]), d.of(&[1, 1, 2]), image.channels * d.of(&[4, 6]));
    let mut chain = Chain::of(1);
    chain.block(wide, 1, 1, 1, activation);
    chain.block(wide, kernel, stride, wide, activation);
    chain.step(format!("conv2d,{},k1", image.channels));
    let last = chain.step("batch_norm");
    if stride == 1 {
        chain.step(format!("add,i,@{last},@0"));
    }
    chain.describe(&image.to_string())
}

/// Squeeze and excitation behind a depthwise convolution (EfficientNet).
fn squeeze(d: &mut Draw) -> String {
    let image = Image::with(d, 16);
    let mut chain = Chain::of(1);
    let x = chain.block(image.channels, 3, 1, image.channels, "silu,i");
    chain.step("adaptive_avg_pool2d,1x1");
    chain.step(format!("conv2d,{},k1,b", (image.channels / 4).max(4)));
    chain.step("silu,i");
    chain.step(format!("conv2d,{},k1,b", image.channels));
    let factor = chain.step("sigmoid");
    chain.step(format!("mul,@{factor},@{x}"));
    chain.describe(&image.to_string())
}

/// The two linear layers of a transformer block.
fn feed_forward(d: &mut Draw) -> String {
    let (batch, length, features) = (d.of(&[1, 1, 2, 4, 8]), d.log(8, 512), d.size(64, 1_280));
    let mut chain = Chain::of(1);
    chain.step("layer_norm");
    chain.step(format!("linear,{},b", 4 * features));
    chain.step("gelu");
    let last = chain.step(format!("linear,{features},b"));
    chain.step(format!("add,@0,@{last}"));
    chain.describe(&format!("{batch}x{length}x{features}"))
}

/// The attention of a transformer block, with its projections.
fn attention(d: &mut Draw) -> String {
    let (batch, length) = (d.of(&[1, 1, 2, 4]), d.log(8, 512));
    let (heads, depth) = (d.log(2, 16), d.of(&[32, 64]));
    let features = heads * depth;
    let mut chain = Chain::of(1);
    let x = chain.step("layer_norm");
    let projected: Vec<String> = (0..3)
        .map(|at| {
            // The first follows what it reads.
            let from = if at == 0 { String::new() } else { format!(",@{x}") };
            chain.step(format!("linear,{features},b{from}"));
            chain.step(format!("view,{batch}x{length}x{heads}x{depth}"));
            format!("@{}", chain.step("transpose,0x2x1x3"))
        })
        .collect();
    chain.step(format!("attention,{}", projected.join(",")));
    chain.steps(&["transpose,0x2x1x3", "copy"]);
    chain.step(format!("view,{batch}x{length}x{features}"));
    let last = chain.step(format!("linear,{features},b"));
    chain.step(format!("add,@0,@{last}"));
    chain.describe(&format!("{batch}x{length}x{features}"))
}

/// Two convolutions with bias and a pooling (VGG).
fn plain(d: &mut Draw) -> String {
    let image = Image::with(d, 16);
    let mut chain = Chain::of(1);
    let c_out = d.size(image.channels, (2 * image.channels).min(2_048));
    for _ in 0..2 {
        chain.step(format!("conv2d,{c_out},k3,p1,b"));
        chain.step("relu,i");
    }
    chain.step("max_pool2d,k2,s2");
    chain.describe(&image.to_string())
}

/// The first layers of an image network.
fn stem(d: &mut Draw) -> String {
    let side = d.of(&[64, 96, 128, 160, 192, 224]);
    let mut chain = Chain::of(1);
    chain.block(d.of(&[32, 64, 48]), d.of(&[7, 3]), 2, 1, "relu,i");
    chain.step("max_pool2d,k3,s2,p1");
    chain.describe(&format!("{}x3x{side}x{side}", d.of(&[1, 1, 2, 4, 8])))
}

/// A layer of a dense block: normalised, narrowed, and joined to what it read (DenseNet).
fn dense(d: &mut Draw) -> String {
    let image = Image::with(d, 32);
    let mut chain = Chain::of(1);
    chain.steps(&["batch_norm", "relu,i", "conv2d,128,k1", "batch_norm", "relu,i"]);
    let last = chain.step("conv2d,32,k3,p1");
    chain.step(format!("concat,a1,@0,@{last}"));
    chain.describe(&image.to_string())
}

/// The classifier of an image network.
fn head(d: &mut Draw) -> String {
    let side = d.of(&[7, 7, 8, 10, 14]);
    let (batch, channels) = (d.of(&[1, 1, 2, 4, 8, 16]), d.size(64, 2_048));
    let mut chain = Chain::of(1);
    chain.step("adaptive_avg_pool2d,1x1");
    chain.step(format!("view,{batch}x{channels}"));
    chain.step(format!("linear,{},b", d.of(&[1_000, 1_000, 10, 365])));
    if d.n() % 2 == 1 {
        chain.step("softmax");
    }
    chain.describe(&format!("{batch}x{channels}x{side}x{side}"))
}
