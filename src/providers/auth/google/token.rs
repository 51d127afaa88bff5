//! Exchanging a credential for an access token (spec 07 §14, table).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use super::assertion::{Claims, sign};
use super::credential::{Credential, Kind};
use super::error::GoogleAuthError;
use crate::providers::failure::{Failure, read_json, without_key};
use crate::providers::http::{HeaderMap, Http, HttpFailure, HttpRequest, Method, set_header};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const SERVICE_ACCOUNT_URL: &str = "https://www.googleapis.com/oauth2/v4/token";
const USER_URL: &str = "https://oauth2.googleapis.com/token";
const METADATA_URL: &str = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token";
/// How long a token server may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long the metadata server may take; elsewhere nobody has this address.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// No token lasts longer; larger figures are not believed.
const LONGEST: f64 = 24.0 * 3600.0;
/// Most characters shown of what a token server says.
const MESSAGE_LIMIT: usize = 300;
/// Fields of a form whose values are secret.
const SECRETS: [&str; 3] = ["assertion", "client_secret", "refresh_token"];

/// An access token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub value: SecretString,
    /// When it ends; now, if the server did not say.
    pub end: SystemTime,
}

impl Token {
    /// The token in a server's answer of `now`.
    fn read(answer: &Map<String, Value>, now: SystemTime) -> Option<Token> {
        let value = answer.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
        let seconds = answer.get("expires_in").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, LONGEST);
        Some(Token { value: value.into(), end: now + Duration::from_secs_f64(seconds) })
    }

    /// The token in the answer to [`refresh`].
    ///
    /// # Errors
    /// It has none.
    pub fn of_user(answer: &Map<String, Value>, now: SystemTime) -> Result<Token, GoogleAuthError> {
        Token::read(answer, now).ok_or_else(|| GoogleAuthError::NoToken { server: host(USER_URL) })
    }
}

/// A token for this credential.
///
/// # Errors
/// A key that cannot sign, a server that does not answer, refuses or gives none.
pub async fn of(credential: &Credential, http: &Http) -> Result<Token, GoogleAuthError> {
    let answer = match &credential.kind {
        Kind::ServiceAccount { email, key } => {
            let now = (http.now)();
            let claims = Claims { issuer: email, scope: SCOPE, audience: SERVICE_ACCOUNT_URL, now };
            let assertion =
                sign(claims, key).ok_or_else(|| GoogleAuthError::InvalidKey { place: credential.place.clone() })?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let form = [("grant_type", grant), ("assertion", assertion.expose_secret())];
            exchange(http, SERVICE_ACCOUNT_URL, &form).await?
        }
        Kind::AuthorizedUser { client_id, client_secret, refresh_token } => {
            refresh(http, client_id, client_secret, refresh_token).await?
        }
        Kind::Metadata => ask_machine(http).await?,
    };
    let server = || match &credential.kind {
        Kind::ServiceAccount { .. } => host(SERVICE_ACCOUNT_URL),
        Kind::AuthorizedUser { .. } => host(USER_URL),
        Kind::Metadata => host(METADATA_URL),
    };
    Token::read(&answer, (http.now)()).ok_or_else(|| GoogleAuthError::NoToken { server: server() })
}

/// The answer to a user's refresh token.
///
/// # Errors
/// A server that does not answer, refuses or says nothing of use.
pub async fn refresh(
    http: &Http,
    client_id: &str,
    client_secret: &SecretString,
    refresh_token: &SecretString,
) -> Result<Map<String, Value>, GoogleAuthError> {
    let form = [
        ("refresh_token", refresh_token.expose_secret()),
        ("client_id", client_id),
        ("client_secret", client_secret.expose_secret()),
        ("grant_type", "refresh_token"),
    ];
    exchange(http, USER_URL, &form).await
}

async fn exchange(http: &Http, url: &str, form: &[(&str, &str)]) -> Result<Map<String, Value>, GoogleAuthError> {
    let mut headers = HeaderMap::new();
    // Constant values: they can be sent.
    let _ = set_header(&mut headers, "Content-Type", "application/x-www-form-urlencoded");
    let body = Serializer::new(String::new()).extend_pairs(form).finish();
    let request = HttpRequest {
        body: Bytes::from(body),
        header_timeout: Some(TIMEOUT),
        ..HttpRequest::post(url, headers, &Value::Null)
    };
    let secrets = form.iter().filter(|(name, _)| SECRETS.contains(name)).map(|(_, secret)| *secret);
    answer(http, request, &secrets.collect::<Vec<_>>()).await
}

/// Asks the metadata server, which only machines of Google's cloud have.
async fn ask_machine(http: &Http) -> Result<Map<String, Value>, GoogleAuthError> {
    let mut headers = HeaderMap::new();
    let _ = set_header(&mut headers, "Metadata-Flavor", "Google");
    let query = Serializer::new(String::new()).append_pair("scopes", SCOPE).finish();
    let request = HttpRequest {
        method: Method::GET,
        header_timeout: Some(METADATA_TIMEOUT),
        retries: 1,
        ..HttpRequest::get(format!("{METADATA_URL}?{query}"), headers)
    };
    match answer(http, request, &[]).await {
        Err(GoogleAuthError::NoAnswer { .. }) => Err(GoogleAuthError::NotFound),
        answer => answer,
    }
}

async fn answer(http: &Http, request: HttpRequest, secrets: &[&str]) -> Result<Map<String, Value>, GoogleAuthError> {
    let server = host(&request.url);
    let response = match http.send(request).await {
        Ok(response) => response,
        Err(HttpFailure::Transport(cause)) => return Err(GoogleAuthError::NoAnswer { server, cause }),
        Err(HttpFailure::Status { status, body, .. }) => {
            return Err(GoogleAuthError::Refused { server, status, message: refusal(&body, secrets) });
        }
    };
    match read_json(response).await {
        Ok(Value::Object(answer)) => Ok(answer),
        Err(Failure::Interrupted(cause)) => Err(GoogleAuthError::NoAnswer { server, cause }),
        _ => Err(GoogleAuthError::NoToken { server }),
    }
}

/// `error` and `error_description` of a refusal, cut and without secrets; empty when it has neither.
fn refusal(body: &str, secrets: &[&str]) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let words: Vec<&str> = ["error", "error_description"].iter().filter_map(|name| body.get(name)?.as_str()).collect();
    let words = secrets.iter().fold(words.join(": "), |words, secret| without_key(words, &(*secret).into()));
    words.chars().take(MESSAGE_LIMIT).collect()
}

fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap_or("").to_owned()
}
