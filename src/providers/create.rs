//! Chooses the provider of a profile (spec 07 §1.1).

use std::sync::Arc;

use super::anthropic::AnthropicProvider;
use super::bedrock::BedrockProvider;
use super::cerebras::CerebrasProvider;
use super::claude_code::ClaudeCodeProvider;
use super::compatible::{self, Rows};
use super::discreet::{Discreet, Discretion};
use super::fallback::{self, FallbackProvider};
use super::gemini::GeminiProvider;
use super::gemini_cli::GeminiCliProvider;
use super::human_relay::HumanRelayProvider;
use super::lmstudio::LmStudioProvider;
use super::mistral::MistralProvider;
use super::ollama::OllamaProvider;
use super::openai::OpenAiProvider;
use super::openrouter::OpenRouterProvider;
use super::qwen_code::QwenCodeProvider;
use super::replay::ReplayProvider;
use super::responses::ResponsesProvider;
use super::xai::XaiProvider;
use super::{Provider, ProviderError, Surroundings, keys, vertex};
use crate::settings::Settings;

/// Builds a provider; opens no connection.
type Build = fn(&Settings, &Surroundings) -> Result<Arc<dyn Provider>, ProviderError>;

/// Providers with code of their own, one line each.
const NATIVE: &[(&str, Build)] = &[
    ("anthropic", |settings, surroundings| Ok(Arc::new(AnthropicProvider::new(settings, surroundings)))),
    ("cerebras", |settings, surroundings| Ok(Arc::new(CerebrasProvider::new(settings, surroundings)?))),
    ("bedrock", |settings, surroundings| Ok(Arc::new(BedrockProvider::new(settings, surroundings)?))),
    ("claude-code", |settings, surroundings| Ok(Arc::new(ClaudeCodeProvider::new(settings, surroundings)))),
    ("gemini", |settings, surroundings| Ok(Arc::new(GeminiProvider::new(settings, surroundings)))),
    ("gemini-cli", |settings, surroundings| Ok(Arc::new(GeminiCliProvider::new(settings, surroundings)))),
    ("human-relay", |_, surroundings| Ok(Arc::new(HumanRelayProvider::new(surroundings)))),
    ("kilocode", |settings, surroundings| Ok(Arc::new(OpenRouterProvider::kilocode(settings, surroundings)?))),
    ("lmstudio", |settings, surroundings| Ok(Arc::new(LmStudioProvider::new(settings, surroundings)))),
    ("mistral", |settings, surroundings| Ok(Arc::new(MistralProvider::new(settings, surroundings)?))),
    ("ollama", |settings, surroundings| Ok(Arc::new(OllamaProvider::new(settings, surroundings)))),
    ("openai", |settings, surroundings| Ok(Arc::new(OpenAiProvider::new(settings, surroundings)?))),
    ("openai-native", |settings, surroundings| Ok(Arc::new(ResponsesProvider::new(settings, surroundings)?))),
    ("openrouter", |settings, surroundings| Ok(Arc::new(OpenRouterProvider::new(settings, surroundings)?))),
    ("qwen-code", |settings, surroundings| Ok(Arc::new(QwenCodeProvider::new(settings, surroundings)?))),
    ("replay", |settings, surroundings| Ok(Arc::new(ReplayProvider::open(settings, surroundings)?))),
    ("vertex", |settings, surroundings| Ok(vertex::create(settings, surroundings))),
    (fallback::NAME, |settings, surroundings| Ok(Arc::new(FallbackProvider::new(settings, surroundings)?))),
    ("xai", |settings, surroundings| Ok(Arc::new(XaiProvider::new(settings, surroundings)?))),
];

/// Providers of the specification that only exist inside an editor, and why they cannot be built (spec 07 §1.1, §19.1).
const ELSEWHERE: [(&str, &str); 2] =
    [("fake-ai", "provider.fake_ai.unavailable"), ("vscode-lm", "provider.vscode_lm.unavailable")];

/// Another name of a provider: the one its list of models has (spec 07 §1.1).
const ALIAS: (&str, &str) = ("kilocode-openrouter", "kilocode");

/// The provider when the profile names none, or one that nothing describes (spec 07 §1.1).
pub(super) const DEFAULT: &str = "anthropic";

/// Builds the provider that `settings` name; absent or unknown means Anthropic. Opens no connection.
///
/// A row of the user's own tables that says so comes before code, code before rows (`compatible`).
///
/// # Errors
/// A provider whose row in the user's own tables is wrong (`provider.invalid_row`), by name: a prompt that was meant for the
/// user's server goes to no one else. One that only exists inside an editor; a setting the provider cannot work with, or a
/// secret in a variable that is not set.
pub fn create(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    if !keys::refer(&settings.secrets) {
        return build(settings, surroundings);
    }
    let mut settings = settings.clone();
    keys::fill_from_environment(&mut settings.secrets, &surroundings.environment, &surroundings.wording)?;
    if keys::keyring_entries(&settings.secrets).is_empty() {
        return build(&settings, surroundings);
    }
    Ok(Arc::new(keys::Deferred::new(settings, surroundings, build)?))
}

/// As [`create`], with all secrets in their places. No failure shows them.
fn build(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    let secrets = Discretion::of(settings);
    match choose(settings, surroundings) {
        Ok(provider) => Ok(Discreet::over(provider, secrets)),
        Err(error) => Err(secrets.error(error)),
    }
}

fn choose(settings: &Settings, surroundings: &Surroundings) -> Result<Arc<dyn Provider>, ProviderError> {
    let http = surroundings.http.for_profile(settings, &surroundings.environment);
    let surroundings = &Surroundings { http, ..surroundings.clone() };
    let name = canonical(settings.api_provider.as_deref().unwrap_or(DEFAULT));
    let own = user_rows(surroundings);
    if let Some(row) = own.good.get(name) {
        return compatible::build(row.clone(), settings, surroundings);
    }
    if let Some((_, build)) = NATIVE.iter().find(|(native, _)| *native == name) {
        return build(settings, surroundings);
    }
    if let Some(row) = compatible::built_in().good.get(name) {
        return compatible::build(row.clone(), settings, surroundings);
    }
    let wording = &surroundings.wording;
    if let Some((_, reason)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name) {
        return Err(ProviderError::worded(wording, reason, &[]));
    }
    // A file that cannot be read at all may be the one with the row.
    match own.bad.iter().find(|problem| problem.provider == name || problem.provider.is_empty()) {
        Some(problem) => Err(ProviderError::new(problem.in_words(wording))),
        None => Ok(Arc::new(AnthropicProvider::new(settings, surroundings))),
    }
}

/// The name under which a provider is described.
pub(super) fn canonical(name: &str) -> &str {
    if name == ALIAS.0 { ALIAS.1 } else { name }
}

/// Names of all built-in providers: those with code, then those of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    NATIVE.iter().map(|(name, _)| *name).chain(compatible::built_in().good.keys().map(String::as_str))
}

/// The rows of the user's own tables, good and bad.
pub(super) fn user_rows(surroundings: &Surroundings) -> Rows {
    match &surroundings.tables {
        Some(folder) => compatible::of_user(folder, |name| names().any(|native| native == name)),
        None => Rows::default(),
    }
}
