//! Every provider with what the suite must know of it: a profile, its wire format, and how it treats failures.

use std::path::Path;

use serde_json::{Value, json};

use super::dialect::{self, Dialect};
use super::server::{Answer, Request};

/// Stands for every key; must show nowhere.
pub const KEY: &str = "sk-canary-0123456789";

/// How often a failed request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Three attempts for 408, 409, 429 and 5xx (spec 07 §2).
    Sdk,
    /// One attempt.
    Never,
    /// Three attempts for 429, 500, 502, 503, 504 (§15.1).
    Aws,
    /// As `Sdk`, then once more by the second transport (§10.4).
    SecondTransport,
    /// As `Sdk`; a 401 is tried again with a fresh token (§19.1 qwen-code).
    FreshToken,
}

impl Retry {
    /// Requests that a server sees which always answers with `status`.
    pub fn attempts(self, status: u16) -> usize {
        let passing = if matches!(status, 408 | 409 | 429) || status >= 500 { 3 } else { 1 };
        match self {
            Retry::Never => 1,
            Retry::Aws => {
                if matches!(status, 429 | 500 | 502 | 503 | 504) {
                    3
                } else {
                    1
                }
            }
            Retry::Sdk => passing,
            Retry::SecondTransport => passing + 1,
            Retry::FreshToken => {
                if status == 401 {
                    2
                } else {
                    passing
                }
            }
        }
    }

    /// Requests that a server sees which closes every connection.
    pub fn attempts_when_closed(self) -> usize {
        match self {
            Retry::Never => 1,
            Retry::SecondTransport => 4,
            _ => 3,
        }
    }
}

/// Where usage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usages {
    /// The stream reports it.
    Reported,
    /// Counted here.
    Counted,
    /// A request after the answer brings it.
    Polled,
}

/// One provider.
pub struct Row {
    /// `apiProvider`.
    pub name: &'static str,
    /// Tells apart several rows of one provider.
    pub variant: &'static str,
    /// The profile.
    pub settings: Value,
    pub dialect: Dialect,
    pub retry: Retry,
    pub usage: Usages,
    /// Whether the image itself goes out.
    pub images: bool,
    /// Whether the status of a failed request can be read off the error (§22, end).
    pub status: bool,
    /// Whether the vendor's words reach the user.
    pub words: bool,
    /// Statuses for which the provider has words of its own.
    pub own_words: &'static [u16],
    /// Whether it answers single prompts.
    pub completes: bool,
    /// Whether it has a key, which it must not show.
    pub keyed: bool,
}

impl Row {
    fn new(name: &'static str, key: &str, settings: Value, dialect: Dialect) -> Row {
        let mut settings = settings;
        settings["apiProvider"] = json!(name);
        if !key.is_empty() {
            settings[key] = json!(KEY);
        }
        Row {
            name,
            variant: "",
            settings,
            dialect,
            retry: Retry::Sdk,
            usage: Usages::Reported,
            images: true,
            status: false,
            words: true,
            own_words: &[],
            completes: true,
            keyed: true,
        }
    }

    /// Whether it knows the key: from its profile, or from a file of credentials.
    pub fn has_key(&self) -> bool {
        self.settings.to_string().contains(KEY) || ["qwen-code", "gemini-cli"].contains(&self.name)
    }

    /// Name for messages.
    pub fn label(&self) -> String {
        format!("{}{}", self.name, self.variant)
    }
}

/// Providers that the suite leaves out, and where they are tested.
pub const ELSEWHERE: &[(&str, &str)] = &[
    ("claude-code", "a process"),
    ("human-relay", "a host request"),
    ("virtual-quota-fallback", "made of other providers"),
    ("replay", "a transcript"),
    ("vscode-lm", "never available"),
    ("fake-ai", "never available"),
];

/// All rows. `home` gets the credentials files that some of them read.
pub fn all(home: &Path) -> Vec<Row> {
    write_credentials(home);
    let chat = || Row::new("", "", json!({}), dialect::CHAT);
    let oai_base = |name, key| Row { status: true, ..Row::new(name, key, json!({}), dialect::CHAT_PLAIN) };
    let handler = |name, key| Row::new(name, key, json!({}), dialect::CHAT);
    let model =
        |name, key, model_key: &str, model: &str| Row::new(name, key, json!({model_key: model}), dialect::CHAT_PLAIN);
    let openai = |variant, extra: Value| {
        let mut row =
            Row { variant, ..Row::new("openai", "openAiApiKey", json!({"openAiModelId": "m"}), chat().dialect) };
        for (key, value) in extra.as_object().into_iter().flatten() {
            row.settings[key] = value.clone();
        }
        row
    };
    let bedrock = |variant, settings| Row {
        variant,
        retry: Retry::Aws,
        words: false,
        ..Row::new("bedrock", "", settings, dialect::BEDROCK)
    };
    let vertex = |variant, model: &str, dialect| {
        let credentials = json!({
            "type": "authorized_user", "client_id": "c", "client_secret": KEY, "refresh_token": KEY,
        });
        let settings = json!({
            "vertexProjectId": "p", "vertexRegion": "us-east5", "apiModelId": model,
            "vertexJsonCredentials": credentials.to_string(),
        });
        Row { variant, ..Row::new("vertex", "", settings, dialect) }
    };
    let sonnet = "anthropic.claude-sonnet-4-20250514-v1:0";
    vec![
        Row { status: true, ..Row::new("anthropic", "apiKey", json!({}), dialect::ANTHROPIC) },
        Row {
            retry: Retry::SecondTransport,
            ..Row::new("openai-native", "openAiNativeApiKey", json!({}), dialect::RESPONSES)
        },
        openai("", json!({"openAiBaseUrl": "http://chat.test/v1"})),
        openai(" (tags)", json!({"openAiBaseUrl": "http://chat.test/v1"})).tagged(),
        openai(" (Azure)", json!({"openAiBaseUrl": "https://r.openai.azure.com/openai"})),
        openai(" (Azure inference)", json!({"openAiBaseUrl": "https://r.services.ai.azure.com"})),
        Row { retry: Retry::Never, ..Row::new("gemini", "geminiApiKey", json!({}), dialect::GEMINI) },
        Row { retry: Retry::Never, ..vertex(" (Gemini)", "gemini-2.5-flash", dialect::GEMINI) },
        Row { status: true, ..vertex(" (Claude)", "claude-sonnet-4@20250514", dialect::ANTHROPIC) },
        bedrock(
            " (SigV4)",
            json!({
                "awsAccessKey": "AKIDEXAMPLE", "awsSecretKey": KEY, "awsRegion": "us-east-1", "apiModelId": sonnet,
            }),
        ),
        bedrock(
            " (bearer)",
            json!({
                "awsUseApiKey": true, "awsApiKey": KEY, "awsRegion": "us-east-1", "apiModelId": sonnet,
            }),
        ),
        Row::new("xai", "xaiApiKey", json!({}), dialect::CHAT),
        Row::new("openrouter", "openRouterApiKey", json!({}), dialect::OPENROUTER),
        Row::new(
            "kilocode",
            "kilocodeToken",
            json!({"kilocodeModel": "anthropic/claude-sonnet-4"}),
            dialect::OPENROUTER,
        ),
        Row { retry: Retry::Never, ..Row::new("mistral", "mistralApiKey", json!({}), dialect::MISTRAL) }.with_status(),
        Row {
            retry: Retry::Never,
            own_words: &[404],
            ..Row::new("ollama", "ollamaApiKey", json!({"ollamaModelId": "m"}), dialect::OLLAMA)
        },
        Row {
            usage: Usages::Counted,
            words: false,
            ..Row::new("lmstudio", "", json!({"lmStudioModelId": "m"}), dialect::CHAT_TAGGED)
        },
        Row {
            retry: Retry::Never,
            images: false,
            words: false,
            ..Row::new("cerebras", "cerebrasApiKey", json!({}), dialect::CHAT_TAGGED)
        },
        handler("deepseek", "deepSeekApiKey"),
        Row { images: false, ..handler("doubao", "doubaoApiKey") },
        handler("moonshot", "moonshotApiKey"),
        oai_base("groq", "groqApiKey"),
        oai_base("chutes", "chutesApiKey").tagged(),
        oai_base("featherless", "featherlessApiKey").tagged(),
        oai_base("fireworks", "fireworksApiKey"),
        oai_base("sambanova", "sambaNovaApiKey"),
        oai_base("io-intelligence", "ioIntelligenceApiKey"),
        oai_base("zai", "zaiApiKey"),
        Row { dialect: dialect::CHAT, keyed: false, ..oai_base("roo", "") },
        model("huggingface", "huggingFaceApiKey", "huggingFaceModelId", "m"),
        Row { retry: Retry::FreshToken, status: true, ..Row::new("qwen-code", "", json!({}), dialect::CHAT) },
        Row {
            dialect: dialect::CHAT,
            ..model("requesty", "requestyApiKey", "requestyModelId", "coding/claude-4-sonnet")
        },
        model("litellm", "litellmApiKey", "litellmModelId", "m"),
        Row { status: true, dialect: dialect::CHAT, ..model("deepinfra", "deepInfraApiKey", "deepInfraModelId", "m") },
        Row { status: true, usage: Usages::Polled, ..model("glama", "glamaApiKey", "glamaModelId", "m") },
        Row { status: true, ..model("unbound", "unboundApiKey", "unboundModelId", "m/m") },
        Row { status: true, ..model("vercel-ai-gateway", "vercelAiGatewayApiKey", "vercelAiGatewayModelId", "m") },
        Row {
            retry: Retry::Never,
            ..Row::new("gemini-cli", "", json!({"geminiCliProjectId": "p"}), dialect::GEMINI_CLI)
        },
    ]
}

impl Row {
    fn tagged(mut self) -> Row {
        self.dialect = dialect::CHAT_TAGGED;
        self
    }

    fn with_status(mut self) -> Row {
        self.status = true;
        self
    }
}

/// Credentials files of other programs, valid for a long time.
fn write_credentials(home: &Path) {
    let credentials = json!({
        "access_token": KEY, "refresh_token": KEY, "token_type": "Bearer", "expiry_date": 9_999_999_999_000_i64,
    });
    for folder in [".qwen", ".gemini"] {
        std::fs::create_dir_all(home.join(folder)).expect("a folder");
        std::fs::write(home.join(folder).join("oauth_creds.json"), credentials.to_string()).expect("a file");
    }
}

/// Answers to requests beside the one in question: tokens, lists of models, a bill.
pub fn side(request: &Request) -> Option<Answer> {
    let path = request.path.split('?').next().unwrap_or("");
    let body = match (request.method.as_str(), path) {
        ("POST", "/token" | "/oauth2/v4/token" | "/api/v1/oauth2/token") => {
            json!({"access_token": KEY, "expires_in": 3599, "token_type": "Bearer"})
        }
        ("GET", "/extension-config.json") => json!({"geminiCli": {"oauthClientId": "i", "oauthClientSecret": KEY}}),
        ("POST", "/v1internal:loadCodeAssist") => json!({"cloudaicompanionProject": "p"}),
        ("GET", "/api/tags") => json!({"models": [{"name": "m", "model": "m"}]}),
        ("POST", "/api/show") => json!({"capabilities": ["vision"], "model_info": {}, "parameters": ""}),
        ("GET", path) if path.starts_with("/api/gateway/v1/completion-requests/") => json!({
            "tokenUsage": {"promptTokens": dialect::INPUT_TOKENS, "completionTokens": dialect::OUTPUT_TOKENS},
            "totalCostUsd": "0.25",
        }),
        ("GET", path) if path.ends_with("/model/info") || path.ends_with("/models") => json!({"data": []}),
        ("GET", _) => json!({}),
        _ => return None,
    };
    let headers = vec![("content-type", "application/json".to_owned())];
    Some(Answer { status: 200, headers, pieces: vec![body.to_string().into_bytes()], ..Answer::default() })
}
