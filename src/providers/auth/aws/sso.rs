//! Keys for someone who is logged in by `aws sso login`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::fetch::{Members, from_json};
use super::profiles::read;
use super::service::{ask_json, base, headers};
use super::source::SsoLogin;
use super::time::{format_time, parse_time};
use super::{AwsError, Credentials};
use crate::providers::Surroundings;
use crate::providers::http::HttpRequest;

const PORTAL: &str = "SSO";
const LOGIN: &str = "SSO OIDC";
/// A login is renewed in its last five minutes.
const MARGIN: Duration = Duration::from_secs(5 * 60);

const MEMBERS: Members =
    Members { access: "accessKeyId", secret: "secretAccessKey", token: "sessionToken", expires: "expiration" };

/// Keys of the role that the login is for.
///
/// # Errors
/// Nobody is logged in, or no longer; or the service gives no keys.
pub async fn keys(login: &SsoLogin, surroundings: &Surroundings) -> Result<Credentials, AwsError> {
    let token = access_token(login, surroundings).await?;
    let query = Serializer::new(String::new())
        .append_pair("role_name", &login.role)
        .append_pair("account_id", &login.account)
        .finish();
    let address = base(&surroundings.environment, "SSO", "portal.sso", &login.region)?;
    let headers = headers(&[("x-amz-sso_bearer_token", &token)])?;
    let request = HttpRequest::get(format!("{address}/federation/credentials?{query}"), headers);
    let answer = match ask_json(&surroundings.http, request, PORTAL).await {
        Err(AwsError::Refused { status: 401, .. }) => return Err(AwsError::Login { profile: login.profile.clone() }),
        answer => answer?,
    };
    answer
        .get("roleCredentials")
        .and_then(|keys| from_json(keys, MEMBERS))
        .ok_or(AwsError::Unusable { service: PORTAL })
}

/// The login's token, renewed if it is about to expire.
async fn access_token(login: &SsoLogin, surroundings: &Surroundings) -> Result<String, AwsError> {
    let gone = || AwsError::Login { profile: login.profile.clone() };
    let file = cache_file(&surroundings.home, &login.cache_key);
    let mut cached: Value = serde_json::from_str(&read(&file).await?.ok_or_else(gone)?).map_err(|_| gone())?;
    let text = |document: &Value, key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    let now = (surroundings.http.now)();
    let token = text(&cached, "accessToken").ok_or_else(gone)?;
    let expires = text(&cached, "expiresAt").as_deref().and_then(parse_time).ok_or_else(gone)?;
    let margin = if login.renewable { MARGIN } else { Duration::ZERO };
    if expires > now + margin {
        return Ok(token);
    }
    if login.renewable
        && let Some(renewed) = renewed(&cached, login, surroundings, now).await?
    {
        let token = text(&renewed, "accessToken").ok_or_else(gone)?;
        if let (Value::Object(cached), Value::Object(renewed)) = (&mut cached, renewed) {
            cached.extend(renewed);
        }
        if let Err(error) = store(&file, &cached).await {
            tracing::warn!(%error, "the renewed SSO login could not be stored");
        }
        return Ok(token);
    }
    if expires > now { Ok(token) } else { Err(gone()) }
}

/// What changes in the file when the login is renewed; `None` if it cannot be.
async fn renewed(
    cached: &Value,
    login: &SsoLogin,
    surroundings: &Surroundings,
    now: SystemTime,
) -> Result<Option<Value>, AwsError> {
    let text = |key: &str| cached.get(key).and_then(Value::as_str);
    let registered = text("registrationExpiresAt").and_then(parse_time).is_none_or(|end| end > now);
    let (Some(client), Some(secret), Some(refresh), true) =
        (text("clientId"), text("clientSecret"), text("refreshToken"), registered)
    else {
        return Ok(None);
    };
    let body = json!({
        "clientId": client, "clientSecret": secret, "refreshToken": refresh, "grantType": "refresh_token",
    });
    let address = base(&surroundings.environment, "SSO_OIDC", "oidc", &login.region)?;
    let headers = headers(&[("Content-Type", "application/json")])?;
    let answer = match ask_json(
        &surroundings.http,
        HttpRequest::post(format!("{address}/token"), headers, &body),
        LOGIN,
    )
    .await
    {
        Ok(answer) => answer,
        // Whether the login is over is decided by its own end.
        Err(error) => {
            tracing::warn!(%error, "the SSO login could not be renewed");
            return Ok(None);
        }
    };
    let Some(token) = answer.get("accessToken").and_then(Value::as_str) else { return Ok(None) };
    let seconds = answer.get("expiresIn").and_then(Value::as_u64).unwrap_or(0);
    let end = now.checked_add(Duration::from_secs(seconds)).unwrap_or(now);
    let mut changes = json!({"accessToken": token, "expiresAt": format_time(end)});
    if let Some(refresh) = answer.get("refreshToken").and_then(Value::as_str) {
        changes["refreshToken"] = json!(refresh);
    }
    Ok(Some(changes))
}

/// The file of a login, named as AWS's tools name it.
pub fn cache_file(home: &Path, cache_key: &str) -> PathBuf {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, cache_key.as_bytes());
    let name: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    home.join(".aws/sso/cache").join(format!("{name}.json"))
}

/// Replaces the file at once; only its owner may read it.
async fn store(file: &Path, document: &Value) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let fresh = file.with_extension(format!("json.{}", uuid::Uuid::new_v4().simple()));
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut opened = options.open(&fresh).await?;
    let written = async {
        opened.write_all(format!("{document:#}").as_bytes()).await?;
        opened.sync_all().await
    };
    let stored = match written.await {
        Ok(()) => tokio::fs::rename(&fresh, file).await,
        Err(error) => Err(error),
    };
    if stored.is_err() {
        // What cannot be written cannot be left behind either, as far as that is in our hands.
        let _ = tokio::fs::remove_file(&fresh).await;
    }
    stored
}
