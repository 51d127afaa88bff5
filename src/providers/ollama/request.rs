//! Bodies of requests, and how long a conversation is (spec 07 §19.1).

use serde_json::{Value, json};

use crate::ecma::utf16_len;
use crate::providers::params::json_number;

/// What the profile says about the model.
#[derive(Clone, Copy, Debug)]
pub struct ModelOptions {
    /// `modelTemperature`, or the model's own.
    pub temperature: f64,
    /// `ollamaNumCtx`.
    pub context: Option<u64>,
}

impl ModelOptions {
    /// The body for these messages.
    pub fn body(&self, model: &str, messages: Vec<Value>, stream: bool) -> Value {
        let mut options = json!({"temperature": json_number(self.temperature)});
        if let Some(context) = self.context {
            options["num_ctx"] = json!(context);
        }
        json!({"model": model, "messages": messages, "stream": stream, "options": options})
    }
}

/// About how many tokens messages in Ollama's format have: a quarter of their UTF-16 units, rounded up.
pub fn estimated_tokens(messages: &[Value]) -> u64 {
    let contents = messages.iter().filter_map(|message| message.get("content")?.as_str());
    (contents.map(utf16_len).sum::<usize>() as u64).div_ceil(4)
}
