//! Providers with a published list of models: when it is asked for, what its absence means, what becomes of an id it lacks;
//! and the bill that one of them sends after an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, ProviderError, StreamChunk, Surroundings, Usage, create};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::dialect::{self, Part};
use super::redirect::Redirect;
use super::server::{Answer, Plan, Reply, Request, Server};

/// Seconds since the epoch.
type Clock = Arc<AtomicU64>;

struct Stage {
    server: Server,
    provider: Arc<dyn Provider>,
    clock: Clock,
}

impl Stage {
    async fn new(settings: Value, plan: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Stage {
        let plan: Plan = Arc::new(plan);
        let server = Server::start(|_| None, plan).await;
        let clock = Clock::new(1_767_323_045.into());
        let transport = Redirect { inner: Arc::new(Client::default()), origin: server.origin.clone() };
        let time = clock.clone();
        let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(time.load(Ordering::Relaxed));
        let http = Http::new(Arc::new(transport), Arc::new(now), Arc::new(|| 0.0));
        let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        let provider = create(&settings, &Surroundings::new(http, wording)).expect("a provider");
        Stage { server, provider, clock }
    }

    /// The usage of one answer.
    async fn ask(&self) -> Result<Usage, ProviderError> {
        let mut usage = Usage::default();
        let mut chunks = self.provider.stream(ChatRequest::default());
        while let Some(chunk) = chunks.next().await {
            if let StreamChunk::Usage(more) = chunk? {
                usage.add(&more);
            }
        }
        Ok(usage)
    }

    /// How many requests asked for something else than an answer.
    fn asked_aside(&self) -> usize {
        self.server.requests().iter().filter(|request| request.method == "GET").count()
    }

    /// The model of the last request for an answer.
    fn model_sent(&self) -> Option<String> {
        let requests = self.server.requests();
        let last = requests.iter().rfind(|request| request.method == "POST")?;
        let body: Value = serde_json::from_slice(&last.body).expect("JSON");
        body["model"].as_str().map(str::to_owned)
    }
}

fn document(status: u16, body: &Value) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply::Answer(Answer { status, headers, pieces: vec![body.to_string().into_bytes()], ..Answer::default() })
}

fn answer(parts: &[Part<'_>]) -> Reply {
    let headers =
        vec![("content-type", dialect::CHAT.content_type.to_owned()), ("x-completion-request-id", "bill/7".to_owned())];
    Reply::Answer(Answer { status: 200, headers, pieces: (dialect::CHAT.frames)(parts), ..Answer::default() })
}

/// A list of OpenRouter's form with one model.
fn one_model() -> Value {
    json!({"data": [{
        "id": "maker/listed", "name": "Listed", "context_length": 5000,
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "pricing": {"prompt": "0.000001", "completion": "0.000002"},
        "top_provider": {"max_completion_tokens": 700},
        "supported_parameters": ["max_tokens"],
    }]})
}

#[tokio::test]
async fn a_list_is_used_for_five_minutes() {
    let settings = json!({"apiProvider": "openrouter", "openRouterApiKey": "k", "openRouterModelId": "maker/listed"});
    let plan = |request: &Request, _| match request.method.as_str() {
        "GET" => document(200, &one_model()),
        _ => answer(&[Part::Text("a")]),
    };
    let stage = Stage::new(settings, plan).await;
    for (later, lists) in [(0, 1), (299, 1), (1, 2), (0, 2)] {
        stage.clock.fetch_add(later, Ordering::Relaxed);
        stage.ask().await.expect("an answer");
        assert_eq!(stage.asked_aside(), lists, "after {later} s more");
    }
    assert_eq!(stage.model_sent().as_deref(), Some("maker/listed"));
    let info = stage.provider.model().info;
    assert_eq!((info.context_window, info.max_tokens, info.output_price), (5000, Some(700), Some(2.0)));
}

#[tokio::test]
async fn without_a_list_some_fail_and_some_go_on() {
    let profile = |name: &str, model: &str| {
        json!({"apiProvider": name, "requestyApiKey": "k", "litellmApiKey": "k", "deepInfraApiKey": "k",
            "glamaApiKey": "k", "unboundApiKey": "k", "openRouterApiKey": "k", "vercelAiGatewayApiKey": "k",
            model: "maker/mine"})
    };
    for (name, model, sent) in [
        ("openrouter", "openRouterModelId", Err("provider.models.failed")),
        ("litellm", "litellmModelId", Err("provider.models.failed")),
        ("deepinfra", "deepInfraModelId", Err("provider.models.failed")),
        ("unbound", "unboundModelId", Err("provider.models.unbound")),
        // An empty list: the id is kept here, and is the default there.
        ("requesty", "requestyModelId", Ok("maker/mine")),
        ("glama", "glamaModelId", Ok("anthropic/claude-3-7-sonnet")),
        ("vercel-ai-gateway", "vercelAiGatewayModelId", Ok("anthropic/claude-sonnet-4")),
    ] {
        let plan = |request: &Request, _| match request.method.as_str() {
            "GET" => document(500, &json!({"error": {"message": "down"}})),
            _ => answer(&[Part::Text("a")]),
        };
        let stage = Stage::new(profile(name, model), plan).await;
        let asked = tokio::time::timeout(Duration::from_secs(60), stage.ask()).await.expect("no hang");
        match (asked, sent) {
            (Ok(_), Ok(id)) => assert_eq!(stage.model_sent().as_deref(), Some(id), "{name}"),
            (Err(error), Err(text)) => {
                assert!(error.message.contains(text) && error.message.contains("down"), "{name}: {error}");
                assert_eq!((stage.model_sent(), error.status), (None, Some(500)), "{name}");
                // A failure is not kept.
                assert!(stage.ask().await.is_err());
                assert_eq!(stage.asked_aside(), 2, "{name}");
            }
            (asked, _) => panic!("{name}: {asked:?}"),
        }
    }
}

#[tokio::test]
async fn an_id_that_is_not_listed_is_kept_or_is_the_default() {
    let listed = json!({"data": [{"id": "maker/other", "model_name": "maker/other", "model_info": {},
        "litellm_params": {"model": "m"}, "metadata": {"tags": []}}]});
    for (name, model, sent) in [
        ("openrouter", "openRouterModelId", "maker/mine"),
        ("requesty", "requestyModelId", "maker/mine"),
        ("deepinfra", "deepInfraModelId", "maker/mine"),
        ("litellm", "litellmModelId", "claude-3-7-sonnet-20250219"),
    ] {
        let list = match name {
            "openrouter" => one_model(),
            _ => listed.clone(),
        };
        let plan = move |request: &Request, _| match request.method.as_str() {
            "GET" => document(200, &list),
            _ => answer(&[Part::Text("a")]),
        };
        let settings = json!({"apiProvider": name, model: "maker/mine"});
        let stage = Stage::new(settings, plan).await;
        let asked = stage.ask().await;
        assert!(asked.is_ok(), "{name}: {asked:?}");
        assert_eq!((stage.model_sent().as_deref(), stage.asked_aside()), (Some(sent), 1), "{name}");
    }
}

/// Glama's bill is written some time after the answer.
#[tokio::test]
async fn a_bill_is_asked_for_until_it_is_there() {
    let counts = json!({"promptTokens": 7, "completionTokens": 3, "cacheReadInputTokens": 2});
    let bill = json!({"tokenUsage": counts, "totalCostUsd": "0.25"});
    // How many times the bill is not ready, what is said then, and what comes of it.
    for (unready, early, expected) in [
        (0, json!({}), Some(0.25)),
        (3, json!({"tokenUsage": null}), Some(0.25)),
        (99, json!({"tokenUsage": counts}), None),
    ] {
        let bill = bill.clone();
        let polls = AtomicU64::new(0);
        let plan = move |request: &Request, _| match request.path.as_str() {
            "/api/gateway/v1/models" => document(200, &json!([])),
            "/api/gateway/v1/completion-requests/bill%2F7" => {
                assert_eq!(request.header("authorization"), Some("Bearer k"));
                let ready = polls.fetch_add(1, Ordering::Relaxed) >= unready;
                document(200, if ready { &bill } else { &early })
            }
            _ => answer(&[Part::Text("a")]),
        };
        let stage = Stage::new(json!({"apiProvider": "glama", "glamaApiKey": "k"}), plan).await;
        let usage = stage.ask().await.expect("an answer");
        assert_eq!(usage.total_cost, expected, "{unready}");
        let polled = stage.asked_aside() - 1;
        assert_eq!(polled, usize::try_from(unready + 1).expect("few").min(10), "{unready}");
    }
}
