//! JSON schemas of requests and events, generated from the records (`docs/schema/`).

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::event::EventKind;
use super::request::RequestKind;

/// Schema of every request.
pub fn requests() -> Value {
    let mut schemas = generator();
    let all = RequestKind::ALL.iter().map(|kind| tagged(kind.as_str(), kind.schema(&mut schemas), &[])).collect();
    document("Requests of lapce-ai", all, schemas)
}

/// Schema of every event.
pub fn events() -> Value {
    let mut schemas = generator();
    let one = |kind: &EventKind| {
        let ids: Vec<&str> = ["session"].into_iter().chain(kind.subject()).collect();
        tagged(kind.as_str(), kind.schema(&mut schemas), &ids)
    };
    let all = EventKind::ALL.iter().map(one).collect();
    document("Events of lapce-ai", all, schemas)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// Puts `type` and the ids of the slot in front of the body's properties.
fn tagged(name: &str, body: Schema, ids: &[&str]) -> Value {
    let mut body = match body.to_value() {
        Value::Object(body) => body,
        _ => Map::new(),
    };
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": name }));
    for id in ids {
        properties.insert((*id).to_owned(), json!({ "type": "integer", "minimum": 0 }));
    }
    if let Some(Value::Object(own)) = body.shift_remove("properties") {
        for (key, value) in own {
            properties.entry(key).or_insert(value);
        }
    }
    let mut required = vec![Value::from("type")];
    if let Some(Value::Array(own)) = body.shift_remove("required") {
        required.extend(own);
    }
    body.insert("title".to_owned(), name.into());
    body.insert("properties".to_owned(), Value::Object(properties));
    body.insert("required".to_owned(), Value::Array(required));
    Value::Object(body)
}

fn document(title: &str, all: Vec<Value>, mut schemas: SchemaGenerator) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "oneOf": all,
        "$defs": schemas.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    /// The published files are those of this code; `LAPCE_AI_BLESS=1` writes them.
    #[test]
    fn published_schemas_are_current() {
        for (name, schema) in [("requests", super::requests()), ("events", super::events())] {
            let path = format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("LAPCE_AI_BLESS").is_some() {
                std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let published = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(published == text, "{path} is not current: run the tests once with LAPCE_AI_BLESS=1");
        }
    }
}
