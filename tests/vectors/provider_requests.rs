//! Whole providers over a stubbed transport: request out, chunks in.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lapce_ai::protocol::message::{ApiMessage, ContentBlock};
use lapce_ai::providers::http::{HeaderMap, Http, HttpRequest, HttpResponse, HttpTransport, TransportError};
use lapce_ai::providers::models::{EndpointKey, ModelList};
use lapce_ai::providers::{
    ChatRequest, Provider, ProviderError, RequestMetadata, StreamChunk, Surroundings, ThinkingWish, Usage, Wording,
    create, model_id_of, router_name,
};
use lapce_ai::settings::Settings;
use serde_json::{Map, Value, json};

use crate::support::{Area, Deviation, Outcome, equal};
use crate::{aws, google};

/// Headers the vectors leave out.
const UNRECORDED: [&str; 4] = ["accept", "content-length", "host", "user-agent"];

/// `provider_requests`.
pub fn area() -> Area {
    Area::new("provider_requests", run, &[CLAUDE_COST, SENT_AGAIN])
}

/// `provider_requests_cloud`. Token requests are compared where they are recorded.
pub fn cloud() -> Area {
    Area::new("provider_requests_cloud", run_cloud, &[]).compared_by(|_, ours, recorded| {
        let mut ours = ours.clone();
        if let (Some(members), None) = (ours.as_object_mut(), recorded.get("token_requests")) {
            members.remove("token_requests");
        }
        equal(&ours, recorded)
    })
}

/// D04: the recorded cost of a streamed Anthropic answer counts the output tokens of `message_start` only.
const CLAUDE_COST: Deviation = Deviation {
    id: "D04",
    cases: &[
        "anthropic-default-one",
        "anthropic-sonnet4-one",
        "anthropic-sonnet4-conv",
        "anthropic-sonnet4-tools",
        "anthropic-sonnet4-same-role",
        "anthropic-think-conv",
        "anthropic-37think-one",
        "anthropic-temp-one",
        "anthropic-temp-conv",
        "anthropic-baseurl-conv",
        "anthropic-authtoken-one",
        "anthropic-1m-one",
        "anthropic-1m-conv",
        "anthropic-unknown-conv",
        "anthropic-resp-thinking",
    ],
    applies: |input| input["provider"] == "anthropic" && last_output_tokens(input).is_some(),
    check: |input, ours, recorded| {
        let (mut totals, mut expected) = (Usage::default(), recorded.clone());
        for chunk in recorded["chunks"].as_array().into_iter().flatten().filter(|chunk| chunk["type"] == "usage") {
            totals.add(&serde_json::from_value(chunk.clone()).expect("usage"));
        }
        totals.output_tokens = last_output_tokens(input).unwrap_or(0);
        let (settings, surroundings) = (settings(input), Surroundings::new(Stub::new(input).http(), wording()));
        let cost = create(&settings, &surroundings).map_err(|error| error.message)?.cost(&totals);
        let Some(chunks) = expected["chunks"].as_array_mut() else { return Err("no chunks are recorded".into()) };
        match chunks.last_mut() {
            Some(last) if last["totalCost"].is_number() => last["totalCost"] = json!(cost),
            // The reference has nothing to charge where `message_start` counts nothing.
            _ if recorded["threw"].is_null() => {
                chunks.push(json!({"type": "usage", "inputTokens": 0, "outputTokens": 0, "totalCost": cost}));
            }
            _ => return Err("no cost is recorded".into()),
        }
        if equal(ours, &expected) { Ok(()) } else { Err(format!("more than the cost, {cost}, differs")) }
    },
};

/// Output tokens that the last `message_delta` of the answer reports.
fn last_output_tokens(input: &Value) -> Option<u64> {
    let deltas = data(input["response"]["sse"].as_str()?).filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let deltas = deltas.filter(|data| data["type"] == "message_delta");
    deltas.filter_map(|data| data["usage"]["output_tokens"].as_u64()).last()
}

/// The data lines of an event stream.
fn data(sse: &str) -> impl Iterator<Item = &str> {
    sse.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim)
}

/// D14: the recorded call was sent again by the other transport after chunks were out, whose answer follows them.
const SENT_AGAIN: Deviation = Deviation {
    id: "D14",
    cases: &[],
    applies: |input| {
        let answers = input["responses"].as_array().map_or(std::slice::from_ref(&input["response"]), Vec::as_slice);
        input["provider"] == "openai-native" && input["call"].is_null() && answers.iter().any(fails_after_a_chunk)
    },
    check: |_, ours, recorded| {
        let (Some(received), Some(all)) = (ours["chunks"].as_array(), recorded["chunks"].as_array()) else {
            return Err("no chunks".into());
        };
        let same_request = equal(&ours["requests"], &recorded["requests"]);
        let begins = all.iter().zip(received).all(|(all, received)| equal(received, all));
        if received.is_empty() || received.len() > all.len() || !begins || !same_request || ours["threw"] != "ERROR" {
            return Err("not the recorded chunks before the failure, and the failure".into());
        }
        Ok(())
    },
};

/// Whether an answer of the Responses API breaks off with an error behind an event that shows or counts something.
fn fails_after_a_chunk(answer: &Value) -> bool {
    let mut shown = false;
    for data in data(answer["sse"].as_str().unwrap_or("")).take_while(|data| !data.starts_with("[DONE]")) {
        let event = serde_json::from_str::<Value>(data).unwrap_or(json!({"error": "no JSON"}));
        if truthy(&event["error"]) {
            return shown;
        }
        let holds = ["/delta", "/item", "/usage", "/response/usage", "/choices/0/delta/content"];
        shown |= holds.iter().any(|place| event.pointer(place).is_some_and(truthy));
    }
    false
}

fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && *value != json!("") && value.as_f64() != Some(0.0)
}

/// Answers every request with the case's response (the last of several repeats) and keeps the requests.
struct Stub {
    responses: Vec<Value>,
    requests: Mutex<Vec<Value>>,
    token_requests: Mutex<Vec<Value>>,
}

#[async_trait]
impl HttpTransport for Stub {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        if let Some(shown) = google::token_request(&request) {
            self.token_requests.lock().expect("no panic while locked").push(shown);
            let body = Bytes::from(google::token().to_string());
            return Ok(HttpResponse { status: 200, headers: HeaderMap::new(), body: stream::iter([Ok(body)]).boxed() });
        }
        if aws::is_unreachable(&request) {
            return Err(TransportError::Connection("no route".into()));
        }
        let mut headers: Map<String, Value> = request
            .headers
            .iter()
            .filter(|(name, _)| !UNRECORDED.contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        aws::show_signature(&mut headers, &request.body);
        let mut requests = self.requests.lock().expect("no panic while locked");
        let response = &self.responses[requests.len().min(self.responses.len() - 1)];
        requests.push(json!({
            "method": request.method.as_str(),
            "url": request.url,
            "headers": headers,
            "body": serde_json::from_slice::<Value>(&request.body).unwrap_or(Value::Null),
        }));
        let (kind, body) = match (&response["sse"], &response["json"]) {
            (Value::String(sse), _) => ("text/event-stream", sse.clone()),
            (_, Value::Null) => ("text/plain", response["text"].as_str().unwrap_or("").to_owned()),
            (_, document) => ("application/json", document.to_string()),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().expect("a header value"));
        for (name, value) in response["headers"].as_object().into_iter().flatten() {
            let name: lapce_ai::providers::http::HeaderName = name.parse().expect("a header name");
            headers.insert(name, value.as_str().unwrap_or("").parse().expect("a header value"));
        }
        // One event at a time, as the note says.
        let events = || body.split_inclusive("\n\n").map(|event| Bytes::from(event.to_owned())).collect();
        let pieces: Vec<_> = aws::pieces(response).unwrap_or_else(events).into_iter().map(Ok).collect();
        let status = response["status"].as_u64().unwrap_or(200) as u16;
        Ok(HttpResponse { status, headers, body: stream::iter(pieces).boxed() })
    }
}

impl Stub {
    fn new(input: &Value) -> Arc<Stub> {
        let responses = match &input["responses"] {
            Value::Array(responses) => responses.clone(),
            _ => vec![input["response"].clone()],
        };
        Arc::new(Stub { responses, requests: Mutex::default(), token_requests: Mutex::default() })
    }

    fn http(self: &Arc<Stub>) -> Http {
        Http::new(
            self.clone(),
            Arc::new(|| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045)),
            Arc::new(|| 0.0),
        )
    }
}

fn settings(input: &Value) -> Settings {
    let mut settings: Settings = serde_json::from_value(input["settings"].clone()).expect("settings");
    settings.api_provider = input["provider"].as_str().map(str::to_owned);
    settings
}

/// Gives the codes of the vectors.
fn wording() -> Wording {
    Arc::new(|id, variables| match id {
        "transform.tool_result.image_placeholder" => "⟦IMG_NEXT_USER⟧".to_owned(),
        "provider.gemini.sources_label" => "⟦T common:errors.gemini.sources⟧".to_owned(),
        id => aws::code(id, variables).unwrap_or_else(|| format!("⟦{id}⟧")),
    })
}

/// A call that fails without any request is told apart there.
fn run_cloud(input: &Value) -> Outcome {
    match run(input) {
        Outcome::Output(mut output) if output["threw"] == "ERROR" && output["requests"] == json!([]) => {
            output["threw"] = json!("CLIENT_REFUSED");
            Outcome::Output(output)
        }
        outcome => outcome,
    }
}

/// Puts the lists that the case says were fetched where providers find them. A list that it does not give is empty.
fn seed(surroundings: &Surroundings, input: &Value) {
    let list = |models: &Value| -> ModelList {
        let models = models.as_object().into_iter().flatten();
        models.map(|(id, info)| (id.clone(), serde_json::from_value(info.clone()).expect("a model info"))).collect()
    };
    let now = (surroundings.http.now)();
    let name = match input["provider"].as_str().unwrap_or("") {
        "kilocode" => "kilocode-openrouter",
        name => name,
    };
    if router_name(name).is_some() {
        surroundings.lists.put(name, list(&input["models"]), now);
    }
    if let Some(model) = input["settings"].as_object().and_then(model_id_of) {
        surroundings.lists.put_endpoints(&EndpointKey::of(model), list(&input["endpoints"]), now);
    }
}

fn run(input: &Value) -> Outcome {
    let stub = Stub::new(input);
    let folder = tempfile::tempdir().expect("a folder");
    let mut input = input.clone();
    aws::place_files(&input, folder.path());
    let mut variables = aws::variables(&input);
    variables.extend(google::place_credential(&mut input, folder.path()));
    let (input, settings) = (&input, settings(&input));
    let surroundings = Surroundings {
        environment: Arc::new(move |name| variables.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone())),
        home: folder.path().to_owned(),
        ..Surroundings::new(stub.http(), wording())
    };
    seed(&surroundings, input);
    let provider = match create(&settings, &surroundings) {
        Ok(provider) => provider,
        Err(error) if input["provider"] == "bedrock" => {
            let output = json!({"threw": aws::threw(&error), "construct": true, "chunks": [], "requests": []});
            return Outcome::Output(output);
        }
        Err(error) => return Outcome::Output(json!({"construct": error.message})),
    };
    // Time stands still, so that retries cost none.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("tokio");
    for earlier in input["before"].as_array().into_iter().flatten() {
        let mut input = input.clone();
        input["messages"] = earlier.clone();
        runtime.block_on(call(provider.as_ref(), &input));
        stub.requests.lock().expect("no panic while locked").clear();
    }
    let mut output = runtime.block_on(call(provider.as_ref(), input));
    let requests = stub.requests.lock().expect("no panic while locked");
    let shows_attempts = match input["provider"].as_str() {
        Some("bedrock") => true,
        _ => !input["response"].is_null() && output["threw"].is_string(),
    };
    if requests.len() > 1 && shows_attempts {
        output["attempts"] = json!(requests.len());
    }
    output["requests"] = json!(requests[..requests.len().min(1)]);
    let token_requests = stub.token_requests.lock().expect("no panic while locked");
    if !token_requests.is_empty() {
        output["token_requests"] = json!(*token_requests);
    }
    Outcome::Output(output)
}

async fn call(provider: &dyn Provider, input: &Value) -> Value {
    if input["call"] == "count_tokens" {
        let blocks: Vec<ContentBlock> = serde_json::from_value(input["content"].clone()).expect("blocks");
        return json!({"count": provider.count_tokens(&blocks).await});
    }
    if input["call"] == "complete" {
        return match provider.complete(input["prompt"].as_str().unwrap_or("")).await {
            Ok(text) => json!({"text": text}),
            Err(error) => json!({"threw": threw(input, &error)}),
        };
    }
    let messages: Vec<ApiMessage> = serde_json::from_value(input["messages"].clone()).expect("messages");
    let metadata = input["metadata"].as_object().map(|metadata| RequestMetadata {
        task_id: metadata.get("taskId").and_then(Value::as_str).unwrap_or("").to_owned(),
        mode: metadata.get("mode").and_then(Value::as_str).map(str::to_owned),
        previous_response_id: metadata.get("previousResponseId").and_then(Value::as_str).map(str::to_owned),
        suppress_previous_response_id: metadata.get("suppressPreviousResponseId") == Some(&json!(true)),
        store: metadata.get("store").and_then(Value::as_bool),
        thinking: metadata.get("thinking").map(|wish| ThinkingWish {
            enabled: wish["enabled"] == json!(true),
            max_tokens: wish["maxThinkingTokens"].as_i64(),
        }),
        ..RequestMetadata::default()
    });
    let system = input["system"].as_str().unwrap_or("").to_owned();
    let mut chunks = provider.stream(ChatRequest { system, messages: Arc::new(messages), metadata });
    let (mut shown, mut failure) = (Vec::new(), None);
    while let Some(item) = chunks.next().await {
        match item {
            Ok(chunk) => shown.push(show(chunk)),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => json!({"chunks": shown, "threw": threw(input, &error)}),
        None => json!({"chunks": shown}),
    }
}

/// Errors of Bedrock are recorded whole, of the others only that there was one.
fn threw(input: &Value, error: &ProviderError) -> Value {
    if input["provider"] == "bedrock" { aws::threw(error) } else { json!("ERROR") }
}

fn show(chunk: StreamChunk) -> Value {
    match chunk {
        StreamChunk::Text(text) => json!({"type": "text", "text": text}),
        StreamChunk::Reasoning(text) => json!({"type": "reasoning", "text": text}),
        StreamChunk::Usage(usage) => {
            let mut shown = serde_json::to_value(usage).expect("usage is JSON");
            shown["type"] = json!("usage");
            shown
        }
        StreamChunk::Grounding(sources) => json!({"type": "grounding", "sources": sources}),
        StreamChunk::Error { error, message } => json!({"type": "error", "error": error, "message": message}),
    }
}
