//! Reading text files (spec 05 §3): lines, line counts, the binary test, extracted text.
//!
//! Only regular files are read, opened so that a pipe or device can never block. Counting lines and reading a range stream
//! through the file in fixed memory; a text that is returned is at most [`MAX_TEXT`] bytes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::documents::{self, Document, DocumentError};

/// Most bytes of text that one call returns.
pub const MAX_TEXT: u64 = 64 << 20;

/// Bytes of a file that the binary test looks at.
const BINARY_WINDOW: u64 = 512;

/// Why a file cannot be read. `Display` is for logs; what a model or user reads is worded by the tools.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{}: no such file", .0.display())]
    NotFound(PathBuf),
    /// It is a folder.
    #[error("{}: is a directory", .0.display())]
    IsDirectory(PathBuf),
    /// It is a pipe, socket or device.
    #[error("{}: not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// The file ends before line `start` (0-based).
    #[error("{}: no line with index {start}", path.display())]
    OutOfRange {
        /// First line asked for.
        start: u64,
        /// Which file.
        path: PathBuf,
    },
    /// The range ends before it starts.
    #[error("range {start} to {end} is reversed")]
    ReversedRange {
        /// First line asked for.
        start: f64,
        /// Last line asked for.
        end: f64,
    },
    /// A line limit that is no positive whole number.
    #[error("a line limit must be a positive whole number")]
    BadLimit,
    /// Binary data of no kind that can be turned into text; the extension with its dot.
    #[error("binary file of kind `{0}`")]
    Binary(String),
    /// More text than [`MAX_TEXT`].
    #[error("{}: more than {MAX_TEXT} bytes of text", .0.display())]
    TooLarge(PathBuf),
    /// A PDF, DOCX, XLSX or IPYNB that cannot be understood.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Anything else the system reports.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// Text of a file as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// The text, without line numbers.
    pub text: String,
    /// Whether it is shown with line numbers (a spreadsheet is not).
    pub numbered: bool,
    /// Set when a limit cut the text.
    pub cut: Option<Cut>,
}

/// How much of a file a limit left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Lines shown.
    pub shown: u64,
    /// Lines of the file.
    pub total: u64,
}

/// Number of lines ended by LF, CRLF or a lone CR; a final line end adds none (spec 05 §3.2).
pub fn count_lines(path: &Path) -> Result<u64, ReadError> {
    let mut reader = BufReader::with_capacity(64 << 10, open(path)?);
    let (mut lines, mut last) = (0, b'\n');
    loop {
        let buffer = reader.fill_buf().map_err(|cause| io_error(path, cause))?;
        if buffer.is_empty() {
            break;
        }
        for end in memchr::memchr2_iter(b'\n', b'\r', buffer) {
            let previous = if end == 0 { last } else { buffer[end - 1] };
            // The LF of a CRLF was counted with its CR.
            if !(buffer[end] == b'\n' && previous == b'\r') {
                lines += 1;
            }
        }
        last = buffer[buffer.len() - 1];
        // A file that starts with LF has no CR before it: `last` starts as LF for that, and for the empty file.
        let read = buffer.len();
        reader.consume(read);
    }
    Ok(if matches!(last, b'\n' | b'\r') { lines } else { lines + 1 })
}

/// The lines `start` to `end` (0-based, both included) with their line ends (spec 05 §3.3). Only LF ends a line; fractions
/// are cut off, a negative start is 0, an end behind the last line is no error.
pub fn read_lines(path: &Path, end: Option<f64>, start: Option<f64>) -> Result<String, ReadError> {
    let start = start.map_or(0.0, f64::floor).max(0.0);
    let end = end.map(f64::floor);
    if let Some(end) = end.filter(|end| start > *end) {
        return Err(ReadError::ReversedRange { start, end });
    }
    // Saturating casts: an infinite end is the last line there can be.
    let (first, last) = (start as u64, end.map_or(u64::MAX, |end| end as u64));
    let mut reader = BufReader::with_capacity(64 << 10, open(path)?);
    let (mut line, mut at_start, mut out) = (0, true, Vec::new());
    let mut found = false;
    while line <= last {
        let buffer = reader.fill_buf().map_err(|cause| io_error(path, cause))?;
        if buffer.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = &buffer[..end.map_or(buffer.len(), |end| end + 1)];
        if line >= first {
            found |= at_start || !piece.is_empty();
            if (out.len() + piece.len()) as u64 > MAX_TEXT {
                return Err(ReadError::TooLarge(path.to_owned()));
            }
            out.extend_from_slice(piece);
        }
        at_start = end.is_some();
        line += u64::from(at_start);
        let read = piece.len();
        reader.consume(read);
    }
    if !found {
        return Err(ReadError::OutOfRange { start: first, path: path.to_owned() });
    }
    Ok(into_text(out))
}

/// Whether the file holds something else than text, judged by its first 512 bytes (spec 05 §3.1).
pub fn is_binary(path: &Path) -> Result<bool, ReadError> {
    Ok(looks_binary(&head(path)?))
}

/// The text of a file (spec 05 §3.4): a document's text, or the file itself. With `max_lines` (a positive
/// whole number, or −1 for all) a longer text file is cut; documents are not.
pub fn extract(path: &Path, max_lines: Option<f64>) -> Result<Extracted, ReadError> {
    let max_lines = match max_lines {
        None | Some(-1.0) => None,
        Some(max) if max >= 1.0 && max.fract() == 0.0 => Some(max),
        Some(_) => return Err(ReadError::BadLimit),
    };
    let head = head(path)?;
    if let Some(kind) = Document::of(path) {
        let text = documents::text(kind, read_all(path)?)?;
        return Ok(Extracted { text, numbered: kind != Document::Xlsx, cut: None });
    }
    if looks_binary(&head) {
        return Err(ReadError::Binary(extension(path)));
    }
    if let Some(max) = max_lines {
        let total = count_lines(path)?;
        if total > max as u64 {
            let text = read_lines(path, Some(max - 1.0), Some(0.0))?;
            return Ok(Extracted { text, numbered: true, cut: Some(Cut { shown: max as u64, total }) });
        }
    }
    Ok(Extracted { text: into_text(read_all(path)?), numbered: true, cut: None })
}

/// Size of a regular file in bytes.
pub fn size(path: &Path) -> Result<u64, ReadError> {
    Ok(open(path)?.metadata().map_err(|cause| io_error(path, cause))?.len())
}

/// The whole file, at most [`MAX_TEXT`] bytes.
pub fn read_all(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    open(path)?.take(MAX_TEXT + 1).read_to_end(&mut bytes).map_err(|cause| io_error(path, cause))?;
    if bytes.len() as u64 > MAX_TEXT { Err(ReadError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

/// A regular file of at most `limit` bytes, whole: for files of settings, which workspaces may bring. Never waits for a pipe.
///
/// # Errors
/// Of kind `NotFound`, `IsADirectory`, `InvalidInput` (a pipe, socket or device), `FileTooLarge`, or what the system says.
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path).map_err(|error| match error {
        ReadError::Io { cause, .. } => cause,
        ReadError::NotFound(_) => io::ErrorKind::NotFound.into(),
        ReadError::IsDirectory(_) => io::ErrorKind::IsADirectory.into(),
        _ => io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"),
    })?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The extension in lower case with its dot, empty when there is none.
pub fn extension(path: &Path) -> String {
    path.extension().map(|extension| format!(".{}", extension.to_string_lossy().to_lowercase())).unwrap_or_default()
}

/// Opens a regular file without ever blocking.
pub fn open(path: &Path) -> Result<File, ReadError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Opening a pipe waits for its writer otherwise; regular files are not affected.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    // Asked before opening too, because opening some devices has effects; and after it, because the name may change hands.
    let check = |metadata: std::fs::Metadata| match () {
        () if metadata.is_dir() => Err(ReadError::IsDirectory(path.to_owned())),
        () if !metadata.is_file() => Err(ReadError::NotRegular(path.to_owned())),
        () => Ok(()),
    };
    check(std::fs::metadata(path).map_err(|cause| io_error(path, cause))?)?;
    let file = options.open(path).map_err(|cause| io_error(path, cause))?;
    check(file.metadata().map_err(|cause| io_error(path, cause))?)?;
    Ok(file)
}

fn io_error(path: &Path, cause: io::Error) -> ReadError {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::NotFound(path.to_owned()),
        _ => ReadError::Io { path: path.to_owned(), cause },
    }
}

fn head(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut head = Vec::new();
    open(path)?.take(BINARY_WINDOW).read_to_end(&mut head).map_err(|cause| io_error(path, cause))?;
    Ok(head)
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The binary test of spec 05 §3.1 on the first bytes of a file.
fn looks_binary(head: &[u8]) -> bool {
    const TEXT_MARKS: [&[u8]; 4] =
        [&[0xef, 0xbb, 0xbf], &[0, 0, 0xfe, 0xff], &[0xff, 0xfe, 0, 0], &[0x84, 0x31, 0x95, 0x33]];
    if head.is_empty() || TEXT_MARKS.iter().any(|mark| head.starts_with(mark)) {
        return false;
    }
    if head.starts_with(b"%PDF-") {
        return true;
    }
    if head.starts_with(&[0xfe, 0xff]) || head.starts_with(&[0xff, 0xfe]) {
        return false;
    }
    let (mut suspect, mut i) = (0, 0);
    while let Some(&byte) = head.get(i) {
        if byte == 0 {
            return true;
        }
        if !(7..=14).contains(&byte) && !(32..=127).contains(&byte) {
            let (well_formed, consumed) = utf8_sequence(byte, &head[i + 1..]);
            i += consumed;
            if !well_formed {
                suspect += 1;
                if i >= 32 && 100 * suspect > 10 * head.len() {
                    return true;
                }
            }
        }
        i += 1;
    }
    100 * suspect > 10 * head.len() || suspect > 1 && is_protobuf(head)
}

/// Whether `lead` and what follows form a UTF-8 sequence by their bit patterns, and how many following bytes that used up.
fn utf8_sequence(lead: u8, rest: &[u8]) -> (bool, usize) {
    let needed = match lead {
        0xc0..=0xdf => 1,
        0xe0..=0xef => 2,
        0xf0..=0xf7 => 3,
        _ => return (false, 0),
    };
    match rest.get(..needed) {
        Some(following) if following.iter().all(|byte| byte & 0xc0 == 0x80) => (true, needed),
        // The reference moves on by one byte before it looks at the further ones of a longer sequence.
        Some(following) if needed > 1 && following[0] & 0xc0 == 0x80 => (false, 1),
        _ => (false, 0),
    }
}

/// Whether the bytes are protobuf fields, at least one of them complete and the last maybe cut.
fn is_protobuf(bytes: &[u8]) -> bool {
    /// The number at the front and how many bytes it takes; `None` when it is cut.
    fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
        let mut value = 0u64;
        for (i, byte) in bytes.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some((value, i + 1));
            }
        }
        None
    }
    let (mut at, mut fields) = (0usize, 0);
    while let Some((key, key_len)) = bytes.get(at..).filter(|rest| !rest.is_empty()).and_then(varint) {
        let rest = &bytes[at + key_len..];
        let len = match key & 7 {
            0 => varint(rest).map(|(_, len)| len as u64),
            1 => Some(8),
            2 => varint(rest).map(|(size, len)| size.saturating_add(len as u64)),
            5 => Some(4),
            _ => return false,
        };
        match len.filter(|len| *len <= rest.len() as u64) {
            Some(len) => at += key_len + len as usize,
            None => break,
        }
        fields += 1;
    }
    fields > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), content).expect("written");
        file
    }

    #[test]
    fn lines_are_counted_by_every_line_end() {
        for (text, lines) in
            [("", 0), ("\n", 1), ("a", 1), ("a\n", 1), ("a\nb", 2), ("a\r\nb\r\n", 2), ("a\rb\nc", 3), ("\r\n\r", 2)]
        {
            assert_eq!(count_lines(file(text.as_bytes()).path()).expect("counted"), lines, "{text:?}");
        }
        let across_buffers = "x".repeat((64 << 10) - 1) + "\r\ny";
        assert_eq!(count_lines(file(across_buffers.as_bytes()).path()).expect("counted"), 2);
    }

    #[test]
    fn small_files_are_read_whole_or_not_at_all() {
        let file = file(b"12345");
        assert_eq!(read_at_most(file.path(), 5).expect("read"), b"12345");
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| read_at_most(path, 4).expect_err("refused").kind();
        assert_eq!(refused(file.path()), io::ErrorKind::FileTooLarge);
        assert_eq!(refused(&folder.path().join("none")), io::ErrorKind::NotFound);
        assert_eq!(refused(folder.path()), io::ErrorKind::IsADirectory);
        #[cfg(unix)]
        {
            let pipe = folder.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("a program").success());
            assert_eq!(refused(&pipe), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn ranges_of_lines() {
        let file = file("a\r\nb\n日本".as_bytes());
        for (end, start, expected) in [
            (None, None, "a\r\nb\n日本"),
            (Some(0.9), None, "a\r\n"),
            (Some(1.0), Some(1.0), "b\n"),
            (Some(f64::INFINITY), Some(2.0), "日本"),
            (Some(0.0), Some(-3.0), "a\r\n"),
        ] {
            assert_eq!(read_lines(file.path(), end, start).expect("read"), expected);
        }
        assert!(matches!(read_lines(file.path(), Some(9.0), Some(3.0)), Err(ReadError::OutOfRange { start: 3, .. })));
        assert!(matches!(read_lines(file.path(), Some(1.0), Some(2.0)), Err(ReadError::ReversedRange { .. })));
    }

    #[test]
    fn characters_across_buffers_stay_whole() {
        let text = "x".repeat((64 << 10) - 1) + "日本\n";
        assert_eq!(read_lines(file(text.as_bytes()).path(), None, None).expect("read"), text);
    }

    #[test]
    fn binary_and_text() {
        for (bytes, binary) in [
            (&b""[..], false),
            (b"text\n", false),
            (b"\xef\xbb\xbf\0", false),
            (b"%PDF-1.4", true),
            (b"\xff\xfea\0", false),
            (b"a\0b", true),
            ("日本語のテキスト🚀".as_bytes(), false),
            (b"\x01\x02\x03abc", true),
            (b"latin \xe9t\xe9 text that is long enough to be taken for text", false),
        ] {
            assert_eq!(is_binary(file(bytes).path()).expect("read"), binary, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(count_lines(folder.path()), Err(ReadError::IsDirectory(_))));
        assert!(matches!(count_lines(&folder.path().join("none")), Err(ReadError::NotFound(_))));
        #[cfg(unix)]
        {
            let pipe = folder.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("a program").success());
            assert!(matches!(count_lines(&pipe), Err(ReadError::NotRegular(_))));
            assert!(matches!(extract(Path::new("/dev/zero"), None), Err(ReadError::NotRegular(_))));
            std::os::unix::fs::symlink("loop", folder.path().join("loop")).expect("linked");
            assert!(matches!(count_lines(&folder.path().join("loop")), Err(ReadError::Io { .. })));
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let cut = extract(file(b"a\nb\nc\n").path(), Some(2.0)).expect("read");
        let expected = Extracted { text: "a\nb\n".into(), numbered: true, cut: Some(Cut { shown: 2, total: 3 }) };
        assert_eq!(cut, expected);
        assert!(matches!(extract(file(b"a").path(), Some(0.0)), Err(ReadError::BadLimit)));
        assert!(matches!(extract(file(b"a\0").path(), None), Err(ReadError::Binary(_))));
        assert_eq!(extract(file(b"0123456789\xff").path(), None).expect("read").text, "0123456789\u{fffd}");
    }
}
