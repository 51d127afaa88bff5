//! Reading what a list says, whatever types it comes in. What is missing or odd counts as absent.

use std::collections::HashMap;

use serde::de::Error;
use serde_json::{Map, Value};

use super::super::lists::ModelList;
use crate::protocol::model::ModelInfo;
use crate::providers::cost::parse_float;
use crate::providers::models::dynamic;

/// The members of the array `data` of an answer.
///
/// # Errors
/// No JSON, or no such array.
pub fn data(bytes: &[u8]) -> Result<Vec<Value>, serde_json::Error> {
    let mut answer: Value = serde_json::from_slice(bytes)?;
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(entries)) => Ok(entries),
        _ => Err(serde_json::Error::custom("`data` is not an array")),
    }
}

/// A text that is not empty.
pub fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// A count that is not 0.
pub fn count(value: &Value) -> Option<i64> {
    value.as_f64().map(|n| n as i64).filter(|n| *n != 0)
}

/// A size in tokens; 0 when there is none.
pub fn size(value: &Value) -> u64 {
    value.as_f64().map_or(0, |n| n as u64)
}

/// A number that is not 0, written as one or as text.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => parse_float(text),
        other => other.as_f64()?,
    };
    (number.is_finite() && number != 0.0).then_some(number)
}

/// Whether the value is exactly true.
pub fn is(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// Whether the array holds this text.
pub fn has(array: &Value, text: &str) -> bool {
    array.as_array().is_some_and(|items| items.iter().any(|item| item == text))
}

/// A fifth of the context window, rounded up.
pub fn output_share(context_window: u64) -> i64 {
    (context_window as f64 * super::OUTPUT_SHARE).ceil() as i64
}

/// Sets the flag among a model's other facts.
pub fn computer_use(info: &mut ModelInfo, supported: bool) {
    info.other.insert("supportsComputerUse".into(), Value::Bool(supported));
}

/// Whether `id` is in this built-in set of a provider (`models.json`).
pub fn in_set(provider: &str, set: &str, id: &str) -> bool {
    set_of(provider, set).any(|member| member == id)
}

/// The members of a built-in set of a provider (`models.json`).
pub fn set_of(provider: &str, set: &str) -> impl Iterator<Item = &'static str> {
    let members = dynamic(provider).and_then(|table| table.other.get(set)).and_then(Value::as_array);
    members.into_iter().flatten().filter_map(Value::as_str)
}

/// A list in which each id stands once: where it first stood, with what was said last.
pub fn unique(models: impl IntoIterator<Item = (String, ModelInfo)>) -> ModelList {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut list = ModelList::new();
    for (id, info) in models {
        match places.get(&id).and_then(|place| list.get_mut(*place)) {
            Some(known) => known.1 = info,
            None => {
                places.insert(id.clone(), list.len());
                list.push((id, info));
            }
        }
    }
    list
}

/// `description` of an entry, as one of the model's other facts.
pub fn description(entry: &Value) -> Map<String, Value> {
    let description = text(&entry["description"]);
    description.map(|words| ("description".to_owned(), Value::from(words))).into_iter().collect()
}
