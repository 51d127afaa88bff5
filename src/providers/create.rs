//! Chooses the provider of a profile (spec 07 §1.1).

use std::sync::Arc;

use super::anthropic::AnthropicProvider;
use super::gemini::GeminiProvider;
use super::openai::OpenAiProvider;
use super::replay::ReplayProvider;
use super::responses::ResponsesProvider;
use super::xai::XaiProvider;
use super::{Provider, ProviderError, Surroundings, vertex};
use crate::settings::Settings;

/// Builds a provider; opens no connection.
type Build = fn(&Settings, &Surroundings) -> Result<Arc<dyn Provider>, ProviderError>;

/// Providers with code of their own, one line each.
const NATIVE: &[(&str, Build)] = &[
    ("anthropic", |settings, surroundings| Ok(Arc::new(AnthropicProvider::new(settings, surroundings)))),
    ("gemini", |settings, surroundings| Ok(Arc::new(GeminiProvider::new(settings, surroundings)))),
    ("openai", |settings, surroundings| Ok(Arc::new(OpenAiProvider::new(settings, surroundings)?))),
    ("openai-native", |settings, surroundings| Ok(Arc::new(ResponsesProvider::new(settings, surroundings)?))),
    ("replay", |settings, surroundings| Ok(Arc::new(ReplayProvider::open(settings, surroundings)?))),
    ("vertex", |settings, surroundings| Ok(vertex::create(settings, surroundings))),
    ("xai", |settings, surroundings| Ok(Arc::new(XaiProvider::new(settings, surroundings)?))),
];

/// Builds the provider that `settings` name; absent and unknown names mean Anthropic. Opens no connection.
///
/// # Errors
/// A provider this build does not have, by name (`provider.not_available`), or a setting it cannot work with.
pub fn create(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    let name = settings.api_provider.as_deref().unwrap_or("anthropic");
    match NATIVE.iter().find(|(native, _)| *native == name) {
        Some((_, build)) => build(settings, surroundings),
        None => Err(ProviderError::worded(&surroundings.wording, "provider.not_available", &[("provider", name)])),
    }
}

/// Names that [`create`] knows, in listing order.
pub fn names() -> impl Iterator<Item = &'static str> {
    NATIVE.iter().map(|(name, _)| *name)
}
