//! Texts in which `{task-id}` and `{mode}` stand for those of the request.

use serde_json::{Map, Value, json};

use crate::providers::RequestMetadata;

/// The text filled in; `None` if the request does not have what it names.
pub fn text(template: &str, metadata: Option<&RequestMetadata>) -> Option<String> {
    let task = metadata.map(|metadata| metadata.task_id.as_str());
    let mode = metadata.and_then(|metadata| metadata.mode.as_deref());
    let mut filled = template.to_owned();
    for (mark, value) in [("{task-id}", task), ("{mode}", mode)] {
        if template.contains(mark) {
            filled = filled.replace(mark, value.filter(|value| !value.is_empty())?);
        }
    }
    Some(filled)
}

/// The object filled in; what the request does not have is left out.
pub fn object(template: &toml::Table, metadata: Option<&RequestMetadata>) -> Map<String, Value> {
    template.iter().filter_map(|(key, value)| Some((key.clone(), filled(value, metadata)?))).collect()
}

fn filled(template: &toml::Value, metadata: Option<&RequestMetadata>) -> Option<Value> {
    match template {
        toml::Value::String(template) => text(template, metadata).map(Value::from),
        toml::Value::Table(template) => Some(Value::Object(object(template, metadata))),
        toml::Value::Array(items) => Some(items.iter().filter_map(|item| filled(item, metadata)).collect()),
        other => Some(json!(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_lacks_is_left_out() {
        let template = toml::from_str("a = '{task-id}'\nb = { c = 'm:{mode}', d = [1, '{mode}'] }\ne = 'plain'\n");
        let template: toml::Table = template.expect("TOML");
        let with = |task: &str, mode: Option<&str>| RequestMetadata {
            task_id: task.into(),
            mode: mode.map(str::to_owned),
            ..RequestMetadata::default()
        };
        for (metadata, expected) in [
            (None, json!({"b": {"d": [1]}, "e": "plain"})),
            (Some(with("", None)), json!({"b": {"d": [1]}, "e": "plain"})),
            (Some(with("{mode}", None)), json!({"a": "{mode}", "b": {"d": [1]}, "e": "plain"})),
            (Some(with("t", Some("x"))), json!({"a": "t", "b": {"c": "m:x", "d": [1, "x"]}, "e": "plain"})),
        ] {
            assert_eq!(Value::Object(object(&template, metadata.as_ref())), expected);
        }
    }
}
