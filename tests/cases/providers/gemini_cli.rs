//! Gemini CLI's login against servers on the loopback.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lapce_ai::providers::http::{HeaderMap, HttpRequest, HttpResponse, HttpTransport, TransportError};
use lapce_ai::providers::{ChatRequest, Provider, StreamChunk};
use serde_json::{Value, json};

use super::dialect::{GEMINI, GEMINI_CLI, Part};
use super::google::{SECRET, START, USER_TOKEN, World, bad_files, form, token};
use super::redirect::MEANT_FOR;
use super::server::Request;

const CLIENT: &str = "/extension-config.json";
const LOAD: &str = "/v1internal:loadCodeAssist";
const ONBOARD: &str = "/v1internal:onboardUser";
const GENERATE: &str = "/v1internal:generateContent";

/// A login with so many seconds left.
fn login(seconds_left: i64) -> Value {
    json!({
        "access_token": "kept-token", "refresh_token": SECRET, "token_type": "Bearer", "id_token": "kept-id",
        "expiry_date": (START as i64 + seconds_left) * 1000, "other": {"kept": true},
    })
}

/// What the servers say when all is well.
fn willing(request: &Request, _: usize) -> (u16, Value) {
    let answer = match request.path.as_str() {
        CLIENT => json!({"geminiCli": {"oauthClientId": "id", "oauthClientSecret": SECRET}}),
        USER_TOKEN => token("new-token"),
        LOAD => json!({"cloudaicompanionProject": "loaded"}),
        ONBOARD => json!({"done": true, "response": {"cloudaicompanionProject": {"id": "onboarded"}}}),
        _ => (GEMINI_CLI.whole)("an answer"),
    };
    (200, answer)
}

fn settings(extra: Value) -> Value {
    let mut settings = json!({"apiProvider": "gemini-cli", "geminiCliProjectId": "given"});
    settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    settings
}

/// A profile without a project.
fn any_project() -> Value {
    settings(json!({"geminiCliProjectId": null}))
}

fn json_of(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The project that the last call for content named.
fn project(world: &World) -> Value {
    json_of(world.requests(GENERATE).last().unwrap())["project"].clone()
}

#[tokio::test]
async fn a_login_that_lasts_is_used_as_it_is() {
    for (path, setting) in [(".gemini/oauth_creds.json", None), ("elsewhere.json", Some("~/elsewhere.json"))] {
        let world = World::start(willing).await;
        let file = world.write(path, login(1).to_string());
        let provider = world.provider(settings(json!({"geminiCliOAuthPath": setting})));
        assert_eq!(provider.complete("q").await.unwrap(), "an answer");
        let requests = world.server.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("authorization"), Some("Bearer kept-token"));
        assert_eq!(requests[0].header(MEANT_FOR), Some("https://cloudcode-pa.googleapis.com"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), login(1).to_string());
    }
}

#[tokio::test]
async fn an_expired_login_is_renewed_and_written_back() {
    let world = World::start(willing).await;
    let file = world.write(".gemini/oauth_creds.json", login(0).to_string());
    let provider = world.provider(settings(json!({})));
    for _ in 0..2 {
        assert_eq!(provider.complete("q").await.unwrap(), "an answer");
    }
    assert_eq!(world.requests(CLIENT).len(), 1);
    let renewals = world.requests(USER_TOKEN);
    assert_eq!(renewals.len(), 1);
    let expected =
        [("refresh_token", SECRET), ("client_id", "id"), ("client_secret", SECRET), ("grant_type", "refresh_token")];
    assert_eq!(form(&renewals[0]), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(world.requests(GENERATE)[1].header("authorization"), Some("Bearer new-token"));

    let mut expected = login(3600);
    expected["access_token"] = json!("new-token");
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected);
    assert!(written.starts_with("{\n  \"access_token\""), "{written}");
}

#[tokio::test]
async fn a_login_that_another_program_renewed_is_read_again() {
    let world = World::start(willing).await;
    world.write(".gemini/oauth_creds.json", login(10).to_string());
    let provider = world.provider(settings(json!({})));
    provider.complete("q").await.unwrap();
    let mut renewed = login(4000);
    renewed["access_token"] = json!("their-token");
    world.write(".gemini/oauth_creds.json", renewed.to_string());
    world.clock.store(START + 10, std::sync::atomic::Ordering::SeqCst);
    provider.complete("q").await.unwrap();
    assert_eq!(world.requests(GENERATE)[1].header("authorization"), Some("Bearer their-token"));
    assert!(world.requests(USER_TOKEN).is_empty());
}

#[tokio::test]
async fn an_unusable_login_is_named_and_not_shown() {
    let cases = bad_files().into_iter().chain(
        [json!({}), json!({"access_token": 7}), json!({"expiry_date": 1, "access_token": SECRET})]
            .map(|login| (login.to_string().into_bytes(), "provider.google_auth.missing")),
    );
    let world = World::start(willing).await;
    let provider = world.provider(settings(json!({})));
    let file = world.home.path().join(".gemini/oauth_creds.json");
    let refused = async |id: &str| {
        let error = provider.complete("q").await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with("provider.gemini_cli.login") && shown.contains(id), "{id}: {shown}");
        assert!(shown.contains(".gemini") && !shown.contains(SECRET), "{shown}");
    };
    refused("provider.google_auth.unreadable").await;
    for (content, id) in cases {
        world.write(".gemini/oauth_creds.json", content);
        refused(id).await;
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    refused("provider.google_auth.unreadable").await;
    assert!(world.server.requests().is_empty());
}

#[tokio::test]
async fn a_renewal_that_fails_is_told() {
    for (path, status, body, id) in [
        (CLIENT, 404, json!({}), "provider.gemini_cli.client"),
        (CLIENT, 200, json!([]), "provider.gemini_cli.no_client"),
        (
            CLIENT,
            200,
            json!({"geminiCli": {"oauthClientId": "id", "oauthClientSecret": 7}}),
            "provider.gemini_cli.no_client",
        ),
        (
            USER_TOKEN,
            400,
            json!({"error": "invalid_grant", "error_description": SECRET}),
            "provider.google_auth.refused",
        ),
        (USER_TOKEN, 200, json!({}), "provider.google_auth.no_token"),
    ] {
        let answer = body.clone();
        let world =
            World::start(
                move |request, number| {
                    if request.path == path { (status, answer.clone()) } else { willing(request, number) }
                },
            )
            .await;
        let file = world.write(".gemini/oauth_creds.json", login(-5).to_string());
        let error = world.provider(settings(json!({}))).complete("q").await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(id) && !shown.contains(SECRET), "{id}: {shown}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), login(-5).to_string(), "{body}");
    }
}

#[tokio::test]
async fn the_project_is_looked_for_where_it_may_be() {
    for (profile, variables, service, expected, calls) in [
        (settings(json!({})), Some("GOOGLE_CLOUD_PROJECT=file"), json!({}), "given", 0),
        (any_project(), Some("GOOGLE_CLOUD_PROJECT=file"), json!({}), "file", 0),
        (any_project(), Some("OTHER=1"), json!({"cloudaicompanionProject": "loaded"}), "loaded", 1),
        (any_project(), None, json!({"cloudaicompanionProject": "loaded"}), "loaded", 1),
        (any_project(), None, json!({"allowedTiers": [{"id": "paid", "isDefault": true}]}), "onboarded", 2),
    ] {
        let answer = service.clone();
        let mut world = World::start(move |request, number| match request.path.as_str() {
            LOAD => (200, answer.clone()),
            _ => willing(request, number),
        })
        .await;
        world.environment.push(("GOOGLE_CLOUD_PROJECT", "environment".into()));
        world.write(".gemini/oauth_creds.json", login(60).to_string());
        if let Some(variables) = variables {
            world.write(".gemini/.env", variables);
        }
        let provider = world.provider(profile);
        for _ in 0..2 {
            assert_eq!(provider.complete("q").await.unwrap(), "an answer");
        }
        assert_eq!(project(&world), expected);
        assert_eq!(world.requests(LOAD).len() + world.requests(ONBOARD).len(), calls, "{service}");
        let metadata = json!({
            "ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI",
            "duetProject": "environment",
        });
        let load = json!({"cloudaicompanionProject": "environment", "metadata": metadata});
        assert!(world.requests(LOAD).iter().all(|request| json_of(request) == load));
        let onboard = json!({"tierId": "paid", "cloudaicompanionProject": "environment", "metadata": metadata});
        assert!(world.requests(ONBOARD).iter().all(|request| json_of(request) == onboard));
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_the_project() {
    for (path, refusals, answers, renewals) in [(LOAD, 1, true, 1), (LOAD, 9, false, 1), (GENERATE, 1, false, 0)] {
        let seen = Mutex::new(0);
        let world = World::start(move |request, number| {
            let mut seen = seen.lock().unwrap();
            if request.path == path && *seen < refusals {
                *seen += 1;
                return (401, json!({"error": {"message": "who?"}}));
            }
            willing(request, number)
        })
        .await;
        world.write(".gemini/oauth_creds.json", login(60).to_string());
        let answered = world.provider(any_project()).complete("q").await;
        assert_eq!(answered.is_ok(), answers, "{path}: {answered:?}");
        assert_eq!(world.requests(USER_TOKEN).len(), renewals, "{path}");
        if let Err(error) = answered {
            assert!(error.message.starts_with("provider.gemini_cli.api") && error.message.contains("401 who?"));
        }
    }
}

#[tokio::test]
async fn failures_are_worded_by_their_status() {
    for (status, id) in [(429, "rate_limit"), (400, "bad_request"), (403, "api"), (500, "api")] {
        let refusal = json!({"error": {"message": format!("no, {}", "kept-token")}});
        let world = World::start(move |_, _| (status, refusal.clone())).await;
        world.write(".gemini/oauth_creds.json", login(60).to_string());
        let provider = world.provider(settings(json!({})));
        let streamed = provider.stream(ChatRequest::default()).next().await.unwrap().unwrap_err();
        for error in [streamed, provider.complete("q").await.unwrap_err()] {
            assert!(error.message.starts_with(&format!("provider.gemini_cli.{id} ")), "{error}");
            assert!(error.message.contains(&format!("{status} no, …")), "{error}");
        }
        assert_eq!(world.server.requests().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn the_whole_request_goes_out() {
    let world = World::start(willing).await;
    world.write(".gemini/oauth_creds.json", login(60).to_string());
    let profile = settings(json!({"apiModelId": "gemini-2.5-pro", "modelMaxTokens": 2000}));
    for (profile, model, generation) in [
        (settings(json!({})), "gemini-2.0-flash-001", json!({"temperature": 0.7, "maxOutputTokens": 8192})),
        (
            profile,
            "gemini-2.5-pro",
            json!({"temperature": 0.7, "maxOutputTokens": 2000, "thinkingConfig": {"thinkingBudget": 128, "includeThoughts": true}}),
        ),
    ] {
        let provider = world.provider(profile);
        let request = ChatRequest { system: "You are S.".into(), ..ChatRequest::default() };
        provider.stream(request).collect::<Vec<_>>().await;
        let requests = world.server.requests();
        let last = requests.last().unwrap();
        assert_eq!(last.path, "/v1internal:streamGenerateContent?alt=sse");
        let mut body = json_of(last);
        if generation.get("thinkingConfig").is_none() {
            assert_eq!(body["request"]["generationConfig"].get("thinkingConfig"), None);
        }
        assert_eq!(body["request"]["generationConfig"].take(), generation);
        let contents = json!([{"role": "user", "parts": [{"text": "You are S."}]}]);
        let expected = json!({"contents": contents, "generationConfig": null});
        assert_eq!(body, json!({"model": model, "project": "given", "request": expected}));
    }
}

/// Answers without a network, so that time can stand still.
struct Scripted {
    onboarding: Mutex<Vec<Value>>,
    events: Vec<u8>,
}

#[async_trait]
impl HttpTransport for Scripted {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let path = url::Url::parse(&request.url).unwrap().path().to_owned();
        let (kind, body) = match path.as_str() {
            LOAD => ("application/json", b"{}".to_vec()),
            ONBOARD => {
                let mut answers = self.onboarding.lock().unwrap();
                let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
                ("application/json", answer.to_string().into_bytes())
            }
            GENERATE => ("application/json", (GEMINI.whole)("an answer").to_string().into_bytes()),
            _ => ("text/event-stream", self.events.clone()),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        Ok(HttpResponse { status: 200, headers, body: stream::iter([Ok(Bytes::from(body))]).boxed() })
    }
}

/// The provider, and the world whose login it reads.
async fn scripted(profile: Value, onboarding: Vec<Value>, events: Vec<u8>) -> (World, Arc<dyn Provider>) {
    let world = World::start(willing).await;
    let file = world.write("login.json", login(60).to_string());
    let mut profile = profile;
    profile["geminiCliOAuthPath"] = json!(file);
    let provider = world.provider_over(Arc::new(Scripted { onboarding: Mutex::new(onboarding), events }), profile);
    (world, provider)
}

#[tokio::test(start_paused = true)]
async fn an_account_is_waited_for_a_minute() {
    let pending = json!({"name": "operation"});
    let done = json!({"done": true, "response": {"cloudaicompanionProject": {"id": "p"}}});
    let bare = json!({"done": true});
    for (pauses, last, expected) in
        [(0, &done, Some(0)), (3, &done, Some(6)), (30, &bare, Some(60)), (31, &done, None), (99, &done, None)]
    {
        let answers: Vec<Value> = std::iter::repeat_n(pending.clone(), pauses).chain([last.clone()]).collect();
        let (_world, provider) = scripted(any_project(), answers, Vec::new()).await;
        let start = tokio::time::Instant::now();
        let answered = provider.complete("q").await;
        match expected {
            Some(seconds) => {
                assert_eq!(answered.unwrap(), "an answer");
                assert_eq!(start.elapsed().as_secs(), seconds, "{pauses}");
            }
            None => assert_eq!(answered.unwrap_err().message, "provider.gemini_cli.onboarding []"),
        }
    }
}

#[tokio::test]
async fn the_first_finish_reason_ends_the_answer() {
    let event = |answer: Value| format!("data: {answer}\n\n");
    let text = |text: &str, finish: Option<&str>| {
        json!({
            "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": finish}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "cachedContentTokenCount": 1},
        })
    };
    for finish in ["STOP", "MAX_TOKENS"] {
        let bare = event(text("a", None));
        let nested = event(json!({"response": text("b", Some(finish))}));
        let late = String::from_utf8((GEMINI.frames)(&[Part::Text("late")]).concat()).unwrap();
        let (_world, provider) =
            scripted(settings(json!({})), vec![], [bare, nested, late].concat().into_bytes()).await;
        let mut chunks: Vec<StreamChunk> =
            provider.stream(ChatRequest::default()).map(|chunk| chunk.unwrap()).collect().await;
        let Some(StreamChunk::Usage(last)) = chunks.pop() else { panic!("no usage") };
        assert_eq!((last.input_tokens, last.output_tokens, last.cache_read_tokens), (5, 2, Some(1)));
        assert_eq!(last.total_cost, Some(0.0));
        assert_eq!(chunks, ["a", "b"].map(|text| StreamChunk::Text(text.into())), "{finish}");
        assert_eq!(provider.cost(&last), 0.0);
    }
}
