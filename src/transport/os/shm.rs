//! Shared memory of macOS and other Unix systems without memfds: POSIX objects whose name is gone before anyone else is
//! told of them. The other side gets a descriptor that can only read. There are no seals: on Apple's systems an object is
//! sized once, elsewhere its maker could shrink it and so kill the reader, which a user can do to his processes anyway.
//! Written from documentation; run on Linux by the tests only.

use super::super::error::TransportError;
use super::memory::{Access, Mapping};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fstat, ftruncate};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::shm;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether a large body stays as it is once it was checked. Here its maker may keep a way to write it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::transport) const BLOBS_ARE_FROZEN: bool = false;

/// Objects are as large as the next page, of whatever size, demands.
const LARGEST_PAGE: u64 = 64 << 10;
/// Names tried before giving up. They are free unless a process of the same number died between making one and removing it.
const TRIES: u32 = 1000;

/// A zeroed region of `len` bytes that only this process can write, and the descriptor the other side may have.
pub(in crate::transport) fn create_region(len: usize) -> io::Result<(OwnedFd, Mapping)> {
    let (writable, readable) = create(len)?;
    Ok((readable, Mapping::of(writable.as_fd(), len, Access::Own)?))
}

/// The other side's region of `len` bytes, read-only.
///
/// # Errors
/// [`TransportError::Header`] naming what the object lacks.
pub(in crate::transport) fn open_region(object: BorrowedFd<'_>, len: usize) -> Result<Mapping, TransportError> {
    check_blob(object, len)?;
    Mapping::of(object, len, Access::Peer).map_err(|source| TransportError::System { what: "mapping a region", source })
}

/// A large body in an object that the other side cannot change.
pub(in crate::transport) fn create_blob(body: &[u8]) -> io::Result<OwnedFd> {
    let (writable, readable) = create(body.len())?;
    let mapping = Mapping::of(writable.as_fd(), body.len(), Access::Own)?;
    // SAFETY: a fresh mapping of this length, which nobody else knows of yet.
    unsafe { std::ptr::copy_nonoverlapping(body.as_ptr(), mapping.base().as_ptr(), body.len()) };
    Ok(readable)
}

/// Whether an object can be a large body, or a region, of `len` bytes.
///
/// # Errors
/// [`TransportError::Header`] naming what it lacks.
pub(in crate::transport) fn check_blob(object: BorrowedFd<'_>, len: usize) -> Result<(), TransportError> {
    let unfit = |field, found, expected| Err(TransportError::Header { field, found, expected });
    let asked = |source: Errno| TransportError::System { what: "fstat", source: source.into() };
    let access = fcntl_getfl(object).map_err(asked)? & OFlags::ACCMODE;
    if access != OFlags::RDONLY {
        return unfit("access", access.bits().into(), OFlags::RDONLY.bits().into());
    }
    let found = fstat(object).map_err(asked)?;
    // Only shared memory is of no type there; a file could block us or shrink.
    #[cfg(target_vendor = "apple")]
    if found.st_mode & libc::S_IFMT != 0 {
        return unfit("type", found.st_mode.into(), 0);
    }
    let size = u64::try_from(found.st_size).unwrap_or(0);
    if size < len as u64 || size >= len as u64 + LARGEST_PAGE {
        return unfit("size", size, len as u64);
    }
    Ok(())
}

/// A new object of `len` zeroes: the descriptor that can write it and the one that can only read.
fn create(len: usize) -> io::Result<(OwnedFd, OwnedFd)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    for _ in 0..TRIES {
        let name = format!("/lapce-ai-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let new = shm::OFlags::CREATE | shm::OFlags::EXCL | shm::OFlags::RDWR;
        let writable = match shm::open(name.as_str(), new, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => continue,
            made => made?,
        };
        let readable = shm::open(name.as_str(), shm::OFlags::RDONLY, Mode::empty());
        shm::unlink(name.as_str())?;
        let readable = readable?;
        for end in [&writable, &readable] {
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
        }
        ftruncate(&writable, len as u64)?;
        return Ok((writable, readable));
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(all(test, not(miri)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn byte(mapping: &Mapping, at: usize) -> *mut u8 {
        assert!(at < mapping.len());
        // SAFETY: inside of the mapping.
        unsafe { mapping.base().as_ptr().add(at) }
    }

    #[test]
    fn what_one_side_writes_the_other_reads_and_cannot_write() {
        let (object, ours) = create_region(5000).unwrap();
        let theirs = open_region(object.as_fd(), 5000).unwrap();
        // SAFETY: both are mapped, and no other thread knows of them.
        let seen = unsafe {
            byte(&ours, 4999).write_volatile(7);
            byte(&theirs, 4999).read_volatile()
        };
        assert_eq!(seen, 7);
        assert!(Mapping::of(object.as_fd(), 5000, Access::Own).is_err());
        assert!(ftruncate(&object, 1).is_err());
    }

    #[test]
    fn objects_that_do_not_fit_are_refused_by_name() {
        let body = create_blob(&[7; 9]).unwrap();
        check_blob(body.as_fd(), 9).unwrap();
        let (writable, _) = create(9).unwrap();
        for (object, len, field) in [(&body, 10, "size"), (&body, 1 << 20, "size"), (&writable, 9, "access")] {
            let error = check_blob(object.as_fd(), len).unwrap_err();
            assert!(matches!(error, TransportError::Header { field: found, .. } if found == field), "{error}");
        }
    }
}
