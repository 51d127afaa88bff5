use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::ptr::NonNull;

/// Memory of this process alone, zeroed, page aligned, and costing nothing until it is touched.
#[derive(Debug)]
pub(in crate::transport) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory without ties to a thread; what it holds is reached through `Region` only.
unsafe impl Send for Mapping {}
// SAFETY: as above; `Mapping` itself reads and writes nothing.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `len` bytes.
    pub(in crate::transport) fn anonymous(len: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), len, access, MapFlags::PRIVATE)? };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { base, len };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: advice about our own mapping; a kernel without huge pages refuses it, which is as good.
        let _ = unsafe { madvise(mapping.base.as_ptr().cast(), len, Advice::LinuxNoHugepage) };
        Ok(mapping)
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
