//! A free-form JSON value inside a record.

use std::borrow::Cow;
use std::fmt;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::secret;

/// One JSON value, kept as its text. In the JSON form of a record it stands as the value itself.
#[derive(Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Json(String);

impl Json {
    /// The value itself; `null` when the text, which may come from a peer, is no JSON.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a text for JSON, unless it is not.
    ///
    /// # Errors
    /// Where and why the text is no JSON.
    pub fn parse(text: &str) -> Result<Json, serde_json::Error> {
        // Read as a value, not passed over: half a surrogate, a number beyond all or too deep a nesting is found only so.
        serde_json::from_str::<Value>(text)?;
        Ok(Json(text.to_owned()))
    }
}

impl Default for Json {
    fn default() -> Json {
        Json("null".to_owned())
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Json {
        Json(value.to_string())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::from(&value)
    }
}

/// Secrets of settings are left out.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.value();
        secret::blot("", &mut value, &|_| secret::SHOWN.into());
        write!(f, "Json({value})")
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ArchivedJson {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<Value>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let value = Value::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Json::from(value))
    }
}

impl schemars::JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parses_has_a_value() {
        let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        for text in ["null", " [1, 2.5] ", r#"{"a":"ü"}"#, &deep] {
            let json = Json::parse(text).unwrap();
            assert_eq!((json.as_str(), json.to_string()), (text, text.to_owned()));
            assert_eq!(serde_json::to_string(&json).unwrap(), serde_json::from_str::<Value>(text).unwrap().to_string());
        }
        let too_deep = format!("{}1{}", "[".repeat(600), "]".repeat(600));
        for text in ["", "{", "1 2", r#""\ud800""#, "1e999", "[1e999]", &too_deep] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_peers_text_that_is_no_json_is_null_and_never_written_as_json() {
        let json = Json("{".to_owned());
        assert_eq!(json.value(), Value::Null);
        assert!(serde_json::to_string(&json).is_err());
        assert_eq!(Json::default().value(), Value::Null);
    }
}
