//! The flat options of a provider profile, read by key (spec 04 §4.2).

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::ModelInfo;
use super::params::{ModelParams, ParamsFormat, model_params};
use crate::settings::Settings;
use crate::settings::secrets::{Secrets, is_secret};

/// Options of one profile. A value of another type than asked for counts as absent. Secret keys are read by
/// [`secret`](Self::secret), [`secret_text`](Self::secret_text) and
/// [`headers`](Self::headers) alone.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    plain: &'a Map<String, Value>,
    secrets: &'a Secrets,
}

impl<'a> Options<'a> {
    /// The options of the profile in force.
    pub fn of(settings: &'a Settings) -> Options<'a> {
        Options { plain: &settings.other, secrets: &settings.secrets }
    }

    /// All that are not secret.
    pub fn map(self) -> &'a Map<String, Value> {
        self.plain
    }

    /// The value as it is; `null` counts as absent.
    pub fn value(self, key: &str) -> Option<&'a Value> {
        debug_assert!(!is_secret(key), "`{key}` is read as a secret");
        self.plain.get(key).filter(|value| !value.is_null())
    }

    /// A text, which may be empty.
    pub fn text(self, key: &str) -> Option<&'a str> {
        self.value(key).and_then(Value::as_str)
    }

    /// A text that is not empty.
    pub fn filled(self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A text that must not show and is not empty.
    pub fn secret(self, key: &str) -> Option<SecretString> {
        self.secret_text(key).filter(|text| !text.expose_secret().is_empty())
    }

    /// A text that must not show, which may be empty.
    pub fn secret_text(self, key: &str) -> Option<SecretString> {
        debug_assert!(is_secret(key), "`{key}` is not kept as a secret");
        self.secrets.expose(key).and_then(Value::as_str).map(Into::into)
    }

    /// A map of headers; what is no text takes the header away.
    pub fn headers(self, key: &str) -> Vec<(String, Option<SecretString>)> {
        let map = self.secrets.expose(key).and_then(Value::as_object);
        let header = |(name, value): (&String, &Value)| (name.clone(), value.as_str().map(Into::into));
        map.into_iter().flatten().map(header).collect()
    }

    /// Whether the option is exactly true.
    pub fn is(self, key: &str) -> bool {
        self.plain.get(key) == Some(&Value::Bool(true))
    }

    /// A number.
    pub fn number(self, key: &str) -> Option<f64> {
        self.plain.get(key).and_then(Value::as_f64)
    }

    /// A number that is not 0, as it is written.
    pub fn truthy_number(self, key: &str) -> Option<&'a Value> {
        self.plain.get(key).filter(|number| number.as_f64().is_some_and(|n| n != 0.0))
    }

    /// Request parameters that follow from these options and the model (spec 07 §3.3).
    pub fn params(self, format: ParamsFormat, model_id: &str, info: &ModelInfo, temperature: f64) -> ModelParams {
        model_params(format, model_id, info, self.plain, temperature)
    }
}
