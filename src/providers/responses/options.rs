//! The profile keys of the Responses provider and what follows from them (spec 07 §10).

use secrecy::SecretString;
use serde_json::Value;

use crate::providers::options::Options;
use crate::providers::params::ParamsFormat;
use crate::providers::{ModelInfo, models};

/// Name of the model table.
const TABLE: &str = "openai-native";
/// Efforts that may be sent.
const EFFORTS: [&str; 4] = ["minimal", "low", "medium", "high"];

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct ResponsesOptions {
    /// `openAiNativeApiKey`.
    pub key: SecretString,
    /// `openAiNativeBaseUrl`, if it is not empty.
    pub base_url: Option<String>,
    /// `openAiNativeServiceTier`.
    pub tier: Option<String>,
    /// Id in the model table.
    pub model_id: &'static str,
    /// Its facts.
    pub info: &'static ModelInfo,
    /// Reasoning effort in force, if it is one that can be sent. Unlike elsewhere it does not depend on the model.
    pub effort: Option<String>,
    /// `enableGpt5ReasoningSummary`: ask for a summary of the reasoning.
    pub summary: bool,
    /// `verbosity`, for models that take one.
    pub verbosity: Option<String>,
    /// Temperature, for models that take one.
    pub temperature: Option<f64>,
    /// Most output tokens.
    pub max_tokens: Option<i64>,
}

impl ResponsesOptions {
    /// Reads the options of a profile. `None`: the build has no table of these models.
    pub fn read(options: Options<'_>) -> Option<ResponsesOptions> {
        let (model_id, info) = models::table(TABLE)?.known_or_default(options.filled("apiModelId"));
        let effort = options.filled("reasoningEffort").or(info.reasoning_effort.as_deref());
        let is = |key: &str| info.other.get(key).and_then(Value::as_bool);
        let default_temperature = if wire_id(model_id).starts_with("gpt-5") { 1.0 } else { 0.0 };
        let params = options.params(ParamsFormat::OpenAi, model_id, info, default_temperature);
        Some(ResponsesOptions {
            key: options.secret("openAiNativeApiKey").unwrap_or_else(|| "not-provided".into()),
            base_url: options.filled("openAiNativeBaseUrl").map(str::to_owned),
            tier: options.filled("openAiNativeServiceTier").map(str::to_owned),
            model_id,
            info,
            effort: effort.filter(|effort| EFFORTS.contains(effort)).map(str::to_owned),
            summary: options.value("enableGpt5ReasoningSummary") != Some(&Value::Bool(false)),
            verbosity: (is("supportsVerbosity") == Some(true))
                .then(|| options.filled("verbosity").unwrap_or("medium").to_owned()),
            temperature: (is("supportsTemperature") != Some(false))
                .then(|| options.number("modelTemperature").unwrap_or(default_temperature)),
            max_tokens: params.max_tokens.filter(|tokens| *tokens != 0),
        })
    }

    /// Id on the wire: `o3-mini` stands for its variants; no other id is shortened.
    pub fn wire_id(&self) -> &'static str {
        wire_id(self.model_id)
    }

    /// The tier to ask for: `default`, or one that the model has.
    pub fn tier_to_ask_for(&self) -> Option<&str> {
        self.tier.as_deref().filter(|tier| *tier == "default" || super::usage::tier(self.info, tier).is_some())
    }
}

fn wire_id(model_id: &'static str) -> &'static str {
    if model_id.starts_with("o3-mini") { "o3-mini" } else { model_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;

    fn read(options: Value) -> ResponsesOptions {
        let settings: Settings = serde_json::from_value(options).expect("settings");
        ResponsesOptions::read(Options::of(&settings)).expect("a table")
    }

    #[test]
    fn only_o3_mini_is_shortened_and_unknown_models_become_the_default() {
        for (model, wire) in [
            ("o3-mini-high", "o3-mini"),
            ("o3-high", "o3-high"),
            ("o4-mini-low", "o4-mini-low"),
            ("unheard-of", "gpt-5-2025-08-07"),
        ] {
            assert_eq!(read(json!({"apiModelId": model})).wire_id(), wire, "{model}");
        }
    }

    #[test]
    fn an_effort_that_is_set_is_sent_whatever_the_model() {
        for (options, expected) in [
            (json!({"apiModelId": "gpt-4o"}), None),
            (json!({"apiModelId": "gpt-4o", "reasoningEffort": "minimal"}), Some("minimal")),
            (json!({"apiModelId": "o3", "enableReasoningEffort": false}), Some("medium")),
            (json!({"apiModelId": "o3", "reasoningEffort": "utmost"}), None),
        ] {
            assert_eq!(read(options.clone()).effort.as_deref(), expected, "{options}");
        }
    }

    #[test]
    fn a_tier_that_the_model_lacks_is_not_asked_for() {
        for (model, tier, expected) in [
            ("gpt-5-2025-08-07", "flex", Some("flex")),
            ("gpt-5-chat-latest", "flex", None),
            ("gpt-5-chat-latest", "default", Some("default")),
        ] {
            let options = read(json!({"apiModelId": model, "openAiNativeServiceTier": tier}));
            assert_eq!(options.tier_to_ask_for(), expected, "{model} {tier}");
        }
    }
}
