//! What the status of an embedding service says about its configuration (spec 08 §5.4).

/// The id of the text for this HTTP status; `None` when it says nothing. Of `provider` only `openai` matters: there a missing
/// page means a missing model.
pub fn problem(status: u16, provider: &str) -> Option<&'static str> {
    match status {
        401 | 403 => Some("embeddings.validation.auth"),
        404 if provider == "openai" => Some("embeddings.validation.model_unavailable"),
        404 => Some("embeddings.validation.bad_endpoint"),
        429 => Some("embeddings.validation.unavailable"),
        400..=599 => Some("embeddings.validation.config"),
        _ => None,
    }
}
