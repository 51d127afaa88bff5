//! Bytes of a task's folder for its history entry (spec 04 §7): looked at again after half a minute at the earliest.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How long a size counts, in milliseconds.
const KEPT_MS: i64 = 30_000;

/// The size of one folder.
#[derive(Debug, Default)]
pub(super) struct FolderSize(Mutex<Option<(i64, u64)>>);

impl FolderSize {
    /// Bytes of all files below `folder` at `now_ms`, or a little earlier; 0 if it cannot be read.
    pub async fn of(&self, folder: &Path, now_ms: i64) -> u64 {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, size)) = known
            && (at..at.saturating_add(KEPT_MS)).contains(&now_ms)
        {
            return size;
        }
        let folder = folder.to_owned();
        let size = tokio::task::spawn_blocking(move || bytes_below(&folder)).await.unwrap_or(0);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now_ms, size));
        size
    }
}

/// Links are not followed.
fn bytes_below(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0u64;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes = bytes.saturating_add(metadata.len()),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_size_counts_for_half_a_minute() {
        let folder = tempfile::tempdir().expect("a folder");
        let size = FolderSize::default();
        assert_eq!(size.of(&folder.path().join("none"), -KEPT_MS).await, 0);
        std::fs::create_dir(folder.path().join("deep")).expect("made");
        std::fs::write(folder.path().join("a"), "123").expect("written");
        std::fs::write(folder.path().join("deep/b"), "45").expect("written");
        assert_eq!(size.of(folder.path(), 0).await, 5);
        std::fs::write(folder.path().join("a"), "1").expect("written");
        for (now, bytes) in [(KEPT_MS - 1, 5), (KEPT_MS, 3)] {
            assert_eq!(size.of(folder.path(), now).await, bytes, "{now}");
        }
    }
}
