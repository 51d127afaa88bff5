//! Requests to AWS's services that give keys.

use std::time::Duration;

use serde_json::Value;

use super::AwsError;
use super::source::variable;
use crate::providers::Environment;
use crate::providers::failure::{Failure, read_bytes};
use crate::providers::http::{HeaderMap, Http, HttpFailure, HttpRequest, TransportError, set_header};

/// How long a service may take, and be silent.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Beginnings of regions outside the largest partition, longest first, with what their hosts end in.
const PARTITIONS: [(&str, &str); 6] = [
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("us-iso-", "c2s.ic.gov"),
    ("eusc-", "amazonaws.eu"),
    ("cn-", "amazonaws.com.cn"),
];

/// What hosts of a region end in.
pub fn dns_suffix(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(start, _)| region.starts_with(start)).map_or("amazonaws.com", |(_, suffix)| suffix)
}

/// Address of a service without a slash at its end: `AWS_ENDPOINT_URL_{id}`, `AWS_ENDPOINT_URL`, else its own.
///
/// # Errors
/// A region that cannot be part of a host.
pub fn base(environment: &Environment, id: &str, host: &str, region: &str) -> Result<String, AwsError> {
    let named = variable(environment, &format!("AWS_ENDPOINT_URL_{id}"));
    if let Some(address) = named.or_else(|| variable(environment, "AWS_ENDPOINT_URL")) {
        return Ok(address.trim_end_matches('/').to_owned());
    }
    if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(AwsError::Unsignable);
    }
    Ok(format!("https://{host}.{region}.{}", dns_suffix(region)))
}

/// Headers by name and value; values may be secret.
///
/// # Errors
/// A value that cannot be sent.
pub fn headers(pairs: &[(&str, &str)]) -> Result<HeaderMap, AwsError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        set_header(&mut headers, name, value).map_err(|_| AwsError::Unsignable)?;
    }
    Ok(headers)
}

/// Sends a request within [`TIMEOUT`] and gives the whole answer.
///
/// # Errors
/// No answer, or a refusal.
pub async fn ask(http: &Http, mut request: HttpRequest, service: &'static str) -> Result<Vec<u8>, AwsError> {
    request.header_timeout = request.header_timeout.map(|limit| limit.min(TIMEOUT));
    request.idle_timeout = TIMEOUT;
    let response = match http.send(request).await {
        Ok(response) => response,
        Err(HttpFailure::Transport(cause)) => return Err(AwsError::NoAnswer { service, cause }),
        Err(HttpFailure::Status { status, body, .. }) => {
            let (name, message) = refusal(&body);
            return Err(AwsError::Refused { service, status, name, message });
        }
    };
    read_bytes(response).await.map_err(|failure| match failure {
        Failure::Interrupted(cause) => AwsError::NoAnswer { service, cause },
        _ => AwsError::Unusable { service },
    })
}

/// [`ask`] for JSON.
///
/// # Errors
/// As there, and an answer that is not JSON.
pub async fn ask_json(http: &Http, request: HttpRequest, service: &'static str) -> Result<Value, AwsError> {
    let bytes = ask(http, request, service).await?;
    serde_json::from_slice(&bytes).map_err(|_| AwsError::Unusable { service })
}

/// Name and words of a refusal, which is JSON or XML.
fn refusal(body: &str) -> (String, String) {
    if let Ok(document) = serde_json::from_str::<Value>(body) {
        let text = |keys: &[&str]| keys.iter().find_map(|key| document.get(key)?.as_str()).unwrap_or("").to_owned();
        return (text(&["__type", "code", "error"]), text(&["message", "Message", "error_description"]));
    }
    (element(body, "Code").unwrap_or_default(), element(body, "Message").unwrap_or_default())
}

/// Text of the first element `name` of an XML document.
pub fn element(document: &str, name: &str) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(document);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == name.as_bytes() => {
                let raw = reader.read_text(start.name()).ok()?;
                return quick_xml::escape::unescape(raw.trim()).ok().map(|text| text.into_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// What a transport error without an answer means where nobody has to be there.
pub fn is_absent(error: &AwsError) -> bool {
    matches!(error, AwsError::NoAnswer { cause: TransportError::Timeout | TransportError::Connection(_), .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn regions_end_in_their_partition() {
        for (region, expected) in [
            ("us-east-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("eusc-de-east-1", "amazonaws.eu"),
        ] {
            assert_eq!(dns_suffix(region), expected, "{region}");
        }
    }

    #[test]
    fn addresses_of_services() {
        let named: Environment = Arc::new(|name| (name == "AWS_ENDPOINT_URL_STS").then(|| "http://h:1/".to_owned()));
        assert_eq!(base(&named, "STS", "sts", "r"), Ok("http://h:1".into()));
        assert_eq!(
            base(&named, "SSO", "portal.sso", "cn-x-1"),
            Ok("https://portal.sso.cn-x-1.amazonaws.com.cn".into())
        );
        assert_eq!(base(&named, "SSO", "portal.sso", "h.example/"), Err(AwsError::Unsignable));
    }

    #[test]
    fn refusals_are_json_or_xml() {
        let xml = "<ErrorResponse xmlns=\"x\"><Error><Code>AccessDenied</Code><Message>a &amp; b</Message></Error></ErrorResponse>";
        for (body, name, message) in [
            (xml, "AccessDenied", "a & b"),
            (r#"{"__type":"T","message":"m"}"#, "T", "m"),
            (r#"{"error":"invalid_grant","error_description":"d"}"#, "invalid_grant", "d"),
            ("gateway", "", ""),
            ("<a><Code>x", "", ""),
        ] {
            assert_eq!(refusal(body), (name.to_owned(), message.to_owned()), "{body}");
        }
    }
}
