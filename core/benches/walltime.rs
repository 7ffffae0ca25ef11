//! Wall time of characterising a graph, exact work of all its ops, of tiling, and of estimating.
//! `cargo bench -p derate-core --bench walltime`
//!
//! `characterize/resnet50` is the time of one graph of 175 ops; `scaling/N` that of a graph of N ops, with the ops in a second, which stay
//! the same where the time grows with the ops and no faster.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use derate_core::Error;
use derate_core::estimate::KernelWork;
use derate_core::graph::Tables;
use derate_core::tile::tile;

mod conv;
mod estimates;
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

/// ResNet-50 from its graph to its estimate: by a mapper, with everything that it tiles, and by the roofs alone; one kernel of it.
fn estimate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("estimate");
    let mut processor = estimates::processor().expect("a network and a device");
    let mut npu = estimates::npu().expect("a network and a device");
    let mut roofs = estimates::roofs().expect("a network and a device");
    for network in [processor.estimate(), npu.estimate(), roofs.estimate()] {
        assert_eq!(network.map(|network| network.estimate.work.macs.0), Ok(4_089_184_256));
    }
    group.bench_function("resnet50/i7-12700k", |bench| bench.iter(|| black_box(&mut processor).estimate()));
    group.bench_function("resnet50/ethos-u65-512", |bench| bench.iter(|| black_box(&mut npu).estimate()));
    group.bench_function("resnet50/roofline mapper", |bench| bench.iter(|| black_box(&mut roofs).estimate()));
    let mut scratch = [KernelWork::NOTHING; 64];
    let (works, target) = roofs.works(&mut scratch).expect("counts");
    group.bench_function("resnet50/roofs of counted kernels", |bench| {
        bench.iter(|| estimates::by_roofs(black_box(&works), black_box(target)));
    });
    // The first 3 x 3 convolution of the second stage.
    let (task, target, mapper) = processor.task(12).expect("a kernel");
    group.bench_function("kernel/i7-12700k", |bench| {
        bench.iter(|| estimates::kernel(black_box(&task), target, mapper));
    });
    group.finish();
}

fn total(graph: &resnet50::Networks) -> Result<derate_core::work::Work, Error> {
    graph.view().total_work()
}

criterion_group!(benches, characterize, fuse, tile_product, tile_conv, estimate);
criterion_main!(benches);
