//! Settings that must not show (spec 04 §4.2, §9.4): kept apart from all others and wiped when they are dropped.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::zeroize::Zeroize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::reference::Reference;
use crate::protocol::secret::SHOWN;
pub use crate::protocol::secret::{PROFILES_KEY, SECRET_KEYS, blot, is_secret};

/// Values of secret keys. `Debug` shows the keys alone, the JSON form whether they are set.
#[derive(Clone, Default, PartialEq)]
pub struct Secrets(BTreeMap<String, Value>);

impl Secrets {
    /// Moves the secrets out of `values`. What stands deeper inside other values stays there.
    pub fn take_from(values: &mut Map<String, Value>) -> Secrets {
        let keys: Vec<String> = values.keys().filter(|key| is_secret(key)).cloned().collect();
        Secrets(keys.into_iter().filter_map(|key| values.shift_remove_entry(&key)).collect())
    }

    /// The value as it is; `null` counts as absent. For whoever sends it, and nobody else.
    pub fn expose(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The keys that have a value, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str())
    }

    /// Every text of every value, however deep, with the key it stands under. Those of whole profiles are left out: they
    /// count when such a profile is used.
    pub fn texts(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        let own = self.0.iter().filter(|(key, _)| *key != PROFILES_KEY);
        own.for_each(|(key, value)| texts(key, value, &mut found));
        found
    }

    /// Takes away and wipes those that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&str, &Value) -> bool) {
        self.0.retain(|key, value| {
            let kept = keep(key, value);
            if !kept {
                wipe(value);
            }
            kept
        });
    }

    /// Puts these over `self`; `null` takes a key away.
    pub fn merge(&mut self, mut changes: Secrets) {
        for (key, value) in std::mem::take(&mut changes.0) {
            let mut before = if value.is_null() { self.0.remove(&key) } else { self.0.insert(key, value) };
            before.iter_mut().for_each(wipe);
        }
    }

    /// Applies `change` to the texts that [`texts`](Self::texts) gives.
    ///
    /// # Errors
    /// The first error of `change`, with the key.
    pub fn try_change<E>(&mut self, mut change: impl FnMut(&mut String) -> Result<(), E>) -> Result<(), (String, E)> {
        self.0
            .iter_mut()
            .filter(|(key, _)| *key != PROFILES_KEY)
            .try_for_each(|(key, value)| each_text(value, &mut change).map_err(|error| (key.clone(), error)))
    }

    /// The values as they may be written to a file: there, and empty.
    pub fn emptied(&self) -> impl Iterator<Item = (String, Value)> {
        self.0.iter().map(|(key, value)| (key.clone(), emptied(value)))
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Serialize for Secrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, &shown(value)))?;
        map.end()
    }
}

/// Reads the secret keys of a map and passes over the others.
impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secrets, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Secrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secrets, A::Error> {
                let mut secrets = Secrets::default();
                while let Some(key) = map.next_key::<String>()? {
                    if is_secret(&key) {
                        secrets.0.insert(key, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(secrets)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Reads the keys of a map that are not secret.
///
/// # Errors
/// Those of the deserializer.
pub fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let mut values = Map::deserialize(deserializer)?;
    drop(Secrets::take_from(&mut values));
    Ok(values)
}

/// A secret as it may be shown: whether it is set; a reference to one as it is.
pub fn shown(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) if text.is_empty() || Reference::parse(text).is_some() => value.clone(),
        _ => Value::String(SHOWN.into()),
    }
}

/// A secret as it may be kept: of the same type and empty; a reference to one as it is. Left out, it would be taken from
/// settings below when these are read again, and sent to where only their owner sends its own.
pub fn emptied(value: &Value) -> Value {
    match value {
        Value::String(text) if Reference::parse(text).is_some() => value.clone(),
        Value::String(_) => Value::String(String::new()),
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

fn texts<'a>(key: &'a str, value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((key, text)),
        Value::Array(items) => items.iter().for_each(|item| texts(key, item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(key, field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn each_text<E>(value: &mut Value, change: &mut impl FnMut(&mut String) -> Result<(), E>) -> Result<(), E> {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().try_for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Wipes every text of a value.
pub fn wipe(value: &mut Value) {
    // A text cannot refuse to be wiped.
    let _ = each_text(value, &mut |text| -> Result<(), std::convert::Infallible> {
        text.zeroize();
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(values: Value) -> (Secrets, Value) {
        let mut values = values.as_object().cloned().unwrap_or_default();
        (Secrets::take_from(&mut values), Value::Object(values))
    }

    #[test]
    fn secrets_leave_the_others_and_do_not_show() {
        let (found, others) = secrets(json!({"apiKey": "sk-1", "awsRegion": "x", "openAiHeaders": {"A": "sk-2"}}));
        assert_eq!(others, json!({"awsRegion": "x"}));
        assert_eq!(found.expose("apiKey"), Some(&json!("sk-1")));
        for seen in [format!("{found:?}"), serde_json::to_string(&found).expect("JSON")] {
            assert!(!seen.contains("sk-") && seen.contains("apiKey"), "{seen}");
        }
    }

    #[test]
    fn what_is_shown_and_kept_of_a_secret() {
        for (value, shows, keeps) in [
            (json!("sk-1"), json!("(set)"), json!("")),
            (json!(""), json!(""), json!("")),
            (json!("${keyring:work}"), json!("${keyring:work}"), json!("${keyring:work}")),
            (json!("${env:X} "), json!("(set)"), json!("")),
            (json!({"A": "sk-2"}), json!("(set)"), json!({})),
            (json!(["sk-3"]), json!("(set)"), json!([])),
            (json!(7), json!("(set)"), json!(null)),
            (json!(null), json!(null), json!(null)),
        ] {
            assert_eq!((shown(&value), emptied(&value)), (shows, keeps), "{value}");
        }
    }

    #[test]
    fn changes_replace_and_null_takes_away() {
        let (mut below, _) = secrets(json!({"apiKey": "1", "xaiApiKey": "2"}));
        below.merge(secrets(json!({"apiKey": null, "xaiApiKey": "3", "zaiApiKey": "4"})).0);
        assert_eq!(below, secrets(json!({"xaiApiKey": "3", "zaiApiKey": "4"})).0);
    }

    #[test]
    fn every_text_can_be_changed() {
        let (mut found, _) = secrets(json!({"openAiHeaders": {"A": "1", "B": ["2", 3]}}));
        let change = |text: &mut String| {
            if text == "2" {
                return Err("two");
            }
            text.push('!');
            Ok(())
        };
        assert_eq!(found.try_change(change), Err(("openAiHeaders".into(), "two")));
        assert_eq!(found.expose("openAiHeaders"), Some(&json!({"A": "1!", "B": ["2", 3]})));
    }

    #[test]
    fn wiping_leaves_nothing() {
        let mut value = json!({"A": "sk-1", "B": ["sk-2"]});
        wipe(&mut value);
        assert_eq!(value, json!({"A": "", "B": [""]}));
    }
}
