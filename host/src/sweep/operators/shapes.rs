//! Shapes of single ops as networks have them: each point of the sequence gives one, as a description (`op:conv2d,64,k3,p1:1x32x56x56`).
//!
//! Sizes follow those of published image and language networks: images of 7 to 224, fewer channels the larger the image (28 672 along
//! a row, as 128 channels of 224 or 2048 of 14), batches of 1 to 16, sequences to 1024, features to 8192.

use super::Family;
use super::chains;
use super::sequence::{Draw, Rounding};

/// Heights and widths of the feature maps of published networks.
const SIDES: [u32; 20] = [7, 8, 10, 13, 14, 16, 19, 20, 26, 28, 32, 38, 40, 52, 56, 64, 80, 112, 150, 224];

/// Samples of an input: one most often, as latency is quoted.
const BATCHES: [u32; 10] = [1, 2, 1, 4, 1, 8, 1, 16, 3, 1];

/// Channels times extent of one axis.
const ROW: u32 = 28_672;

/// The description of point `n` of a family; `None` where the point makes no op, such as a kernel larger than its image.
pub(super) fn description(family: Family, n: u32) -> Option<String> {
    let mut draw = Draw::new(n);
    let d = &mut draw;
    Some(match family {
        Family::Conv => conv(d),
        Family::Pointwise => pointwise(d),
        Family::Depthwise => depthwise(d),
        Family::GroupedConv => grouped(d),
        Family::Linear => linear(d),
        Family::MatMul => mat_mul(d),
        Family::Attention => attention(d),
        Family::Elementwise => elementwise(d),
        Family::Transcendental => {
            let op = d.of(&["gelu", "silu", "sigmoid", "tanh", "exp", "gelu_tanh"]);
            format!("op:{op}:{}", tensor(d))
        }
        Family::BatchNorm => format!("op:batch_norm:{}", Image::draw(d)),
        Family::LayerNorm => format!("op:layer_norm:{}", tokens(d)),
        Family::Softmax => softmax(d),
        Family::Pooling => pooling(d),
        Family::GlobalPooling => {
            let image = Image::draw(d);
            if d.n() % 3 == 2 {
                format!("op:reduce_mean,a2,a3:{image}")
            } else {
                format!("op:adaptive_avg_pool2d,1x1:{image}")
            }
        }
        Family::Copy => copy(d),
        Family::Sequence(kind) => return chains::description(kind, d),
    })
}

/// A batch of feature maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    pub(super) batch: u32,
    pub(super) channels: u32,
    pub(super) height: u32,
    pub(super) width: u32,
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}x{}", self.batch, self.channels, self.height, self.width)
    }
}

impl Image {
    pub(super) fn draw(d: &mut Draw) -> Self {
        Self::with(d, 3)
    }

    /// One of at least so many channels.
    pub(super) fn with(d: &mut Draw, least: u32) -> Self {
        let height = if d.rounding() == Rounding::Odd { d.log(7, 224) } else { d.of(&SIDES) };
        // Every eighth is no square, as detectors have them.
        let width = if d.n() % 8 == 5 { (height * 4).div_ceil(3) } else { height };
        let channels = d.size(least, channels(height));
        Self { batch: d.of(&BATCHES), channels, height, width }
    }
}

/// Most channels of an image of this height.
pub(super) fn channels(height: u32) -> u32 {
    (ROW / height).clamp(16, 2_048)
}

/// `,sS`, `,pP`, `,gG`, left out where they are usual.
pub(super) fn options(stride: u32, padding: u32, groups: u32) -> String {
    let piece = |letter: char, value: u32, usual: u32| {
        if value == usual { String::new() } else { format!(",{letter}{value}") }
    };
    piece('s', stride, 1) + &piece('p', padding, 0) + &piece('g', groups, 1)
}

/// Every fourth has a bias; most convolutions are followed by a batch norm instead.
fn bias(d: &Draw) -> &'static str {
    if d.n() % 16 % 5 == 3 { ",b" } else { "" }
}

/// Padding that keeps the extent; none for every ninth.
fn padding(d: &Draw, kernel: u32) -> u32 {
    if d.n() % 9 == 4 { 0 } else { kernel / 2 }
}

fn conv(d: &mut Draw) -> String {
    let mut image = Image::draw(d);
    let kernel = d.of(&[3, 3, 5, 3, 3, 7, 3, 3]);
    let stride = d.of(&[1, 1, 2]);
    let c_out = d.size((image.channels / 4).max(8), (image.channels.saturating_mul(4)).clamp(16, 2_048));
    // The first layer of an image network.
    if d.n() % 12 == 7 {
        image.channels = 3;
    }
    // Dilated, as in segmentation.
    let (padding, dilation) = if kernel == 3 && d.n() % 16 == 11 { (2, ",d2") } else { (padding(d, kernel), "") };
    format!("op:conv2d,{c_out},k{kernel}{}{dilation}{}:{image}", options(stride, padding, 1), bias(d))
}

fn pointwise(d: &mut Draw) -> String {
    let mut image = Image::with(d, 8);
    let mut stride = d.of(&[1, 1, 1, 1, 1, 2]);
    // One position, as in squeeze and excitation.
    if d.n() % 10 == 9 {
        (image.height, image.width, stride) = (1, 1, 1);
    }
    let c_out = d.size((image.channels / 6).max(8), (image.channels.saturating_mul(6)).clamp(16, 2_048));
    format!("op:conv2d,{c_out},k1{}{}:{image}", options(stride, 0, 1), bias(d))
}

fn depthwise(d: &mut Draw) -> String {
    let image = Image::with(d, 8);
    let (kernel, stride) = (d.of(&[3, 3, 5, 7]), d.of(&[1, 1, 2]));
    let options = options(stride, kernel / 2, image.channels);
    format!("op:conv2d,{},k{kernel}{options}:{image}", image.channels)
}

fn grouped(d: &mut Draw) -> String {
    let mut image = Image::draw(d);
    let (groups, stride) = (d.of(&[2, 4, 8, 16, 32, 64]), d.of(&[1, 1, 2]));
    let width = (image.channels / groups).max(2);
    image.channels = groups * width;
    let c_out = groups * d.of(&[width, width, 2 * width]);
    let kernel = if d.n() % 5 == 4 { 1 } else { 3 };
    format!("op:conv2d,{c_out},k{kernel}{}:{image}", options(stride, kernel / 2, groups))
}

fn linear(d: &mut Draw) -> String {
    let (features_in, features_out) = (d.size(16, 8_192), d.size(8, 8_192));
    let bias = if d.n() % 5 == 4 { "" } else { ",b" };
    // One row, which streams the weights; some, as a batch; many, as tokens of a batch of sequences.
    let rows = match d.n() % 4 {
        0 => "1".to_owned(),
        3 => format!("{}x{}", d.of(&[1, 2, 4, 8, 16]), d.log(16, 512)),
        _ => d.log(2, 4_096).to_string(),
    };
    format!("op:linear,{features_out}{bias}:{rows}x{features_in}")
}

fn mat_mul(d: &mut Draw) -> String {
    let (m, n, k) = (d.size(1, 2_048), d.size(8, 2_048), d.size(8, 2_048));
    // Scores and values of attention have a small depth and many heads; every third is one plain product.
    let batch = if d.n().is_multiple_of(3) { String::new() } else { format!("{}x", d.log(1, 192)) };
    if d.n().is_multiple_of(2) {
        format!("op:mat_mul,tb:{batch}{m}x{k}+{batch}{n}x{k}")
    } else {
        format!("op:mat_mul:{batch}{m}x{k}+{batch}{k}x{n}")
    }
}

fn attention(d: &mut Draw) -> String {
    let (batch, heads, length) = (d.of(&BATCHES), d.log(1, 16), d.size(16, 1_024));
    let depth = d.of(&[32, 64, 64, 80, 128]);
    let causal = if d.n() % 5 == 4 { ",causal" } else { "" };
    // Keys of another length, as a decoder reads those of its encoder.
    let keys = if d.n() % 7 == 6 { d.size(16, 512) } else { length };
    let [q, k] = [length, if causal.is_empty() { keys } else { length }]
        .map(|length| format!("{batch}x{heads}x{length}x{depth}"));
    format!("op:attention{causal}:{q}+{k}+{k}")
}

/// `batch x length x features`.
fn tokens(d: &mut Draw) -> String {
    format!("{}x{}x{}", d.of(&BATCHES), d.log(1, 1_024), d.size(32, 4_096))
}

/// Two of three are feature maps, one is tokens.
fn tensor(d: &mut Draw) -> String {
    if d.n() % 3 == 2 { tokens(d) } else { Image::draw(d).to_string() }
}

fn elementwise(d: &mut Draw) -> String {
    let op = d.of(&["relu", "add", "mul", "scale", "hardswish", "relu6", "add", "hardsigmoid"]);
    match op {
        "add" | "mul" => {
            let tensor = tensor(d);
            format!("op:{op}:{tensor}+{tensor}")
        }
        // A factor for each channel, as squeeze and excitation gives it.
        "scale" => {
            let image = Image::draw(d);
            format!("op:mul:{image}+{}x{}x1x1", image.batch, image.channels)
        }
        _ => format!("op:{op}:{}", tensor(d)),
    }
}

fn softmax(d: &mut Draw) -> String {
    if d.n() % 3 == 2 {
        return format!("op:softmax:{}x{}", d.log(1, 512), d.size(10, 32_000));
    }
    let (batch, heads, length) = (d.of(&BATCHES), d.log(1, 16), d.size(16, 1_024));
    format!("op:softmax:{batch}x{heads}x{length}x{length}")
}

fn pooling(d: &mut Draw) -> String {
    let image = Image::draw(d);
    let op = d.of(&["max_pool2d", "avg_pool2d"]);
    let (kernel, stride, padding) = d.of(&[(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 1, 2), (3, 2, 0)]);
    let padding = if padding == 0 { String::new() } else { format!(",p{padding}") };
    format!("op:{op},k{kernel},s{stride}{padding}:{image}")
}

fn copy(d: &mut Draw) -> String {
    match d.of(&["concat", "concat", "copy", "heads", "last"]) {
        "concat" => {
            let image = Image::draw(d);
            let parts = d.of(&[2, 2, 3, 4]);
            // Parts of different width, as dense blocks join them.
            let part = |at: u32| Image { channels: (image.channels / (1 + at % 2)).max(1), ..image }.to_string();
            format!("op:concat,a1:{}", (0..parts).map(part).collect::<Vec<_>>().join("+"))
        }
        "copy" => format!("op:copy:{}", tensor(d)),
        // Heads of attention are brought together again; channels come last. A transpose alone moves nothing in eager mode.
        "heads" => {
            let (batch, heads) = (d.of(&BATCHES), d.log(2, 16));
            format!("op:transpose,0x2x1x3/copy:{batch}x{heads}x{}x{}", d.log(16, 1_024), d.of(&[32, 64, 128]))
        }
        _ => format!("op:transpose,0x2x3x1/copy:{}", Image::draw(d)),
    }
}
