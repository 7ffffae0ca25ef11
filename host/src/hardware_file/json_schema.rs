//! A JSON Schema of hardware descriptions, for editors: completion, the meaning of each key, errors while typing.
//!
//! Made from the tables of `keys.rs`, as the check is. Leaves out the rules that tie one value to another.

use serde_json::{Map, Value, json};

use super::keys::{FACTOR_MAX, Fields, Key, Node, PRECISIONS, ROOT, Range, Text, number};

/// The JSON Schema (draft 2020-12) of the format, with a line break at the end.
#[must_use]
pub fn json_schema() -> String {
    let mut definitions = Map::new();
    let Value::Object(root) = table(ROOT.keys, ROOT.by_precision, &mut definitions) else { return String::new() };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("derate hardware description"));
    schema.extend(root);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    let mut schema = Value::Object(schema);
    // The same text whether or not another crate makes objects keep their order.
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

fn table(keys: &[Key], by_precision: Option<Node>, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut property = node(key.node, definitions);
        if let Value::Object(property) = &mut property {
            property.insert("description".to_owned(), json!(key.doc));
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "required": required });
    if let Some(held) = by_precision {
        let held = node(held, definitions);
        properties.extend(PRECISIONS.map(|precision| (precision.to_owned(), held.clone())));
        schema["anyOf"] = PRECISIONS.iter().map(|precision| json!({ "required": [precision] })).collect();
    }
    schema["properties"] = Value::Object(properties);
    schema
}

fn fields(fields: &Fields, definitions: &mut Map<String, Value>) -> Value {
    table(fields.keys, fields.by_precision, definitions)
}

fn node(node: Node, definitions: &mut Map<String, Value>) -> Value {
    match node {
        Node::Schema => json!({ "const": super::SCHEMA }),
        Node::Text(Text::Any) => json!({ "type": "string" }),
        Node::Text(Text::NotEmpty) => json!({ "type": "string", "pattern": r"\S" }),
        Node::Text(Text::Identity) => json!({ "type": "string", "pattern": "^[a-z0-9._-]+$" }),
        Node::Text(Text::Sha256) => json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" }),
        Node::OneOf(names) => json!({ "enum": names }),
        Node::Flag => json!({ "type": "boolean" }),
        Node::Plain(range) => plain(range),
        Node::Number(range) => {
            let name = match range {
                Range::Positive => "positive_number".to_owned(),
                Range::NotNegative => "number_not_negative".to_owned(),
                Range::Factor => "factor".to_owned(),
                Range::Integer(max) => format!("integer_to_{max}"),
            };
            if !definitions.contains_key(&name) {
                let definition = table(&number(range), None, definitions);
                definitions.insert(name.clone(), definition);
            }
            json!({ "$ref": format!("#/$defs/{name}") })
        }
        Node::Table(held) => fields(held, definitions),
        Node::List(held) => json!({ "type": "array", "minItems": 1, "items": fields(held, definitions) }),
    }
}

fn plain(range: Range) -> Value {
    match range {
        Range::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Range::NotNegative => json!({ "type": "number", "minimum": 0 }),
        Range::Factor => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": FACTOR_MAX }),
        Range::Integer(max) => json!({ "type": "integer", "minimum": 1, "maximum": max }),
    }
}
