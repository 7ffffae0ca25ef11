//! Every way in which a description can be wrong, and the line that says so.

use super::super::{HardwareFile, SpecError, check};
use super::{EXAMPLE, changed};

/// Checks a text; gives the problems as lines without `f.toml:`.
fn problems(text: &str) -> Vec<String> {
    let shown: Vec<String> = check(text, "f.toml").iter().map(ToString::to_string).collect();
    shown.iter().map(|line| line.strip_prefix("f.toml:").unwrap_or(line).to_owned()).collect()
}

/// One replacement in the example has these problems and no others.
#[track_caller]
fn expect(from: &str, to: &str, expected: &[&str]) {
    assert_eq!(problems(&changed(from, to)), expected, "`{from}` → `{to}`");
}

#[test]
fn the_example_is_right() {
    assert_eq!(problems(EXAMPLE), [""; 0]);
}

#[test]
fn numbers_out_of_range() {
    expect(
        "value = 3.2e10",
        "value = -3.0",
        &["25: memory[1].bandwidth_bytes_per_s.value is -3.0; it must be a positive, finite number"],
    );
    for bad in ["0", "0.0", "nan", "-inf", "inf", "+inf", "1e400"] {
        let expected = format!("9: compute[0].clock_hz.value is {bad}; it must be a positive, finite number");
        expect("value = 4.1e9,", &format!("value = {bad},"), &[&expected]);
    }
    expect(
        "value = 31.2",
        "value = 1e39",
        &[
            "12: compute[0].macs_per_cycle.fp32.value is 1e39; it must be a number that 32 bits hold, from 1e-45 to 3.4e38",
        ],
    );
    expect(
        "value = 2e-6",
        "value = -2e-6",
        &["29: overhead.dispatch_s.value is -2e-6; it must be 0 or a positive, finite number"],
    );
    expect("value = 2e-6", "value = 0", &[]);
    for bad in ["0.0", "1.51", "-0.7"] {
        let expected = format!(
            "38: thermal_profile[0].fp32.efficiency_factor.value is {bad}; it must be a number above 0 and at most 1.5"
        );
        expect("efficiency_factor = { value = 0.7,", &format!("efficiency_factor = {{ value = {bad},"), &[&expected]);
    }
    expect("efficiency_factor = { value = 0.7,", "efficiency_factor = { value = 1.5,", &[]);
    for bad in ["0", "-2", "2.0", "4294967296", "\"2\""] {
        let expected = format!("8: compute[0].count.value is {bad}; it must be an integer from 1 to 4294967295");
        expect("count = { value = 2,", &format!("count = {{ value = {bad},"), &[&expected]);
    }
    expect(
        "held_out_mape_pct = 7.3",
        "held_out_mape_pct = nan",
        &["60: thermal_profile[0].bf16.provenance.held_out_mape_pct is nan; it must be 0 or a positive, finite number"],
    );
}

#[test]
fn keys_unknown_or_missing() {
    expect(
        "bandwidth_bytes_per_s = { value = 3.2e10",
        "bandwith_bytes_per_s = { value = 3.2e10",
        &[
            "22: memory[1].bandwidth_bytes_per_s is missing; it must be a table { value, basis, source }",
            "25: memory[1].bandwith_bytes_per_s is not a known key; did you mean `bandwidth_bytes_per_s`? Known here: \
             name, capacity_bytes, bandwidth_bytes_per_s, bandwidth_one_core_bytes_per_s, shared_by, \
             filling, holds, pj_per_byte",
        ],
    );
    expect(
        "bf16 = { value = 62.5",
        "bf15 = { value = 62.5",
        &[
            "13: compute[0].macs_per_cycle.bf15 is not a known key; did you mean `bf16`? Known here: \
             fp64, fp32, tf32, bf16, fp16, int8",
            "47: thermal_profile[0].bf16.native_acceleration is true; it must be false, or a compute unit must have \
             macs_per_cycle.bf16",
        ],
    );
    expect(
        "cooling_solution = \"unknown\"",
        "\"räd iator\" = 1\ncooling_solution = \"unknown\"",
        &[
            "34: thermal_profile[0].\"räd iator\" is not a known key; known here: name, tdp_watts, static_watts, clock_hz, boost_clock_hz, \
           bandwidth_bytes_per_s, cooling_solution, \
           fp64, fp32, tf32, bf16, fp16, int8",
        ],
    );
    // The start of a key is enough to be understood.
    expect(
        "[overhead]",
        "[overhead]\ndispatch = 1",
        &["29: overhead.dispatch is not a known key; did you mean `dispatch_s`? Known here: dispatch_s"],
    );
    expect("schema = 1\n", "", &["1: schema is missing; it must be 1, the version of the format"]);
    expect(
        "value = 170.0, basis = \"spec\"",
        "value = 170.0",
        &["33: thermal_profile[0].tdp_watts.basis is missing; it must be one of spec, measured, fitted, assumed"],
    );
    expect(
        "fp32 = { value = 31.2, basis = \"measured\", source = \"loop of independent vfmadd231ps\" }\n\
         bf16 = { value = 62.5, basis = \"measured\", source = \"loop of independent vdpbf16ps\" }",
        "",
        &[
            "11: compute[0].macs_per_cycle.PRECISION is missing; it must be a table { value, basis, source }, for at least \
             one of fp64, fp32, tf32, bf16, fp16, int8",
            "40: thermal_profile[0].fp32.native_acceleration is true; it must be false, or a compute unit must have \
             macs_per_cycle.fp32",
            "46: thermal_profile[0].bf16.native_acceleration is true; it must be false, or a compute unit must have \
             macs_per_cycle.bf16",
        ],
    );
    let missing = problems("");
    assert_eq!(missing.len(), 8, "{missing:?}");
    assert_eq!(missing[4], "1: compute is missing; it must be one or more tables, each under its own [[ ]]");
}

#[test]
fn values_of_the_wrong_sort() {
    expect("schema = 1", "schema = 2", &["1: schema is 2; it must be 1, the version of the format"]);
    expect(
        "amd-epyc-2c",
        "AMD EPYC",
        &["2: name is \"AMD EPYC\"; it must be a string of one or more of a-z 0-9 . _ -"],
    );
    expect(
        "kind = \"cpu\"",
        "kind = \"CPU\"",
        &["3: kind is \"CPU\"; it must be one of cpu, gpu, mcu, npu, dsp, systolic, tile_fabric, dpu, cgra"],
    );
    expect(
        "basis = \"spec\", source = \"sysinfo(2)\"",
        "basis = \"guess\", source = \" \"",
        &[
            "24: memory[1].capacity_bytes.basis is \"guess\"; it must be one of spec, measured, fitted, assumed",
            "24: memory[1].capacity_bytes.source is \" \"; it must be a string that is not empty",
        ],
    );
    expect(
        "{ value = 170.0, basis = \"spec\", source = \"data sheet of the whole processor\" }",
        "170.0",
        &["33: thermal_profile[0].tdp_watts is 170.0; it must be a table that says where it comes from, such as \
           { value = 170.0, basis = \"assumed\", source = \"…\" }"],
    );
    expect(
        "[[thermal_profile]]",
        "[thermal_profile]",
        &["31: thermal_profile is a table; it must be one or more tables, each under its own [[ ]]"],
    );
    expect(
        "# Single precision is what eager networks run in.\n[thermal_profile.fp32]",
        "native_acceleration = true\n[thermal_profile.fp32]",
        &[
            "36: thermal_profile[0].native_acceleration is not a known key; known here: name, tdp_watts, static_watts, clock_hz, boost_clock_hz, \
             bandwidth_bytes_per_s, cooling_solution, fp64, fp32, tf32, bf16, fp16, int8",
        ],
    );
    expect(
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "9f86",
        &[
            "50: thermal_profile[0].bf16.provenance.dataset_sha256 is \"9f86\"; it must be a string of 64 hexadecimal digits",
        ],
    );
    let long = "x y".repeat(40);
    expect(
        "\"amd-epyc-2c\"",
        &format!("\"{long}\""),
        &[&format!("2: name is \"{}…; it must be a string of one or more of a-z 0-9 . _ -", &long[..59])],
    );
}

#[test]
fn values_at_odds_with_others() {
    expect(
        "value = 25_769_803_776",
        "value = 98_304",
        &[
            "24: memory[1].capacity_bytes.value is 98_304; it must be more than 98304, the level before: levels go from the \
           smallest to the largest",
        ],
    );
    expect(
        "name = \"DRAM\"",
        "name = \"L1\"",
        &["23: memory[1].name is \"L1\"; it must be another name than that of memory[0]"],
    );
    let shared = "shared_by = { value = 2, basis = \"spec\", source = \"x\" }";
    let after = "source = \"triad in 1 GiB on one core\" }";
    let one = shared.replace('2', "1");
    let two = changed(after, &format!("{after}\n{one}")).replace(
        "shared_by = { value = 1, basis = \"spec\", source = \"sysfs",
        "shared_by = { value = 2, basis = \"spec\", source = \"sysfs",
    );
    assert_eq!(
        problems(&two),
        ["27: memory[1].shared_by.value is 1; it must be at least 2, as of the smaller level before"]
    );
    expect(
        "precision = \"bf16\"",
        "precision = \"fp32\"",
        &[
            "59: thermal_profile[0].bf16.provenance.precision is \"fp32\"; it must be \"bf16\", as of the table around it",
        ],
    );
    // 2 · 1e30 · 2 · 31.2 is above 3.4e38 only with the larger rate.
    let peak = changed("{ value = 4.1e9,", "{ value = 1e30,").replace("value = 31.2", "value = 1e9");
    assert_eq!(
        problems(&peak),
        [
            "12: compute[0].macs_per_cycle.fp32.value is 1e9; it must be smaller: count · clock_hz · 2 · macs_per_cycle, the \
          peak in FLOP/s, is above 3.4e38"
        ]
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let text = changed("schema = 1", "schema = 3")
        .replace("kind = \"cpu\"", "kind = 7")
        .replace("value = 5.1e11", "value = 0")
        .replace("native_acceleration", "native_aceleration");
    let lines: Vec<String> =
        problems(&text).iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "1: schema",
            "3: kind",
            "18: memory[0].bandwidth_bytes_per_s.value",
            "37: thermal_profile[0].fp32.native_acceleration",
            "41: thermal_profile[0].fp32.native_aceleration",
            "43: thermal_profile[0].bf16.native_acceleration",
            "47: thermal_profile[0].bf16.native_aceleration",
        ]
    );
    let error = HardwareFile::parse(&text, "f.toml").unwrap_err();
    assert!(matches!(&error, SpecError::Problems(problems) if problems.len() == 7));
    assert_eq!(error.to_string().lines().count(), 7);
    assert!(error.to_string().starts_with("f.toml:1: schema is 3; it must be 1, the version of the format\n"));
}

#[test]
fn what_is_not_toml_says_so() {
    let text = changed("kind = \"cpu\"", "kind = cpu").replace("[overhead]", "[overhead");
    let found = problems(&text);
    assert!(found[0].starts_with("3: not TOML: "), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("28: not TOML: ")), "{found:?}");
    let twice = problems(&changed("kind = \"cpu\"", "kind = \"cpu\"\nkind = \"gpu\""));
    assert_eq!(twice, ["4: not TOML: duplicate key"]);
}
