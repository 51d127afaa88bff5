//! The login that Qwen Code keeps in a file, and its renewal (spec 07 §19.1, qwen-code).

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use url::form_urlencoded::Serializer;

use crate::providers::failure::{self, Failure, Sdk};
use crate::providers::http::{HeaderMap, Http, HttpRequest, set_header};
use crate::providers::{ProviderError, Surroundings, Wording};
use crate::workspace::write::write_atomic;

const TOKEN_URL: &str = "https://chat.qwen.ai/api/v1/oauth2/token";
/// Under which id Qwen Code asks for tokens; public.
const CLIENT_ID: &str = "f0304373b74a44d2b584a3fb70ca9e56";
const DEFAULT_BASE: &str = "https://dashscope.aliyuncs.com/compatible-mode/v1";
/// A token counts as expired this much before its end.
const MARGIN: Duration = Duration::from_secs(30);
/// Most bytes of the file.
const FILE_LIMIT: u64 = 256 << 10;

/// The login. Its token is renewed when it has expired, one renewal at a time, and written back.
pub struct Login {
    file: PathBuf,
    http: Http,
    wording: Wording,
    /// Members of the file as last read or written.
    kept: Mutex<Option<Map<String, Value>>>,
}

/// With what one request is sent.
pub struct Access {
    /// Bearer token.
    pub token: SecretString,
    /// Base address.
    pub base_url: String,
}

impl Login {
    /// The login in `file`, or in Qwen Code's own place; `~/` means the home folder.
    pub fn new(file: Option<&str>, surroundings: &Surroundings) -> Login {
        let file = surroundings.user_file(file.unwrap_or("~/.qwen/oauth_creds.json"));
        let Surroundings { http, wording, .. } = surroundings;
        Login { file, http: http.clone(), wording: wording.clone(), kept: Mutex::default() }
    }

    /// An access that has not expired, as far as is known.
    ///
    /// # Errors
    /// No file, one that is not a login (`provider.qwen_code.login`), a renewal that fails (`provider.qwen_code.renewal`).
    pub async fn access(&self) -> Result<Access, ProviderError> {
        let mut kept = self.kept.lock().await;
        if let Some(members) = kept.as_ref().filter(|members| self.is_valid(members)) {
            return Ok(access(members));
        }
        // Another program may have renewed it meanwhile.
        let members = self.read().await?;
        let members = if self.is_valid(&members) { members } else { self.renew(members).await? };
        Ok(access(kept.insert(members)))
    }

    /// An access in place of `refused`, which did not work though it should.
    ///
    /// # Errors
    /// Those of [`access`](Self::access).
    pub async fn fresh_access(&self, refused: &SecretString) -> Result<Access, ProviderError> {
        let mut kept = self.kept.lock().await;
        let is_other = |members: &Map<String, Value>| text(members, "access_token") != refused.expose_secret();
        // Another request may have renewed it meanwhile, or another program.
        if let Some(members) = kept.as_ref().filter(|members| is_other(members)) {
            return Ok(access(members));
        }
        let members = self.read().await?;
        let members = if is_other(&members) { members } else { self.renew(members).await? };
        Ok(access(kept.insert(members)))
    }

    fn is_valid(&self, members: &Map<String, Value>) -> bool {
        let end = members.get("expiry_date").and_then(Value::as_f64).unwrap_or(0.0) / 1000.0;
        let end = Duration::try_from_secs_f64(end).ok().and_then(|end| UNIX_EPOCH.checked_add(end));
        end.is_some_and(|end: SystemTime| (self.http.now)() + MARGIN < end)
    }

    async fn read(&self) -> Result<Map<String, Value>, ProviderError> {
        let unusable = |cause: String| {
            let file = self.file.display().to_string();
            ProviderError::worded(&self.wording, "provider.qwen_code.login", &[("file", &file), ("cause", &cause)])
        };
        let mut bytes = Vec::new();
        let file = tokio::fs::File::open(&self.file).await.map_err(|error| unusable(error.to_string()))?;
        file.take(FILE_LIMIT).read_to_end(&mut bytes).await.map_err(|error| unusable(error.to_string()))?;
        // The words of the parser could quote a token; its place cannot.
        serde_json::from_slice(&bytes)
            .map_err(|error| unusable(format!("line {}, column {}", error.line(), error.column())))
    }

    /// Asks for a new token and writes it into the file.
    async fn renew(&self, mut members: Map<String, Value>) -> Result<Map<String, Value>, ProviderError> {
        let refresh_token: SecretString = text(&members, "refresh_token").into();
        let answer = self.ask(&refresh_token).await.map_err(|failure| {
            let error = failure::raw(&failure, Sdk::OpenAi, &refresh_token, &self.wording);
            let message = (self.wording)("provider.qwen_code.renewal", &[("message", &error.message)]);
            ProviderError { message, ..error }
        })?;
        for name in ["access_token", "token_type", "refresh_token"] {
            if let Some(value) = answer.get(name).filter(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        let now = (self.http.now)().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64;
        let seconds = answer.get("expires_in").and_then(Value::as_f64).unwrap_or(0.0);
        members.insert("expiry_date".into(), json!((now + seconds * 1000.0) as u64));
        self.write(&members).await;
        Ok(members)
    }

    async fn ask(&self, refresh_token: &SecretString) -> Result<Value, Failure> {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Content-Type", "application/x-www-form-urlencoded")?;
        set_header(&mut headers, "Accept", "application/json")?;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", CLIENT_ID),
        ];
        let body = Bytes::from(Serializer::new(String::new()).extend_pairs(form).finish());
        let request = HttpRequest { body, retries: 0, ..HttpRequest::post(TOKEN_URL, headers, &Value::Null) };
        failure::read_json(self.http.send(request).await?).await
    }

    /// What cannot be written is renewed again by the next engine.
    async fn write(&self, members: &Map<String, Value>) {
        let (file, text) = (self.file.clone(), format!("{:#}", json!(members)));
        let written = tokio::task::spawn_blocking(move || write_atomic(&file, text.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(file = %self.file.display(), "the renewed login could not be written");
        }
    }
}

fn access(members: &Map<String, Value>) -> Access {
    Access { token: text(members, "access_token").into(), base_url: base_url(text(members, "resource_url")) }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or("")
}

/// The address that the login names, made whole.
fn base_url(resource: &str) -> String {
    let base = if resource.is_empty() { DEFAULT_BASE } else { resource };
    let scheme = if base.starts_with("http://") || base.starts_with("https://") { "" } else { "https://" };
    let version = if base.ends_with("/v1") { "" } else { "/v1" };
    format!("{scheme}{base}{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_made_whole() {
        for (resource, expected) in [
            ("", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
            ("portal.qwen.ai", "https://portal.qwen.ai/v1"),
            ("http://h/v1", "http://h/v1"),
            ("https://h/x", "https://h/x/v1"),
        ] {
            assert_eq!(base_url(resource), expected, "{resource}");
        }
    }
}
