//! A file with a system prompt that is too long for the command line, there for as long as the program runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncWriteExt;

/// The file; dropping it removes it.
pub struct PromptFile(PathBuf);

impl PromptFile {
    /// Writes `prompt` into a file of its own in `folder`, which only this user can read.
    ///
    /// # Errors
    /// The system's.
    pub async fn write(folder: &Path, prompt: &str) -> io::Result<PromptFile> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = PromptFile(folder.join(format!("system-prompt-{}-{number}.txt", std::process::id())));
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        tokio::fs::create_dir_all(folder).await?;
        let mut open = options.open(&file.0).await?;
        open.write_all(prompt.as_bytes()).await?;
        open.flush().await?;
        Ok(file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PromptFile {
    fn drop(&mut self) {
        // One that is gone already is no loss.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_is_private_and_temporary() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = folder.path().join("storage");
        let file = PromptFile::write(&storage, "long").await.expect("a file");
        let other = PromptFile::write(&storage, "other").await.expect("a file");
        assert_ne!(file.path(), other.path());
        assert_eq!(std::fs::read_to_string(file.path()).expect("its text"), "long");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(file.path()).expect("its data").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
    }
}
