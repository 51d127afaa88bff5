//! A credential as Google's tools write it, read from JSON.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::GoogleAuthError;

/// Types Google's tools write that need another exchange than the supported two.
const UNSUPPORTED: [&str; 4] =
    ["external_account", "external_account_authorized_user", "gdch_service_account", "impersonated_service_account"];

/// What a token is asked for with.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its kind with what belongs to it.
    pub kind: Kind,
    /// `quota_project_id`.
    pub quota_project: Option<String>,
    /// Where it was found, for errors.
    pub place: String,
}

/// Kinds of credentials.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A service account's key.
    ServiceAccount {
        /// `client_email`.
        email: String,
        /// `private_key`, PEM.
        key: SecretString,
    },
    /// A user's login.
    AuthorizedUser {
        /// `client_id`.
        client_id: String,
        /// `client_secret`.
        client_secret: SecretString,
        /// `refresh_token`.
        refresh_token: SecretString,
    },
    /// The machine this runs on.
    Metadata,
}

/// Reads the JSON of a credential found at `place`. What names no type, or one unheard of, is a service account.
///
/// # Errors
/// Not JSON, a member missing, a type that is known but not supported.
pub fn parse(text: &str, place: &str) -> Result<Credential, GoogleAuthError> {
    let members = json_object(text, place)?;
    let missing = |field| GoogleAuthError::Missing { place: place.to_owned(), field };
    let text = |field: &'static str| filled(&members, field).ok_or_else(|| missing(field));
    let kind = match members.get("type").and_then(Value::as_str) {
        Some(kind) if UNSUPPORTED.contains(&kind) => {
            return Err(GoogleAuthError::UnknownType { place: place.to_owned(), kind: kind.to_owned() });
        }
        Some("authorized_user") => Kind::AuthorizedUser {
            client_id: text("client_id")?.to_owned(),
            client_secret: text("client_secret")?.into(),
            refresh_token: text("refresh_token")?.into(),
        },
        _ => Kind::ServiceAccount { email: text("client_email")?.to_owned(), key: text("private_key")?.into() },
    };
    let quota_project = filled(&members, "quota_project_id").map(str::to_owned);
    Ok(Credential { kind, quota_project, place: place.to_owned() })
}

/// The members of a JSON object. Errors name line and column, never what stands there.
///
/// # Errors
/// Not JSON, or not an object.
pub fn json_object(text: &str, place: &str) -> Result<Map<String, Value>, GoogleAuthError> {
    let not_json = |line, column| GoogleAuthError::NotJson { place: place.to_owned(), line, column };
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(not_json(1, 1)),
        Err(error) => Err(not_json(error.line(), error.column())),
    }
}

fn filled<'a>(members: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    members.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}
