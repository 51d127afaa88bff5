//! What goes wrong with Gemini's calls, in words (spec 07 §13).

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::providers::auth::google::GoogleAuthError;
use crate::providers::convert::GeminiUnsupported;
use crate::providers::failure::{Failure, message, without_key};
use crate::providers::http::{HeaderMap, HttpFailure};
use crate::providers::{ProviderError, Wording};

/// Why a call gave no answer.
#[derive(Debug)]
pub enum CallFailure {
    /// The call was not made or its answer cannot be used.
    Call(Failure),
    /// The service refused it; the secret may stand in its words.
    Answer(Failure, SecretString),
    /// No access token.
    Auth(GoogleAuthError),
    /// Vertex AI has no tool that reads addresses.
    UrlContext,
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> CallFailure {
        CallFailure::Call(failure)
    }
}

impl CallFailure {
    /// The failure in words.
    pub fn words(&self, wording: &Wording) -> String {
        match self {
            CallFailure::Call(failure) => message(failure, wording),
            CallFailure::Answer(failure, secret) => without_key(refusal(failure, wording), secret),
            CallFailure::Auth(error) => error.words(wording),
            CallFailure::UrlContext => wording("provider.gemini.url_context_on_vertex", &[]),
        }
    }
}

/// Status, its name and the body as JSON; a body that is not JSON although it says so gives what the parser says.
fn refusal(failure: &Failure, wording: &Wording) -> String {
    let Failure::Http(HttpFailure::Status { status, headers, body }) = failure else {
        return message(failure, wording);
    };
    let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let body = if declares_json(headers) {
        match serde_json::from_str::<Value>(body) {
            Ok(body) => body,
            Err(error) => return message(&Failure::NotJson(error.to_string()), wording),
        }
    } else {
        json!({"error": {"message": body, "code": status, "status": reason}})
    };
    let (status, body) = (status.to_string(), body.to_string());
    wording("provider.gemini.http", &[("status", &status), ("reason", reason), ("body", &body)])
}

fn declares_json(headers: &HeaderMap) -> bool {
    headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.contains("application/json"))
}

/// The error for a conversation that Gemini's format cannot express; it is not wrapped.
pub fn unsupported(block: &GeminiUnsupported, wording: &Wording) -> ProviderError {
    match block {
        GeminiUnsupported::ImageSource => {
            ProviderError::worded(wording, "transform.gemini.unsupported_image_source", &[])
        }
        GeminiUnsupported::Block(kind) => {
            ProviderError::worded(wording, "transform.gemini.unsupported_block", &[("type", kind)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_refusal_shows_status_and_body_without_the_key() {
        const KEY: &str = "key-0123456789";
        for (status, kind, body, expected) in [
            (
                429,
                "application/json; charset=UTF-8",
                r#"{"error": {"message": "key-0123456789 has no quota"}}"#,
                r#"429 Too Many Requests {"error":{"message":"… has no quota"}}"#,
            ),
            (
                500,
                "text/plain",
                "oops",
                r#"500 Internal Server Error {"error":{"message":"oops","code":500,"status":"Internal Server Error"}}"#,
            ),
            (599, "", "", r#"599  {"error":{"message":"","code":599,"status":""}}"#),
            (502, "application/json", "<html>", "EOF"),
        ] {
            let wording: Wording = Arc::new(|id, variables| {
                let values: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
                match id {
                    "provider.gemini.http" => values.join(" "),
                    "provider.invalid_answer" => "EOF".to_owned(),
                    other => panic!("{other}"),
                }
            });
            let mut headers = HeaderMap::new();
            headers.insert("content-type", kind.parse().expect("a header value"));
            let refusal = HttpFailure::Status { status, headers, body: body.to_owned() };
            let failure = CallFailure::Answer(Failure::Http(refusal), KEY.into());
            assert_eq!(failure.words(&wording), expected);
        }
    }
}
