//! Mistral format (spec 07 §6.6).

use serde_json::Value;

use super::to_openai;
use crate::protocol::message::ApiMessage;

/// The conversation as in [`to_openai`], without tool calls and their results.
pub fn to_mistral(messages: &[ApiMessage]) -> Vec<Value> {
    let mut converted = to_openai(messages, "");
    converted.retain(|message| message["role"] != "tool");
    for message in converted.iter_mut().filter_map(Value::as_object_mut) {
        message.shift_remove("tool_calls");
    }
    converted
}
