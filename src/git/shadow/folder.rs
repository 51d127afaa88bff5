//! Files and folders reached name by name from the work tree, so that no link is followed on the way.
//!
//! A name is the bytes of one path component. What is at a name is looked at anew by each call: whoever works in the workspace
//! at the same time may put a link there, and the call then fails instead of leaving the work tree.

#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod unix;

use std::io::{self, Read};

#[cfg(not(unix))]
pub(super) use portable::Folder;
#[cfg(unix)]
pub(super) use unix::Folder;

/// What stands at a name; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        executable: bool,
    },
    Link,
    Folder,
    /// A pipe, socket or device.
    Special,
}

/// By what an unchanged file is known, as git's index has it: every field cut to 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Seconds and nanoseconds.
    pub modified: (i32, u32),
    /// Seconds and nanoseconds of the last change of content or attributes.
    pub changed: (i32, u32),
    pub inode: u32,
    pub user: u32,
    pub group: u32,
    pub size: u32,
}

/// What the system says about a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    pub stamp: Stamp,
}

impl Folder {
    /// The first `limit` bytes of a regular file.
    pub(super) fn read_head(&self, name: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let (file, _) = self.open_file(name)?;
        let mut head = Vec::new();
        file.take(limit).read_to_end(&mut head)?;
        Ok(head)
    }
}

/// The folders on the way to the path at hand, kept open, so that neighbouring paths cost one system call each.
pub(super) struct Chain<'a> {
    root: &'a Folder,
    /// Each folder with the length of its path, without final `/`.
    open: Vec<(usize, Folder)>,
    path: Vec<u8>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(root: &'a Folder) -> Chain<'a> {
        Chain { root, open: Vec::new(), path: Vec::new() }
    }

    /// The folder that holds `path`, and the name in it. `create`: makes the folders that are missing.
    pub(super) fn parent<'p>(&mut self, path: &'p [u8], create: bool) -> io::Result<(&Folder, &'p [u8])> {
        let (folder, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (path.get(..at).unwrap_or(b""), path.get(at + 1..).unwrap_or(b"")),
            None => (&b""[..], path),
        };
        self.forget_beside(folder);
        while self.path.len() < folder.len() {
            let start = if self.path.is_empty() { 0 } else { self.path.len() + 1 };
            let rest = folder.get(start..).unwrap_or(b"");
            let next = rest.split(|b| *b == b'/').next().unwrap_or(rest);
            let here = self.open.last().map_or(self.root, |(_, folder)| folder);
            let child = match here.child(next) {
                Err(e) if create && e.kind() == io::ErrorKind::NotFound => {
                    here.make_child(next)?;
                    here.child(next)?
                }
                other => other?,
            };
            if start > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(next);
            self.open.push((self.path.len(), child));
        }
        Ok((self.open.last().map_or(self.root, |(_, folder)| folder), name))
    }

    /// Closes every folder.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.path.clear();
    }

    /// Closes the folders that are not on the way to `folder`.
    fn forget_beside(&mut self, folder: &[u8]) {
        let leads_to = |end: usize, path: &[u8]| {
            path.get(..end).is_some_and(|head| folder.starts_with(head)) && matches!(folder.get(end), None | Some(b'/'))
        };
        while self.open.last().is_some_and(|(end, _)| !leads_to(*end, &self.path)) {
            self.open.pop();
        }
        self.path.truncate(self.open.last().map_or(0, |(end, _)| *end));
    }
}
