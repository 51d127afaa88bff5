//! One request with its time limits and retries (spec 07 §2): only before an answer is accepted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream};
use reqwest::header::HeaderMap;

use super::{BodyStream, HttpRequest, HttpResponse, HttpTransport, TransportError};

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
        Http { transport, now, random }
    }

    /// Sends `request`, again if the failure may pass. The body of the answer obeys the idle limit.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let mut attempt = 0;
        loop {
            let idle = request.idle_timeout;
            let (failure, headers) = match self.attempt(request.clone()).await {
                Ok(response) if (200..300).contains(&response.status) => {
                    return Ok(HttpResponse { body: limit_silence(response.body, idle), ..response });
                }
                Ok(response) if attempt < request.retries && retriable(response.status, &response.headers) => {
                    let headers = response.headers.clone();
                    (HttpFailure::Status { status: response.status, headers, body: String::new() }, response.headers)
                }
                Ok(response) => {
                    let HttpResponse { status, headers, body } = response;
                    return Err(HttpFailure::Status { status, headers, body: failure_body(body).await });
                }
                Err(error) => (HttpFailure::Transport(error), HeaderMap::new()),
            };
            if attempt >= request.retries || is_final(&failure) {
                return Err(failure);
            }
            tokio::time::sleep(self.delay(&headers, attempt)).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        match request.header_timeout {
            Some(limit) => {
                tokio::time::timeout(limit, self.transport.send(request)).await.unwrap_or(Err(TransportError::Timeout))
            }
            None => self.transport.send(request).await,
        }
    }

    /// What the server wishes, if it is between 0 and a minute; else half a second doubled, less up to a quarter.
    fn delay(&self, headers: &HeaderMap, retries_done: u32) -> Duration {
        let seconds = |text: &str| text.trim().parse::<f64>().ok();
        let wish = header(headers, "retry-after-ms")
            .and_then(seconds)
            .map(|ms| ms / 1000.0)
            .or_else(|| header(headers, "retry-after").and_then(|text| seconds(text).or_else(|| self.until(text))))
            .filter(|wish| *wish > 0.0 && *wish < LONGEST_WISH.as_secs_f64());
        let own = || (0.5 * f64::from(1u32 << retries_done)).min(8.0) * (1.0 - 0.25 * (self.random)().clamp(0.0, 1.0));
        Duration::from_secs_f64(wish.unwrap_or_else(own))
    }

    fn until(&self, date: &str) -> Option<f64> {
        let date = httpdate::parse_http_date(date.trim()).ok()?;
        date.duration_since((self.now)()).ok().map(|wait| wait.as_secs_f64())
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
        Http {
            transport: Arc::new(super::super::Client::default()),
            now: Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767)),
            random: Arc::new(|| 1.0),
        }
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
