//! Why a provider could not answer, and how its wording reaches the user.

use std::sync::Arc;

use serde_json::{Map, Value};

/// Words a text of the catalogue: gets its id and variables, gives the sentence.
///
/// Providers stand on one level with the catalogue's room and may not use it, so whoever builds a provider passes this
/// function. Tests pass one that gives the id and variables back.
pub type Wording = Arc<dyn Fn(&str, &[(&str, &str)]) -> String + Send + Sync>;

/// Why a provider could not answer. Never holds a key.
#[derive(Clone, Debug, Default, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What to show: the vendor's words or a worded text of the catalogue (`provider.*`). Empty when the failure carried no
    /// message (the loop then shows [`ProviderError::details`] as JSON).
    pub message: String,
    /// HTTP status, if an answer came and the error was not wrapped (spec 07 §2, §22).
    pub status: Option<u16>,
    /// Provider's error code.
    pub code: Option<String>,
    /// Whatever else the error carries (`errorDetails`, `error`, …), as the specification names it.
    pub details: Map<String, Value>,
}

impl ProviderError {
    /// An error with nothing but a message.
    pub fn new(message: impl Into<String>) -> ProviderError {
        ProviderError { message: message.into(), ..ProviderError::default() }
    }

    /// An error with nothing but a worded message.
    pub fn worded(wording: &Wording, id: &str, variables: &[(&str, &str)]) -> ProviderError {
        ProviderError::new(wording(id, variables))
    }

    /// An answer, or an event of one, that is no JSON or not in the expected form.
    pub fn not_json(cause: &serde_json::Error, wording: &Wording) -> ProviderError {
        ProviderError::worded(wording, "provider.invalid_answer", &[("cause", &cause.to_string())])
    }
}
