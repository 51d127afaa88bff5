//! How a client in one process and the engine in another become a pair of rings (ring §8).
//!
//! Engine: [`InstanceLock`], then [`Listener::bind`], [`Listener::accept`], [`Arriving::hello`], [`Waiting::welcome`] →
//! [`EngineEnd`]. Client: [`connect()`] → [`Connected`]. The client sends its hello with its requests
//! region, the engine answers a welcome with the events region, or a refusal; then the same socket is the pair's channel.
//!
//! - `place`: the folder and the socket in it belong to us alone; `lock`: one engine at a time
//! - `message`: heads, bodies and descriptors, cut anywhere
//! - `listener`, `connect`: the two sides
//!
//! Must not: wait beyond the caller's limit, or use anything of the peer before it was checked.

mod connect;
mod listener;
mod lock;
pub(super) mod message;
mod place;
#[cfg(all(test, any(target_os = "linux", target_os = "android"), not(miri)))]
mod tests;

pub use self::connect::{ConnectError, Connected, connect};
pub use self::listener::{ArriveError, Arriving, Listener, Waiting};
pub use self::lock::InstanceLock;
pub use self::place::PlaceError;

use super::bell::{Bell, Ringer};
use super::blobs::{self, BlobReader, BlobWriter};
use super::channel::{Channel, Foreign};
use super::client_end::ClientEnd;
use super::engine_end::EngineEnd;
use super::error::TransportError;
use super::header::Identity;
use super::layout::{MIN_ARENA, RingSize, region_len};
use super::os;
use super::pair::{self, Pair, Wires};
use super::region::Region;
use super::slots::Position;
use crate::protocol::abi::abi_hash;
use crate::protocol::hello::{Hello, RingSizes};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Largest arena of a requests ring that an engine maps for another process, bytes: a request is copied before it is used.
pub const REQUESTS_ARENA_LIMIT: u32 = 16 << 20;
/// Largest arena of an events ring that an engine makes for another process, bytes: it is the engine's memory.
pub const EVENTS_ARENA_LIMIT: u32 = 256 << 20;

impl From<RingSizes> for RingSize {
    fn from(sizes: RingSizes) -> Self {
        Self { slots: sizes.slots, arena_bytes: sizes.bytes }
    }
}

impl From<RingSize> for RingSizes {
    fn from(size: RingSize) -> Self {
        Self { slots: size.slots, bytes: size.arena_bytes }
    }
}

/// Which of the two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Events,
    Requests,
}

/// A region of ours, ready for the other side, and the descriptor to send there.
pub(super) fn create_region(
    role: Role,
    size: RingSize,
    start: Position,
    identity: &Identity,
) -> Result<(OwnedFd, Region), TransportError> {
    let bounds = size.bounds()?;
    let refused = |source| TransportError::System { what: "memory for a ring", source };
    let (object, mapping) = os::create_region(region_len(&bounds)).map_err(refused)?;
    let region = whole(mapping, bounds)?;
    match role {
        Role::Events => pair::begin_events(&region, start, identity),
        Role::Requests => pair::begin_requests(&region, start, identity),
    }
    Ok((object, region))
}

/// A region of the other side. Its size is what was agreed, never what the region says.
pub(super) fn open_region(
    role: Role,
    object: Foreign,
    size: RingSize,
    identity: &Identity,
) -> Result<Region, TransportError> {
    let bounds = size.bounds()?;
    let mapping = os::open_region(object.as_fd(), region_len(&bounds))?;
    // The mapping keeps the memory.
    drop(object.known());
    let region = whole(mapping, bounds)?;
    match role {
        Role::Events => pair::check_events(&region, identity)?,
        Role::Requests => pair::check_requests(&region, identity)?,
    }
    Ok(region)
}

fn whole(mapping: os::Mapping, bounds: super::slots::Bounds) -> Result<Region, TransportError> {
    let refused =
        || TransportError::System { what: "memory for a ring", source: std::io::ErrorKind::OutOfMemory.into() };
    Region::new(Arc::new(mapping), 0, bounds).ok_or_else(refused)
}

/// Whether another process may ask for rings of these sizes.
fn check_wishes(hello: &Hello) -> Result<(), TransportError> {
    let wishes = [
        ("events.bytes", hello.events.bytes, EVENTS_ARENA_LIMIT),
        ("requests.bytes", hello.requests.bytes, REQUESTS_ARENA_LIMIT),
    ];
    match wishes.into_iter().find(|(_, value, max)| value > max) {
        Some((name, value, max)) => Err(TransportError::Size { name, value, min: MIN_ARENA, max }),
        None => RingSize::from(hello.events).bounds().map(drop),
    }
}

/// What a client's region says of itself: the number of the pair is the engine's to give, and not known yet.
fn requests_identity(created_unix_ns: u64, pid: u32) -> Identity {
    Identity { abi_hash: abi_hash(), generation: 0, created_unix_ns, pid }
}

/// The engine's end over a connected socket; the regions are made and checked.
pub(super) fn engine_end(socket: OwnedFd, pair: &Pair) -> EngineEnd {
    let channel = Arc::new(Channel::new(socket, blobs::REQUEST_LIMIT));
    let taken = (pair.requests.requests_head(), pair.events.events_head());
    pair.engine_end(Wires {
        ringer: Ringer::Channel(channel.clone()),
        bell: Bell::Channel(channel.clone()),
        blobs_out: BlobWriter::across(channel.clone(), taken.0.part(|head| &head.blobs_taken.0), blobs::EVENT_LIMIT),
        blobs_in: BlobReader::across(channel, taken.1.part(|head| &head.blobs_taken.0)),
    })
}

/// As [`engine_end`], the client's.
pub(super) fn client_end(socket: OwnedFd, pair: &Pair) -> ClientEnd {
    let channel = Arc::new(Channel::new(socket, blobs::EVENT_LIMIT));
    let taken = (pair.events.events_head(), pair.requests.requests_head());
    pair.client_end(Wires {
        ringer: Ringer::Channel(channel.clone()),
        bell: Bell::Channel(channel.clone()),
        blobs_out: BlobWriter::across(channel.clone(), taken.0.part(|head| &head.blobs_taken.0), blobs::REQUEST_LIMIT),
        blobs_in: BlobReader::across(channel, taken.1.part(|head| &head.blobs_taken.0)),
    })
}
