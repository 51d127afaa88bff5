//! Answers as the vendors stream them: a few thousand deltas of code with everything the vendors put around them.

use lapce_ai::providers::frames::fuzzing::{message, text_header};
use serde_json::{Value, json};

/// Deltas of one answer.
const DELTAS: usize = 8_000;

/// Pieces of code as a model sends them: some with line ends and quotes, which JSON escapes.
fn deltas() -> impl Iterator<Item = &'static str> {
    const PIECES: [&str; 16] = [
        "fn",
        " main",
        "()",
        " {\n   ",
        " let",
        " value",
        " =",
        " \"",
        "text",
        "\";\n",
        "    print",
        "ln!(",
        "\"{value}\"",
        ");\n",
        "}\n",
        " // näh",
    ];
    (0..DELTAS).map(|index| PIECES[index % PIECES.len()])
}

fn events(documents: impl Iterator<Item = Value>) -> Vec<u8> {
    documents.flat_map(|document| format!("data: {document}\n\n").into_bytes()).collect()
}

fn named(documents: impl Iterator<Item = Value>) -> Vec<u8> {
    let event = |document: Value| format!("event: {}\ndata: {document}\n\n", document["type"].as_str().unwrap());
    documents.flat_map(|document| event(document).into_bytes()).collect()
}

/// Chat completions; `content` makes a delta's content.
pub fn chat(content: fn(&str) -> Value) -> Vec<u8> {
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG", "object": "chat.completion.chunk", "created": 1741570283u64,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_fc9f1d7035",
            "choices": choices, "usage": usage})
    };
    let said = deltas().map(|text| {
        chunk(
            json!([{"index": 0, "delta": {"content": content(text)}, "logprobs": null, "finish_reason": null}]),
            Value::Null,
        )
    });
    let usage = json!({"prompt_tokens": 19, "completion_tokens": DELTAS, "total_tokens": DELTAS + 19});
    let mut stream = events(said.chain([chunk(json!([]), usage)]));
    stream.extend(b"data: [DONE]\n\n");
    stream
}

pub fn responses() -> Vec<u8> {
    let said = deltas().enumerate().map(|(number, text)| {
        json!({"type": "response.output_text.delta", "sequence_number": number + 4,
            "item_id": "msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654", "output_index": 0, "content_index": 0,
            "delta": text, "logprobs": [], "obfuscation": "vXxBnuEPUO"})
    });
    let usage = json!({"input_tokens": 37, "output_tokens": DELTAS, "total_tokens": DELTAS + 37});
    let done =
        json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "usage": usage}});
    named(said.chain([done]))
}

pub fn anthropic() -> Vec<u8> {
    let usage = json!({"input_tokens": 25, "cache_read_input_tokens": 0, "output_tokens": 1});
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "usage": usage}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let said = deltas()
        .map(|text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
    let end = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": DELTAS}}),
        json!({"type": "message_stop"}),
    ];
    named([start, block].into_iter().chain(said).chain(end))
}

pub fn gemini() -> Vec<u8> {
    events(deltas().map(|text| {
        json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 200, "totalTokenCount": 209,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]},
            "modelVersion": "gemini-2.0-flash", "responseId": "pXqRaOuGPLvYn9kP7t-Q0QI"})
    }))
}

pub fn ollama() -> Vec<u8> {
    let line = |text: &str, done: bool| {
        json!({"model": "llama3.2", "created_at": "2026-08-04T08:52:19.385406455-07:00",
            "message": {"role": "assistant", "content": text}, "done": done})
    };
    let mut last = line("", true);
    last["prompt_eval_count"] = json!(26);
    last["eval_count"] = json!(DELTAS);
    deltas().map(|text| line(text, false)).chain([last]).flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

pub fn bedrock() -> Vec<u8> {
    let frame = |kind: &str, payload: Value| {
        let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
        let headers: Vec<u8> = headers.iter().flat_map(|(name, value)| text_header(name, value)).collect();
        message(&headers, payload.to_string().as_bytes())
    };
    let said = deltas().map(|text| {
        let delta = json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghijklmnopqrstuvwxyzABCD"});
        frame("contentBlockDelta", delta)
    });
    let start = frame("messageStart", json!({"role": "assistant"}));
    let usage = json!({"usage": {"inputTokens": 20, "outputTokens": DELTAS, "totalTokens": DELTAS + 20}});
    let end = [frame("messageStop", json!({"stopReason": "end_turn"})), frame("metadata", usage)];
    [start].into_iter().chain(said).chain(end).flatten().collect()
}
