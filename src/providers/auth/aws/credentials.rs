//! The keys that sign requests.

use std::fmt;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

/// Keys of an account or role.
#[derive(Clone)]
pub struct Credentials {
    /// Name of the key; no secret, it stands in every signed request.
    pub access_key: String,
    /// The key itself.
    pub secret_key: SecretString,
    /// What shows that the keys are temporary ones.
    pub session_token: Option<SecretString>,
    /// When they stop being valid; `None`: not by themselves.
    pub expires: Option<SystemTime>,
}

impl Credentials {
    /// Keys that do not expire by themselves; `None` if one of the two is empty.
    pub fn fixed(access_key: &str, secret_key: &str, session_token: Option<&str>) -> Option<Credentials> {
        let token = session_token.filter(|token| !token.is_empty());
        (!access_key.is_empty() && !secret_key.is_empty()).then(|| Credentials {
            access_key: access_key.to_owned(),
            secret_key: secret_key.into(),
            session_token: token.map(Into::into),
            expires: None,
        })
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Credentials) -> bool {
        let token = |keys: &Credentials| keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        self.access_key == other.access_key
            && self.secret_key.expose_secret() == other.secret_key.expose_secret()
            && token(self) == token(other)
            && self.expires == other.expires
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_show() {
        let keys = Credentials::fixed("AKID", "hush", Some("hush-too")).expect("keys");
        assert!(!format!("{keys:?}").contains("hush"));
        assert_eq!(Credentials::fixed("AKID", "", None), None);
    }
}
