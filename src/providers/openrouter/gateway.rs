//! Where requests go and in whose name: OpenRouter, or the KiloCode gateway (spec 07 §20).

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::decode::{kilocode_usage, openrouter_usage};
use crate::providers::chat::{UsageReader, sdk_headers};
use crate::providers::failure::{self, Failure};
use crate::providers::http::{HeaderMap, HttpRequest, set_header};
use crate::providers::models::fetch::Query;
use crate::providers::options::Options;
use crate::providers::{ModelInfo, ProviderError, RequestMetadata, Surroundings, Wording};

/// Model of profiles that name none, and of gateways whose own default cannot be had.
const DEFAULT_MODEL: &str = "anthropic/claude-sonnet-4";
/// Name of the KiloCode gateway's list of models.
pub const KILOCODE_LIST: &str = "kilocode-openrouter";
const OPENROUTER_BASE: &str = "https://openrouter.ai/api/v1";
const KILOCODE_BASE: &str = "https://api.kilocode.ai";
const KILOCODE_DEVELOPMENT_BASE: &str = "http://localhost:3000";
/// How long the gateway may take to name its default model.
const DEFAULTS_LIMIT: Duration = Duration::from_secs(5);
/// Tokens come with either alphabet, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// With what the KiloCode gateway's models are asked for, by these options.
pub fn kilocode_query(options: Options<'_>) -> Query {
    Gateway::kilocode(options).query()
}

/// See the module.
pub struct Gateway {
    /// Name in failures.
    pub name: &'static str,
    /// Name of its list of models.
    pub list: &'static str,
    /// Key; empty when the profile has none.
    pub key: SecretString,
    base: String,
    model_id: Option<String>,
    kilocode: Option<KiloCode>,
}

/// What only the KiloCode gateway needs.
struct KiloCode {
    organization: Option<String>,
    /// Milliseconds since the epoch until which testers see no warnings.
    quiet_until: f64,
    /// The model that the gateway names when the profile names none. A gateway has one token and one organisation, so one
    /// answer holds.
    default_model: OnceCell<String>,
}

impl Gateway {
    /// OpenRouter.
    pub fn openrouter(options: Options<'_>) -> Gateway {
        Gateway {
            name: "OpenRouter",
            list: "openrouter",
            key: options.secret_text("openRouterApiKey").unwrap_or_else(|| "not-provided".into()),
            base: options.filled("openRouterBaseUrl").unwrap_or(OPENROUTER_BASE).to_owned(),
            model_id: Some(options.text("openRouterModelId").unwrap_or(DEFAULT_MODEL).to_owned()),
            kilocode: None,
        }
    }

    /// The KiloCode gateway that the profile's token belongs to.
    pub fn kilocode(options: Options<'_>) -> Gateway {
        let key = options.secret("kilocodeToken").unwrap_or_default();
        Gateway {
            name: "KiloCode",
            list: KILOCODE_LIST,
            base: format!("{}/api/openrouter", kilocode_base(key.expose_secret())),
            key,
            model_id: options.text("kilocodeModel").map(str::to_owned),
            kilocode: Some(KiloCode {
                organization: options.filled("kilocodeOrganizationId").map(str::to_owned),
                quiet_until: options.number("kilocodeTesterWarningsDisabledUntil").unwrap_or(0.0),
                default_model: OnceCell::new(),
            }),
        }
    }

    /// Whether requests can be made at all.
    ///
    /// # Errors
    /// The gateway needs a token, and the profile has none.
    pub fn check(&self, wording: &Wording) -> Result<(), ProviderError> {
        match self.kilocode.is_some() && self.key.expose_secret().is_empty() {
            true => Err(ProviderError::worded(wording, "provider.key_required", &[("provider", self.name)])),
            false => Ok(()),
        }
    }

    /// Address of the chat call.
    pub fn url(&self) -> String {
        format!("{}/chat/completions", self.base.strip_suffix('/').unwrap_or(&self.base))
    }

    /// With what the models are asked for. OpenRouter's own list is public, and the same for every address.
    pub fn query(&self) -> Query {
        match &self.kilocode {
            None => Query::default(),
            Some(_) => Query { key: Some(self.key.clone()), base_url: Some(self.base.clone()), ..Query::default() },
        }
    }

    /// The model's id: the profile's, else the one that the gateway names.
    pub async fn model_id(&self, surroundings: &Surroundings) -> String {
        match (&self.model_id, &self.kilocode) {
            (Some(id), _) => id.clone(),
            (None, None) => DEFAULT_MODEL.to_owned(),
            (None, Some(own)) => {
                let named = async {
                    let asked = tokio::time::timeout(DEFAULTS_LIMIT, self.ask_default_model(own, surroundings)).await;
                    let named = asked.ok().and_then(Result::ok).flatten();
                    named.unwrap_or_else(|| DEFAULT_MODEL.to_owned())
                };
                own.default_model.get_or_init(|| named).await.clone()
            }
        }
    }

    /// The model's id as long as nothing was fetched.
    pub fn first_model_id(&self) -> &str {
        self.model_id.as_deref().unwrap_or(DEFAULT_MODEL)
    }

    async fn ask_default_model(&self, own: &KiloCode, around: &Surroundings) -> Result<Option<String>, Failure> {
        let base = kilocode_base(self.key.expose_secret());
        let url = match &own.organization {
            Some(organization) => format!("{base}/api/organizations/{organization}/defaults"),
            None => format!("{base}/api/defaults"),
        };
        let request = HttpRequest { retries: 0, ..HttpRequest::get(url, self.headers(None, around)?) };
        let answer = failure::read_json(around.http.send(request).await?).await?;
        Ok(answer["defaultModel"].as_str().filter(|id| !id.is_empty()).map(str::to_owned))
    }

    /// All headers of a request.
    ///
    /// # Errors
    /// A key or an id that no header can carry.
    pub fn headers(
        &self,
        metadata: Option<&RequestMetadata>,
        surroundings: &Surroundings,
    ) -> Result<HeaderMap, Failure> {
        let mut headers = sdk_headers(&self.key, &surroundings.environment, true)?;
        let Some(own) = &self.kilocode else { return Ok(headers) };
        if let Some(metadata) = metadata.filter(|metadata| !metadata.task_id.is_empty()) {
            set_header(&mut headers, "X-KiloCode-TaskId", &metadata.task_id)?;
        }
        if let Some(organization) = &own.organization {
            set_header(&mut headers, "X-KiloCode-OrganizationId", organization)?;
        }
        let now = (surroundings.http.now)().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        if own.quiet_until > now * 1000.0 {
            set_header(&mut headers, "X-KILOCODE-TESTER", "SUPPRESS")?;
        }
        Ok(headers)
    }

    /// How counts and costs of an answer by a model with `info` are read.
    pub fn usage_reader(&self, info: &ModelInfo) -> UsageReader {
        match &self.kilocode {
            None => openrouter_usage(),
            Some(_) => kilocode_usage(info),
        }
    }

    /// Whether a failure before the answer is one that the loop knows how to deal with, and so is not wrapped (spec 07 §2).
    pub fn passes(&self, error: &ProviderError) -> bool {
        let says = |words: &str| error.message.contains(words);
        self.kilocode.is_some()
            && match error.status {
                Some(402) => true,
                Some(404) => says("alpha period") && says("has ended") || says("not allowed for your team"),
                Some(400) => says("not a valid model"),
                _ => false,
            }
    }
}

/// Where a token was issued: its middle part says so if it was for development.
fn kilocode_base(token: &str) -> &'static str {
    let claims = token.split('.').nth(1).map(|part| part.replace('+', "-").replace('/', "_"));
    let claims = claims.and_then(|part| BASE64.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match claims.is_some_and(|claims| claims["env"] == "development") {
        true => KILOCODE_DEVELOPMENT_BASE,
        false => KILOCODE_BASE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_where_it_belongs() {
        let token = |claims: &str, engine: &GeneralPurpose| format!("head.{}.signature", engine.encode(claims));
        let standard = &base64::engine::general_purpose::STANDARD;
        for (token, base) in [
            (token(r#"{"env":"development"}"#, &BASE64), KILOCODE_DEVELOPMENT_BASE),
            (token(r#"{"env":"development","n":"ÿÿ>>>?"}"#, standard), KILOCODE_DEVELOPMENT_BASE),
            (token(r#"{"env":"production"}"#, &BASE64), KILOCODE_BASE),
            (token("[1]", &BASE64), KILOCODE_BASE),
            ("a.%%%.b".into(), KILOCODE_BASE),
            ("token".into(), KILOCODE_BASE),
            (String::new(), KILOCODE_BASE),
        ] {
            assert_eq!(kilocode_base(&token), base, "{token}");
        }
    }

    #[test]
    fn only_failures_that_the_loop_knows_pass() {
        let mut gateway = Gateway {
            name: "KiloCode",
            list: "kilocode-openrouter",
            key: SecretString::default(),
            base: String::new(),
            model_id: None,
            kilocode: Some(KiloCode { organization: None, quiet_until: 0.0, default_model: OnceCell::new() }),
        };
        let error = |status, message: &str| ProviderError { status: Some(status), ..ProviderError::new(message) };
        let cases = [
            (error(402, "pay"), true),
            (error(404, "the alpha period of m has ended"), true),
            (error(404, "the alpha period goes on"), false),
            (error(404, "m is not allowed for your team"), true),
            (error(400, "m is not a valid model"), true),
            (error(404, "m is not a valid model"), false),
            (error(500, "down"), false),
            (ProviderError::new("402"), false),
        ];
        for (error, passes) in &cases {
            assert_eq!(gateway.passes(error), *passes, "{error:?}");
        }
        gateway.kilocode = None;
        assert!(!cases.iter().any(|(error, _)| gateway.passes(error)));
    }
}
