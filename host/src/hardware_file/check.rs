//! The check of a hardware description: everything that is wrong in a text, with the line where it stands.
//!
//! It walks the document along the tables of `keys.rs`, then applies the rules of `rules.rs` that tie one value to another.
//! Where the text is not TOML, only that is said: what a parser guesses about the rest would mislead.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Fields, Key, Node, ROOT, Range, number};
use super::problem::{Problem, ProblemKind};
use super::rules;
use crate::closest::closest;

/// Everything that is wrong in the text of a hardware description, in the order of lines; `path` is only named in it.
/// Empty for a text that [`super::HardwareFile::parse`] accepts.
#[must_use]
pub fn check(text: &str, path: impl AsRef<Path>) -> Vec<Problem> {
    let mut findings = Findings::new(text, path.as_ref());
    match DeTable::parse(text) {
        Ok(table) => {
            let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
            findings.fields(&ROOT, "", &root);
            rules::apply(root.get_ref(), &mut findings);
        }
        Err(first) => {
            let (_, mut errors) = DeTable::parse_recoverable(text);
            if errors.is_empty() {
                errors.push(first);
            }
            for error in errors {
                let start = error.span().map_or(0, |span| span.start);
                findings.add(start, String::new(), ProblemKind::Syntax, error.message().to_owned(), String::new());
            }
        }
    }
    findings.problems.sort_by_key(|problem| problem.line);
    findings.problems
}

/// Problems found so far in a text.
pub(super) struct Findings<'t> {
    text: &'t str,
    file: String,
    /// Offsets of the line ends.
    line_ends: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'t> Findings<'t> {
    fn new(text: &'t str, path: &Path) -> Self {
        let line_ends = text.match_indices('\n').map(|(offset, _)| offset).collect();
        Self { text, file: path.display().to_string(), line_ends, problems: Vec::new() }
    }

    /// Adds a problem at an offset of the text.
    fn add(&mut self, offset: usize, key: String, kind: ProblemKind, found: String, allowed: String) {
        let line = self.line_ends.partition_point(|&end| end < offset) + 1;
        self.problems.push(Problem { file: self.file.clone(), line, key, kind, found, allowed });
    }

    /// Adds a value that is not allowed.
    pub(super) fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, allowed: impl Into<String>) {
        let found = shown(self.text, value);
        self.add(value.span().start, key.to_owned(), ProblemKind::Value, found, allowed.into());
    }

    /// Checks a value against what its key may hold.
    fn node(&mut self, node: Node, key: &str, value: &Spanned<DeValue<'_>>) {
        match node {
            Node::Number(range) if value.get_ref().is_table() => self.keys(&number(range), None, key, value),
            Node::Table(fields) if value.get_ref().is_table() => self.fields(fields, key, value),
            Node::List(fields) => match value.get_ref().as_array() {
                Some(entries) if !entries.is_empty() => {
                    for (i, entry) in entries.iter().enumerate() {
                        self.node(Node::Table(fields), &format!("{key}[{i}]"), entry);
                    }
                }
                _ => self.value(key, value, node.allowed()),
            },
            Node::Plain(range) => self.number(range, key, value),
            Node::Number(_) if number_of(value.get_ref()).is_some() => {
                let shown = shown(self.text, value);
                let allowed = format!(
                    "a table that says where it comes from, such as {{ value = {shown}, basis = \"assumed\", source = \"…\" }}"
                );
                self.value(key, value, allowed);
            }
            _ if holds(node, value.get_ref()) => {}
            _ => self.value(key, value, node.allowed()),
        }
    }

    fn number(&mut self, range: Range, key: &str, value: &Spanned<DeValue<'_>>) {
        let Some(number) = number_of(value.get_ref()) else {
            return self.value(key, value, range.allowed());
        };
        // The core computes in 32 bits, where a large number may be infinite and a small one zero.
        let rounded = number as f32;
        let allowed = match range {
            Range::Integer(max) => {
                integer_of(value.get_ref()).is_some_and(|integer| (1..=i128::from(max)).contains(&integer))
            }
            Range::Factor => rounded > 0.0 && number <= super::keys::FACTOR_MAX,
            Range::Positive => rounded > 0.0 && rounded.is_finite(),
            Range::NotNegative => number >= 0.0 && rounded.is_finite(),
        };
        let lost_in_rounding = number > 0.0 && number.is_finite() && !(rounded > 0.0 && rounded.is_finite());
        if !allowed && lost_in_rounding && !matches!(range, Range::Integer(_)) {
            self.value(key, value, "a number that 32 bits hold, from 1e-45 to 3.4e38");
        } else if !allowed {
            self.value(key, value, range.allowed());
        }
    }

    fn fields(&mut self, fields: &Fields, at: &str, value: &Spanned<DeValue<'_>>) {
        self.keys(fields.keys, fields.by_precision, at, value);
    }

    /// Checks the keys of a table: unknown, missing, and what each holds.
    fn keys(&mut self, keys: &[Key], by_precision: Option<Node>, at: &str, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else { return };
        let precisions: &[&str] = if by_precision.is_some() { &super::keys::PRECISIONS } else { &[] };
        let known: Vec<&str> = keys.iter().map(|key| key.name).chain(precisions.iter().copied()).collect();
        for (name, value) in table {
            let path = join(at, name.get_ref());
            if let Some(key) = keys.iter().find(|key| key.name == name.get_ref()) {
                self.node(key.node, &path, value);
            } else if let Some(node) = by_precision.filter(|_| precisions.contains(&name.get_ref().as_ref())) {
                self.node(node, &path, value);
            } else {
                let allowed = match closest(name.get_ref(), known.iter().copied()) {
                    Some(key) => format!("did you mean `{key}`? Known here: {}", known.join(", ")),
                    None => format!("known here: {}", known.join(", ")),
                };
                self.add(name.span().start, path, ProblemKind::UnknownKey, String::new(), allowed);
            }
        }
        let start = value.span().start;
        for key in keys.iter().filter(|key| key.required && !table.contains_key(key.name)) {
            self.add(start, join(at, key.name), ProblemKind::MissingKey, String::new(), key.node.allowed());
        }
        if let Some(node) = by_precision.filter(|_| !precisions.iter().any(|&name| table.contains_key(name))) {
            let allowed = format!("{}, for at least one of {}", node.allowed(), precisions.join(", "));
            self.add(start, join(at, "PRECISION"), ProblemKind::MissingKey, String::new(), allowed);
        }
    }
}

/// Whether a value without parts of its own is allowed.
fn holds(node: Node, value: &DeValue<'_>) -> bool {
    match node {
        Node::Schema => integer_of(value) == Some(i128::from(super::SCHEMA)),
        Node::Text(text) => value.as_str().is_some_and(|string| text.holds(string)),
        Node::OneOf(names) => value.as_str().is_some_and(|string| names.contains(&string)),
        Node::Flag => value.is_bool(),
        Node::Plain(_) | Node::Number(_) | Node::Table(_) | Node::List(_) => false,
    }
}

/// The value as an integer; `None` for all else.
pub(super) fn integer_of(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value as a number; `None` for what is neither an integer nor a float.
pub(super) fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        // TOML's integers have 64 bits: a longer one is above every range, and would not be read as a float either.
        DeValue::Integer(_) => {
            let integer = integer_of(value).and_then(|integer| i64::try_from(integer).ok());
            Some(integer.map_or(f64::INFINITY, |integer| integer as f64))
        }
        _ => None,
    }
}

/// The value for a message: as the text writes it, shortened; a table or array by its type.
fn shown(text: &str, value: &Spanned<DeValue<'_>>) -> String {
    const LONGEST: usize = 60;
    match value.get_ref() {
        DeValue::Table(_) => "a table".to_owned(),
        DeValue::Array(array) if array.is_empty() => "an empty array".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        scalar => {
            let written = text.get(value.span()).unwrap_or(scalar.type_str());
            let mut line = written.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some((end, _)) = line.char_indices().nth(LONGEST) {
                line.truncate(end);
                line.push('…');
            }
            line
        }
    }
}

/// The path of a key in a table.
pub(super) fn join(at: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if at.is_empty() { name } else { format!("{at}.{name}") }
}
