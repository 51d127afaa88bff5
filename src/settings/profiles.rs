//! Provider profiles (spec 04 §5): `apiConfigs` holds them by name, `currentApiConfigName` names the one in force, `modeApiConfigs`
//! gives the id of the one that each mode was last used with.

mod migrate;
pub mod store;

use serde_json::{Map, Value};

use super::Settings;
use super::schema::{Scope, is_of_profile, schema};
use super::secrets::{PROFILES_KEY, Secrets, is_secret};

/// Option keys that may name the model, in the order they are looked at.
const MODEL_ID_KEYS: [&str; 15] = [
    "apiModelId",
    "glamaModelId",
    "openRouterModelId",
    "openAiModelId",
    "ollamaModelId",
    "lmStudioModelId",
    "lmStudioDraftModelId",
    "unboundModelId",
    "requestyModelId",
    "litellmModelId",
    "huggingFaceModelId",
    "ioIntelligenceModelId",
    "vercelAiGatewayModelId",
    "deepInfraModelId",
    "kilocodeModel",
];

/// The model id of a profile: the first non-empty one of the known keys, whatever the provider (spec 07 §1.5). A key left
/// over from another provider can win; the specification keeps that.
pub fn model_id(options: &Map<String, Value>) -> Option<&str> {
    MODEL_ID_KEYS.iter().find_map(|key| options.get(*key).and_then(Value::as_str).filter(|id| !id.is_empty()))
}

/// Whether a profile replaces this value of the settings: keys of another profile must not mix with its own. A switch that is
/// off stays off (spec 04 §5.5).
pub fn replaces(key: &str, value: &Value) -> bool {
    // A secret that the table does not know belongs to a provider of the user's own.
    if is_secret(key) && schema().key(key).is_none_or(|known| known.scope == Scope::Profile) {
        return true;
    }
    let is_off = match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    !is_off && is_of_profile(key, None)
}

/// The settings of the profile of this name.
pub fn find<'a>(secrets: &'a Secrets, name: &str) -> Option<&'a Map<String, Value>> {
    all(secrets)?.get(name)?.as_object()
}

/// The id of the profile of this name.
pub fn id_of<'a>(secrets: &'a Secrets, name: &str) -> Option<&'a str> {
    find(secrets, name)?.get("id")?.as_str().filter(|id| !id.is_empty())
}

/// The name of the profile of this id.
pub fn name_of<'a>(secrets: &'a Secrets, id: &str) -> Option<&'a str> {
    all(secrets)?.iter().find(|(_, profile)| profile["id"] == id).map(|(name, _)| name.as_str())
}

fn all(secrets: &Secrets) -> Option<&Map<String, Value>> {
    secrets.expose(PROFILES_KEY)?.as_object()
}

impl Settings {
    /// Id of the profile in force; `default` when there is none such (spec 02 §8.2).
    pub fn profile_id(&self) -> &str {
        id_of(&self.secrets, &self.current_api_config_name).unwrap_or("default")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// parity 04 §5.5: what a profile replaces of the one before, and what of it stays
    /// parity 04 §quirks.6: a switch that is off survives the next profile
    #[test]
    fn what_a_profile_replaces() {
        for (key, value, replaced) in [
            ("apiModelId", json!("m"), true),
            ("apiKey", json!("sk"), true),
            ("apiKey", json!(""), true),
            ("diffEnabled", json!(false), false),
            ("rateLimitSeconds", json!(0), false),
            ("rateLimitSeconds", json!(3), true),
            ("openAiHeaders", json!({}), true),
            ("httpProxy", json!("http://p"), false),
            ("apiConfigs", json!({}), false),
            ("alwaysAllowWrite", json!(true), false),
            ("mode", json!("code"), false),
        ] {
            assert_eq!(replaces(key, &value), replaced, "{key} {value}");
        }
    }

    #[test]
    fn profiles_are_found_by_name_and_id() {
        let settings: Settings = serde_json::from_value(json!({
            "apiConfigs": {"work": {"id": "w"}, "home": {"id": ""}, "odd": 7}, "currentApiConfigName": "work",
        }))
        .expect("settings");
        let secrets = &settings.secrets;
        assert_eq!((id_of(secrets, "work"), id_of(secrets, "home"), id_of(secrets, "odd")), (Some("w"), None, None));
        assert_eq!((name_of(secrets, "w"), name_of(secrets, "x")), (Some("work"), None));
        assert_eq!((settings.profile_id(), Settings::default().profile_id()), ("w", "default"));
    }
}
