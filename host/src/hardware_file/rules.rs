//! Rules of a hardware description that tie one value to another: order, distinct names, and peaks that fit together.
//!
//! They look at a document that may be wrong in other ways, and say nothing about a part that is missing or of another type.

use toml::Spanned;
use toml::de::DeValue;

use super::check::{Findings, integer_of, number_of};
use super::keys::PRECISIONS;

type Value<'i> = Spanned<DeValue<'i>>;

/// Applies all rules to a document.
pub(super) fn apply(root: &DeValue<'_>, findings: &mut Findings<'_>) {
    for list in ["compute", "memory", "thermal_profile"] {
        distinct_names(root, list, findings);
    }
    growing_levels(root, findings);
    finite_peaks(root, findings);
    native_precisions(root, findings);
    provenance_precisions(root, findings);
}

/// The tables of a list.
fn entries<'r, 'i>(root: &'r DeValue<'i>, list: &str) -> impl Iterator<Item = &'r Value<'i>> {
    root.get(list).and_then(|value| value.get_ref().as_array()).into_iter().flatten()
}

/// The value of a number `{ value, … }`.
fn value_of<'r, 'i>(entry: &'r Value<'i>, key: &str) -> Option<&'r Value<'i>> {
    entry.get_ref().get(key)?.get_ref().get("value")
}

fn distinct_names(root: &DeValue<'_>, list: &str, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for (i, entry) in entries(root, list).enumerate() {
        let value = entry.get_ref().get("name");
        let name = value.and_then(|value| value.get_ref().as_str()).unwrap_or_default();
        if let Some(first) = seen.iter().position(|&other| other == name && !name.is_empty())
            && let Some(value) = value
        {
            findings.value(&format!("{list}[{i}].name"), value, format!("another name than that of {list}[{first}]"));
        }
        seen.push(name);
    }
}

/// From the smallest level to the largest; and what few cores share lies nearer to them than what many share.
fn growing_levels(root: &DeValue<'_>, findings: &mut Findings<'_>) {
    let (mut capacity_below, mut shared_below) = (None, None);
    for (i, level) in entries(root, "memory").enumerate() {
        if let Some(value) = value_of(level, "capacity_bytes")
            && let Some(capacity) = integer_of(value.get_ref())
        {
            if let Some(below) = capacity_below
                && capacity <= below
            {
                let key = format!("memory[{i}].capacity_bytes.value");
                let allowed =
                    format!("more than {below}, the level before: levels go from the smallest to the largest");
                findings.value(&key, value, allowed);
            }
            capacity_below = Some(capacity);
        }
        // A level without the key is shared by all cores; so are those after it, and how many that is needs no check.
        if let Some(value) = value_of(level, "shared_by")
            && let Some(shared) = integer_of(value.get_ref())
        {
            if let Some(below) = shared_below
                && shared < below
            {
                let key = format!("memory[{i}].shared_by.value");
                findings.value(&key, value, format!("at least {below}, as of the smaller level before"));
            }
            shared_below = Some(shared);
        }
    }
}

/// The peak of each unit is a number of 32 bits, as the core holds it.
fn finite_peaks(root: &DeValue<'_>, findings: &mut Findings<'_>) {
    for (i, unit) in entries(root, "compute").enumerate() {
        let number = |key| value_of(unit, key).and_then(|value| number_of(value.get_ref()));
        let (Some(count), Some(clock)) = (number("count"), number("clock_hz")) else { continue };
        for precision in PRECISIONS {
            let Some(value) = unit.get_ref().get("macs_per_cycle").and_then(|rates| value_of(rates, precision)) else {
                continue;
            };
            let macs = number_of(value.get_ref()).filter(|macs| *macs > 0.0 && (*macs as f32).is_finite());
            let Some(peak) = macs.map(|macs| count * clock * 2.0 * macs) else { continue };
            if (clock as f32).is_finite() && count > 0.0 && clock > 0.0 && !(peak as f32).is_finite() {
                let key = format!("compute[{i}].macs_per_cycle.{precision}.value");
                let allowed = "smaller: count · clock_hz · 2 · macs_per_cycle, the peak in FLOP/s, is above 3.4e38";
                findings.value(&key, value, allowed);
            }
        }
    }
}

/// A precision with instructions of its own has a rate.
fn native_precisions(root: &DeValue<'_>, findings: &mut Findings<'_>) {
    for (i, profile) in entries(root, "thermal_profile").enumerate() {
        for precision in PRECISIONS {
            let flag = profile.get_ref().get(precision).and_then(|table| table.get_ref().get("native_acceleration"));
            let Some(flag) = flag.filter(|flag| flag.get_ref().as_bool() == Some(true)) else { continue };
            let has_rate = |unit: &Value<'_>| {
                unit.get_ref().get("macs_per_cycle").is_some_and(|rates| rates.get_ref().get(precision).is_some())
            };
            if !entries(root, "compute").any(has_rate) {
                let key = format!("thermal_profile[{i}].{precision}.native_acceleration");
                findings.value(&key, flag, format!("false, or a compute unit must have macs_per_cycle.{precision}"));
            }
        }
    }
}

/// Factors of a precision come from measurements in it.
fn provenance_precisions(root: &DeValue<'_>, findings: &mut Findings<'_>) {
    for (i, profile) in entries(root, "thermal_profile").enumerate() {
        for precision in PRECISIONS {
            let table = profile.get_ref().get(precision).and_then(|table| table.get_ref().get("provenance"));
            let Some(value) = table.and_then(|table| table.get_ref().get("precision")) else { continue };
            if value.get_ref().as_str().is_some_and(|found| found != precision && PRECISIONS.contains(&found)) {
                let key = format!("thermal_profile[{i}].{precision}.provenance.precision");
                findings.value(&key, value, format!("\"{precision}\", as of the table around it"));
            }
        }
    }
}
