//! Tests of the row file on real files: what comes back, what is cut, what is refused.

use std::path::Path;

use super::append_file::FileError;
use super::append_rows::{Cut, Existing, RowFile, RowFileError};
use super::scratch::Scratch;

const HEADER: [&str; 3] = ["model", "dims", "time_ms"];

fn key(row: &csv::StringRecord) -> Result<String, String> {
    let time = &row[2];
    time.parse::<f64>().map_err(|_| format!("column `time_ms` is `{time}`, expected a number"))?;
    Ok(format!("{}/{}", &row[0], &row[1]))
}

fn open(path: &Path) -> Result<(RowFile, Existing), RowFileError> {
    RowFile::open(path, &HEADER, key)
}

fn error_of(text: &str) -> String {
    let scratch = Scratch::new();
    let path = scratch.file("rows.csv");
    std::fs::write(&path, text).unwrap();
    let error = open(&path).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "left as it was");
    error.to_string().replace(&path.display().to_string(), "F")
}

#[test]
fn rows_come_back_as_keys() {
    let scratch = Scratch::new();
    let path = scratch.file("rows.csv");
    let (mut rows, existing) = open(&path).unwrap();
    assert_eq!(existing, Existing::default());
    rows.append(&["mlp", "[512, 512]", "1.5"]).unwrap();
    rows.append(&["mlp", "say \"two\"\nlines", "2"]).unwrap();
    assert_eq!(rows.path(), path);
    drop(rows);
    let text = std::fs::read_to_string(&path).unwrap();
    let want = "model,dims,time_ms\nmlp,\"[512, 512]\",1.5\nmlp,\"say \"\"two\"\" lines\",2\n";
    assert_eq!(text, want);
    let (_, existing) = open(&path).unwrap();
    assert_eq!(existing.keys, ["mlp/[512, 512]", "mlp/say \"two\" lines"]);
    assert_eq!(existing.cut, None);
}

#[test]
fn a_file_cut_anywhere_loses_only_its_last_line() {
    let whole = "model,dims,time_ms\na,\"1, 2\",1\nb,3,2.25\n";
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
    for len in 0..=whole.len() {
        let scratch = Scratch::new();
        let path = scratch.file("rows.csv");
        std::fs::write(&path, &whole[..len]).unwrap();
        let (mut rows, existing) = open(&path).unwrap();
        let n_lines = ends.iter().filter(|&&end| end <= len).count();
        assert_eq!(existing.keys, ["a/1, 2", "b/3"][..n_lines.saturating_sub(1)]);
        let start = whole[..len].rfind('\n').map_or(0, |at| at + 1);
        let cut = (n_lines > 0 && start < len).then(|| Cut { line: n_lines + 1, text: whole[start..len].to_owned() });
        assert_eq!(existing.cut, cut, "{len} bytes");
        // What is missing is appended: the file is whole again.
        for fields in [["a", "1, 2", "1"], ["b", "3", "2.25"]].iter().skip(existing.keys.len()) {
            rows.append(fields).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{len} bytes");
    }
}

#[test]
fn another_header_is_refused_with_both() {
    assert_eq!(
        error_of("model,dims,time_s\na,1,1\n"),
        "F, line 1: the header is `model,dims,time_s`, expected `model,dims,time_ms`"
    );
    let windows = error_of("model,dims,time_ms\r\n");
    assert!(windows.contains("the header is `model,dims,time_ms\\r`, expected"), "{windows}");
    assert!(error_of("something else").contains("the header is `something else`"));
}

#[test]
fn malformed_rows_name_file_and_line() {
    let head = "model,dims,time_ms\na,1,1\n";
    for (row, want) in [
        ("b,2\n", "F, line 3: 2 fields, expected 3 as in the header"),
        ("\n", "F, line 3: 0 fields, expected 3 as in the header"),
        ("b,2,x\n", "F, line 3: column `time_ms` is `x`, expected a number"),
        ("a,1,7\n", "F, line 3: `a/1` is in line 2 already, expected once"),
        ("b,\"2,1\nc,3,1\n", "F, line 3: a quote is opened and not closed"),
    ] {
        assert_eq!(error_of(&format!("{head}{row}")), want);
    }
}

#[test]
fn a_row_of_another_width_is_not_written() {
    let scratch = Scratch::new();
    let path = scratch.file("rows.csv");
    let (mut rows, _) = open(&path).unwrap();
    let error = rows.append(&["a", "b"]).unwrap_err().to_string();
    assert!(error.ends_with("a row of 2 fields was given, the header has 3"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "model,dims,time_ms\n");
}

#[test]
fn one_writer_at_a_time() {
    let scratch = Scratch::new();
    let path = scratch.file("rows.csv");
    let first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(RowFileError::File(FileError::InUse { .. }))));
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn a_missing_folder_is_named() {
    let scratch = Scratch::new();
    let error = open(&scratch.file("none/rows.csv")).unwrap_err().to_string();
    assert!(error.ends_with("none/rows.csv: cannot open it"), "{error}");
}
