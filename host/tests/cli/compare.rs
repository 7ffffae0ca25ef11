//! `derate compare`: rows by hand, every form of output, order, and what is left out or refused.

use serde_json::Value;

use crate::common::documented::has_keys_of;
use crate::common::{Folder, number};

const COMPARE: &str = "compare mlp:512-[512]-10 --hardware two_core.toml";

fn rows(json: &Value) -> &[Value] {
    json["rows"].as_array().expect("rows")
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} in {row}"))
}

#[test]
fn a_row_by_hand() {
    let folder = Folder::new();
    let json = folder.derate("compare gemm:1024x1024x1024 --hardware two_core.toml --format json").exits(0).json();
    let row = &rows(&json)[0];
    // 2^24 cycles at 4 GHz · 0.7, beside 12.6 MB at 150 GB/s · 0.7, and 2 µs of dispatch.
    let compute: f64 = 16_777_216.0 / 4e9 / 0.7;
    let memory: f64 = 12_582_912.0 / (1.5e11 * 0.7);
    let seconds = 2e-6 + (compute.powi(3) + memory.powi(3)).cbrt();
    let near = |key: &str, value: f64| {
        assert!((number(row, key) / value - 1.0).abs() < 1e-5, "{key}: {} is not {value}", row[key]);
    };
    near("latency_ms", seconds * 1e3);
    near("throughput_per_s", 1024.0 / seconds);
    // 512 GFLOP/s is the peak.
    near("utilization", 2.0 * 1024_f64.powi(3) / seconds / 512e9);
    near("peak_activation_bytes", 12_582_912.0);
    assert_eq!((text(row, "bound"), text(row, "confidence")), ("compute", "theoretical"));
    assert_eq!((&row["fits"], &row["energy_mj"], &row["edp_mj_ms"]), (&Value::Bool(true), &Value::Null, &Value::Null));
    assert_eq!(json["skipped"].as_array().map(Vec::len), Some(0));
}

#[test]
fn every_form_says_the_same() {
    let folder = Folder::new();
    let outputs = "--output a.csv --output a.json --output a.md --output a.svg";
    let line = "compare mlp:512-[512]-10 gemm:64x64x64 --hardware two_core.toml,coral-edge-tpu,h100-sxm";
    let printed = folder.derate(&format!("{line} {outputs} --format json")).exits(0).json();
    assert_eq!(serde_json::from_str::<Value>(&folder.read("a.json")).expect("JSON"), printed);
    let rows = rows(&printed);
    assert_eq!(rows.len(), 6);
    has_keys_of(&rows[0], "`compare`", &["rows", ".csv", "skipped", "reason"]);

    let csv = folder.read("a.csv");
    let (header, lines) = csv.split_once('\n').expect("a header");
    let mut columns: Vec<&str> = header.split(',').collect();
    assert_eq!(lines.lines().count(), rows.len());
    for (line, row) in lines.lines().zip(rows) {
        for (column, cell) in columns.iter().zip(line.split(',')) {
            let said = match &row[column] {
                Value::Null => String::new(),
                Value::String(said) => said.clone(),
                Value::Number(said) => {
                    let read: f64 = cell.parse().expect("a number");
                    let said = said.as_f64().expect("a number");
                    // The last digit is that of two readers.
                    assert!((read - said).abs() <= said.abs() * 1e-12, "{column}: {read} is not {said}");
                    continue;
                }
                other => other.to_string(),
            };
            assert_eq!(cell, said, "{column}");
        }
    }
    columns.sort_unstable();
    let mut keys: Vec<&str> = rows[0].as_object().expect("a row").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(columns, keys);

    let table = folder.derate(line).exits(0).stdout;
    let (markdown, svg) = (folder.read("a.md"), folder.read("a.svg"));
    assert!(markdown.starts_with("| model ") && markdown.lines().nth(1).is_some_and(|line| line.starts_with("| --")));
    assert_eq!([markdown.lines().count(), table.lines().count()], [2 + rows.len(); 2]);
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains("Latency, ms"));
    for ((row, line), marked) in rows.iter().zip(table.lines().skip(2)).zip(markdown.lines().skip(2)) {
        for said in [
            text(row, "model"),
            text(row, "hardware"),
            text(row, "bound"),
            &format!("{:.3}", number(row, "latency_ms")),
        ] {
            assert!(line.contains(said) && marked.contains(said), "{said:?}:\n{line}\n{marked}");
        }
        let label =
            format!("{} @{} {} · {}", text(row, "model"), row["batch"], text(row, "precision"), text(row, "hardware"));
        assert!(svg.contains(&label), "{label}");
    }
}

#[test]
fn rows_are_sorted_by_what_is_asked_for_and_unknown_ones_come_last() {
    let folder = Folder::new();
    let line = "compare gemm:64x64x64 gemm:512x512x512 --hardware two_core.toml,h100-sxm,coral-edge-tpu --format json";
    for (sort, key, sign) in [
        ("latency", "latency_ms", 1.0),
        ("throughput", "throughput_per_s", -1.0),
        ("energy", "energy_mj", 1.0),
        ("edp", "edp_mj_ms", 1.0),
    ] {
        let json = folder.derate(&format!("{line} --sort {sort}")).exits(0).json();
        let values: Vec<f64> =
            rows(&json).iter().map(|row| row[key].as_f64().map_or(f64::INFINITY, |value| sign * value)).collect();
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{sort}: {values:?}");
        // Of this device nobody states an energy.
        let unknown = if sort == "energy" || sort == "edp" { 2 } else { 0 };
        assert_eq!(values.iter().filter(|value| value.is_infinite()).count(), unknown, "{sort}: {values:?}");
    }
}

#[test]
fn each_batch_and_precision_is_a_row() {
    let folder = Folder::new();
    let json = folder.derate(&format!("{COMPARE} --batch 1,8,64 --precision fp32,bf16 --format json")).exits(0).json();
    assert_eq!(rows(&json).len(), 6);
    let row = |batch: u64, precision: &str| {
        let found = rows(&json).iter().find(|row| row["batch"] == batch && row["precision"] == precision);
        found.unwrap_or_else(|| panic!("{batch} {precision} in {json}"))
    };
    // 512 · 512 + 512 · 10 weights and 522 biases; the widest pair of activations: 512 and 512 values an image, less where a
    // ReLU works in its place.
    for (precision, size) in [("fp32", 4.0), ("bf16", 2.0)] {
        for batch in [1, 8, 64] {
            let got = row(batch, precision);
            assert_eq!(number(got, "weight_bytes"), size * (512.0 * 512.0 + 512.0 * 10.0 + 522.0), "{got}");
            assert_eq!(number(got, "peak_activation_bytes"), size * 1024.0 * batch as f64, "{got}");
        }
        let [one, eight, many] = [1, 8, 64].map(|batch| number(row(batch, precision), "latency_ms"));
        assert!(one < eight && eight < many, "{one} {eight} {many}");
        assert!(many < 64.0 * one, "64 images side by side take less than 64 runs");
    }
    // In bf16 this device does twice the MACs, of which software reaches 0.5 instead of 0.7.
    let [fp32, bf16] = ["fp32", "bf16"].map(|precision| number(row(64, precision), "latency_ms"));
    assert!(bf16 < fp32, "{bf16} {fp32}");
}

#[test]
fn a_clock_that_is_boosted_has_its_own_peak() {
    let folder = Folder::new();
    let line = "compare gemm:1024x1024x1024 --hardware i7-12700k --format json --clock";
    let [sustained, boost] =
        ["sustained", "boost"].map(|clock| folder.derate(&format!("{line} {clock}")).exits(0).json());
    let value = |json: &Value, key: &str| number(&rows(json)[0], key);
    assert!(value(&boost, "latency_ms") < value(&sustained, "latency_ms"));
    // 8 cores of 16 MACs a cycle at 4.9 instead of 4.7 GHz.
    for (json, clock) in [(&sustained, 4.7e9), (&boost, 4.9e9)] {
        let least_ms = 1024_f64.powi(3) / (8.0 * 16.0 * clock) * 1e3;
        let utilization = least_ms / value(json, "latency_ms");
        assert!((value(json, "utilization") / utilization - 1.0).abs() < 1e-5, "{utilization}: {json}");
    }
}

#[test]
fn what_a_device_cannot_do_is_left_out_and_said() {
    let folder = Folder::new();
    let ran =
        folder.derate("compare gemm:64x64x64 --hardware two_core.toml,coral-edge-tpu --precision fp32 --format json");
    let ran = ran.exits(0);
    let json = ran.json();
    assert_eq!(rows(&json).iter().map(|row| text(row, "hardware")).collect::<Vec<_>>(), ["two-core"]);
    let skipped = &json["skipped"][0];
    assert_eq!((text(skipped, "model"), text(skipped, "hardware")), ("gemm:64x64x64", "coral-edge-tpu"));
    assert_eq!((text(skipped, "precision"), &skipped["batch"]), ("fp32", &Value::Null));
    for said in ["warning: gemm:64x64x64 in fp32 on coral-edge-tpu is left out", "no compute unit"] {
        assert!(ran.stderr.contains(said), "{said:?} is not in {}", ran.stderr);
    }
    // Without a precision each device takes the nearest that it has.
    let json =
        folder.derate("compare gemm:64x64x64 --hardware two_core.toml,coral-edge-tpu --format json").exits(0).json();
    let mut precisions: Vec<&str> = rows(&json).iter().map(|row| text(row, "precision")).collect();
    precisions.sort_unstable();
    assert_eq!(precisions, ["fp32", "int8"]);
}

#[test]
fn all_devices_and_each_once() {
    let folder = Folder::new();
    let listed = folder.derate("hardware list --format json").exits(0).json();
    let json = folder.derate("compare gemm:64x64x64 --hardware all,h100-sxm --format json").exits(0).json();
    assert_eq!(Some(rows(&json).len()), listed.as_array().map(Vec::len));
    for row in rows(&json) {
        assert!(number(row, "latency_ms") > 0.0 && number(row, "utilization") <= 1.0, "{row}");
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let folder = Folder::new();
    for (wrong, near) in [("h100-smx", "h100-sxm"), ("hailo_8", "hailo-8"), ("STM32L4R5", "stm32l4r5")] {
        let said = [&format!("--hardware {wrong:?}"), &format!("did you mean \"{near}\"?"), "shipped are", near];
        folder.derate(&format!("compare gemm:8x8x8 --hardware two_core.toml,{wrong}")).refused(&said);
    }
    folder.derate("compare gemm:8x8x8").refused(&["--hardware"]);
    folder.derate("compare --hardware two_core.toml").refused(&["MODEL"]);
    folder.derate("compare gemm:8x8 --hardware two_core.toml").refused(&["gemm:8x8", "MxNxK"]);
    folder.derate(&format!("{COMPARE} --batch 0")).refused(&["--batch", "0", "1.."]);
    folder.derate(&format!("{COMPARE} --precision fp4")).refused(&["fp4", "fp64, fp32, tf32, bf16, fp16, int8"]);
    folder.derate(&format!("{COMPARE} --precision fp64")).refused(&["nothing could be estimated", "two-core"]);
    folder.derate(&format!("{COMPARE} --sort speed")).refused(&["speed", "latency, throughput, energy, edp"]);
    folder.derate(&format!("{COMPARE} --thermal-profile hot")).refused(&["hot", "default"]);
    folder.derate(&format!("{COMPARE} --output a.png")).refused(&["a.png", ".csv, .json, .md or .svg"]);
    folder.derate(&format!("{COMPARE} --output none/a.csv")).refused(&["none/a.csv", "No such file"]);
    folder.derate(&format!("{COMPARE} --format yaml")).refused(&["yaml", "text, json"]);
    folder.derate("compare gemm:8x8x8 --batch 2 --hardware two_core.toml").refused(&["gemm:8x8x8", "batch 2"]);
    assert_eq!(folder.names(), ["two_core.toml"], "nothing is left behind");
}
