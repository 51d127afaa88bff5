//! Providers that users describe in tables of their own: no code, a file.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures::StreamExt;
use lapce_ai::providers::http::{Client, Http};
use lapce_ai::providers::{ChatRequest, Provider, ProviderError, StreamChunk, Surroundings, create};
use lapce_ai::settings::Settings;
use serde_json::{Value, json};

use super::dialect::{self, Part};
use super::redirect::{MEANT_FOR, Redirect};
use super::server::{Answer, End, Reply, Server};

fn surroundings(tables: &Path) -> Surroundings {
    let http = Http::new(Arc::new(Client::default()), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
    let wording = Arc::new(|id: &str, variables: &[(&str, &str)]| format!("{id} {variables:?}"));
    Surroundings { tables: Some(tables.to_owned()), ..Surroundings::new(http, wording) }
}

fn build(profile: Value, tables: &Path) -> Result<Arc<dyn Provider>, ProviderError> {
    let settings: Settings = serde_json::from_value(profile).expect("settings");
    create(&settings, &surroundings(tables))
}

#[tokio::test]
async fn a_provider_needs_no_code() {
    let parts = [Part::Reasoning("why"), Part::Text("Hel"), Part::Text("lo"), Part::Usage];
    let pieces = (dialect::CHAT.frames)(&parts);
    let plan = move |_: &_, _| {
        let headers = vec![("content-type", dialect::CHAT.content_type.into())];
        Reply::Answer(Answer { status: 200, headers, pieces: pieces.clone(), end: End::Whole })
    };
    let server = Server::start(|_| None, Arc::new(plan)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let row = format!(
        r#"
        [my-server]
        name = "My server"
        base-url = "{}/v1"
        key-setting = "myServerApiKey"
        default-model = "small"
        default-headers = false
        headers.X-Task = "{{task-id}}"
        models.small = {{ contextWindow = 32768, maxTokens = 4096, inputPrice = 1.0 }}
        request = {{ temperature = 0.25, max-tokens-field = "max_completion_tokens", extra = {{ top_k = 5 }} }}
        answer = {{ reasoning = "content", usage = {{ charge = "computed" }} }}
        "#,
        server.origin
    );
    std::fs::write(folder.path().join("mine.toml"), row).expect("a file");
    let provider = build(json!({"apiProvider": "my-server", "myServerApiKey": "sk-mine"}), folder.path());
    let provider = provider.expect("a provider");
    assert_eq!((provider.model().id.as_str(), provider.model().info.context_window), ("small", 32_768));
    let request = ChatRequest { system: "S".into(), ..ChatRequest::default() };
    let chunks: Vec<_> = provider.stream(request).map(|chunk| chunk.expect("a chunk")).collect().await;
    let [StreamChunk::Reasoning(why), StreamChunk::Text(a), StreamChunk::Text(b), StreamChunk::Usage(usage)] =
        chunks.as_slice()
    else {
        panic!("{chunks:?}")
    };
    assert_eq!((why.as_str(), format!("{a}{b}").as_str()), ("why", "Hello"));
    assert_eq!(usage.total_cost, Some(usage.input_tokens as f64 / 1e6));
    let [sent] = &server.requests()[..] else { panic!("one request") };
    assert_eq!((sent.path.as_str(), sent.header("authorization")), ("/v1/chat/completions", Some("Bearer sk-mine")));
    assert_eq!((sent.header("x-title"), sent.header("x-task")), (None, None));
    let expected = json!({
        "model": "small", "temperature": 0.25, "max_completion_tokens": 4096,
        "messages": [{"role": "system", "content": "S"}],
        "stream": true, "stream_options": {"include_usage": true}, "top_k": 5,
    });
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).expect("JSON"), expected);
}

#[test]
fn faults_are_named_and_built_in_names_are_safe() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "
[groq]
name = 'Not Groq'
base-url = 'http://h'
key-required = false
default-model = 'shadow'
[xai]
name = 'Mine'
replaces = true
base-url = 'http://h'
key-required = false
default-model = 'mine'
[wrong]
name = 'W'
retries = 'many'
";
    std::fs::write(folder.path().join("a.toml"), rows).expect("a file");
    std::fs::write(folder.path().join("ignored.txt"), "[").expect("a file");
    for (name, expected) in [
        ("groq", Ok("moonshotai/kimi-k2-instruct-0905")),
        ("xai", Ok("mine")),
        ("wrong", Err(vec!["provider.invalid_row", "a.toml", "(\"line\", \"15\")", "retries"])),
        // What nothing describes is Anthropic; what only an editor has is an error.
        ("nowhere", Ok("claude-sonnet-4-20250514")),
        ("vscode-lm", Err(vec!["provider.vscode_lm.unavailable"])),
        ("fake-ai", Err(vec!["provider.fake_ai.unavailable"])),
        ("sambanova", Err(vec!["provider.key_required", "SambaNova"])),
    ] {
        let built = build(json!({"apiProvider": name, "groqApiKey": "k"}), folder.path());
        match (built.map(|provider| provider.model().id), expected) {
            (Ok(id), Ok(expected)) => assert_eq!(id, expected, "{name}"),
            (Err(error), Err(words)) => {
                assert!(words.iter().all(|word| error.message.contains(word)), "{name}: {error}");
            }
            (built, expected) => panic!("{name}: {built:?}, not {expected:?}"),
        }
    }
    // A file that cannot be read may be the one with the row.
    std::fs::write(folder.path().join("b.toml"), "[").expect("a file");
    let error = build(json!({"apiProvider": "nowhere"}), folder.path()).err().expect("an error");
    assert!(error.message.contains("provider.invalid_row") && error.message.contains("b.toml"), "{error}");
}

#[tokio::test]
async fn an_empty_address_or_key_counts_as_not_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_| None, Arc::new(|_, _| Reply::Nothing)).await;
    for (settings, meant_for, key) in [
        (
            json!({"apiProvider": "deepseek", "deepSeekBaseUrl": "", "deepSeekApiKey": "k"}),
            "https://api.deepseek.com",
            "Bearer k",
        ),
        (
            json!({"apiProvider": "doubao", "doubaoBaseUrl": "", "doubaoApiKey": "k"}),
            "https://ark.cn-beijing.volces.com",
            "Bearer k",
        ),
        (
            json!({"apiProvider": "moonshot", "moonshotBaseUrl": "", "moonshotApiKey": ""}),
            "https://api.moonshot.ai",
            "Bearer not-provided",
        ),
        (
            json!({"apiProvider": "openai", "openAiBaseUrl": "", "openAiApiKey": "k", "openAiModelId": "m"}),
            "https://api.openai.com",
            "Bearer k",
        ),
        (
            json!({"apiProvider": "litellm", "litellmBaseUrl": "", "litellmApiKey": ""}),
            "http://localhost:4000",
            "Bearer dummy-key",
        ),
    ] {
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        let transport = Redirect { inner: Arc::new(Client::default()), origin: server.origin.clone() };
        let http = Http::new(Arc::new(transport), Arc::new(|| SystemTime::UNIX_EPOCH), Arc::new(|| 0.0));
        let surroundings = Surroundings { http, ..surroundings(folder.path()) };
        let provider = create(&settings, &surroundings).expect("a provider");
        let answer = provider.complete("?").await;
        assert!(answer.is_err(), "{answer:?}");
        let sent = server.requests().pop().expect("a request");
        assert_eq!(
            (sent.header(MEANT_FOR), sent.header("authorization")),
            (Some(meant_for), Some(key)),
            "{settings:?}"
        );
    }
    // Where a key is needed, an empty one is none.
    for name in ["groq", "zai"] {
        let profile = json!({"apiProvider": name, "groqApiKey": "", "zaiApiKey": ""});
        let error = build(profile, folder.path()).err().expect("an error");
        assert!(error.message.contains("provider.key_required"), "{name}: {error}");
    }
}
