//! Contents of files, kept by their hash in a folder of the task.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::workspace::reading::{self, ReadError};
use crate::workspace::write::write_atomic;

/// Longest file extension that the name of a kept content shows.
const MAX_EXTENSION: usize = 16;

/// A file as it was, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::task) enum Content {
    /// There was none.
    Absent,
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It is no text, and its bytes are not at hand.
    Binary,
    /// It could not be read, or is too large to be kept.
    Unknown,
}

/// A content that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::task) enum Kept {
    /// There was no file.
    Absent,
    /// The name of its copy, and its size in bytes.
    Copy(String, u64),
    /// Nothing is kept of it.
    Nothing,
}

/// A folder of contents. A content never changes; what refers to none is removed by [`Blobs::retain`].
pub(super) struct Blobs {
    folder: PathBuf,
}

impl Content {
    /// The file as it is now. Blocking.
    pub fn of(path: &Path) -> Content {
        match reading::read_all(path) {
            Ok(bytes) => Content::Bytes(bytes),
            Err(ReadError::NotFound(_)) => Content::Absent,
            Err(_) => Content::Unknown,
        }
    }

    /// The text, empty when there is no file; `None` for what is no text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Content::Absent => Some(""),
            Content::Bytes(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')),
            Content::Binary | Content::Unknown => None,
        }
    }
}

impl Kept {
    /// Bytes that its copy takes.
    pub fn size(&self) -> u64 {
        if let Kept::Copy(_, size) = self { *size } else { 0 }
    }

    /// The name of its copy.
    pub fn name(&self) -> Option<&str> {
        if let Kept::Copy(name, _) = self { Some(name) } else { None }
    }
}

impl Blobs {
    /// The contents in `folder`, which is made with the first one.
    pub fn new(folder: PathBuf) -> Blobs {
        Blobs { folder }
    }

    /// Keeps a content of the file `path`: its copy has the same extension, from which readers tell the kind of a file.
    pub fn keep(&self, path: &Path, content: &Content) -> io::Result<Kept> {
        let bytes = match content {
            Content::Absent => return Ok(Kept::Absent),
            Content::Binary | Content::Unknown => return Ok(Kept::Nothing),
            Content::Bytes(bytes) => bytes,
        };
        let mut name: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        let plain =
            |text: &String| text.len() <= MAX_EXTENSION && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some(extension) = extension.filter(plain) {
            name.push('.');
            name.push_str(&extension);
        }
        let copy = self.folder.join(&name);
        // A copy is written whole or not at all, so that one that is there is right.
        if !copy.exists() {
            fs::create_dir_all(&self.folder)?;
            write_atomic(&copy, bytes)?;
        }
        Ok(Kept::Copy(name, bytes.len() as u64))
    }

    /// A content that was kept; unknown when its copy is gone.
    pub fn get(&self, kept: &Kept) -> Content {
        match kept {
            Kept::Absent => Content::Absent,
            Kept::Nothing => Content::Unknown,
            Kept::Copy(name, _) => match self.path(name).map(|path| Content::of(&path)) {
                Some(Content::Bytes(bytes)) => Content::Bytes(bytes),
                _ => Content::Unknown,
            },
        }
    }

    /// Where the copy of this name is; a name that leads elsewhere has none.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        (plain && !name.starts_with('.')).then(|| self.folder.join(name))
    }

    /// Removes all copies but these. What cannot be removed only takes room.
    pub fn retain(&self, names: &HashSet<&str>) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_none_or(|name| !names.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
