//! Mappers obey the laws of mappers, on random kernels and devices, from their description alone.

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
