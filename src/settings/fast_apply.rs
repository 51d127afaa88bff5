//! Whether a service is there that carries out the edits of `edit_file` (spec 03 §5.4).

use serde_json::Value;

use super::Settings;

/// The experiment is on, and there is a key of its own, or the active provider has one that serves.
pub fn available(settings: &Settings) -> bool {
    let has = |key: &str| settings.secrets.expose(key).is_some_and(|value| *value != Value::String(String::new()));
    if !settings.experiment("morphFastApply") {
        return false;
    }
    match settings.api_provider.as_deref() {
        _ if has("morphApiKey") => true,
        Some("human-relay") => true,
        Some("kilocode") => has("kilocodeToken"),
        Some("openrouter") => has("openRouterApiKey"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 03 §5.4: the experiment, and one of the keys
    #[test]
    fn a_service_needs_the_experiment_and_a_key() {
        for (settings, there) in [
            (json!({"morphApiKey": "k"}), false),
            (json!({"experiments": {"morphFastApply": true}}), false),
            (json!({"experiments": {"morphFastApply": true}, "morphApiKey": "k"}), true),
            (json!({"experiments": {"morphFastApply": true}, "morphApiKey": "", "apiProvider": "anthropic"}), false),
            (json!({"experiments": {"morphFastApply": true}, "apiProvider": "human-relay"}), true),
            (json!({"experiments": {"morphFastApply": true}, "apiProvider": "kilocode"}), false),
            (json!({"experiments": {"morphFastApply": true}, "apiProvider": "kilocode", "kilocodeToken": "t"}), true),
            (
                json!({"experiments": {"morphFastApply": true}, "apiProvider": "openrouter", "openRouterApiKey": "k"}),
                true,
            ),
            (json!({"experiments": {"morphFastApply": true}, "apiProvider": "openai", "openRouterApiKey": "k"}), false),
        ] {
            let read: Settings = serde_json::from_value(settings.clone()).unwrap();
            assert_eq!(available(&read), there, "{settings}");
        }
    }
}
