//! The ledger of an engine: one for all sessions, kept in a file of the engine's folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Ledger;
use crate::workspace::write::write_atomic;

/// Name of the file.
const FILE: &str = "virtual_quota_fallback.json";
/// Most bytes of it that are read; a longer one was not written here.
const FILE_LIMIT: u64 = 32 << 20;

/// Shared by all providers of an engine. Read at first use.
#[derive(Default)]
pub struct Quotas {
    ledger: Mutex<Option<Ledger>>,
    /// Held while the file is written, so that the last state is what stays.
    writing: Mutex<()>,
}

impl Quotas {
    /// Works on the ledger.
    pub fn with<T>(&self, folder: &Path, work: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        work(ledger.get_or_insert_with(|| read(&folder.join(FILE))))
    }

    /// Writes the ledger, off the async threads. A failure loses counts at the next start and is no reason to fail a
    /// request.
    pub async fn save(self: Arc<Self>, folder: PathBuf) {
        let write = move || {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let text = self.with(&folder, |ledger| ledger.stored().to_string());
            std::fs::create_dir_all(&folder).and_then(|()| write_atomic(&folder.join(FILE), text.as_bytes()))
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }
}

/// An absent, unreadable or damaged file is an empty ledger.
fn read(file: &Path) -> Ledger {
    let fits = std::fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.len() <= FILE_LIMIT);
    let bytes = if fits { std::fs::read(file).unwrap_or_default() } else { Vec::new() };
    Ledger::read(&serde_json::from_slice(&bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Kind;
    use super::*;

    #[tokio::test]
    async fn a_new_engine_goes_on_counting() {
        let folder = tempfile::tempdir().expect("a folder");
        let quotas = Arc::new(Quotas::default());
        quotas.with(folder.path(), |ledger| ledger.record("a", Kind::Requests, 3, 1000));
        quotas.clone().save(folder.path().to_owned()).await;
        let used = |quotas: &Quotas| quotas.with(folder.path(), |ledger| ledger.used("a", Kind::Requests, 10, 1001));
        assert_eq!(used(&Quotas::default()), 3);
        std::fs::write(folder.path().join(FILE), "{damaged").expect("written");
        assert_eq!((used(&Quotas::default()), used(&quotas)), (0, 3));
    }
}
