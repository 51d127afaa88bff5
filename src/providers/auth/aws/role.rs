//! Keys of a role, from the security token service (STS).

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use url::form_urlencoded::Serializer;

use super::fetch::Fetcher;
use super::profiles::{expanded, read};
use super::service::{ask, base, element, headers};
use super::source::Role;
use super::time::parse_time;
use super::{AwsError, Credentials, sign};
use crate::providers::http::HttpRequest;

const SERVICE: &str = "STS";
const VERSION: &str = "2011-06-15";
/// Region of the service when nobody names one.
const DEFAULT_REGION: &str = "us-east-1";

/// Keys of a role that other keys may take.
///
/// # Errors
/// The service does not give them.
pub async fn by_keys(fetcher: &Fetcher<'_>, role: &Role, keys: &Credentials) -> Result<Credentials, AwsError> {
    let (mut request, region) = request(fetcher, role, "AssumeRole", None)?;
    sign(&mut request, keys, &region, "sts", (fetcher.surroundings.http.now)())?;
    ask_keys(fetcher, request).await
}

/// Keys of a role that the token in a file stands for. The file is read each time: whoever wrote it renews it.
///
/// # Errors
/// No token, or the service does not give keys for it.
pub async fn by_token(fetcher: &Fetcher<'_>, role: &Role, file: &Path) -> Result<Credentials, AwsError> {
    let file = expanded(&file.to_string_lossy(), &fetcher.surroundings.home);
    let token = read(&file).await?.ok_or_else(|| AwsError::File {
        path: file.clone(),
        cause: std::io::Error::from(std::io::ErrorKind::NotFound).to_string(),
    })?;
    let (request, _) = request(fetcher, role, "AssumeRoleWithWebIdentity", Some(token.trim()))?;
    ask_keys(fetcher, request).await
}

/// The request, and the region it goes to.
fn request(
    fetcher: &Fetcher<'_>,
    role: &Role,
    action: &str,
    token: Option<&str>,
) -> Result<(HttpRequest, String), AwsError> {
    let region = role.region.clone().or_else(|| fetcher.region.clone()).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let since = (fetcher.surroundings.http.now)().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let session = role.session_name.clone().unwrap_or_else(|| format!("lapce-ai-{}", since.as_secs()));
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", VERSION);
    form.append_pair("RoleArn", &role.arn).append_pair("RoleSessionName", &session);
    let optional = [
        ("ExternalId", role.external_id.as_deref()),
        ("DurationSeconds", role.duration.as_deref()),
        ("WebIdentityToken", token),
    ];
    for (name, value) in optional {
        value.map(|value| form.append_pair(name, value));
    }
    let address = base(&fetcher.surroundings.environment, SERVICE, "sts", &region)?;
    let headers = headers(&[("Content-Type", "application/x-www-form-urlencoded")])?;
    let request = HttpRequest::post(format!("{address}/"), headers, &serde_json::Value::Null);
    Ok((HttpRequest { body: Bytes::from(form.finish()), ..request }, region))
}

async fn ask_keys(fetcher: &Fetcher<'_>, request: HttpRequest) -> Result<Credentials, AwsError> {
    let answer = ask(&fetcher.surroundings.http, request, SERVICE).await?;
    let keys = std::str::from_utf8(&answer).ok().and_then(|answer| {
        let text = |name: &str| element(answer, name);
        let mut keys =
            Credentials::fixed(&text("AccessKeyId")?, &text("SecretAccessKey")?, Some(&text("SessionToken")?))?;
        keys.expires = Some(parse_time(&text("Expiration")?)?);
        Some(keys)
    });
    keys.ok_or(AwsError::Unusable { service: SERVICE })
}
