//! Which failures of a profile are worth trying another one for (spec 07 §19.1).

use crate::providers::ProviderError;

/// Whether the profile is at a limit or overloaded: the next one may do better.
pub fn is_passing(error: &ProviderError) -> bool {
    let nested = |pointer: &str| {
        let details = serde_json::Value::Object(error.details.clone());
        details.pointer(pointer).cloned().unwrap_or_default()
    };
    let has_status = |status: u16| {
        error.status == Some(status)
            || error.code.as_deref().is_some_and(|code| code == status.to_string())
            || nested("/response/status") == status
    };
    let error_type = nested("/error/type");
    has_status(429)
        || has_status(503)
        || error.message.to_lowercase().contains("rate limit")
        || error.message.contains("503")
        || error_type.as_str().is_some_and(|kind| kind.contains("rate_limit"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_and_overload_pass() {
        let error = |message: &str, status, code: Option<&str>, details: serde_json::Value| ProviderError {
            message: message.into(),
            status,
            code: code.map(str::to_owned),
            details: details.as_object().cloned().unwrap_or_default(),
        };
        for (error, expected) in [
            (error("", Some(429), None, json!({})), true),
            (error("", Some(503), None, json!({})), true),
            (error("", None, Some("429"), json!({})), true),
            (error("", None, None, json!({"response": {"status": 503}})), true),
            (error("Rate limit reached", None, None, json!({})), true),
            (error("answered with 503", None, None, json!({})), true),
            (error("", Some(400), None, json!({"error": {"type": "rate_limit_error"}})), true),
            (error("answered with 429", None, None, json!({})), false),
            (error("", Some(500), Some("overloaded"), json!({"error": {"type": "api_error"}})), false),
        ] {
            assert_eq!(is_passing(&error), expected, "{error:?}");
        }
    }
}
