//! Matrix products, attentions, and the buffers that they are tiled for.

use derate_core::nest::{AttentionLoops, ElementSizes, LoopNest, Loops};
use derate_core::tile::Buffer;
use derate_core::units::Bytes;
use derate_core::work::Gemm;

const FP32: ElementSizes = ElementSizes::all(4);
const INT8: ElementSizes = ElementSizes { a: 1, b: 1, partial: 4, c: 1 };

const fn product(m: u64, n: u64, k: u64) -> Loops {
    Loops::Gemm(Gemm { m, n, k, groups: 1 })
}

const fn attention(groups: u64, m: u64, n: u64, d: u64) -> Loops {
    Loops::Attention(AttentionLoops { groups, m, n, d, d_v: d })
}

const CASES: [(&str, Loops, ElementSizes, &[u64]); 8] = [
    ("one level, 1024", product(1024, 1024, 1024), FP32, &[32 << 10]),
    ("one level, 4096 x 11008 x 4096", product(4096, 11008, 4096), INT8, &[32 << 10]),
    ("one level, 1 x 4096 x 4096", product(1, 4096, 4096), FP32, &[32 << 10]),
    ("one level, attention 12 x 1024 x 1024 x 64", attention(12, 1024, 1024, 64), FP32, &[32 << 10]),
    ("one level, attention 32 x 1 x 4096 x 128", attention(32, 1, 4096, 128), FP32, &[192 << 10]),
    ("two levels, 1024", product(1024, 1024, 1024), FP32, &[32 << 10, 1 << 20]),
    ("three levels, 1024", product(1024, 1024, 1024), FP32, &[32 << 10, 1 << 20, 32 << 20]),
    ("three levels, 4096 x 11008 x 4096", product(4096, 11008, 4096), FP32, &[32 << 10, 1 << 20, 32 << 20]),
];

/// Each product with its name and its buffers, the innermost first.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, LoopNest, Vec<Buffer>)> {
    CASES.into_iter().map(|(name, loops, sizes, capacities)| {
        let buffer = |&bytes| Buffer { capacity: Bytes(bytes), double_buffered: false };
        (name, LoopNest::new(loops, sizes), capacities.iter().map(buffer).collect())
    })
}

/// The product of a name.
#[allow(dead_code, reason = "of the two benches, one takes all")]
pub(crate) fn named(name: &str) -> (LoopNest, Vec<Buffer>) {
    let (_, product, buffers) = all().find(|&(other, ..)| other == name).expect("a product of this name");
    (product, buffers)
}
