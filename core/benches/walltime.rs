//! Wall time of characterising a graph, exact work of all its ops, and of tiling products. `cargo bench -p derate-core --bench walltime`
//!
//! `characterize/resnet50` is the time of one graph of 175 ops; `scaling/N` that of a graph of N ops, with the ops in a second, which stay
//! the same where the time grows with the ops and no faster.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use derate_core::Error;
use derate_core::graph::Tables;

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
fn tile(criterion: &mut Criterion) {
    for (name, product, buffers) in products::all() {
        assert!(derate_core::tile::tile(&product, &buffers).is_ok(), "{name}");
        criterion.bench_function(&format!("tile/{name}"), |bench| {
            bench.iter(|| derate_core::tile::tile(black_box(&product), black_box(&buffers)));
        });
    }
}

fn total(graph: &resnet50::Networks) -> Result<derate_core::work::Work, Error> {
    graph.view().total_work()
}

criterion_group!(benches, characterize, fuse, tile);
criterion_main!(benches);
