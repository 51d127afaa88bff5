//! `sliding_condense`: what of a conversation is dropped or summed up, with providers that play a script.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use lapce_ai::prompt::text::Texts;
use lapce_ai::protocol::message::{ApiMessage, ContentBlock, MessageContent, Role};
use lapce_ai::providers::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Usage};
use lapce_ai::task::condense::{self, Failure, Means, Outcome, Refusal};
use lapce_ai::task::window::{self, Fitted, Limits};
use serde_json::{Value, json};

use crate::support::{Area, Outcome as CaseOutcome};

/// The area.
pub fn area() -> Area {
    Area::new("sliding_condense", run, &[])
}

fn run(input: &Value) -> CaseOutcome {
    match input["fn"].as_str().unwrap_or_default() {
        "truncate" => truncate(input).into(),
        "estimate_tokens" => {
            let blocks: Vec<ContentBlock> = serde_json::from_value(input["content"].clone()).expect("blocks");
            json!(count(&blocks)).into()
        }
        "since_last_summary" => json!(window::since_last_summary(&messages(input), &texts())).into(),
        "summarize" => summarize(input).into(),
        "truncate_if_needed" => truncate_if_needed(input).into(),
        other => CaseOutcome::Missing(other.to_owned()),
    }
}

fn texts() -> Texts {
    Texts::builtin().with_pack(include_str!("codes/task.txt")).unwrap_or_else(|error| panic!("{error}"))
}

fn messages(input: &Value) -> Vec<ApiMessage> {
    serde_json::from_value(input["messages"].clone()).expect("messages")
}

/// Text counts a token for each four units, anything else 100.
fn count(blocks: &[ContentBlock]) -> u64 {
    let tokens = |block: &ContentBlock| match block {
        ContentBlock::Text { text } => (text.encode_utf16().count() as u64).div_ceil(4),
        _ => 100,
    };
    blocks.iter().map(tokens).sum()
}

fn truncate(input: &Value) -> Value {
    let message = |index: u64| ApiMessage {
        role: Role::User,
        content: MessageContent::Text(index.to_string()),
        ts: Some(index as i64),
        is_summary: None,
    };
    let messages: Vec<ApiMessage> = (0..input["message_count"].as_u64().unwrap_or(0)).map(message).collect();
    let kept = window::slide(&messages, input["frac"].as_f64().unwrap_or(0.0));
    json!({"kept_indexes": kept.iter().map(|message| message.ts).collect::<Vec<_>>()})
}

/// Everything sent, with the name of who sent it.
type Calls = Arc<Mutex<Vec<(&'static str, ChatRequest)>>>;

/// A provider that plays its stream for every request.
struct Scripted {
    name: &'static str,
    images: bool,
    stream: Value,
    calls: Calls,
}

#[async_trait]
impl Provider for Scripted {
    fn model(&self) -> Model {
        let mut model = Model { id: "model".into(), ..Model::default() };
        model.info.supports_images = Some(self.images);
        model
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        self.calls.lock().expect("not poisoned").push((self.name, request));
        let chunks: Vec<Result<StreamChunk, ProviderError>> =
            self.stream.as_array().into_iter().flatten().filter_map(chunk).map(Ok).collect();
        futures::stream::iter(chunks).boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        count(blocks)
    }

    async fn complete(&self, _: &str) -> Result<String, ProviderError> {
        Err(ProviderError::new("not scripted"))
    }

    fn cost(&self, _: &Usage) -> f64 {
        0.0
    }
}

fn chunk(item: &Value) -> Option<StreamChunk> {
    let text = || item["text"].as_str().unwrap_or_default().to_owned();
    match item["type"].as_str()? {
        "text" => Some(StreamChunk::Text(text())),
        "reasoning" => Some(StreamChunk::Reasoning(text())),
        "usage" => Some(StreamChunk::Usage(Usage {
            input_tokens: item["inputTokens"].as_u64().unwrap_or(0),
            output_tokens: item["outputTokens"].as_u64().unwrap_or(0),
            total_cost: item["totalCost"].as_f64(),
            ..Usage::default()
        })),
        _ => None,
    }
}

/// Runs `work` with the providers of a case; gives its result and what was sent.
fn with_means<T>(input: &Value, work: impl AsyncFnOnce(&Means<'_>) -> T) -> (T, Calls) {
    let calls = Calls::default();
    let texts = texts();
    let images = input["supports_images"] != false;
    let scripted = |name, stream: &Value| Scripted { name, images, stream: stream.clone(), calls: calls.clone() };
    let main = scripted("main", &input["stream"]);
    let condensing = scripted("condensing", &input["condensing_stream"]);
    let means = Means {
        texts: &texts,
        main: &main,
        condensing: (input["condensing_handler"] == "valid").then_some(&condensing),
        prompt: input["custom_prompt"].as_str(),
        system: input["system"].as_str().unwrap_or("SYS"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    (runtime.block_on(work(&means)), calls)
}

fn summarize(input: &Value) -> Value {
    let messages = messages(input);
    let previous = input["prev_context_tokens"].as_u64().unwrap_or(0);
    let work = async |means: &Means<'_>| condense::summarise(&messages, means, previous).await;
    let (result, calls) = with_means(input, work);
    let mut output = match result.expect("the script has no errors") {
        Ok(outcome) => succeeded(&outcome),
        Err(failure) => failed(&failure, &messages),
    };
    let sent: Vec<Value> =
        calls.lock().expect("not poisoned").iter().map(|(name, request)| call(name, request)).collect();
    output["calls"] = json!(sent);
    output
}

fn call(name: &str, request: &ChatRequest) -> Value {
    // The placeholder of an image stands in brackets, which belong to its code.
    let text = serde_json::to_string(&*request.messages).expect("JSON").replace("[IMG_REFERENCED]", "⟦IMG_REFERENCED⟧");
    let messages: Value = serde_json::from_str(&text).expect("still JSON");
    json!({"handler": name, "system": request.system, "messages": messages})
}

fn succeeded(outcome: &Outcome) -> Value {
    json!({
        "messages": outcome.messages, "summary": outcome.summary, "cost": outcome.cost,
        "newContextTokens": outcome.new_tokens,
    })
}

fn failed(failure: &Failure, messages: &[ApiMessage]) -> Value {
    json!({"messages": messages, "summary": "", "cost": failure.cost, "error": coded(failure.refusal)})
}

fn coded(refusal: Refusal) -> Value {
    match refusal {
        Refusal::NotEnough { previous_tokens, count } => json!({
            "code": "NOT_ENOUGH_MESSAGES", "prevContextTokens": previous_tokens, "messageCount": count,
            "minimumMessageCount": 5,
        }),
        Refusal::Recent => json!({"code": "CONDENSED_RECENTLY"}),
        Refusal::Failed => json!({"code": "CONDENSE_FAILED"}),
        Refusal::Grew { previous_tokens, new_tokens } => {
            json!({"code": "CONTEXT_GREW", "prevContextTokens": previous_tokens, "newContextTokens": new_tokens})
        }
        Refusal::NoProvider => json!({"code": "HANDLER_INVALID"}),
    }
}

fn truncate_if_needed(input: &Value) -> Value {
    let messages = messages(input);
    let profile = input["profile"].as_str().unwrap_or("default");
    let threshold = window::threshold(input["percent"].as_f64().unwrap_or(100.0), input["profiles"][profile].as_f64());
    let limits = Limits {
        window: input["contextWindow"].as_u64().unwrap_or(0),
        max_tokens: input["maxTokens"].as_u64(),
        threshold: (input["auto"] == true).then_some(threshold),
    };
    let total = input["totalTokens"].as_u64().unwrap_or(0);
    let last = messages.last().map(|last| window::blocks(&last.content)).unwrap_or_default();
    let work = async |means: &Means<'_>| {
        let pressure = window::measure(&last, total, limits, means.main).await;
        window::shrink(&messages, pressure, means).await
    };
    let (result, calls) = with_means(input, work);
    let Fitted { tokens, messages: fitted, condensed } = result.expect("the script has no errors");
    let now = fitted.unwrap_or(messages);
    let mut output = match condensed {
        Some(Ok(outcome)) => succeeded(&outcome),
        Some(Err(failure)) => failed(&failure, &now),
        None => json!({"messages": now, "summary": "", "cost": 0}),
    };
    output["prevContextTokens"] = json!(tokens);
    output["calls"] = json!(calls.lock().expect("not poisoned").len());
    output
}
