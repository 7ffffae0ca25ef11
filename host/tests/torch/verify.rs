//! `derate verify`: profiles that do not belong, and the checks that fail with exit code 1.

use serde_json::{Value, json};

use crate::common::{Folder, TWO_CORE, number, profile};

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
    verify(&here("clock_hz", json!(3e9)), "").refused(&["x.json", "`clock_hz` is 3000000000", "4000000000"]);
    verify(&here("device", json!("cuda")), "").refused(&["x.json", "`device` is cuda", "cpu"]);
    verify(&here("threads", json!(2)), "--threads 1").refused(&["x.json", "`threads` is 2", "1"]);
    verify(&here("format", json!(9)), "").refused(&["x.json", "`format` is 9"]);
    verify(&here("date", json!("today")), "--precision bf16").refused(&["x.json", "bf16 was asked for", "fp32"]);
    verify(&here("date", json!("today")), "--models vgg17").refused(&[
        "vgg17",
        "mlp, or",
        "did you mean vgg1",
        "resnet18",
    ]);
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
    // A second for each op: the estimate is off by far more than the slack of the baseline on any machine.
    folder.write("two_core.toml", TWO_CORE.replacen("value = 2e-6", "value = 1.0", 1));
    let brief = format!("{VERIFY} --models mlp --block-time 0.2 --format json");
    let baseline = folder.derate(&brief).exits(0).json();
    let with = |key: &str, value: Value| {
        let mut changed = baseline.clone();
        changed[key] = value;
        folder.write("base.json", changed.to_string());
    };
    let short = baseline["rows"].as_array().expect("rows")[1..].to_vec();
    for (key, value, said) in [
        ("hardware", json!("four-core"), "`hardware` is four-core; to be compared with this run it must be two-core"),
        (
            "runtime",
            json!("libtorch-0.1"),
            "`runtime` is libtorch-0.1; to be compared with this run it must be libtorch-",
        ),
        ("threads", json!(64), "`threads` is 64; to be compared with this run it must be 2"),
        ("precision", json!("bf16"), "`precision` is bf16; to be compared with this run it must be fp32"),
        ("rows", json!(short), "`rows[].network` is mlp "),
        ("rows", json!([]), "`rows[].network` is ; to be compared"),
        ("mape_pct", json!(-5.0), "`mape_pct` is -5; it must be a finite number, 0 or more"),
    ] {
        with(key, value);
        folder.derate(&format!("{brief} --baseline base.json")).refused(&["base.json", said]);
    }
    with("mape_pct", json!(0.0));
    folder.derate(&format!("{brief} --baseline base.json --output base.md")).refused(&["would replace the baseline"]);
    folder.derate(&format!("{brief} --output table.txt")).refused(&["table.txt", "name it `.md`"]);
    folder.derate(&format!("{brief} --thermal-profile hot")).refused(&["no thermal profile \"hot\"", "default"]);
    assert_eq!(folder.names(), ["base.json", "two_core.toml"], "nothing is measured, nothing is written");

    let ran =
        folder.derate(&format!("{brief} --max-mape 0.0001 --baseline base.json --output tables/table.md")).exits(1);
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
    assert!(failed[1].as_str().is_some_and(|said| said.contains("the baseline's was 0.0 %")), "{failed:?}");

    let table = folder.read("tables/table.md");
    assert!(table.contains("| network") && table.contains("FAILED: the error is"), "{table}");
    let written: Value = serde_json::from_str(&folder.read("tables/table.json")).expect("a JSON document");
    assert_eq!(written, json, "the file is what is printed");
}
