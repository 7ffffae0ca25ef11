//! What a right description becomes: the core's hardware, a view for fewer threads, TOML again, a JSON Schema.

use std::num::NonZeroU32;

use derate_core::hardware::Basis;
use derate_core::shape::Precision;
use derate_core::units::{Bytes, Seconds};
use serde_json::Value;

use super::super::keys::{BASES, KINDS};
use super::super::{DeviceKind, HardwareFile, Number, json_schema};
use super::{EXAMPLE, changed};

fn example() -> HardwareFile {
    HardwareFile::parse(EXAMPLE, "example.toml").unwrap()
}

fn threads(device: &HardwareFile, threads: u32) -> HardwareFile {
    device.with_threads(NonZeroU32::new(threads).unwrap())
}

#[test]
fn the_core_gets_the_numbers_of_the_file() {
    let file = example();
    let parts = file.parts().unwrap();
    let hardware = parts.hardware().unwrap();
    assert_eq!(hardware.name(), "amd-epyc-2c");
    assert_eq!(hardware.dispatch(), Seconds(2e-6));
    let [unit] = hardware.compute() else { panic!("one unit") };
    assert_eq!((unit.name, unit.count, unit.clock.get(), unit.basis), ("AVX-512", 2, 4.1e9, Basis::Measured));
    // 2 · 4.1e9 · 2 · 62.5 = 1.025 TFLOP/s.
    let peak = unit.peak_throughput(Precision::Bf16).unwrap().get();
    assert!((peak / 1.025e12 - 1.0).abs() < 1e-6, "{peak}");
    assert_eq!(unit.peak_throughput(Precision::Int8), None);
    let levels: Vec<_> = hardware.memory().iter().map(|l| (l.name, l.capacity, l.bandwidth.get())).collect();
    assert_eq!(levels, [("L1", Bytes(98_304), 5.1e11), ("DRAM", Bytes(24 << 30), 3.2e10)]);
    let [profile] = hardware.thermal_profiles() else { panic!("one profile") };
    assert_eq!((profile.name, profile.cooling_solution), ("default", "unknown"));
    assert_eq!(profile.tdp.map(|tdp| tdp.get()), Some(170.0));
    let factors = profile.factors.at(Precision::Bf16).unwrap();
    assert_eq!((factors.efficiency_factor.get(), factors.memory_bottleneck_factor.get()), (0.55, 0.62));
    assert!(factors.native_acceleration);
    assert_eq!(profile.factors.at(Precision::Fp64), None);
    assert_eq!(file.with_hardware(|hardware| hardware.memory().len()).unwrap(), 2);
}

#[test]
fn a_unit_has_the_weakest_basis_of_its_numbers() {
    for (clock, rate, weakest) in [
        ("measured", "spec", Basis::Spec),
        ("fitted", "measured", Basis::Fitted),
        ("measured", "assumed", Basis::Assumed),
        ("assumed", "fitted", Basis::Assumed),
    ] {
        let text = changed("4.1e9, basis = \"measured\"", &format!("4.1e9, basis = \"{clock}\""))
            .replace("31.2, basis = \"measured\"", &format!("31.2, basis = \"{rate}\""));
        let file = HardwareFile::parse(&text, "f.toml").unwrap();
        assert_eq!(file.with_hardware(|hardware| hardware.compute()[0].basis).unwrap(), weakest);
    }
}

#[test]
fn one_thread_has_half_of_the_private_cache_and_what_one_core_draws() {
    let one = threads(&example(), 1);
    assert_eq!(one.compute[0].count.value, 1);
    assert_eq!((one.memory[0].capacity_bytes.value, one.memory[0].bandwidth_bytes_per_s.value), (49_152, 2.6e11));
    assert_eq!((one.memory[1].capacity_bytes.value, one.memory[1].bandwidth_bytes_per_s.value), (24 << 30, 2e10));
    assert_eq!(one.memory[1].bandwidth_bytes_per_s.source, "triad in 1 GiB; 1 of 2 cores");
    assert_eq!(threads(&example(), 2), example());
    assert_eq!(threads(&example(), 64), example());
    assert!(one.with_hardware(|_| ()).is_ok());
    let gpu = HardwareFile { kind: DeviceKind::Gpu, ..example() };
    assert_eq!(threads(&gpu, 1), gpu);
}

#[test]
fn a_cache_shared_by_four_comes_in_whole_instances() {
    let mut file = example();
    file.compute[0].count.value = 8;
    let [l1, dram] = &mut file.memory[..] else { panic!("two levels") };
    l1.bandwidth_one_core_bytes_per_s = None;
    dram.shared_by = Some(Number::new(4, Basis::Spec, "x"));
    dram.bandwidth_one_core_bytes_per_s = None;
    // Of 8 cores: n in eighths of the private level; one or both instances of the one that four share.
    for (n, private, shared) in [(1, 1, 4), (3, 3, 4), (4, 4, 4), (5, 5, 8), (8, 8, 8)] {
        let view = threads(&file, n);
        assert_eq!(view.memory[0].capacity_bytes.value, 98_304 / 8 * private);
        assert_eq!(view.memory[1].capacity_bytes.value, (24 << 30) / 8 * shared);
        assert_eq!(view.memory[1].bandwidth_bytes_per_s.value, 3.2e10 * shared as f64 / 8.0);
        assert_eq!(view.memory[0].bandwidth_bytes_per_s.value, 5.1e11 * private as f64 / 8.0);
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let file = example();
    let text = file.to_toml();
    assert_eq!(HardwareFile::parse(&text, "f.toml").unwrap(), file);
    for line in [
        "kind = \"cpu\"",
        "capacity_bytes = { value = 98_304, basis = \"spec\", source = \"sysfs: cache/index0/size\" }",
        "capacity_bytes = { value = 25_769_803_776, basis = \"spec\", source = \"sysinfo(2)\" }",
        "clock_hz = { value = 4.1e9, basis = \"measured\", source = \"chain of dependent additions, both cores busy\" }",
        "tdp_watts = { value = 170.0, basis = \"spec\", source = \"data sheet of the whole processor\" }",
        "dispatch_s = { value = 2e-6, basis = \"assumed\", source = \"prior of the calibration\" }",
        "[thermal_profile.bf16.provenance]",
    ] {
        assert!(text.lines().any(|written| written == line), "no line `{line}` in\n{text}");
    }
    assert!(text.starts_with("# What a device can do"));
}

#[test]
fn odd_strings_and_all_kinds_survive_writing() {
    let mut file = example();
    file.description = "a \"b\" \\ 'c'\n\t# d = [e]\r\u{7f}\u{0}é".to_owned();
    file.compute[0].clock_hz.note = Some(String::new());
    let kinds = [
        DeviceKind::Cpu,
        DeviceKind::Gpu,
        DeviceKind::Mcu,
        DeviceKind::Npu,
        DeviceKind::Dsp,
        DeviceKind::Systolic,
        DeviceKind::TileFabric,
        DeviceKind::Dpu,
        DeviceKind::Cgra,
    ];
    assert_eq!(kinds.map(DeviceKind::name), KINDS);
    for kind in kinds {
        file.kind = kind;
        assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    }
    for basis in [Basis::Spec, Basis::Measured, Basis::Fitted, Basis::Assumed] {
        assert!(BASES.contains(&super::super::write::basis_name(basis)));
        file.compute[0].clock_hz.basis = basis;
        assert_eq!(HardwareFile::parse(&file.to_toml(), "f.toml").unwrap(), file);
    }
}

#[test]
fn every_precision_has_a_rate_and_factors() {
    let mut file = example();
    let rate = file.compute[0].macs_per_cycle[&Precision::Fp32].clone();
    let mut factors = file.thermal_profile[0].factors[&Precision::Fp32].clone();
    factors.provenance = None;
    for precision in Precision::ALL {
        file.compute[0].macs_per_cycle.insert(precision, rate.clone());
        file.thermal_profile[0].factors.insert(precision, factors.clone());
    }
    let back = HardwareFile::parse(&file.to_toml(), "f.toml").unwrap();
    assert_eq!(back, file);
    back.with_hardware(|hardware| {
        for precision in Precision::ALL {
            assert!(hardware.fastest(precision).is_ok());
            assert!(hardware.thermal_profiles()[0].factors.at(precision).is_some());
        }
    })
    .unwrap();
}

#[test]
fn json_holds_a_description_too() {
    let json = serde_json::to_string(&example()).unwrap();
    assert_eq!(serde_json::from_str::<HardwareFile>(&json).unwrap(), example());
    for (from, to) in [("\"fp32\":{\"efficiency", "\"fp31\":{\"efficiency"), ("\"note\"", "\"nota\"")] {
        assert!(serde_json::from_str::<HardwareFile>(&json.replacen(from, to, 1)).is_err(), "{to}");
    }
}

/// Whether a schema accepts a value, as far as the keywords that the generator uses.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str() {
        return accepts(root, root.pointer(name.trim_start_matches('#')).unwrap(), value);
    }
    if !schema["anyOf"].is_null() {
        let keys = schema["anyOf"].as_array().unwrap().iter().map(|one| one["required"][0].as_str().unwrap());
        if !keys.clone().any(|key| value.get(key).is_some()) {
            return false;
        }
    }
    if !schema["enum"].is_null() {
        return schema["enum"].as_array().unwrap().contains(value);
    }
    if !schema["const"].is_null() {
        return schema["const"] == *value;
    }
    match schema["type"].as_str().unwrap() {
        "object" => value.as_object().is_some_and(|object| {
            let property = |key: &String| schema["properties"].get(key);
            schema["required"].as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
                && object.iter().all(|(key, value)| property(key).is_some_and(|one| accepts(root, one, value)))
        }),
        "array" => value.as_array().is_some_and(|items| items.iter().all(|item| accepts(root, &schema["items"], item))),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_u64().is_some_and(|n| n >= schema["minimum"].as_u64().unwrap()),
        "number" => value.as_f64().is_some_and(|n| {
            n > schema["exclusiveMinimum"].as_f64().unwrap_or(f64::MIN)
                && n >= schema["minimum"].as_f64().unwrap_or(f64::MIN)
                && n <= schema["maximum"].as_f64().unwrap_or(f64::MAX)
        }),
        other => panic!("type {other}"),
    }
}

#[test]
fn the_json_schema_accepts_the_example_and_refuses_what_the_check_refuses() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let json = |text: &str| serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap();
    assert!(accepts(&schema, &schema, &json(EXAMPLE)));
    for (from, to) in [
        ("schema = 1", "schema = 2"),
        ("value = 31.2", "value = 0"),
        ("efficiency_factor = { value = 0.55", "efficiency_factor = { value = 1.6"),
        ("cooling_solution", "cooling"),
        ("[overhead]", "[overheads]"),
        ("count = { value = 2", "count = { value = 2.5"),
        ("kind = \"cpu\"", "kind = \"fpga\""),
    ] {
        assert!(!accepts(&schema, &schema, &json(&changed(from, to))), "{to}");
    }
    let factor = &schema["$defs"]["factor"]["properties"]["value"];
    assert_eq!((factor["exclusiveMinimum"].as_f64(), factor["maximum"].as_f64()), (Some(0.0), Some(1.5)));
}
