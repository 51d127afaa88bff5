//! What goes wrong with the secondary transport, in words (spec 07 §10.4, §10.5). No such error has a status.

use crate::providers::{ProviderError, Wording};

/// The id of a status' text, and whether it is told as a failure to connect.
fn text_of(status: u16) -> (&'static str, bool) {
    match status {
        400 => ("provider.openai_native.bad_request", false),
        401 => ("provider.openai_native.auth", true),
        403 => ("provider.openai_native.forbidden", true),
        404 => ("provider.openai_native.endpoint_not_found", false),
        429 => ("provider.openai_native.rate_limit", true),
        500 | 502 | 503 => ("provider.openai_native.service_error", true),
        _ => ("provider.openai_native.http", false),
    }
}

/// An answer with a status of failure.
pub fn status(status: u16, details: &str, wording: &Wording) -> ProviderError {
    let (id, connects) = text_of(status);
    let mut message = wording(id, &[("status", &status.to_string())]);
    if !details.is_empty() {
        message = format!("{message} - {details}");
    }
    if connects { connect_failed(&message, wording) } else { ProviderError::new(message) }
}

/// No connection, or one that was lost.
pub fn connect_failed(message: &str, wording: &Wording) -> ProviderError {
    worded("provider.openai_native.connect_failed", message, wording)
}

/// A stream that broke off, or whose bytes are none.
pub fn interrupted(message: &str, wording: &Wording) -> ProviderError {
    connect_failed(&in_stream(message, wording), wording)
}

/// A stream that reports an error.
pub fn reported(message: &str, wording: &Wording) -> ProviderError {
    let reported = wording("provider.openai_native.reported", &[("message", message)]);
    ProviderError::new(in_stream(&reported, wording))
}

/// A stream that reports its response as failed.
pub fn failed(message: &str, wording: &Wording) -> ProviderError {
    let failed = wording("provider.openai_native.response_failed", &[("message", message)]);
    connect_failed(&in_stream(&failed, wording), wording)
}

/// A failure within a stream.
pub fn in_stream(message: &str, wording: &Wording) -> String {
    wording("provider.openai_native.stream", &[("message", message)])
}

fn worded(id: &str, message: &str, wording: &Wording) -> ProviderError {
    ProviderError::worded(wording, id, &[("message", message)])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::providers::failure::body_message;

    #[test]
    fn a_status_has_its_text_and_some_count_as_no_connection() {
        let wording: Wording = Arc::new(|id, variables| {
            let id = id.rsplit('.').next().unwrap_or(id);
            let variables: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
            format!("{id}({})", variables.join(","))
        });
        for (code, body, expected) in [
            (400, r#"{"error":{"message":"no"}}"#, "bad_request(400) - no"),
            (401, r#"{"message":"no"}"#, "connect_failed(auth(401) - no)"),
            (403, "plain", "connect_failed(forbidden(403) - plain)"),
            (404, "", "endpoint_not_found(404)"),
            (429, r#"{"error":"no"}"#, r#"connect_failed(rate_limit(429) - {"error":"no"})"#),
            (503, "", "connect_failed(service_error(503))"),
            (504, "x", "http(504) - x"),
        ] {
            let error = status(code, &body_message(body), &wording);
            assert_eq!((error.message.as_str(), error.status), (expected, None), "{code}");
        }
    }
}
