//! Keys from where they come.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::source::Source;
use super::time::parse_time;
use super::{AwsError, Credentials, container, instance, process, role, sso};
use crate::providers::Surroundings;

/// Fetches keys.
#[derive(Clone)]
pub struct Fetcher<'a> {
    /// Transport, clock, environment, home.
    pub surroundings: &'a Surroundings,
    /// Region of the profile or the environment.
    pub region: Option<String>,
}

impl Fetcher<'_> {
    /// Keys from `source`.
    ///
    /// # Errors
    /// What is there gives none.
    pub fn fetch<'s>(
        &'s self,
        source: &'s Source,
    ) -> Pin<Box<dyn Future<Output = Result<Credentials, AwsError>> + Send + 's>> {
        Box::pin(async move {
            match source {
                Source::Keys(keys) => Ok(keys.clone()),
                Source::Process(command) => process::run(command, (self.surroundings.http.now)()).await,
                Source::Sso(login) => sso::keys(login, self.surroundings).await,
                Source::WebIdentity { role, token_file } => role::by_token(self, role, token_file).await,
                Source::AssumeRole { role, base } => {
                    let keys = self.fetch(base).await?;
                    role::by_keys(self, role, &keys).await
                }
                Source::Container { address, token } => container::keys(address, token, self.surroundings).await,
                Source::Instance { base } => instance::keys(base.as_deref(), &self.surroundings.http).await,
            }
        })
    }
}

/// Names of the members that hold keys.
#[derive(Clone, Copy, Debug)]
pub struct Members {
    /// Name of the key.
    pub access: &'static str,
    /// The key.
    pub secret: &'static str,
    /// Session token.
    pub token: &'static str,
    /// When they expire: a time, or milliseconds since 1970.
    pub expires: &'static str,
}

/// Members as the container's and the machine's services name them.
pub const SERVED: Members =
    Members { access: "AccessKeyId", secret: "SecretAccessKey", token: "Token", expires: "Expiration" };

/// The keys in a JSON document; `None` if it has none.
pub fn from_json(document: &Value, members: Members) -> Option<Credentials> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let mut keys = Credentials::fixed(text(members.access)?, text(members.secret)?, text(members.token))?;
    keys.expires = match document.get(members.expires) {
        None | Some(Value::Null) => None,
        Some(Value::Number(milliseconds)) => {
            let since = std::time::Duration::from_millis(milliseconds.as_u64()?);
            Some(std::time::UNIX_EPOCH.checked_add(since)?)
        }
        Some(time) => Some(parse_time(time.as_str()?)?),
    };
    Some(keys)
}
