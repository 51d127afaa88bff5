//! Whether a file was written since it was last read.

use std::fs::Metadata;
use std::time::SystemTime;

/// Differs when a file was written; of a file that is not there the stamp of nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Option<(Option<SystemTime>, u64, [i64; 3])>);

impl Stamp {
    /// The stamp of a file with this metadata.
    pub fn of(metadata: Option<&Metadata>) -> Stamp {
        #[cfg(unix)]
        let identity = |metadata: &Metadata| {
            use std::os::unix::fs::MetadataExt;
            [metadata.ino() as i64, metadata.ctime(), metadata.ctime_nsec()]
        };
        #[cfg(not(unix))]
        let identity = |_: &Metadata| [0; 3];
        Stamp(metadata.map(|metadata| (metadata.modified().ok(), metadata.len(), identity(metadata))))
    }
}
