//! Changes of a stored list since it was last written whole: lines `<CRC-32 of the rest, 8 hex digits> <JSON>`.
//!
//! The first names the file that they change, by length and checksum; each further one puts an element at its place, behind
//! the last or over an older one. Before a new whole file takes the old one's place, a last line names it: what is found
//! beside that file then has been taken in already. A line that is not there to its end was never written.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A whole file: its length in bytes and its CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub len: u64,
    pub crc: u32,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    put: Option<usize>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    element: Option<&'a RawValue>,
}

/// The line that names the file that is changed.
pub fn base(identity: Identity, out: &mut Vec<u8>) {
    line(format!("{{\"base\":{}}}", json(identity)).as_bytes(), out);
}

/// The line that names the file that takes its place.
pub fn next(identity: Identity, out: &mut Vec<u8>) {
    line(format!("{{\"next\":{}}}", json(identity)).as_bytes(), out);
}

/// The line that puts an element, JSON without line ends, at `index`; gives the place of the element in `out`.
pub fn put(index: usize, element: &[u8], out: &mut Vec<u8>) -> usize {
    let mut text = format!("{{\"put\":{index},\"element\":").into_bytes();
    let at = out.len() + HEAD + text.len();
    text.extend_from_slice(element);
    text.push(b'}');
    line(&text, out);
    at
}

/// Checksum and space.
const HEAD: usize = 9;

fn line(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(text)).as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

fn json(identity: Identity) -> String {
    let Identity { len, crc } = identity;
    format!("{{\"len\":{len},\"crc\":{crc}}}")
}

/// What was found in the changes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// All of them are taken in now, or had been before.
    Used,
    /// They belong to another file, or are damaged from some line on.
    Unread,
}

/// Reads the changes of `file`; `take` gets index, element and the element's place, and says whether it could use it.
///
/// # Errors
/// What the input reports.
pub fn read(
    mut input: impl BufRead,
    file: Identity,
    mut take: impl FnMut(usize, &[u8], u64) -> bool,
) -> io::Result<Found> {
    let (mut at, mut text, mut begun, mut unread) = (0_u64, Vec::new(), false, false);
    loop {
        text.clear();
        let len = input.read_until(b'\n', &mut text)?;
        if text.pop_if(|last| *last == b'\n').is_none() && checked(&text).is_none() {
            // What comes before the first whole line of another file's changes is nothing.
            return Ok(if unread { Found::Unread } else { Found::Used });
        }
        let Some(Line { base, next, put, element }) = checked(&text) else { return Ok(Found::Unread) };
        match (base, next, put, element) {
            (Some(base), None, None, None) if !begun => {
                begun = true;
                unread = base != file;
            }
            (None, Some(next), None, None) if begun && next == file => return Ok(Found::Used),
            (None, Some(_), None, None) if begun => {}
            (None, None, Some(_), Some(_)) if unread => {}
            (None, None, Some(index), Some(element)) if begun => {
                let inner = element.get().as_ptr() as usize - text.as_ptr() as usize;
                if !take(index, element.get().as_bytes(), at + inner as u64) {
                    return Ok(Found::Unread);
                }
            }
            _ => return Ok(Found::Unread),
        }
        at += len as u64;
    }
}

fn checked(text: &[u8]) -> Option<Line<'_>> {
    let (head, rest) = text.split_at_checked(HEAD)?;
    let sum = std::str::from_utf8(head).ok()?.strip_suffix(' ')?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (sum == crc32fast::hash(rest)).then(|| serde_json::from_slice(rest).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Identity = Identity { len: 2, crc: 7 };
    const NEW: Identity = Identity { len: 9, crc: 8 };

    fn changes() -> Vec<u8> {
        let mut all = Vec::new();
        base(FILE, &mut all);
        for index in 0..3 {
            let element = format!("{{\"n\":{index}}}");
            let at = put(index, element.as_bytes(), &mut all);
            assert!(all[at..].starts_with(element.as_bytes()));
        }
        next(NEW, &mut all);
        all
    }

    fn taken(bytes: &[u8], file: Identity) -> (Found, usize) {
        let mut count = 0;
        let found = read(bytes, file, |index, element, at| {
            assert_eq!(index, count);
            assert!(bytes[at as usize..].starts_with(element));
            count += 1;
            true
        });
        (found.expect("readable"), count)
    }

    #[test]
    fn what_was_written_whole_is_read_wherever_the_process_was_killed() {
        let all = changes();
        let mut before = 0;
        for end in 0..=all.len() {
            // A line that lacks nothing but its end counts.
            let lines = all[..(end + 1).min(all.len())].iter().filter(|byte| **byte == b'\n').count();
            let (found, count) = taken(&all[..end], FILE);
            assert_eq!((found, count), (Found::Used, lines.saturating_sub(1).min(3)), "{end}");
            assert!(count >= before);
            before = count;
        }
    }

    #[test]
    fn changes_of_another_file_are_left_alone() {
        let all = changes();
        assert_eq!(taken(&all, Identity { len: 3, crc: 7 }), (Found::Unread, 0));
        // Taken in by the file that they led to.
        assert_eq!(taken(&all, NEW), (Found::Used, 0));
    }

    #[test]
    fn damage_ends_the_reading_at_the_damaged_line() {
        let all = changes();
        for at in 0..all.len() {
            let mut damaged = all.clone();
            damaged[at] ^= 1;
            let line = all[..at].iter().filter(|byte| **byte == b'\n').count();
            let (found, count) = taken(&damaged, FILE);
            assert!(count <= line.saturating_sub(1).min(3), "{at}");
            // The end of the last line may look like one that was never written.
            assert!(found == Found::Unread || at == all.len() - 1, "{at}");
        }
    }
}
