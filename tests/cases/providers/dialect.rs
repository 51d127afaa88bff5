//! How each wire format says the same answer.

use serde_json::{Value, json};

/// Tokens that every scripted answer reports.
pub const INPUT_TOKENS: u64 = 11;
pub const OUTPUT_TOKENS: u64 = 7;

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Reasoning(&'a str),
    Text(&'a str),
    Usage,
}

/// A wire format.
pub struct Dialect {
    pub content_type: &'static str,
    /// The answer's frames, opening and closing ones included.
    pub frames: fn(&[Part<'_>]) -> Vec<Vec<u8>>,
    /// An answer to a single prompt.
    pub whole: fn(&str) -> Value,
    /// The body of a failed request.
    pub failure: fn(&str) -> Value,
    /// What the provider puts between reasoning and text.
    pub joint: &'static str,
    /// Whether the format has reasoning.
    pub reasons: bool,
}

/// Chat completions; reasoning in `reasoning_content`.
pub const CHAT: Dialect = Dialect {
    content_type: "text/event-stream",
    frames: |parts| chat(parts, |text| json!({"reasoning_content": text})),
    whole: |text| json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}),
    failure: |message| json!({"error": {"message": message, "code": "no", "type": "t"}}),
    joint: "",
    reasons: true,
};

/// Chat completions without reasoning.
pub const CHAT_PLAIN: Dialect = Dialect { reasons: false, ..CHAT };

/// Chat completions; reasoning in `reasoning`.
pub const OPENROUTER: Dialect = Dialect { frames: |parts| chat(parts, |text| json!({"reasoning": text})), ..CHAT };

/// Chat completions; reasoning as text between tags.
pub const CHAT_TAGGED: Dialect =
    Dialect { frames: |parts| chat(parts, |text| json!({"content": format!("<think>{text}</think>")})), ..CHAT };

/// Chat completions; reasoning as a part of the content.
pub const MISTRAL: Dialect = Dialect {
    frames: |parts| {
        let thinking =
            |text: &str| json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]});
        chat(parts, thinking)
    },
    ..CHAT
};

fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn named(name: &str, data: Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}

fn chat(parts: &[Part<'_>], reasoning: fn(&str) -> Value) -> Vec<Vec<u8>> {
    let delta = |delta: Value| event(&json!({"id": "c", "choices": [{"index": 0, "delta": delta}]}));
    let mut frames = vec![delta(json!({"role": "assistant", "content": ""}))];
    frames.extend(parts.iter().map(|part| match part {
        Part::Reasoning(text) => delta(reasoning(text)),
        Part::Text(text) => delta(json!({"content": text})),
        Part::Usage => event(&json!({
            "choices": [],
            "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
        })),
    }));
    frames.push(event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})));
    frames.push(b"data: [DONE]\n\n".to_vec());
    frames
}

/// OpenAI Responses.
pub const RESPONSES: Dialect = Dialect {
    content_type: "text/event-stream",
    frames: |parts| {
        let mut frames = vec![named("response.created", json!({"type": "response.created", "response": {"id": "r1"}}))];
        let mut usage = None;
        for part in parts {
            let (kind, text) = match part {
                Part::Reasoning(text) => ("response.reasoning_summary_text.delta", text),
                Part::Text(text) => ("response.output_text.delta", text),
                Part::Usage => {
                    usage = Some(json!({"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}));
                    continue;
                }
            };
            frames.push(named(kind, json!({"type": kind, "delta": text})));
        }
        let response = json!({"id": "r1", "status": "completed", "usage": usage});
        frames.push(named("response.completed", json!({"type": "response.completed", "response": response})));
        frames
    },
    whole: |text| json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}),
    failure: |message| json!({"error": {"message": message, "code": "no"}}),
    joint: "",
    reasons: true,
};

/// Anthropic Messages.
pub const ANTHROPIC: Dialect = Dialect {
    content_type: "text/event-stream",
    frames: |parts| {
        let say = |kind: &str, mut data: Value| {
            data["type"] = json!(kind);
            named(kind, data)
        };
        let usage = json!({"input_tokens": INPUT_TOKENS, "output_tokens": 1});
        let mut frames =
            vec![say("message_start", json!({"message": {"id": "m", "usage": usage}})), say("ping", json!({}))];
        let (mut index, mut open) = (0, None);
        for part in parts {
            let (kind, delta) = match part {
                Part::Reasoning(text) => ("thinking", json!({"type": "thinking_delta", "thinking": text})),
                Part::Text(text) => ("text", json!({"type": "text_delta", "text": text})),
                Part::Usage => continue,
            };
            if open != Some(kind) {
                if open.replace(kind).is_some() {
                    frames.push(say("content_block_stop", json!({"index": index})));
                    index += 1;
                }
                let mut block = json!({"type": kind});
                block[kind] = json!("");
                frames.push(say("content_block_start", json!({"index": index, "content_block": block})));
            }
            frames.push(say("content_block_delta", json!({"index": index, "delta": delta})));
        }
        frames.push(say("content_block_stop", json!({"index": index})));
        let usage = json!({"output_tokens": OUTPUT_TOKENS - 1});
        frames.push(say("message_delta", json!({"delta": {"stop_reason": "end_turn"}, "usage": usage})));
        frames.push(say("message_stop", json!({})));
        frames
    },
    whole: |text| json!({"content": [{"type": "text", "text": text}], "usage": {"input_tokens": 1, "output_tokens": 1}}),
    failure: |message| json!({"type": "error", "message": message, "error": {"type": "t", "message": message}}),
    joint: "\n",
    reasons: true,
};

/// Gemini.
pub const GEMINI: Dialect = Dialect {
    content_type: "text/event-stream",
    frames: |parts| gemini(parts).iter().map(event).collect(),
    whole: |text| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}),
    failure: |message| json!({"error": {"code": 400, "message": message, "status": "S"}}),
    joint: "",
    reasons: true,
};

/// Gemini inside an envelope.
pub const GEMINI_CLI: Dialect = Dialect {
    frames: |parts| gemini(parts).iter().map(|answer| event(&json!({"response": answer}))).collect(),
    whole: |text| json!({"response": (GEMINI.whole)(text)}),
    ..GEMINI
};

fn gemini(parts: &[Part<'_>]) -> Vec<Value> {
    let mut answers = Vec::new();
    for part in parts {
        let content = |part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}}]});
        match part {
            Part::Reasoning(text) => answers.push(content(json!({"text": text, "thought": true}))),
            Part::Text(text) => answers.push(content(json!({"text": text}))),
            Part::Usage => answers.push(json!({
                "usageMetadata": {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS},
            })),
        }
    }
    let mut end = json!({"candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP"}]});
    if parts.iter().any(|part| matches!(part, Part::Usage)) {
        end["usageMetadata"] = json!({"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": OUTPUT_TOKENS});
    }
    answers.push(end);
    answers
}

/// Ollama's lines.
pub const OLLAMA: Dialect = Dialect {
    content_type: "application/x-ndjson",
    frames: |parts| {
        let mut end = json!({"done": true, "done_reason": "stop", "message": {"role": "assistant", "content": ""}});
        let mut lines = Vec::new();
        for part in parts {
            let text = match part {
                Part::Reasoning(text) => format!("<think>{text}</think>"),
                Part::Text(text) => (*text).to_owned(),
                Part::Usage => {
                    end["prompt_eval_count"] = json!(INPUT_TOKENS);
                    end["eval_count"] = json!(OUTPUT_TOKENS);
                    continue;
                }
            };
            lines.push(json!({"message": {"role": "assistant", "content": text}, "done": false}));
        }
        lines.push(end);
        lines.iter().map(|line| format!("{line}\n").into_bytes()).collect()
    },
    whole: |text| json!({"message": {"role": "assistant", "content": text}, "done": true}),
    failure: |message| json!({"error": message}),
    joint: "",
    reasons: true,
};

/// Bedrock Converse over event streams.
pub const BEDROCK: Dialect = Dialect {
    content_type: "application/vnd.amazon.eventstream",
    frames: |parts| {
        let mut frames = vec![frame("messageStart", &json!({"role": "assistant"}))];
        for part in parts {
            frames.push(match part {
                Part::Reasoning(text) => frame(
                    "contentBlockDelta",
                    &json!({"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": text}}}),
                ),
                Part::Text(text) => {
                    frame("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": text}}))
                }
                Part::Usage => frame(
                    "metadata",
                    &json!({"usage": {"inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS, "totalTokens": 18}}),
                ),
            });
        }
        frames.push(frame("messageStop", &json!({"stopReason": "end_turn"})));
        frames
    },
    whole: |text| json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}}}),
    failure: |message| json!({"message": message}),
    joint: "",
    reasons: true,
};

/// One frame of an event stream (spec 07 §15.1, "response").
fn frame(kind: &str, payload: &Value) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")] {
        headers.push(name.len() as u8);
        headers.extend(name.bytes());
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.bytes());
    }
    let payload = payload.to_string();
    let total = 16 + headers.len() + payload.len();
    let mut frame = [(total as u32).to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload.bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}
