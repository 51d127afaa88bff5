//! Large bodies: what does not fit into a record travels beside the ring, and a record with [`FLAG_BLOB`] names it.
//!
//! In process a body is shared memory on the heap; across processes an object that its writer sealed, so that the reader
//! can use it without copying while nobody can change it.

use super::error::TransportError;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(unix)]
use super::channel::{BLOBS_LIMIT, Channel, Gone};
#[cfg(unix)]
use super::error::Breach;
#[cfg(unix)]
use super::layout::BlobsTaken;
#[cfg(unix)]
use super::os;
#[cfg(unix)]
use super::region::Shared;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(unix)]
use std::sync::atomic::Ordering;

/// Flag of a record whose body is the number (u64, little-endian) of a large body.
pub const FLAG_BLOB: u16 = 2;

/// Bytes of large requests that may wait for the engine.
pub(super) const REQUEST_LIMIT: usize = 64 << 20;
/// Bytes of large events that may wait for a client in another process.
#[cfg(unix)]
pub(super) const EVENT_LIMIT: usize = 256 << 20;

/// Writes large bodies, from any thread.
pub struct BlobWriter {
    way: WriterWay,
    /// Bytes that may wait for the reader.
    limit: usize,
}

enum WriterWay {
    Local(Arc<Shelf>),
    #[cfg(unix)]
    Channel {
        channel: Arc<Channel>,
        taken: Shared<BlobsTaken>,
        placed: Mutex<Placed>,
    },
}

/// Takes large bodies; by the thread or task that reads the records naming them.
pub struct BlobReader {
    way: ReaderWay,
}

enum ReaderWay {
    Local(Arc<Shelf>),
    #[cfg(unix)]
    Channel {
        channel: Arc<Channel>,
        taken: Shared<BlobsTaken>,
    },
}

/// A large body before it is sent: made once, it can be tried again, or go to several clients, without another copy.
#[derive(Clone)]
pub struct SealedBlob(Sealed);

#[derive(Clone)]
enum Sealed {
    Local(Arc<[u8]>),
    #[cfg(unix)]
    Object {
        file: Arc<OwnedFd>,
        len: usize,
    },
}

/// A large body that was received. It stays readable after both sides are gone.
#[derive(Clone)]
pub struct Blob(Held);

#[derive(Clone)]
enum Held {
    Local(Arc<[u8]>),
    #[cfg(unix)]
    Mapped(Arc<os::Mapping>),
}

/// Bodies on their way within this process.
#[derive(Default)]
struct Shelf(Mutex<Shelved>);

#[derive(Default)]
struct Shelved {
    last_number: u64,
    bytes: usize,
    bodies: HashMap<u64, Arc<[u8]>>,
}

/// What a writer has sent since the rings were made.
#[cfg(unix)]
#[derive(Default)]
struct Placed {
    count: u64,
    bytes: u64,
}

impl BlobWriter {
    /// Makes a body ready to be sent. Across processes this copies it into an object of its own: not under a claim.
    ///
    /// # Errors
    /// [`TransportError::TooLarge`], or [`TransportError::System`] for want of memory or descriptors.
    pub fn seal(&self, body: Vec<u8>) -> Result<SealedBlob, TransportError> {
        self.check_len(body.len())?;
        match &self.way {
            WriterWay::Local(_) => Ok(SealedBlob(Sealed::Local(body.into()))),
            #[cfg(unix)]
            WriterWay::Channel { .. } => {
                let refused = |source| TransportError::System { what: "memory for a large body", source };
                let file = Arc::new(os::create_blob(&body).map_err(refused)?);
                Ok(SealedBlob(Sealed::Object { file, len: body.len() }))
            }
        }
    }

    /// Sends a body and gives the number that its record carries. Claim the record before and commit it after: a body
    /// that no record names is never taken.
    ///
    /// # Errors
    /// [`TransportError::Full`]: the reader has too much to take yet; try again when it released records.
    /// [`TransportError::Lost`] and its like when there is no reader any more.
    pub fn place(&self, blob: &SealedBlob) -> Result<u64, TransportError> {
        self.check_len(blob.len())?;
        match (&self.way, &blob.0) {
            (WriterWay::Local(shelf), Sealed::Local(body)) => shelf.put(body.clone(), self.limit),
            #[cfg(unix)]
            (WriterWay::Channel { channel, taken, placed }, Sealed::Object { file, len }) => {
                let mut placed = placed.lock().unwrap_or_else(PoisonError::into_inner);
                // Each word is read once and checked for itself; who lies here harms what is sent to him.
                let (count, bytes) = (taken.count.load(Ordering::Acquire), taken.bytes.load(Ordering::Acquire));
                let (Some(waiting), Some(held)) = (placed.count.checked_sub(count), placed.bytes.checked_sub(bytes))
                else {
                    return Err(channel.cut_off(Gone::Broken(Breach::Released)).into());
                };
                let len = *len as u64;
                if waiting >= BLOBS_LIMIT as u64 || held.saturating_add(len) > self.limit as u64 {
                    return Err(TransportError::Full);
                }
                channel.send_blob(placed.count + 1, len, file.as_fd())?;
                placed.count += 1;
                placed.bytes += len;
                Ok(placed.count)
            }
            // Made for the other way: it goes there by a copy.
            #[cfg(unix)]
            (WriterWay::Channel { .. }, Sealed::Local(body)) => self.place(&self.seal(body.to_vec())?),
            #[cfg(unix)]
            (WriterWay::Local(shelf), Sealed::Object { file, len }) => {
                let refused = |source| TransportError::System { what: "mapping a large body", source };
                let held = Held::of(file.as_fd(), *len).map_err(refused)?;
                shelf.put(held.as_slice().into(), self.limit)
            }
        }
    }

    /// [`seal`](Self::seal) and [`place`](Self::place) in one.
    ///
    /// # Errors
    /// Of both.
    pub fn put(&self, body: Vec<u8>) -> Result<u64, TransportError> {
        self.place(&self.seal(body)?)
    }

    fn check_len(&self, len: usize) -> Result<(), TransportError> {
        if len <= self.limit { Ok(()) } else { Err(TransportError::TooLarge { len, max: self.limit }) }
    }

    /// Longest body, and most bytes that may wait for the reader.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl SealedBlob {
    /// Bytes.
    #[allow(clippy::len_without_is_empty)] // An empty body fits into any record.
    pub fn len(&self) -> usize {
        match &self.0 {
            Sealed::Local(body) => body.len(),
            #[cfg(unix)]
            Sealed::Object { len, .. } => *len,
        }
    }
}

impl fmt::Debug for SealedBlob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealedBlob({} bytes)", self.len())
    }
}

impl BlobReader {
    /// Takes the body out that a record names. `None`: there is none of that number, so the record is malformed. Never
    /// blocks; looks at the socket once when the body has not been seen yet.
    pub fn take(&self, number: u64) -> Option<Blob> {
        match &self.way {
            ReaderWay::Local(shelf) => shelf.take(number).map(|body| Blob(Held::Local(body))),
            #[cfg(unix)]
            ReaderWay::Channel { channel, taken } => {
                let arrived = channel.take(number).or_else(|| {
                    channel.drain();
                    channel.take(number)
                })?;
                // Only this reader writes these words. Release: behind the taking itself.
                taken.bytes.fetch_add(arrived.len as u64, Ordering::Release);
                taken.count.fetch_add(1, Ordering::Release);
                Held::of(arrived.file.as_fd(), arrived.len).ok().map(Blob)
            }
        }
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Blob({} bytes)", self.len())
    }
}

impl Held {
    /// A body in an object that was checked.
    #[cfg(unix)]
    fn of(object: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        if os::BLOBS_ARE_FROZEN {
            return Ok(Self::Mapped(Arc::new(os::Mapping::of(object, len, os::Access::Frozen)?)));
        }
        let mapping = os::Mapping::of(object, len, os::Access::Peer)?;
        let mut body = Vec::with_capacity(len);
        // SAFETY: mapped with this length, and `body` has room for it. A peer that still writes changes only which bytes
        // the copy gets.
        unsafe {
            std::ptr::copy_nonoverlapping(mapping.base().as_ptr(), body.as_mut_ptr(), len);
            body.set_len(len);
        }
        Ok(Self::Local(body.into()))
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Local(body) => body,
            #[cfg(unix)]
            // SAFETY: mapped as long as `self` holds it, of exactly that length, and never written: the object carries
            // the seals against writing and resizing, checked when it arrived or put on by ourselves.
            Self::Mapped(mapping) => unsafe { std::slice::from_raw_parts(mapping.base().as_ptr(), mapping.len()) },
        }
    }
}

impl Shelf {
    fn put(&self, body: Arc<[u8]>, limit: usize) -> Result<u64, TransportError> {
        let mut shelved = self.lock();
        if body.len() > limit - shelved.bytes.min(limit) {
            return Err(TransportError::Full);
        }
        shelved.last_number += 1;
        shelved.bytes += body.len();
        let number = shelved.last_number;
        shelved.bodies.insert(number, body);
        Ok(number)
    }

    fn take(&self, number: u64) -> Option<Arc<[u8]>> {
        let mut shelved = self.lock();
        let body = shelved.bodies.remove(&number)?;
        shelved.bytes -= body.len();
        Some(body)
    }

    fn lock(&self) -> MutexGuard<'_, Shelved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One direction within this process; `limit` bytes may wait.
pub(super) fn local(limit: usize) -> (BlobWriter, BlobReader) {
    let shelf = Arc::new(Shelf::default());
    (BlobWriter { way: WriterWay::Local(shelf.clone()), limit }, BlobReader { way: ReaderWay::Local(shelf) })
}

#[cfg(unix)]
impl BlobWriter {
    /// To the other process; `taken` is its word on what it took.
    pub(super) fn across(channel: Arc<Channel>, taken: Shared<BlobsTaken>, limit: usize) -> Self {
        Self { way: WriterWay::Channel { channel, taken, placed: Mutex::default() }, limit }
    }
}

#[cfg(unix)]
impl BlobReader {
    /// From the other process; `taken` is ours.
    pub(super) fn across(channel: Arc<Channel>, taken: Shared<BlobsTaken>) -> Self {
        Self { way: ReaderWay::Channel { channel, taken } }
    }
}
