//! Keys from the machine's own service (EC2, second version of its protocol).

use std::time::Duration;

use super::fetch::{SERVED, from_json};
use super::service::{ask, ask_json, headers, is_absent};
use super::{AwsError, Credentials};
use crate::providers::http::{Http, HttpRequest, Method};

const SERVICE: &str = "instance metadata";
const USUAL_BASE: &str = "http://169.254.169.254";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// Seconds the session with the service lasts.
const SESSION_SECONDS: &str = "21600";
/// On other machines nobody answers at that address.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Keys of the machine's role. That there is no such service means that there are no credentials at all: it is asked last.
///
/// # Errors
/// No service, no role, or no keys for it.
pub async fn keys(base: Option<&str>, http: &Http) -> Result<Credentials, AwsError> {
    let base = base.unwrap_or(USUAL_BASE).trim_end_matches('/');
    let start = headers(&[("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)])?;
    let start = HttpRequest { method: Method::PUT, ..short(format!("{base}/latest/api/token"), start) };
    let session = ask(http, start, SERVICE).await.map_err(|error| match error {
        error if is_absent(&error) => AwsError::NoCredentials,
        error => error,
    })?;
    let session = text(session)?;
    let get = |path: &str| Ok(short(format!("{base}{path}"), headers(&[("x-aws-ec2-metadata-token", &session)])?));
    let roles = match ask(http, get(ROLES)?, SERVICE).await {
        Err(AwsError::Refused { status: 404, .. }) => return Err(AwsError::NoCredentials),
        roles => text(roles?)?,
    };
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty()).ok_or(AwsError::NoCredentials)?;
    let answer = ask_json(http, get(&format!("{ROLES}{role}"))?, SERVICE).await?;
    from_json(&answer, SERVED).ok_or(AwsError::Unusable { service: SERVICE })
}

fn short(url: String, headers: crate::providers::http::HeaderMap) -> HttpRequest {
    HttpRequest { header_timeout: Some(TIMEOUT), retries: 0, ..HttpRequest::get(url, headers) }
}

fn text(bytes: Vec<u8>) -> Result<String, AwsError> {
    String::from_utf8(bytes).map_err(|_| AwsError::Unusable { service: SERVICE })
}
