//! What answers say about a service's limits: `retry-after`, `x-ratelimit-*`, `anthropic-ratelimit-*`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;

/// Most windows taken from one answer, and longest name of one: a service has a few, a hostile one may send any number.
const WINDOWS: usize = 16;
const NAME: usize = 64;

/// One of a service's limits, such as `requests` or `input-tokens`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Which one.
    pub name: String,
    /// How much of it is left.
    pub left: u64,
    /// When it is whole again.
    pub until: SystemTime,
}

impl Window {
    /// Whether each request takes one of it; of tokens nobody knows how many a request takes.
    pub fn counts_requests(&self) -> bool {
        self.name.is_empty() || self.name.contains("request")
    }
}

/// The windows that an answer of `now` names with both what is left and when it is whole again.
pub fn windows(headers: &HeaderMap, now: SystemTime) -> Vec<Window> {
    let left = headers.iter().filter_map(|(header, left)| {
        let (name, reset) = reset_header(header.as_str())?;
        let left = left.to_str().ok()?.trim().parse::<f64>().ok().filter(|left| *left >= 0.0)? as u64;
        let until = moment(headers.get(&reset)?.to_str().ok()?.trim(), now)?;
        Some(Window { name: name.to_owned(), left, until })
    });
    left.take(WINDOWS).collect()
}

/// The time an answer tells to wait, counted from `now`.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(seconds).map(|ms| ms / 1000);
    let date = |text: &str| httpdate::parse_http_date(text).ok()?.duration_since(now).ok();
    milliseconds.or_else(|| text("retry-after").and_then(|text| seconds(text).or_else(|| date(text))))
}

/// Name of the window whose rest this header tells, and the header that tells when it is whole again.
fn reset_header(header: &str) -> Option<(&str, String)> {
    if header.len() > NAME {
        return None;
    }
    if let Some(window) = header.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.strip_suffix("-remaining")) {
        return Some((window, format!("anthropic-ratelimit-{window}-reset")));
    }
    let window = header.strip_prefix("x-ratelimit-remaining")?;
    Some((window.trim_start_matches('-'), format!("x-ratelimit-reset{window}")))
}

/// A moment as services write it: a date (RFC 3339), a duration (`6m0.5s`, `20ms`), seconds from now, or seconds or
/// milliseconds since the epoch.
fn moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    match text.parse::<f64>() {
        Ok(number) if number >= 1e11 => UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number / 1000.0).ok()?),
        Ok(number) if number >= 1e9 => UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number).ok()?),
        Ok(number) => now.checked_add(Duration::try_from_secs_f64(number).ok()?),
        Err(_) => rfc3339(text).or_else(|| now.checked_add(duration(text)?)),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// `1h2m3.5s`, `20ms`.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
        let unit = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = behind;
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| !text.is_empty())
}

/// `2025-01-31T08:00:00Z`, with a fraction or an offset.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let behind = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match behind {
        "Z" | "z" => 0,
        _ => {
            let sign = if behind.starts_with('-') { -1 } else { 1 };
            let part = |from: usize, to: usize| behind.get(from..to)?.parse::<i64>().ok();
            sign * (part(1, 3)? * 3600 + part(4, 6)? * 60)
        }
    };
    // Days since 1970-01-01 of the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn moments_are_read_as_services_write_them() {
        let now = UNIX_EPOCH + NOW;
        for (text, expected_ms) in [
            ("1s", Some(1000)),
            ("6m0s", Some(360_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("20ms", Some(20)),
            ("2m59.56s", Some(179_560)),
            ("0", Some(0)),
            ("1.5", Some(1500)),
            ("1700000010", Some(10_000)),
            ("1700000010500", Some(10_500)),
            ("2023-11-14T22:13:25Z", Some(5000)),
            ("2023-11-14T22:13:25.123Z", Some(5000)),
            ("2023-11-15T00:13:25+02:00", Some(5000)),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("soon", None),
            ("5x", None),
            ("m", None),
            ("", None),
        ] {
            let found = moment(text, now).map(|at| at.duration_since(now).expect("later").as_millis());
            assert_eq!(found, expected_ms, "{text}");
        }
        assert_eq!(rfc3339("2000-02-29T00:00:00Z"), Some(UNIX_EPOCH + Duration::from_secs(951_782_400)));
    }

    #[test]
    fn windows_need_their_rest_and_their_end() {
        let now = UNIX_EPOCH + NOW;
        let window =
            |name: &str, left, seconds| Window { name: name.into(), left, until: now + Duration::from_secs(seconds) };
        for (list, expected) in [
            (
                headers(&[("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "2s")]),
                vec![window("requests", 3, 2)],
            ),
            (
                headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000009000")]),
                vec![window("", 0, 9)],
            ),
            (
                headers(&[
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2023-11-14T22:13:30Z"),
                ]),
                vec![window("input-tokens", 0, 10)],
            ),
            (headers(&[("x-ratelimit-remaining-tokens", "3")]), vec![]),
            (headers(&[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "1s")]), vec![]),
            (headers(&[("x-ratelimit-limit-requests", "3")]), vec![]),
        ] {
            assert_eq!(windows(&list, now), expected, "{list:?}");
        }
        assert!(window("requests-day", 0, 0).counts_requests() && !window("input-tokens", 0, 0).counts_requests());
    }

    #[test]
    fn the_time_to_wait() {
        let now = UNIX_EPOCH + NOW;
        for (list, expected_ms) in [
            (headers(&[("retry-after", "3")]), Some(3000)),
            (headers(&[("retry-after-ms", "20"), ("retry-after", "3")]), Some(20)),
            (headers(&[("retry-after", "Tue, 14 Nov 2023 22:13:25 GMT")]), Some(5000)),
            (headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None),
            (headers(&[("retry-after", "-3")]), None),
            (headers(&[]), None),
        ] {
            assert_eq!(retry_after(&list, now).map(|wait| wait.as_millis()), expected_ms, "{list:?}");
        }
    }
}
