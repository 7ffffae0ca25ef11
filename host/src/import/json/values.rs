//! Values of a graph file: extents with named dimensions, flags, data types, padding; each wrong one said with what is allowed.

use std::collections::BTreeSet;

use derate_core::op::{Window, Windows};
use derate_core::shape::{DataType, MAX_RANK, Shape};
use serde_json::{Map, Value};

use super::super::Options;
use crate::closest::hint;

/// Values of a JSON object, and what the names of dimensions stand for.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) map: &'a Map<String, Value>,
    pub(super) options: &'a Options,
}

/// A value as it stands in the file, cut where it is long.
pub(in crate::import) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

/// What a name stands for: `batch` for [`Options::batch`], others for [`Options::dims`].
fn bound(name: &str, options: &Options) -> Option<u32> {
    let batch = options.batch.filter(|_| name == "batch");
    batch.or_else(|| options.dims.get(name).copied())
}

/// Factors of an extent that is text: `batch`, `49*batch`.
fn factors(text: &str) -> impl Iterator<Item = &str> {
    text.split('*').map(str::trim)
}

/// Names of dimensions in an extent that nothing binds.
pub(super) fn open_names(value: &Value, options: &Options, open: &mut BTreeSet<String>) {
    let texts: &[Value] = match value {
        Value::Array(items) => items,
        single => std::slice::from_ref(single),
    };
    for text in texts.iter().filter_map(Value::as_str) {
        for factor in factors(text).filter(|factor| is_name(factor)) {
            if bound(factor, options).is_none() {
                open.insert(factor.to_owned());
            }
        }
    }
}

fn is_name(factor: &str) -> bool {
    factor.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && factor.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// An extent: a number, or a product of numbers and names.
fn extent(value: &Value, options: &Options) -> Result<u32, String> {
    let wrong = || {
        let allowed =
            format!("a number from 1 to {}, or a product of numbers and names such as \"49*batch\"", u32::MAX);
        format!("{} is no extent; allowed is {allowed}", shown(value))
    };
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.len() <= 256 => factors(text).try_fold(1_u64, |product, factor| {
            let factor = if is_name(factor) { bound(factor, options).map(u64::from) } else { factor.parse().ok() };
            product.checked_mul(factor?)
        }),
        _ => None,
    };
    number.and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0).ok_or_else(wrong)
}

impl<'a> Fields<'a> {
    /// The value of a key.
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    fn required(&self, key: &str) -> Result<&'a Value, String> {
        self.value(key).ok_or_else(|| format!("\"{key}\" is missing"))
    }

    fn read<T>(&self, key: &str, read: impl FnOnce(&'a Value) -> Result<T, String>) -> Result<T, String> {
        read(self.required(key)?).map_err(|message| format!("\"{key}\": {message}"))
    }

    /// Refuses keys that are not among these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let shown: String = key.chars().take(60).collect();
                Err(format!("unknown key \"{shown}\"{}", hint(key, known.iter().copied())))
            }
            None => Ok(()),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str, String> {
        self.read(key, |value| value.as_str().ok_or_else(|| format!("{} is no text", shown(value))))
    }

    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], String> {
        self.read(key, |value| match value {
            Value::Array(items) => Ok(items.as_slice()),
            other => Err(format!("{} is no array", shown(other))),
        })
    }

    /// A count of at least 1.
    pub(super) fn extent(&self, key: &str) -> Result<u32, String> {
        self.read(key, |value| extent(value, self.options))
    }

    pub(super) fn extent_or(&self, key: &str, default: u32) -> Result<u32, String> {
        if self.value(key).is_some() { self.extent(key) } else { Ok(default) }
    }

    /// A number from 0 to 255.
    pub(super) fn axis(&self, key: &str) -> Result<u8, String> {
        self.read(key, |value| {
            let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
            number.ok_or_else(|| format!("{} is no axis; allowed is a number from 0 to 7", shown(value)))
        })
    }

    pub(super) fn axis_or(&self, key: &str, default: u8) -> Result<u8, String> {
        if self.value(key).is_some() { self.axis(key) } else { Ok(default) }
    }

    /// A number from 1 to 65535.
    pub(super) fn small(&self, key: &str) -> Result<u16, String> {
        self.read(key, |value| small(value).and_then(|n| if n > 0 { Ok(n) } else { Err(range(value, 1)) }))
    }

    pub(super) fn small_or(&self, key: &str, default: u16) -> Result<u16, String> {
        if self.value(key).is_some() { self.small(key) } else { Ok(default) }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        self.read(key, |value| value.as_bool().ok_or_else(|| format!("{} is neither true nor false", shown(value))))
    }

    /// A flag that is false where it is left out.
    pub(super) fn flag_or_false(&self, key: &str) -> Result<bool, String> {
        if self.value(key).is_some() { self.flag(key) } else { Ok(false) }
    }

    pub(super) fn data_type(&self, key: &str) -> Result<DataType, String> {
        self.read(key, |value| {
            let names = || DataType::ALL.map(DataType::name);
            let found = value.as_str().and_then(|name| DataType::ALL.into_iter().find(|known| known.name() == name));
            found.ok_or_else(|| format!("{} is no data type; allowed are {}", shown(value), names().join(", ")))
        })
    }

    pub(super) fn data_type_or_none(&self, key: &str) -> Result<Option<DataType>, String> {
        self.value(key).map(|_| self.data_type(key)).transpose()
    }

    /// Extents of a shape, at most eight.
    pub(super) fn shape(&self, key: &str) -> Result<Shape, String> {
        let items = self.list(key)?;
        if items.len() > MAX_RANK {
            return Err(format!("\"{key}\": {} axes; at most {MAX_RANK} are possible", items.len()));
        }
        let extents = items.iter().map(|item| extent(item, self.options)).collect::<Result<Vec<_>, _>>();
        let extents = extents.map_err(|message| format!("\"{key}\": {message}"))?;
        Shape::new(&extents).map_err(|error| format!("\"{key}\": {error}"))
    }

    /// Axes, at most eight of them.
    pub(super) fn axes(&self, key: &str) -> Result<Vec<u8>, String> {
        let items = self.list(key)?;
        if items.len() > MAX_RANK {
            return Err(format!("\"{key}\": {} axes; at most {MAX_RANK} are possible", items.len()));
        }
        let axis = |item: &Value| {
            let number = item.as_u64().and_then(|number| u8::try_from(number).ok()).filter(|&axis| axis < 8);
            number.ok_or_else(|| format!("\"{key}\": {} is no axis; allowed is a number from 0 to 7", shown(item)))
        };
        items.iter().map(axis).collect()
    }

    /// A number for each axis of a window.
    pub(super) fn windows_of(&self, key: &str) -> Result<Vec<u16>, String> {
        let items = self.list(key)?;
        if items.is_empty() || items.len() > Windows::MAX {
            return Err(format!("\"{key}\": {} axes; 1 to {} are possible", items.len(), Windows::MAX));
        }
        items.iter().map(|item| small(item).map_err(|message| format!("\"{key}\": {message}"))).collect()
    }

    /// A number for each of so many axes, the same for all where it is left out.
    pub(super) fn each_or(&self, key: &str, count: usize, default: u16) -> Result<Vec<u16>, String> {
        let Some(_) = self.value(key) else { return Ok(vec![default; count]) };
        let items = self.windows_of(key)?;
        if items.len() == count {
            Ok(items)
        } else {
            Err(format!("\"{key}\": {} axes; \"kernel\" has {count}", items.len()))
        }
    }

    /// Padding of each of so many axes, 0 where it is left out.
    fn padding(&self, key: &str, count: usize) -> Result<Vec<[u16; 2]>, String> {
        let Some(_) = self.value(key) else { return Ok(vec![[0; 2]; count]) };
        let items = self.list(key)?;
        if items.len() != count {
            return Err(format!("\"{key}\": {} axes; \"kernel\" has {count}", items.len()));
        }
        let sides = |item: &Value| match item {
            Value::Array(sides) => match sides.as_slice() {
                [before, after] => Ok([small(before)?, small(after)?]),
                _ => Err(format!("{} sides; allowed is a number or [before, after]", sides.len())),
            },
            single => small(single).map(|side| [side; 2]),
        };
        items.iter().map(|item| sides(item).map_err(|message| format!("\"{key}\": {message}"))).collect()
    }

    /// The windows of an op: `kernel`, `stride`, `padding`, `dilation`.
    pub(super) fn windows(&self) -> Result<Windows, String> {
        let kernel = self.windows_of("kernel")?;
        let count = kernel.len();
        let (stride, dilation) = (self.each_or("stride", count, 1)?, self.each_or("dilation", count, 1)?);
        let padding = self.padding("padding", count)?;
        let axes = kernel.into_iter().zip(stride).zip(padding).zip(dilation);
        let axes = axes.map(|(((kernel, stride), padding), dilation)| Window { kernel, stride, padding, dilation });
        Windows::new(&axes.collect::<Vec<_>>()).map_err(|error| error.to_string())
    }
}

fn range(value: &Value, least: u16) -> String {
    format!("{}; allowed is a number from {least} to 65535", shown(value))
}

fn small(value: &Value) -> Result<u16, String> {
    value.as_u64().and_then(|number| u16::try_from(number).ok()).ok_or_else(|| range(value, 0))
}
