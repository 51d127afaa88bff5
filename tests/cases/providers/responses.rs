//! OpenAI's Responses API: which transport is tried when, how the second one reads, how conversations go on.

use std::sync::Arc;
use std::time::SystemTime;

use lapce_ai::protocol::message::{ApiMessage, MessageContent, Role};
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, RequestMetadata, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::server::{Answer, Reply, Request, Server};
use super::suite::read;

async fn start(plan: fn(&Request, usize) -> Reply) -> (Server, Arc<dyn Provider>) {
    let server = Server::start(|_| None, Arc::new(plan)).await;
    let http = Http::new(Arc::new(Client::default()), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
    let settings = json!({
        "apiProvider": "openai-native", "openAiNativeApiKey": "k", "openAiNativeBaseUrl": server.origin,
    });
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let provider = create(&settings, &Surroundings::new(http, wording)).expect("a provider");
    (server, provider)
}

/// A conversation of this many messages, the user's first.
fn conversation(messages: usize, metadata: RequestMetadata) -> ChatRequest {
    let roles = [Role::User, Role::Assistant].into_iter().cycle().take(messages);
    let messages = roles.enumerate().map(|(number, role)| {
        let content = MessageContent::Text(format!("m{number}"));
        ApiMessage { role, content, ts: None, is_summary: None }
    });
    ChatRequest { system: "S".into(), messages: Arc::new(messages.collect()), metadata: Some(metadata) }
}

fn going_on_from(response: &str) -> RequestMetadata {
    RequestMetadata { previous_response_id: Some(response.to_owned()), ..RequestMetadata::default() }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

/// Paths of the requests, the response each goes on from, and how many messages it sends.
fn sent(server: &Server) -> Vec<(String, Option<String>, usize)> {
    let shown = |request: &Request| {
        let body = body(request);
        let previous = body.get("previous_response_id").and_then(Value::as_str).map(str::to_owned);
        (request.path.clone(), previous, body["input"].as_array().map_or(0, Vec::len))
    };
    server.requests().iter().map(shown).collect()
}

fn stream(body: String) -> Reply {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Reply::Answer(Answer { status: 200, headers, pieces: vec![body.into_bytes()], ..Answer::default() })
}

fn refusal(status: u16, message: &str) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = json!({"error": {"message": message}}).to_string();
    Reply::Answer(Answer { status, headers, pieces: vec![body.into_bytes()], ..Answer::default() })
}

fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn delta(text: &str) -> Value {
    json!({"type": "response.output_text.delta", "delta": text})
}

/// A whole answer of one word, under this id.
fn answer(id: &str) -> Reply {
    let created = json!({"type": "response.created", "response": {"id": id}});
    stream(events(&[created, delta("word"), json!({"type": "response.completed", "response": {"id": id}})]))
}

fn path(path: &str, previous: Option<&str>, messages: usize) -> (String, Option<String>, usize) {
    (path.to_owned(), previous.map(str::to_owned), messages)
}

#[tokio::test]
async fn a_response_that_the_server_forgot_is_not_gone_on_from() {
    let forgetful = |request: &Request, _| match body(request).get("previous_response_id") {
        Some(_) => refusal(400, "Previous response with id 'gone' not found."),
        None => answer("r1"),
    };
    let (server, provider) = start(forgetful).await;
    let outcome = read(&*provider, conversation(3, going_on_from("gone"))).await;
    assert_eq!((outcome.text.as_str(), outcome.error), ("word", None));
    assert_eq!(sent(&server), [path("/responses", Some("gone"), 1), path("/responses", None, 3)]);
    assert_eq!(provider.last_response_id().as_deref(), Some("r1"));
}

#[tokio::test]
async fn the_second_transport_also_begins_anew_once() {
    // The first transport finds no such path at all; only the second hears of the forgotten response.
    let plan = |request: &Request, _| match (request.path.as_str(), body(request).get("previous_response_id")) {
        ("/responses", _) => refusal(404, "no such path"),
        (_, Some(_)) => refusal(400, "Previous response not found"),
        _ => answer("r2"),
    };
    let (server, provider) = start(plan).await;
    let outcome = read(&*provider, conversation(3, going_on_from("gone"))).await;
    assert_eq!((outcome.text.as_str(), outcome.error), ("word", None));
    let expected =
        [path("/responses", Some("gone"), 1), path("/v1/responses", Some("gone"), 1), path("/v1/responses", None, 3)];
    assert_eq!(sent(&server), expected);
}

#[tokio::test]
async fn the_second_transport_reads_lines_of_many_forms() {
    let plan = |request: &Request, _| {
        if request.path == "/responses" {
            return refusal(404, "no such path");
        }
        let item = json!({"type": "text", "content": [{"type": "text", "text": "e"}]});
        let thought = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]});
        let usage = json!({"input_tokens": 5, "output_tokens": 6});
        stream(
            [
                ": a comment".to_owned(),
                "event: response.created".to_owned(),
                format!("data: {}", json!({"type": "response.created", "response": {"id": "r9"}})),
                format!("data: {}", delta("a")),
                "data: no JSON".to_owned(),
                format!("data: {}", json!({"type": "response.audio_transcript.delta", "delta": "b"})),
                format!(
                    "data: {}",
                    json!({"type": "response.content_part.added", "part": {"type": "text", "text": "c"}})
                ),
                format!("data: {}", json!({"choices": [{"delta": {"content": "d"}}]})),
                format!("data: {}", json!({"type": "response.in_progress", "response": {"output": [item, thought]}})),
                json!({"content": "f"}).to_string(),
                format!("data: {}", json!({"type": "response.output_text.done", "text": "not again"})),
                format!("data: {}", json!({"type": "response.completed", "response": {"id": "r9", "usage": usage}})),
                "data: [DONE]".to_owned(),
                String::new(),
            ]
            .join("\n"),
        )
    };
    let (server, provider) = start(plan).await;
    let outcome = read(&*provider, conversation(1, RequestMetadata::default())).await;
    assert_eq!((outcome.text.as_str(), outcome.reasoning.as_str(), &outcome.error), ("abcdef", "why", &None));
    assert_eq!((outcome.usage.input_tokens, outcome.usage.output_tokens), (5, 6));
    assert_eq!(provider.last_response_id().as_deref(), Some("r9"));
    let requests = server.requests();
    let [_, second] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(
        (second.header("accept"), second.header("authorization")),
        (Some("text/event-stream"), Some("Bearer k"))
    );
}

#[tokio::test]
async fn a_conversation_goes_on_from_its_last_response() {
    let (server, provider) = start(|_, number| answer(&format!("r{number}"))).await;
    let suppressed = RequestMetadata { suppress_previous_response_id: true, ..RequestMetadata::default() };
    for (messages, metadata) in [
        (1, RequestMetadata::default()),
        (3, RequestMetadata::default()),
        (5, going_on_from("r0")),
        (7, suppressed),
        (9, RequestMetadata::default()),
    ] {
        assert_eq!(read(&*provider, conversation(messages, metadata)).await.error, None);
    }
    let expected = [(None, 1), (Some("r0"), 1), (Some("r0"), 1), (None, 7), (Some("r3"), 1)];
    assert_eq!(sent(&server), expected.map(|(previous, messages)| path("/responses", previous, messages)));
}

/// Deviation D14.
#[tokio::test]
async fn nothing_is_sent_again_once_a_chunk_is_out() {
    let breaks = |_: &Request, _| stream(events(&[delta("half"), json!({"error": {"message": "overloaded"}})]));
    let (server, provider) = start(breaks).await;
    let outcome = read(&*provider, conversation(1, RequestMetadata::default())).await;
    assert_eq!(outcome.text, "half");
    assert!(outcome.error.expect("an error").message.contains("overloaded"));
    assert_eq!(server.requests().len(), 1);
}

/// parity 02 §6.6: a task goes on from the response that its last text came with, but not after a condensing
#[test]
fn a_task_goes_on_from_its_last_response_until_it_is_condensed() {
    use crate::harness::Mode;
    use crate::scripted::{ASK, answer, start as begin, ui};

    let plan = |_: &Request, number: usize| {
        let id = format!("r{number}");
        let text = if number == 2 || number == 4 { ASK } else { "word" };
        let usage = json!({"input_tokens": if number == 2 { 200_000 } else { 10 }, "output_tokens": 1});
        let completed = json!({"type": "response.completed", "response": {"id": id, "usage": usage}});
        stream(events(&[
            json!({"type": "response.created", "response": {"id": id}}),
            delta("So: "),
            delta(text),
            completed,
        ]))
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start(|_| None, Arc::new(plan)));
    let settings = json!({
        "apiProvider": "openai-native", "openAiNativeApiKey": "k", "openAiNativeBaseUrl": server.origin,
        "apiModelId": "gpt-5-2025-08-07", "autoCondenseContext": false,
    });
    let place = Mode::InProcess.open(tempfile::tempdir().expect("a folder"), settings);
    let host = place.host(&[]);
    let (session, task) = begin(&host, &place, "work", json!({}));
    let ask = host.ask("followup");
    host.call(&json!({"type": "task.condense", "session": session})).expect("condensed");
    answer(&host, ask, "x");
    host.ask("followup");
    drop(host);
    place.close();
    let previous: Vec<Option<String>> = sent(&server).into_iter().map(|(_, previous, _)| previous).collect();
    let of = |id: &str| Some(id.to_owned());
    // The fourth asks for the summary.
    assert_eq!((&previous[..3], &previous[4]), (&[None, of("r0"), of("r1")][..], &None), "{previous:?}");
    let ui = ui(&place, &task);
    let texts: Vec<&Value> = ui.iter().filter(|message| message["say"] == "text").collect();
    let known = &texts[1]["metadata"]["gpt5"];
    assert_eq!((&known["previous_response_id"], known["instructions"].is_string()), (&json!("r0"), true), "{known}");
}
