//! Who asks AWS: a bearer key, or keys that sign requests (spec 07 §15.1).
//!
//! `source` decides, from the profile, the environment and the [`ini`] files, where keys come from, without asking anybody;
//! `fetch` gets them from there: a process, SSO, STS, the container's or the machine's own service. [`AwsAuth`] keeps what was
//! fetched while it lasts, and [`sign`] signs.

mod container;
mod credentials;
mod error;
mod fetch;
mod ini;
mod instance;
mod process;
mod profiles;
mod role;
mod service;
mod sign;
mod source;
mod sso;
mod time;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use tokio::sync::Mutex;

pub use credentials::Credentials;
pub use error::AwsError;
pub use service::dns_suffix;
pub use sign::sign;

use crate::providers::Surroundings;
use fetch::Fetcher;
use profiles::Profiles;
use source::Source;

/// A bearer key of the environment; comes before everything but the profile's own.
const BEARER_VARIABLE: &str = "AWS_BEARER_TOKEN_BEDROCK";
/// Keys are not used in their last five minutes, if new ones can be had.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// Who asks, as far as the profile says.
#[derive(Clone, Debug, Default)]
pub enum Given {
    /// A bearer key.
    Bearer(SecretString),
    /// A profile of the shared files.
    Profile(String),
    /// Keys.
    Keys(Credentials),
    /// Whatever the environment, the files and the machine give.
    #[default]
    Nothing,
}

/// What a request is authorised with.
#[derive(Clone, Debug)]
pub enum Access {
    /// A key for the `Authorization` header.
    Bearer(SecretString),
    /// Keys that sign.
    Keys(Credentials),
}

/// Gives access for every request; one look for keys at a time. Cheap to clone.
#[derive(Clone)]
pub struct AwsAuth {
    given: Given,
    region: Option<String>,
    surroundings: Surroundings,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// Keys that were fetched, and from where.
struct Kept {
    source: Source,
    keys: Credentials,
}

impl AwsAuth {
    /// Looks for nothing yet. `region` is that of the profile.
    pub fn new(given: Given, region: Option<String>, surroundings: &Surroundings) -> AwsAuth {
        AwsAuth { given, region, surroundings: surroundings.clone(), kept: Arc::default() }
    }

    /// Access for a request that is sent now. Files are read again each time; fetched keys are used until shortly before they
    /// expire, and longer if no new ones can be had.
    ///
    /// # Errors
    /// No keys, unusable ones, or a service that does not give any.
    pub async fn access(&self) -> Result<Access, AwsError> {
        match &self.given {
            Given::Bearer(key) => return Ok(Access::Bearer(key.clone())),
            Given::Profile(_) | Given::Keys(_) | Given::Nothing => {}
        }
        if let Some(key) = self.variable(BEARER_VARIABLE) {
            return Ok(Access::Bearer(key.into()));
        }
        let source = match &self.given {
            Given::Keys(keys) => return Ok(Access::Keys(keys.clone())),
            Given::Profile(name) => source::of_profile(&self.profiles().await?, &self.surroundings.environment, name)?,
            Given::Bearer(_) | Given::Nothing => {
                let profiles = self.profiles().await?;
                source::of_chain(&profiles, &self.surroundings.environment)?
            }
        };
        match source {
            Source::Keys(keys) => Ok(Access::Keys(keys)),
            source => self.fetched(source).await.map(Access::Keys),
        }
    }

    /// The region: the profile's, else `AWS_REGION`, else that of the shared profile in use, else of the default one.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub async fn region(&self) -> Result<Option<String>, AwsError> {
        if let Some(region) = self.region.clone().or_else(|| self.variable("AWS_REGION")) {
            return Ok(Some(region));
        }
        let profiles = self.profiles().await?;
        let named = match &self.given {
            Given::Profile(name) => profiles.setting(name, "region"),
            Given::Bearer(_) | Given::Keys(_) | Given::Nothing => None,
        };
        let in_use = profiles::in_use(&self.surroundings.environment);
        Ok(named.or_else(|| profiles.setting(&in_use, "region")).map(str::to_owned))
    }

    /// Secrets of the profile, which no message may repeat.
    pub fn secrets(&self) -> Vec<SecretString> {
        match &self.given {
            Given::Bearer(key) => vec![key.clone()],
            Given::Keys(keys) => {
                [Some(keys.secret_key.clone()), keys.session_token.clone()].into_iter().flatten().collect()
            }
            Given::Profile(_) | Given::Nothing => Vec::new(),
        }
    }

    async fn fetched(&self, source: Source) -> Result<Credentials, AwsError> {
        let mut kept = self.kept.lock().await;
        let now = (self.surroundings.http.now)();
        let known = kept.as_ref().filter(|kept| kept.source == source).map(|kept| kept.keys.clone());
        if let Some(keys) = &known
            && lasts_until(keys, now + MARGIN)
        {
            return Ok(keys.clone());
        }
        let region = self.region.clone().or_else(|| self.variable("AWS_REGION"));
        let fetcher = Fetcher { surroundings: &self.surroundings, region };
        match (fetcher.fetch(&source).await, known) {
            (Ok(keys), _) => {
                *kept = Some(Kept { source, keys: keys.clone() });
                Ok(keys)
            }
            (Err(error), Some(keys)) if lasts_until(&keys, now) => {
                tracing::warn!(%error, "the keys for AWS could not be renewed; the old ones still last");
                Ok(keys)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn profiles(&self) -> Result<Profiles, AwsError> {
        Profiles::load(&self.surroundings).await
    }

    fn variable(&self, name: &str) -> Option<String> {
        source::variable(&self.surroundings.environment, name)
    }
}

fn lasts_until(keys: &Credentials, time: SystemTime) -> bool {
    keys.expires.is_none_or(|end| end > time)
}
