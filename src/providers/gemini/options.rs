//! The profile keys of Gemini, with its own key or on Vertex AI (spec 04 §4.2, spec 07 §13).

use serde_json::{Value, json};

use crate::providers::models::table;
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat};
use crate::providers::{Model, ModelInfo};

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct GeminiOptions {
    /// The model; its id as it goes out.
    pub model: Model,
    /// Parameters that follow from model and settings.
    pub params: ModelParams,
    /// `modelTemperature`, else the table's default, else 0; thinking does not change it.
    pub temperature: Value,
    /// `modelMaxTokens`, else what the parameters say.
    pub max_tokens: Option<Value>,
    /// `enableUrlContext`.
    pub url_context: bool,
    /// `enableGrounding`.
    pub grounding: bool,
}

impl GeminiOptions {
    /// Reads the options of a profile; an unknown model becomes the default one of `models` (a table's name).
    pub fn read(options: Options<'_>, models: &str) -> GeminiOptions {
        let table = table(models);
        let (id, info) = match table {
            Some(table) => table.known_or_default(options.filled("apiModelId")),
            None => ("", &ModelInfo::default()),
        };
        let temperature = table.and_then(|table| table.other.get("defaultTemperature")).cloned();
        let params = options.params(ParamsFormat::Gemini, id, info, 0.0);
        let number = |key: &str| options.value(key).filter(|value| value.is_number()).cloned();
        GeminiOptions {
            max_tokens: number("modelMaxTokens").or(params.max_tokens.map(Value::from)),
            temperature: number("modelTemperature").or(temperature).unwrap_or(json!(0)),
            model: Model { id: id.strip_suffix(":thinking").unwrap_or(id).to_owned(), info: info.clone() },
            params,
            url_context: options.is("enableUrlContext"),
            grounding: options.is("enableGrounding"),
        }
    }
}
