//! What can be said about every provider without building it: for lists, documentation and settings forms.

use std::borrow::Cow;

use serde::Serialize;

use super::Surroundings;
use super::compatible::{self, List, Row};
use super::create::{DEFAULT, canonical, user_rows};
use super::models::fetch::{OLLAMA_CONTEXT, Query};
use super::models::{self, ModelList};
use super::openrouter;
use super::options::Options;
use crate::settings::secrets::is_secret;

/// The provider whose list of models has another name, and whose address its token tells.
const KILOCODE: &str = "kilocode";

/// Where the models of a provider come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// A table that is built in.
    Table,
    /// A list that the provider publishes.
    Fetched,
    /// Whatever the profile names.
    Free,
}

/// One provider in short. Serialises as `provider.list` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProviderFacts {
    /// `apiProvider`.
    pub name: Cow<'static, str>,
    /// Name for people.
    pub title: Cow<'static, str>,
    /// What it speaks.
    pub api: Cow<'static, str>,
    /// Base address unless the profile says otherwise; braces hold settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Cow<'static, str>>,
    /// Setting that holds another base address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_setting: Option<Cow<'static, str>>,
    /// Setting that holds its key, or the first of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'static, str>>,
    /// Environment variables it reads when the setting is absent.
    pub environment: Vec<Cow<'static, str>>,
    /// Setting that names the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'static, str>>,
    /// Model used when the setting is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_model: Option<Cow<'static, str>>,
    /// Where its models come from.
    pub models: ModelSource,
    /// The list that a row names.
    #[serde(skip)]
    list: Option<List>,
}

impl ProviderFacts {
    /// Name under which its list of models is fetched and kept.
    pub fn list(&self) -> &str {
        match &self.list {
            Some(list) => &list.of,
            None if self.name == KILOCODE => openrouter::KILOCODE_LIST,
            None => &self.name,
        }
    }

    /// With what its list of models is asked for, by these options.
    pub fn query(&self, options: Options<'_>) -> Query {
        if self.name == KILOCODE {
            return openrouter::kilocode_query(options);
        }
        let asked_with = self.key.as_deref().filter(|_| self.list.as_ref().is_none_or(|list| list.key));
        let key = asked_with.filter(|key| is_secret(key)).and_then(|key| options.secret(key));
        let set = self.address_setting.as_deref().and_then(|key| options.filled(key));
        let base_url = set.or(self.address.as_deref().filter(|_| self.list.is_some())).map(str::to_owned);
        let context =
            options.value(OLLAMA_CONTEXT).and_then(serde_json::Value::as_u64).filter(|_| self.name == "ollama");
        Query { key, base_url, context }
    }
}

/// Facts of a provider with code of its own.
struct Native {
    name: &'static str,
    title: &'static str,
    api: &'static str,
    address: &'static str,
    address_setting: &'static str,
    key: &'static str,
    environment: &'static [&'static str],
    model: &'static str,
    models: ModelSource,
}

/// What is left out below.
const NOTHING: Native = Native {
    name: "",
    title: "",
    api: "",
    address: "",
    address_setting: "",
    key: "",
    environment: &[],
    model: "",
    models: ModelSource::Free,
};

/// In the order in which people look for them.
const NATIVE: &[Native] = &[
    Native {
        name: "anthropic",
        title: "Anthropic",
        api: "Anthropic Messages",
        address: "https://api.anthropic.com",
        address_setting: "anthropicBaseUrl",
        key: "apiKey",
        environment: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"],
        model: "apiModelId",
        models: ModelSource::Table,
    },
    Native {
        name: "openai-native",
        title: "OpenAI",
        api: "OpenAI Responses",
        address: "https://api.openai.com/v1",
        address_setting: "openAiNativeBaseUrl",
        key: "openAiNativeApiKey",
        environment: &["OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"],
        model: "apiModelId",
        models: ModelSource::Table,
    },
    Native {
        name: "openai",
        title: "OpenAI-compatible, Azure OpenAI",
        api: "chat completions",
        address: "{openAiBaseUrl}",
        address_setting: "openAiBaseUrl",
        key: "openAiApiKey",
        environment: &["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"],
        model: "openAiModelId",
        ..NOTHING
    },
    Native {
        name: "gemini",
        title: "Google Gemini",
        api: "Gemini",
        address: "https://generativelanguage.googleapis.com",
        address_setting: "googleGeminiBaseUrl",
        key: "geminiApiKey",
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "vertex",
        title: "Google Vertex AI (Gemini and Claude)",
        api: "Gemini, Anthropic Messages",
        address: "https://{vertexRegion}-aiplatform.googleapis.com",
        address_setting: "googleGeminiBaseUrl",
        key: "vertexJsonCredentials",
        environment: &["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", "ANTHROPIC_VERTEX_BASE_URL"],
        model: "apiModelId",
        models: ModelSource::Table,
    },
    Native {
        name: "bedrock",
        title: "AWS Bedrock",
        api: "Bedrock Converse",
        address: "https://bedrock-runtime.{awsRegion}.amazonaws.com",
        address_setting: "awsBedrockEndpoint",
        key: "awsSecretKey",
        environment: &[
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        ],
        model: "apiModelId",
        models: ModelSource::Table,
    },
    Native {
        name: "xai",
        title: "xAI",
        api: "chat completions",
        address: "https://api.x.ai/v1",
        key: "xaiApiKey",
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "openrouter",
        title: "OpenRouter",
        api: "chat completions",
        address: "https://openrouter.ai/api/v1",
        address_setting: "openRouterBaseUrl",
        key: "openRouterApiKey",
        model: "openRouterModelId",
        models: ModelSource::Fetched,
        ..NOTHING
    },
    Native {
        name: "mistral",
        title: "Mistral",
        api: "chat completions",
        address: "https://api.mistral.ai",
        address_setting: "mistralCodestralUrl",
        key: "mistralApiKey",
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "ollama",
        title: "Ollama",
        api: "Ollama",
        address: "http://localhost:11434",
        address_setting: "ollamaBaseUrl",
        key: "ollamaApiKey",
        environment: &["OLLAMA_CONTEXT_LENGTH"],
        model: "ollamaModelId",
        models: ModelSource::Fetched,
    },
    Native {
        name: "lmstudio",
        title: "LM Studio",
        api: "chat completions",
        address: "http://localhost:1234",
        address_setting: "lmStudioBaseUrl",
        model: "lmStudioModelId",
        models: ModelSource::Fetched,
        ..NOTHING
    },
    Native {
        name: "cerebras",
        title: "Cerebras",
        api: "chat completions",
        address: "https://api.cerebras.ai/v1",
        key: "cerebrasApiKey",
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "claude-code",
        title: "Claude Code",
        api: "the `claude` program",
        environment: &["CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_USE_VERTEX"],
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "gemini-cli",
        title: "Gemini CLI account",
        api: "Gemini",
        address: "https://cloudcode-pa.googleapis.com",
        key: "geminiCliOAuthPath",
        environment: &["GOOGLE_CLOUD_PROJECT"],
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "qwen-code",
        title: "Qwen Code account",
        api: "chat completions",
        address: "https://dashscope.aliyuncs.com/compatible-mode/v1",
        key: "qwenCodeOauthPath",
        model: "apiModelId",
        models: ModelSource::Table,
        ..NOTHING
    },
    Native {
        name: "kilocode",
        title: "Kilo Code gateway",
        api: "chat completions",
        address: "https://api.kilocode.ai/api/openrouter/",
        key: "kilocodeToken",
        model: "kilocodeModel",
        models: ModelSource::Fetched,
        ..NOTHING
    },
    Native {
        name: "virtual-quota-fallback",
        title: "Several profiles in order",
        api: "that of the profile in use",
        ..NOTHING
    },
    Native { name: "human-relay", title: "Human relay", api: "copy and paste", ..NOTHING },
    Native { name: "replay", title: "Recorded transcript", api: "a file (docs/replay.md)", ..NOTHING },
];

/// Facts of all built-in providers, in listing order: those with code, then those of the table.
pub fn builtin() -> Vec<ProviderFacts> {
    let rows = compatible::built_in().good.iter().map(|(name, row)| of_row(name, row));
    NATIVE.iter().map(native).chain(rows).collect()
}

/// Facts of the providers in the user's own tables, and what is wrong there, in words.
pub fn of_user(surroundings: &Surroundings) -> (Vec<ProviderFacts>, Vec<String>) {
    let rows = user_rows(surroundings);
    let facts = rows.good.iter().map(|(name, row)| of_row(name, row)).collect();
    (facts, rows.bad.iter().map(|problem| problem.in_words(&surroundings.wording)).collect())
}

/// Facts of one provider, built in or the user's own.
pub fn find(name: &str, surroundings: &Surroundings) -> Option<ProviderFacts> {
    let name = canonical(name);
    let rows = user_rows(surroundings);
    match rows.good.get(name) {
        Some(row) => Some(of_row(name, row)),
        None => builtin().into_iter().find(|facts| facts.name == name),
    }
}

/// Facts of the provider that a profile with this `apiProvider` uses (spec 07 §1.1).
pub fn chosen(api_provider: Option<&str>, surroundings: &Surroundings) -> Option<ProviderFacts> {
    api_provider.and_then(|name| find(name, surroundings)).or_else(|| find(DEFAULT, surroundings))
}

/// The models of a provider that are known without asking it: those its row describes, then those of its table.
pub fn known_models(name: &str, surroundings: &Surroundings) -> ModelList {
    let rows = user_rows(surroundings);
    let Some(row) = rows.good.get(name).or_else(|| compatible::built_in().good.get(name)) else {
        return table(name).map(|table| table.models.clone()).unwrap_or_default();
    };
    let mut known: ModelList = row.models.clone().into_iter().collect();
    let listed = row.known_table().map(|table| table.models.as_slice()).unwrap_or_default();
    known.extend(listed.iter().filter(|(id, _)| !row.models.contains_key(id)).cloned());
    known
}

/// The built-in models of a provider, if it has such a table.
pub fn table(provider: &str) -> Option<&'static models::ModelTable> {
    // Two tables by the vendor's lines; the international one is the default.
    models::table(if provider == "zai" { "zai-international" } else { provider })
}

fn native(native: &Native) -> ProviderFacts {
    let given = |text: &'static str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    let table = table(native.name).map(|table| table.default_model.as_str());
    let dynamic = models::dynamic(native.name).map(|table| table.default_model.as_str());
    let default_model = table.or(dynamic).filter(|model| !model.is_empty() && !native.model.is_empty());
    ProviderFacts {
        name: native.name.into(),
        title: native.title.into(),
        api: native.api.into(),
        address: given(native.address),
        address_setting: given(native.address_setting),
        key: given(native.key),
        environment: native.environment.iter().map(|name| (*name).into()).collect(),
        model: given(native.model),
        default_model: default_model.map(Into::into),
        models: native.models,
        list: None,
    }
}

fn of_row(name: &str, row: &Row) -> ProviderFacts {
    let given = |text: &Option<String>| text.clone().map(Cow::Owned);
    let variant = row.variant.as_ref().map(|variant| format!("{{{}}}", variant.setting));
    ProviderFacts {
        name: name.to_owned().into(),
        title: row.name.clone().into(),
        api: "chat completions".into(),
        address: given(&row.base_url).or(variant.map(Cow::Owned)),
        address_setting: given(&row.base_url_setting),
        key: given(&row.key_setting),
        environment: [&row.base_url_env, &row.key_env].into_iter().filter_map(given).collect(),
        model: Some(row.model_setting.clone().into()),
        default_model: Some(row.default_model_id().to_owned().into()),
        models: match row {
            row if row.list.is_some() => ModelSource::Fetched,
            row if row.table.is_some() || row.variant.is_some() || !row.models.is_empty() => ModelSource::Table,
            _ => ModelSource::Free,
        },
        list: row.list.clone(),
    }
}
