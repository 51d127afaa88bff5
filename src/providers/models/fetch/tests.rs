//! Answers as the vendors word them, the lists read from them, and what failures lead to.

use std::sync::Mutex;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::*;
use crate::providers::http::{Http, HttpResponse, HttpTransport};

/// Every source with an answer of its vendor and the models in it.
fn answers() -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "openrouter",
            json!({"data": [
                {"id": "a/plain", "context_length": 1001, "pricing": {"prompt": "0.000001", "completion": "0"}},
                {"id": "a/painter", "context_length": 1, "architecture": {"output_modalities": ["text", "image"]}},
                {"id": "a/cached", "name": "C", "context_length": 1000, "description": "d",
                 "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                 "top_provider": {"max_completion_tokens": 500},
                 "pricing": {"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003",
                             "input_cache_write": "0.00000375"},
                 "supported_parameters": ["tools", "reasoning", "max_tokens"]},
                {"id": "anthropic/claude-3.7-sonnet", "context_length": 200000, "supported_parameters": ["reasoning"],
                 "top_provider": {"max_completion_tokens": 64000}},
                {"id": "anthropic/claude-3.7-sonnet:thinking", "context_length": 200000,
                 "top_provider": {"max_completion_tokens": null}},
                {"id": "openrouter/horizon-beta", "context_length": 256000},
            ]}),
            json!({
                "a/plain": {"maxTokens": 201, "contextWindow": 1001, "supportsImages": false,
                            "supportsPromptCache": false, "inputPrice": 1.0, "outputPrice": 0.0},
                "a/cached": {"maxTokens": 500, "contextWindow": 1000, "supportsImages": true,
                             "supportsPromptCache": true, "inputPrice": 3.0, "outputPrice": 15.0,
                             "cacheWritesPrice": 3.75, "cacheReadsPrice": 0.3, "supportsReasoningEffort": true,
                             "description": "d", "supportedParameters": ["reasoning", "max_tokens"]},
                "anthropic/claude-3.7-sonnet": {"maxTokens": 8192, "contextWindow": 200000, "supportsImages": false,
                    "supportsPromptCache": false, "supportsReasoningBudget": false, "supportsReasoningEffort": false,
                    "supportedParameters": ["reasoning"], "supportsComputerUse": true},
                "anthropic/claude-3.7-sonnet:thinking": {"maxTokens": 128000, "contextWindow": 200000,
                    "supportsImages": false, "supportsPromptCache": false, "supportsReasoningBudget": true,
                    "requiredReasoningBudget": true, "supportsComputerUse": true},
                "openrouter/horizon-beta": {"maxTokens": 32768, "contextWindow": 256000, "supportsImages": false,
                                            "supportsPromptCache": false},
            }),
        ),
        (
            "requesty",
            json!({"data": [
                {"id": "coding/claude-4-sonnet", "max_output_tokens": 64000, "context_window": 200000,
                 "supports_caching": true, "supports_vision": true, "supports_computer_use": true,
                 "supports_reasoning": true, "input_price": 0.000003, "output_price": 0.000015,
                 "caching_price": 0.00000375, "cached_price": 0.0000003},
                {"id": "openai/o3", "context_window": 100, "supports_reasoning": true, "input_price": 0},
                {"name": "no id"},
            ]}),
            json!({
                "coding/claude-4-sonnet": {"maxTokens": 64000, "contextWindow": 200000, "supportsImages": true,
                    "supportsPromptCache": true, "inputPrice": 3.0, "outputPrice": 15.0, "cacheWritesPrice": 3.75,
                    "cacheReadsPrice": 0.3, "supportsReasoningBudget": true, "supportsReasoningEffort": false,
                    "supportsComputerUse": true},
                "openai/o3": {"contextWindow": 100, "supportsImages": false, "supportsPromptCache": false,
                    "supportsReasoningBudget": false, "supportsReasoningEffort": true, "supportsComputerUse": false},
            }),
        ),
        (
            "glama",
            json!([
                {"id": "anthropic/claude-x", "maxTokensOutput": 64000, "maxTokensInput": 200000,
                 "capabilities": ["input:image", "caching", "computer_use"],
                 "pricePerToken": {"input": "0.000003", "output": "0.000015", "cacheRead": "0.0000003"}},
                {"id": "broken"},
                {"id": "never/seen", "capabilities": []},
            ]),
            json!({"anthropic/claude-x": {"maxTokens": 64000, "contextWindow": 200000, "supportsImages": true,
                "supportsPromptCache": true, "inputPrice": 3.0, "outputPrice": 15.0, "cacheReadsPrice": 0.3,
                "supportsComputerUse": true}}),
        ),
        (
            "unbound",
            json!({
                "anthropic/a": {"maxTokens": "64000", "contextWindow": "200000", "inputTokenPrice": "3",
                                "outputTokenPrice": "15", "cacheWritePrice": "3.75", "supportsPromptCaching": true},
                "anthropic/b": {"maxTokens": 4096, "contextWindow": 200000, "supportsImages": true},
                "openai/c": {"contextWindow": "x"},
            }),
            json!({
                "anthropic/a": {"maxTokens": 8192, "contextWindow": 200000, "supportsImages": false,
                    "supportsPromptCache": true, "inputPrice": 3.0, "outputPrice": 15.0, "cacheWritesPrice": 3.75,
                    "supportsComputerUse": false},
                "anthropic/b": {"maxTokens": 4096, "contextWindow": 200000, "supportsImages": true,
                    "supportsPromptCache": false, "supportsComputerUse": false},
                "openai/c": {"contextWindow": 0, "supportsImages": false, "supportsPromptCache": false,
                    "supportsComputerUse": false},
            }),
        ),
        (
            "litellm",
            json!({"data": [
                {"model_name": "mine", "litellm_params": {"model": "anthropic/claude-3-7-sonnet-20250219"},
                 "model_info": {"input_cost_per_token": 0.000003, "supports_vision": true}},
                {"model_name": "off", "litellm_params": {"model": "claude-3-7-sonnet-20250219"},
                 "model_info": {"max_tokens": 5, "max_input_tokens": 7, "supports_computer_use": false,
                                "supports_prompt_caching": true}},
                {"model_name": "no info", "litellm_params": {"model": "x"}},
                {"model_name": "no model", "litellm_params": {}, "model_info": {}},
            ]}),
            json!({
                "mine": {"maxTokens": 8192, "contextWindow": 200000, "supportsImages": true,
                         "supportsPromptCache": false, "inputPrice": 3.0, "supportsComputerUse": true},
                "off": {"maxTokens": 5, "contextWindow": 7, "supportsImages": false, "supportsPromptCache": true,
                        "supportsComputerUse": false},
            }),
        ),
        (
            "deepinfra",
            json!({"data": [
                {"id": "a", "metadata": {"context_length": 32768, "max_tokens": 100, "tags": ["vision", "prompt_cache"],
                    "pricing": {"input_tokens": 0.5, "output_tokens": 1.5, "cache_read_tokens": 0.1}}},
                {"id": "b"},
            ]}),
            json!({
                "a": {"maxTokens": 100, "contextWindow": 32768, "supportsImages": true, "supportsPromptCache": true,
                      "inputPrice": 0.5, "outputPrice": 1.5, "cacheReadsPrice": 0.1},
                "b": {"maxTokens": 1639, "contextWindow": 8192, "supportsImages": false, "supportsPromptCache": false},
            }),
        ),
        (
            "vercel-ai-gateway",
            json!({"data": [
                {"id": "anthropic/claude-sonnet-4", "type": "language", "context_window": 200000, "max_tokens": 64000,
                 "pricing": {"input": "0.000003", "output": "0.000015", "input_cache_read": "0.0000003",
                             "input_cache_write": "0.00000375"}},
                {"id": "cohere/embed", "type": "embedding", "context_window": 512},
                {"id": "xai/grok-vision-beta", "type": "language", "context_window": 8192, "max_tokens": 4096,
                 "pricing": {"input": "0.000005", "input_cache_read": "0.000001"}},
                {"type": "language"},
                {"id": "never/seen", "type": "language"},
            ]}),
            json!({
                "anthropic/claude-sonnet-4": {"maxTokens": 64000, "contextWindow": 200000, "supportsImages": true,
                    "supportsPromptCache": true, "inputPrice": 3.0, "outputPrice": 15.0, "cacheWritesPrice": 3.75,
                    "cacheReadsPrice": 0.3, "supportsComputerUse": true},
                "xai/grok-vision-beta": {"maxTokens": 4096, "contextWindow": 8192, "supportsImages": true,
                    "supportsPromptCache": false, "inputPrice": 5.0, "cacheReadsPrice": 1.0,
                    "supportsComputerUse": false},
            }),
        ),
        (
            "huggingface",
            json!({"data": [
                {"id": "a/m", "providers": [
                    {"provider": "one", "status": "live"},
                    {"provider": "two", "status": "live", "context_length": 1000,
                     "pricing": {"input": 0.1, "output": 0.4}},
                    {"provider": "three", "status": "error", "context_length": 5},
                ]},
                {"id": "a/none", "providers": []},
                {"id": "a/silent", "providers": [{"provider": "x"}]},
            ]}),
            json!({
                "a/m": {"maxTokens": 1000, "contextWindow": 1000, "supportsImages": false,
                        "supportsPromptCache": false, "inputPrice": 0.1, "outputPrice": 0.4},
                "a/m:one": {"maxTokens": 1000, "contextWindow": 1000, "supportsImages": false,
                        "supportsPromptCache": false, "inputPrice": 0.1, "outputPrice": 0.4},
                "a/m:two": {"maxTokens": 1000, "contextWindow": 1000, "supportsImages": false,
                        "supportsPromptCache": false, "inputPrice": 0.1, "outputPrice": 0.4},
                "a/silent": {"maxTokens": 2048, "contextWindow": 128000, "supportsImages": false,
                        "supportsPromptCache": false},
            }),
        ),
        (
            "io-intelligence",
            json!({"data": [
                {"id": "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"},
                {"id": "deepseek-ai/DeepSeek-R1-0528"},
                {"id": "new/model"},
            ]}),
            json!({
                "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8": {"maxTokens": 32768, "contextWindow": 430000,
                    "supportsImages": true, "supportsPromptCache": false},
                "deepseek-ai/DeepSeek-R1-0528": {"maxTokens": 25600, "contextWindow": 128000, "supportsImages": false,
                    "supportsPromptCache": false},
                "new/model": {"maxTokens": 1639, "contextWindow": 8192, "supportsImages": false,
                    "supportsPromptCache": false},
            }),
        ),
    ]
}

fn shown(list: &ModelList) -> Value {
    Value::Object(list.iter().map(|(id, info)| (id.clone(), json!(info))).collect::<Map<_, _>>())
}

fn source(name: &str) -> &'static Source {
    SOURCES.into_iter().find(|source| source.name == name).expect("a known source")
}

#[test]
fn answers_become_lists() {
    for (name, answer, expected) in answers() {
        let list = (source(name).read)(answer.to_string().as_bytes()).expect("a readable answer");
        // Prices are compared as the vendors would round them: one part in a billion.
        assert!(alike(&shown(&list), &expected), "{name}:\n{:#}\nexpected\n{expected:#}", shown(&list));
    }
    let read: Vec<&str> = answers().iter().map(|(name, ..)| *name).collect();
    assert!(SOURCES.iter().all(|s| read.contains(&s.name) || s.name == "kilocode-openrouter"), "{read:?}");
}

fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| alike(v, w)))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= 1e-9 * b.abs()
        }
        _ => a == b,
    }
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for (name, answer) in [
        ("openrouter", r#"{"data":[{"id":"a"}]}"#),
        ("openrouter", r#"{"data":[{"id":7,"context_length":1}]}"#),
        ("litellm", r#"{"data":{}}"#),
        ("deepinfra", r#"[]"#),
        ("unbound", r#"[]"#),
        ("glama", r#"{}"#),
        ("requesty", "<html>"),
    ] {
        assert!((source(name).read)(answer.as_bytes()).is_err(), "{name} {answer}");
    }
}

/// One answer for every request; keeps what was asked.
struct Stub {
    status: u16,
    body: Mutex<String>,
    asked: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl HttpTransport for Stub {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.asked.lock().expect("no panic while locked").push(request);
        let body = self.body.lock().expect("no panic while locked").clone();
        let body = stream::iter([Ok(Bytes::from(body))]).boxed();
        Ok(HttpResponse { status: self.status, headers: HeaderMap::new(), body })
    }
}

fn stub(status: u16, body: &str) -> (Arc<Stub>, Surroundings) {
    let stub = Arc::new(Stub { status, body: Mutex::new(body.to_owned()), asked: Mutex::default() });
    let http =
        Http::new(stub.clone(), Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)), Arc::new(|| 0.0));
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| {
        let values: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
        format!("{id}|{}", values.join("|"))
    });
    (stub, Surroundings::new(http, wording))
}

fn query(key: &str, base: &str) -> Query {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Query { key: filled(key).map(Into::into), base_url: filled(base), ..Query::default() }
}

#[tokio::test]
async fn each_provider_is_asked_at_its_address() {
    for (name, key, base, url, authorization, default_headers) in [
        ("openrouter", "", "", "https://openrouter.ai/api/v1/models", None, true),
        ("openrouter", "k", "https://h/v1", "https://openrouter.ai/api/v1/models", None, true),
        (
            "kilocode-openrouter",
            "k",
            "https://h/api/openrouter/",
            "https://h/api/openrouter/models",
            Some("Bearer k"),
            true,
        ),
        ("requesty", "k", "", "https://router.requesty.ai/v1/models", Some("Bearer k"), false),
        ("requesty", "", "https://h/v1", "https://h/v1/models", None, false),
        ("requesty", "", "not an address", "https://router.requesty.ai/v1/models", None, false),
        ("glama", "k", "https://h", "https://glama.ai/api/gateway/v1/models", None, false),
        ("unbound", "k", "", "https://api.getunbound.ai/models", Some("Bearer k"), false),
        ("litellm", "k", "http://h:1//a//b/", "http://h:1/a/b/v1/model/info", Some("Bearer k"), true),
        ("litellm", "k", "", "http://localhost:4000/v1/model/info", Some("Bearer k"), true),
        ("deepinfra", "", "", "https://api.deepinfra.com/v1/openai/models", None, true),
        ("deepinfra", "k", "https://h/o/", "https://h/o/models", Some("Bearer k"), true),
        ("vercel-ai-gateway", "k", "", "https://ai-gateway.vercel.sh/v1/models", None, false),
        ("huggingface", "k", "", "https://router.huggingface.co/v1/models?collection=roocode", None, false),
        ("io-intelligence", "k", "", "https://api.intelligence.io.solutions/api/v1/models", Some("Bearer k"), false),
    ] {
        let (stub, surroundings) = stub(200, "{}");
        let _ = models(&surroundings, name, &query(key, base)).await;
        let asked = stub.asked.lock().expect("no panic while locked");
        let request = asked.first().expect("one request");
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!((request.url.as_str(), header("authorization")), (url, authorization), "{name}");
        assert_eq!(header("x-title").is_some(), default_headers, "{name}");
    }
}

#[tokio::test]
async fn a_failure_means_what_the_source_says() {
    for (name, message) in [
        ("openrouter", Some("provider.models.failed|openrouter|500 down for …")),
        ("unbound", Some("provider.models.unbound|unbound|500 down for …")),
        ("litellm", Some("provider.models.failed|litellm|500 down for …")),
        ("deepinfra", Some("provider.models.failed|deepinfra|500 down for …")),
        ("huggingface", Some("provider.models.failed|huggingface|500 down for …")),
        ("io-intelligence", Some("provider.models.failed|io-intelligence|500 down for …")),
        ("requesty", None),
        ("glama", None),
        ("vercel-ai-gateway", None),
        ("anthropic", Some("provider.models.invalid_router|anthropic")),
        ("", Some("provider.models.invalid_router|")),
    ] {
        let (_, surroundings) = stub(500, "down for a-long-key");
        let outcome = models(&surroundings, name, &query("a-long-key", "")).await;
        match (outcome, message) {
            (Ok(list), None) => assert!(list.is_empty(), "{name}"),
            (Err(error), Some(message)) => assert_eq!(error.message, message, "{name}"),
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_key_io_intelligence_is_not_asked() {
    let (stub, surroundings) = stub(200, "{}");
    let error = models(&surroundings, "io-intelligence", &Query::default()).await.expect_err("no key");
    assert_eq!(error.message, "provider.key_required|io-intelligence");
    assert!(stub.asked.lock().expect("no panic while locked").is_empty());
}

/// Spec 07, checklist item 40, and the sources with a list of their own.
#[tokio::test]
async fn lists_are_kept_by_name_and_the_last_one_survives_failures() {
    let (stub, mut surroundings) = stub(200, r#"{"data":[{"id":"m"}]}"#);
    let at = |seconds: u64| Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)) as _;
    // (seconds, key, body, requests so far, models)
    for (seconds, key, body, requests, models_listed) in [
        (0, "one", r#"{"data":[{"id":"m"}]}"#, 1, 1),
        (299, "other", r#"{"data":[]}"#, 1, 1),
        (300, "other", r#"{"data":[]}"#, 1, 1),
        (3600, "other", "nonsense", 2, 1),
        (3900, "other", r#"{"data":[]}"#, 3, 0),
    ] {
        *stub.body.lock().expect("no panic while locked") = body.to_owned();
        surroundings.http.now = at(seconds);
        let list = models(&surroundings, "io-intelligence", &query(key, "")).await.expect("a list");
        let asked = stub.asked.lock().expect("no panic while locked").len();
        assert_eq!((asked, list.len()), (requests, models_listed), "{seconds}");
    }
}

#[tokio::test]
async fn endpoints_are_kept_and_written_unless_there_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = json!({"data": {"id": "a/m:free", "architecture": {"input_modalities": ["image"]}, "endpoints": [
        {"provider_name": "Together", "context_length": 1000, "max_completion_tokens": 10},
        {"provider_name": "Deep", "tag": "deep/fp8", "context_length": 1000, "pricing": {"prompt": "0.000001"}},
    ]}});
    for (status, body, expected, requests) in [
        (500, String::new(), json!({}), 2),
        (200, r#"{"data":{"id":"a","endpoints":[]}}"#.to_owned(), json!({}), 2),
        (
            200,
            answer.to_string(),
            json!({
                "Together": {"maxTokens": 10, "contextWindow": 1000, "supportsImages": true, "supportsPromptCache": false},
                "deep/fp8": {"maxTokens": 200, "contextWindow": 1000, "supportsImages": true,
                             "supportsPromptCache": false, "inputPrice": 1.0},
            }),
            1,
        ),
    ] {
        let (stub, mut surroundings) = stub(status, &body);
        surroundings.storage = folder.path().to_owned();
        for _ in 0..2 {
            let list = endpoints(&surroundings, "a/m:free").await;
            assert!(alike(&shown(&list), &expected), "{:#}", shown(&list));
        }
        let asked = stub.asked.lock().expect("no panic while locked");
        assert_eq!(asked.len(), requests);
        assert_eq!(asked[0].url, "https://openrouter.ai/api/v1/models/a/m:free/endpoints");
        let file = folder.path().join("cache/openrouter_amfree_endpoints.json");
        assert_eq!(file.exists(), requests == 1);
    }
}
