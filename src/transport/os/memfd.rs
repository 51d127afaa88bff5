//! Shared memory of Linux: memfds whose seals keep the peer from writing, and anyone from shrinking, what we map.

use super::super::error::TransportError;
use super::memory::{Access, Mapping};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate, memfd_create};
use rustix::io::{Errno, write};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a region must have: only maps made before the seal can write, and its size never changes.
const REGION: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);
/// What a large body must have: nothing of it ever changes.
const BLOB: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);
/// Magic of tmpfs, in which memfds live. Those of huge pages do not, and a fault in them may kill.
const TMPFS: u64 = 0x0102_1994;

/// Whether a large body stays as it is once it was checked.
pub(in crate::transport) const BLOBS_ARE_FROZEN: bool = true;

/// A zeroed region of `len` bytes that only this process can write, and the descriptor the other side may have.
pub(in crate::transport) fn create_region(len: usize) -> io::Result<(OwnedFd, Mapping)> {
    let object = create("lapce-ai ring")?;
    ftruncate(&object, len as u64)?;
    let mapping = Mapping::of(object.as_fd(), len, Access::Own)?;
    fcntl_add_seals(&object, REGION)?;
    Ok((object, mapping))
}

/// The other side's region of `len` bytes, read-only.
///
/// # Errors
/// [`TransportError::Header`] naming what the object lacks.
pub(in crate::transport) fn open_region(object: BorrowedFd<'_>, len: usize) -> Result<Mapping, TransportError> {
    check(object, REGION, len)?;
    Mapping::of(object, len, Access::Peer).map_err(|source| TransportError::System { what: "mapping a region", source })
}

/// A large body in an object that nobody can change.
pub(in crate::transport) fn create_blob(body: &[u8]) -> io::Result<OwnedFd> {
    let object = create("lapce-ai body")?;
    let mut rest = body;
    while !rest.is_empty() {
        match write(&object, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fcntl_add_seals(&object, BLOB)?;
    Ok(object)
}

/// Whether an object is a large body of `len` bytes.
///
/// # Errors
/// [`TransportError::Header`] naming what it lacks.
pub(in crate::transport) fn check_blob(object: BorrowedFd<'_>, len: usize) -> Result<(), TransportError> {
    check(object, BLOB, len)
}

fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Kernels before 6.3 do not know the flag.
        Err(Errno::INVAL) => Ok(memfd_create(name, flags)?),
        made => Ok(made?),
    }
}

/// Seals first: only a memfd has them, and asking for them cannot block, whatever the descriptor is of.
fn check(object: BorrowedFd<'_>, seals: SealFlags, len: usize) -> Result<(), TransportError> {
    let unfit = |field, found, expected| Err(TransportError::Header { field, found, expected });
    let found = fcntl_get_seals(object).unwrap_or(SealFlags::empty());
    if !found.contains(seals) {
        return unfit("seals", found.bits().into(), seals.bits().into());
    }
    let asked = |source: Errno| TransportError::System { what: "fstat", source: source.into() };
    let kind = fstatfs(object).map_err(asked)?.f_type as u64;
    if kind != TMPFS {
        return unfit("file system", kind, TMPFS);
    }
    let size = fstat(object).map_err(asked)?.st_size as u64;
    if size != len as u64 {
        return unfit("size", size, len as u64);
    }
    Ok(())
}

#[cfg(all(test, not(miri)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustix::io::pwrite;
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;

    fn byte(mapping: &Mapping, at: usize) -> *mut u8 {
        assert!(at < mapping.len());
        // SAFETY: inside of the mapping.
        unsafe { mapping.base().as_ptr().add(at) }
    }

    #[test]
    fn a_region_can_be_written_by_its_maker_alone_and_never_resized() {
        let (object, ours) = create_region(5000).unwrap();
        let theirs = open_region(object.as_fd(), 5000).unwrap();
        // SAFETY: both are mapped, and no other thread knows of them.
        let seen = unsafe {
            byte(&ours, 4999).write_volatile(7);
            byte(&theirs, 4999).read_volatile()
        };
        assert_eq!(seen, 7);
        let again = format!("/proc/self/fd/{}", object.as_raw_fd());
        let again = OwnedFd::from(OpenOptions::new().read(true).write(true).open(again).unwrap());
        for theirs in [&object, &again] {
            assert!(Mapping::of(theirs.as_fd(), 5000, Access::Own).is_err());
            assert_eq!(pwrite(theirs, &[1], 0), Err(Errno::PERM));
            assert_eq!(ftruncate(theirs, 4999), Err(Errno::PERM));
            assert_eq!(ftruncate(theirs, 5001), Err(Errno::PERM));
            assert_eq!(fcntl_add_seals(theirs, SealFlags::WRITE), Err(Errno::PERM));
        }
    }

    #[test]
    fn a_large_body_never_changes() {
        let object = create_blob(b"large").unwrap();
        check_blob(object.as_fd(), 5).unwrap();
        assert_eq!(pwrite(&object, b"x", 0), Err(Errno::PERM));
        assert_eq!(ftruncate(&object, 4), Err(Errno::PERM));
        assert!(Mapping::of(object.as_fd(), 5, Access::Own).is_err());
        let held = Mapping::of(object.as_fd(), 5, Access::Frozen).unwrap();
        // SAFETY: mapped.
        assert_eq!(unsafe { byte(&held, 4).read_volatile() }, b'e');
    }
}
