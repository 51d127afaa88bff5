//! The file for output that does not fit into memory (deviation D17).

use std::path::PathBuf;

use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::process::Process;

/// Most bytes of such a file. Of what a command prints beyond, only the end is kept, in memory.
pub const LOG_LIMIT: u64 = 64 << 20;

/// Writes the whole output of a command to a file from the moment it no longer fits into memory.
pub struct Spill {
    path: Option<PathBuf>,
    file: Option<File>,
    left: u64,
}

impl Spill {
    /// Nothing printed yet. Without a path there never is a file.
    pub fn new(path: Option<PathBuf>) -> Spill {
        Spill { path, file: None, left: LOG_LIMIT }
    }

    /// Takes output before it goes to `process`. A file that cannot be written ends there: the command must go on.
    pub async fn write(&mut self, process: &Process, bytes: &[u8]) {
        if self.file.is_none()
            && let Some(so_far) = process.output_before_overflow(bytes.len())
            && let Some(path) = self.path.take()
        {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            options.mode(0o600);
            let Ok(file) = options.open(&path).await else { return };
            self.file = Some(file);
            process.logged_in(path);
            self.append(&so_far).await;
        }
        self.append(bytes).await;
    }

    /// Makes everything readable for others.
    pub async fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let _ = file.flush().await; // The output in memory is complete at both ends; the file is an extra.
        }
    }

    async fn append(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let fitting = bytes.get(..self.left.min(bytes.len() as u64) as usize).unwrap_or(bytes);
        if file.write_all(fitting).await.is_err() {
            self.left = 0;
            return;
        }
        self.left -= fitting.len() as u64;
    }
}
