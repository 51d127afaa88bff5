//! What every provider must do with every kind of answer.

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{FutureExt, StreamExt};
use lapce_ai::protocol::message::{ApiMessage, ContentBlock, ImageSource, MessageContent, Role};
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{
    ChatRequest, Provider, ProviderError, RequestMetadata, StreamChunk, Surroundings, Usage, create,
};
use lapce_ai::settings::Settings;

use super::dialect::{INPUT_TOKENS, OUTPUT_TOKENS, Part};
use super::redirect::Redirect;
use super::rows::{ELSEWHERE, KEY, Row, Usages, all, side};
use super::secure;
use super::server::{Answer, End, Plan, Reply, Server};

/// A tool call as models write it, cut where it hurts.
const TOOL_CALL: [&str; 5] = ["I look: <read", "_file>\n<path>s\u{e9}rc/\u{1f980}", ".rs</pa", "th>\n</read_fi", "le>"];
/// Pixels of the image.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUg==";
/// Words of the vendor in a failed answer, with the key that it repeats.
const WORDS: &str = "the vendor is sorry";

/// What came of one streamed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub text: String,
    pub reasoning: String,
    pub usage: Usage,
    pub error: Option<ProviderError>,
}

/// Reads an answer to its end.
pub async fn read(provider: &dyn Provider, request: ChatRequest) -> Outcome {
    let mut outcome = Outcome::default();
    let mut chunks = provider.stream(request);
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(StreamChunk::Text(text)) => outcome.text.push_str(&text),
            Ok(StreamChunk::Reasoning(text)) => outcome.reasoning.push_str(&text),
            Ok(StreamChunk::Usage(usage)) => outcome.usage.add(&usage),
            Ok(other) => panic!("{other:?}"),
            Err(error) => outcome.error = Some(error),
        }
    }
    outcome
}

fn request() -> ChatRequest {
    let image = ImageSource::Base64 { media_type: "image/png".into(), data: IMAGE.into() };
    let blocks = vec![ContentBlock::text("look at this"), ContentBlock::Image { source: image }];
    let message = ApiMessage { role: Role::User, content: MessageContent::Blocks(blocks), ts: None, is_summary: None };
    let metadata = RequestMetadata { task_id: "t".into(), ..RequestMetadata::default() };
    ChatRequest { system: "You are S.".into(), messages: Arc::new(vec![message]), metadata: Some(metadata) }
}

fn provider(row: &Row, server: &Server, home: &std::path::Path) -> Arc<dyn Provider> {
    let transport = Redirect { inner: Arc::new(Client::default()), origin: server.origin.clone() };
    let http = Http::new(
        Arc::new(transport),
        Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045)),
        Arc::new(|| 0.0),
    );
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
    let surroundings = Surroundings { home: home.to_owned(), ..Surroundings::new(http, wording) };
    let mut settings: Settings = serde_json::from_value(row.settings.clone()).expect("settings");
    settings.http.http_ca_certificates = server.authority_file.as_ref().map(|file| file.display().to_string());
    create(&settings, &surroundings).unwrap_or_else(|error| panic!("{}: {error}", row.label()))
}

fn answer(row: &Row, parts: &[Part<'_>]) -> Answer {
    Answer {
        status: 200,
        // Some vendors name the request, so that one can ask what it cost.
        headers: vec![("content-type", row.dialect.content_type.into()), ("x-completion-request-id", "r1".into())],
        pieces: (row.dialect.frames)(parts),
        end: End::Whole,
    }
}

fn failure(row: &Row, status: u16) -> Answer {
    let words = if row.has_key() { format!("{WORDS}: {KEY}") } else { WORDS.to_owned() };
    let body = (row.dialect.failure)(&words).to_string().into_bytes();
    // The wait is short by the server's own wish.
    let headers = vec![("content-type", "application/json".into()), ("retry-after-ms", "1".into())];
    Answer { status, headers, pieces: vec![body], end: End::Whole }
}

/// The answer all readings must give.
fn parts(row: &Row) -> Vec<Part<'static>> {
    let reasoning = row.dialect.reasons.then_some(Part::Reasoning("let me see"));
    reasoning.into_iter().chain(TOOL_CALL.map(Part::Text)).chain([Part::Usage]).collect()
}

/// Complaints about a good answer.
fn check_good(row: &Row, outcome: &Outcome) -> Option<String> {
    let mut expected = Outcome { text: TOOL_CALL.concat(), ..Outcome::default() };
    if row.dialect.reasons {
        expected.reasoning = "let me see".into();
        expected.text.insert_str(0, row.dialect.joint);
    }
    let tokens = (outcome.usage.input_tokens, outcome.usage.output_tokens);
    let usage_fits = match row.usage {
        Usages::Counted => tokens.0 > 0 && tokens.1 > 0,
        Usages::Reported | Usages::Polled => tokens == (INPUT_TOKENS, OUTPUT_TOKENS),
    };
    let fits = outcome.error.is_none()
        && outcome.text == expected.text
        && outcome.reasoning == expected.reasoning
        && usage_fits;
    (!fits).then(|| format!("{}: {outcome:?}", row.label()))
}

/// Runs `check` for every provider at once; all complaints are shown together.
fn every_provider<F, W>(check: F)
where
    F: Fn(Arc<Row>, std::path::PathBuf) -> W,
    W: Future<Output = Vec<String>>,
{
    let home = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio");
    let complaints = runtime.block_on(async {
        // One provider alone, by its name, while it is being built.
        let wanted = std::env::var("LAPCE_AI_PROVIDER").ok();
        let rows = all(home.path()).into_iter().filter(|row| wanted.as_deref().is_none_or(|name| name == row.name));
        let checks = rows.map(|row| {
            let row = Arc::new(row);
            let check = check(row.clone(), home.path().to_owned());
            async move {
                let complaints = tokio::time::timeout(Duration::from_secs(120), check).await;
                complaints.unwrap_or_else(|_| vec![format!("{}: hangs", row.label())])
            }
        });
        futures::future::join_all(checks).await.concat()
    });
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

async fn served(row: &Row, reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let _ = row;
    let plan: Plan = Arc::new(move |_, number| reply(number));
    Server::start(side, plan).await
}

#[test]
fn no_provider_is_left_out() {
    let home = tempfile::tempdir().expect("a folder");
    let mut covered: Vec<&str> = all(home.path()).iter().map(|row| row.name).collect();
    covered.extend(ELSEWHERE.iter().map(|(name, _)| *name));
    let missing: Vec<&str> = lapce_ai::providers::names().filter(|name| !covered.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn an_answer_arrives_with_reasoning_tool_calls_and_usage() {
    every_provider(|row, home| async move {
        let good = answer(&row, &parts(&row));
        let server = served(&row, move |_| Reply::Answer(good.clone())).await;
        let outcome = read(&*provider(&row, &server, &home), request()).await;
        let mut complaints: Vec<String> = check_good(&row, &outcome).into_iter().collect();
        let requests = server.requests();
        if requests.len() != 1 {
            complaints.push(format!("{}: {} requests", row.label(), requests.len()));
        }
        let body = requests.first().map(super::server::Request::text).unwrap_or_default();
        if body.contains(IMAGE) != row.images {
            complaints.push(format!("{}: image in {body}", row.label()));
        }
        complaints
    });
}

#[test]
fn slow_bytes_and_gzip_change_nothing() {
    every_provider(|row, home| async move {
        let whole = answer(&row, &parts(&row));
        let bytes = whole.pieces.concat();
        let drip = Answer { pieces: bytes.iter().map(|byte| vec![*byte]).collect(), ..whole.clone() };
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&bytes).expect("compresses");
        let mut gzip = Answer { pieces: vec![encoder.finish().expect("compresses")], ..whole.clone() };
        gzip.headers.push(("content-encoding", "gzip".into()));
        let at_once = Answer { pieces: vec![bytes], ..whole };
        let mut complaints = Vec::new();
        for (kind, answer) in [("drip", drip), ("gzip", gzip), ("at once", at_once)] {
            let server = served(&row, move |_| Reply::Answer(answer.clone())).await;
            let outcome = read(&*provider(&row, &server, &home), request()).await;
            complaints.extend(check_good(&row, &outcome).map(|complaint| format!("{kind}: {complaint}")));
        }
        complaints
    });
}

#[test]
fn http_2_changes_nothing() {
    every_provider(|row, home| async move {
        let good = answer(&row, &parts(&row));
        let server = secure::start(side, Arc::new(move |_, _| Reply::Answer(good.clone()))).await;
        let outcome = read(&*provider(&row, &server, &home), request()).await;
        let mut complaints: Vec<String> = check_good(&row, &outcome).into_iter().collect();
        let requests = server.requests();
        if !requests.iter().all(|request| request.header("x-version") == Some("HTTP/2.0")) {
            complaints.push(format!("{}: {requests:?}", row.label()));
        }
        complaints
    });
}

#[test]
fn a_dropped_stream_closes_its_connection() {
    every_provider(|row, home| async move {
        let mut hang = answer(&row, &parts(&row));
        // Everything but the closing frames.
        hang.pieces.truncate(hang.pieces.len() - 2);
        hang.end = End::Silence;
        let server = served(&row, move |_| Reply::Answer(hang.clone())).await;
        let mut chunks = provider(&row, &server, &home).stream(request());
        let mut text = String::new();
        while !text.contains("I look") {
            match chunks.next().await {
                Some(Ok(StreamChunk::Text(piece))) => text.push_str(&piece),
                Some(Ok(_)) => {}
                end => return vec![format!("{}: {end:?} after {text:?}", row.label())],
            }
        }
        drop(chunks);
        server.client_left.notified().await;
        Vec::new()
    });
}

#[test]
fn failures_are_retried_as_specified_and_worded_without_the_key() {
    every_provider(|row, home| async move {
        let mut complaints = Vec::new();
        for status in [400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529] {
            let failed = failure(&row, status);
            let server = served(&row, move |_| Reply::Answer(failed.clone())).await;
            let outcome = read(&*provider(&row, &server, &home), request()).await;
            let place = format!("{} {status}", row.label());
            let (attempts, expected) = (server.requests().len(), row.retry.attempts(status));
            if attempts != expected {
                complaints.push(format!("{place}: {attempts} attempts, not {expected}"));
            }
            let Some(error) = outcome.error else {
                complaints.push(format!("{place}: no error"));
                continue;
            };
            let shown = format!("{error} {error:?} {}", outcome.text);
            if row.keyed && shown.contains(KEY) {
                complaints.push(format!("{place}: shows the key: {shown}"));
            }
            if row.words && !row.own_words.contains(&status) && !error.message.contains(WORDS) {
                complaints.push(format!("{place}: hides the vendor's words: {}", error.message));
            }
            if row.status != error.status.is_some() || error.status.is_some_and(|shown| shown != status) {
                complaints.push(format!("{place}: status {:?}", error.status));
            }
        }
        complaints
    });
}

#[test]
fn a_failure_that_passes_is_not_seen() {
    every_provider(|row, home| async move {
        let attempts = row.retry.attempts(503).min(3);
        let (failed, good) = (failure(&row, 503), answer(&row, &parts(&row)));
        let plan = move |number| Reply::Answer(if number + 1 < attempts { failed.clone() } else { good.clone() });
        let server = served(&row, plan).await;
        let outcome = read(&*provider(&row, &server, &home), request()).await;
        check_good(&row, &outcome).into_iter().collect()
    });
}

#[test]
fn a_lost_connection_is_an_error_after_what_was_received() {
    every_provider(|row, home| async move {
        let good = answer(&row, &parts(&row));
        let received = |frames: usize| {
            let mut cut = good.clone();
            cut.pieces.truncate(frames);
            cut.end = End::Cut;
            Reply::Answer(cut)
        };
        let inside = |frames: usize| match received(frames) {
            Reply::Answer(mut cut) => {
                let half = cut.pieces.last().map_or(0, Vec::len) / 2;
                cut.pieces.last_mut().into_iter().for_each(|piece| piece.truncate(half));
                Reply::Answer(cut)
            }
            other => other,
        };
        let frames = good.pieces.len();
        let holds = |frame: &Vec<u8>, text: &str| frame.windows(text.len()).any(|part| part == text.as_bytes());
        let first_text = good.pieces.iter().position(|frame| holds(frame, "I look")).expect("a frame with text");
        let stages = [
            ("before the head", Reply::Nothing),
            ("in the head", Reply::HalfHead),
            ("before the body", received(0)),
            ("in the first frame", inside(1)),
            ("between frames", received(first_text + 1)),
            ("in a frame", inside(first_text + 2)),
            ("in the last frame", inside(frames)),
        ];
        let mut complaints = Vec::new();
        for (stage, reply) in stages {
            let early = matches!(reply, Reply::Nothing | Reply::HalfHead);
            let server = served(&row, move |_| reply.clone()).await;
            let outcome = read(&*provider(&row, &server, &home), request()).await;
            let place = format!("{} {stage}", row.label());
            if outcome.error.is_none() && stage != "in the last frame" {
                complaints.push(format!("{place}: no error: {outcome:?}"));
            }
            let attempts = server.requests().len();
            if early && attempts != row.retry.attempts_when_closed() {
                complaints.push(format!("{place}: {attempts} attempts"));
            }
            if stage == "between frames" && !outcome.text.contains("I look: <read") {
                complaints.push(format!("{place}: received text is lost: {outcome:?}"));
            }
            // Bedrock tells its failures as text, which follows.
            if stage == "in the last frame" && !outcome.text.contains(&TOOL_CALL.concat()) {
                complaints.push(format!("{place}: received text is lost: {outcome:?}"));
            }
        }
        complaints
    });
}

#[test]
fn a_silent_server_is_left_when_the_caller_goes() {
    every_provider(|row, home| async move {
        let silent = Answer { pieces: Vec::new(), end: End::Silence, ..answer(&row, &[]) };
        let server = served(&row, move |_| Reply::Answer(silent.clone())).await;
        let mut chunks = provider(&row, &server, &home).stream(request());
        let waits = tokio::time::timeout(Duration::from_millis(50), chunks.next()).await;
        if let Ok(item) = waits {
            return vec![format!("{}: {item:?} of a silent server", row.label())];
        }
        drop(chunks);
        // The request may not have been made yet; then there is nothing to close.
        let _ = server.client_left.notified().now_or_never();
        Vec::new()
    });
}

#[test]
fn single_prompts_are_answered() {
    every_provider(|row, home| async move {
        let body = (row.dialect.whole)("an answer").to_string().into_bytes();
        let headers = vec![("content-type", "application/json".to_owned())];
        let reply = Answer { status: 200, headers, pieces: vec![body], end: End::Whole };
        let server = served(&row, move |_| Reply::Answer(reply.clone())).await;
        let answered = provider(&row, &server, &home).complete("a question").await;
        match (row.completes, answered) {
            (true, Ok(text)) if text == "an answer" => Vec::new(),
            (false, Err(_)) => Vec::new(),
            (_, answered) => vec![format!("{}: {answered:?}", row.label())],
        }
    });
}
