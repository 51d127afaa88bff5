//! The profile keys of the Anthropic provider and the model they choose (spec 07 §9).

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::providers::http::{HeaderMap, InvalidHeader, set_header};
use crate::providers::models::{ModelTable, table};
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat};
use crate::providers::{Environment, ModelInfo};

const DEFAULT_BASE: &str = "https://api.anthropic.com";
/// Version of the API that is spoken.
const API_VERSION: &str = "2023-06-01";
/// Marks an id whose model thinks; not part of the id on the wire.
const THINKING_SUFFIX: &str = ":thinking";
const LONG_OUTPUT_BETA: &str = "output-128k-2025-02-19";
const LONG_CONTEXT_BETA: &str = "context-1m-2025-08-07";
const CACHING_BETA: &str = "prompt-caching-2024-07-31";
/// Models whose context can be a million tokens.
const LONG_CONTEXT_MODELS: [&str; 2] = ["claude-sonnet-4-20250514", "claude-4.5-sonnet"];

/// How the key is shown to the server.
#[derive(Clone, Debug)]
enum Credential {
    /// `X-Api-Key`.
    Key(SecretString),
    /// `Authorization: Bearer`.
    Token(SecretString),
}

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct AnthropicOptions {
    /// Address before `/v1`, without a slash at its end.
    pub base_url: String,
    /// Id on the wire.
    pub model_id: String,
    /// Facts of the model.
    pub info: ModelInfo,
    /// Parameters that follow from model and settings.
    pub params: ModelParams,
    /// Value of `anthropic-beta` of streamed requests.
    pub betas: String,
    credential: Option<Credential>,
}

impl AnthropicOptions {
    /// Reads the profile. What it leaves out comes from `ANTHROPIC_BASE_URL`, `ANTHROPIC_API_KEY` and
    /// `ANTHROPIC_AUTH_TOKEN`.
    pub fn read(options: Options<'_>, environment: &Environment) -> AnthropicOptions {
        let from_environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        let own_base = options.filled("anthropicBaseUrl").map(str::to_owned);
        let as_token = own_base.is_some() && options.is("anthropicUseAuthToken");
        let base_url = own_base.or_else(|| from_environment("ANTHROPIC_BASE_URL"));
        let base_url = base_url.as_deref().unwrap_or(DEFAULT_BASE);

        static NO_MODELS: std::sync::OnceLock<ModelTable> = std::sync::OnceLock::new();
        let models = table("anthropic").unwrap_or_else(|| NO_MODELS.get_or_init(ModelTable::default));
        let (id, info) = models.known_or_default(options.text("apiModelId"));
        let (mut info, mut betas) = (info.clone(), Vec::new());
        if id.ends_with(THINKING_SUFFIX) {
            betas.push(LONG_OUTPUT_BETA);
        }
        if LONG_CONTEXT_MODELS.contains(&id) && options.is("anthropicBeta1MContext") {
            widen_context(&mut info);
            betas.push(LONG_CONTEXT_BETA);
        }
        betas.push(CACHING_BETA);
        AnthropicOptions {
            base_url: base_url.strip_suffix('/').unwrap_or(base_url).to_owned(),
            model_id: wire_id(id).to_owned(),
            params: options.params(ParamsFormat::Anthropic, id, &info, 0.0),
            info,
            betas: betas.join(","),
            credential: credential(options, as_token, from_environment),
        }
    }

    /// Headers of every request. `None`: the profile has no key.
    pub fn headers(&self) -> Option<Result<HeaderMap, InvalidHeader>> {
        let credential = self.credential.as_ref()?;
        let mut headers = HeaderMap::new();
        let mut fill = || {
            match credential {
                Credential::Key(key) => set_header(&mut headers, "X-Api-Key", key.expose_secret())?,
                Credential::Token(token) => {
                    set_header(&mut headers, "Authorization", &format!("Bearer {}", token.expose_secret()))?;
                }
            }
            set_header(&mut headers, "anthropic-version", API_VERSION)?;
            set_header(&mut headers, "Content-Type", "application/json")?;
            set_header(&mut headers, "Accept", "application/json")
        };
        Some(fill().map(|()| headers))
    }

    /// The key or token, to keep it out of messages; empty when there is none.
    pub fn secret(&self) -> SecretString {
        match &self.credential {
            Some(Credential::Key(secret) | Credential::Token(secret)) => secret.clone(),
            None => SecretString::default(),
        }
    }
}

/// The id without the mark of a thinking model.
pub fn wire_id(id: &str) -> &str {
    id.strip_suffix(THINKING_SUFFIX).unwrap_or(id)
}

/// A key that is set but empty is none; the environment does not replace it.
fn credential(
    options: Options<'_>,
    as_token: bool,
    from_environment: impl Fn(&str) -> Option<String>,
) -> Option<Credential> {
    let own = options.secret_text("apiKey");
    let or_environment = |name: &str| own.clone().or_else(|| from_environment(name).map(Into::into));
    let key = |name: &str| or_environment(name).filter(|key: &SecretString| !key.expose_secret().is_empty());
    let token = || key("ANTHROPIC_AUTH_TOKEN").map(Credential::Token);
    match as_token {
        true => token(),
        false => key("ANTHROPIC_API_KEY").map(Credential::Key).or_else(token),
    }
}

/// Window and prices of the model's first tier.
fn widen_context(info: &mut ModelInfo) {
    let Some(tier) = info.other.get("tiers").and_then(|tiers| tiers.get(0)).cloned() else { return };
    let price = |name: &str| tier.get(name).and_then(Value::as_f64);
    info.context_window = tier.get("contextWindow").and_then(Value::as_u64).unwrap_or(info.context_window);
    info.input_price = price("inputPrice");
    info.output_price = price("outputPrice");
    info.cache_writes_price = price("cacheWritesPrice");
    info.cache_reads_price = price("cacheReadsPrice");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;
    use std::sync::Arc;

    fn read(options: Value, environment: &'static [(&'static str, &'static str)]) -> AnthropicOptions {
        let settings: Settings = serde_json::from_value(options).expect("settings");
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string());
        let environment: Environment = Arc::new(find);
        AnthropicOptions::read(Options::of(&settings), &environment)
    }

    /// Name and value of the header that shows the key.
    fn shown(options: &AnthropicOptions) -> Option<String> {
        let headers = options.headers()?.expect("headers that can be sent");
        let found = ["x-api-key", "authorization"].into_iter().filter_map(|name| Some((name, headers.get(name)?)));
        Some(found.map(|(name, value)| format!("{name}={}", value.to_str().unwrap_or("?"))).collect())
    }

    #[test]
    fn the_key_is_shown_as_the_profile_wants() {
        const ENVIRONMENT: &[(&str, &str)] = &[("ANTHROPIC_API_KEY", "env-key"), ("ANTHROPIC_AUTH_TOKEN", "env-token")];
        for (options, environment, expected) in [
            (json!({"apiKey": "k"}), ENVIRONMENT, Some("x-api-key=k")),
            (json!({"apiKey": "k", "anthropicUseAuthToken": true}), &[], Some("x-api-key=k")),
            (json!({"apiKey": "k", "anthropicBaseUrl": "http://p"}), &[], Some("x-api-key=k")),
            (
                json!({"apiKey": "k", "anthropicBaseUrl": "http://p", "anthropicUseAuthToken": true}),
                ENVIRONMENT,
                Some("authorization=Bearer k"),
            ),
            (
                json!({"anthropicBaseUrl": "http://p", "anthropicUseAuthToken": true}),
                ENVIRONMENT,
                Some("authorization=Bearer env-token"),
            ),
            (json!({}), ENVIRONMENT, Some("x-api-key=env-key")),
            (json!({}), &ENVIRONMENT[1..], Some("authorization=Bearer env-token")),
            (json!({"apiKey": ""}), ENVIRONMENT, None),
            (json!({}), &[], None),
        ] {
            assert_eq!(shown(&read(options.clone(), environment)).as_deref(), expected, "{options}");
        }
    }

    #[test]
    fn the_base_is_the_profile_s_or_the_environment_s_or_the_vendor_s() {
        const ENVIRONMENT: &[(&str, &str)] = &[("ANTHROPIC_BASE_URL", "http://env")];
        for (options, environment, expected) in [
            (json!({"anthropicBaseUrl": "http://own/"}), ENVIRONMENT, "http://own"),
            (json!({"anthropicBaseUrl": ""}), ENVIRONMENT, "http://env"),
            (json!({}), &[], DEFAULT_BASE),
        ] {
            assert_eq!(read(options.clone(), environment).base_url, expected, "{options}");
        }
    }

    #[test]
    fn the_model_decides_betas_and_window() {
        let (long, wide) = ("output-128k-2025-02-19,", "context-1m-2025-08-07,");
        for (id, flag, wire, betas, window) in [
            ("claude-sonnet-4-20250514", false, "claude-sonnet-4-20250514", "", 200_000),
            ("claude-sonnet-4-20250514", true, "claude-sonnet-4-20250514", wide, 1_000_000),
            ("claude-4.5-sonnet", true, "claude-4.5-sonnet", wide, 1_000_000),
            ("claude-opus-4-20250514", true, "claude-opus-4-20250514", "", 200_000),
            ("claude-3-7-sonnet-20250219:thinking", true, "claude-3-7-sonnet-20250219", long, 200_000),
            ("unknown", true, "claude-sonnet-4-20250514", wide, 1_000_000),
        ] {
            let options = read(json!({"apiModelId": id, "anthropicBeta1MContext": flag}), &[]);
            assert_eq!(options.model_id, wire, "{id}");
            assert_eq!(options.betas, format!("{betas}{CACHING_BETA}"), "{id}");
            assert_eq!(options.info.context_window, window, "{id}");
        }
    }

    #[test]
    fn keys_do_not_show() {
        assert!(!format!("{:?}", read(json!({"apiKey": "sk-secret"}), &[])).contains("sk-secret"));
    }
}
