//! The networks of `--quick`, `--full`, and of a working set: what a sweep measures unless told otherwise.

use derate_core::graph::Tables;
use derate_core::hardware::Hardware;
use derate_core::shape::Precision;

use super::net::{Kind, Net};
use super::plan::{PlanError, Scenario};
use crate::zoo::{ConvStack, Mlp};

/// Most FLOPs of a configuration in `--full`: some tens of milliseconds a run on two cores, so that 50 runs stay short.
const FULL_FLOPS: u64 = 4_000_000_000;

fn mlp(input_dim: u32, hidden_dims: &[u32], output_dim: u32, batch: u32) -> Net {
    Net::Mlp(Mlp { input_dim, hidden_dims: hidden_dims.to_vec(), output_dim, batch })
}

fn conv(channels: [u32; 2], kernel_size: u16, num_layers: u32, image_size: u32, batch: u32) -> Net {
    let [in_channels, out_channels] = channels;
    Net::Conv2d(ConvStack { in_channels, out_channels, kernel_size, num_layers, image_size, batch })
}

/// Five, one of each sort.
pub(super) fn quick(kind: Kind) -> Vec<Net> {
    match kind {
        // Overhead, a middle size, weights from memory at batch 1, arithmetic, a tapered network.
        Kind::Mlp => vec![
            mlp(128, &[128], 64, 1),
            mlp(512, &[512, 512], 128, 32),
            mlp(2048, &[4096], 1024, 1),
            mlp(1024, &[1024, 1024, 1024], 256, 128),
            mlp(784, &[1024, 512, 256, 128], 10, 64),
        ],
        // Overhead, a middle size, weights from memory, arithmetic, pointwise layers of a large image.
        Kind::Conv2d => vec![
            conv([3, 8], 3, 1, 16, 1),
            conv([16, 32], 3, 2, 28, 8),
            conv([256, 256], 3, 2, 7, 1),
            conv([64, 64], 3, 3, 56, 2),
            conv([16, 64], 1, 2, 112, 1),
        ],
    }
}

/// 150 and more: a grid, odd sizes, all scenarios.
pub(super) fn full(kind: Kind, hardware: &Hardware<'_>, precision: Precision) -> Result<Vec<Net>, PlanError> {
    let mut list = quick(kind);
    match kind {
        Kind::Mlp => mlps(&mut list),
        Kind::Conv2d => stacks(&mut list),
    }
    for scenario in Scenario::ALL {
        // A device without one of the caches has no such scenario, and the rest is still a full sweep.
        if let Ok(nets) = scenario.nets(kind, hardware, precision) {
            list.extend(nets);
        }
    }
    let mut kept = Vec::new();
    for net in list {
        if net.graph(precision.data_type())?.view().total_work()?.flops.0 <= FULL_FLOPS {
            kept.push(net);
        }
    }
    Ok(kept)
}

fn mlps(list: &mut Vec<Net>) {
    for width in [64, 128, 256, 512, 1024, 2048] {
        for layers in 1..=4 {
            for batch in [1, 4, 16, 64, 256] {
                list.push(mlp(width, &vec![width; layers], width, batch));
            }
        }
    }
    // Odd and unequal sizes, as real classifiers, encoders and recommenders have them.
    for batch in [1, 7, 100] {
        list.extend([
            mlp(784, &[300, 100], 10, batch),
            mlp(640, &[128, 128, 8, 128], 640, batch),
            mlp(333, &[777], 55, batch),
            mlp(3072, &[1000, 500], 100, batch),
            mlp(50, &[2000], 3, batch),
            mlp(1, &[1500, 1500], 1, batch),
        ]);
    }
}

fn stacks(list: &mut Vec<Net>) {
    for channels in [8, 32, 64, 128] {
        for kernel in [1, 3, 5] {
            for layers in [1, 3] {
                for (image, batch) in [(7, 1), (14, 1), (14, 16), (28, 4), (56, 1), (56, 4), (112, 1)] {
                    list.push(conv([channels; 2], kernel, layers, image, batch));
                }
            }
        }
    }
    // Odd and unequal sizes: stems of image networks, few channels of large images, many of small ones, even kernels.
    for batch in [1, 3] {
        list.extend([
            conv([3, 64], 7, 1, 112, batch),
            conv([1, 20], 5, 2, 29, batch),
            conv([13, 27], 3, 2, 33, batch),
            conv([3, 12], 4, 3, 65, batch),
            conv([320, 512], 1, 1, 9, batch),
            conv([192, 384], 3, 1, 13, batch),
        ]);
    }
}

/// Networks of about so many bytes: one to three layers, batches of 1 and 8.
pub(super) fn of_working_set(kind: Kind, target: u64, precision: Precision) -> Result<Vec<Net>, PlanError> {
    let mut list = Vec::new();
    for layers in 1..=3 {
        for batch in [1, 8] {
            list.push(sized(kind, target, layers, batch, precision)?);
        }
    }
    Ok(list)
}

/// The network of one free size whose parameters and activations come closest to `target` bytes from below: an MLP of equal widths,
/// a multiple of 8; a stack of 3 × 3 convolutions of 8 channels on images of that size.
fn sized(kind: Kind, target: u64, layers: u32, batch: u32, precision: Precision) -> Result<Net, PlanError> {
    let net = |size: u32| match kind {
        Kind::Mlp => {
            let width = 8 * size;
            mlp(width, &(0..layers).map(|_| width).collect::<Vec<_>>(), width, batch)
        }
        Kind::Conv2d => conv([8; 2], 3, layers, size, batch),
    };
    let bytes =
        |size: u32| -> Result<u64, PlanError> { Ok(net(size).graph(precision.data_type())?.footprint()?.total()?.0) };
    let mut size = 1;
    while bytes(size + 1)? <= target {
        size += 1;
    }
    Ok(net(size))
}
