//! Setting fitted factors in the text of a hardware description, in place: comments, order and spelling of all else stay.
//!
//! What changed is read off the two texts, not taken from the edit's own word. The same edit a second time changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use derate_core::hardware::Basis;
use derate_core::shape::Precision;
use similar::TextDiff;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::check::join;
use super::entries::{FactorsEntry, HardwareFile, Provenance};
use super::problem::SpecError;
use super::write::{basis_name, float, provenance_values, text};

/// What to set in the factors of one precision in one thermal profile.
#[derive(Clone, Debug)]
pub struct Edit<'a> {
    /// Name of the thermal profile; `None` for the first one.
    pub thermal_profile: Option<&'a str>,
    /// The precision whose factors are set.
    pub precision: Precision,
    /// Share of the peak throughput, above 0 and at most 1.5; written with six significant digits.
    pub efficiency_factor: f64,
    /// Share of the bandwidth, above 0 and at most 1.5; written with six significant digits.
    pub memory_bottleneck_factor: f64,
    /// Source of both numbers; not empty.
    pub source: &'a str,
    /// The calibration that they come from.
    pub provenance: &'a Provenance,
}

/// A text after an edit, and what differs from the text before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The whole text.
    pub text: String,
    /// Keys whose value differs, in the order of lines; empty where the edit had been made before.
    pub changes: Vec<Change>,
}

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Path of the key, such as `thermal_profile[0].fp32.efficiency_factor.value`.
    pub key: String,
    /// The value before, as the file wrote it; `None` where the key was not there.
    pub old: Option<String>,
    /// The value after; `None` where the key is gone.
    pub new: Option<String>,
    /// Line from 1: in the new text, or in the old one where the key is gone.
    pub line: usize,
}

/// Sets the two fitted factors of a precision: their values, the basis `fitted`, their source, and the provenance beside
/// them. `path` is only named in messages.
///
/// # Errors
/// [`SpecError::Problems`] where the text is wrong before the edit, or would be after it (a factor out of range, an empty
/// source, a provenance of another precision), [`SpecError::NoThermalProfile`] and [`SpecError::NoPrecision`] with what there
/// is, [`SpecError::Layout`].
pub fn apply_factors(old: &str, path: impl AsRef<Path>, edit: &Edit<'_>) -> Result<Edited, SpecError> {
    let path = path.as_ref();
    let file = path.display().to_string();
    let mut expected = HardwareFile::parse(old, path)?;
    let (index, factors) = find(&mut expected, &file, edit)?;
    let fit = |number: &mut super::Number, value| {
        (number.value, number.basis, number.source) = (rounded(value), Basis::Fitted, edit.source.to_owned());
    };
    fit(&mut factors.efficiency_factor, edit.efficiency_factor);
    fit(&mut factors.memory_bottleneck_factor, edit.memory_bottleneck_factor);
    factors.provenance = Some(edit.provenance.clone());

    let key = format!("thermal_profile[{index}].{}", edit.precision.name());
    let layout = || SpecError::Layout { file: file.clone(), key: key.clone() };
    let mut document: DocumentMut = old.parse().map_err(|_| layout())?;
    set_factors(&mut document, index, edit).ok_or_else(layout)?;
    // The printer ends every line, the last too, with a line feed, and leaves a byte order mark out.
    let mut new = document.to_string();
    if old.contains("\r\n") && !old.replace("\r\n", "").contains('\n') {
        new = new.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    const BYTE_ORDER_MARK: char = '\u{feff}';
    if old.starts_with(BYTE_ORDER_MARK) && !new.starts_with(BYTE_ORDER_MARK) {
        new.insert(0, BYTE_ORDER_MARK);
    }
    if HardwareFile::parse(&new, path)? != expected {
        return Err(layout());
    }
    let changes = changes(old, &new);
    // An edit that changes no value changes no byte either, whatever the printer makes of odd white space.
    let text = if changes.is_empty() { old.to_owned() } else { new };
    Ok(Edited { text, changes })
}

/// The difference of two texts in the unified format, with the file named at the top; empty where they are equal.
#[must_use]
pub fn diff(path: impl AsRef<Path>, old: &str, new: &str) -> String {
    let name = path.as_ref().display().to_string();
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(&name, &name).to_string()
}

/// The factors that an edit means, with the index of their thermal profile.
fn find<'f>(
    device: &'f mut HardwareFile,
    file: &str,
    edit: &Edit<'_>,
) -> Result<(usize, &'f mut FactorsEntry), SpecError> {
    let known: Vec<String> = device.thermal_profile.iter().map(|profile| profile.name.clone()).collect();
    let wanted = |name: &str| edit.thermal_profile.is_none_or(|wanted| wanted == name);
    let Some((index, profile)) =
        device.thermal_profile.iter_mut().enumerate().find(|(_, profile)| wanted(&profile.name))
    else {
        let wanted = edit.thermal_profile.unwrap_or_default().to_owned();
        return Err(SpecError::NoThermalProfile { file: file.to_owned(), wanted, known });
    };
    let known = profile.factors.keys().copied().collect();
    match profile.factors.get_mut(&edit.precision) {
        Some(factors) => Ok((index, factors)),
        None => Err(SpecError::NoPrecision {
            file: file.to_owned(),
            profile: profile.name.clone(),
            wanted: edit.precision,
            known,
        }),
    }
}

/// Edits the document; `None` where a table is not where a valid description has it.
fn set_factors(document: &mut DocumentMut, index: usize, edit: &Edit<'_>) -> Option<()> {
    let profile: &mut dyn TableLike = match document.get_mut("thermal_profile")? {
        Item::ArrayOfTables(profiles) => profiles.get_mut(index)?,
        Item::Value(Value::Array(profiles)) => profiles.get_mut(index)?.as_inline_table_mut()?,
        _ => return None,
    };
    let item = profile.get_mut(edit.precision.name())?;
    // A table of its own gets another one; a table in braces, or one that only dotted keys make, gets braces.
    let own_table = item.as_table().is_some_and(|table| !table.is_dotted());
    let factors = item.as_table_like_mut()?;
    for (key, value) in
        [("efficiency_factor", edit.efficiency_factor), ("memory_bottleneck_factor", edit.memory_bottleneck_factor)]
    {
        let number = factors.get_mut(key)?.as_table_like_mut()?;
        set(number, "value", &float(rounded(value)))?;
        set(number, "basis", &text(basis_name(Basis::Fitted)))?;
        set(number, "source", &text(edit.source))?;
    }
    if !factors.contains_key("provenance") {
        let empty = if own_table { Item::Table(Table::new()) } else { Value::from(InlineTable::new()).into() };
        factors.insert("provenance", empty);
    }
    let provenance = factors.get_mut("provenance")?.as_table_like_mut()?;
    let values = provenance_values(edit.provenance);
    let gone: Vec<String> = provenance
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| !values.iter().any(|(name, _)| name == key))
        .collect();
    for key in gone {
        provenance.remove(&key);
    }
    for (key, value) in values {
        set(provenance, key, &value)?;
    }
    Some(())
}

/// Sets a key to a value written as TOML; an equal value keeps its spelling, another one the comments around it.
fn set(table: &mut dyn TableLike, key: &str, written: &str) -> Option<()> {
    let mut new: Value = written.parse().ok()?;
    match table.get_mut(key) {
        Some(Item::Value(old)) if same(old, &new) => {}
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        Some(_) => return None,
        None => {
            table.insert(key, new.into());
        }
    }
    Some(())
}

/// Whether two scalars have one value, whatever their spelling.
fn same(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64));
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        _ => number(a).is_some() && number(a) == number(b),
    }
}

/// A factor with six significant digits: all that a fit in 32 bits has.
fn rounded(value: f64) -> f64 {
    crate::digits::significant(value, 6)
}

/// The keys whose values differ between two valid texts.
fn changes(old: &str, new: &str) -> Vec<Change> {
    let (mut before, after) = (leaves(old), leaves(new));
    let mut changes = Vec::new();
    for (key, (value, line)) in after {
        let old = before.remove(&key).map(|(value, _)| value);
        if old.as_ref() != Some(&value) {
            changes.push(Change { key, old, new: Some(value), line });
        }
    }
    changes.extend(before.into_iter().map(|(key, (old, line))| Change { key, old: Some(old), new: None, line }));
    changes.sort_by_key(|change| change.line);
    changes
}

/// Every scalar of a text: path of its key, value as written, line.
fn leaves(text: &str) -> BTreeMap<String, (String, usize)> {
    fn visit(text: &str, key: String, value: &Spanned<DeValue<'_>>, leaves: &mut BTreeMap<String, (String, usize)>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    visit(text, join(&key, name.get_ref()), value, leaves);
                }
            }
            DeValue::Array(array) => {
                for (i, value) in array.iter().enumerate() {
                    visit(text, format!("{key}[{i}]"), value, leaves);
                }
            }
            _ => {
                let written = text.get(value.span()).unwrap_or_default().to_owned();
                let line = text.bytes().take(value.span().start).filter(|&byte| byte == b'\n').count() + 1;
                leaves.insert(key, (written, line));
            }
        }
    }
    let mut leaves = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
        visit(text, String::new(), &root, &mut leaves);
    }
    leaves
}
