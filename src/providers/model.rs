//! Which model a profile names (spec 07 §1.5).

pub use crate::settings::profiles::model_id as model_id_of;

/// Which family of APIs a provider belongs to; decides how context tokens are counted (spec 07 §1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiProtocol {
    /// Input tokens are reported without the cached ones.
    Anthropic,
    /// Input tokens are reported with the cached ones.
    OpenAi,
}

impl ApiProtocol {
    /// The family of this provider and model.
    pub fn of(provider: Option<&str>, model_id: Option<&str>) -> ApiProtocol {
        let model = model_id.unwrap_or("").to_lowercase();
        match provider {
            Some("anthropic" | "claude-code" | "bedrock") => ApiProtocol::Anthropic,
            Some("vertex") if model.contains("claude") => ApiProtocol::Anthropic,
            Some("vercel-ai-gateway") if model.starts_with("anthropic/") => ApiProtocol::Anthropic,
            _ => ApiProtocol::OpenAi,
        }
    }

    /// The name in stored records.
    pub const fn as_str(self) -> &'static str {
        match self {
            ApiProtocol::Anthropic => "anthropic",
            ApiProtocol::OpenAi => "openai",
        }
    }
}

/// Providers whose list of models is fetched (spec 07 §21.1).
const ROUTER_NAMES: [&str; 12] = [
    "openrouter",
    "vercel-ai-gateway",
    "huggingface",
    "litellm",
    "kilocode-openrouter",
    "deepinfra",
    "io-intelligence",
    "requesty",
    "unbound",
    "glama",
    "ollama",
    "lmstudio",
];

/// The name of a provider whose list of models is fetched; exact, case-sensitive. `None` for any other.
pub fn router_name(name: &str) -> Option<&'static str> {
    ROUTER_NAMES.into_iter().find(|router| *router == name)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use serde_json::json;

    /// parity 04 §quirks.12: the key of the model does not depend on the provider
    #[test]
    fn the_first_set_key_names_the_model() {
        let options = json!({"openAiModelId": "gpt", "apiModelId": "", "kilocodeModel": "k"});
        assert_eq!(model_id_of(options.as_object().expect("an object")), Some("gpt"));
        assert_eq!(model_id_of(&Map::new()), None);
    }

    #[test]
    fn protocol_follows_provider_and_model() {
        for (provider, model, expected) in [
            (Some("anthropic"), None, "anthropic"),
            (Some("vertex"), Some("Claude-x"), "anthropic"),
            (Some("vertex"), Some("gemini"), "openai"),
            (Some("vercel-ai-gateway"), Some("Anthropic/claude"), "anthropic"),
            (Some("vercel-ai-gateway"), Some("x/anthropic/claude"), "openai"),
            (None, Some("claude"), "openai"),
        ] {
            assert_eq!(ApiProtocol::of(provider, model).as_str(), expected, "{provider:?} {model:?}");
        }
    }
}
