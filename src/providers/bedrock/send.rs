//! One request: address, who asks, attempts (spec 07 §15.1).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::error;
use super::options::BedrockOptions;
use crate::providers::auth::aws::{Access, AwsAuth, AwsError, sign};
use crate::providers::failure::{self, Failure};
use crate::providers::http::{
    HeaderMap, HttpFailure, HttpRequest, HttpResponse, LONG_TIMEOUT, Method, TransportError, set_header,
};
use crate::providers::{ProviderError, Surroundings};

/// Name of the service in signatures.
const SERVICE: &str = "bedrock";
/// Status of the answers that are read.
const ACCEPTED: u16 = 200;
/// Attempts before an answer begins.
const ATTEMPTS: u32 = 3;
/// Longest wait between two attempts.
const LONGEST_WAIT_MS: u64 = 20_000;
/// Names of errors that mean too many requests, as AWS's client libraries know them.
const THROTTLING_NAMES: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];
/// Names of errors that mean a time limit.
const TIMEOUT_NAMES: [&str; 3] = ["TimeoutError", "RequestTimeout", "RequestTimeoutException"];

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An answer as it comes.
    Stream,
    /// An answer at once.
    Whole,
}

impl Operation {
    fn path(self) -> &'static str {
        match self {
            Operation::Stream => "converse-stream",
            Operation::Whole => "converse",
        }
    }
}

/// Sends requests of one profile. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    options: Arc<BedrockOptions>,
    auth: AwsAuth,
    surroundings: Surroundings,
}

impl Sender {
    /// Finds nothing out yet.
    pub fn new(options: &BedrockOptions, surroundings: &Surroundings) -> Sender {
        let auth = AwsAuth::new(options.given.clone(), options.region.clone(), surroundings);
        Sender { options: Arc::new(options.clone()), auth, surroundings: surroundings.clone() }
    }

    /// Sends a body. Every attempt is signed anew, by the keys in force then.
    ///
    /// # Errors
    /// The failure of the last attempt, as the service reports it.
    pub async fn send(&self, operation: Operation, body: &Value) -> Result<HttpResponse, ProviderError> {
        let body = Bytes::from(body.to_string());
        let mut attempt = 0;
        loop {
            let request = self.request(operation, body.clone()).await?;
            let failure = match self.surroundings.http.send(request).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let error = self.failed(&Failure::Http(failure.clone()));
            attempt += 1;
            if attempt == ATTEMPTS || !may_pass(&failure, &error) {
                return Err(error);
            }
            tokio::time::sleep(self.wait(&failure, &error, attempt - 1)).await;
        }
    }

    /// A failed request as the service or our own side reports it, without secrets.
    pub fn failed(&self, failure: &Failure) -> ProviderError {
        let wording = &self.surroundings.wording;
        let error = match failure {
            Failure::Http(HttpFailure::Status { status, headers, body }) => {
                error::of_answer(*status, headers, body, wording)
            }
            Failure::NotJson(cause) => error::not_json(cause, Some(ACCEPTED), wording),
            other => ProviderError::new(failure::message(other, wording)),
        };
        let hide = |message, secret: &SecretString| failure::without_key(message, secret);
        let message = self.auth.secrets().iter().fold(error.message, hide);
        ProviderError { message, ..error }
    }

    async fn request(&self, operation: Operation, body: Bytes) -> Result<HttpRequest, ProviderError> {
        let variable = |name: &str| (self.surroundings.environment)(name).filter(|value| !value.is_empty());
        let region = self.region().await?;
        let custom = self
            .options
            .endpoint
            .clone()
            .or_else(|| variable("AWS_ENDPOINT_URL_BEDROCK_RUNTIME"))
            .or_else(|| variable("AWS_ENDPOINT_URL"));
        let fips = variable("AWS_USE_FIPS_ENDPOINT").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = Endpoint { custom: custom.as_deref(), region: &region, fips };
        let url = endpoint.url(&self.options.model.id, operation.path());
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Content-Type", "application/json").map_err(|invalid| self.failed(&invalid.into()))?;
        let mut request = HttpRequest {
            method: Method::POST,
            url: url.ok_or_else(|| self.failed(&Failure::InvalidUrl))?,
            headers,
            body,
            header_timeout: None,
            idle_timeout: LONG_TIMEOUT,
            retries: 0,
        };
        match self.auth.access().await.map_err(|error| self.refused(&error))? {
            Access::Bearer(key) => {
                let value = format!("Bearer {}", key.expose_secret());
                set_header(&mut request.headers, "Authorization", &value)
                    .map_err(|invalid| self.failed(&invalid.into()))?;
            }
            Access::Keys(keys) => {
                let now = (self.surroundings.http.now)();
                sign(&mut request, &keys, &region, SERVICE, now).map_err(|error| self.refused(&error))?;
            }
        }
        Ok(request)
    }

    async fn region(&self) -> Result<String, ProviderError> {
        let region = self.auth.region().await.map_err(|error| self.refused(&error))?;
        region.ok_or_else(|| ProviderError::worded(&self.surroundings.wording, "provider.bedrock.region_required", &[]))
    }

    /// Why there are no credentials. What another service of AWS says of them is told whole, never taken for words of this one.
    fn refused(&self, error: &AwsError) -> ProviderError {
        error::client("CredentialsProviderError", error.words(&self.surroundings.wording))
    }

    /// Up to half a second (throttling) or a tenth, doubled with every attempt; longer if the service names a date.
    fn wait(&self, failure: &HttpFailure, error: &ProviderError, attempts_done: u32) -> Duration {
        let http = &self.surroundings.http;
        let base = if is_throttling(failure, error) { 500.0 } else { 100.0 };
        let own = ((http.random)() * base * f64::from(1u32 << attempts_done)).floor() as u64;
        let wish = match failure {
            HttpFailure::Status { headers, .. } => wish_ms(headers, (http.now)()),
            HttpFailure::Transport(_) => None,
        };
        Duration::from_millis(own.max(wish.unwrap_or(0)).min(LONGEST_WAIT_MS))
    }
}

/// Milliseconds until the date of `retry-after`; a number of seconds has no effect.
fn wish_ms(headers: &HeaderMap, now: SystemTime) -> Option<u64> {
    let date = httpdate::parse_http_date(headers.get("retry-after")?.to_str().ok()?.trim()).ok()?;
    u64::try_from(date.duration_since(now).ok()?.as_millis()).ok()
}

fn is_throttling(failure: &HttpFailure, error: &ProviderError) -> bool {
    matches!(failure, HttpFailure::Status { status: 429, .. })
        || error.code.as_deref().is_some_and(|name| THROTTLING_NAMES.contains(&name))
}

fn may_pass(failure: &HttpFailure, error: &ProviderError) -> bool {
    let timeout = error.code.as_deref().is_some_and(|name| TIMEOUT_NAMES.contains(&name));
    match failure {
        HttpFailure::Transport(TransportError::Timeout | TransportError::Connection(_)) => true,
        HttpFailure::Transport(_) => false,
        HttpFailure::Status { status, .. } => {
            matches!(status, 500 | 502 | 503 | 504) || timeout || is_throttling(failure, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_may_pass() {
        let answer = |status| HttpFailure::Status { status, headers: HeaderMap::new(), body: String::new() };
        for (failure, name, expected) in [
            (answer(429), "X", true),
            (answer(500), "X", true),
            (answer(504), "X", true),
            (answer(501), "X", false),
            (answer(408), "ModelTimeoutException", false),
            (answer(400), "RequestTimeout", true),
            (answer(400), "Throttling", true),
            (answer(403), "AccessDeniedException", false),
            (answer(424), "ModelErrorException", false),
            (HttpFailure::Transport(TransportError::Timeout), "", true),
            (HttpFailure::Transport(TransportError::Connection("reset".into())), "", true),
            (HttpFailure::Transport(TransportError::InvalidUrl), "", false),
        ] {
            let error = error::service(name.into(), "m".into(), None);
            assert_eq!(may_pass(&failure, &error), expected, "{failure:?} {name}");
        }
    }

    #[test]
    fn only_a_date_makes_an_attempt_wait() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        for (value, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10_000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("3", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(
                crate::providers::http::HeaderName::from_static("retry-after"),
                value.parse().expect("a header value"),
            )]);
            assert_eq!(wish_ms(&headers, now), expected, "{value}");
        }
    }
}
