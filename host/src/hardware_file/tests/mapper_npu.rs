//! Tests of the tables `[npu]`, `[dpu]` and `[cgra]`: read, written, refused, and made into the core's mappers.

use derate_core::mapper::cgra::Cgra;
use derate_core::mapper::dpu::Dpu;
use derate_core::mapper::lanes::{Lanes, Rates};
use derate_core::mapper::npu::Npu;

use super::super::{HardwareFile, ProblemKind, check};
use super::EXAMPLE;

const NPU: &str = r#"
[npu]
rows = { value = 2, basis = "spec", source = "micro-block" }
c_in = { value = 8, basis = "spec", source = "micro-block" }
taps = { value = 4, basis = "spec", source = "step of four cycles" }
c_out = { value = 8, basis = "spec", source = "micro-block" }
weights_per_cycle = { value = 8, basis = "spec", source = "decoder" }
accumulators = { value = 1536, basis = "assumed", source = "half of the memory" }
elementwise_per_cycle = { value = 0.5, basis = "spec", source = "two cycles an addition" }
window_per_cycle = { value = 2.0, basis = "spec", source = "one position" }
setup_cycles = { value = 128, basis = "spec", source = "latencies" }

[npu.depthwise]
rows = { value = 2, basis = "spec", source = "micro-block" }
taps = { value = 4, basis = "spec", source = "step of four cycles" }
channels = { value = 8, basis = "spec", source = "micro-block" }
share = { value = 0.125, basis = "spec", source = "one of eight channels" }
"#;

const OTHERS: &str = r#"
[dpu]
pixels = { value = 8, basis = "spec", source = "PG338" }
c_in = { value = 16, basis = "spec", source = "PG338" }
c_out = { value = 16, basis = "spec", source = "PG338" }
alu_pixels = { value = 4, basis = "spec", source = "PG338" }

[cgra]
rows = { value = 4, basis = "assumed", source = "a sketch" }
columns = { value = 8, basis = "assumed", source = "a sketch" }
initiation_interval = { value = 2, basis = "assumed", source = "a sketch" }
pipeline_cycles = { value = 12, basis = "assumed", source = "a sketch" }
reconfiguration_cycles = { value = 500, basis = "assumed", source = "a sketch" }
"#;

#[test]
fn geometries_become_mappers() {
    let text = format!("{EXAMPLE}{NPU}{OTHERS}");
    let file = HardwareFile::parse(&text, "f.toml").unwrap();
    assert_eq!(
        file.npu.as_ref().map(|entry| entry.npu()),
        Some(Npu {
            dense: Lanes { rows: 2, columns: 1, c_in: 8, taps: 4, c_out: 8, share: 1.0 },
            depthwise: Some(Lanes { rows: 2, columns: 1, c_in: 1, taps: 4, c_out: 8, share: 0.125 }),
            weights_per_cycle: Some(8.0),
            accumulators: Some(1536),
            output: None,
            rates: Rates { elementwise: 0.5, window: 2.0 },
            stored_weights: 1.0,
            setup_cycles: 128,
        })
    );
    assert_eq!(
        file.dpu.as_ref().map(|entry| entry.dpu()),
        Some(Dpu { pixels: 8, c_in: 16, c_out: 16, alu_pixels: 4, setup_cycles: 0 })
    );
    assert_eq!(
        file.cgra.as_ref().map(|entry| entry.cgra()),
        Some(Cgra { rows: 4, columns: 8, initiation_interval: 2, pipeline_cycles: 12, reconfiguration_cycles: 500 })
    );
    assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
}

#[test]
fn a_geometry_without_channels_is_refused() {
    let text = format!("{EXAMPLE}{}", NPU.replace("c_out = {", "c_outs = {"));
    let problems = check(&text, "f.toml");
    let found: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.kind)).collect();
    assert!(found.contains(&("npu.c_outs", ProblemKind::UnknownKey)), "{problems:?}");
    assert!(found.contains(&("npu.c_out", ProblemKind::MissingKey)), "{problems:?}");
    let text = format!("{EXAMPLE}{}", NPU.replace("c_in = { value = 8", "c_in = { value = 0"));
    assert_eq!(check(&text, "f.toml").len(), 1);
}
