//! What tilings that lie within each other move, over what each level moves alone: for the convolutions of ResNet-50 and some products.
//! `cargo run -p derate-tests --example nested_levels`

use derate_core::Error;
use derate_core::nest::{ConvLoops, ElementSizes, LoopNest, Loops};
use derate_core::tile::{Buffer, tile};
use derate_core::units::Bytes;
use derate_core::work::Gemm;

/// Input and output channels, input extent, kernel, stride; padding keeps the extent.
///
/// **Source**: He et al., "Deep Residual Learning for Image Recognition", 2015, table 1.
const CONVOLUTIONS: [[u64; 5]; 23] = [
    [3, 64, 224, 7, 2],
    [64, 64, 56, 1, 1],
    [64, 64, 56, 3, 1],
    [64, 256, 56, 1, 1],
    [256, 64, 56, 1, 1],
    [256, 128, 56, 1, 1],
    [128, 128, 56, 3, 2],
    [128, 512, 28, 1, 1],
    [256, 512, 56, 1, 2],
    [512, 128, 28, 1, 1],
    [128, 128, 28, 3, 1],
    [512, 256, 28, 1, 1],
    [256, 256, 28, 3, 2],
    [256, 1024, 14, 1, 1],
    [512, 1024, 28, 1, 2],
    [1024, 256, 14, 1, 1],
    [256, 256, 14, 3, 1],
    [1024, 512, 14, 1, 1],
    [512, 512, 14, 3, 2],
    [512, 2048, 7, 1, 1],
    [1024, 2048, 14, 1, 2],
    [2048, 512, 7, 1, 1],
    [512, 512, 7, 3, 1],
];

/// Rows, columns and sums of products: large ones, layers of a vision transformer, a matrix–vector product.
const PRODUCTS: [[u64; 3]; 8] = [
    [1024, 1024, 1024],
    [4096, 4096, 4096],
    [512, 4096, 1024],
    [64, 1000, 2048],
    [197, 768, 768],
    [197, 3072, 768],
    [1, 4096, 4096],
    [333, 777, 555],
];

/// Capacities in KiB, from the innermost level on.
const HIERARCHIES: [&[u64]; 4] = [&[32, 512], &[32, 1024, 32 << 10], &[48, 2048], &[16, 64, 1024]];

fn main() -> Result<(), Error> {
    let convolutions = CONVOLUTIONS.map(|[c_in, c_out, input, kernel, stride]| {
        let padding = kernel / 2;
        let output = (input + 2 * padding - kernel) / stride + 1;
        Loops::Conv(ConvLoops {
            batch: 1,
            groups: 1,
            c_in,
            c_out,
            input: [1, input, input],
            output: [1, output, output],
            kernel: [1, kernel, kernel],
            stride: [1, stride, stride],
            dilation: [1; 3],
            padding: [0, padding, padding],
        })
    });
    let products = PRODUCTS.map(|[m, n, k]| Loops::Gemm(Gemm { m, n, k, groups: 1 }));
    let nests = convolutions.into_iter().chain(products).map(|loops| LoopNest::new(loops, ElementSizes::all(4)));
    let nests: Vec<LoopNest> = nests.collect();
    println!("{:>8} {:>8} {:>7} {:>7} {:>7}", "level", "KiB", "median", "p90", "most");
    for hierarchy in HIERARCHIES {
        let buffers: Vec<Buffer> = hierarchy
            .iter()
            .map(|kibibytes| Buffer { capacity: Bytes(kibibytes << 10), double_buffered: false })
            .collect();
        let nested = nests.iter().map(|nest| tile(nest, &buffers)).collect::<Result<Vec<_>, _>>()?;
        for (level, buffer) in buffers.iter().enumerate() {
            let mut ratios = Vec::new();
            for (nest, nested) in nests.iter().zip(&nested) {
                let alone = tile(nest, std::slice::from_ref(buffer))?.levels[0].traffic.total()?;
                ratios.push(nested.levels[level].traffic.total()?.0 as f64 / alone.0 as f64);
            }
            ratios.sort_by(f64::total_cmp);
            let at = |share: usize| ratios[(ratios.len() - 1) * share / 100];
            println!("{level:>8} {:>8} {:>7.3} {:>7.3} {:>7.3}", buffer.capacity.0 >> 10, at(50), at(90), at(100));
        }
    }
    Ok(())
}
