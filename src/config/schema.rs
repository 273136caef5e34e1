//! The JSON Schema of a settings file, made from the table of keys, for editors that check TOML by schema.

use serde_json::{Map, Value, json};

use super::key::{Absent, Key, Kind, SECTIONS, Section, Shape};
use super::value::expected;

/// The JSON Schema of the settings file.
///
/// It knows names, types, words and number ranges; contradictions between keys and the bounds of durations are the
/// loader's.
pub fn schema() -> Value {
    let mut root = SECTIONS.iter().find(|section| section.path.is_empty()).map_or(json!({}), |root| table(root));
    for section in SECTIONS.iter().filter(|section| !section.path.is_empty()) {
        let schema = match section.shape {
            Shape::Table => table(section),
            Shape::Rows => json!({ "type": "array", "description": section.doc, "items": table(section) }),
        };
        let pointer = format!("/properties/{}", section.path.replace('.', "/properties/"));
        // Sections stand below their parents in the table, so the parent is there.
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(properties)) = root.pointer_mut(parent) {
            properties.insert(name.to_owned(), schema);
        }
    }
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("title".to_owned(), "order-sync settings".into());
        root.remove("description");
    }
    root
}

fn table(section: &Section) -> Value {
    let properties: Map<String, Value> = section.keys.iter().map(|key| (key.name.to_owned(), one(key))).collect();
    let required: Vec<&str> =
        section.keys.iter().filter(|key| matches!(key.absent, Absent::Fault(_))).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn one(key: &Key) -> Value {
    let mut schema = match key.kind {
        Kind::Text | Kind::Secret => json!({ "type": "string", "minLength": 1 }),
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Words(words) => json!({ "type": "array", "items": { "enum": words } }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::CommaTexts => json!({ "type": ["string", "array"], "items": { "type": "string", "minLength": 1 } }),
        Kind::Number(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Bytes(min, max) => json!({
            "type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": "^[0-9]+ *(KiB|MiB|GiB)?$",
        }),
        Kind::Code => json!({ "type": "integer" }),
        Kind::Span(..) => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$" }),
        Kind::SpanOrNever(..) => json!({ "type": "string", "pattern": "^([0-9]+ *(ms|s|m|h|d)|never)$" }),
        Kind::Start => json!({ "type": ["string", "integer"] }),
        Kind::Properties => json!({ "type": "object" }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), format!("{} Takes {}.", key.doc, expected(key.kind)).into());
        let plain = key.absent.text().parse::<toml_edit::Value>().ok().as_ref().and_then(json_of);
        if let (Absent::Default(_), Some(plain)) = (key.absent, plain) {
            schema.insert("default".to_owned(), plain);
        }
    }
    schema
}

fn json_of(value: &toml_edit::Value) -> Option<Value> {
    match value {
        toml_edit::Value::String(text) => Some(text.value().as_str().into()),
        toml_edit::Value::Integer(number) => Some((*number.value()).into()),
        toml_edit::Value::Boolean(switch) => Some((*switch.value()).into()),
        toml_edit::Value::Array(items) => items.iter().map(json_of).collect::<Option<Vec<_>>>().map(Value::Array),
        toml_edit::Value::Float(_) | toml_edit::Value::Datetime(_) | toml_edit::Value::InlineTable(_) => None,
    }
}
