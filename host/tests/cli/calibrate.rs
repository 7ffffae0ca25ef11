//! `derate calibrate` on CSVs of another tool: what it writes, what it says, and that it says the same again.

use serde_json::Value;

use crate::common::{Folder, number};
use crate::synthetic::{few, rows, sweep, sweep_of_needed_columns, sweep_with_percentile};

const CALIBRATE: &str = "calibrate --hardware two_core.toml";

/// A JSON file without the key that tells when it was made.
fn undated(folder: &Folder, name: &str) -> Value {
    let mut json: Value = serde_json::from_str(&folder.read(name)).expect("a JSON document");
    assert!(json["date"].as_str().is_some_and(|date| date.ends_with('Z')), "{json}");
    json["date"] = Value::Null;
    json
}

#[test]
fn the_18_published_columns_are_enough() {
    let folder = Folder::new();
    folder.write("sweep.csv", sweep(&rows()));
    let ran = folder.derate(&format!("{CALIBRATE} --input sweep.csv --output out/report.md --format json")).exits(0);
    let json = ran.json();

    // The device is slower than its description by about a third; the fit finds that, up to 2 % of scatter and the fact that
    // the model has no sharp edges where the device has them.
    let (before, after) = (number(&json, "error.before.mape_pct"), number(&json, "error.after_held_out.mape_pct"));
    assert!(before > 20.0 && after < 10.0, "before {before} %, after {after} %");
    assert_eq!(json["grade"], "excellent");
    assert!(number(&json, "error.after_in_sample.mape_pct") <= after);
    assert_eq!((&json["provenance"]["statistic"], &json["provenance"]["rows"]), (&"empirical_time".into(), &40.into()));
    assert_eq!(json["provenance"]["hardware"], "two-core");
    // The CSV of that tool does not say what it ran on; the report does not either.
    assert_eq!(json["provenance"]["runtime"], Value::Null);
    let written: Value = serde_json::from_str(&folder.read("out/report.json")).expect("a JSON document");
    assert_eq!(written, json, "the file is what is printed");

    let report = folder.read("out/report.md");
    assert!(report.contains("empirical_time_ms") && report.contains("held out"), "{report}");
    let out = std::fs::read_dir(folder.path("out")).expect("a folder");
    let plots: Vec<String> = out
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".svg"))
        .collect();
    assert!(!plots.is_empty(), "no plot");
    for plot in plots {
        assert!(report.contains(&plot), "{plot} is not in the report");
        assert!(folder.read(&format!("out/{plot}")).contains("<svg"), "{plot}");
    }

    let profile = undated(&folder, "out/report.profile.json");
    assert_eq!((&profile["statistic"], &profile["threads"]), (&"empirical_time".into(), &2.into()));
    // Arithmetic at half the peak, bandwidths at 0.6, with the 3 µs of an op in between: the factors are near.
    let factors = ["efficiency_factor", "memory_bottleneck_factor"].map(|key| number(&profile["fits"][0], key));
    assert!((0.4..0.6).contains(&factors[0]) && (0.3..0.9).contains(&factors[1]), "{factors:?}");
    assert_eq!(folder.names(), ["out", "sweep.csv", "two_core.toml"]);
}

#[test]
fn columns_in_another_order_and_foreign_ones_give_the_same_fit() {
    let folder = Folder::new();
    folder.write("all.csv", sweep(&few()));
    folder.write("needed.csv", sweep_of_needed_columns(&few()));
    for name in ["all", "needed"] {
        let ran = folder.derate(&format!("{CALIBRATE} --input {name}.csv --output {name}.md")).exits(0);
        assert!(ran.stdout.contains(&format!("{name}.profile.json")), "{}", ran.stdout);
        assert!(ran.stdout.contains(&format!("{name}.md")), "{}", ran.stdout);
    }
    let [all, needed] = ["all.profile.json", "needed.profile.json"].map(|name| undated(&folder, name));
    assert_eq!(all["fits"], needed["fits"]);
    assert_ne!(all["dataset"]["sha256"], needed["dataset"]["sha256"]);
}

#[test]
fn the_same_data_give_the_same_profile_and_plots_but_for_the_date() {
    let folder = Folder::new();
    folder.write("sweep.csv", sweep(&few()));
    let line = format!("{CALIBRATE} --input sweep.csv");
    folder.derate(&line).exits(0);
    let first = undated(&folder, "sweep_calibration.profile.json");
    let names = folder.names();
    let plots: Vec<&String> = names.iter().filter(|name| name.ends_with(".svg")).collect();
    let drawn: Vec<String> = plots.iter().map(|name| folder.read(name)).collect();
    folder.derate(&line).exits(0);
    assert_eq!(undated(&folder, "sweep_calibration.profile.json"), first);
    assert_eq!(plots.iter().map(|name| folder.read(name)).collect::<Vec<_>>(), drawn);
    assert_eq!(folder.names(), names);
}

#[test]
fn the_tenth_percentile_is_fitted_where_every_file_has_it() {
    let folder = Folder::new();
    let rows = few();
    folder.write("p10.csv", sweep_with_percentile(&rows));
    folder.write("one.csv", sweep_with_percentile(&rows[..6]));
    folder.write("two.csv", sweep(&rows[6..]));
    let statistic = |inputs: &str| {
        let ran = folder.derate(&format!("{CALIBRATE} --input {inputs} --output report.md --format json")).exits(0);
        (ran.json()["provenance"]["statistic"].clone(), folder.read("report.md"))
    };
    let (fitted, report) = statistic("p10.csv");
    assert!(fitted == "p10" && report.contains("p10_ms"), "{fitted}");
    let (fitted, report) = statistic("one.csv two.csv");
    assert!(fitted == "empirical_time" && !report.contains("p10_ms"), "{fitted}");
}

#[test]
fn a_configuration_that_stands_in_two_files_is_held_out_with_both_its_rows() {
    // A sweep and its repeat: if one row of a configuration could be fitted while the other is held out, the quoted error
    // would be an in-sample one. Here every configuration is 1.3 times as slow as its neighbours say, or 1.3 times as fast.
    let folder = Folder::new();
    let scattered: String = sweep(&few())
        .lines()
        .enumerate()
        .map(|(at, line)| {
            let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            // Of the 18 columns 11 follow the time; the list in quotes before it has commas of its own.
            let time = fields.len() - 11;
            if let Ok(ms) = fields[time].parse::<f64>() {
                fields[time] = (ms * if at % 2 == 0 { 1.3 } else { 1.0 / 1.3 }).to_string();
            }
            fields.join(",") + "\n"
        })
        .collect();
    folder.write("first.csv", &scattered);
    folder.write("second.csv", &scattered);
    let error = |inputs: &str| {
        let ran = folder.derate(&format!("{CALIBRATE} --input {inputs} --output report.md --format json")).exits(0);
        number(&ran.json(), "error.after_held_out.mape_pct")
    };
    let (once, twice) = (error("first.csv"), error("first.csv second.csv"));
    // The same rows twice are the same fit, but for priors that weigh half as much.
    assert!((twice / once - 1.0).abs() < 0.1, "{once} % from one file, {twice} % from the same file twice");
}

#[test]
fn what_the_rows_say_must_not_differ_from_the_command_line() {
    let folder = Folder::new();
    let text = sweep(&few());
    let mut lines = text.lines();
    let mut own = format!("{},hardware,runtime,threads\n", lines.next().unwrap_or_default());
    own.extend(lines.map(|line| format!("{line},two-core,ours-1.0,1\n")));
    folder.write("own.csv", &own);
    folder.write("other.csv", own.replace(",two-core,", ",four-core,"));
    let sentinel = "kept";
    folder.write("report.md", sentinel);
    let refused = |line: &str, said: &[&str]| {
        folder.derate(&format!("{CALIBRATE} --output report.md {line}")).refused(said);
        assert_eq!(folder.read("report.md"), sentinel);
    };
    refused("--input other.csv", &["other.csv", "\"four-core\"", "\"two-core\"", "--hardware FILE"]);
    refused("--input own.csv --runtime theirs-2.0", &["--runtime theirs-2.0", "ours-1.0"]);
    refused("--input own.csv --threads 2", &["--threads 2", "1"]);
    refused("--input own.csv --thermal-profile hot", &["\"hot\"", "default"]);
    let ran = folder.derate(&format!("{CALIBRATE} --input own.csv --output report.md --format json")).exits(0).json();
    assert_eq!(ran["provenance"]["runtime"], "ours-1.0");
    assert_eq!(ran["provenance"]["threads"], 1);
}

#[test]
fn a_report_never_takes_the_place_of_the_data_or_of_its_own_parts() {
    let folder = Folder::new();
    let data = sweep(&few());
    folder.write("sweep.csv", &data);
    for output in ["sweep.csv", "report.json", "report.svg"] {
        folder.derate(&format!("{CALIBRATE} --input sweep.csv --output {output}")).refused(&[output, ".md"]);
    }
    assert_eq!(folder.read("sweep.csv"), data);
    assert_eq!(folder.names(), ["sweep.csv", "two_core.toml"]);
}
