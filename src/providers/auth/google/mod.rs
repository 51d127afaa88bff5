//! Google's access tokens (spec 07 §14): from a service account, a user's login or the machine itself.
//!
//! `source` finds the credential, `credential` reads it, `token` exchanges it for a token (with `assertion` for service
//! accounts); [`GoogleAuth`] keeps the token while it lasts.

mod assertion;
pub mod credential;
mod error;
pub mod source;
pub mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

pub use error::GoogleAuthError;

use crate::providers::Surroundings;
use crate::providers::http::{HeaderMap, InvalidHeader, set_header};
use crate::providers::options::Options;

/// A token is not used in its last five minutes.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// What the profile says of credentials; nothing: the application-default ones.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `vertexJsonCredentials`.
    pub json: Option<SecretString>,
    /// `vertexKeyFile`.
    pub key_file: Option<PathBuf>,
}

impl Given {
    /// Reads the profile.
    pub fn read(options: Options<'_>) -> Given {
        Given {
            json: options.secret("vertexJsonCredentials"),
            key_file: options.filled("vertexKeyFile").map(PathBuf::from),
        }
    }

    /// Whether the profile names any.
    pub fn is_any(&self) -> bool {
        self.json.is_some() || self.key_file.is_some()
    }
}

/// Gives access tokens, each used until five minutes before its end; one refresh at a time. Cheap to clone.
#[derive(Clone)]
pub struct GoogleAuth(Arc<Inner>);

struct Inner {
    given: Given,
    surroundings: Surroundings,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    access: Access,
    until: SystemTime,
}

/// What a call is authorised with.
#[derive(Clone, Debug)]
pub struct Access {
    /// Access token.
    pub token: SecretString,
    /// Project that is charged, if not the credential's own.
    pub quota_project: Option<String>,
}

impl Access {
    /// Sets the headers of a call.
    ///
    /// # Errors
    /// A token or project that cannot be sent.
    pub fn authorize(&self, headers: &mut HeaderMap) -> Result<(), InvalidHeader> {
        set_header(headers, "Authorization", &format!("Bearer {}", self.token.expose_secret()))?;
        match &self.quota_project {
            Some(project) => set_header(headers, "x-goog-user-project", project),
            None => Ok(()),
        }
    }
}

impl GoogleAuth {
    /// Credentials are looked for when the first token is asked for.
    pub fn new(given: Given, surroundings: &Surroundings) -> GoogleAuth {
        GoogleAuth(Arc::new(Inner { given, surroundings: surroundings.clone(), kept: Mutex::default() }))
    }

    /// A token that lasts.
    ///
    /// # Errors
    /// No credentials, unusable ones, or a token server that does not answer or refuses.
    pub async fn access(&self) -> Result<Access, GoogleAuthError> {
        let Inner { given, surroundings, kept } = &*self.0;
        let http = &surroundings.http;
        let mut kept = kept.lock().await;
        if let Some(kept) = &*kept
            && (http.now)() < kept.until
        {
            return Ok(kept.access.clone());
        }
        let credential = source::find(given, surroundings).await?;
        let token = token::of(&credential, http).await?;
        let access = Access { token: token.value, quota_project: credential.quota_project };
        *kept = Some(Kept { access: access.clone(), until: token.end.checked_sub(MARGIN).unwrap_or(token.end) });
        Ok(access)
    }
}
