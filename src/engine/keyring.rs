//! The system's keyring, and on a system without one a file that only the user can read. A keyring's calls may block for as long as a user is asked, so they run in a thread of their own, which starts
//! with the first of them.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use keyring_core::{CredentialStore, Error};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::stored;
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
    place: Place,
    jobs: Mutex<Option<SyncSender<Job>>>,
    generation: AtomicU64,
}

/// Where secrets are.
#[derive(Clone)]
struct Place {
    open: Open,
    /// Serves when there is no keyring to open.
    file: Option<PathBuf>,
}

impl SystemKeyring {
    /// The keyring of the system; secrets are kept in `file` on one that has none.
    pub fn new(file: PathBuf) -> SystemKeyring {
        SystemKeyring::with(Place { open: open_store, file: Some(file) })
    }

    fn with(place: Place) -> SystemKeyring {
        SystemKeyring { place, jobs: Mutex::default(), generation: AtomicU64::new(0) }
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

    /// Removes the file that serves where there is no keyring, with all that is in it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn forget_file(&self) -> std::io::Result<()> {
        let removed = self.place.file.as_ref().map_or(Ok(()), std::fs::remove_file);
        self.generation.fetch_add(1, Ordering::AcqRel);
        removed.or_else(|cause| if cause.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(cause) })
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
            None => jobs.insert(start(self.place.clone())?),
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
fn start(place: Place) -> Result<SyncSender<Job>, KeyringError> {
    let (sender, jobs) = sync_channel(QUEUE);
    let thread = std::thread::Builder::new().name("lapce-ai-keyring".into());
    thread.spawn(move || work(&place, &jobs)).map_err(|error| KeyringError::System(error.to_string()))?;
    Ok(sender)
}

fn work(place: &Place, jobs: &Receiver<Job>) {
    let mut store = None;
    while let Ok(Job { entry, question, answer }) = jobs.recv() {
        if answer.is_closed() {
            continue;
        }
        // A store is other people's code; a panic of theirs is an answer, and the store is opened anew.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| carry_out(&mut store, place, &entry, &question)));
        let outcome = outcome.unwrap_or_else(|_| {
            store = None;
            Err(KeyringError::System("the keyring failed".into()))
        });
        // Nobody may wait any more.
        let _ = answer.send(outcome);
    }
}

fn carry_out(store: &mut Option<Arc<CredentialStore>>, place: &Place, entry: &str, question: &Question) -> Answer {
    let opened = match store {
        Some(opened) => opened,
        None => match ((place.open)(), &place.file) {
            (Ok(opened), _) => store.insert(opened),
            (Err(error), None) => return Err(in_words(error)),
            // What is not in the file may be in a keyring that cannot be opened just now.
            (Err(error), Some(file)) => match from_file(file, entry, question)? {
                None if matches!(question, Question::Get) => return Err(in_words(error)),
                answer => return Ok(answer),
            },
        },
    };
    let entry_name = entry;
    let entry = opened.build(SERVICE, entry, None).map_err(in_words)?;
    // While there was no keyring, it may have been kept in the file. A copy must not outlive a deletion, nor stand in clear beside a
    // newer secret.
    let copy = match (&place.file, question) {
        (Some(file), Question::Delete) if file.exists() => from_file(file, entry_name, question)?,
        _ => None,
    };
    let outcome = match question {
        Question::Get => entry.get_password().map(|secret| Some(secret.into())),
        Question::Set(secret) => entry.set_password(secret.expose_secret()).map(|()| {
            if let Some(file) = place.file.as_ref().filter(|file| file.exists()) {
                // The secret is kept; a file that cannot be read is told when it is needed.
                let _ = from_file(file, entry_name, &Question::Delete);
            }
            None
        }),
        Question::Delete => entry.delete_credential().map(|()| Some(SecretString::default())),
    };
    match outcome {
        Err(Error::NoEntry) => match (&place.file, question) {
            (Some(file), Question::Get) if file.exists() => from_file(file, entry_name, question),
            _ => Ok(copy),
        },
        Err(Error::PlatformFailure(cause) | Error::NoStorageAccess(cause)) => {
            // The connection may be gone; the next question opens another.
            *store = None;
            Err(KeyringError::System(cause.to_string()))
        }
        other => other.map_err(in_words),
    }
}

/// Secrets in a file: an object of entries and texts.
fn from_file(file: &Path, entry: &str, question: &Question) -> Answer {
    let failed = |error: &dyn std::fmt::Display| KeyringError::System(format!("{}: {error}", file.display()));
    let text = stored::read_text(file).map_err(|error| KeyringError::System(error.to_string()))?;
    let mut entries: BTreeMap<String, String> = match text.trim() {
        "" => BTreeMap::new(),
        // What a reader says may repeat a secret.
        text => serde_json::from_str(text).map_err(|_| failed(&"is no object of texts"))?,
    };
    let answer = match question {
        Question::Get => entries.get(entry).map(|secret| SecretString::from(secret.as_str())),
        Question::Set(secret) => {
            entries.insert(entry.to_owned(), secret.expose_secret().to_owned());
            None
        }
        Question::Delete => entries.remove(entry).map(SecretString::from),
    };
    let changed = matches!(question, Question::Set(_)) || (matches!(question, Question::Delete) && answer.is_some());
    let written = if changed {
        let text = serde_json::to_string_pretty(&entries).unwrap_or_default();
        stored::write_private(file, text.as_bytes()).map_err(|cause| failed(&cause))
    } else {
        Ok(())
    };
    entries.values_mut().for_each(Zeroize::zeroize);
    written.map(|()| answer)
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

    fn keyring(open: Open) -> SystemKeyring {
        SystemKeyring::with(Place { open, file: None })
    }

    /// parity 04 §9.4: without a keyring secrets are in a file for the user alone, replaced whole
    #[tokio::test]
    async fn without_a_keyring_secrets_are_in_a_file_for_the_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("settings/secrets.json");
        let keyring = SystemKeyring::with(Place { open: broken, file: Some(file.clone()) });
        let get = async |entry: &str| {
            keyring.get(entry).await.map(|found| found.map(|secret| secret.expose_secret().to_owned()))
        };
        let no_bus = Err(KeyringError::System("no bus".into()));
        assert_eq!(get("work").await, no_bus);
        keyring.set("work", "sk-1".into()).await.expect("kept");
        keyring.set("home", "sk-2".into()).await.expect("kept");
        assert_eq!((get("work").await, get("home").await), (Ok(Some("sk-1".into())), Ok(Some("sk-2".into()))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!((keyring.delete("work").await, keyring.delete("work").await), (Ok(true), Ok(false)));
        assert_eq!(get("work").await, no_bus);
        // A keyring that is there again does not hide what was kept meanwhile.
        let later = SystemKeyring::with(Place { open: mock, file: Some(file.clone()) });
        assert_eq!(later.get("home").await.map(|found| found.is_some()), Ok(true));
        // Deleting and replacing leave no copy in clear, wherever it was.
        let text = || std::fs::read_to_string(&file).expect("there");
        keyring.set("old", "sk-old".into()).await.expect("kept");
        assert!(text().contains("sk-old"));
        later.set("old", "sk-new".into()).await.expect("kept");
        assert!(!text().contains("old") && text().contains("sk-2"));
        keyring.set("old", "sk-old".into()).await.expect("kept");
        assert_eq!(later.delete("old").await, Ok(true));
        assert!(!text().contains("old"));
        assert_eq!((later.delete("home").await, later.delete("home").await), (Ok(true), Ok(false)));
        std::fs::write(&file, "{\"home\": [\"sk-2\"]}").expect("written");
        let said = format!("{:?}", keyring.set("home", "sk-3".into()).await);
        assert!(said.contains("is no object of texts") && !said.contains("sk-"), "{said}");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "{\"home\": [\"sk-2\"]}");
    }

    #[tokio::test]
    async fn what_was_set_is_found_until_it_is_deleted() {
        let keyring = super::tests::keyring(mock);
        let get = async || keyring.get("work").await.map(|found| found.map(|secret| secret.expose_secret().to_owned()));
        assert_eq!(get().await, Ok(None));
        assert_eq!(keyring.set("work", "sk-1".into()).await, Ok(()));
        assert_eq!((get().await, keyring.generation()), (Ok(Some("sk-1".into())), 1));
        assert_eq!((keyring.delete("work").await, keyring.delete("work").await), (Ok(true), Ok(false)));
        assert_eq!(get().await, Ok(None));
    }

    #[tokio::test]
    async fn a_system_without_keyring_says_so_and_a_panic_is_an_answer() {
        let keyring = super::tests::keyring(broken);
        assert_eq!(keyring.get("a").await.map(|_| ()), Err(KeyringError::System("no bus".into())));
        let keyring = super::tests::keyring(|| panic!("bug"));
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
