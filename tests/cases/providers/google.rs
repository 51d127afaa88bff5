//! Google's logins against token servers on the loopback: service accounts, users, the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt;
use futures::future::join_all;
use lapce_ai::protocol::message::ContentBlock;
use lapce_ai::providers::http::{Client, Http, HttpTransport};
use lapce_ai::providers::{ChatRequest, Provider, Surroundings, create};
use lapce_ai::settings::Settings;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::dialect::GEMINI;
use super::redirect::{MEANT_FOR, Redirect};
use super::server::{Answer, Reply, Request, Server};

const PEM: &str = include_str!("../../data/google/test_key.pem");
/// Stands for everything secret in a credential; must show nowhere.
pub const SECRET: &str = "canary-of-a-secret";
/// When tests begin.
pub const START: u64 = 1_767_323_045;

const ACCOUNT_TOKEN: &str = "/oauth2/v4/token";
pub const USER_TOKEN: &str = "/token";
const MACHINE_TOKEN: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Everything a provider sees: a server that is everybody, a clock, an environment, a home folder.
pub struct World {
    pub home: tempfile::TempDir,
    pub server: Server,
    /// Seconds since the Unix epoch.
    pub clock: Arc<AtomicU64>,
    pub environment: Vec<(&'static str, String)>,
}

impl World {
    /// `answer` gives status and body by the request and its number.
    pub async fn start(answer: impl Fn(&Request, usize) -> (u16, Value) + Send + Sync + 'static) -> World {
        let plan = Arc::new(move |request: &Request, number| {
            let (status, body) = answer(request, number);
            let headers = vec![("content-type", "application/json".to_owned())];
            Reply::Answer(Answer { status, headers, pieces: vec![body.to_string().into_bytes()], ..Answer::default() })
        });
        World {
            home: tempfile::tempdir().unwrap(),
            server: Server::start(|_| None, plan).await,
            clock: Arc::new(AtomicU64::new(START)),
            environment: Vec::new(),
        }
    }

    pub fn provider(&self, settings: Value) -> Arc<dyn Provider> {
        let origin = self.server.origin.clone();
        self.provider_over(Arc::new(Redirect { inner: Arc::new(Client::default()), origin }), settings)
    }

    pub fn provider_over(&self, transport: Arc<dyn HttpTransport>, settings: Value) -> Arc<dyn Provider> {
        let clock = self.clock.clone();
        let now = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst));
        let http = Http::new(transport, Arc::new(now), Arc::new(|| 1.0));
        let environment = self.environment.clone();
        let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
        let surroundings = Surroundings {
            environment: Arc::new(move |name| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone())),
            home: self.home.path().to_owned(),
            ..Surroundings::new(http, wording)
        };
        let settings: Settings = serde_json::from_value(settings).unwrap();
        create(&settings, &surroundings).unwrap()
    }

    /// Writes a file below the home folder.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Requests to this path, query left out.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.server.requests();
        requests.into_iter().filter(|request| request.path.split('?').next() == Some(path)).collect()
    }
}

/// A token that lasts an hour.
pub fn token(value: &str) -> Value {
    json!({"access_token": value, "expires_in": 3600, "token_type": "Bearer"})
}

pub fn form(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

fn vertex(extra: Value) -> Value {
    let mut settings = json!({
        "apiProvider": "vertex", "vertexProjectId": "p", "vertexRegion": "r", "apiModelId": "gemini-2.5-flash",
    });
    settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    settings
}

fn account() -> Value {
    json!({"type": "service_account", "client_email": "svc@p.test", "private_key": PEM, "quota_project_id": "own"})
}

fn user() -> Value {
    json!({"type": "authorized_user", "client_id": "id", "client_secret": SECRET, "refresh_token": SECRET})
}

/// Gives tokens named after their number, and an answer to everything else.
fn willing(request: &Request, number: usize) -> (u16, Value) {
    match request.path.split('?').next() {
        Some(ACCOUNT_TOKEN | USER_TOKEN | MACHINE_TOKEN) => (200, token(&format!("token-{number}"))),
        _ => (200, (GEMINI.whole)("an answer")),
    }
}

/// How the last model call was authorised: token and project that is charged.
fn authorization(world: &World) -> (Option<String>, Option<String>) {
    let requests = world.server.requests();
    let last = requests.last().unwrap();
    (last.header("authorization").map(str::to_owned), last.header("x-goog-user-project").map(str::to_owned))
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let world = World::start(willing).await;
    let provider = world.provider(vertex(json!({"vertexJsonCredentials": account().to_string()})));
    assert_eq!(provider.complete("q").await.unwrap(), "an answer");
    assert_eq!(authorization(&world), (Some("Bearer token-0".into()), Some("own".into())));

    let request = &world.requests(ACCOUNT_TOKEN)[0];
    assert_eq!(request.header(MEANT_FOR), Some("https://www.googleapis.com"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    let [(grant, kind), (name, assertion)] = &form(request)[..] else { panic!("{}", request.text()) };
    let expected = ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion");
    assert_eq!((grant.as_str(), kind.as_str(), name.as_str()), expected);

    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let body: String = PEM.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    assert_eq!(public.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()), Ok(()));
    let claims = URL_SAFE_NO_PAD.decode(message.split_once('.').unwrap().1).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&claims).unwrap(),
        json!({
            "iss": "svc@p.test", "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://www.googleapis.com/oauth2/v4/token", "iat": START, "exp": START + 3600,
        })
    );
}

#[tokio::test]
async fn a_user_s_login_is_found_where_gcloud_puts_it() {
    let mut login = user();
    login["quota_project_id"] = json!("own");
    for (quota, expected) in [(None, "own"), (Some("other"), "other")] {
        let mut world = World::start(willing).await;
        world.write(".config/gcloud/application_default_credentials.json", login.to_string());
        world.environment.extend(quota.map(|project| ("GOOGLE_CLOUD_QUOTA_PROJECT", project.to_owned())));
        let provider = world.provider(vertex(json!({})));
        assert_eq!(provider.complete("q").await.unwrap(), "an answer");
        assert_eq!(authorization(&world), (Some("Bearer token-0".into()), Some(expected.into())));
        let request = &world.requests(USER_TOKEN)[0];
        assert_eq!(request.header(MEANT_FOR), Some("https://oauth2.googleapis.com"));
        let expected = [
            ("refresh_token", SECRET),
            ("client_id", "id"),
            ("client_secret", SECRET),
            ("grant_type", "refresh_token"),
        ];
        assert_eq!(form(request), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[tokio::test]
async fn the_machine_has_a_login_of_its_own() {
    let world = World::start(willing).await;
    let provider = world.provider(vertex(json!({})));
    assert_eq!(provider.complete("q").await.unwrap(), "an answer");
    assert_eq!(authorization(&world), (Some("Bearer token-0".into()), None));
    let request = &world.requests(MACHINE_TOKEN)[0];
    assert_eq!(request.method, "GET");
    assert_eq!(request.header("metadata-flavor"), Some("Google"));
    assert_eq!(request.header(MEANT_FOR), Some("http://169.254.169.254"));
    assert!(request.path.ends_with("?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform"));
}

#[tokio::test]
async fn the_first_credentials_found_count() {
    let machine = (None, MACHINE_TOKEN);
    for (json, key_file, variable, gcloud, expected) in [
        (Some(account()), Some(user()), None, None, (Some("own"), ACCOUNT_TOKEN)),
        (None, Some(account()), Some(user()), None, (Some("own"), ACCOUNT_TOKEN)),
        (None, None, Some(user()), Some(account()), (None, USER_TOKEN)),
        (None, None, None, Some(account()), (Some("own"), ACCOUNT_TOKEN)),
        // JSON that is none leads past the key file.
        (Some(json!("{oops")), Some(account()), None, Some(user()), (None, USER_TOKEN)),
        (Some(json!("[1]")), Some(account()), None, None, machine),
        (Some(json!("")), None, None, None, machine),
        (None, None, None, None, machine),
    ] {
        let mut world = World::start(willing).await;
        let mut settings = json!({});
        if let Some(json) = json {
            settings["vertexJsonCredentials"] = json!(json.as_str().map_or_else(|| json.to_string(), str::to_owned));
        }
        if let Some(credential) = key_file {
            settings["vertexKeyFile"] = json!(world.write("key.json", credential.to_string()));
        }
        if let Some(credential) = variable {
            let file = world.write("variable.json", credential.to_string());
            world.environment.push(("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap().to_owned()));
        }
        if let Some(credential) = gcloud {
            world.write(".config/gcloud/application_default_credentials.json", credential.to_string());
        }
        let answered = world.provider(vertex(settings.clone())).complete("q").await;
        assert!(answered.is_ok(), "{settings}: {answered:?}");
        let (quota, path) = expected;
        assert_eq!(world.requests(path).len(), 1, "{settings}");
        assert_eq!(authorization(&world).1.as_deref(), quota, "{settings}");
    }
}

#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_its_end() {
    let world = World::start(willing).await;
    for model in ["gemini-2.5-flash", "claude-sonnet-4@20250514"] {
        let settings = json!({"vertexJsonCredentials": user().to_string(), "apiModelId": model});
        let provider = world.provider(vertex(settings));
        let before = world.requests(USER_TOKEN).len();
        let start = world.clock.load(Ordering::SeqCst);
        for (elapsed, tokens) in [(0, 1), (3299, 1), (3300, 2), (6599, 2), (7000, 3)] {
            world.clock.store(start + elapsed, Ordering::SeqCst);
            provider.complete("q").await.unwrap();
            assert_eq!(world.requests(USER_TOKEN).len() - before, tokens, "{model} after {elapsed} s");
        }
    }
}

#[tokio::test]
async fn many_calls_wait_for_one_token() {
    let world = World::start(willing).await;
    let provider = world.provider(vertex(json!({"vertexJsonCredentials": user().to_string()})));
    let answers = join_all((0..20).map(|_| provider.complete("q"))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(world.requests(USER_TOKEN).len(), 1);
}

/// What a credentials file may hold that is none, and what is said of it.
pub fn bad_files() -> Vec<(Vec<u8>, &'static str)> {
    let quoted = |text: &str| format!("{{\"private_key\": \"{SECRET}\", {text}").into_bytes();
    vec![
        (b"".to_vec(), "provider.google_auth.not_json"),
        (quoted("oops"), "provider.google_auth.not_json"),
        (format!("[\"{SECRET}\"]").into_bytes(), "provider.google_auth.not_json"),
        (format!("\"{SECRET}\"").into_bytes(), "provider.google_auth.not_json"),
        ([SECRET.as_bytes(), b"\xff\xfe"].concat(), "provider.google_auth.unreadable"),
        (format!("{{\"a\": \"{}\"}}", SECRET.repeat(30_000)).into_bytes(), "provider.google_auth.too_large"),
        (format!("{}{}", "[".repeat(200_000), SECRET).into_bytes(), "provider.google_auth.not_json"),
    ]
}

#[tokio::test]
async fn an_unusable_credential_is_named_and_not_shown() {
    let cases = bad_files().into_iter().chain(
        [
            (json!({}), "provider.google_auth.missing"),
            (json!({"client_email": SECRET}), "provider.google_auth.missing"),
            (json!({"client_email": 7, "private_key": SECRET}), "provider.google_auth.missing"),
            (json!({"client_email": "", "private_key": SECRET}), "provider.google_auth.missing"),
            (json!({"client_email": "e", "private_key": SECRET}), "provider.google_auth.invalid_key"),
            (json!({"type": "authorized_user", "refresh_token": SECRET}), "provider.google_auth.missing"),
            (json!({"type": "external_account", "audience": SECRET}), "provider.google_auth.unknown_type"),
        ]
        .map(|(credential, id)| (credential.to_string().into_bytes(), id)),
    );
    let mut world = World::start(willing).await;
    let file = world.write("key.json", "");
    let path = file.to_str().unwrap().to_owned();
    for (content, id) in cases {
        std::fs::write(&file, content).unwrap();
        refused(&world, json!({"vertexKeyFile": path}), id, &path).await;
        world.environment = vec![("GOOGLE_APPLICATION_CREDENTIALS", path.clone())];
        refused(&world, json!({}), id, &path).await;
        world.environment.clear();
    }
    for missing in [world.home.path().join("none.json"), world.home.path().to_owned()] {
        let missing = missing.to_str().unwrap();
        refused(&world, json!({"vertexKeyFile": missing}), "provider.google_auth.unreadable", missing).await;
    }
    let json = json!({"type": "authorized_user", "refresh_token": SECRET}).to_string();
    let place = "vertexJsonCredentials";
    refused(&world, json!({"vertexJsonCredentials": json}), "provider.google_auth.missing", place).await;
    assert!(world.server.requests().is_empty());
}

/// Gemini and Claude both fail with this error, and show no secret.
async fn refused(world: &World, settings: Value, id: &str, place: &str) {
    for (model, wrap) in
        [("gemini-2.5-flash", "provider.gemini.complete"), ("claude-sonnet-4@20250514", "provider.completion_error")]
    {
        let mut settings = settings.clone();
        settings["apiModelId"] = json!(model);
        let error = world.provider(vertex(settings)).complete("q").await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with(wrap) && shown.contains(id) && shown.contains(place), "{id} {place}: {shown}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

#[tokio::test]
async fn a_token_server_s_refusal_is_told_without_secrets() {
    for (status, body, id, told) in [
        (
            400,
            json!({"error": "invalid_grant", "error_description": format!("bad {SECRET}")}),
            "refused",
            "invalid_grant: bad …",
        ),
        (400, json!({"error": {"message": SECRET}}), "refused", "400"),
        (401, json!(SECRET), "refused", "401"),
        (200, json!({"expires_in": 5}), "no_token", "oauth2.googleapis.com"),
        (200, json!({"access_token": ""}), "no_token", "oauth2.googleapis.com"),
        (200, json!([SECRET]), "no_token", "oauth2.googleapis.com"),
    ] {
        let answer = body.clone();
        let world = World::start(move |_, _| (status, answer.clone())).await;
        let settings = json!({"vertexJsonCredentials": user().to_string()});
        let id = format!("provider.google_auth.{id}");
        refused(&world, settings, &id, told).await;
        assert_eq!(world.server.requests().len(), 2, "{body}");
    }
}

/// A failure is not kept: the next call asks again.
#[tokio::test]
async fn after_a_refusal_a_token_is_asked_for_again() {
    let world = World::start(|request, number| match number {
        0 => (400, json!({"error": "slow_down"})),
        _ => willing(request, number),
    })
    .await;
    let provider = world.provider(vertex(json!({"vertexJsonCredentials": user().to_string()})));
    assert!(provider.complete("q").await.is_err());
    assert_eq!(provider.complete("q").await.unwrap(), "an answer");
}

/// The profile's own endpoint; no token is asked for.
#[tokio::test]
async fn a_gemini_profile_without_credentials_uses_its_key() {
    let world = World::start(willing).await;
    let settings = json!({"apiProvider": "gemini", "geminiApiKey": SECRET});
    assert_eq!(world.provider(settings).complete("q").await.unwrap(), "an answer");
    let requests = world.server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("x-goog-api-key"), Some(SECRET));
    assert!(Path::new(&requests[0].path).starts_with("/v1beta/models"));
}

/// What the format has no place for is told as it is, before anything is sent.
#[tokio::test]
async fn a_conversation_that_cannot_be_sent_is_not() {
    let world = World::start(willing).await;
    let image = json!({"type": "image", "source": {"type": "url", "url": "http://i.test"}});
    for (block, expected) in [
        (image, "transform.gemini.unsupported_image_source []"),
        (json!({"type": "thinking", "thinking": "t"}), "transform.gemini.unsupported_block [(\"type\", \"thinking\")]"),
    ] {
        let message = serde_json::from_value(json!({"role": "user", "content": [block]})).unwrap();
        let request = ChatRequest { messages: Arc::new(vec![message]), ..ChatRequest::default() };
        for settings in [json!({"apiProvider": "gemini"}), json!({"apiProvider": "gemini-cli"}), vertex(json!({}))] {
            let chunks: Vec<_> = world.provider(settings).stream(request.clone()).collect().await;
            let [Err(error)] = &chunks[..] else { panic!("{chunks:?}") };
            assert_eq!(error.message, expected);
        }
    }
    assert!(world.server.requests().is_empty());
}

/// Tokens are counted here when the service does not say how many they are.
#[tokio::test]
async fn tokens_are_counted_somewhere() {
    for (status, answer, expected) in [
        (200, json!({"totalTokens": 7}), 7),
        (200, json!({"totalTokens": 0}), 0),
        (200, json!({"totalTokens": "7"}), 6),
        (200, json!({}), 6),
        (200, json!([]), 6),
        (500, json!({"totalTokens": 7}), 6),
    ] {
        let body = answer.clone();
        let world = World::start(move |_, _| (status, body.clone())).await;
        let provider = world.provider(json!({"apiProvider": "gemini"}));
        assert_eq!(provider.count_tokens(&[ContentBlock::text("Hello, world!")]).await, expected, "{answer}");
    }
}
