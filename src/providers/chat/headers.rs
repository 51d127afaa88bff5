//! Headers of chat requests.

use secrecy::{ExposeSecret, SecretString};

use crate::providers::Environment;
use crate::providers::http::{DEFAULT_HEADERS, HeaderMap, InvalidHeader, set_header};

/// Headers the connection sets itself; a profile cannot, or the request would no longer be one message.
const OWN_HEADERS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "host"];

/// Headers of OpenAI's client library (spec 07 §2): bearer key, JSON, organisation and project of the environment, and
/// DEFAULT_HEADERS if `with_defaults`.
///
/// # Errors
/// A key that no header can carry.
pub fn sdk_headers(
    key: &SecretString,
    environment: &Environment,
    with_defaults: bool,
) -> Result<HeaderMap, InvalidHeader> {
    let mut headers = HeaderMap::new();
    set_header(&mut headers, "Authorization", &format!("Bearer {}", key.expose_secret()))?;
    set_header(&mut headers, "Content-Type", "application/json")?;
    set_header(&mut headers, "Accept", "application/json")?;
    for (variable, name) in [("OPENAI_ORG_ID", "OpenAI-Organization"), ("OPENAI_PROJECT_ID", "OpenAI-Project")] {
        if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
            set_header(&mut headers, name, &value)?;
        }
    }
    for (name, value) in DEFAULT_HEADERS.into_iter().filter(|_| with_defaults) {
        set_header(&mut headers, name, value)?;
    }
    Ok(headers)
}

/// Lays the headers of a profile over these; `None` removes one. The content type stays.
///
/// # Errors
/// A name or value that cannot be sent.
pub fn overlay_headers(headers: &mut HeaderMap, over: &[(String, Option<SecretString>)]) -> Result<(), InvalidHeader> {
    let own = |name: &str| OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name));
    for (name, value) in over.iter().filter(|(name, _)| !own(name)) {
        match value {
            Some(value) => set_header(headers, name, value.expose_secret())?,
            None => drop(headers.remove(name.as_str())),
        }
    }
    set_header(headers, "Content-Type", "application/json")
}
