//! The flat options of a provider profile, read by key (spec 04 §4.2).

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::ModelInfo;
use super::params::{ModelParams, ParamsFormat, model_params};
use crate::settings::Settings;

/// Options of one profile. A value of another type than asked for counts as absent.
#[derive(Clone, Copy)]
pub struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    /// The options of the profile in force.
    pub fn of(settings: &'a Settings) -> Options<'a> {
        Options(&settings.other)
    }

    /// All of them.
    pub fn map(self) -> &'a Map<String, Value> {
        self.0
    }

    /// The value as it is; `null` counts as absent.
    pub fn value(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A text, which may be empty.
    pub fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str)
    }

    /// A text that is not empty.
    pub fn filled(self, key: &str) -> Option<&'a str> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A text that must not show.
    pub fn secret(self, key: &str) -> Option<SecretString> {
        self.filled(key).map(Into::into)
    }

    /// Whether the option is exactly true.
    pub fn is(self, key: &str) -> bool {
        self.0.get(key) == Some(&Value::Bool(true))
    }

    /// A number.
    pub fn number(self, key: &str) -> Option<f64> {
        self.0.get(key).and_then(Value::as_f64)
    }

    /// A number that is not 0, as it is written.
    pub fn truthy_number(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|number| number.as_f64().is_some_and(|n| n != 0.0))
    }

    /// Request parameters that follow from these options and the model (spec 07 §3.3).
    pub fn params(self, format: ParamsFormat, model_id: &str, info: &ModelInfo, temperature: f64) -> ModelParams {
        model_params(format, model_id, info, self.0, temperature)
    }
}
