//! Google Vertex AI (spec 07 §14): Gemini by the `gemini` room over another endpoint, Claude by the `anthropic` room's
//! bodies and events. Access tokens come from [`auth::google`](super::auth::google).

mod claude;
mod project;

use std::sync::Arc;

use claude::ClaudeProvider;
pub use project::VertexProject;

use super::gemini::GeminiProvider;
use super::options::Options;
use super::{Provider, Surroundings};
use crate::settings::Settings;

/// The provider for the profile's model: Claude if its id says so, else Gemini, which also gets unknown ids and none.
pub fn create(settings: &Settings, surroundings: &Surroundings) -> Arc<dyn Provider> {
    match Options::of(settings).text("apiModelId") {
        Some(model) if model.starts_with("claude") => Arc::new(ClaudeProvider::new(settings, surroundings)),
        _ => Arc::new(GeminiProvider::on_vertex(settings, surroundings)),
    }
}
