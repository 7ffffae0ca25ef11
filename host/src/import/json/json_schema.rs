//! A JSON Schema of graph files, for editors; made from the table of `keys.rs`, as the reader is.

use derate_core::shape::DataType;
use serde_json::{Map, Value, json};

use super::keys::{FAMILIES, Family, Kind};
use super::{FORMAT, TENSOR_KINDS, VERSION};

/// The JSON Schema (draft 2020-12) of the format, with a line break at the end.
#[must_use]
pub fn json_schema() -> String {
    let ops: Vec<Value> = FAMILIES.iter().map(op).collect();
    let name = json!({ "type": "string", "minLength": 1 });
    let described = |description: &str, mut value: Value| {
        value["description"] = json!(description);
        value
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "derate graph",
        "type": "object",
        "additionalProperties": false,
        "required": ["format", "version", "tensors", "ops"],
        "properties": {
            "$schema": { "type": "string" },
            "format": { "const": FORMAT },
            "version": { "const": VERSION },
            "name": described("name of the graph; that of the file", json!({ "type": "string" })),
            "tensors": {
                "type": "array",
                "description": "tensors that no op computes, in order",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "kind", "shape", "data_type"],
                    "properties": {
                        "name": name,
                        "kind": described(
                            "given at each run; learned; stored but not learned",
                            json!({ "enum": TENSOR_KINDS.map(|(name, _)| name) }),
                        ),
                        "shape": { "$ref": "#/$defs/shape" },
                        "data_type": { "$ref": "#/$defs/data_type" },
                        "after": described("op after which the tensor is defined; before all ops", name.clone()),
                    },
                },
            },
            "ops": {
                "type": "array",
                "minItems": 1,
                "description": "ops in the order of execution",
                "items": { "anyOf": ops },
            },
        },
        "$defs": {
            "extent": {
                "description": "a number, or a product of numbers and names of dimensions: \"batch\", \"49*batch\"",
                "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": u32::MAX },
                    { "type": "string", "pattern": "^[A-Za-z0-9_]+( *\\* *[A-Za-z0-9_]+)*$" },
                ],
            },
            "shape": { "type": "array", "maxItems": 8, "items": { "$ref": "#/$defs/extent" } },
            "data_type": { "enum": DataType::ALL.map(DataType::name) },
        },
    });
    // The same text whether or not another crate makes objects keep their order.
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

/// Ops of one family.
fn op(family: &Family) -> Value {
    let name = json!({ "type": "string", "minLength": 1 });
    let mut properties = Map::new();
    let mut put = |key: &str, mut value: Value, description: &str| {
        value["description"] = json!(description);
        properties.insert(key.to_owned(), value);
    };
    put("name", name.clone(), "name of the op, and of its first result; further ones are name:1, name:2");
    put("op", json!({ "enum": family.ops }), "what it computes");
    put("operands", json!({ "type": "array", "items": name.clone() }), "names of the tensors that it reads");
    put("shares", name, "earlier op whose weights it shares");
    for key in family.keys {
        put(key.name, value(key.kind), key.doc);
    }
    let attributes = family.keys.iter().filter(|key| key.required).map(|key| key.name);
    let required: Vec<&str> = ["name", "op", "operands"].into_iter().chain(attributes).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

/// What an attribute may hold.
fn value(kind: Kind) -> Value {
    let number = |least: u32, most: u32| json!({ "type": "integer", "minimum": least, "maximum": most });
    let list = |items: Value, most: u32| json!({ "type": "array", "maxItems": most, "items": items });
    match kind {
        Kind::Extent => json!({ "$ref": "#/$defs/extent" }),
        Kind::Axis => number(0, 255),
        Kind::Small => number(1, 65_535),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Type => json!({ "$ref": "#/$defs/data_type" }),
        Kind::Shape => json!({ "$ref": "#/$defs/shape" }),
        Kind::Windows => list(number(0, 65_535), 3),
        Kind::Padding => {
            let sides = json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": number(0, 65_535) });
            list(json!({ "anyOf": [number(0, 65_535), sides] }), 3)
        }
        Kind::Axes => list(number(0, 7), 8),
    }
}
