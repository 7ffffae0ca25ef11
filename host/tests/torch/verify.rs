//! `derate verify`: profiles that do not belong, and the checks that fail with exit code 1.

use serde_json::{Value, json};

use crate::common::{Folder, number, profile};

const VERIFY: &str = "verify --hardware two_core.toml";

#[test]
fn a_profile_of_another_runtime_device_or_thread_count_is_refused_at_once() {
    let folder = Folder::new();
    let verify = |profile: &Value, options: &str| {
        folder.write("x.json", profile.to_string());
        folder.derate(&format!("{VERIFY} --profile x.json {options}"))
    };
    // A runtime of this name does not exist; the refusal tells the one there is.
    let ran = verify(&profile(), "").exits(2);
    let (_, rest) = ran.stderr.split_once("`runtime` is unspecified; it is applied to ").expect("a refusal");
    let runtime = rest.split_once(": calibrate there").expect("what to do").0;
    assert!(runtime.starts_with("libtorch-"), "{runtime}");

    let here = |key: &str, value: Value| {
        let mut profile = profile();
        profile["runtime"] = runtime.into();
        profile[key] = value;
        profile
    };
    verify(&here("hardware", json!("four-core")), "").refused(&["x.json", "`hardware` is four-core", "two-core"]);
    verify(&here("device", json!("cuda")), "").refused(&["x.json", "`device` is cuda", "cpu"]);
    verify(&here("threads", json!(2)), "--threads 1").refused(&["x.json", "`threads` is 2", "1"]);
    verify(&here("format", json!(9)), "").refused(&["x.json", "`format` is 9"]);
    verify(&here("date", json!("today")), "--precision bf16").refused(&["x.json", "bf16 was asked for", "fp32"]);
    verify(&here("date", json!("today")), "--models vgg16").refused(&["vgg16", "mlp, resnet18, mobilenet_v2"]);
    let mut other = here("date", json!("today"));
    other["fits"][0]["calibration"]["model_version"] = json!(9);
    verify(&other, "").refused(&["x.json", "model_version` is 9"]);
    folder.write("base.json", "{}");
    verify(&here("date", json!("today")), "--baseline base.json")
        .refused(&["base.json", "derate verify --format json"]);
}

#[test]
fn an_error_above_the_limit_or_the_baseline_ends_with_1() {
    let folder = Folder::new();
    let baseline = json!({
        "hardware": "two-core", "runtime": "libtorch", "threads": 2, "precision": "fp32", "rows": [], "mape_pct": -5.0,
        "mlp_mape_pct": null, "others_mape_pct": null, "described_mape_pct": 0.0, "mac_only_mape_pct": null,
        "plain_roofline_mape_pct": null, "failed": [],
    });
    folder.write("base.json", baseline.to_string());
    let options = "--models mlp --max-mape 0.0001 --baseline base.json --output table.md --format json";
    let ran = folder.derate(&format!("{VERIFY} {options}")).exits(1);
    let json = ran.json();
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 5);
    for row in rows {
        let [measured, estimated] = ["measured_ms", "estimated_ms"].map(|key| number(row, key));
        let by_hand = (estimated - measured) / measured * 100.0;
        assert!((number(row, "error_pct") - by_hand).abs() < 1e-6, "{row}");
        assert!(measured > 0.0 && measured <= number(row, "median_ms"), "{row}");
    }
    let mean = rows.iter().map(|row| number(row, "error_pct").abs()).sum::<f64>() / 5.0;
    assert!((number(&json, "mape_pct") - mean).abs() < 1e-6, "{mean} % by hand");
    assert_eq!((&json["mlp_mape_pct"], &json["others_mape_pct"]), (&json["mape_pct"], &Value::Null));
    let failed = json["failed"].as_array().expect("checks");
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].as_str().is_some_and(|said| said.contains("--max-mape allows 0.0001 %")), "{failed:?}");
    assert!(failed[1].as_str().is_some_and(|said| said.contains("the baseline's was -5.0 %")), "{failed:?}");

    let table = folder.read("table.md");
    assert!(table.contains("| network") && table.contains("FAILED: the error is"), "{table}");
    let written: Value = serde_json::from_str(&folder.read("table.json")).expect("a JSON document");
    assert_eq!(written, json, "the file is what is printed");
}
