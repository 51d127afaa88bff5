//! Addresses and headers of the two transports (spec 07 §2, §10.4). Their base addresses differ: the secondary one adds
//! `/v1` to what the profile says.

use secrecy::{ExposeSecret, SecretString};

use super::options::ResponsesOptions;
use crate::providers::Environment;
use crate::providers::http::{HeaderMap, HttpRequest, InvalidHeader, set_header};
use serde_json::Value;

/// Address of the primary transport when neither profile nor environment names one.
const PRIMARY_BASE: &str = "https://api.openai.com/v1";
/// The secondary one's.
const SECONDARY_BASE: &str = "https://api.openai.com";
/// Headers that the environment may set.
const FROM_ENVIRONMENT: [(&str, &str); 2] =
    [("OPENAI_ORG_ID", "OpenAI-Organization"), ("OPENAI_PROJECT_ID", "OpenAI-Project")];

/// Where requests go, and as whom.
pub struct Endpoint {
    key: SecretString,
    primary: String,
    secondary: String,
    /// Headers of the primary transport, from the environment.
    account: Vec<(&'static str, String)>,
}

impl Endpoint {
    /// Of this profile; what it leaves open comes from the environment.
    pub fn new(options: &ResponsesOptions, environment: &Environment) -> Endpoint {
        let variable = |name: &str| Some(environment(name)?.trim().to_owned()).filter(|value| !value.is_empty());
        let base = options.base_url.clone();
        let primary = base.clone().or_else(|| variable("OPENAI_BASE_URL")).unwrap_or_else(|| PRIMARY_BASE.to_owned());
        Endpoint {
            key: options.key.clone(),
            primary: format!("{}/responses", primary.strip_suffix('/').unwrap_or(&primary)),
            secondary: format!("{}/v1/responses", base.as_deref().unwrap_or(SECONDARY_BASE)),
            account: FROM_ENVIRONMENT
                .into_iter()
                .filter_map(|(name, header)| Some((header, variable(name)?)))
                .collect(),
        }
    }

    /// As the vendor's client library sends it: with its retries.
    pub fn primary(&self, body: &Value) -> Result<HttpRequest, InvalidHeader> {
        let mut headers = self.headers("application/json")?;
        for (name, value) in &self.account {
            set_header(&mut headers, name, value)?;
        }
        Ok(HttpRequest::post(self.primary.as_str(), headers, body))
    }

    /// A plain request, sent once.
    pub fn secondary(&self, body: &Value) -> Result<HttpRequest, InvalidHeader> {
        let headers = self.headers("text/event-stream")?;
        Ok(HttpRequest::post_once(self.secondary.as_str(), headers, body))
    }

    /// The key, for taking it out of what the server says.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    fn headers(&self, accept: &str) -> Result<HeaderMap, InvalidHeader> {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Authorization", &format!("Bearer {}", self.key.expose_secret()))?;
        set_header(&mut headers, "Content-Type", "application/json")?;
        set_header(&mut headers, "Accept", accept)?;
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::providers::options::Options;
    use crate::settings::Settings;

    #[test]
    fn the_secondary_transport_adds_a_version() {
        for (base, variable, primary, secondary) in [
            (None, None, "https://api.openai.com/v1/responses", "https://api.openai.com/v1/responses"),
            (Some("http://h/v1/"), Some("http://e"), "http://h/v1/responses", "http://h/v1//v1/responses"),
            (Some(""), Some(" http://e "), "http://e/responses", "https://api.openai.com/v1/responses"),
        ] {
            let settings: Settings = serde_json::from_value(json!({"openAiNativeBaseUrl": base})).expect("settings");
            let options = ResponsesOptions::read(Options::of(&settings)).expect("a table");
            let environment: Environment =
                Arc::new(move |name| variable.filter(|_| name == "OPENAI_BASE_URL").map(str::to_owned));
            let endpoint = Endpoint::new(&options, &environment);
            assert_eq!((endpoint.primary.as_str(), endpoint.secondary.as_str()), (primary, secondary));
        }
    }
}
