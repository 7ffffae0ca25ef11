//! The convolutions that are tiled in the benches, and the levels.

use derate_core::nest::{ConvLoops, ElementSizes, LoopNest, Loops};
use derate_core::tile::Buffer;
use derate_core::units::Bytes;

/// 32 KiB, 512 KiB and 8 MiB.
pub(crate) const LEVELS: [Buffer; 3] = [level(32 << 10), level(512 << 10), level(8 << 20)];

const fn level(capacity: u64) -> Buffer {
    Buffer { capacity: Bytes(capacity), double_buffered: false }
}

/// 3 × 3 over 64 channels of 56 × 56, batch 32, fp32: table 1 of He et al., "Deep Residual Learning for Image Recognition", 2015.
pub(crate) fn resnet50() -> LoopNest {
    nest([32, 64, 64], 56)
}

/// The same with channels and extents that are prime.
pub(crate) fn prime() -> LoopNest {
    nest([31, 61, 127], 53)
}

fn nest([batch, c_in, c_out]: [u64; 3], extent: u64) -> LoopNest {
    let loops = ConvLoops {
        batch,
        groups: 1,
        c_in,
        c_out,
        input: [1, extent, extent],
        output: [1, extent, extent],
        kernel: [1, 3, 3],
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0, 1, 1],
    };
    LoopNest::new(Loops::Conv(loops), ElementSizes::all(4))
}
