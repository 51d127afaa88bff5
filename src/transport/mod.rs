//! The way between a host and the engine: a pair of shared-memory rings per attached client, events out and
//! requests in, a bell for each side, and large bodies beside the rings.
//!
//! [`in_process()`] gives the two ends within a process; [`attach`] (Unix) gives them to two processes, where each side
//! maps the other's region read-only and one socket is bell, way of large bodies and sign of life. The ends are the same
//! types. [`EngineEnd`]: `events.claim(..)` / `publish(..)` and `blobs_out` from any thread, `requests.receive(..)` and
//! `blobs_in.take(..)` from one task, with the reader's file descriptor for tokio's `AsyncFd` (`requests.watch()`).
//! [`ClientEnd`]: `events.next(..)`, `release(n)`, `wait(..)` and `blobs_in` from one thread at a time,
//! `requests.submit(..)` and `blobs_out` from any.
//!
//! A body longer than `max_record()` is a large body: `seal` it, claim a record of 8 bytes with [`FLAG_BLOB`], `place` it,
//! write its number (u64, little-endian) into the claim, commit. Any of these may say `Full`; the sealed body can be kept
//! and tried again. The reader of such a record calls `blobs_in.take(number)`; `None` means a malformed record.
//!
//! Death: everything committed stays readable. When nothing is left, `next` and `receive` give [`TransportError::Lost`]
//! (gone without a goodbye), [`TransportError::Closed`] (goodbye) or [`TransportError::Broken`] (caught breaking the
//! protocol; cut off), and `wait` gives [`Waited::Lost`] or [`Waited::Closed`]. Writers give the same once it is known.
//! `events.goodbye(reason)` and `requests.goodbye(reason)` say goodbye; dropping an end does, with reason 0.
//!
//! - `slots`: the multi-producer slot ring (claim, commit, look, bounds); `doorbell`: sleep and wake without a lost wake.
//!   Both are pure.
//! - `layout`: every offset, asserted; `header`: what a region says of itself; `region`: typed handles into a mapping
//! - `producer`, `consumer`: the two ends of one ring. Each side writes only words of its own region, so the other may
//!   map it read-only; whatever comes from the other side is read once, then checked. These four files are searched
//!   by loom (`tests/loom_ring.rs`).
//! - `pair`: ends made of two regions; `blobs`: large bodies; `bell`: what wakes a side; `channel`: the socket of an
//!   attached pair
//! - `os`: memory, bells and sockets of Linux, macOS, Windows
//!
//! Must not: know what a record means, block an engine thread, drop a record, allocate per record, or trust a peer.

#[cfg(unix)]
pub mod attach;
mod bell;
mod blobs;
#[cfg(unix)]
mod channel;
mod client_end;
mod consumer;
mod doorbell;
mod engine_end;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod in_process;
pub mod layout;
mod os;
mod pair;
mod producer;
mod region;
mod slots;
mod sync;
#[cfg(test)]
mod tests;

pub use blobs::{Blob, BlobReader, BlobWriter, FLAG_BLOB, SealedBlob};
pub use client_end::{ClientEnd, EventReader, RequestWriter};
pub use consumer::{RawEvent, Waited};
#[cfg(windows)]
pub use engine_end::Waker;
pub use engine_end::{EngineEnd, EventWriter, RequestReader, RingCounters};
pub use error::{Breach, TransportError};
pub use header::Identity;
pub use in_process::{PairOptions, in_process};
pub use layout::{RingSize, RingState};
#[cfg(unix)]
pub use os::{Watch, inherited};
pub use producer::{Claim, FLAG_COALESCED, RecordHead};
pub use slots::{KIND_PAD, Priority};
