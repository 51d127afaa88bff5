//! What older stores of profiles lack (spec 04 §6.1), each filled in once.

use serde_json::{Map, Value, json};

use super::store::ProfileStore;

impl ProfileStore {
    /// Fills in what older versions did not know. `flat` are the settings beside the store. True when something changed, be it that
    /// a migration is noted as made.
    pub fn migrate(&mut self, flat: &Map<String, Value>) -> bool {
        let before = |key: &str, usual: Value| flat.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(usual);
        let mut changed = false;
        for (flag, defaults) in [
            ("rateLimitSecondsMigrated", vec![("rateLimitSeconds", before("rateLimitSeconds", json!(0)))]),
            (
                "diffSettingsMigrated",
                vec![
                    ("diffEnabled", before("diffEnabled", json!(true))),
                    ("fuzzyMatchThreshold", before("fuzzyMatchThreshold", json!(1.0))),
                ],
            ),
            ("openAiHeadersMigrated", vec![]),
            ("consecutiveMistakeLimitMigrated", vec![("consecutiveMistakeLimit", json!(3))]),
            ("todoListEnabledMigrated", vec![("todoListEnabled", json!(true))]),
        ] {
            if self.migrations.get(flag) == Some(&Value::Bool(true)) {
                continue;
            }
            for profile in self.profiles.values_mut().filter_map(Value::as_object_mut) {
                for (key, value) in &defaults {
                    let absent =
                        profile.get(*key).is_none_or(|value| value.is_null() && *key == "consecutiveMistakeLimit");
                    if absent {
                        profile.insert((*key).to_owned(), value.clone());
                    }
                }
                if flag == "openAiHeadersMigrated" {
                    host_header(profile);
                }
            }
            self.migrations.insert(flag.to_owned(), Value::Bool(true));
            changed = true;
        }
        changed
    }
}

/// The header `Host` had a key of its own.
fn host_header(profile: &mut Map<String, Value>) {
    let empty = profile.get("openAiHeaders").and_then(Value::as_object).is_none_or(Map::is_empty);
    let Some(host) = profile.get("openAiHostHeader").and_then(Value::as_str).filter(|host| !host.is_empty()) else {
        return;
    };
    if empty {
        let headers = json!({"Host": host});
        profile.insert("openAiHeaders".into(), headers);
        profile.shift_remove("openAiHostHeader");
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Reading;
    use super::*;

    /// parity 04 §6.1: what each migration fills in, once
    /// parity 04 §checklist.7: migrations fill only what is undefined, and once; the host header moves
    #[test]
    fn migrations_fill_what_is_absent_once() {
        let text = json!({
            "currentApiConfigName": "a",
            "apiConfigs": {
                "a": {"id": "1", "apiProvider": "openai", "openAiHostHeader": "h", "diffEnabled": false, "rateLimitSeconds": 0},
                "b": {"id": "2", "apiProvider": "openai", "openAiHostHeader": "h", "openAiHeaders": {"X": "y"}},
            },
        })
        .to_string();
        let with = Reading { providers: &[], new_id: &String::new };
        let (mut store, _) = ProfileStore::read(&text, with).expect("a store");
        let flat = json!({"rateLimitSeconds": 5, "fuzzyMatchThreshold": 0.9});
        let flat = flat.as_object().expect("an object");
        assert!(store.migrate(flat));
        let expected = json!({
            "a": {
                "id": "1", "apiProvider": "openai", "diffEnabled": false, "rateLimitSeconds": 0, "fuzzyMatchThreshold": 0.9,
                "openAiHeaders": {"Host": "h"}, "consecutiveMistakeLimit": 3, "todoListEnabled": true,
            },
            "b": {
                "id": "2", "apiProvider": "openai", "openAiHostHeader": "h", "openAiHeaders": {"X": "y"}, "rateLimitSeconds": 5,
                "diffEnabled": true, "fuzzyMatchThreshold": 0.9, "consecutiveMistakeLimit": 3, "todoListEnabled": true,
            },
        });
        assert_eq!(Value::from(store.profiles().clone()), expected);
        assert_eq!(store.mode("code"), Some("1"), "modes without a profile get the one in force");
        assert!(!store.migrate(flat));
    }
}
