//! A list of objects on disk: `<name>`, a JSON array, and beside it the changes since it was written whole (`delta`).
//!
//! A change costs what is new, not what is there: the whole file is written again when the changes have grown as large as
//! it, when it is small, or when somebody else may want to read it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::atomic::replace;
use super::delta::{self, Found, Identity};
use super::split::Objects;

/// A list up to this size is always written whole.
const SMALL: u64 = 256 << 10;
/// Bytes that are read or written at once.
const BUFFER: usize = 64 << 10;

/// Where an element stands on disk. It stays readable as long as this is held, whatever becomes of the file's name.
#[derive(Clone, Debug)]
pub struct Place {
    file: Arc<File>,
    at: u64,
    len: usize,
}

impl Place {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The element as JSON.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        read_exact_at(&self.file, &mut bytes, self.at)?;
        Ok(bytes)
    }
}

/// An element to be written.
pub enum Piece {
    /// As it stands on disk.
    Stored(Place),
    /// As JSON.
    Fresh(Vec<u8>),
}

/// The list.
pub struct ArrayFile {
    folder: PathBuf,
    name: &'static str,
    /// What this program wrote; `None` before the first time.
    written: Option<Written>,
    /// Changes were found that could not be read: they are kept under another name.
    keep_changes: bool,
}

struct Written {
    whole: Identity,
    changes: Option<(Arc<File>, u64)>,
}

impl ArrayFile {
    pub fn new(folder: PathBuf, name: &'static str) -> ArrayFile {
        ArrayFile { folder, name, written: None, keep_changes: false }
    }

    /// The changes that are on disk could not be read: they are not removed.
    pub fn keep_changes(&mut self) {
        self.keep_changes = true;
    }

    /// Whether `more` bytes of changes are better written with all the rest.
    pub fn wants_whole(&self, more: u64) -> bool {
        let Some(Written { whole, changes }) = &self.written else { return true };
        let changed = changes.as_ref().map_or(0, |(_, len)| *len) + more;
        whole.len + changed <= SMALL || changed >= whole.len
    }

    /// Whether the file lacks changes that were written beside it.
    pub fn has_changes(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.changes.is_some())
    }

    /// Writes changed elements beside the file: at their index, in rising order. Gives their places.
    ///
    /// # Errors
    /// What the file system reports; the list must then be written whole.
    pub fn put(&mut self, elements: &[(usize, Vec<u8>)]) -> io::Result<Vec<Place>> {
        let path = self.changes_path();
        // After a failure it is not known what the changes hold: the next write is a whole one.
        let Some(mut written) = self.written.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut bytes = Vec::with_capacity(elements.iter().map(|(_, element)| element.len() + 64).sum());
        let (file, at) = match written.changes.take() {
            Some(open) => open,
            None => {
                delta::base(written.whole, &mut bytes);
                let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
                (Arc::new(file), 0)
            }
        };
        let places: Vec<(u64, usize)> = elements
            .iter()
            .map(|(index, element)| (at + delta::put(*index, element, &mut bytes) as u64, element.len()))
            .collect();
        write_all_at(&file, &bytes, at)?;
        file.sync_data()?;
        written.changes = Some((file.clone(), at + bytes.len() as u64));
        self.written = Some(written);
        Ok(places.into_iter().map(|(at, len)| Place { file: file.clone(), at, len }).collect())
    }

    /// Writes all elements into a new file, which replaces the old one and its changes. Gives their places.
    ///
    /// # Errors
    /// What the file system reports; what was on disk is there unchanged.
    pub fn write(&mut self, elements: &[Piece], tag: &str) -> io::Result<Vec<Place>> {
        let mut places = Vec::with_capacity(elements.len());
        let changes = self.changes_path();
        let before = self.written.as_ref().and_then(|written| written.changes.clone());
        let (file, identity) = replace(
            &self.folder,
            self.name,
            tag,
            |file| {
                let mut out =
                    Out { inner: BufWriter::with_capacity(BUFFER, file), at: 0, sum: crc32fast::Hasher::new() };
                out.put(b"[")?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.put(b",")?;
                    }
                    let at = out.at;
                    match element {
                        Piece::Fresh(bytes) => out.put(bytes)?,
                        Piece::Stored(place) => out.copy(place)?,
                    }
                    places.push((at, (out.at - at) as usize));
                }
                out.put(b"]")?;
                out.inner.flush()?;
                Ok(Identity { len: out.at, crc: out.sum.finalize() })
            },
            |identity| {
                let Some((file, len)) = &before else { return Ok(()) };
                let mut line = Vec::new();
                delta::next(*identity, &mut line);
                write_all_at(file, &line, *len)
            },
        )?;
        if std::mem::take(&mut self.keep_changes) {
            let _ = std::fs::rename(&changes, self.folder.join(format!("{}.unread_{tag}", self.changes_name())));
        } else if before.is_some() || self.written.is_none() {
            let _ = std::fs::remove_file(&changes);
        }
        self.written = Some(Written { whole: identity, changes: None });
        let file = Arc::new(file);
        Ok(places.into_iter().map(|(at, len)| Place { file: file.clone(), at, len }).collect())
    }

    fn changes_name(&self) -> String {
        changes_name(self.name)
    }

    fn changes_path(&self) -> PathBuf {
        self.folder.join(self.changes_name())
    }
}

/// `ui_messages.json` → `ui_messages.delta`.
pub fn changes_name(name: &str) -> String {
    format!("{}.delta", name.strip_suffix(".json").unwrap_or(name))
}

/// Reads a list: `take` gets each element with its index and place, first those of the file, then the changes, which may put
/// one over an earlier one. It says whether it could use it.
///
/// # Errors
/// What the file system reports; [`io::ErrorKind::InvalidData`] when the file is not such a list or holds an element that
/// cannot be used.
pub fn read(folder: &Path, name: &str, mut take: impl FnMut(usize, &[u8], Place) -> bool) -> io::Result<Found> {
    // The changes first: a program that writes the list meanwhile puts new changes beside a new file only.
    let changes = match File::open(folder.join(changes_name(name))) {
        Ok(changes) => Some(Arc::new(changes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let file = Arc::new(File::open(folder.join(name))?);
    let mut objects = Objects::new(BufReader::with_capacity(BUFFER, &*file));
    let (mut object, mut count) = (Vec::new(), 0);
    while let Some(at) = objects.next_into(&mut object)? {
        if !take(count, &object, Place { file: file.clone(), at, len: object.len() }) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("element {count} is no message")));
        }
        count += 1;
    }
    let (len, crc) = objects.identity();
    let Some(changes) = changes else { return Ok(Found::Used) };
    let input = BufReader::with_capacity(BUFFER, &*changes);
    delta::read(input, Identity { len, crc }, |index, element, at| {
        let place = Place { file: changes.clone(), at, len: element.len() };
        let used = index <= count && take(index, element, place);
        count += usize::from(used && index == count);
        used
    })
}

struct Out<W: Write> {
    inner: BufWriter<W>,
    at: u64,
    sum: crc32fast::Hasher,
}

impl<W: Write> Out<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.at += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// A piece at a time: an element may hold pictures.
    fn copy(&mut self, place: &Place) -> io::Result<()> {
        let mut piece = vec![0; BUFFER.min(place.len)];
        let (mut at, end) = (place.at, place.at + place.len as u64);
        while at < end {
            let len = piece.len().min((end - at) as usize);
            read_exact_at(&place.file, &mut piece[..len], at)?;
            self.put(&piece[..len])?;
            at += len as u64;
        }
        Ok(())
    }
}

/// Never at the position of the handle, which all share.
#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[done..], at + done as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => done += read,
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], at + done as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(folder: &Path) -> (Vec<String>, Found) {
        let mut all: Vec<String> = Vec::new();
        let found = read(folder, "list.json", |index, element, place| {
            assert_eq!(place.read().expect("readable"), element);
            let text = String::from_utf8(element.to_vec()).expect("text");
            match all.get_mut(index) {
                Some(older) => *older = text,
                None => all.push(text),
            }
            true
        });
        (all, found.expect("a list"))
    }

    fn element(n: usize) -> Vec<u8> {
        format!("{{\"n\":{n}}}").into_bytes()
    }

    #[test]
    fn changes_are_read_over_the_file_and_taken_in_by_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut list = ArrayFile::new(folder.path().to_owned(), "list.json");
        assert!(list.wants_whole(0) && !list.has_changes());
        let mut places = list.write(&[Piece::Fresh(element(0)), Piece::Fresh(element(1))], "1").expect("written");
        assert_eq!(std::fs::read_to_string(folder.path().join("list.json")).expect("text"), r#"[{"n":0},{"n":1}]"#);
        places.extend(list.put(&[(2, element(2))]).expect("written"));
        let newer = list.put(&[(1, element(11)), (3, element(3))]).expect("written");
        places[1] = newer[0].clone();
        places.push(newer[1].clone());
        assert!(list.has_changes());
        let all = [0, 11, 2, 3].map(|n| String::from_utf8(element(n)).expect("text"));
        assert_eq!(read_all(folder.path()), (all.to_vec(), Found::Used));
        let pieces: Vec<Piece> = places.into_iter().map(Piece::Stored).collect();
        let places = list.write(&pieces, "2").expect("written");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("list.json")).expect("text"),
            format!("[{}]", all.join(","))
        );
        assert_eq!(std::fs::read_dir(folder.path()).expect("listable").count(), 1);
        assert_eq!(places[3].read().expect("readable"), element(3));
    }

    #[test]
    fn killed_between_the_new_file_and_the_end_of_its_changes_nothing_comes_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut list = ArrayFile::new(folder.path().to_owned(), "list.json");
        list.write(&[Piece::Fresh(element(0))], "1").expect("written");
        list.put(&[(0, element(1))]).expect("written");
        let changes = folder.path().join("list.delta");
        let copy = folder.path().join("copy");
        std::fs::hard_link(&changes, &copy).expect("linked");
        list.write(&[Piece::Fresh(element(2))], "2").expect("written");
        std::fs::rename(copy, &changes).expect("renamed");
        assert_eq!(read_all(folder.path()), (vec![r#"{"n":2}"#.to_owned()], Found::Used));
    }

    #[test]
    fn changes_that_cannot_be_read_are_kept_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut list = ArrayFile::new(folder.path().to_owned(), "list.json");
        list.write(&[Piece::Fresh(element(0))], "1").expect("written");
        list.put(&[(1, element(1))]).expect("written");
        list.put(&[(2, element(2))]).expect("written");
        let changes = folder.path().join("list.delta");
        let mut bytes = std::fs::read(&changes).expect("readable");
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&changes, &bytes).expect("writable");
        let (all, found) = read_all(folder.path());
        assert_eq!((all.len(), found), (2, Found::Unread));
        let mut again = ArrayFile::new(folder.path().to_owned(), "list.json");
        again.keep_changes();
        again.write(&[Piece::Fresh(element(0)), Piece::Fresh(element(1))], "9").expect("written");
        assert_eq!(std::fs::read(folder.path().join("list.delta.unread_9")).expect("kept"), bytes);
        assert!(!changes.exists());
    }
}
