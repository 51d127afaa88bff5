//! One request with its time limits and retries (spec 07 §2): only before an answer is accepted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use reqwest::header::HeaderMap;

use super::gate::{Gate, Gates};
use super::{BodyStream, HttpRequest, HttpResponse, HttpTransport, Network, TransportError};
use crate::ecma;
use crate::providers::Environment;
use crate::settings::Settings;

/// A server's wish to wait counts below this.
const LONGEST_WISH: Duration = Duration::from_secs(60);
/// Most bytes read of a failed answer.
const FAILURE_LIMIT: usize = 1 << 20;
/// Longest wait for the body of a failed answer.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(30);

/// The transport with everything a retry needs: a clock and a source of jitter.
#[derive(Clone)]
pub struct Http {
    /// Sends single requests.
    pub transport: Arc<dyn HttpTransport>,
    /// The time now, for `retry-after` dates.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// A random number of 0 to 1, for jitter.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// What is known of the services that were asked.
    gates: Arc<Gates>,
    /// Holds requests back, when the profile wants it.
    gate: Option<Gate>,
}

/// Why a request got no answer of success.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpFailure {
    /// No answer at all.
    Transport(TransportError),
    /// An answer outside 200 to 299.
    Status {
        /// Status.
        status: u16,
        /// Its headers.
        headers: HeaderMap,
        /// Its body, at most 1 MiB.
        body: String,
    },
}

impl Http {
    /// A transport with its clock and its source of jitter.
    pub fn new(
        transport: Arc<dyn HttpTransport>,
        now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
        random: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) -> Http {
        Http { transport, now, random, gates: Arc::default(), gate: None }
    }

    /// The same for one profile: with its proxy and certificates, and the limits it keeps. Where these cannot be used, every
    /// request fails by the name of the setting or variable, and none is sent.
    pub fn for_profile(&self, settings: &Settings, environment: &Environment) -> Http {
        let transport = match Network::read(settings, environment) {
            Ok(network) => self.transport.over(&network).unwrap_or_else(|| self.transport.clone()),
            Err(error) => Arc::new(Unusable(error)),
        };
        Http { transport, gate: self.gates.of(settings), ..self.clone() }
    }

    /// Sends `request`, again if the failure may pass. The body of the answer obeys the idle limit.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let mut attempt = 0;
        loop {
            let idle = request.idle_timeout;
            let (failure, answer) = match self.attempt(request.clone()).await {
                Ok(response) if (200..300).contains(&response.status) => {
                    return Ok(HttpResponse { body: limit_silence(response.body, idle), ..response });
                }
                Ok(response) if attempt < request.retries && retriable(response.status, &response.headers) => {
                    let HttpResponse { status, headers, body } = response;
                    (
                        HttpFailure::Status { status, headers: headers.clone(), body: String::new() },
                        Some((headers, body)),
                    )
                }
                Ok(response) => {
                    let HttpResponse { status, headers, body } = response;
                    return Err(HttpFailure::Status { status, headers, body: failure_body(body).await });
                }
                Err(error) => (HttpFailure::Transport(error), None),
            };
            if attempt >= request.retries || is_final(&failure) {
                return Err(failure);
            }
            match answer {
                Some((headers, body)) => {
                    let wait = self.delay(&headers, attempt);
                    // Read to its end meanwhile, so that its connection can be used again.
                    let _ = tokio::join!(tokio::time::sleep(wait), tokio::time::timeout(wait, failure_body(body)));
                }
                None => tokio::time::sleep(self.delay(&HeaderMap::new(), attempt)).await,
            }
            attempt += 1;
        }
    }

    /// One attempt, when the service may be asked. The wait for that is no part of the time the headers may take.
    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let Some(gate) = &self.gate else { return self.once(request).await };
        let pass = gate.pass(&*self.now).await?;
        let outcome = self.once(request).await;
        match &outcome {
            Ok(response) => pass.answered(response.status, &response.headers, (self.now)()),
            Err(TransportError::Timeout | TransportError::Connection(_)) => pass.failed((self.now)()),
            Err(_) => drop(pass),
        }
        outcome
    }

    async fn once(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        match request.header_timeout {
            Some(limit) => {
                tokio::time::timeout(limit, self.transport.send(request)).await.unwrap_or(Err(TransportError::Timeout))
            }
            None => self.transport.send(request).await,
        }
    }

    /// What the server wishes, if it is between 0 and a minute; else half a second doubled, less up to a quarter.
    fn delay(&self, headers: &HeaderMap, retries_done: u32) -> Duration {
        let told = |name| header(headers, name).and_then(ecma::parse_float);
        let wish = told("retry-after-ms")
            .filter(|ms| *ms != 0.0)
            .map(|ms| ms / 1000.0)
            .or_else(|| told("retry-after").or_else(|| self.until(header(headers, "retry-after")?)))
            .filter(|wish| *wish > 0.0 && *wish < LONGEST_WISH.as_secs_f64());
        let own =
            || (0.5 * f64::from(1u32 << retries_done.min(4))).min(8.0) * (1.0 - 0.25 * (self.random)().clamp(0.0, 1.0));
        Duration::from_secs_f64(wish.unwrap_or_else(own))
    }

    fn until(&self, date: &str) -> Option<f64> {
        let date = httpdate::parse_http_date(date.trim()).ok()?;
        date.duration_since((self.now)()).ok().map(|wait| wait.as_secs_f64())
    }
}

/// Takes the place of a transport whose settings cannot be used.
struct Unusable(TransportError);

#[async_trait]
impl HttpTransport for Unusable {
    async fn send(&self, _: HttpRequest) -> Result<HttpResponse, TransportError> {
        Err(self.0.clone())
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the next attempt would fail in the same way.
fn is_final(failure: &HttpFailure) -> bool {
    use TransportError::{Connection, Held, InvalidUrl, Setting, Timeout};

    match failure {
        HttpFailure::Transport(InvalidUrl | Setting { .. } | Held { .. }) => true,
        HttpFailure::Transport(Timeout | Connection(_)) | HttpFailure::Status { .. } => false,
    }
}

fn retriable(status: u16, headers: &HeaderMap) -> bool {
    match header(headers, "x-should-retry") {
        Some("true") => true,
        Some("false") => false,
        _ => matches!(status, 408 | 409 | 429) || status >= 500,
    }
}

/// The body as text, cut at the limits; a body that breaks off gives what came.
async fn failure_body(mut body: BodyStream) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Some(Ok(piece)) = body.next().await {
            let room = FAILURE_LIMIT - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(FAILURE_TIMEOUT, read).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends the body with [`TransportError::Timeout`] when no byte comes for `limit`.
fn limit_silence(body: BodyStream, limit: Duration) -> BodyStream {
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout(limit, body.next()).await {
            Ok(piece) => piece.map(|piece| (piece, Some(body))),
            Err(_) => Some((Err(TransportError::Timeout), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> Http {
        let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        Http::new(Arc::new(super::super::Client::default()), Arc::new(now), Arc::new(|| 1.0))
    }

    #[test]
    fn the_server_decides_when_to_retry_within_a_minute() {
        for (headers, retries_done, expected_ms) in [
            (vec![], 0, 375),
            (vec![], 1, 750),
            (vec![("retry-after-ms", "20.5"), ("retry-after", "3")], 0, 20),
            (vec![("retry-after", "3")], 0, 3000),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], 0, 10_000),
            (vec![("retry-after", "60")], 0, 375),
            (vec![("retry-after", "-1")], 0, 375),
            (vec![("retry-after", "soon")], 0, 375),
            (vec![("retry-after", "2 seconds")], 0, 2000),
            (vec![("retry-after-ms", "0"), ("retry-after", "3")], 0, 3000),
            (vec![("retry-after-ms", "soon"), ("retry-after", "3")], 0, 3000),
            (vec![("retry-after-ms", "-5"), ("retry-after", "3")], 0, 375),
            (vec![("retry-after-ms", "60000")], 0, 375),
            (vec![("retry-after-ms", "NaN")], 0, 375),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT")], 0, 375),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(*name, value.parse().expect("a header value"));
            }
            assert_eq!(http().delay(&map, retries_done).as_millis(), expected_ms, "{headers:?}");
        }
    }

    #[test]
    fn statuses_that_may_pass_are_retried() {
        let with = |value: &'static str| {
            HeaderMap::from_iter(
                [("x-should-retry".parse().ok(), value)]
                    .map(|(n, v)| (n.unwrap_or(reqwest::header::HOST), reqwest::header::HeaderValue::from_static(v))),
            )
        };
        for (status, headers, expected) in [
            (408, HeaderMap::new(), true),
            (409, HeaderMap::new(), true),
            (429, HeaderMap::new(), true),
            (500, HeaderMap::new(), true),
            (400, HeaderMap::new(), false),
            (401, HeaderMap::new(), false),
            (400, with("true"), true),
            (500, with("false"), false),
        ] {
            assert_eq!(retriable(status, &headers), expected, "{status} {headers:?}");
        }
    }
}
