//! The object store: contents by their hash. libgit2 reads it, packs included; we write it, one compressed file an object.
//!
//! Own writing, because libgit2 writes only through a repository it has opened, and because contents larger than memory are
//! hashed and compressed while they are read. Writers hold the repository's lock, so that one temporary file is enough.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Odb, OdbLookupFlags, Oid};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::ShadowError;

/// Contents up to this size, in bytes, are handled in memory.
const IN_MEMORY: u64 = 1 << 20;
const TEMPORARY: &str = "tmp_obj_lapce-ai";
const CHUNK: usize = 64 << 10;

pub(super) struct Objects {
    odb: Odb<'static>,
    folder: PathBuf,
}

impl Objects {
    /// The objects in a repository's `objects` folder.
    pub(super) fn open(folder: PathBuf) -> Result<Objects, ShadowError> {
        let odb = Odb::new()?;
        let path = folder.to_str().ok_or_else(|| ShadowError::Damaged {
            git_dir: folder.clone(),
            what: "its path is not UTF-8".to_owned(),
        })?;
        odb.add_disk_alternate(path)?;
        Ok(Objects { odb, folder })
    }

    pub(super) fn exists(&self, id: Oid) -> bool {
        self.loose(id).is_file() || self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH)
    }

    /// An object's content; fails when it is of another type.
    pub(super) fn read(&self, id: Oid, kind: ObjectType) -> Result<Vec<u8>, ShadowError> {
        let object = self.odb.read(id)?;
        if object.kind() != kind {
            return Err(git2::Error::from_str(&format!("{id} is no {kind}")).into());
        }
        Ok(object.data().to_vec())
    }

    /// A content's size in bytes. Fails when there is no such content.
    pub(super) fn size(&self, id: Oid) -> Result<u64, ShadowError> {
        let (size, kind) = self.odb.read_header(id)?;
        if kind != ObjectType::Blob {
            return Err(git2::Error::from_str(&format!("{id} is no {}", ObjectType::Blob)).into());
        }
        Ok(size as u64)
    }

    /// The first `limit` bytes of a content.
    pub(super) fn head(&self, id: Oid, limit: u64) -> Result<Vec<u8>, ShadowError> {
        let mut head = Vec::new();
        if let Ok((reader, ..)) = self.odb.reader(id)
            && reader.take(limit).read_to_end(&mut head).is_ok()
        {
            return Ok(head);
        }
        let mut content = self.read(id, ObjectType::Blob)?;
        content.truncate(limit as usize);
        Ok(content)
    }

    /// Writes a content to `to`; a large one does not pass through memory as a whole, unless it lies in a pack.
    pub(super) fn copy(&self, id: Oid, to: &mut File) -> Result<io::Result<()>, ShadowError> {
        if self.size(id)? > IN_MEMORY
            && let Ok((mut reader, ..)) = self.odb.reader(id)
        {
            return Ok(io::copy(&mut reader, to).map(drop));
        }
        let content = self.read(id, ObjectType::Blob)?;
        Ok(to.write_all(&content))
    }

    /// The objects whose id begins so; `None`: none.
    pub(super) fn complete(&self, prefix: &str) -> Result<Option<Oid>, git2::Error> {
        match self.odb.exists_prefix(Oid::from_str(prefix)?, prefix.len()) {
            Ok(id) => Ok(Some(id)),
            Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Stores an object, unless it is there.
    pub(super) fn write(&self, kind: ObjectType, content: &[u8]) -> Result<Oid, ShadowError> {
        let header = header(kind, content.len() as u64);
        let id = finish({
            let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            hash.update(&header);
            hash.update(content);
            hash
        })?;
        if !self.exists(id) {
            let mut file = self.temporary()?;
            let failed = |e| ShadowError::io("write", &self.folder)(e);
            let mut compressed = ZlibEncoder::new(Vec::with_capacity(content.len() / 2 + 64), Compression::fast());
            compressed.write_all(&header).and_then(|()| compressed.write_all(content)).map_err(failed)?;
            let compressed = compressed.finish().map_err(failed)?;
            file.write_all(&compressed).map_err(failed)?;
            drop(file);
            self.keep(id)?;
        }
        Ok(id)
    }

    /// Stores the `size` bytes that `content` has. The inner error is that of reading, also when it has more or less.
    pub(super) fn write_from(&self, content: &mut File, size: u64) -> Result<io::Result<Oid>, ShadowError> {
        if size <= IN_MEMORY {
            return match read_exactly(content, size) {
                Ok(content) => self.write(ObjectType::Blob, &content).map(Ok),
                Err(e) => Ok(Err(e)),
            };
        }
        let mut file = ZlibEncoder::new(self.temporary()?, Compression::fast());
        let failed = |e| ShadowError::io("write", &self.folder)(e);
        file.write_all(&header(ObjectType::Blob, size)).map_err(failed)?;
        let mut write_error = None;
        let id = hash_with(content, size, |chunk| file.write_all(chunk).map_err(|e| write_error = Some(e)).is_ok());
        if let Some(error) = write_error {
            return Err(failed(error));
        }
        let id = match id? {
            Ok(id) => id,
            Err(e) => return Ok(Err(e)),
        };
        file.finish().map_err(failed)?;
        if !self.exists(id) {
            self.keep(id)?;
        }
        Ok(Ok(id))
    }

    fn temporary(&self) -> Result<File, ShadowError> {
        let path = self.folder.join(TEMPORARY);
        File::create(&path).map_err(ShadowError::io("create", &path))
    }

    /// Moves the temporary file to where its object belongs.
    fn keep(&self, id: Oid) -> Result<(), ShadowError> {
        let (from, to) = (self.folder.join(TEMPORARY), self.loose(id));
        let moved = fs::rename(&from, &to).or_else(|e| match (e.kind(), to.parent()) {
            (io::ErrorKind::NotFound, Some(folder)) => fs::create_dir_all(folder).and_then(|()| fs::rename(&from, &to)),
            _ => Err(e),
        });
        moved.map_err(ShadowError::io("write", &to))
    }

    fn loose(&self, id: Oid) -> PathBuf {
        let id = id.to_string();
        let (folder, name) = id.split_at(2);
        let mut path = PathBuf::with_capacity(self.folder.as_os_str().len() + 43);
        path.push(&self.folder);
        path.push(Path::new(folder));
        path.push(name);
        path
    }
}

/// The id that the `size` bytes of `content` have. The inner error is that of reading, also when it has more or less.
pub(super) fn hash_from(content: &mut File, size: u64) -> Result<io::Result<Oid>, ShadowError> {
    hash_with(content, size, |_| true)
}

/// The id of a content in memory.
pub(super) fn hash(content: &[u8]) -> Result<Oid, ShadowError> {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(&header(ObjectType::Blob, content.len() as u64));
    hash.update(content);
    finish(hash)
}

/// Hashes while it hands every chunk to `each`; ends early when that answers `false`.
fn hash_with(
    content: &mut File,
    size: u64,
    mut each: impl FnMut(&[u8]) -> bool,
) -> Result<io::Result<Oid>, ShadowError> {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(&header(ObjectType::Blob, size));
    let mut buffer = vec![0; CHUNK.min(size as usize + 1)];
    let mut left = size;
    loop {
        let count = match content.read(&mut buffer) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Ok(Err(e)),
        };
        if count as u64 > left || (count == 0 && left > 0) {
            return Ok(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let chunk = buffer.get(..count).unwrap_or(b"");
        if count == 0 || !each(chunk) {
            return finish(hash).map(Ok);
        }
        hash.update(chunk);
        left -= count as u64;
    }
}

fn read_exactly(content: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(size as usize + 1);
    content.take(size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn header(kind: ObjectType, size: u64) -> Vec<u8> {
    format!("{} {size}\0", kind.str()).into_bytes()
}

fn finish(hash: Context) -> Result<Oid, ShadowError> {
    Ok(Oid::from_bytes(hash.finish().as_ref())?)
}
