#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::mm::{Advice, madvise};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

/// Mapped memory, page aligned: this process's own, or an object that both ends map.
#[derive(Debug)]
pub(in crate::transport) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

/// What this side may do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Access {
    /// Its own: read and write, seen by the other side.
    Own,
    /// The other side's, which may change under us.
    Peer,
    /// Nobody can change it any more.
    Frozen,
}

// SAFETY: the mapping is plain memory without ties to a thread; what it holds is reached through `Region` only.
unsafe impl Send for Mapping {}
// SAFETY: as above; `Mapping` itself reads and writes nothing.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes of this process alone, zeroed, costing nothing until they are touched.
    pub(in crate::transport) fn anonymous(len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, len };
        mapping.use_small_pages();
        Ok(mapping)
    }

    /// The first `len` bytes of an object. The caller has made sure that it is that large and cannot shrink: reading
    /// behind its end would kill the process.
    pub(in crate::transport) fn of(object: BorrowedFd<'_>, len: usize, access: Access) -> io::Result<Self> {
        let (protection, flags) = match access {
            Access::Own => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Access::Peer => (ProtFlags::READ, MapFlags::SHARED),
            Access::Frozen => (ProtFlags::READ, MapFlags::PRIVATE),
        };
        // SAFETY: a new mapping at an address of the kernel's choice aliases nothing of ours.
        let base = unsafe { mmap(std::ptr::null_mut(), len, protection, flags, object, 0)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, len };
        if access != Access::Frozen {
            mapping.use_small_pages();
            // A forked child must not write into a ring that its parent uses.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            // SAFETY: advice about our own mapping, which the child does not use: every entry point refuses it there.
            unsafe {
                madvise(mapping.base.as_ptr().cast(), len, Advice::LinuxDontFork)?
            };
            #[cfg(target_vendor = "apple")]
            // SAFETY: as above; it fails for no mapping of ours.
            let _ = unsafe { libc::minherit(mapping.base.as_ptr().cast(), len, libc::VM_INHERIT_NONE) };
        }
        Ok(mapping)
    }

    fn use_small_pages(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: advice about our own mapping; a kernel without huge pages refuses it, which is as good.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.len, Advice::LinuxNoHugepage) };
    }

    pub(in crate::transport) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(in crate::transport) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `mmap` with this length; every pointer into it holds an `Arc` of this mapping.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}
