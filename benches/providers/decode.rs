//! How fast answers are read: `provider.<name>.decode`, from the bytes of the transport to chunks through the provider's public
//! interface; beside it `_naive`, the same bytes split at line ends and each document parsed whole.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lapce_ai::providers::http::{HeaderMap, Http, HttpRequest, HttpResponse, HttpTransport, TransportError};
use lapce_ai::providers::{ChatRequest, Provider, StreamChunk, Surroundings, create, names};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::{measure, streams};

/// Bytes of a piece: a record of TLS.
const PIECE: usize = 16 << 10;

/// A wire family.
struct Family {
    name: &'static str,
    settings: Value,
    content_type: &'static str,
    stream: fn() -> Vec<u8>,
    /// Where the text stands in a document.
    text: &'static str,
}

const SSE: &str = "text/event-stream";

fn families() -> Vec<Family> {
    let family = |name, settings, content_type, stream, text| Family { name, settings, content_type, stream, text };
    let plain: fn() -> Vec<u8> = || streams::chat(|text| json!(text));
    let key = |key: &str| json!({key: "key"});
    let bedrock = json!({"awsUseApiKey": true, "awsApiKey": "key", "awsRegion": "us-east-1",
        "apiModelId": "anthropic.claude-3-5-sonnet-20241022-v2:0"});
    vec![
        family("openai", key("openAiApiKey"), SSE, plain, "/choices/0/delta/content"),
        family("openai-native", key("openAiNativeApiKey"), SSE, streams::responses, "/delta"),
        family("anthropic", key("apiKey"), SSE, streams::anthropic, "/delta/text"),
        family("gemini", key("geminiApiKey"), SSE, streams::gemini, "/candidates/0/content/parts/0/text"),
        family("bedrock", bedrock, "application/vnd.amazon.eventstream", streams::bedrock, "/delta/text"),
        family("ollama", json!({"ollamaModelId": "m"}), "application/x-ndjson", streams::ollama, "/message/content"),
        family("mistral", key("mistralApiKey"), SSE, plain, "/choices/0/delta/content"),
    ]
}

pub fn figures() {
    measure::load();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for family in families().into_iter().filter(|family| names().any(|name| name == family.name)) {
        let bytes = (family.stream)();
        let megabytes = bytes.len() as f64 / 1e6;
        let provider = provider(&family, &bytes);
        let expected = naive(&family, &bytes);
        let name = family.name;
        measure::figure(&format!("provider.{name}.decode"), "MB/s", || {
            let start = Instant::now();
            let length = runtime.block_on(read(&*provider));
            assert_eq!(length, expected, "{name}");
            megabytes / start.elapsed().as_secs_f64()
        });
        measure::figure(&format!("provider.{name}.decode_naive"), "MB/s", || {
            let start = Instant::now();
            black_box(naive(&family, &bytes));
            megabytes / start.elapsed().as_secs_f64()
        });
    }
}

/// Length of the text.
async fn read(provider: &dyn Provider) -> usize {
    let mut chunks = provider.stream(ChatRequest::default());
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        if let StreamChunk::Text(text) = black_box(chunk.unwrap()) {
            length += text.len();
        }
    }
    length
}

/// Every document as a tree, its text copied; length of all texts.
fn naive(family: &Family, bytes: &[u8]) -> usize {
    let mut chunks = Vec::new();
    let mut take = |document: &[u8]| {
        if let Ok(document) = serde_json::from_slice::<Value>(document) {
            chunks.extend(document.pointer(family.text).and_then(Value::as_str).map(str::to_owned));
        }
    };
    if family.name == "bedrock" {
        let mut rest = bytes;
        while let Some(prelude) = rest.first_chunk::<12>() {
            let length = |at: usize| u32::from_be_bytes(prelude[at..at + 4].try_into().unwrap()) as usize;
            take(&rest[12 + length(4)..length(0) - 4]);
            rest = &rest[length(0)..];
        }
    } else {
        for line in bytes.split(|byte| *byte == b'\n') {
            take(line.strip_prefix(b"data: ").unwrap_or(line));
        }
    }
    black_box(&chunks).iter().map(String::len).sum()
}

/// Answers every request with the same bytes, except those for lists of models.
struct Recorded {
    content_type: &'static str,
    pieces: Vec<Bytes>,
}

#[async_trait]
impl HttpTransport for Recorded {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut headers = HeaderMap::new();
        let (content_type, pieces) = match request.url.rsplit('/').next() {
            Some("tags") => ("application/json", vec![Bytes::from(r#"{"models":[{"name":"m","model":"m"}]}"#)]),
            Some("show") => ("application/json", vec![Bytes::from("{}")]),
            _ => (self.content_type, self.pieces.clone()),
        };
        headers.insert("content-type", content_type.parse().unwrap());
        Ok(HttpResponse { status: 200, headers, body: stream::iter(pieces.into_iter().map(Ok)).boxed() })
    }
}

fn provider(family: &Family, bytes: &[u8]) -> Arc<dyn Provider> {
    let pieces = bytes.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    let transport = Arc::new(Recorded { content_type: family.content_type, pieces });
    let http = Http::new(transport, Arc::new(SystemTime::now), Arc::new(|| 0.0));
    let mut settings: Settings = serde_json::from_value(family.settings.clone()).unwrap();
    settings.api_provider = Some(family.name.to_owned());
    create(&settings, &Surroundings::new(http, Arc::new(|id, _| id.to_owned()))).unwrap()
}
