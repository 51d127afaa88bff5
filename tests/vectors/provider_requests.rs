//! Whole providers over a stubbed transport: request out, chunks in.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lapce_ai::protocol::message::ApiMessage;
use lapce_ai::providers::http::{HeaderMap, Http, HttpRequest, HttpResponse, HttpTransport, TransportError};
use lapce_ai::providers::{ChatRequest, Provider, RequestMetadata, StreamChunk, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::{Map, Value, json};

use crate::support::{Area, Outcome};

/// Headers the vectors leave out.
const UNRECORDED: [&str; 4] = ["accept", "content-length", "host", "user-agent"];

/// `provider_requests`.
pub fn area() -> Area {
    Area::new("provider_requests", run, &[])
}

/// `provider_requests_cloud`.
pub fn cloud() -> Area {
    Area::new("provider_requests_cloud", run, &[])
}

/// Answers every request with the case's response (the last of several repeats) and keeps the requests.
struct Stub {
    responses: Vec<Value>,
    requests: Mutex<Vec<Value>>,
}

#[async_trait]
impl HttpTransport for Stub {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let headers: Map<String, Value> = request
            .headers
            .iter()
            .filter(|(name, _)| !UNRECORDED.contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
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
        let pieces: Vec<_> = body.split_inclusive("\n\n").map(|p| Ok(Bytes::from(p.to_owned()))).collect();
        let status = response["status"].as_u64().unwrap_or(200) as u16;
        Ok(HttpResponse { status, headers, body: stream::iter(pieces).boxed() })
    }
}

fn run(input: &Value) -> Outcome {
    let provider = input["provider"].as_str().unwrap_or("");
    let stub = Arc::new(Stub {
        responses: match &input["responses"] {
            Value::Array(responses) => responses.clone(),
            _ => vec![input["response"].clone()],
        },
        requests: Mutex::default(),
    });
    let http = Http {
        transport: stub.clone(),
        now: Arc::new(|| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045)),
        random: Arc::new(|| 0.0),
    };
    let mut settings: Settings = serde_json::from_value(input["settings"].clone()).expect("settings");
    settings.api_provider = Some(provider.to_owned());
    let wording = Arc::new(|id: &str, _: &[(&str, &str)]| match id {
        "transform.tool_result.image_placeholder" => "⟦IMG_NEXT_USER⟧".to_owned(),
        id => format!("⟦{id}⟧"),
    });
    let surroundings = Surroundings::new(http, wording);
    let provider = match create(&settings, &surroundings) {
        Ok(provider) => provider,
        Err(error) if error.message == "⟦provider.not_available⟧" => return Outcome::Missing(provider.to_owned()),
        Err(error) => return Outcome::Output(json!({"construct": error.message})),
    };
    // Time stands still, so that retries cost none.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("tokio");
    let mut output = runtime.block_on(call(provider.as_ref(), input));
    let requests = stub.requests.lock().expect("no panic while locked");
    if requests.len() > 1 && !input["response"].is_null() && output["threw"].is_string() {
        output["attempts"] = json!(requests.len());
    }
    output["requests"] = json!(requests[..requests.len().min(1)]);
    Outcome::Output(output)
}

async fn call(provider: &dyn Provider, input: &Value) -> Value {
    if input["call"] == "complete" {
        return match provider.complete(input["prompt"].as_str().unwrap_or("")).await {
            Ok(text) => json!({"text": text}),
            Err(_) => json!({"threw": "ERROR"}),
        };
    }
    let messages: Vec<ApiMessage> = serde_json::from_value(input["messages"].clone()).expect("messages");
    let metadata = input["metadata"].as_object().map(|metadata| RequestMetadata {
        task_id: metadata.get("taskId").and_then(Value::as_str).unwrap_or("").to_owned(),
        mode: metadata.get("mode").and_then(Value::as_str).map(str::to_owned),
        ..RequestMetadata::default()
    });
    let system = input["system"].as_str().unwrap_or("").to_owned();
    let mut chunks = provider.stream(ChatRequest { system, messages: Arc::new(messages), metadata });
    let (mut shown, mut threw) = (Vec::new(), false);
    while let Some(item) = chunks.next().await {
        match item {
            Ok(chunk) => shown.push(show(chunk)),
            Err(_) => threw = true,
        }
    }
    match threw {
        true => json!({"chunks": shown, "threw": "ERROR"}),
        false => json!({"chunks": shown}),
    }
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
