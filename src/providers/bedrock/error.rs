//! What a failure was (spec 07 §15.7): the error as the service reports it, and its kind.
//!
//! An error of the service has its name as [`ProviderError::code`], and `name` and `$metadata` in its details, which stay when it
//! is told in other words. An error of our own side has no code; its kind is never guessed from our words.

use serde_json::{Map, Value, json};

use crate::providers::http::HeaderMap;
use crate::providers::{ProviderError, Wording};

/// Message of a failed answer that has none.
const NO_MESSAGE: &str = "UnknownError";
const TOO_MANY_REQUESTS: u64 = 429;

/// An error that the service reports, inside a stream without a status.
pub fn service(name: String, message: String, status: Option<u16>) -> ProviderError {
    let mut details = Map::from_iter([("name".to_owned(), json!(name)), ("$metadata".to_owned(), json!({}))]);
    if let Some(status) = status {
        details["$metadata"]["httpStatusCode"] = json!(status);
    }
    let message = if message.is_empty() { NO_MESSAGE.to_owned() } else { message };
    ProviderError { message, status: None, code: Some(name), details }
}

/// An error of our own side, under the name that hosts of the reference know.
pub fn client(name: &str, message: String) -> ProviderError {
    ProviderError { details: Map::from_iter([("name".to_owned(), json!(name))]), ..ProviderError::new(message) }
}

/// An answer, or a frame of one, that is not JSON.
pub fn not_json(cause: &str, status: Option<u16>, wording: &Wording) -> ProviderError {
    let mut error = client("SyntaxError", wording("provider.invalid_answer", &[("cause", cause)]));
    error.details.extend(status.map(|status| ("$metadata".to_owned(), json!({"httpStatusCode": status}))));
    error
}

/// The error in a failed answer.
pub fn of_answer(status: u16, headers: &HeaderMap, body: &str, wording: &Wording) -> ProviderError {
    let document: Value = match body.trim() {
        "" => json!({}),
        body => match serde_json::from_str(body) {
            Ok(document) => document,
            Err(error) => return not_json(&error.to_string(), Some(status), wording),
        },
    };
    let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let name = header.or_else(|| scalar(&document["code"])).or_else(|| scalar(&document["__type"]));
    let name = name.as_deref().map(bare_name).filter(|name| !name.is_empty());
    let text = |key: &str| document[key].as_str().filter(|text| !text.is_empty());
    let message = text("message").or_else(|| text("Message")).unwrap_or("");
    service(name.map_or_else(|| status.to_string(), str::to_owned), message.to_owned(), Some(status))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `x#Name:http://…,…` without what is around the name.
fn bare_name(name: &str) -> &str {
    let name = name.split(',').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    name.split('#').nth(1).unwrap_or(name).trim()
}

/// What a failure was, as far as it matters to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The account's quota is used up.
    ServiceQuota,
    /// The model is being loaded.
    NotReady,
    /// The conversation is too long for the model.
    TooManyTokens,
    /// The service failed.
    Internal,
    /// The model can only be used through an inference profile.
    OnDemand,
    /// There is no such model or resource.
    NotFound,
    /// The account may not use it.
    AccessDenied,
    /// Too many requests; may pass.
    Throttled,
    /// Everything else.
    Other,
}

/// What is looked for in message and name, lower case, in this order. Some patterns are very broad; the specification keeps
/// them.
const PATTERNS: [(Kind, &[&str]); 8] = [
    (Kind::ServiceQuota, &["service quota exceeded", "service quota", "quota exceeded for model"]),
    (Kind::NotReady, &["model not ready", "model is not ready", "provisioned throughput not ready", "model loading"]),
    (Kind::TooManyTokens, &["too many tokens", "token limit exceeded", "context length", "maximum context length"]),
    (Kind::Internal, &["internal server error", "internal error", "server error", "service error"]),
    (Kind::OnDemand, &["with on-demand throughput isn\u{2019}t supported."]),
    (Kind::NotFound, &["not found", "does not exist"]),
    (Kind::AccessDenied, &["access", "denied", "permission"]),
    (
        Kind::Throttled,
        &[
            "throttl",
            "rate",
            "limit",
            "bedrock is unable to process your request",
            "please wait",
            "quota exceeded",
            "service unavailable",
            "busy",
            "overloaded",
            "too many requests",
            "request limit",
            "concurrent requests",
        ],
    ),
];

impl Kind {
    /// The kind of an error as it was reported.
    pub fn of(error: &ProviderError) -> Kind {
        if http_status(error) == Some(TOO_MANY_REQUESTS) {
            return Kind::Throttled;
        }
        let Some(name) = &error.code else { return Kind::Other };
        if name == "ThrottlingException" {
            return Kind::Throttled;
        }
        let message = error.message.to_lowercase();
        let name: String = name.to_lowercase().split_whitespace().collect();
        let fits = |pattern: &&str| message.contains(pattern) || name.contains(pattern);
        PATTERNS.iter().find(|(_, patterns)| patterns.iter().any(fits)).map_or(Kind::Other, |(kind, _)| *kind)
    }

    /// Its text in the catalogue.
    pub fn id(self) -> &'static str {
        match self {
            Kind::ServiceQuota => "provider.bedrock.quota",
            Kind::NotReady => "provider.bedrock.not_ready",
            Kind::TooManyTokens => "provider.bedrock.too_many_tokens",
            Kind::Internal => "provider.bedrock.internal",
            Kind::OnDemand => "provider.bedrock.on_demand",
            Kind::NotFound => "provider.bedrock.not_found",
            Kind::AccessDenied => "provider.bedrock.access_denied",
            Kind::Throttled => "provider.bedrock.throttled",
            Kind::Other => "provider.bedrock.unknown",
        }
    }
}

fn http_status(error: &ProviderError) -> Option<u64> {
    error.details.get("$metadata")?.get("httpStatusCode")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn names_and_messages_of_failed_answers() {
        let wording: Wording = Arc::new(|id, _| id.to_owned());
        for (header, body, name, message) in [
            (Some("ValidationException:http://x/"), r#"{"message":"no"}"#, "ValidationException", "no"),
            (Some("a.b#Name,x"), r#"{"Message":"No"}"#, "Name", "No"),
            (None, r#"{"code":"C","__type":"T","message":""}"#, "C", NO_MESSAGE),
            (None, r#"{"__type":"com.x#T"}"#, "T", NO_MESSAGE),
            (None, r#"{"code":7}"#, "7", NO_MESSAGE),
            (None, "", "418", NO_MESSAGE),
            (None, "[]", "418", NO_MESSAGE),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("x-amzn-errortype", header.parse().expect("a header value"));
            }
            let error = of_answer(418, &headers, body, &wording);
            assert_eq!((error.code.as_deref(), error.message.as_str()), (Some(name), message), "{body}");
            assert_eq!(http_status(&error), Some(418));
        }
        let page = of_answer(429, &HeaderMap::new(), "<html>", &wording);
        assert_eq!((page.message.as_str(), page.code.as_deref()), ("provider.invalid_answer", None));
        assert_eq!(Kind::of(&page), Kind::Throttled);
    }

    #[test]
    fn kinds() {
        for (name, message, status, expected) in [
            ("X", "Service quota exceeded", None, Kind::ServiceQuota),
            ("X", "Model is not ready", None, Kind::NotReady),
            ("X", "Too many tokens, rate", None, Kind::TooManyTokens),
            ("X", "An Internal Error", None, Kind::Internal),
            ("X", "m with on-demand throughput isn\u{2019}t supported.", None, Kind::OnDemand),
            ("X", "m with on-demand throughput isn't supported.", None, Kind::Other),
            ("X", "it does not exist", None, Kind::NotFound),
            ("AccessDeniedException", "no", None, Kind::AccessDenied),
            ("X", "could not generate", None, Kind::Throttled),
            ("X", "quota exceeded", None, Kind::Throttled),
            ("ThrottlingException", "access denied", None, Kind::Throttled),
            ("X", "access denied", Some(429), Kind::Throttled),
            ("ServiceUnavailableException", "down", Some(503), Kind::Other),
            ("ResourceNotFoundException", "gone", Some(404), Kind::Other),
        ] {
            assert_eq!(Kind::of(&service(name.into(), message.into(), status)), expected, "{name}: {message}");
        }
        assert_eq!(Kind::of(&client("TypeError", "limit".into())), Kind::Other);
    }
}
