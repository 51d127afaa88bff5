//! Where Gemini's calls go and how they are authorised (spec 07 §13).

use secrecy::{ExposeSecret, SecretString};

use crate::providers::failure::Failure;
use crate::providers::http::{HeaderMap, set_header};
use crate::providers::options::Options;

const BASE: &str = "https://generativelanguage.googleapis.com";

/// Who is spoken to.
#[derive(Clone)]
pub enum Endpoint {
    /// The Gemini API, with `geminiApiKey`.
    Key(SecretString),
}

impl Endpoint {
    /// The Gemini API with the profile's key.
    pub fn with_key(options: Options<'_>) -> Endpoint {
        Endpoint::Key(options.secret("geminiApiKey").unwrap_or_else(|| "not-provided".into()))
    }

    /// Address of a method of `model`; `base` stands in place of scheme and host.
    pub fn url(&self, base: Option<&str>, model: &str, method: &str) -> String {
        match self {
            Endpoint::Key(_) => format!("{}/v1beta/models/{model}:{method}", base.unwrap_or(BASE)),
        }
    }

    /// Headers of a call, and the secret in them.
    ///
    /// # Errors
    /// A key that cannot be sent.
    pub async fn headers(&self) -> Result<(HeaderMap, SecretString), Failure> {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Content-Type", "application/json")?;
        match self {
            Endpoint::Key(key) => {
                set_header(&mut headers, "x-goog-api-key", key.expose_secret())?;
                Ok((headers, key.clone()))
            }
        }
    }
}
