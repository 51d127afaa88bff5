//! The OpenAI-compatible provider against a real server on the loopback: what the network does to a stream.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures::{FutureExt, StreamExt};
use lapce_ai::protocol::message::{ApiMessage, MessageContent, Role};
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, ProviderError, StreamChunk, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const KEY: &str = "sk-loopback-secret";

/// What the server does with one request.
#[derive(Clone)]
enum Reply {
    /// Writes this and waits for the next request.
    Bytes(Vec<u8>),
    /// Writes this byte by byte and closes.
    Drip(Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Writes this and waits until the client closes.
    Hang(Vec<u8>),
}

/// A server that answers the n-th request with the n-th reply; the last one repeats.
struct Server {
    base: String,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    client_left: Arc<Notify>,
}

impl Server {
    async fn start(replies: Vec<Reply>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Server {
            base: format!("http://{}/v1", listener.local_addr().expect("an address")),
            requests: Arc::default(),
            heads: Arc::default(),
            client_left: Arc::default(),
        };
        let (requests, heads, left) = (server.requests.clone(), server.heads.clone(), server.client_left.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let work = converse(connection, replies.clone(), requests.clone(), heads.clone(), left.clone());
                tokio::spawn(work);
            }
        });
        server
    }

    fn provider(&self, extra: serde_json::Value) -> Arc<dyn Provider> {
        let mut settings = json!({
            "apiProvider": "openai", "openAiBaseUrl": self.base, "openAiApiKey": KEY, "openAiModelId": "m",
        });
        settings.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        create(&settings, &surroundings()).expect("a provider")
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn converse(
    connection: TcpStream,
    replies: Vec<Reply>,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
    client_left: Arc<Notify>,
) {
    let _ = connection.set_nodelay(true);
    let mut connection = BufReader::new(connection);
    while let Some(head) = read_request(&mut connection).await {
        heads.lock().expect("no panic while locked").push(head);
        let number = requests.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        match &replies[number] {
            Reply::Bytes(bytes) => drop(connection.write_all(bytes).await),
            Reply::Close(bytes) => return drop(connection.write_all(bytes).await),
            Reply::Drip(bytes) => {
                for byte in bytes {
                    let _ = connection.write_all(&[*byte]).await;
                    tokio::task::yield_now().await;
                }
                return;
            }
            Reply::Hang(bytes) => {
                let _ = connection.write_all(bytes).await;
                while !matches!(connection.read(&mut [0; 64]).await, Ok(0) | Err(_)) {}
                return client_left.notify_one();
            }
        }
    }
}

/// Head of the next request; its body is read and dropped. `None`: the client has left.
async fn read_request(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    connection.read_exact(&mut vec![0; length]).await.ok()?;
    Some(head)
}

fn surroundings() -> Surroundings {
    let http = Http::new(Arc::new(Client::default()), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 1.0));
    Surroundings::new(http, Arc::new(|id, variables| format!("{id}{variables:?}")))
}

fn event(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]}))
}

fn answer(content_type: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{extra}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn failure(status: u16, extra: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(format!("HTTP/1.1 {status} X\r\n{extra}content-length: {length}\r\n\r\n{body}").into_bytes())
}

fn whole_stream() -> String {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    format!("{}{}data: {usage}\n\ndata: [DONE]\n\n", event("Hel"), event("lo é"))
}

fn request() -> ChatRequest {
    let content = MessageContent::Text("q".into());
    let message = ApiMessage { role: Role::User, content, ts: None, is_summary: None };
    ChatRequest { system: "S".into(), messages: Arc::new(vec![message]), metadata: None }
}

/// Text, number of usage chunks, and the failure.
async fn read(provider: &dyn Provider) -> (String, usize, Option<ProviderError>) {
    let mut chunks = provider.stream(request());
    let (mut text, mut usages) = (String::new(), 0);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(StreamChunk::Text(piece)) => text.push_str(&piece),
            Ok(StreamChunk::Usage(_)) => usages += 1,
            Ok(other) => panic!("{other:?}"),
            Err(error) => return (text, usages, Some(error)),
        }
    }
    (text, usages, None)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio");
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), future).await.expect("the test hangs")
    })
}

#[test]
fn answers_arrive_however_the_bytes_do() {
    let plain = whole_stream();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain.as_bytes()).expect("compresses");
    let gzip = encoder.finish().expect("compresses");
    let chunked: String = plain.as_bytes().chunks(7).map(|c| format!("{:x}\r\n{}\r\n", c.len(), Latin(c))).collect();
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunked}0\r\n\r\n");
    let open_ended = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{plain}");
    block_on(async {
        for reply in [
            Reply::Bytes(answer("text/event-stream", "", plain.as_bytes())),
            Reply::Drip(answer("text/event-stream; charset=utf-8", "", plain.as_bytes())),
            Reply::Bytes(answer("text/event-stream", "content-encoding: gzip\r\n", &gzip)),
            Reply::Bytes(chunked.chars().map(|c| c as u8).collect()),
            Reply::Close(open_ended.into_bytes()),
        ] {
            let server = Server::start(vec![reply]).await;
            assert_eq!(read(&*server.provider(json!({}))).await, ("Hello é".into(), 1, None));
            let head = server.heads.lock().expect("no panic while locked")[0].to_ascii_lowercase();
            assert!(head.starts_with("post /v1/chat/completions "), "{head}");
            assert!(head.contains("authorization: bearer sk-loopback-secret\r\n"), "{head}");
            assert!(head.contains("user-agent: kilo-code/4.98.2\r\n"), "{head}");
        }
    });
}

/// Bytes shown one character each, so that pieces of characters survive formatting.
struct Latin<'a>(&'a [u8]);

impl std::fmt::Display for Latin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

#[test]
fn a_broken_answer_is_an_error_after_what_was_received() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    let cut = format!("{head}content-length: 999\r\n\r\n{}data: {{\"cho", event("a"));
    let truncated = format!("{head}connection: close\r\n\r\n{}data: {{\"cho", event("a"));
    let unfinished = format!("{head}connection: close\r\n\r\n{}{}", event("a"), event("b").trim_end());
    let garbage = format!("{}data: nonsense\n\n", event("a"));
    let reported = format!("{}data: {}\n\n", event("a"), json!({"error": {"message": "busy", "code": "overloaded"}}));
    block_on(async {
        for (reply, text, error) in [
            (Reply::Close(cut.into_bytes()), "a", Some("provider.stream_interrupted")),
            (Reply::Close(truncated.into_bytes()), "a", Some("provider.stream_truncated")),
            (Reply::Close(unfinished.into_bytes()), "ab", None),
            (Reply::Bytes(answer("text/event-stream", "", garbage.as_bytes())), "a", Some("provider.invalid_answer")),
            (Reply::Bytes(answer("text/event-stream", "", reported.as_bytes())), "a", Some("busy")),
        ] {
            let server = Server::start(vec![reply]).await;
            let (received, _, failure) = read(&*server.provider(json!({}))).await;
            assert_eq!(received, text, "{error:?}");
            match (failure, error) {
                (Some(failure), Some(error)) => assert!(failure.message.starts_with(error), "{failure}"),
                (failure, error) => assert_eq!(failure.map(|f| f.message), error.map(str::to_owned)),
            }
            assert_eq!(server.requests(), 1, "a stream is never requested again");
        }
    });
}

#[test]
fn failures_before_the_stream_are_retried_and_worded() {
    let good = Reply::Bytes(answer("text/event-stream", "", whole_stream().as_bytes()));
    let soon = "retry-after-ms: 1\r\n";
    let busy = || failure(503, soon, "busy");
    let denied = r#"{"error":{"message":"no such key: sk-loopback-secret"}}"#;
    let html = Reply::Bytes(answer("text/html", "", b"<html>"));
    block_on(async {
        for (replies, requests, error) in [
            (vec![busy(), failure(429, soon, ""), good.clone()], 3, None),
            (vec![busy()], 3, Some("503 busy")),
            (vec![failure(401, "", denied)], 1, Some("401 no such key: …")),
            (vec![failure(400, "x-should-retry: true\r\nretry-after-ms: 1\r\n", ""), good], 2, None),
            (vec![failure(500, "x-should-retry: false\r\n", "")], 1, Some("provider.no_body")),
            (vec![html], 1, Some("provider.unexpected_content_type")),
            (vec![Reply::Close(Vec::new())], 3, Some("provider.connection_error")),
        ] {
            let server = Server::start(replies).await;
            let (_, _, failure) = read(&*server.provider(json!({}))).await;
            assert_eq!(server.requests(), requests, "{error:?}");
            let message = failure.map(|failure| failure.message);
            let fits =
                |e: &str, m: &str| m.starts_with("provider.completion_error") && m.contains(e) && !m.contains(KEY);
            match (&message, error) {
                (Some(message), Some(error)) => assert!(fits(error, message), "{message}"),
                _ => assert_eq!(message.is_some(), error.is_some(), "{message:?}"),
            }
        }
    });
}

#[test]
fn a_key_that_no_header_can_carry_is_named_without_being_shown() {
    block_on(async {
        let server = Server::start(vec![Reply::Close(Vec::new())]).await;
        let (_, _, failure) = read(&*server.provider(json!({"openAiApiKey": "schlüssel“"}))).await;
        assert_eq!(failure.map(|f| f.message), Some("provider.invalid_key_chars[]".into()));
        assert_eq!(server.requests(), 0);
    });
}

#[test]
fn dropping_the_stream_closes_the_connection() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let first = event("a");
    let hang = Reply::Hang(format!("{head}{:x}\r\n{first}\r\n", first.len()).into_bytes());
    block_on(async {
        let server = Server::start(vec![hang]).await;
        let mut chunks = server.provider(json!({})).stream(request());
        assert_eq!(chunks.next().await, Some(Ok(StreamChunk::Text("a".into()))));
        assert!(chunks.next().now_or_never().is_none(), "the server is silent");
        drop(chunks);
        server.client_left.notified().await;
    });
}

#[test]
fn a_server_that_never_answers_times_out() {
    block_on(async {
        let server = Server::start(vec![Reply::Hang(Vec::new())]).await;
        let (_, _, failure) = read(&*server.provider(json!({"apiRequestTimeout": 0.5}))).await;
        let message = failure.map(|failure| failure.message).unwrap_or_default();
        assert!(message.contains("provider.request_timeout"), "{message}");
        assert_eq!(server.requests(), 3);
    });
}

#[test]
fn fifty_streams_share_one_client() {
    block_on(async {
        let server = Server::start(vec![Reply::Drip(answer("text/event-stream", "", whole_stream().as_bytes()))]).await;
        let provider = server.provider(json!({}));
        let answers = futures::future::join_all((0..50).map(|_| read(&*provider))).await;
        assert!(answers.iter().all(|answer| *answer == ("Hello é".into(), 1, None)), "{answers:?}");
        assert_eq!(server.requests(), 50);
    });
}

/// Deviation D26.
#[test]
fn a_redirection_to_another_host_is_an_answer() {
    block_on(async {
        let moved = |location: &str| failure(307, &format!("location: {location}\r\n"), "moved");
        let whole = Reply::Bytes(answer("text/event-stream", "", whole_stream().as_bytes()));
        let other = Server::start(vec![whole.clone()]).await;
        let server = Server::start(vec![moved(&format!("{}/chat/completions", other.base))]).await;
        let (text, _, error) = read(&*server.provider(json!({}))).await;
        assert_eq!((text.as_str(), error.expect("an error").message.contains("307")), ("", true));
        assert_eq!(other.requests(), 0, "neither key nor prompt leaves");
        let within = Server::start(vec![moved("/v2/chat/completions"), whole]).await;
        assert_eq!(read(&*within.provider(json!({}))).await, ("Hello é".into(), 1, None));
        let heads = within.heads.lock().expect("no panic while locked");
        assert!(heads[1].to_ascii_lowercase().contains("authorization: bearer sk-loopback-secret"), "{}", heads[1]);
    });
}
