//! Qwen Code's login: read, renewed, written back; a refused token is replaced once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, ProviderError, StreamChunk, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::redirect::{MEANT_FOR, Redirect};
use super::server::{Answer, Reply, Request, Server};

/// Milliseconds of the clock in these tests.
const NOW: u64 = 1_767_323_045_000;

/// Renewals bring `new-token`; chat requests are refused unless they carry it or `good-token`.
fn reply(request: &Request, _: usize) -> Reply {
    let json_type = || vec![("content-type", "application/json".to_owned())];
    if request.path.ends_with("/oauth2/token") {
        let body = match request.text().contains("refresh_token=spent") {
            true => return Reply::Answer(Answer { status: 400, headers: json_type(), ..Answer::default() }),
            false => json!({"access_token": "new-token", "expires_in": 3600, "token_type": "Bearer"}),
        };
        let pieces = vec![body.to_string().into_bytes()];
        return Reply::Answer(Answer { status: 200, headers: json_type(), pieces, ..Answer::default() });
    }
    match request.header("authorization") {
        Some("Bearer new-token" | "Bearer good-token") => {
            let event = |content: &str| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": content}}]}));
            let pieces = ["<think>a</think>b", "<think>a</think>bc"].map(|text| event(text).into_bytes()).to_vec();
            let headers = vec![("content-type", "text/event-stream".to_owned())];
            Reply::Answer(Answer { status: 200, headers, pieces, ..Answer::default() })
        }
        _ => Reply::Answer(Answer { status: 401, headers: json_type(), ..Answer::default() }),
    }
}

/// What one streamed request gave, and what it took.
struct Run {
    text: String,
    reasoning: String,
    error: Option<ProviderError>,
    requests: Vec<Request>,
}

async fn run(home: &Path) -> Run {
    let server = Server::start(|_| None, Arc::new(reply)).await;
    let transport = Redirect { inner: Arc::new(Client::default()), origin: server.origin.clone() };
    let http = Http::new(
        Arc::new(transport),
        Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_millis(NOW)),
        Arc::new(|| 0.0),
    );
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
    let surroundings = Surroundings { home: home.to_owned(), ..Surroundings::new(http, wording) };
    let settings = json!({"apiProvider": "qwen-code", "qwenCodeOauthPath": "~/login.json"});
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let provider = create(&settings, &surroundings).expect("a provider");
    let mut run = Run { text: String::new(), reasoning: String::new(), error: None, requests: Vec::new() };
    let mut chunks = provider.stream(ChatRequest::default());
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(StreamChunk::Text(text)) => run.text.push_str(&text),
            Ok(StreamChunk::Reasoning(text)) => run.reasoning.push_str(&text),
            Ok(other) => panic!("{other:?}"),
            Err(error) => run.error = Some(error),
        }
    }
    run.requests = server.requests();
    run
}

fn write_login(home: &Path, token: &str, refresh: &str, expiry: u64) {
    let login = json!({
        "access_token": token, "refresh_token": refresh, "expiry_date": expiry, "resource_url": "portal.qwen.ai",
    });
    std::fs::write(home.join("login.json"), login.to_string()).expect("a file");
}

#[tokio::test]
async fn tokens_are_renewed_when_they_end_or_are_refused() {
    for (token, expiry, paths, renewed) in [
        ("good-token", NOW + 31_000, vec!["/v1/chat/completions"], false),
        ("good-token", NOW + 30_000, vec!["/api/v1/oauth2/token", "/v1/chat/completions"], true),
        ("revoked", NOW + 60_000, vec!["/v1/chat/completions", "/api/v1/oauth2/token", "/v1/chat/completions"], true),
    ] {
        let home = tempfile::tempdir().expect("a folder");
        write_login(home.path(), token, "refresh", expiry);
        let run = run(home.path()).await;
        assert_eq!((run.text.as_str(), run.reasoning.as_str(), run.error), ("bc", "a", None), "{token} {expiry}");
        let asked: Vec<&str> = run.requests.iter().map(|request| request.path.as_str()).collect();
        assert_eq!(asked, paths, "{token} {expiry}");
        let chat = run.requests.last().expect("a request");
        assert_eq!((chat.header(MEANT_FOR), chat.header("x-title")), (Some("https://portal.qwen.ai"), None));
        let login = std::fs::read_to_string(home.path().join("login.json")).expect("the file");
        let login: Value = serde_json::from_str(&login).expect("JSON");
        let expected = if renewed { ("new-token", NOW + 3_600_000) } else { (token, expiry) };
        assert_eq!(
            (login["access_token"].as_str(), login["expiry_date"].as_u64()),
            (Some(expected.0), Some(expected.1))
        );
        assert_eq!(
            (login["refresh_token"].as_str(), &login["resource_url"]),
            (Some("refresh"), &json!("portal.qwen.ai"))
        );
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_used_is_an_error_without_its_tokens() {
    let home = tempfile::tempdir().expect("a folder");
    for (login, words) in [
        (None, "provider.qwen_code.login"),
        (Some("{\"access_token\": \"secret-token\""), "provider.qwen_code.login"),
        (Some("{\"access_token\": \"secret-token\", \"refresh_token\": \"spent\"}"), "provider.qwen_code.renewal"),
    ] {
        if let Some(login) = login {
            std::fs::write(home.path().join("login.json"), login).expect("a file");
        }
        let error = run(home.path()).await.error.expect("an error");
        assert!(error.message.contains(words), "{error}");
        assert!(!format!("{error:?}").contains("secret-token"), "{error:?}");
    }
}
