//! A watcher that reports what the script touches, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use lapce_ai::workspace::watching::{Watch, WatchedFiles};
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Vec<Weak<Set>>>>);

#[derive(Default)]
struct Set {
    files: Mutex<Vec<PathBuf>>,
    changed: Mutex<Vec<PathBuf>>,
    news: Notify,
}

impl Scripted {
    /// The watcher of this file fires.
    pub async fn fire(&self, path: PathBuf) {
        for set in self.0.lock().unwrap().iter().filter_map(Weak::upgrade) {
            if set.files.lock().unwrap().contains(&path) {
                set.changed.lock().unwrap().push(path.clone());
                set.news.notify_one();
            }
        }
        tokio::task::yield_now().await;
    }
}

impl Watch for Scripted {
    fn open(&self) -> Box<dyn WatchedFiles> {
        let set = Arc::new(Set::default());
        self.0.lock().unwrap().push(Arc::downgrade(&set));
        Box::new(Watched(set))
    }
}

struct Watched(Arc<Set>);

#[async_trait]
impl WatchedFiles for Watched {
    fn add(&self, path: &Path) -> bool {
        self.0.files.lock().unwrap().push(path.to_owned());
        true
    }

    fn hold(&self, _: &Path) {}

    fn release(&self, _: &Path) -> bool {
        false
    }

    fn newer_than(&self, _: &Path, _: i64) -> bool {
        false
    }

    async fn stirred(&self) {
        self.0.news.notified().await;
    }

    async fn changed(&self, _: bool) -> Vec<PathBuf> {
        std::mem::take(&mut *self.0.changed.lock().unwrap())
    }
}
