//! The profiles to choose from, and where they come from (spec 04 §4.2, §5; spec 07 §19.1).

use serde_json::{Map, Value};

use super::ledger::{DAY, HOUR, Kind, Limit, MINUTE};
use crate::providers::options::Options;
use crate::settings::Settings;
use crate::settings::secrets::PROFILES_KEY;

/// Limits by their names.
const LIMITS: [(&str, Kind, i64); 6] = [
    ("tokensPerMinute", Kind::Tokens, MINUTE),
    ("tokensPerHour", Kind::Tokens, HOUR),
    ("tokensPerDay", Kind::Tokens, DAY),
    ("requestsPerMinute", Kind::Requests, MINUTE),
    ("requestsPerHour", Kind::Requests, HOUR),
    ("requestsPerDay", Kind::Requests, DAY),
];

/// One profile that may answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Id of the profile.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// What may be used of it.
    pub limits: Vec<Limit>,
}

/// The entries of the setting `profiles`, in order; those without id or name are left out.
pub fn entries(options: Options<'_>) -> Vec<Entry> {
    let listed = options.value("profiles").and_then(Value::as_array).into_iter().flatten();
    let entry = |listed: &Value| {
        let text = |key: &str| listed.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let count = |name: &str| listed.get("profileLimits")?.get(name).and_then(number).filter(|count| *count > 0.0);
        let limits = LIMITS
            .iter()
            .filter_map(|(name, kind, window)| Some(Limit { kind: *kind, window: *window, count: count(name)? }));
        Some(Entry {
            id: text("profileId")?.to_owned(),
            name: text("profileName")?.to_owned(),
            limits: limits.collect(),
        })
    };
    listed.filter_map(entry).collect()
}

/// The settings of the profile with this id: what `apiConfigs` of the settings in force says of it. The profiles may hold
/// keys, so that setting is kept with the secrets.
pub fn profile(settings: &Settings, id: &str) -> Option<Settings> {
    let profiles: &Map<String, Value> = settings.secrets.expose(PROFILES_KEY)?.as_object()?;
    let profile = profiles.values().find(|profile| profile["id"] == id)?;
    let profile: Settings = serde_json::from_value(profile.clone()).ok()?;
    Some(Settings { http: settings.http.clone(), ..profile })
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_need_an_id_and_a_name() {
        let settings: Settings = serde_json::from_value(json!({"profiles": [
            {"profileId": "1"}, {"profileName": "x"}, {"profileId": "", "profileName": "x"}, 7,
            {"profileId": "2", "profileName": "two", "profileLimits": {
                "tokensPerDay": "1000", "requestsPerMinute": 0, "requestsPerHour": "many", "tokensPerHour": 5,
            }},
        ]}))
        .expect("settings");
        let limit = |window, count| Limit { kind: Kind::Tokens, window, count };
        let limits = vec![limit(HOUR, 5.0), limit(DAY, 1000.0)];
        assert_eq!(entries(Options::of(&settings)), [Entry { id: "2".into(), name: "two".into(), limits }]);
    }

    #[test]
    fn profiles_are_found_by_id_and_do_not_show() {
        let settings: Settings = serde_json::from_value(json!({
            "apiConfigs": {"work": {"id": "w", "apiProvider": "xai", "xaiApiKey": "sk-1"}},
        }))
        .expect("settings");
        let found = profile(&settings, "w").expect("a profile");
        assert_eq!((found.api_provider.as_deref(), profile(&settings, "work").is_none()), (Some("xai"), true));
        assert!(found.secrets.expose("xaiApiKey").is_some());
        assert!(!serde_json::to_string(&settings).expect("JSON").contains("sk-1"));
    }
}
