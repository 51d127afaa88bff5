//! Pieces of request bodies.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::protocol::message::ApiMessage;
use crate::providers::convert::{to_openai, to_r1, to_simple};

/// How the conversation is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum MessageFormat {
    /// A system message, then §6.1.
    #[default]
    OpenAi,
    /// §6.2: the system prompt is the first user message.
    R1,
    /// A system message, then §6.3.
    Simple,
}

/// System prompt and conversation. `image_placeholder` is the catalogue's `transform.tool_result.image_placeholder`.
pub fn messages(format: MessageFormat, system: &str, messages: &[ApiMessage], image_placeholder: &str) -> Vec<Value> {
    let head = || json!({"role": "system", "content": system});
    match format {
        MessageFormat::OpenAi => headed(head(), to_openai(messages, image_placeholder)),
        MessageFormat::R1 => to_r1(Some(system), messages),
        MessageFormat::Simple => headed(head(), to_simple(messages)),
    }
}

/// `messages` with `head` before them.
pub fn headed(head: Value, mut messages: Vec<Value>) -> Vec<Value> {
    messages.insert(0, head);
    messages
}

/// Asks for a stream, and for counts at its end if `with_usage`.
pub fn ask_for_stream(body: &mut Map<String, Value>, with_usage: bool) {
    body.insert("stream".into(), json!(true));
    if with_usage {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
}

/// A body with nothing but one message.
pub fn single_prompt(model: &str, role: &str, prompt: &str) -> Map<String, Value> {
    let messages = json!([{"role": role, "content": prompt}]);
    Map::from_iter([("model".to_owned(), json!(model)), ("messages".to_owned(), messages)])
}
