//! Anthropic's own format, which is the one the history is kept in, and the cache marks on it (spec 07 §7, A and B).

use serde_json::{Value, json};

use super::role;
use crate::protocol::message::ApiMessage;

/// The conversation as it is; only role and content.
pub fn to_anthropic(messages: &[ApiMessage]) -> Vec<Value> {
    messages.iter().map(|message| json!({"role": role(message.role), "content": message.content})).collect()
}

/// A system prompt with a mark.
pub fn marked_system(system: &str) -> Value {
    json!([marked_text(json!(system))])
}

/// Strategy A: marks the last block, of any type, of the last two user messages.
pub fn mark_last_blocks(messages: &mut [Value]) {
    mark(messages, |blocks| blocks.last_mut());
}

/// Strategy B: marks the last text of the last two user messages; one without text stays as it is.
pub fn mark_last_texts(messages: &mut [Value]) {
    mark(messages, |blocks| blocks.iter_mut().rev().find(|block| block["type"] == "text"));
}

/// Content that is a string becomes a marked text block.
fn mark(messages: &mut [Value], choose: fn(&mut [Value]) -> Option<&mut Value>) {
    for message in messages.iter_mut().filter(|message| message["role"] == "user").rev().take(2) {
        match message.get_mut("content") {
            Some(Value::Array(blocks)) => {
                if let Some(Value::Object(block)) = choose(blocks) {
                    block.insert("cache_control".into(), ephemeral());
                }
            }
            Some(text @ Value::String(_)) => *text = json!([marked_text(text.take())]),
            _ => {}
        }
    }
}

fn marked_text(text: Value) -> Value {
    json!({"type": "text", "text": text, "cache_control": ephemeral()})
}

fn ephemeral() -> Value {
    json!({"type": "ephemeral"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_user_messages_are_marked() {
        let marked = |text: &str| json!([marked_text(json!(text))]);
        let image = || json!({"type": "image", "source": {"type": "url", "url": "u"}});
        let marked_image = || {
            let mut block = image();
            block["cache_control"] = ephemeral();
            block
        };
        let text = json!({"type": "text", "text": "t"});
        for (content, by_block, by_text) in [
            (json!("s"), marked("s"), marked("s")),
            (json!([text, image()]), json!([text, marked_image()]), json!([marked_text(json!("t")), image()])),
            (json!([image()]), json!([marked_image()]), json!([image()])),
            (json!([]), json!([]), json!([])),
        ] {
            let user = |content: &Value| json!({"role": "user", "content": content});
            let others = |last: &Value| {
                vec![
                    user(&json!("first")),
                    user(&json!("second")),
                    json!({"role": "assistant", "content": "a"}),
                    user(last),
                ]
            };
            for (marker, expected) in [(mark_last_blocks as fn(&mut [Value]), &by_block), (mark_last_texts, &by_text)] {
                let mut messages = others(&content);
                marker(&mut messages);
                assert_eq!(messages[0], user(&json!("first")));
                assert_eq!(messages[1], user(&marked("second")));
                assert_eq!(&messages[3]["content"], expected, "{content}");
            }
        }
    }
}
