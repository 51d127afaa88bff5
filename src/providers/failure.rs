//! Failed requests in words: which part of an answer is its message, and the wrapping of spec 07 §2.

use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::http::{BodyStream, Hold, HttpFailure, HttpResponse, InvalidHeader, TransportError};
use super::{ProviderError, Wording};

/// Most bytes of an answer that is read whole.
const ANSWER_LIMIT: usize = 64 << 20;
/// Keys shorter than this are not looked for in messages: they would be found everywhere.
const SHORTEST_KEY: usize = 8;

/// Why a request failed before its answer could be used.
#[derive(Debug)]
pub enum Failure {
    /// A header, most likely the key, has characters that cannot be sent.
    InvalidHeader,
    /// The base address of the profile is none.
    InvalidUrl,
    /// No answer, or one that reports a failure.
    Http(HttpFailure),
    /// The body of the answer broke off.
    Interrupted(TransportError),
    /// The answer is of another content type than asked for.
    ContentType(String),
    /// The answer is longer than 64 MiB.
    TooLarge,
    /// The answer is not JSON.
    NotJson(String),
}

impl From<InvalidHeader> for Failure {
    fn from(_: InvalidHeader) -> Failure {
        Failure::InvalidHeader
    }
}

impl From<HttpFailure> for Failure {
    fn from(failure: HttpFailure) -> Failure {
        Failure::Http(failure)
    }
}

/// The failure as a provider reports it that wraps its errors: no status, the provider's name in front.
pub fn wrap(failure: &Failure, provider: &str, key: &SecretString, wording: &Wording) -> ProviderError {
    if matches!(failure, Failure::InvalidHeader) {
        return ProviderError::worded(wording, "provider.invalid_key_chars", &[]);
    }
    completion_error(provider, &words(failure, key, wording), wording)
}

/// Whose client library words the message of a failed answer (spec 07 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// `error.message`, else `error`, else the body.
    OpenAi,
    /// The body's top-level `message`, else the whole body.
    Anthropic,
}

/// The failure as a provider reports it that does not wrap its errors: status, code and the vendor's `error` survive.
pub fn raw(failure: &Failure, sdk: Sdk, key: &SecretString, wording: &Wording) -> ProviderError {
    let Failure::Http(HttpFailure::Status { status, body, .. }) = failure else {
        return ProviderError::new(words(failure, key, wording));
    };
    let parsed = serde_json::from_str::<Value>(body).ok();
    let said = match sdk {
        Sdk::OpenAi => status_message(body),
        Sdk::Anthropic => match parsed.as_ref().map(|body| body.get("message").and_then(Value::as_str)) {
            Some(Some(said)) => Some(said.to_owned()),
            _ => Some(body.trim().to_owned()).filter(|body| !body.is_empty()),
        },
    };
    let message = match said {
        Some(said) => without_key(format!("{status} {said}"), key),
        None => words(failure, key, wording),
    };
    let error = parsed.and_then(|mut body| match sdk {
        Sdk::OpenAi => body.get_mut("error").map(Value::take),
        Sdk::Anthropic => Some(body),
    });
    let code = match error.as_ref().and_then(|error| error.get("code")) {
        Some(Value::String(code)) => Some(code.clone()),
        Some(Value::Number(code)) => Some(code.to_string()),
        _ => None,
    };
    // What is repeated of the vendor's body must not hold the key either.
    let error = error.map(|error| without_key(error.to_string(), key));
    let details = error.and_then(|text| Some(("error".to_owned(), serde_json::from_str(&text).ok()?)));
    ProviderError { message, status: Some(*status), code, details: details.into_iter().collect() }
}

/// The failure in words, without status or name.
pub fn words(failure: &Failure, key: &SecretString, wording: &Wording) -> String {
    without_key(message(failure, wording), key)
}

/// `provider.completion_error`.
pub fn completion_error(provider: &str, message: &str, wording: &Wording) -> ProviderError {
    ProviderError::worded(wording, "provider.completion_error", &[("provider", provider), ("message", message)])
}

/// The failure in words, without a provider's name. May hold what the server said, and with it the key.
pub fn message(failure: &Failure, wording: &Wording) -> String {
    let say = |id: &str, variables: &[(&str, &str)]| wording(id, variables);
    match failure {
        Failure::InvalidHeader => say("provider.invalid_key_chars", &[]),
        Failure::InvalidUrl | Failure::Http(HttpFailure::Transport(TransportError::InvalidUrl)) => {
            say("provider.invalid_url", &[])
        }
        Failure::Http(HttpFailure::Transport(TransportError::Timeout)) => say("provider.request_timeout", &[]),
        Failure::Http(HttpFailure::Transport(TransportError::Connection(cause))) => {
            say("provider.connection_error", &[("cause", cause)])
        }
        Failure::Http(HttpFailure::Transport(TransportError::Setting { key, cause })) => {
            say("provider.invalid_setting", &[("key", key), ("cause", cause)])
        }
        Failure::Http(HttpFailure::Transport(TransportError::Held { why, wait })) => {
            let id = match why {
                Hold::RateLimit => "provider.held.rate_limit",
                Hold::Failing => "provider.held.failing",
            };
            say(id, &[("seconds", &wait.as_secs_f64().ceil().to_string())])
        }
        Failure::Http(HttpFailure::Status { status, body, .. }) => match status_message(body) {
            Some(message) => format!("{status} {message}"),
            None => say("provider.no_body", &[("status", &status.to_string())]),
        },
        Failure::Interrupted(error) => super::stream::interrupted(error, wording).message,
        Failure::ContentType(found) => say("provider.unexpected_content_type", &[("type", found)]),
        Failure::TooLarge => say("provider.answer_too_large", &[("limit", &ANSWER_LIMIT.to_string())]),
        Failure::NotJson(cause) => say("provider.invalid_answer", &[("cause", cause)]),
    }
}

/// The message in the body of a failed answer (OpenAI's clients): `error.message`, else `error`, else the body.
fn status_message(body: &str) -> Option<String> {
    let error = serde_json::from_str::<Value>(body).ok().and_then(|mut body| body.get_mut("error").map(Value::take));
    match error.filter(|error| !error.is_null()) {
        Some(error) => Some(error_message(&error)),
        None => Some(body.trim().to_owned()).filter(|body| !body.is_empty()),
    }
}

/// `message` of an error object (as JSON if it is no string), else the object as JSON.
pub fn error_message(error: &Value) -> String {
    match error.get("message") {
        Some(Value::String(message)) if !message.is_empty() => message.clone(),
        Some(message) if message.is_object() || message.is_array() || message.is_number() => message.to_string(),
        _ => error.to_string(),
    }
}

/// What the body of a failed answer says, where no client library reads it: `error.message`, else `message`, else all of it.
pub fn body_message(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    let texts = [document.pointer("/error/message"), document.get("message")].map(|text| text.and_then(Value::as_str));
    let said = texts.into_iter().flatten().find(|text| !text.is_empty());
    said.unwrap_or(body).to_owned()
}

/// The message without the key in it: some services repeat the key they refuse.
pub fn without_key(message: String, key: &SecretString) -> String {
    match key.expose_secret() {
        key if key.len() >= SHORTEST_KEY => message.replace(key, "…"),
        _ => message,
    }
}

/// The body of an answer that was asked for as a stream.
///
/// # Errors
/// A page or a whole JSON document instead of a stream; every other type is tried.
pub fn event_stream(response: HttpResponse) -> Result<BodyStream, Failure> {
    match content_type(&response) {
        found if found.starts_with("text/html") || found.starts_with("application/json") => {
            Err(Failure::ContentType(found))
        }
        _ => Ok(response.body),
    }
}

/// The whole body as JSON.
///
/// # Errors
/// A page instead of JSON, a body that breaks off, is too long or no JSON.
pub async fn read_json(response: HttpResponse) -> Result<Value, Failure> {
    let bytes = read_bytes(response).await?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::NotJson(error.to_string()))
}

/// The whole body.
///
/// # Errors
/// A page instead of data, a body that breaks off or is too long.
pub async fn read_bytes(response: HttpResponse) -> Result<Vec<u8>, Failure> {
    let mut response = unless_page(response)?;
    let mut bytes = Vec::new();
    while let Some(piece) = response.body.next().await {
        bytes.extend_from_slice(&piece.map_err(Failure::Interrupted)?);
        if bytes.len() > ANSWER_LIMIT {
            return Err(Failure::TooLarge);
        }
    }
    Ok(bytes)
}

/// The answer, unless it is a page: one of a login or a proxy.
///
/// # Errors
/// A page.
pub fn unless_page(response: HttpResponse) -> Result<HttpResponse, Failure> {
    let found = content_type(&response);
    if found.starts_with("text/html") { Err(Failure::ContentType(found)) } else { Ok(response) }
}

fn content_type(response: &HttpResponse) -> String {
    let value = response.headers.get("content-type").and_then(|value| value.to_str().ok());
    value.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_failed_answer_is_found() {
        for (body, expected) in [
            (r#"{"error":{"message":"no","code":1}}"#, Some("no")),
            (r#"{"error":{"message":{"a":1}}}"#, Some(r#"{"a":1}"#)),
            (r#"{"error":{"kind":"x"}}"#, Some(r#"{"kind":"x"}"#)),
            (r#"{"error":"plain"}"#, Some(r#""plain""#)),
            (r#"{"detail":"x"}"#, Some(r#"{"detail":"x"}"#)),
            ("gateway\n", Some("gateway")),
            ("", None),
        ] {
            assert_eq!(status_message(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_repeated_key_is_taken_out() {
        assert_eq!(without_key("bad key sk-12345678!".into(), &"sk-12345678".into()), "bad key …!");
    }
}
