//! What tells one version of a file from the next.

use std::fs::Metadata;
use std::hash::Hasher;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use crate::workspace::reading;

/// Larger files are told apart by time and size alone.
const LARGEST_HASHED: u64 = 1 << 20;

/// Time, size and identity of a version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    identity: (u64, u64),
    content: Option<u64>,
}

impl Stamp {
    /// The version now; `None` when there is no file. `with_content` also looks at what is in it.
    pub fn of(path: &Path, with_content: bool) -> Option<Stamp> {
        let metadata = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
        let hashed = with_content && metadata.len() <= LARGEST_HASHED;
        Some(Stamp {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            #[cfg(unix)]
            identity: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
            content: if hashed { hash(path) } else { None },
        })
    }
}

fn hash(path: &Path) -> Option<u64> {
    let mut bytes = Vec::new();
    reading::open(path).ok()?.take(LARGEST_HASHED).read_to_end(&mut bytes).ok()?;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&bytes);
    Some(hasher.finish())
}
