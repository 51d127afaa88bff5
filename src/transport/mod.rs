//! The way between a host and the engine: a pair of shared-memory rings per attached client, events out and
//! requests in, and a bell for each side.
//!
//! [`in_process`] gives the two ends. [`EngineEnd`]: `events.claim(..)` / `publish(..)` from any thread, `requests.receive(..)`
//! from one task, with the reader's file descriptor for tokio's `AsyncFd`. [`ClientEnd`]: `events.next(..)`, `release(n)`,
//! `wait(..)` from one thread at a time, `requests.submit(..)` from any.
//!
//! - `slots`: the multi-producer slot ring (claim, commit, look, bounds); `doorbell`: sleep and wake without a lost wake.
//!   Both are pure and model-checked with loom.
//! - `layout`: every offset, asserted; `header`: what a region says of itself; `region`: typed handles into a mapping
//! - `producer`, `consumer`: the two ends of one ring. Each side writes only words of its own region, so the other may
//!   map it read-only; whatever comes from the other side is read once, then checked.
//! - `os`: memory and bells of Linux, macOS, Windows
//!
//! Must not: know what a record means, block an engine thread, drop a record, allocate per record, or trust a peer.

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
mod producer;
mod region;
mod slots;
mod sync;
#[cfg(test)]
mod tests;

pub use client_end::{ClientEnd, EventReader, RequestWriter};
pub use consumer::{RawEvent, Waited};
#[cfg(windows)]
pub use engine_end::Waker;
pub use engine_end::{EngineEnd, EventWriter, RequestReader, RingCounters};
pub use error::{Breach, TransportError};
pub use header::Identity;
pub use in_process::{PairOptions, in_process};
pub use layout::{RingSize, RingState};
pub use producer::{Claim, FLAG_COALESCED, RecordHead};
pub use slots::{KIND_PAD, Priority};
