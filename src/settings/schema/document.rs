//! The JSON schema of settings (`docs/schema/settings.json`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Key, Scope, Type, Who, schema};
use crate::protocol::secret::is_secret;

/// The JSON schema of an object of settings. Other keys are allowed; `x-` fields say what JSON schema has no word for.
pub fn json_schema() -> Value {
    let table = schema();
    let objects: Map<String, Value> =
        table.objects.iter().map(|(name, fields)| (name.clone(), object(fields))).collect();
    let properties: Map<String, Value> =
        table.keys().map(|(name, key)| (name.to_owned(), property(name, key))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of lapce-ai",
        "type": "object",
        "properties": properties,
        "$defs": objects,
    })
}

fn object(fields: &BTreeMap<String, Key>) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, key)| (name.clone(), described(name, key))).collect();
    json!({"type": "object", "properties": properties})
}

/// A setting, with where it belongs.
fn property(name: &str, key: &Key) -> Value {
    let mut property = described(name, key);
    let scope = match key.scope {
        Scope::User => "user",
        Scope::Workspace => "workspace",
        Scope::Host => "host",
        Scope::Profile => "profile",
    };
    let who = match key.who {
        Who::Engine => "engine",
        Who::Host => "host",
        Who::Both => "both",
    };
    property["x-scope"] = scope.into();
    property["x-who"] = who.into();
    if key.project {
        property["x-project"] = true.into();
    }
    if let Some(providers) = &key.providers {
        property["x-providers"] = json!(providers);
    }
    property
}

fn described(name: &str, key: &Key) -> Value {
    let mut property = kind(&key.kind, key.nullable);
    property["description"] = key.doc.as_str().into();
    let number = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
    if let Some(min) = key.min {
        property["minimum"] = number(min);
    }
    if let Some(max) = key.max {
        property["maximum"] = number(max);
    }
    if let Some(usual) = key.usual {
        property["x-usual"] = json!(usual.map(number));
    }
    if let Some(default) = &key.default {
        property["default"] = default.clone();
    }
    if is_secret(name) {
        property["x-secret"] = true.into();
    }
    property
}

fn kind(of: &Type, nullable: bool) -> Value {
    let named = |name: &str| if nullable { json!({"type": [name, "null"]}) } else { json!({"type": name}) };
    match of {
        Type::Bool => named("boolean"),
        Type::Number => named("number"),
        Type::Integer => named("integer"),
        Type::Text => named("string"),
        Type::Choice(values) => json!({"enum": values}),
        Type::List(items) => json!({"type": "array", "items": kind(items, false)}),
        Type::Map(items) => json!({"type": "object", "additionalProperties": kind(items, false)}),
        Type::Object(name) if nullable => json!({"anyOf": [{"$ref": format!("#/$defs/{name}")}, {"type": "null"}]}),
        Type::Object(name) => json!({"$ref": format!("#/$defs/{name}")}),
        Type::Hooks => json!({"type": ["array", "object"]}),
        Type::Any => json!({}),
    }
}
