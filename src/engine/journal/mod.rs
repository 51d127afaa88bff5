//! What outlives an engine that runs in a process of its own: one append-only file of [entries](Entry), which add up to a
//! [`State`].
//!
//! [`Journal`] writes: every entry is handed to the operating system in one write before the caller goes on, so that a
//! process that is killed loses nothing it was told is kept. Nothing is synced; a power failure may cut the end off.
//! [`State`] is the pure sum, which opening gives back and a rewrite is made of. The journal decides nothing, knows
//! neither sessions nor rings, and never looks into the body of an event. One process at a time may have it
//! open; the caller holds the lock that makes sure.

mod entry;
mod file;
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod retained;
mod state;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

pub use self::entry::{Entry, MAX_ENTRY_BYTES};
pub use self::file::read;
use self::file::{HEAD_BYTES, Records, write_record};
use self::image::Image;
pub use self::retained::{Event, Retained};
pub use self::state::{ANSWER_LIMIT, ClientState, Numbers, SessionState, State};

/// Bytes below which the file is never rewritten.
const REWRITE_BYTES: u64 = 1 << 20;
/// How much the file may grow between two rewrites, which bounds it, and what rewriting costs an entry.
const GROWTH: u64 = 4;
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes of the record buffer that stay allocated after a large entry.
const BUFFER_BYTES: usize = 256 << 10;

/// An open journal. Threads may share it.
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    writer: Mutex<Writer>,
    /// Held while the file is rewritten.
    rewriting: Mutex<()>,
}

/// What opening found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes at the end that were no whole record and are gone.
    pub cut: u64,
    /// Where a file went that is no journal of this build.
    pub set_aside: Option<PathBuf>,
}

/// Why the journal could not be used. What it held before, it holds still.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {doing} `{}`: {cause}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// Its answer.
        cause: io::Error,
    },
    /// An entry is too long to be read again.
    #[error("an entry of more than {MAX_ENTRY_BYTES} bytes cannot be kept")]
    TooLong,
    /// The file was changed by somebody else: it cannot be rewritten without losing what stands behind the damage.
    #[error("the journal is damaged at byte {at}")]
    Damaged {
        /// First byte that is no record.
        at: u64,
    },
}

struct Writer {
    file: File,
    /// Bytes of the file that count.
    length: u64,
    /// Bytes from which on it is to be rewritten.
    due: u64,
    /// A part of a record stands behind `length`.
    torn: bool,
    record: Vec<u8>,
}

impl Journal {
    /// Opens the journal in `folder`, made when missing, for its owner alone, and gives what it adds up to.
    ///
    /// That is all a restart waits for: the file is rewritten later, when it [is due](Self::is_due).
    ///
    /// A record that was not finished is cut off; a file that is no journal of this build is set aside as
    /// `journal.damaged-<n>`, and the state is empty. Both are in the report.
    ///
    /// # Errors
    /// The folder or file cannot be made, read or written.
    pub fn open(folder: &Path) -> Result<(Journal, State, Report), JournalError> {
        let path = image::path(folder);
        image::make_folder(folder).map_err(failed("make the folder", folder))?;
        let mut report = Report::default();
        let mut state = State::default();
        let (file, length) = match load(folder, &mut state, &mut report)? {
            Some(old) => old,
            None => {
                let new = Image::write(folder, &state).map_err(failed("write", &path))?;
                let length = new.length;
                (new.put_in_place(folder).map_err(failed("rename", &path))?, length)
            }
        };
        let writer = Writer::new(file, length, HEAD_BYTES as u64);
        let (folder, writer, rewriting) = (folder.to_owned(), Mutex::new(writer), Mutex::default());
        Ok((Journal { folder, path, writer, rewriting }, state, report))
    }

    /// Adds an entry. Once this returns, the entry outlives the process.
    ///
    /// # Errors
    /// The entry is too long, or the disk is full: the file is as it was, and later entries are readable.
    pub fn append(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let mut writer = self.writer();
        writer.encode(entry)?;
        writer.write().map_err(failed("write", &self.path))
    }

    /// Removes what an engine before left in `folder`, so that the next one begins anew.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn discard(folder: &Path) -> Result<(), JournalError> {
        let path = image::path(folder);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &path)(cause)),
            _ => Ok(()),
        }
    }

    /// Whether the file has grown enough to be rewritten.
    pub fn is_due(&self) -> bool {
        let writer = self.writer();
        writer.length >= writer.due
    }

    /// Rewrites the file with the fewest entries if it has grown enough. True when it did. Blocks for as long as that
    /// takes; entries that are appended meanwhile wait only while the last of them are carried over.
    ///
    /// # Errors
    /// The file is as it was, and the next attempt comes after it has doubled.
    pub fn compact_if_due(&self) -> Result<bool, JournalError> {
        let _rewriting = match self.rewriting.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let until = {
            let writer = self.writer();
            if writer.length < writer.due {
                return Ok(false);
            }
            writer.length
        };
        let rewritten = self.rewrite(until);
        if rewritten.is_err() {
            let mut writer = self.writer();
            writer.due = writer.length.saturating_mul(2);
        }
        rewritten.map(|()| true)
    }

    /// Rewrites what stands before `until`, and carries the rest over.
    fn rewrite(&self, until: u64) -> Result<(), JournalError> {
        let path = &self.path;
        let mut old = File::open(path).map_err(failed("open", path))?;
        let mut state = State::default();
        let start = HEAD_BYTES as u64;
        old.seek(SeekFrom::Start(start)).map_err(failed("read", path))?;
        let mut records = Records::new(BufReader::with_capacity(READ_BYTES, (&old).take(until - start)));
        while let Some(entry) = records.next().map_err(failed("read", path))? {
            state.apply(entry);
        }
        let at = start + records.good();
        if at != until {
            return Err(JournalError::Damaged { at });
        }
        let mut image = Image::write(&self.folder, &state).map_err(failed("rewrite", path))?;
        drop(state);
        image.sync().map_err(failed("rewrite", path))?;
        old.seek(SeekFrom::Start(until)).map_err(failed("read", path))?;
        let needed = image.length;

        let mut writer = self.writer();
        image.carry_over(&old, writer.length - until).map_err(failed("rewrite", path))?;
        let length = image.length;
        let file = image.put_in_place(&self.folder).map_err(failed("rename", path))?;
        *writer = Writer::new(file, length, needed);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Goes on behind `length` bytes of `file`, where its cursor stands; it was last rewritten to `needed` bytes.
    fn new(file: File, length: u64, needed: u64) -> Writer {
        let due = needed.saturating_mul(GROWTH).max(REWRITE_BYTES);
        Writer { file, length, due, torn: false, record: Vec::new() }
    }

    fn encode(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.record.clear();
        self.record.shrink_to(BUFFER_BYTES);
        if write_record(entry, &mut self.record) { Ok(()) } else { Err(JournalError::TooLong) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        if let Err(cause) = self.file.write_all(&self.record) {
            self.torn = true;
            // If it cannot be cut off now, the next entry tries again before it is written.
            let _ = self.cut();
            return Err(cause);
        }
        self.length += self.record.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        cut(&self.file, self.length)?;
        self.torn = false;
        Ok(())
    }
}

/// Adds up the file that is there, and cuts off what does not count. Gives it with its length, if it is a journal.
fn load(folder: &Path, state: &mut State, report: &mut Report) -> Result<Option<(File, u64)>, JournalError> {
    let path = image::path(folder);
    let Some(file) = image::open(&path).map_err(failed("open", &path))? else { return Ok(None) };
    let mut head = Vec::new();
    (&file).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(failed("read", &path))?;
    if head != file::head() {
        // An empty file is a new journal.
        if !head.is_empty() {
            report.set_aside = Some(image::set_aside(folder).map_err(failed("set aside", &path))?);
        }
        return Ok(None);
    }
    let mut records = Records::new(BufReader::with_capacity(READ_BYTES, &file));
    while let Some(entry) = records.next().map_err(failed("read", &path))? {
        state.apply(entry);
    }
    let length = HEAD_BYTES as u64 + records.good();
    let all = file.metadata().map_err(failed("read", &path))?.len();
    report.cut = all.saturating_sub(length);
    cut(&file, length).map_err(failed("cut", &path))?;
    Ok(Some((file, length)))
}

/// Ends the file after `length` bytes and goes there.
fn cut(mut file: &File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(drop)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    move |cause| JournalError::Io { doing, path: path.to_owned(), cause }
}
