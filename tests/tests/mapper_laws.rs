//! Mappers obey the laws of mappers, on random kernels and devices, from their description alone.

use derate_core::Error;
use derate_core::estimate::{Target, task_estimate};
use derate_core::mapping::{Machine, Mapper};
use derate_core::nest::{AttentionLoops, ConvLoops, ElementSizes, LoopNest, Loops, Task};
use derate_core::shape::Precision;
use derate_core::work::Gemm;
use derate_tests::mappers::MAPPERS;

/// Random kernels on random devices, for each mapper; `DERATE_CASES` sets another number.
fn cases() -> u32 {
    std::env::var("DERATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000)
}

fn obeys(name: &str) {
    let (_, verdict) = MAPPERS.iter().find(|(of, _)| *of == name).expect("a mapper");
    if let Err(broken) = verdict(cases()) {
        panic!("{broken}");
    }
}

#[test]
fn roofline() {
    obeys("roofline");
}

#[test]
fn cpu() {
    obeys("cpu");
}

#[test]
fn gpu() {
    obeys("gpu");
}

#[test]
fn systolic() {
    obeys("systolic");
}

#[test]
fn tile_fabric() {
    obeys("tile_fabric");
}

#[test]
fn npu() {
    obeys("npu");
}

#[test]
fn dpu() {
    obeys("dpu");
}

#[test]
fn cgra() {
    obeys("cgra");
}

#[test]
fn mcu() {
    obeys("mcu");
}

/// Nests of which one extent after the other is none, then all of them, each with the same nest where they are one.
fn empty_nests() -> Vec<[LoopNest; 2]> {
    let loops = |number: usize, none: u64| {
        // Extents from `first` on: the one of this number, or all.
        let at = |place: usize, extent: u64| if number == place || number == usize::MAX { none } else { extent };
        let axes = |first: usize, extents: [u64; 3]| [0, 1, 2].map(|axis| at(first + axis, extents[axis]));
        let gemm = Gemm { m: at(0, 5), n: at(1, 40), k: at(2, 7), groups: at(3, 2) };
        let conv = |c_in| ConvLoops {
            batch: at(0, 2),
            groups: at(1, 3),
            c_in: at(2, c_in),
            c_out: at(3, 9),
            input: axes(4, [1, 8, 8]),
            output: axes(7, [1, 6, 6]),
            kernel: axes(10, [1, 3, 3]),
            stride: axes(13, [1; 3]),
            dilation: axes(16, [1; 3]),
            padding: [0; 3],
        };
        let attention = AttentionLoops { groups: at(0, 2), m: at(1, 5), n: at(2, 33), d: at(3, 8), d_v: at(4, 6) };
        [Loops::Gemm(gemm), Loops::Conv(conv(4)), Loops::Conv(conv(1)), Loops::Attention(attention)]
    };
    let mut nests = Vec::new();
    for number in (0..=18).chain([usize::MAX]) {
        for pair in loops(number, 0).into_iter().zip(loops(number, 1)) {
            let nest = |loops| LoopNest::new(loops, ElementSizes::all(1));
            nests.push([nest(pair.0), nest(pair.1)]);
        }
    }
    nests.extend(loops(usize::MAX - 1, 0).map(|loops| {
        let once = LoopNest::new(loops, ElementSizes::all(1));
        [LoopNest { repeats: 0, ..once }, once]
    }));
    nests
}

#[test]
fn an_empty_nest_is_refused_or_takes_about_as_long_as_a_small_one() -> Result<(), Error> {
    for (name, _) in derate_hw_specs::DEVICES {
        let device = derate_hw_specs::device::find(name).expect("a constant");
        for precision in Precision::ALL {
            let profile = &device.hardware.thermal_profiles()[0];
            let Ok(machine) = Machine::new(&device.hardware, profile, precision) else { continue };
            for [empty, small] in empty_nests() {
                let what = || format!("{name} {precision:?} {empty:?}");
                let Ok(mapping) = device.mapper.product(&empty, &machine) else { continue };
                let is_share = |share: f32| (0.0..=1.0).contains(&share);
                assert!(is_share(mapping.utilization), "{}: {mapping:?}", what());
                assert!(mapping.losses.iter().all(|lost| is_share(lost.left)), "{}: {mapping:?}", what());
                let target = Target::new(&device.hardware)?;
                let estimate = |nest| task_estimate(&Task::product(nest, precision)?, &target, &device.mapper, &mut []);
                let Ok(none) = estimate(empty) else { continue };
                assert!(none.op.latency.0.is_finite() && none.op.latency.0 >= 0.0, "{}: {none:?}", what());
                let energy = none.energy.map_or(0.0, |energy| energy.total().0);
                assert!(energy.is_finite() && energy >= 0.0, "{}: {none:?}", what());
                // The loops around nothing still run, perhaps in another kernel.
                if let Ok(some) = estimate(small) {
                    assert!(none.op.latency.0 <= some.op.latency.0 * 2.0, "{}: {none:?} {some:?}", what());
                }
            }
        }
    }
    Ok(())
}
