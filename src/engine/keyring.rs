//! The system's keyring. Its calls may block for as long as a user is asked, so they run in a thread of their own, which starts
//! with the first of them.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keyring_core::{CredentialStore, Error};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use crate::providers::{Keyring, KeyringError};

/// Service under which entries stand.
const SERVICE: &str = "lapce-ai";
/// Longest wait for an answer, the user's unlocking included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Questions that may wait.
const QUEUE: usize = 32;

/// Opens the store of the system.
type Open = fn() -> Result<Arc<CredentialStore>, Error>;
type Answer = Result<Option<SecretString>, KeyringError>;

enum Question {
    Get,
    Set(SecretString),
    Delete,
}

struct Job {
    entry: String,
    question: Question,
    answer: oneshot::Sender<Answer>,
}

/// The keyring; see the module.
pub struct SystemKeyring {
    open: Open,
    jobs: Mutex<Option<SyncSender<Job>>>,
    generation: AtomicU64,
}

impl Default for SystemKeyring {
    fn default() -> SystemKeyring {
        SystemKeyring::with_store(open_store)
    }
}

impl SystemKeyring {
    fn with_store(open: Open) -> SystemKeyring {
        SystemKeyring { open, jobs: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Puts a secret under an entry, in place of an earlier one.
    ///
    /// # Errors
    /// The system has no keyring, or it refuses.
    pub async fn set(&self, entry: &str, secret: SecretString) -> Result<(), KeyringError> {
        self.ask(entry, Question::Set(secret)).await?;
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Takes an entry away. False: there was none.
    ///
    /// # Errors
    /// The system has no keyring, or it refuses.
    pub async fn delete(&self, entry: &str) -> Result<bool, KeyringError> {
        let before = self.ask(entry, Question::Delete).await?;
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(before.is_some())
    }

    async fn ask(&self, entry: &str, question: Question) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.submit(Job { entry: entry.to_owned(), question, answer })?;
        match tokio::time::timeout(TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(KeyringError::System("the keyring failed".into())),
            Err(_) => Err(KeyringError::Timeout),
        }
    }

    fn submit(&self, job: Job) -> Result<(), KeyringError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*jobs {
            Some(sender) => sender,
            None => jobs.insert(start(self.open)?),
        };
        sender.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => KeyringError::Busy,
            TrySendError::Disconnected(_) => KeyringError::System("the keyring failed".into()),
        })
    }
}

#[async_trait]
impl Keyring for SystemKeyring {
    async fn get(&self, entry: &str) -> Answer {
        self.ask(entry, Question::Get).await
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Starts the thread. It ends with the keyring.
fn start(open: Open) -> Result<SyncSender<Job>, KeyringError> {
    let (sender, jobs) = sync_channel(QUEUE);
    let thread = std::thread::Builder::new().name("lapce-ai-keyring".into());
    thread.spawn(move || work(open, &jobs)).map_err(|error| KeyringError::System(error.to_string()))?;
    Ok(sender)
}

fn work(open: Open, jobs: &Receiver<Job>) {
    let mut store = None;
    while let Ok(Job { entry, question, answer }) = jobs.recv() {
        if answer.is_closed() {
            continue;
        }
        // A store is other people's code; a panic of theirs is an answer, and the store is opened anew.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| carry_out(&mut store, open, &entry, &question)));
        let outcome = outcome.unwrap_or_else(|_| {
            store = None;
            Err(KeyringError::System("the keyring failed".into()))
        });
        // Nobody may wait any more.
        let _ = answer.send(outcome);
    }
}

fn carry_out(store: &mut Option<Arc<CredentialStore>>, open: Open, entry: &str, question: &Question) -> Answer {
    let opened = match store {
        Some(opened) => opened,
        None => store.insert(open().map_err(in_words)?),
    };
    let entry = opened.build(SERVICE, entry, None).map_err(in_words)?;
    let outcome = match question {
        Question::Get => entry.get_password().map(|secret| Some(secret.into())),
        Question::Set(secret) => entry.set_password(secret.expose_secret()).map(|()| None),
        Question::Delete => entry.delete_credential().map(|()| Some(SecretString::default())),
    };
    match outcome {
        Err(Error::NoEntry) => Ok(None),
        Err(Error::PlatformFailure(cause) | Error::NoStorageAccess(cause)) => {
            // The connection may be gone; the next question opens another.
            *store = None;
            Err(KeyringError::System(cause.to_string()))
        }
        other => other.map_err(in_words),
    }
}

/// The store's words, without the data that some of its errors carry.
fn in_words(error: Error) -> KeyringError {
    KeyringError::System(match error {
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => cause.to_string(),
        Error::BadEncoding(_) => "the secret is not text".into(),
        Error::BadDataFormat(..) => "the secret cannot be read".into(),
        Error::Ambiguous(_) => "several secrets have this name".into(),
        other => other.to_string(),
    })
}

#[cfg(target_os = "linux")]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(zbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn open_store() -> Result<Arc<CredentialStore>, Error> {
    Err(Error::NotSupportedByStore("this system has no keyring that is known".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mock() -> Result<Arc<CredentialStore>, Error> {
        Ok(keyring_core::mock::Store::new()?)
    }

    fn broken() -> Result<Arc<CredentialStore>, Error> {
        Err(Error::NoStorageAccess("no bus".into()))
    }

    #[tokio::test]
    async fn what_was_set_is_found_until_it_is_deleted() {
        let keyring = SystemKeyring::with_store(mock);
        let get = async || keyring.get("work").await.map(|found| found.map(|secret| secret.expose_secret().to_owned()));
        assert_eq!(get().await, Ok(None));
        assert_eq!(keyring.set("work", "sk-1".into()).await, Ok(()));
        assert_eq!((get().await, keyring.generation()), (Ok(Some("sk-1".into())), 1));
        assert_eq!((keyring.delete("work").await, keyring.delete("work").await), (Ok(true), Ok(false)));
        assert_eq!(get().await, Ok(None));
    }

    #[tokio::test]
    async fn a_system_without_keyring_says_so_and_a_panic_is_an_answer() {
        let keyring = SystemKeyring::with_store(broken);
        assert_eq!(keyring.get("a").await.map(|_| ()), Err(KeyringError::System("no bus".into())));
        let keyring = SystemKeyring::with_store(|| panic!("bug"));
        for _ in 0..2 {
            assert_eq!(keyring.get("a").await.map(|_| ()), Err(KeyringError::System("the keyring failed".into())));
        }
    }

    #[test]
    fn errors_leave_data_out() {
        let error = Error::BadDataFormat(b"sk-hidden".to_vec(), "sk-hidden".into());
        assert!(!in_words(error).to_string().contains("hidden"));
    }
}
