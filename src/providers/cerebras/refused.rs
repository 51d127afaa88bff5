//! What goes wrong, in Cerebras' words: every error is a failed completion, and none has a status (spec 07 §19.1).

use secrecy::SecretString;

use crate::providers::failure::{self, Failure};
use crate::providers::http::HttpFailure;
use crate::providers::{ProviderError, Wording};

/// A request that failed before its answer.
pub fn refused(failure: &Failure, key: &SecretString, wording: &Wording) -> ProviderError {
    let Failure::Http(HttpFailure::Status { status, body, .. }) = failure else {
        return completion(&failure::words(failure, key, wording), wording);
    };
    let code = status.to_string();
    let message = match status {
        401 => wording("provider.cerebras.auth", &[]),
        403 => wording("provider.cerebras.forbidden", &[]),
        429 => wording("provider.cerebras.rate_limit", &[]),
        500.. => wording("provider.cerebras.server", &[("status", &code)]),
        _ => {
            let message = failure::without_key(failure::body_message(body), key);
            wording("provider.cerebras.http", &[("status", &code), ("message", &message)])
        }
    };
    completion(&message, wording)
}

/// Any failure.
pub fn completion(error: &str, wording: &Wording) -> ProviderError {
    ProviderError::worded(wording, "provider.cerebras.completion", &[("error", error)])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::providers::http::{HeaderMap, TransportError};

    #[test]
    fn each_status_has_its_words() {
        let wording: Wording = Arc::new(|id, variables| {
            let variables: Vec<&str> = variables.iter().map(|(_, value)| *value).collect();
            format!("{}({})", id.rsplit('.').next().unwrap_or(id), variables.join(","))
        });
        for (status, body, expected) in [
            (401, "x", "completion(auth())"),
            (403, "x", "completion(forbidden())"),
            (429, "x", "completion(rate_limit())"),
            (503, "x", "completion(server(503))"),
            (404, r#"{"error":{"message":"no sk-12345678"}}"#, "completion(http(404,no …))"),
            (400, r#"{"message":"no"}"#, "completion(http(400,no))"),
        ] {
            let failure = Failure::Http(HttpFailure::Status { status, headers: HeaderMap::new(), body: body.into() });
            let error = refused(&failure, &"sk-12345678".into(), &wording);
            assert_eq!((error.message.as_str(), error.status), (expected, None));
        }
        let lost = Failure::Http(HttpFailure::Transport(TransportError::Timeout));
        assert_eq!(refused(&lost, &"k".into(), &wording).message, "completion(request_timeout())");
    }
}
