//! Bodies of requests and their input items (spec 07 §10.2, §10.3).

use serde::Serialize;
use serde_json::{Value, json};

use super::continuity::Start;
use super::options::ResponsesOptions;
use crate::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use crate::providers::ChatRequest;
use crate::providers::convert::image_url;

/// The body of a request.
#[derive(Clone, Debug, Serialize)]
pub struct Body {
    model: &'static str,
    input: Vec<Item>,
    stream: bool,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Reasoning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_response_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
}

#[derive(Clone, Debug, Serialize)]
struct Reasoning {
    effort: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Text {
    verbosity: String,
}

#[derive(Clone, Debug, Serialize)]
struct Item {
    role: Role,
    content: Vec<Value>,
}

impl Body {
    /// A conversation, from where it goes on.
    pub fn conversation(options: &ResponsesOptions, request: &ChatRequest, start: Start) -> Body {
        let metadata = request.metadata.as_ref();
        Body {
            input: if start.whole { whole(&request.messages) } else { last_question(&request.messages) },
            stream: true,
            store: metadata.and_then(|metadata| metadata.store) != Some(false),
            instructions: Some(request.system.clone()),
            previous_response_id: start.previous,
            ..Body::of(options)
        }
    }

    /// A single prompt, answered whole and not stored.
    pub fn prompt(options: &ResponsesOptions, prompt: &str) -> Body {
        let content = vec![json!({"type": "input_text", "text": prompt})];
        Body { input: vec![Item { role: Role::User, content }], ..Body::of(options) }
    }

    /// As it goes out.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Whether it names a response to go on from.
    pub fn goes_on(&self) -> bool {
        self.previous_response_id.is_some()
    }

    /// The same request from the beginning of the conversation.
    pub fn begun_anew(self, messages: &[ApiMessage]) -> Body {
        Body { input: whole(messages), previous_response_id: None, ..self }
    }

    /// What every request says.
    fn of(options: &ResponsesOptions) -> Body {
        let summary = options.summary.then_some("auto");
        Body {
            model: options.wire_id(),
            input: Vec::new(),
            stream: false,
            store: false,
            instructions: None,
            reasoning: options.effort.clone().map(|effort| Reasoning { effort, summary }),
            temperature: options.temperature,
            max_output_tokens: options.max_tokens,
            previous_response_id: None,
            service_tier: options.tier_to_ask_for().map(str::to_owned),
            text: options.verbosity.clone().map(|verbosity| Text { verbosity }),
        }
    }
}

/// All messages that have content.
fn whole(messages: &[ApiMessage]) -> Vec<Item> {
    let item = |message: &ApiMessage| {
        let text_type = match message.role {
            Role::User => "input_text",
            Role::Assistant => "output_text",
        };
        Item { role: message.role, content: content(&message.content, text_type) }
    };
    messages.iter().map(item).filter(|item| !item.content.is_empty()).collect()
}

/// The user's last message alone; nothing if it has no content.
fn last_question(messages: &[ApiMessage]) -> Vec<Item> {
    let last = messages.iter().rev().find(|message| message.role == Role::User);
    let item = last.map(|message| Item { role: Role::User, content: content(&message.content, "input_text") });
    item.into_iter().filter(|item| !item.content.is_empty()).collect()
}

fn content(content: &MessageContent, text_type: &str) -> Vec<Value> {
    let text = |text: &str| json!({"type": text_type, "text": text});
    match content {
        MessageContent::Text(plain) => vec![text(plain)],
        MessageContent::Blocks(blocks) => blocks
            .iter()
            .filter_map(|block| match block {
                ContentBlock::Text { text: plain } => Some(text(plain)),
                ContentBlock::Image { source } => Some(json!({"type": "input_image", "image_url": image_url(source)})),
                _ => None,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::options::Options;
    use crate::settings::Settings;

    #[test]
    fn what_has_no_content_is_left_out() {
        let messages: Vec<ApiMessage> = serde_json::from_value(json!([
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "source": {"type": "url", "url": "u"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "n", "input": {}}]},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "c"}]},
        ]))
        .expect("messages");
        let expected = json!([
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "u"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        ]);
        assert_eq!(json!(whole(&messages)), expected);
        assert_eq!(json!(last_question(&messages)), json!([]));
        assert_eq!(json!(last_question(&messages[..3])), json!([expected[0]]));
    }

    #[test]
    fn a_request_from_the_beginning_names_no_response() {
        let options = ResponsesOptions::read(Options::of(&Settings::default())).expect("a table");
        let start = Start { previous: Some("r".into()), whole: false };
        let body = Body::conversation(&options, &ChatRequest::default(), start);
        assert!(body.goes_on() && !body.begun_anew(&[]).goes_on());
    }
}
