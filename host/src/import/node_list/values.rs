//! Values of a list of nodes, and what is wrong with them.

use derate_core::shape::{DataType, MAX_RANK};
use serde_json::{Map, Value};

pub(super) use crate::import::json::shown;

/// A text that must be there.
pub(super) fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    let value = map.get(key).ok_or_else(|| format!("\"{key}\" is missing"))?;
    value.as_str().ok_or_else(|| format!("\"{key}\": {} is no text", shown(value)))
}

/// An array that must be there.
pub(super) fn list<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match map.get(key) {
        Some(Value::Array(items)) => Ok(items),
        Some(other) => Err(format!("\"{key}\": {} is no array", shown(other))),
        None => Err(format!("\"{key}\" is missing")),
    }
}

/// A flag that is false where it is left out.
pub(super) fn flag(map: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match map.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(format!("\"{key}\": {} is neither true nor false", shown(other))),
    }
}

/// A number from `least`, of a type.
pub(super) fn number<T: TryFrom<u64>>(value: &Value, least: u64) -> Result<T, String> {
    let number = value.as_u64().filter(|&number| number >= least).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("{} is no number of at least {least}, or too large", shown(value)))
}

/// Extents of a shape.
pub(super) fn extents(value: &Value) -> Result<Vec<u32>, String> {
    match value {
        Value::Array(items) if items.len() <= MAX_RANK => items.iter().map(|item| number(item, 1)).collect(),
        Value::Array(items) => Err(format!("{} axes; at most {MAX_RANK} are possible", items.len())),
        other => Err(format!("{} is no shape", shown(other))),
    }
}

/// The key `dtype`, by PyTorch's names; float32 where it is left out.
pub(super) fn data_type(map: &Map<String, Value>) -> Result<DataType, String> {
    if !map.contains_key("dtype") {
        return Ok(DataType::Fp32);
    }
    let name = text(map, "dtype")?;
    Ok(match name.trim_start_matches("torch.") {
        "float64" | "double" => DataType::Fp64,
        "float32" | "float" => DataType::Fp32,
        "bfloat16" => DataType::Bf16,
        "float16" | "half" => DataType::Fp16,
        "int8" | "uint8" | "qint8" | "quint8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" | "qint32" => DataType::Int32,
        "int64" => DataType::Int64,
        "bool" => DataType::Bool,
        _ => {
            let shown: String = name.chars().take(60).collect();
            return Err(format!(
                "\"dtype\": \"{shown}\" is unknown; known are float64 to float16, bfloat16, int8 to int64, bool"
            ));
        }
    })
}
