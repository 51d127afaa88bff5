//! What a provider gets from whoever builds it: everything it would otherwise take from the process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::Wording;
use super::fallback::Quotas;
use super::http::Http;
use super::human_relay::{NoRelay, Relay};
use super::keys::{Keyring, NoKeyring};
use super::models::ModelLists;

/// Gives the value of an environment variable as it was when the engine was opened.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Tells the user something that is no error, in words.
pub type Notify = Arc<dyn Fn(&str) + Send + Sync>;

/// What a provider gets from whoever builds it. Cheap to clone; shared by all providers of an engine.
#[derive(Clone)]
pub struct Surroundings {
    /// Sends requests; shared, so that connections are. Also tells the time.
    pub http: Http,
    /// Words texts of the catalogue.
    pub wording: Wording,
    /// Environment variables.
    pub environment: Environment,
    /// The whole environment, for programs that providers run.
    pub program_environment: Arc<[(OsString, OsString)]>,
    /// The system's keyring.
    pub keyring: Arc<dyn Keyring>,
    /// Asks the user on the provider's behalf.
    pub relay: Arc<dyn Relay>,
    /// The user's home folder, for credentials files of other programs.
    pub home: PathBuf,
    /// The engine's folder, for what outlives it (quota counters).
    pub storage: PathBuf,
    /// Folder of the user's own provider tables (`*.toml`), read whenever a provider is made; `None`: there is none.
    pub tables: Option<PathBuf>,
    /// Fetched lists of models.
    pub lists: Arc<ModelLists>,
    /// What profiles with limits used lately.
    pub quotas: Arc<Quotas>,
    /// Tells the user that a provider did something else than the profile says first.
    pub notify: Notify,
}

impl Surroundings {
    /// Surroundings with an empty environment, no keyring, nobody to ask, the root folder as home and storage, no tables,
    /// nothing fetched.
    pub fn new(http: Http, wording: Wording) -> Surroundings {
        Surroundings {
            http,
            wording,
            environment: Arc::new(|_| None),
            program_environment: Arc::default(),
            keyring: Arc::new(NoKeyring),
            relay: Arc::new(NoRelay),
            home: PathBuf::from("/"),
            storage: PathBuf::from("/"),
            tables: None,
            lists: Arc::default(),
            quotas: Arc::default(),
            notify: Arc::new(|_| {}),
        }
    }

    /// The file that a setting names: `~/` means the home folder.
    pub fn user_file(&self, path: &str) -> PathBuf {
        path.strip_prefix("~/").map_or_else(|| PathBuf::from(path), |inner| self.home.join(inner))
    }
}
