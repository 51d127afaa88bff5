//! The file's form: a head, then records of `u32 length, u32 CRC-32, entry`, little-endian.
//!
//! A record counts when it is whole and its checksum holds. The first that does not ends the journal: it was being
//! written when the process or the machine stopped.

use std::io::{self, Read};

use super::entry::{Entry, MAX_ENTRY_BYTES};
use crate::protocol::abi::abi_hash;

/// Bytes before the first record.
pub const HEAD_BYTES: usize = 20;
/// Bytes of a record before its entry.
const RECORD_HEAD_BYTES: usize = 8;
/// Changes with the form of records or entries.
const VERSION: u32 = 1;

/// How every journal of this build begins. It holds the ABI hash, because bodies of events are in that form: what
/// another build wrote cannot be sent on.
pub fn head() -> [u8; HEAD_BYTES] {
    let mut head = *b"lai-jrnl____________";
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..].copy_from_slice(&abi_hash().to_le_bytes());
    head
}

/// Appends the record of `entry` to `to`. False, and `to` as it was, when the entry is too long.
pub fn write_record(entry: &Entry<'_>, to: &mut Vec<u8>) -> bool {
    let start = to.len();
    to.extend_from_slice(&[0; RECORD_HEAD_BYTES]);
    let body = to.len();
    if !entry.encode(to) {
        to.truncate(start);
        return false;
    }
    let length = (to.len() - body) as u32;
    let checksum = crc32fast::hash(&to[body..]);
    to[start..start + 4].copy_from_slice(&length.to_le_bytes());
    to[start + 4..body].copy_from_slice(&checksum.to_le_bytes());
    true
}

/// Reads entries, up to the first record that is torn or damaged.
pub struct Records<R> {
    from: R,
    good: u64,
    record: Vec<u8>,
}

impl<R: Read> Records<R> {
    /// Reads from behind the head.
    pub fn new(from: R) -> Records<R> {
        Records { from, good: 0, record: Vec::new() }
    }

    /// The next entry; `None` at the end of what counts.
    ///
    /// # Errors
    /// The file cannot be read, which says nothing about what it holds.
    pub fn next(&mut self) -> io::Result<Option<Entry<'static>>> {
        if !self.fill(RECORD_HEAD_BYTES)? {
            return Ok(None);
        }
        let word =
            |at: usize| self.record.get(at..at + 4).and_then(|w| w.try_into().ok()).map_or(0, u32::from_le_bytes);
        let (length, checksum) = (word(0) as usize, word(4));
        // No entry is empty; a length of 0 is the blank end of a file that was cut by a power failure.
        if length == 0 || length > MAX_ENTRY_BYTES || !self.fill(length)? || crc32fast::hash(&self.record) != checksum {
            return Ok(None);
        }
        let entry = Entry::decode(&self.record);
        if entry.is_some() {
            self.good += (RECORD_HEAD_BYTES + length) as u64;
        }
        Ok(entry)
    }

    /// Bytes of the records read so far. Meaningful as the end of what counts once [`next`](Self::next) gave `None`.
    pub fn good(&self) -> u64 {
        self.good
    }

    /// Reads exactly `bytes` into the record buffer, which grows only as far as there is something to read.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        self.record.clear();
        Ok(self.from.by_ref().take(bytes as u64).read_to_end(&mut self.record)? == bytes)
    }
}

/// The entries of the records in `bytes`, and how many bytes of them count. Any bytes are legal.
pub fn read(bytes: &[u8]) -> (Vec<Entry<'static>>, usize) {
    let mut records = Records::new(bytes);
    let mut entries = Vec::new();
    // Reading from memory does not fail.
    while let Ok(Some(entry)) = records.next() {
        entries.push(entry);
    }
    (entries, records.good() as usize)
}
