//! The profile keys of Bedrock (spec 04 §4.2, spec 07 §15).

use secrecy::ExposeSecret;

use super::arn::Arn;
use super::cache::CacheLimits;
use super::model;
use crate::providers::Model;
use crate::providers::auth::aws::{Credentials, Given};
use crate::providers::options::Options;
use crate::providers::params::{ModelParams, ParamsFormat, model_params};

/// Temperature when the profile names none, or 0.
const DEFAULT_TEMPERATURE: f64 = 0.3;

/// Why a profile cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// `awsCustomArn` is none of a model.
    #[error("invalid resource name")]
    InvalidArn,
    /// `awsRegion` is there and empty.
    #[error("empty region")]
    EmptyRegion,
    /// Neither `awsCustomArn` nor `apiModelId`.
    #[error("no model")]
    NoModel,
}

impl SetupError {
    /// Its text in the catalogue.
    pub fn id(self) -> &'static str {
        match self {
            SetupError::InvalidArn => "provider.bedrock.invalid_arn",
            SetupError::EmptyRegion => "provider.bedrock.region_required",
            SetupError::NoModel => "provider.bedrock.model_required",
        }
    }
}

/// What the profile says, with defaults filled in.
#[derive(Clone, Debug)]
pub struct BedrockOptions {
    /// Model on the wire and its facts.
    pub model: Model,
    /// Parameters that follow from model and settings.
    pub params: ModelParams,
    /// Whether a window of a million tokens is asked for.
    pub million_window: bool,
    /// What can be cached, if `awsUsePromptCache` says so.
    pub cache: Option<CacheLimits>,
    /// Region of the resource name, else `awsRegion`.
    pub region: Option<String>,
    /// `awsBedrockEndpoint`, when enabled.
    pub endpoint: Option<String>,
    /// Who asks, as far as the profile says.
    pub given: Given,
}

impl BedrockOptions {
    /// Reads the options of a profile.
    ///
    /// # Errors
    /// What makes every request impossible.
    pub fn read(options: Options<'_>) -> Result<BedrockOptions, SetupError> {
        let arn = options.filled("awsCustomArn");
        let arn = arn.map(|text| Arn::parse(text).map(|arn| (text, arn)).ok_or(SetupError::InvalidArn)).transpose()?;
        let region = match &arn {
            Some((_, arn)) => Some(arn.region.as_str()),
            None => options.text("awsRegion"),
        };
        if region == Some("") {
            return Err(SetupError::EmptyRegion);
        }
        let named = arn.as_ref().map(|(text, arn)| (*text, arn));
        let model = model::resolve(options, named, region).ok_or(SetupError::NoModel)?;
        let uses_cache = options.is("awsUsePromptCache");
        Ok(BedrockOptions {
            params: params(options, &model),
            million_window: model::has_million_window(&model.id, options),
            cache: CacheLimits::of(&model.info).filter(|_| uses_cache),
            region: region.map(str::to_owned),
            endpoint: options
                .filled("awsBedrockEndpoint")
                .filter(|_| options.is("awsBedrockEndpointEnabled"))
                .map(str::to_owned),
            given: given(options),
            model,
        })
    }
}

/// A temperature of 0 counts as none (the specification keeps that).
fn params(options: Options<'_>, model: &Model) -> ModelParams {
    let mut plain = options.map().clone();
    if options.truthy_number("modelTemperature").is_none() {
        plain.remove("modelTemperature");
    }
    model_params(ParamsFormat::Anthropic, &model.id, &model.info, &plain, DEFAULT_TEMPERATURE)
}

fn given(options: Options<'_>) -> Given {
    let text = |key: &str| options.secret(key).map(|secret| secret.expose_secret().to_owned());
    if let Some(key) = options.secret("awsApiKey").filter(|_| options.is("awsUseApiKey")) {
        return Given::Bearer(key);
    }
    if let Some(profile) = options.filled("awsProfile").filter(|_| options.is("awsUseProfile")) {
        return Given::Profile(profile.to_owned());
    }
    let keys = text("awsAccessKey").zip(text("awsSecretKey"));
    let token = text("awsSessionToken");
    match keys.and_then(|(access, secret)| Credentials::fixed(&access, &secret, token.as_deref())) {
        Some(keys) => Given::Keys(keys),
        None => Given::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::{Value, json};

    fn read(options: Value) -> Result<BedrockOptions, SetupError> {
        let settings: Settings = serde_json::from_value(options).expect("settings");
        BedrockOptions::read(Options::of(&settings))
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (options, expected) in [
            (json!({"apiModelId": "amazon.nova-pro-v1:0", "awsRegion": ""}), SetupError::EmptyRegion),
            (json!({"awsRegion": "us-east-1"}), SetupError::NoModel),
            (json!({"awsCustomArn": "arn:aws:bedrock"}), SetupError::InvalidArn),
        ] {
            assert_eq!(read(options.clone()).err(), Some(expected), "{options}");
        }
    }

    #[test]
    fn who_asks_is_the_first_that_is_whole() {
        let all = json!({
            "apiModelId": "amazon.nova-pro-v1:0", "awsUseApiKey": true, "awsApiKey": "bearer-key", "awsUseProfile": true,
            "awsProfile": "dev", "awsAccessKey": "AKID", "awsSecretKey": "secret-key", "awsSessionToken": "token",
        });
        let without = |keys: &[&str]| {
            let mut options = all.clone();
            keys.iter().for_each(|key| options[*key] = Value::Null);
            read(options).expect("options").given
        };
        assert!(matches!(without(&[]), Given::Bearer(_)));
        assert!(matches!(without(&["awsUseApiKey"]), Given::Profile(name) if name == "dev"));
        assert!(matches!(without(&["awsApiKey", "awsUseProfile"]), Given::Keys(keys) if keys.session_token.is_some()));
        assert!(matches!(without(&["awsApiKey", "awsProfile", "awsSecretKey"]), Given::Nothing));
        assert!(!format!("{:?}", read(all.clone())).contains("-key"));
    }

    #[test]
    fn no_temperature_is_a_little() {
        for (given, expected) in [(json!(null), 0.3), (json!(0), 0.3), (json!(0.0), 0.3), (json!(0.7), 0.7)] {
            let options = json!({"apiModelId": "amazon.nova-pro-v1:0", "modelTemperature": given});
            assert_eq!(read(options).expect("options").params.temperature, Some(expected), "{given}");
        }
    }
}
