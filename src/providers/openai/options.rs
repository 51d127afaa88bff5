//! The profile keys of the OpenAI-compatible provider (spec 04 §4.2, spec 07 §11).

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use crate::providers::ModelInfo;
use crate::providers::chat::UsageRule;
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat};

/// Seconds an answer's headers may take by default.
const DEFAULT_TIMEOUT: f64 = 600.0;

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct OpenAiOptions {
    /// `openAiBaseUrl`; empty when absent.
    pub base_url: String,
    /// `openAiApiKey`.
    pub key: SecretString,
    /// `openAiModelId`.
    pub model_id: String,
    /// `openAiCustomModelInfo`.
    pub info: ModelInfo,
    /// Whether the info says `maxTokens: null`, which then goes out as null.
    pub max_tokens_null: bool,
    /// `openAiHeaders`; `None` removes a header.
    pub headers: Vec<(String, Option<SecretString>)>,
    /// `openAiUseAzure`.
    pub use_azure: bool,
    /// `azureApiVersion`.
    pub azure_api_version: Option<String>,
    /// `openAiStreamingEnabled`.
    pub streaming: bool,
    /// `openAiR1FormatEnabled`.
    pub r1_format: bool,
    /// `openAiLegacyFormat`.
    pub legacy_format: bool,
    /// `includeMaxTokens`.
    pub include_max_tokens: bool,
    /// `modelMaxTokens`, 0 left out.
    pub model_max_tokens: Option<Value>,
    /// `modelTemperature`.
    pub temperature: Option<f64>,
    /// Parameters that follow from model and settings.
    pub params: ModelParams,
    /// `apiRequestTimeout`; `None`: no limit (deviation D21).
    pub timeout: Option<Duration>,
    /// How usage is read outside of the o-series.
    pub usage: UsageRule,
    /// Field with the limit of output tokens.
    pub max_tokens_field: &'static str,
}

/// What a vendor has of its own who is spoken to as OpenAI is (spec 07 §19.1: deepseek, doubao, moonshot).
pub struct Vendor {
    /// Base address.
    pub base_url: String,
    /// Key.
    pub key: SecretString,
    /// Id on the wire.
    pub model_id: String,
    /// Facts of the model.
    pub info: ModelInfo,
    /// How usage is read.
    pub usage: UsageRule,
    /// Field with the limit of output tokens.
    pub max_tokens_field: &'static str,
}

impl OpenAiOptions {
    /// Reads the flat options of a profile.
    ///
    /// # Errors
    /// The key whose value cannot be used, and why.
    pub fn read(profile: Options<'_>) -> Result<OpenAiOptions, (&'static str, String)> {
        let custom = profile.value("openAiCustomModelInfo");
        let info: ModelInfo = match custom {
            Some(info) => serde_json::from_value(info.clone()).map_err(|e| ("openAiCustomModelInfo", e.to_string()))?,
            None => default_info(),
        };
        let vendor = Vendor {
            base_url: profile.text("openAiBaseUrl").unwrap_or("").to_owned(),
            key: profile.secret_text("openAiApiKey").unwrap_or_else(|| "not-provided".into()),
            model_id: profile.text("openAiModelId").unwrap_or("").to_owned(),
            info,
            usage: UsageRule::openai(),
            max_tokens_field: "max_completion_tokens",
        };
        Ok(OpenAiOptions {
            max_tokens_null: custom.is_some_and(|info| info.get("maxTokens") == Some(&Value::Null)),
            streaming: profile.map().get("openAiStreamingEnabled") != Some(&Value::Bool(false)),
            include_max_tokens: profile.is("includeMaxTokens"),
            ..OpenAiOptions::of_vendor(profile, vendor)
        })
    }

    /// The options of a profile for a vendor: it always streams and always limits the output.
    pub fn of_vendor(profile: Options<'_>, vendor: Vendor) -> OpenAiOptions {
        let Vendor { base_url, key, model_id, info, usage, max_tokens_field } = vendor;
        OpenAiOptions {
            base_url,
            key,
            params: profile.params(ParamsFormat::OpenAi, &model_id, &info, 0.0),
            model_id,
            max_tokens_null: false,
            info,
            headers: profile.headers("openAiHeaders"),
            use_azure: profile.is("openAiUseAzure"),
            azure_api_version: profile.filled("azureApiVersion").map(str::to_owned),
            streaming: true,
            r1_format: profile.is("openAiR1FormatEnabled"),
            legacy_format: profile.is("openAiLegacyFormat"),
            include_max_tokens: true,
            model_max_tokens: profile.truthy_number("modelMaxTokens").cloned(),
            temperature: profile.number("modelTemperature"),
            timeout: timeout(profile.number("apiRequestTimeout")),
            usage,
            max_tokens_field,
        }
    }

    /// Whether the model id contains a mark of OpenAI's reasoning models, wherever it stands.
    pub fn is_o_series(&self) -> bool {
        ["o1", "o3", "o4"].iter().any(|mark| self.model_id.contains(mark))
    }

    /// Whether the conversation goes out in R1 format.
    pub fn is_reasoner(&self) -> bool {
        self.r1_format || self.model_id.contains("deepseek-reasoner")
    }

    /// Host of the base address with its port, lower case; empty when there is none.
    pub fn host(&self) -> String {
        let Ok(url) = url::Url::parse(&self.base_url) else { return String::new() };
        match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => String::new(),
        }
    }
}

/// Absent 600 s; 0 and less: none (D21).
fn timeout(seconds: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.unwrap_or(DEFAULT_TIMEOUT)).ok().filter(|limit| !limit.is_zero())
}

fn default_info() -> ModelInfo {
    ModelInfo {
        max_tokens: Some(-1),
        context_window: 128_000,
        supports_images: Some(true),
        supports_prompt_cache: Some(false),
        input_price: Some(0.0),
        output_price: Some(0.0),
        ..ModelInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_is_no_timeout() {
        for (seconds, expected) in [(None, Some(600)), (Some(0.0), None), (Some(-5.0), None), (Some(30.0), Some(30))] {
            assert_eq!(timeout(seconds), expected.map(Duration::from_secs), "{seconds:?}");
        }
    }

    #[test]
    fn keys_do_not_show() {
        let options = serde_json::json!({"openAiApiKey": "sk-secret", "openAiHeaders": {"X-Auth": "also-secret"}});
        let settings = serde_json::from_value(options).expect("settings");
        let options = OpenAiOptions::read(Options::of(&settings)).expect("valid options");
        assert!(!format!("{options:?}").contains("secret\""));
    }
}
