//! Wall time of characterising a graph, exact work of all its ops, and of tiling. `cargo bench -p derate-core --bench walltime`
//!
//! `characterize/resnet50` is the time of one graph of 175 ops; `scaling/N` that of a graph of N ops, with the ops in a second, which stay
//! the same where the time grows with the ops and no faster.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use derate_core::Error;
use derate_core::graph::Tables;
use derate_core::tile::tile;

mod conv;
mod products;
mod resnet50;

fn characterize(criterion: &mut Criterion) {
    let graph = resnet50::networks(1).expect("room for one network");
    let work = graph.view().total_work().expect("small counts");
    // The published counts: another graph would be another bench.
    assert_eq!((graph.view().nodes().len(), work.macs.0, work.params), (175, 4_089_184_256, 25_557_032));
    criterion.bench_function("characterize/resnet50", |bench| bench.iter(|| total(black_box(&graph))));

    let mut group = criterion.benchmark_group("scaling");
    for copies in [1, 2, 4, 8] {
        let graph = resnet50::networks(copies).expect("room for eight networks");
        let ops = graph.view().nodes().len();
        group.throughput(Throughput::Elements(u64::try_from(ops).unwrap_or(u64::MAX)));
        group.bench_with_input(BenchmarkId::from_parameter(ops), &graph, |bench, graph| {
            bench.iter(|| total(black_box(graph)));
        });
    }
    group.finish();
}

/// Fusion, and the work of every kernel: graph to kernels, as an estimate needs it.
fn fuse(criterion: &mut Criterion) {
    let mut scratch = resnet50::Scratch::default();
    let graph = resnet50::networks(1).expect("room for one network");
    let (kernels, work) = resnet50::fused(&graph, &mut scratch).expect("small counts");
    // A convolution, its norm, its activation and its residual sum are one: 53 of them, and pooling, mean, view and classifier.
    assert_eq!((kernels, work.macs.0), (57, 4_089_184_256));
    criterion.bench_function("fuse/resnet50", |bench| bench.iter(|| resnet50::fused(black_box(&graph), &mut scratch)));

    let mut group = criterion.benchmark_group("fuse/scaling");
    for copies in [1, 2, 4, 8] {
        let graph = resnet50::networks(copies).expect("room for eight networks");
        let ops = graph.view().nodes().len();
        group.throughput(Throughput::Elements(u64::try_from(ops).unwrap_or(u64::MAX)));
        group.bench_with_input(BenchmarkId::from_parameter(ops), &graph, |bench, graph| {
            bench.iter(|| resnet50::fused(black_box(graph), &mut scratch));
        });
    }
    group.finish();
}

/// Tiles of products for one level, and for three of which each binds.
fn tile_product(criterion: &mut Criterion) {
    for (name, product, buffers) in products::all() {
        assert!(tile(&product, &buffers).is_ok(), "{name}");
        criterion.bench_function(&format!("tile/{name}"), |bench| {
            bench.iter(|| tile(black_box(&product), black_box(&buffers)));
        });
    }
}

/// Tilings for three levels: a convolution of ResNet-50, and one with extents that no tile divides.
fn tile_conv(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tile/conv");
    for (name, nest) in [("resnet50", conv::resnet50()), ("prime", conv::prime())] {
        group.bench_function(name, |bench| bench.iter(|| tile(black_box(&nest), &conv::LEVELS)));
    }
    group.finish();
}

fn total(graph: &resnet50::Networks) -> Result<derate_core::work::Work, Error> {
    graph.view().total_work()
}

criterion_group!(benches, characterize, fuse, tile_product, tile_conv);
criterion_main!(benches);
