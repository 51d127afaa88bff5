//! How long to wait before a request is sent (spec 02 §6).

use std::time::Duration;

use serde_json::Value;

use crate::providers::ProviderError;

/// Longest wait before a retry, in seconds.
const LONGEST: u64 = 600;
/// Seconds before the first retry at least, whatever the settings say.
const SHORTEST: u64 = 5;
/// Seconds before the first retry when the settings say none.
const USUAL: u64 = 10;

/// Seconds that the rate limit still demands, at most the limit itself.
pub(super) fn rate_limit_wait(limit_seconds: u64, since_last: Option<Duration>) -> u64 {
    let Some(elapsed) = since_last else { return 0 };
    let left = Duration::from_secs(limit_seconds).saturating_sub(elapsed).as_millis() as u64;
    left.div_ceil(1000).min(limit_seconds)
}

/// Seconds before retry number `retry` (from 0) of a request that failed with `error`.
pub(super) fn retry_delay(base_seconds: u64, retry: u32, error: &ProviderError, rate_limit: u64) -> u64 {
    let base = if base_seconds == 0 { USUAL } else { base_seconds.max(SHORTEST) };
    let exponential = base.saturating_mul(2u64.saturating_pow(retry)).min(LONGEST);
    demanded(error).unwrap_or(exponential).max(rate_limit)
}

/// What a 429 answer of a Google service demands: its `retryDelay` and a second more.
fn demanded(error: &ProviderError) -> Option<u64> {
    if error.status != Some(429) {
        return None;
    }
    let details = error.details.get("errorDetails").and_then(Value::as_array)?;
    let info = details.iter().find(|entry| entry["@type"] == "type.googleapis.com/google.rpc.RetryInfo")?;
    let digits = info["retryDelay"].as_str()?.strip_suffix('s')?;
    let seconds: u64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(seconds.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// parity 04 §quirks.2: a delay of less than five seconds is raised when it is used; none is the usual one
    /// parity 02 §18.4: delays double from the base up to ten minutes
    #[test]
    fn retries_double_up_to_ten_minutes() {
        let error = ProviderError::new("busy");
        let delays: Vec<u64> = (0..8).map(|retry| retry_delay(10, retry, &error, 0)).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!([0, 1, 4, 5, 6].map(|base| retry_delay(base, 0, &error, 0)), [10, 5, 5, 5, 6]);
        assert_eq!(retry_delay(5, 0, &error, 30), 30);
        assert_eq!(retry_delay(10, 200, &error, 0), 600);
    }

    /// parity 02 §18.4: a delay that a 429 names goes first
    #[test]
    fn the_provider_may_name_the_delay() {
        let retry_info =
            json!([{"@type": "x"}, {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]);
        let mut error = ProviderError { status: Some(429), ..ProviderError::new("slow down") };
        error.details.insert("errorDetails".into(), retry_info);
        assert_eq!(retry_delay(10, 5, &error, 0), 31);
        error.status = Some(500);
        assert_eq!(retry_delay(10, 0, &error, 0), 10);
    }

    /// parity 02 §18.5: the rest of the limit in whole seconds
    #[test]
    fn the_rate_limit_counts_from_the_last_request() {
        let wait = |limit, ms: u64| rate_limit_wait(limit, Some(Duration::from_millis(ms)));
        assert_eq!([wait(5, 1200), wait(5, 0), wait(5, 5000), wait(5, 9000), wait(0, 0)], [4, 5, 0, 0, 0]);
        assert_eq!(rate_limit_wait(5, None), 0);
    }
}
