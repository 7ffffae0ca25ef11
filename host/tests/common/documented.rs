//! What `docs/formats.md` says of the keys that verbs write, held against what they write.

use std::collections::BTreeSet;

use serde_json::Value;

const FORMATS: &str = include_str!("../../../docs/formats.md");

/// All names in backticks of the row of a verb in the table of `--format json`; nested names in parentheses among them.
#[track_caller]
fn row(verb: &str) -> BTreeSet<&'static str> {
    let (_, section) = FORMATS.split_once("## `--format json`").expect("the section");
    let begin = format!("| {verb} |");
    let line = section.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("docs/formats.md has no row {begin:?}"));
    let (_, keys) = line.split_at(begin.len());
    keys.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches("[]")).collect()
}

/// Fails unless an object has exactly the keys of a row, but for those names of the row that are no keys of it.
#[track_caller]
pub(crate) fn has_keys_of(object: &Value, verb: &str, others: &[&str]) {
    let keys: BTreeSet<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    let documented: BTreeSet<&str> = row(verb).into_iter().filter(|name| !others.contains(name)).collect();
    assert_eq!(keys, documented, "written on the left, documented on the right");
}
