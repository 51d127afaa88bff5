//! The login that Gemini CLI keeps in a file, and its renewal.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, OnceCell};

use super::failure::CliFailure;
use crate::providers::Surroundings;
use crate::providers::auth::google::GoogleAuthError;
use crate::providers::auth::google::credential::json_object;
use crate::providers::auth::google::source::read_file;
use crate::providers::auth::google::token::{Token, refresh};
use crate::providers::failure::read_json;
use crate::providers::http::{HeaderMap, Http, HttpRequest};
use crate::workspace::write::write_atomic;

/// Where Gemini CLI's id for token requests is published.
const CLIENT_URL: &str = "https://api.kilocode.ai/extension-config.json";
/// Members of a token server's answer that go into the file as they are.
const RENEWED: [&str; 5] = ["access_token", "refresh_token", "token_type", "scope", "id_token"];

/// The login. Its token is renewed when it has expired, one renewal at a time, and written back.
pub struct Login {
    file: PathBuf,
    http: Http,
    kept: Mutex<Option<Kept>>,
    client: OnceCell<Client>,
}

struct Kept {
    token: SecretString,
    /// `None`: not known.
    end: Option<SystemTime>,
}

/// Under which id tokens are asked for.
struct Client {
    id: String,
    secret: SecretString,
}

impl Login {
    /// The login in `file`, or in Gemini CLI's own place; `~/` means the home folder.
    pub fn new(file: Option<&str>, surroundings: &Surroundings) -> Login {
        let file = surroundings.user_file(file.unwrap_or("~/.gemini/oauth_creds.json"));
        Login { file, http: surroundings.http.clone(), kept: Mutex::default(), client: OnceCell::new() }
    }

    /// The folder of the file.
    pub fn folder(&self) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// A token that has not expired, as far as is known.
    ///
    /// # Errors
    /// No file, one that is not a login, a renewal that is refused.
    pub async fn token(&self) -> Result<SecretString, CliFailure> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| !self.has_expired(kept.end)) {
            return Ok(kept.token.clone());
        }
        // Another program may have renewed it meanwhile.
        let members = self.read().await?;
        let token = members.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        let end = members.get("expiry_date").and_then(Value::as_f64).and_then(from_milliseconds);
        let fresh = match token.filter(|_| !self.has_expired(end)) {
            Some(token) => Kept { token: token.into(), end },
            None => self.renew(members).await?,
        };
        Ok(kept.insert(fresh).token.clone())
    }

    /// A token in place of `refused`, which did not work though it should.
    ///
    /// # Errors
    /// Those of [`token`](Self::token).
    pub async fn fresh_token(&self, refused: &SecretString) -> Result<SecretString, CliFailure> {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some(kept) if kept.token.expose_secret() != refused.expose_secret() => Ok(kept.token.clone()),
            _ => {
                let fresh = self.renew(self.read().await?).await?;
                Ok(kept.insert(fresh).token.clone())
            }
        }
    }

    fn has_expired(&self, end: Option<SystemTime>) -> bool {
        end.is_some_and(|end| end <= (self.http.now)())
    }

    fn place(&self) -> String {
        self.file.display().to_string()
    }

    async fn read(&self) -> Result<Map<String, Value>, CliFailure> {
        Ok(json_object(read_file(&self.file).await?.expose_secret(), &self.place())?)
    }

    /// Asks for a new token and writes it into the file.
    async fn renew(&self, mut members: Map<String, Value>) -> Result<Kept, CliFailure> {
        let field = "refresh_token";
        let refresh_token = members.get(field).and_then(Value::as_str).filter(|token| !token.is_empty());
        let refresh_token: SecretString =
            refresh_token.ok_or_else(|| GoogleAuthError::Missing { place: self.place(), field })?.into();
        let client = self.client.get_or_try_init(|| self.fetch_client()).await?;
        let answer = refresh(&self.http, &client.id, &client.secret, &refresh_token).await?;
        let token = Token::of_user(&answer, (self.http.now)())?;
        for name in RENEWED {
            if let Some(value) = answer.get(name).filter(|value| value.is_string()) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        let end = token.end.duration_since(UNIX_EPOCH).unwrap_or_default();
        members.insert("expiry_date".into(), json!(end.as_millis() as u64));
        self.write(Value::Object(members)).await;
        Ok(Kept { token: token.value, end: Some(token.end) })
    }

    /// What cannot be written is renewed again by the next engine.
    async fn write(&self, members: Value) {
        let (file, text) = (self.file.clone(), format!("{members:#}"));
        let written = tokio::task::spawn_blocking(move || write_atomic(&file, text.as_bytes())).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(file = %self.file.display(), "the renewed login could not be written");
        }
    }

    async fn fetch_client(&self) -> Result<Client, CliFailure> {
        let request = HttpRequest::get(CLIENT_URL, HeaderMap::new());
        let response = self.http.send(request).await.map_err(|failure| CliFailure::Client(failure.into()))?;
        let answer = read_json(response).await.map_err(CliFailure::Client)?;
        let member = |name: &str| answer.get("geminiCli")?.get(name)?.as_str().filter(|text| !text.is_empty());
        match (member("oauthClientId"), member("oauthClientSecret")) {
            (Some(id), Some(secret)) => Ok(Client { id: id.to_owned(), secret: secret.into() }),
            _ => Err(CliFailure::NoClient),
        }
    }
}

/// `None` for what is no time; 0 counts as not known.
fn from_milliseconds(milliseconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(milliseconds / 1000.0).ok().filter(|since| !since.is_zero())?;
    UNIX_EPOCH.checked_add(since)
}
