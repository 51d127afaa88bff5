//! Secrets that stand somewhere else: `${env:NAME}` is filled in when a provider is made, `${keyring:ENTRY}` before its first
//! request, since a keyring may have to ask its user.

mod deferred;

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

pub use deferred::Deferred;

use super::{Environment, ProviderError, Wording};
use crate::settings::reference::Reference;
use crate::settings::secrets::Secrets;

/// The system's keyring, under the service `lapce-ai`.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// The secret under this entry, if there is one. Bounded in time.
    ///
    /// # Errors
    /// The system has no keyring, or it does not answer.
    async fn get(&self, entry: &str) -> Result<Option<SecretString>, KeyringError>;

    /// Grows with every change made through the engine.
    fn generation(&self) -> u64 {
        0
    }
}

/// Why a keyring could not be asked. Never holds a secret.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KeyringError {
    /// There is none.
    #[error("there is no keyring")]
    Absent,
    /// It did not answer in time; it may wait for its user.
    #[error("the keyring did not answer in time; it may be locked")]
    Timeout,
    /// Too many questions wait for it already.
    #[error("the keyring is busy")]
    Busy,
    /// The system's words.
    #[error("{0}")]
    System(String),
}

/// A system without keyring.
pub struct NoKeyring;

#[async_trait]
impl Keyring for NoKeyring {
    async fn get(&self, _: &str) -> Result<Option<SecretString>, KeyringError> {
        Err(KeyringError::Absent)
    }
}

/// Fills in the secrets that stand in environment variables.
///
/// # Errors
/// A variable that is absent or empty (`provider.secret.no_variable`).
pub fn fill_from_environment(
    secrets: &mut Secrets,
    environment: &Environment,
    wording: &Wording,
) -> Result<(), ProviderError> {
    let filled = secrets.try_change(|text| {
        let Some(Reference::Environment(name)) = Reference::parse(text) else { return Ok(()) };
        match environment(name).filter(|value| !value.is_empty()) {
            Some(value) => {
                *text = value;
                Ok(())
            }
            None => Err(name.to_owned()),
        }
    });
    filled.map_err(|(key, name)| {
        ProviderError::worded(wording, "provider.secret.no_variable", &[("key", &key), ("name", &name)])
    })
}

/// Puts `found` in the place of references to the keyring.
fn fill_from_keyring(secrets: &mut Secrets, found: impl Fn(&str) -> SecretString) {
    let filled = secrets.try_change(|text| -> Result<(), std::convert::Infallible> {
        if let Some(Reference::Keyring(entry)) = Reference::parse(text) {
            *text = found(entry).expose_secret().to_owned();
        }
        Ok(())
    });
    // No text can refuse to be filled in.
    let _ = filled;
}

/// Entries of the keyring that these secrets refer to, each with a key that does.
pub fn keyring_entries(secrets: &Secrets) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for (key, text) in secrets.texts() {
        if let Some(Reference::Keyring(entry)) = Reference::parse(text) {
            entries.insert(entry.to_owned(), key.to_owned());
        }
    }
    entries
}

/// Whether any of these secrets stands somewhere else.
pub fn refer(secrets: &Secrets) -> bool {
    secrets.texts().iter().any(|(_, text)| Reference::parse(text).is_some())
}
