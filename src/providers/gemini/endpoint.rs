//! Where Gemini's calls go and how they are authorised (spec 07 §13, §14.1).

use secrecy::{ExposeSecret, SecretString};

use super::failure::CallFailure;
use crate::providers::Surroundings;
use crate::providers::auth::google::Given;
use crate::providers::failure::Failure;
use crate::providers::http::{HeaderMap, set_header};
use crate::providers::options::Options;
use crate::providers::vertex::VertexProject;

const BASE: &str = "https://generativelanguage.googleapis.com";

/// Who is spoken to.
#[derive(Clone)]
pub enum Endpoint {
    /// The Gemini API, with `geminiApiKey`.
    Key(SecretString),
    /// Vertex AI.
    Vertex(VertexProject),
}

impl Endpoint {
    /// The Gemini API with the profile's key; a profile with credentials of Vertex AI means that (spec 07 §13).
    pub fn read(options: Options<'_>, surroundings: &Surroundings) -> Endpoint {
        match Given::read(options).is_any() {
            true => Endpoint::Vertex(VertexProject::read(options, surroundings)),
            false => Endpoint::Key(options.secret("geminiApiKey").unwrap_or_else(|| "not-provided".into())),
        }
    }

    /// Address of a method of `model`; `base` stands in place of scheme and host.
    pub fn url(&self, base: Option<&str>, model: &str, method: &str) -> String {
        match self {
            Endpoint::Key(_) => format!("{}/v1beta/models/{model}:{method}", base.unwrap_or(BASE)),
            Endpoint::Vertex(project) => project.google_url(base, model, method),
        }
    }

    /// Headers of a call, and the secret in them.
    ///
    /// # Errors
    /// A key that cannot be sent, no access token.
    pub async fn headers(&self) -> Result<(HeaderMap, SecretString), CallFailure> {
        let mut headers = HeaderMap::new();
        let secret = match self {
            Endpoint::Key(key) => {
                set_header(&mut headers, "x-goog-api-key", key.expose_secret()).map_err(Failure::from)?;
                key.clone()
            }
            Endpoint::Vertex(project) => {
                let access = project.auth.access().await.map_err(CallFailure::Auth)?;
                access.authorize(&mut headers).map_err(Failure::from)?;
                access.token
            }
        };
        set_header(&mut headers, "Content-Type", "application/json").map_err(Failure::from)?;
        Ok((headers, secret))
    }
}
