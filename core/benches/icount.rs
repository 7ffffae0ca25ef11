//! Instructions of characterising, fusing and estimating a graph and of tiling, counted by valgrind: the same on every run.
//! `cargo bench -p derate-core --bench icount`
//!
//! Needs valgrind, and `cargo install gungraun-runner --version 0.20.0`.
#![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "what the macros of gungraun write")]

use std::hint::black_box;

use derate_core::Error;
use derate_core::estimate::{Estimate, KernelWork, NetworkEstimate, Target, Works};
use derate_core::graph::Tables;
use derate_core::mapper::{Roofline, cpu::Cpu, npu::Npu};
use derate_core::nest::LoopNest;
use derate_core::tile::{Buffer, Tiling};
use derate_core::work::Work;
use estimates::Case;
use gungraun::{library_benchmark, library_benchmark_group, main};

mod conv;
mod estimates;
mod products;
mod resnet50;

fn networks(copies: usize) -> resnet50::Networks {
    resnet50::networks(copies).expect("room for eight networks")
}

#[library_benchmark(setup = networks)]
#[bench::ops_175(1)]
#[bench::ops_350(2)]
#[bench::ops_700(4)]
#[bench::ops_1400(8)]
fn characterize(graph: resnet50::Networks) -> Result<Work, Error> {
    black_box(&graph).view().total_work()
}

// Fusion, and the work of every kernel.
#[library_benchmark(setup = networks)]
#[bench::ops_175(1)]
#[bench::ops_350(2)]
#[bench::ops_700(4)]
#[bench::ops_1400(8)]
fn fuse(graph: resnet50::Networks) -> Result<(usize, Work), Error> {
    resnet50::fused(black_box(&graph), &mut resnet50::Scratch::default())
}

// Tiles of products for one level, and for three.
#[library_benchmark(setup = products::named)]
#[bench::one_level("one level, 1024")]
#[bench::one_level_large("one level, 4096 x 11008 x 4096")]
#[bench::three_levels("three levels, 1024")]
#[bench::three_levels_large("three levels, 4096 x 11008 x 4096")]
fn tile_product((product, buffers): (LoopNest, Vec<Buffer>)) -> Result<Tiling, Error> {
    derate_core::tile::tile(black_box(&product), black_box(&buffers))
}

// Tilings of a convolution for three levels.
#[library_benchmark]
#[bench::resnet50(conv::resnet50())]
#[bench::prime(conv::prime())]
fn tile_conv(nest: LoopNest) -> Result<Tiling, Error> {
    derate_core::tile::tile(black_box(&nest), &conv::LEVELS)
}

// ResNet-50 from its graph to its estimate: by a processor with three levels of cache, by an NPU, by the roofs of the processor alone.
#[library_benchmark]
#[bench::i7_12700k(there(estimates::processor()))]
fn estimate_processor(case: &'static mut Case<Cpu>) -> Result<NetworkEstimate, Error> {
    black_box(case).estimate()
}

#[library_benchmark]
#[bench::ethos_u65_512(there(estimates::npu()))]
fn estimate_npu(case: &'static mut Case<Npu>) -> Result<NetworkEstimate, Error> {
    black_box(case).estimate()
}

#[library_benchmark]
#[bench::without_tilings(there(estimates::roofs()))]
fn estimate_roofs(case: &'static mut Case<Roofline>) -> Result<NetworkEstimate, Error> {
    black_box(case).estimate()
}

/// A case in its place: it is large, and moving it is none of its estimate.
fn there<M>(case: Result<Case<M>, Error>) -> &'static mut Case<M> {
    Box::leak(Box::new(case.expect("a network and a device")))
}

/// Works that are counted before, and where they run.
fn counted() -> (Works<'static>, &'static Target<'static>) {
    there(estimates::roofs()).works(Box::leak(Box::new([KernelWork::NOTHING; 64]))).expect("counts")
}

// The roofs alone, of kernels whose work is counted.
#[library_benchmark(setup = counted)]
#[bench::counted()]
fn estimate_counted((works, target): (Works<'static>, &'static Target<'static>)) -> Result<Estimate, Error> {
    estimates::by_roofs(black_box(&works), black_box(target))
}

library_benchmark_group!(
    name = counts,
    benchmarks = [
        characterize,
        fuse,
        tile_product,
        tile_conv,
        estimate_processor,
        estimate_npu,
        estimate_roofs,
        estimate_counted
    ]
);
main!(library_benchmark_groups = counts);
