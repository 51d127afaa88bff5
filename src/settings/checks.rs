//! Checks of a profile: what an organisation allows (spec 04 §5.7), whether anything is configured (spec 04 §4.2).

use serde_json::{Map, Value};

use super::secrets::{PROFILES_KEY, is_secret};

/// Providers that need no setting.
const SELF_CONTAINED: [&str; 6] = ["human-relay", "fake-ai", "claude-code", "qwen-code", "roo", "gemini-cli"];
/// Settings that are no secrets and yet say that something is configured.
const TELLING: [&str; 6] =
    ["awsRegion", "vertexProjectId", "ollamaModelId", "lmStudioModelId", "vsCodeLmModelSelector", "kilocodeModel"];
/// Secrets that belong to no provider, or say nothing by themselves.
const FOREIGN: [&str; 7] = [
    PROFILES_KEY,
    "httpProxy",
    "openAiHeaders",
    "openRouterImageApiKey",
    "kiloCodeImageApiKey",
    "morphApiKey",
    "vertexJsonCredentials",
];

/// Whether `policy` (`{allowAll, providers: {name: {allowAll?, models?}}}`) lets a profile be used.
pub fn is_allowed(profile: &Map<String, Value>, policy: &Value) -> bool {
    if policy["allowAll"] == true {
        return true;
    }
    let Some(provider) = profile.get("apiProvider").and_then(Value::as_str) else { return false };
    let Some(allowed) = policy["providers"].get(provider) else { return false };
    if provider == "human-relay" || allowed["allowAll"] == true {
        return true;
    }
    let models = allowed["models"].as_array();
    model(profile, provider).is_some_and(|id| models.is_some_and(|models| models.iter().any(|model| model == id)))
}

/// The model of a profile under its provider's own key; not the first of any.
fn model<'a>(profile: &'a Map<String, Value>, provider: &str) -> Option<&'a str> {
    let key = match provider {
        "anthropic" | "openai-native" | "bedrock" | "vertex" | "gemini" | "mistral" | "deepseek" | "xai" | "zai"
        | "groq" | "sambanova" | "chutes" | "fireworks" | "featherless" => "apiModelId",
        "openai" => "openAiModelId",
        "openrouter" => "openRouterModelId",
        "glama" => "glamaModelId",
        "ollama" => "ollamaModelId",
        "lmstudio" => "lmStudioModelId",
        "unbound" => "unboundModelId",
        "requesty" => "requestyModelId",
        "litellm" => "litellmModelId",
        "io-intelligence" => "ioIntelligenceModelId",
        "deepinfra" => "deepInfraModelId",
        "vscode-lm" => return profile.get("vsCodeLmModelSelector")?.get("id")?.as_str().filter(|id| !id.is_empty()),
        _ => return None,
    };
    profile.get(key)?.as_str().filter(|id| !id.is_empty())
}

/// Whether a profile says anything that lets its provider be used. A key that is there counts, even empty.
pub fn is_configured(profile: &Map<String, Value>) -> bool {
    let provider = profile.get("apiProvider").and_then(Value::as_str).unwrap_or_default();
    SELF_CONTAINED.contains(&provider)
        || profile.keys().any(|key| is_secret(key) && !FOREIGN.contains(&key.as_str()))
        || TELLING.iter().any(|key| profile.get(*key).is_some_and(|value| !value.is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn profile(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    /// parity 04 §5.7: the first rule that matches decides; the model is that of the provider's own key
    #[test]
    fn a_policy_names_providers_and_their_models() {
        let policy = json!({"allowAll": false, "providers": {
            "openai": {"models": ["a"]}, "xai": {"allowAll": true}, "human-relay": {}, "roo": {"models": []},
        }});
        for (settings, allowed) in [
            (json!({"apiProvider": "openai", "openAiModelId": "a"}), true),
            (json!({"apiProvider": "openai", "apiModelId": "a"}), false),
            (json!({"apiProvider": "openai"}), false),
            (json!({"apiProvider": "xai"}), true),
            (json!({"apiProvider": "human-relay"}), true),
            (json!({"apiProvider": "roo"}), false),
            (json!({"apiProvider": "groq"}), false),
            (json!({}), false),
        ] {
            assert_eq!(is_allowed(&profile(settings.clone()), &policy), allowed, "{settings}");
        }
        assert!(is_allowed(&profile(json!({})), &json!({"allowAll": true})));
    }

    /// parity 04 §4.2: a key that is there counts, even empty or null, and so do six others and six providers
    #[test]
    fn a_key_or_a_telling_setting_is_a_configuration() {
        for (settings, configured) in [
            (json!({"apiProvider": "anthropic"}), false),
            (json!({"apiProvider": "anthropic", "apiKey": ""}), true),
            (json!({"apiProvider": "anthropic", "apiKey": null}), true),
            (json!({"apiProvider": "vertex", "vertexJsonCredentials": "{}"}), false),
            (json!({"apiProvider": "vertex", "vertexProjectId": "p"}), true),
            (json!({}), false),
            (json!({"apiProvider": "roo"}), true),
            (json!({"awsRegion": "x"}), true),
            (json!({"openAiHeaders": {}, "httpProxy": "x"}), false),
            (json!({"anthropicUseAuthToken": true}), false),
        ] {
            assert_eq!(is_configured(&profile(settings.clone())), configured, "{settings}");
        }
    }
}
