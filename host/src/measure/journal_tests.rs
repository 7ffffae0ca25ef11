//! Tests of the journal on real files: its lines, where it may be cut, what is refused.

use std::path::Path;

use super::append_file::FileError;
use super::disturbance::ReferenceLevels;
use super::executor::Reference;
use super::journal::{Contents, Entry, FORMAT, Header, Journal, JournalError, beside, read};
use super::scratch::Scratch;

fn header(plan: &str) -> Header {
    Header {
        format: FORMAT,
        tool: "derate 0.1.0".to_owned(),
        plan: plan.to_owned(),
        settings: serde_json::json!({"min_runs": 50}),
    }
}

fn chunk(key: &str, block: u32) -> Entry {
    Entry::Chunk {
        key: key.to_owned(),
        block,
        round: 3,
        runs: 4,
        samples_ns: vec![1_000, 1_001],
        at_unix_ms: 1_700_000_000_000,
    }
}

fn reference(which: Reference, block: u32, sample_ns: u64) -> Entry {
    Entry::Reference { which, block, round: 0, sample_ns, at_unix_ms: 5 }
}

fn row(key: &str, block: u32) -> Entry {
    Entry::Row { key: key.to_owned(), block, at_unix_ms: 6 }
}

/// Text of a journal with these entries.
fn text_of(entries: &[Entry]) -> String {
    let scratch = Scratch::new();
    let path = scratch.file("a.csv.journal");
    let (mut journal, _) = Journal::open(&path, &header("abc")).unwrap();
    for entry in entries {
        journal.append(entry).unwrap();
    }
    std::fs::read_to_string(&path).unwrap()
}

fn message(path: &Path, error: &JournalError) -> String {
    error.to_string().replace(&path.display().to_string(), "F")
}

#[test]
fn lines_are_stable_json() {
    let text = text_of(&[chunk("mlp", 0), reference(Reference::ComputeBound, 0, 9), row("mlp", 0)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"format":1,"tool":"derate 0.1.0","plan":"abc","settings":{"min_runs":50}}"#,
            r#"{"kind":"chunk","key":"mlp","block":0,"round":3,"runs":4,"samples_ns":[1000,1001],"at_unix_ms":1700000000000}"#,
            r#"{"kind":"reference","which":"compute_bound","block":0,"round":0,"sample_ns":9,"at_unix_ms":5}"#,
            r#"{"kind":"row","key":"mlp","block":0,"at_unix_ms":6}"#,
        ]
    );
}

#[test]
fn cut_anywhere_it_reads_and_goes_on() {
    let entries = [chunk("a", 0), row("a", 0), chunk("b", 1)];
    let whole = text_of(&entries);
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
    let scratch = Scratch::new();
    for len in 0..=whole.len() {
        let path = scratch.file(&format!("{len}.journal"));
        std::fs::write(&path, &whole[..len]).unwrap();
        let n_lines = ends.iter().filter(|&&end| end <= len).count();
        let at_end = len == 0 || ends.contains(&len);
        let kept = &entries[..n_lines.saturating_sub(1)];
        match read(&path) {
            Ok(contents) => {
                assert_eq!(contents.entries, kept);
                assert_eq!(contents.truncated_line, (!at_end).then_some(n_lines + 1));
            }
            Err(error) => {
                assert!(matches!(error, JournalError::NoHeader { .. }), "{error}");
                assert_eq!(n_lines, 0);
            }
        }
        let (mut journal, contents) = Journal::open(&path, &header("abc")).unwrap();
        assert_eq!(contents.entries, kept);
        assert_eq!(contents.truncated_line, (!at_end).then_some(n_lines + 1));
        for entry in &entries[kept.len()..] {
            journal.append(entry).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{len} bytes");
    }
}

#[test]
fn another_plan_is_refused_with_both() {
    let scratch = Scratch::new();
    let path = scratch.file("a.journal");
    drop(Journal::open(&path, &header("abc")).unwrap());
    let error = Journal::open(&path, &header("def")).unwrap_err();
    let text = message(&path, &error);
    assert!(text.starts_with("F, line 1: this sweep was begun with other configurations"), "{text}");
    assert!(Journal::open(&path, &header("abc")).is_ok());
}

#[test]
fn malformed_lines_name_file_and_line_and_stay() {
    let scratch = Scratch::new();
    let path = scratch.file("a.journal");
    let good = text_of(&[chunk("a", 0)]);
    let extra = good.replace(r#""round":3"#, r#""round":3,"more":1"#);
    let wrong_kind = good.replace(r#""kind":"chunk""#, r#""kind":"lump""#);
    let format = good.replace(r#""format":1"#, r#""format":2"#);
    let no_plan = good.replace(r#""plan":"abc","#, "");
    let middle = good.replace("\n{\"kind\"", "\n{\"ki\n{\"kind\"");
    for (text, want) in [
        (extra, "F, line 2: not a journal line: unknown field `more`"),
        (wrong_kind, "F, line 2: not a journal line: unknown variant `lump`"),
        (format, "F, line 1: `format` is 2, this tool reads 1"),
        (no_plan, "F, line 1: not a journal line: missing field `plan`"),
        (middle, "F, line 2: not a journal line: EOF while parsing"),
    ] {
        std::fs::write(&path, &text).unwrap();
        for error in [read(&path).unwrap_err(), Journal::open(&path, &header("abc")).unwrap_err()] {
            let got = message(&path, &error);
            assert!(got.starts_with(want), "{got}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_a_resumed_sweep_needs() {
    use Reference::{ComputeBound, MemoryBound};
    let mut entries = vec![chunk("a", 4)];
    // Block 0: ten of 100; block 1: ten of 90; block 2: nine of 10, too few to count.
    for (block, n, ns) in [(0, 10, 100), (1, 10, 90), (2, 9, 10)] {
        entries.extend((0..n).map(|_| reference(ComputeBound, block, ns)));
    }
    entries.extend((0..10).map(|_| reference(MemoryBound, 1, 70)));
    let contents = Contents { header: header("abc"), entries, truncated_line: None };
    assert_eq!(contents.next_block(), 5);
    let best = contents.best_references();
    assert_eq!(best.compute_bound_ns, Some(90.0));
    assert_eq!(best.memory_bound_ns, Some(70.0));
    let none = Contents { entries: Vec::new(), ..contents };
    assert_eq!((none.next_block(), none.best_references()), (0, ReferenceLevels::default()));
}

#[test]
fn one_writer_at_a_time_and_a_name_beside_the_csv() {
    let scratch = Scratch::new();
    let path = beside(&scratch.file("sweep.csv"));
    assert_eq!(path, scratch.file("sweep.csv.journal"));
    let first = Journal::open(&path, &header("abc")).unwrap();
    let second = Journal::open(&path, &header("abc"));
    assert!(matches!(second, Err(JournalError::File(FileError::InUse { .. }))));
    drop(first);
    let missing = read(&scratch.file("none")).unwrap_err();
    assert!(message(&scratch.file("none"), &missing).ends_with("F: cannot read it"));
}
