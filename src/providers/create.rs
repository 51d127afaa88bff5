//! Chooses the provider of a profile (spec 07 §1.1).

use std::sync::Arc;

use super::openai::OpenAiProvider;
use super::replay::ReplayProvider;
use super::{Provider, ProviderError, Surroundings};
use crate::settings::Settings;

/// Builds the provider that `settings` name. Opens no connection.
///
/// # Errors
/// A provider this build does not have, by name (`provider.not_available`), or a setting it cannot work with.
pub fn create(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    Ok(match settings.api_provider.as_deref().unwrap_or("anthropic") {
        "openai" => Arc::new(OpenAiProvider::new(settings, surroundings)?),
        "replay" => Arc::new(ReplayProvider::open(settings, surroundings)?),
        name => {
            return Err(ProviderError::worded(&surroundings.wording, "provider.not_available", &[("provider", name)]));
        }
    })
}
