//! Chooses the provider of a profile (spec 07 §1.1).

use std::sync::Arc;

use super::http::Http;
use super::openai::OpenAiProvider;
use super::replay::ReplayProvider;
use super::{Provider, ProviderError, Wording};
use crate::settings::Settings;

/// What a provider gets from whoever builds it.
#[derive(Clone)]
pub struct Surroundings {
    /// Sends requests; shared by all providers, so that connections are.
    pub http: Http,
    /// Words texts of the catalogue.
    pub wording: Wording,
}

/// Builds the provider that `settings` name. Opens no connection.
///
/// # Errors
/// A provider this build does not have, by name (`provider.not_available`), or a setting it cannot work with.
pub fn create(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    match settings.api_provider.as_deref() {
        Some("openai") => Ok(Arc::new(OpenAiProvider::new(settings, surroundings)?)),
        Some("replay") => Ok(Arc::new(ReplayProvider::open(settings, surroundings)?)),
        // Absent and unknown names mean Anthropic, which is not built yet either.
        name => Err(ProviderError::worded(
            &surroundings.wording,
            "provider.not_available",
            &[("provider", name.unwrap_or("anthropic"))],
        )),
    }
}
