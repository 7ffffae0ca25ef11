//! `derate hardware check | list | show | compare`.

use serde_json::{Value, json};

use crate::common::documented::has_keys_of;
use crate::common::{Folder, TWO_CORE, number};

/// The device with three wrong keys: misspelt ones in lines 9 and 37, a negative number in line 10.
fn wrong() -> String {
    let text = TWO_CORE.replacen("count = ", "cuont = ", 1).replacen("value = 4e9", "value = -4e9", 1).replacen(
        "dispatch_s = ",
        "dispatch_ms = ",
        1,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[8].starts_with("cuont") && lines[9].contains("-4e9") && lines[36].starts_with("dispatch_ms"));
    text
}

#[test]
fn a_right_description_is_ok() {
    let folder = Folder::new();
    let ran = folder.derate("hardware check two_core.toml").exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("two_core.toml: ok\n", ""));
    let ran = folder.derate("hardware check two_core.toml --format json").exits(0);
    assert_eq!(ran.json(), json!([{ "file": "two_core.toml", "problems": [] }]));
}

#[test]
fn every_wrong_key_is_named_with_its_file_and_line() {
    let folder = Folder::new();
    folder.write("wrong.toml", wrong());
    let ran = folder.derate("hardware check two_core.toml wrong.toml").exits(2);
    let expected = [
        "two_core.toml: ok",
        "wrong.toml:9: compute[0].cuont is not a known key; did you mean `count`?",
        "wrong.toml:10: compute[0].clock_hz.value is -4e9; it must be a positive, finite number",
        "wrong.toml:37: overhead.dispatch_ms is not a known key; did you mean `dispatch_s`?",
    ];
    for line in expected {
        assert!(ran.stdout.lines().any(|said| said.starts_with(line)), "{line:?} is not in\n{}", ran.stdout);
    }
    // The two misspelt keys are missing as well, and each says so once.
    for missing in ["compute[0].count is missing", "overhead.dispatch_s is missing"] {
        assert_eq!(ran.stdout.matches(missing).count(), 1, "{}", ran.stdout);
    }
    assert_eq!(ran.stdout.lines().count(), 1 + 5, "{}", ran.stdout);

    let ran = folder.derate("--format json hardware check two_core.toml wrong.toml").exits(2);
    let checked = ran.json();
    assert_eq!(checked[0]["problems"], json!([]));
    assert_eq!(checked[1]["problems"].as_array().map(Vec::len), Some(5));
    assert_eq!(folder.names(), ["two_core.toml", "wrong.toml"]);
}

#[test]
fn a_text_that_is_no_toml_is_named_with_its_line() {
    let folder = Folder::new();
    folder.write("cut.toml", TWO_CORE.split_at(TWO_CORE.find("count = { value").expect("there") + 10).0);
    let ran = folder.derate("hardware check cut.toml").exits(2);
    assert!(ran.stdout.starts_with("cut.toml:9: not TOML"), "{}", ran.stdout);
    folder.derate("hardware check nowhere.toml").refused(&["nowhere.toml", "No such file"]);
}

#[test]
fn all_descriptions_are_listed_and_each_can_be_shown() {
    let folder = Folder::new();
    let listed = folder.derate("hardware list --format json").exits(0);
    assert_eq!(listed.stderr, "");
    let listed = listed.json();
    let listed = listed.as_array().expect("a list");
    assert!(!listed.is_empty());
    let text = folder.derate("hardware list").exits(0).stdout;
    for device in listed {
        let [name, kind, description, place] =
            ["name", "kind", "description", "place"].map(|key| device[key].as_str().expect("a string"));
        assert_eq!(place, "shipped");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
        assert!(line.contains(kind) && line.contains(description), "{line}");

        let shown = folder.derate(&format!("hardware show {name} --format json")).exits(0).json();
        assert_eq!(shown["name"].as_str(), Some(name));
        assert!(folder.derate(&format!("hardware show {name}")).exits(0).stdout.contains(description));
    }
}

#[test]
fn the_detected_description_is_listed_with_its_place() {
    let folder = Folder::new();
    folder.write("cache/hardware/this-cpu.toml", TWO_CORE);
    let listed = folder.derate("hardware list --format json").exits(0).json();
    let detected = listed.as_array().and_then(|list| list.last()).expect("at least one");
    assert_eq!(detected["name"], "two-core");
    assert!(
        detected["place"].as_str().is_some_and(|place| place.ends_with("cache/hardware/this-cpu.toml")),
        "{detected}"
    );
}

#[test]
fn a_description_is_shown_in_units_that_people_read() {
    let folder = Folder::new();
    let text = folder.derate("hardware show two_core.toml").exits(0).stdout;
    // 2 × 4e9 × 32 MAC × 2 FLOP = 512 GFLOP/s; 98304 B = 96 KiB; 3e10 B/s = 30 GB/s.
    for said in
        ["fp32      512.0 GFLOP/s", "bf16     1024.0 GFLOP/s", "96.0 KiB", "30.0 GB/s", "efficiency_factor 0.700"]
    {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    let shown = folder.derate("hardware show two_core.toml --format json").exits(0).json();
    assert_eq!(shown["compute"][0]["clock_hz"]["value"].as_f64(), Some(4e9));
    assert_eq!(shown["memory"].as_array().map(Vec::len), Some(4));
    let shipped: Vec<Value> =
        serde_json::from_str(&folder.derate("hardware list --format json").stdout).expect("a list");
    let name = shipped[0]["name"].as_str().expect("a name");
    folder.derate("hardware show nothing").refused(&["nothing", "no such file", name]);
}

#[test]
fn devices_are_compared_side_by_side_each_once() {
    let folder = Folder::new();
    let line = "hardware compare two_core.toml h100-sxm two_core.toml";
    let json = folder.derate(&format!("{line} --format json")).exits(0).json();
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    has_keys_of(&json[0], "`hardware compare`", &[]);
    // 2 × 4 GHz × 32 MACs × 2 = 512 GFLOP/s, twice that in bf16; L3 of 33 554 432 bytes; DRAM at 30 GB/s.
    assert_eq!(json[0]["peak_gflops"], json!({ "bf16": 1024.0, "fp32": 512.0 }));
    assert_eq!((number(&json[0], "on_chip_bytes"), number(&json[0], "memory_bytes")), (33_554_432.0, 17_179_869_184.0));
    assert!((number(&json[0], "bandwidth_gb_per_s") - 30.0).abs() < 1e-9);
    assert_eq!((&json[0]["kind"], &json[0]["tdp_watts"]), (&json!("cpu"), &json!({ "default": null })));
    // The same of the other one, from its description.
    let shown = folder.derate("hardware show h100-sxm --format json").exits(0).json();
    let rate = |unit: &Value| {
        let macs = unit["macs_per_cycle"]["fp16"]["value"].as_f64()?;
        Some(2.0 * macs * number(unit, "count.value") * number(unit, "clock_hz.value") / 1e9)
    };
    let fastest = shown["compute"].as_array().expect("units").iter().filter_map(rate).fold(0.0, f64::max);
    assert!((number(&json[1], "peak_gflops.fp16") / fastest - 1.0).abs() < 1e-6, "{fastest}: {}", json[1]);

    let text = folder.derate(line).exits(0).stdout;
    // 1024 GFLOP/s over 30 GB/s: 34.13 FLOP/B.
    for said in ["two-core", "512", "1024", "30.00", "34.13", "h100-sxm"] {
        assert!(text.contains(said), "{said:?} is not in\n{text}");
    }
    assert_eq!(text.lines().count(), 2 + 2, "{text}");
}

#[test]
fn rooflines_are_drawn_for_what_works_in_the_precision() {
    let folder = Folder::new();
    let line = "hardware compare two_core.toml coral-edge-tpu --output roofs.svg --precision";
    let ran = folder.derate(&format!("{line} fp32")).exits(0);
    assert!(ran.stderr.contains("warning: coral-edge-tpu does not work in fp32"), "{}", ran.stderr);
    let svg = folder.read("roofs.svg");
    assert!(svg.starts_with("<svg") && svg.contains("two-core fp32: 512 GFLOP/s, 30.0 GB/s"), "{svg}");
    assert!(!svg.contains("coral"), "{svg}");

    std::fs::remove_file(folder.path("roofs.svg")).expect("it is there");
    folder.derate(&format!("{line} fp64")).exits(2);
    folder.derate("hardware compare two_core.toml --output roofs.svg --precision fp31").refused(&["fp31", "bf16"]);
    folder.derate("hardware compare two_core.toml --output roofs.png").refused(&["roofs.png", ".svg"]);
    folder.derate("hardware compare two_core.toml hailo-9").refused(&["hailo-9", "did you mean \"hailo-8\"?"]);
    folder.derate("hardware compare").refused(&["HARDWARE"]);
    assert_eq!(folder.names(), ["two_core.toml"], "nothing is left behind");
}
