//! `derate apply`: factors of a profile into a description; comments and order stay, what does not belong is refused.

use serde_json::{Value, json};

use crate::common::{Folder, TWO_CORE, number, profile};
use crate::synthetic::{few, sweep};

const APPLY: &str = "apply x.profile.json --hardware two_core.toml";

/// A folder with the device and a profile of it.
fn folder_with(profile: &Value) -> Folder {
    let folder = Folder::new();
    folder.write("x.profile.json", serde_json::to_string_pretty(profile).expect("a text"));
    folder
}

/// Whether the line of the description is one of the two that an edit of fp32 changes.
fn is_edited(line: &&str) -> bool {
    let at = TWO_CORE.lines().position(|other| other == *line);
    let [fp32, bf16] = ["[thermal_profile.fp32]", "[thermal_profile.bf16]"]
        .map(|table| TWO_CORE.lines().position(|line| line == table).expect("there"));
    let factor = line.starts_with("efficiency_factor") || line.starts_with("memory_bottleneck_factor");
    factor && at.is_some_and(|at| (fp32..bf16).contains(&at))
}

#[test]
fn a_dry_run_prints_the_difference_and_writes_nothing() {
    let folder = folder_with(&profile());
    let names = folder.names();
    let ran = folder.derate(&format!("{APPLY} --dry-run")).exits(0);
    for said in [
        "-efficiency_factor = { value = 0.7, basis = \"assumed\", source = \"by hand\" } # until a fit says better",
        "+efficiency_factor = { value = 0.55, basis = \"fitted\", source = \"fitted to 40 rows of sweep.csv\" } # until a fit says better",
        "-memory_bottleneck_factor = { value = 0.7, ",
        "+memory_bottleneck_factor = { value = 0.65, ",
        "two_core.toml: dry run, nothing written",
    ] {
        assert!(ran.stdout.contains(said), "{said:?} is not in\n{}", ran.stdout);
    }
    let ran = folder.derate(&format!("{APPLY} --dry-run --format json")).exits(0);
    let json = ran.json();
    assert_eq!((&json["hardware"], &json["written"]), (&json!("two_core.toml"), &json!(false)));
    let key = json!(["thermal_profile[0].fp32.efficiency_factor.value", "0.7", "0.55"]);
    assert!(json["changes"].as_array().is_some_and(|changes| changes.contains(&key)), "{json}");
    assert_eq!((folder.read("two_core.toml").as_str(), folder.names()), (TWO_CORE, names));
}

#[test]
fn comments_and_order_stay_and_the_second_time_changes_nothing() {
    let folder = folder_with(&profile());
    let names = folder.names();
    let ran = folder.derate(APPLY).exits(0);
    assert!(ran.stdout.contains("two_core.toml: written"), "{}", ran.stdout);
    let once = folder.read("two_core.toml");
    // What was there is there, in its order, but for the two factors; each of them keeps the comment behind it.
    let old: Vec<&str> = TWO_CORE.lines().filter(|line| !line.is_empty() && !is_edited(line)).collect();
    let kept: Vec<&str> = once.lines().filter(|line| old.contains(line)).collect();
    assert_eq!(kept, old);
    assert!(once.lines().any(|line| line.contains("value = 0.55") && line.ends_with("# until a fit says better")));
    for said in ["held_out_mape_pct = 12.5", "threads = 2", "runtime = \"unspecified\"", &"ab".repeat(32)] {
        assert!(once.contains(said), "{said:?} is not in\n{once}");
    }
    folder.derate("hardware check two_core.toml").exits(0);

    let ran = folder.derate(APPLY).exits(0);
    assert!(ran.stdout.contains("applied already"), "{}", ran.stdout);
    assert_eq!(folder.read("two_core.toml"), once);
    let again = folder.derate(&format!("{APPLY} --format json")).exits(0).json();
    assert_eq!(again, json!({ "hardware": "two_core.toml", "written": false, "changes": [] }));
    assert_eq!(folder.names(), names);
}

#[test]
fn carriage_returns_stay() {
    let folder = folder_with(&profile());
    folder.write("two_core.toml", TWO_CORE.replace('\n', "\r\n"));
    folder.derate(APPLY).exits(0);
    let text = folder.read("two_core.toml");
    assert!(text.contains("value = 0.55") && text.matches('\n').count() == text.matches("\r\n").count());
}

#[test]
fn a_profile_that_does_not_belong_is_refused() {
    let set = |path: &[&str], value: Value| {
        let mut json = profile();
        let mut at = &mut json;
        for key in path {
            at = match key.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[*key],
            };
        }
        *at = value;
        json
    };
    let calibration = |key| ["fits", "0", "calibration", key];
    let cases = [
        (set(&["hardware"], json!("four-core")), vec!["`hardware` is four-core", "two-core"]),
        (set(&["clock_hz"], json!(3e9)), vec!["`clock_hz` is 3000000000", "4000000000"]),
        (set(&["clock_hz"], json!(-4e9)), vec!["`clock_hz` is -4000000000", "positive"]),
        (set(&["threads"], json!(1)), vec!["`threads` is 1; it is applied to 2", "--replace-runtime"]),
        (set(&["threads"], json!(0)), vec!["`threads` is 0", "1 or more"]),
        (set(&["fits"], json!([])), vec!["`fits` is []"]),
        (
            set(&["fits", "0", "calibration", "intervals", "ops", "0", "0"], json!([0.25, 0.5])),
            vec!["intervals.ops.conv.overhead` is [0.25, 0.5]", "low <= 0 <= high"],
        ),
        (set(&["format"], json!(9)), vec!["`format` is 9"]),
        (set(&calibration("model_version"), json!(9)), vec!["model_version` is 9"]),
        (set(&["fits", "0", "precision"], json!("fp64")), vec!["fp64", "fp32, bf16"]),
        (set(&["fits", "0", "efficiency_factor"], json!(-0.5)), vec!["efficiency_factor", "-0.5", "positive"]),
        (set(&["fits", "0", "efficiency_factor"], json!(7.5)), vec!["efficiency_factor", "7.5", "1.5"]),
        (set(&["fits", "0", "efficiency_factor"], json!(null)), vec!["x.profile.json", "line"]),
        (set(&["threds"], json!(2)), vec!["unknown field `threds`", "line"]),
        (set(&["threads"], json!("two")), vec!["x.profile.json", "line", "\"two\""]),
        (set(&["dataset", "sha256"], json!("12")), vec!["sha256", "64 hexadecimal digits"]),
    ];
    for (profile, said) in cases {
        let folder = folder_with(&profile);
        let names = folder.names();
        folder.derate(APPLY).refused(&said);
        assert_eq!(folder.read("two_core.toml"), TWO_CORE, "{said:?}");
        assert_eq!(folder.names(), names);
    }
    let folder = folder_with(&profile());
    folder.derate(&format!("{APPLY} --thermal-profile hot")).refused(&["`hot`", "default"]);
    let text = folder.read("x.profile.json");
    folder.write("x.profile.json", &text[..text.len() / 2]);
    folder.derate(APPLY).refused(&["x.profile.json", "line"]);
    folder.derate("apply nowhere.json --hardware two_core.toml").refused(&["nowhere.json", "No such file"]);
    assert_eq!(folder.read("two_core.toml"), TWO_CORE);
}

#[test]
fn a_wrong_description_is_not_edited() {
    let folder = folder_with(&profile());
    let wrong = TWO_CORE.replacen("cooling_solution", "cooling", 1);
    folder.write("two_core.toml", &wrong);
    let line = wrong.lines().position(|line| line.starts_with("cooling")).expect("there") + 1;
    folder.derate(APPLY).refused(&[&format!("two_core.toml:{line}: thermal_profile[0].cooling is not a known key")]);
    assert_eq!(folder.read("two_core.toml"), wrong);
}

#[test]
fn what_calibrate_recommends_lowers_the_error_of_the_description() {
    let folder = Folder::new();
    folder.write("sweep.csv", sweep(&few()));
    let line = "calibrate --input sweep.csv --hardware two_core.toml --output report.md --format json";
    let first = folder.derate(line).exits(0).json();
    folder.derate("apply report.profile.json --hardware two_core.toml").exits(0);
    folder.derate("hardware check two_core.toml").exits(0);
    let second = folder.derate(line).exits(0).json();
    let [before, after] = [&first, &second].map(|json| number(json, "error.before.mape_pct"));
    assert!(after < before, "{before} % before, {after} % with the two factors");
    // They are the ones that were fitted, and the next fit finds them again.
    let factors = |json: &Value| number(&json["precisions"][0], "models.two_factors.in_sample.mape_pct");
    assert!((after - factors(&first)).abs() < 0.1, "{after} % against {} %", factors(&first));
}

#[test]
fn factors_of_another_runtime_are_replaced_only_on_demand() {
    let folder = folder_with(&profile());
    folder.derate(APPLY).exits(0);
    let once = folder.read("two_core.toml");
    let mut other = profile();
    other["runtime"] = json!("another-2.0");
    folder.write("x.profile.json", other.to_string());
    let ran = folder.derate(APPLY).exits(2);
    for said in ["x.profile.json: `runtime` is another-2.0", "--replace-runtime"] {
        assert!(ran.stderr.contains(said), "{said:?} is not in\n{}", ran.stderr);
    }
    assert_eq!(folder.read("two_core.toml"), once);
    folder.derate(&format!("{APPLY} --replace-runtime")).exits(0);
    assert!(folder.read("two_core.toml").contains("runtime = \"another-2.0\""));

    // Factors of bf16 from a third runtime: no profile of one of the two describes both.
    other["runtime"] = json!("third-3.0");
    other["fits"][0]["precision"] = json!("bf16");
    folder.write("x.profile.json", other.to_string());
    folder.derate(&format!("{APPLY} --replace-runtime")).exits(0);
    let both = folder.read("two_core.toml");
    for (precision, runtime, there) in [("fp32", "another-2.0", "third-3.0"), ("bf16", "third-3.0", "another-2.0")] {
        other["fits"][0]["precision"] = json!(precision);
        other["runtime"] = json!(runtime);
        folder.write("x.profile.json", other.to_string());
        folder.derate(APPLY).refused(&[&format!("`runtime` is {runtime}; it is applied to {there}")]);
    }
    assert_eq!(folder.read("two_core.toml"), both);
}

#[test]
fn factors_of_another_thread_count_are_applied_only_on_demand() {
    let mut one = profile();
    one["threads"] = json!(1);
    let folder = folder_with(&one);
    folder.derate(APPLY).refused(&["`threads` is 1; it is applied to 2", "--replace-runtime"]);
    assert_eq!(folder.read("two_core.toml"), TWO_CORE);
    folder.derate(&format!("{APPLY} --replace-runtime")).exits(0);
    assert!(folder.read("two_core.toml").contains("threads = 1"));
}

#[test]
fn a_profile_of_a_cuda_device_is_none_of_a_cpu() {
    let mut cuda = profile();
    cuda["device"] = json!("cuda");
    let folder = folder_with(&cuda);
    assert!(folder.derate(APPLY).exits(2).stderr.contains("`device` is cuda; it is applied to cpu"));
}
