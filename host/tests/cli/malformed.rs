//! Malformed data and descriptions: refused with file, line and what is allowed; nothing is overwritten.

use crate::common::{Folder, Ran, TWO_CORE};
use crate::synthetic::{Row, rows, sweep};

/// Five rows in lines 2 to 6, with ms in line 3 that no other line has.
fn five() -> String {
    let mut rows: Vec<Row> = rows();
    rows.truncate(5);
    let (from, to) = (format!(",{},0.001,", rows[1].time_ms()), ",3.25,0.001,");
    let text = sweep(&rows);
    assert_eq!(text.matches(&from).count(), 1);
    text.replace(&from, to)
}

/// Line 3 of the five with this column set to this text.
fn with(column: &str, value: &str) -> String {
    let mut reader = csv::Reader::from_reader(TEXT_OF_FIVE.get_or_init(five).as_bytes());
    let header = reader.headers().expect("a header").clone();
    let at = header.iter().position(|name| name == column).expect("a column");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).expect("written");
    for (row, record) in reader.records().enumerate() {
        let record = record.expect("a row");
        let field = |(column, text)| if row == 1 && column == at { value } else { text };
        writer.write_record(record.iter().enumerate().map(field)).expect("written");
    }
    String::from_utf8(writer.into_inner().expect("flushed")).expect("text")
}

static TEXT_OF_FIVE: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Calibrates a text over a report that is there; whatever happens, report and profile stay as they are.
fn calibrate(folder: &Folder, bytes: impl AsRef<[u8]>) -> Ran {
    let kept = ["report.md", "report.json", "report.profile.json"];
    for name in kept {
        folder.write(name, "kept");
    }
    folder.write("bad.csv", &bytes);
    let before = folder.names();
    let ran = folder.derate("calibrate --input bad.csv --hardware two_core.toml --output report.md");
    for name in kept {
        assert_eq!(folder.read(name), "kept", "{name}");
    }
    assert_eq!(folder.names(), before);
    assert_eq!(std::fs::read(folder.path("bad.csv")).expect("there"), bytes.as_ref());
    ran
}

#[test]
fn a_wrong_field_is_named_with_its_line_and_what_is_allowed() {
    let folder = Folder::new();
    let finite = "it must be a finite number, not negative";
    let whole = "it must be a whole number above 0";
    let list = "it must be a list like [512, 512] of whole numbers above 0";
    let cases = [
        ("empirical_time_ms", "NaN", finite),
        ("empirical_time_ms", "inf", finite),
        ("empirical_time_ms", "-3.25", finite),
        ("empirical_time_ms", "", finite),
        ("empirical_time_ms", "3,25", finite),
        ("empirical_time_ms", "0", "it must be above 0"),
        ("empirical_memory_mb", "-1", finite),
        ("empirical_memory_mb", "much", finite),
        ("precision", "fp31", "it must be one of fp64, fp32, tf32, bf16, fp16, int8"),
        ("precision", "FP32", "it must be one of fp64, fp32, tf32, bf16, fp16, int8"),
        ("input_dim", "0", whole),
        ("output_dim", "1.5", whole),
        ("batch_size", "-4", whole),
        ("batch_size", "4294967296", whole),
        ("hidden_dims", "64", list),
        ("hidden_dims", "[]", list),
        ("hidden_dims", "[64, 0]", list),
        ("hidden_dims", "[64; 64]", list),
    ];
    for (column, value, allowed) in cases {
        let said = format!("bad.csv:3: `{column}` is {value:?}; {allowed}");
        calibrate(&folder, with(column, value)).refused(&[&said]);
    }
    let said = ["bad.csv:3: `device` is \"cuda\"", "\"cpu\""];
    // The first row decides; the second is the one that differs.
    calibrate(&folder, with("device", "cuda")).refused(&said);
}

#[test]
fn a_file_that_is_no_whole_csv_is_refused() {
    let folder = Folder::new();
    let text = five();
    // Cut within the last field, within a line, and after a line's third field.
    calibrate(&folder, text.trim_end()).refused(&["bad.csv", "line 6", "a whole file ends with a line break"]);
    calibrate(&folder, &text[..text.len() - 20]).refused(&["bad.csv", "line 6"]);
    let short = text.replace(",3.25,0.001,", "\n");
    calibrate(&folder, short).refused(&["bad.csv", "line 3", "fields"]);
    let without = text.replace("batch_size", "batch");
    calibrate(&folder, without).refused(&["bad.csv:1: there is no column `batch_size`", "\"hidden_dims\""]);
    calibrate(&folder, "").refused(&["bad.csv:1", "no column"]);
    calibrate(&folder, text.lines().next().expect("a header").to_owned() + "\n").refused(&["bad.csv: no measured row"]);
    let mut bytes = text.clone().into_bytes();
    let at = text.find("3.25").expect("there");
    bytes[at] = 0xff;
    calibrate(&folder, bytes).refused(&["bad.csv", "line 3", "UTF-8"]);
    folder.derate("calibrate --input nowhere.csv --hardware two_core.toml").refused(&["nowhere.csv", "No such file"]);
}

#[test]
fn rows_that_no_model_can_take_are_named() {
    let folder = Folder::new();
    let huge = with("input_dim", "4294967295").replace("[64],64,8,", "[4294967295],64,4294967295,");
    calibrate(&folder, huge).refused(&["bad.csv:3", "2^64"]);
    // The description has factors for fp32 and bf16 only.
    calibrate(&folder, five().replace(",fp32,", ",fp64,")).refused(&["bad.csv:2", "fp64", "two-core"]);
    let two: String = five().lines().take(3).map(|line| line.to_owned() + "\n").collect();
    calibrate(&folder, two).refused(&["2 configurations of fp32", "at least 3"]);
}

#[test]
fn a_wrong_key_of_the_description_is_named_with_its_line() {
    let folder = Folder::new();
    folder.write("sweep.csv", five());
    folder.write("report.md", "kept");
    let line = TWO_CORE.lines().position(|line| line.starts_with("dispatch_s")).expect("there") + 1;
    for (from, to, said) in [
        ("dispatch_s =", "dispatch =", "overhead.dispatch is not a known key; did you mean `dispatch_s`?"),
        ("value = 2e-6", "value = nan", "overhead.dispatch_s.value is nan; it must be 0 or a positive, finite number"),
        (
            "value = 2e-6, basis = \"assumed\"",
            "value = 2e-6, basis = \"guessed\"",
            "it must be one of spec, measured, fitted, assumed",
        ),
    ] {
        folder.write("wrong.toml", TWO_CORE.replacen(from, to, 1));
        let ran = folder.derate("calibrate --input sweep.csv --hardware wrong.toml --output report.md");
        ran.refused(&[&format!("wrong.toml:{line}:"), said]);
    }
    assert_eq!(folder.read("report.md"), "kept");
    assert_eq!(folder.names(), ["report.md", "sweep.csv", "two_core.toml", "wrong.toml"]);
}
