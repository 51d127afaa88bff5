//! Where everything lies in the two shared regions (ring §3). Every offset is a public constant, asserted
//! here against the Rust types and in `include/` against the C ones.
//!
//! The *events region* belongs to the engine, the *requests region* to the client: only its owner writes a region, the
//! other side may map it read-only. Integers are little-endian.

use super::error::TransportError;
use super::slots::{Bounds, Slot};
use super::sync::{AtomicU32, AtomicU64};
use std::mem::{offset_of, size_of};
use std::sync::atomic::AtomicU8;

#[cfg(target_endian = "big")]
compile_error!("the shared regions are little-endian");

/// First word of every region.
pub const MAGIC: u64 = u64::from_le_bytes(*b"LAPCEAI\x01");
/// Version of this layout; both ends must have the same.
pub const LAYOUT_VERSION: u32 = 2;
/// Reads as this on a machine of the same byte order.
pub const BYTE_ORDER: u32 = 0x0102_0304;
/// Header flag of the events region.
pub const REGION_EVENTS: u32 = 1;
/// Header flag of the requests region.
pub const REGION_REQUESTS: u32 = 2;

/// Bytes of the header.
pub const HEADER_LEN: usize = 88;
/// u64, [`MAGIC`].
pub const HEADER_MAGIC: usize = 0;
/// u32, [`LAYOUT_VERSION`].
pub const HEADER_LAYOUT_VERSION: usize = 8;
/// u32, [`HEADER_LEN`].
pub const HEADER_HEADER_LEN: usize = 12;
/// u64, hash over the records' definitions.
pub const HEADER_ABI_HASH: usize = 16;
/// u32, [`BYTE_ORDER`].
pub const HEADER_BYTE_ORDER: usize = 24;
/// u32, [`REGION_EVENTS`] or [`REGION_REQUESTS`].
pub const HEADER_FLAGS: usize = 28;
/// u64, grows with each new pair of regions.
pub const HEADER_GENERATION: usize = 32;
/// u64, bytes of the region.
pub const HEADER_REGION_LEN: usize = 40;
/// u64, nanoseconds since 1970.
pub const HEADER_CREATED_UNIX_NS: usize = 48;
/// u32, a power of two.
pub const HEADER_SLOT_COUNT: usize = 56;
/// u32, [`SLOTS`].
pub const HEADER_SLOT_OFFSET: usize = 60;
/// u64, a multiple of [`PAGE`].
pub const HEADER_ARENA_OFFSET: usize = 64;
/// u32, a power of two.
pub const HEADER_ARENA_LEN: usize = 72;
/// u32, process that made the region.
pub const HEADER_PID: usize = 76;
/// u32, largest record in bytes.
pub const HEADER_MAX_RECORD: usize = 80;
/// u32, stored last; the region is refused until it is 1.
pub const HEADER_READY: usize = 84;

/// Events region: u64 (slot in the upper half, arena position in the lower) up to which the ring is claimed.
pub const EVENTS_RESERVED: usize = 0x1000;
/// Events region: u32 [`RingState`].
pub const EVENTS_STATE: usize = 0x1080;
/// Events region: u32, why the state is what it is.
pub const EVENTS_REASON: usize = 0x1084;
/// Events region: u64, for displaying a hang only.
pub const EVENTS_HEARTBEAT_NS: usize = 0x1088;
/// Events region: u64 records, bytes, coalesced records, refusals for want of room.
pub const EVENTS_COUNTERS: usize = 0x1100;
/// Events region: u64, as `reserved`: up to where the engine has released the requests ring.
pub const EVENTS_REQUESTS_RELEASED: usize = 0x1180;
/// Events region: u32, odd while the engine is about to sleep.
pub const EVENTS_ENGINE_SLEEP_EPOCH: usize = 0x1200;
/// Events region: u32, 1 = ring the engine's bell when room is released.
pub const EVENTS_WANT_ROOM: usize = 0x1280;
/// Events region: u64 count and u64 bytes of the client's large bodies that the engine took.
pub const EVENTS_BLOBS_TAKEN: usize = 0x1300;

/// Requests region: u64, as `reserved`: up to where the client has released the events ring.
pub const REQUESTS_RELEASED: usize = 0x1000;
/// Requests region: u32, odd while the client is about to sleep.
pub const REQUESTS_SLEEP_EPOCH: usize = 0x1080;
/// Requests region: u64, up to where the requests ring is claimed.
pub const REQUESTS_RESERVED: usize = 0x1100;
/// Requests region: u64 count and u64 bytes of the engine's large bodies that the client took.
pub const REQUESTS_BLOBS_TAKEN: usize = 0x1180;

/// Both regions: the slots, followed by the arena at the next page.
pub const SLOTS: usize = 0x2000;
/// Bytes of a slot.
pub const SLOT_LEN: usize = 32;
/// Slot: u32, number + 1 once committed.
pub const SLOT_SEQUENCE: usize = 0;
/// Slot: u16.
pub const SLOT_KIND: usize = 4;
/// Slot: u16.
pub const SLOT_FLAGS: usize = 6;
/// Slot: u32 bytes claimed. They begin behind the span of the record before, or, where they would cross the arena's
/// end, at its start.
pub const SLOT_SPAN: usize = 8;
/// Slot: u32 bytes used of the span.
pub const SLOT_RECORD_LEN: usize = 12;
/// Slot: u32.
pub const SLOT_SESSION_INDEX: usize = 16;
/// Slot: u32 number in the session, or 0.
pub const SLOT_SESSION_SEQUENCE: usize = 20;
/// Slot: u64.
pub const SLOT_CORRELATION: usize = 24;

/// Arenas and regions begin at multiples of this, whatever the machine's page is.
pub const PAGE: usize = 0x1000;
/// Fewest slots of a ring.
pub const MIN_SLOTS: u32 = 8;
/// Most slots of a ring: numbers wrap at 2^32.
pub const MAX_SLOTS: u32 = 1 << 16;
/// Smallest arena in bytes.
pub const MIN_ARENA: u32 = 1 << 12;
/// Largest arena in bytes: positions wrap at 2^32.
pub const MAX_ARENA: u32 = 1 << 30;

/// A value alone on two cache lines, because processors fetch lines in pairs.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(super) struct Line<T>(pub T);

/// Bytes without meaning. Atomic, as the other process could write them.
type Gap<const LEN: usize> = [AtomicU8; LEN];

/// The header's words; see `header`.
pub(super) type HeaderWords = [AtomicU64; HEADER_LEN / 8];

/// What stands before the slots of the events region.
#[repr(C)]
pub(super) struct EventsHead {
    pub header: HeaderWords,
    _to_words: Gap<{ EVENTS_RESERVED - HEADER_LEN }>,
    pub reserved: Line<AtomicU64>,
    pub state: Line<State>,
    pub counters: Line<Counters>,
    pub requests_released: Line<AtomicU64>,
    pub engine_sleep_epoch: Line<AtomicU32>,
    pub want_room: Line<AtomicU32>,
    pub blobs_taken: Line<BlobsTaken>,
    _to_slots: Gap<{ SLOTS - EVENTS_BLOBS_TAKEN - 128 }>,
}

/// What stands before the slots of the requests region.
#[repr(C)]
pub(super) struct RequestsHead {
    pub header: HeaderWords,
    _to_words: Gap<{ REQUESTS_RELEASED - HEADER_LEN }>,
    pub released: Line<AtomicU64>,
    pub sleep_epoch: Line<AtomicU32>,
    pub reserved: Line<AtomicU64>,
    pub blobs_taken: Line<BlobsTaken>,
    _to_slots: Gap<{ SLOTS - REQUESTS_BLOBS_TAKEN - 128 }>,
}

#[repr(C)]
#[derive(Debug)]
pub(super) struct State {
    pub state: AtomicU32,
    pub reason: AtomicU32,
    pub heartbeat_ns: AtomicU64,
}

#[repr(C)]
#[derive(Debug)]
pub(super) struct Counters {
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    pub coalesced: AtomicU64,
    pub full: AtomicU64,
}

/// What a side has taken of the other's large bodies since the rings were made; only counted across processes.
#[repr(C)]
#[derive(Debug)]
pub(super) struct BlobsTaken {
    pub count: AtomicU64,
    pub bytes: AtomicU64,
}

const _: () = {
    assert!(LAYOUT_VERSION == crate::protocol::hello::Head::LAYOUT_VERSION);
    assert!(offset_of!(EventsHead, header) == 0);
    assert!(offset_of!(EventsHead, reserved) == EVENTS_RESERVED);
    assert!(offset_of!(EventsHead, state) + offset_of!(State, state) == EVENTS_STATE);
    assert!(offset_of!(EventsHead, state) + offset_of!(State, reason) == EVENTS_REASON);
    assert!(offset_of!(EventsHead, state) + offset_of!(State, heartbeat_ns) == EVENTS_HEARTBEAT_NS);
    assert!(offset_of!(EventsHead, counters) == EVENTS_COUNTERS);
    assert!(offset_of!(EventsHead, requests_released) == EVENTS_REQUESTS_RELEASED);
    assert!(offset_of!(EventsHead, engine_sleep_epoch) == EVENTS_ENGINE_SLEEP_EPOCH);
    assert!(offset_of!(EventsHead, want_room) == EVENTS_WANT_ROOM);
    assert!(offset_of!(EventsHead, blobs_taken) == EVENTS_BLOBS_TAKEN);
    assert!(size_of::<EventsHead>() == SLOTS);
    assert!(offset_of!(RequestsHead, header) == 0);
    assert!(offset_of!(RequestsHead, released) == REQUESTS_RELEASED);
    assert!(offset_of!(RequestsHead, sleep_epoch) == REQUESTS_SLEEP_EPOCH);
    assert!(offset_of!(RequestsHead, reserved) == REQUESTS_RESERVED);
    assert!(offset_of!(RequestsHead, blobs_taken) == REQUESTS_BLOBS_TAKEN);
    assert!(size_of::<RequestsHead>() == SLOTS);
    assert!(size_of::<HeaderWords>() == HEADER_LEN && HEADER_READY + 4 == HEADER_LEN);
    assert!(size_of::<Slot>() == SLOT_LEN);
    assert!(offset_of!(Slot, head) == SLOT_SEQUENCE);
    assert!(offset_of!(Slot, head) + 4 == SLOT_KIND && SLOT_KIND + 2 == SLOT_FLAGS);
    assert!(offset_of!(Slot, size) == SLOT_SPAN && SLOT_SPAN + 4 == SLOT_RECORD_LEN);
    assert!(offset_of!(Slot, session) == SLOT_SESSION_INDEX && SLOT_SESSION_INDEX + 4 == SLOT_SESSION_SEQUENCE);
    assert!(offset_of!(Slot, correlation) == SLOT_CORRELATION);
};

/// Sizes of one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize {
    /// Slots, a power of two from [`MIN_SLOTS`] to [`MAX_SLOTS`].
    pub slots: u32,
    /// Arena bytes, a power of two from [`MIN_ARENA`] to [`MAX_ARENA`]. The largest record is a quarter of it.
    pub arena_bytes: u32,
}

impl RingSize {
    /// Engine to client, unless the host asks otherwise: 1,024 slots, 1 MiB.
    pub const EVENTS: Self = Self { slots: 1024, arena_bytes: 1 << 20 };
    /// Client to engine, unless the host asks otherwise: 256 slots, 256 KiB.
    pub const REQUESTS: Self = Self { slots: 256, arena_bytes: 1 << 18 };

    /// The ring's unchanging numbers, or which size is outside of its limits.
    pub(super) fn bounds(self) -> Result<Bounds, TransportError> {
        check_size("slots", self.slots, MIN_SLOTS, MAX_SLOTS)?;
        check_size("arena_bytes", self.arena_bytes, MIN_ARENA, MAX_ARENA)?;
        Ok(Bounds { slot_count: self.slots, arena_len: self.arena_bytes, max_record: self.arena_bytes / 4 })
    }
}

fn check_size(name: &'static str, value: u32, min: u32, max: u32) -> Result<(), TransportError> {
    if value.is_power_of_two() && (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(TransportError::Size { name, value, min, max })
    }
}

/// Offset of the arena in a region with these bounds.
pub(super) const fn arena_offset(bounds: &Bounds) -> usize {
    (SLOTS + bounds.slot_count as usize * SLOT_LEN).next_multiple_of(PAGE)
}

/// Bytes of a region with these bounds.
pub(super) const fn region_len(bounds: &Bounds) -> usize {
    arena_offset(bounds) + bounds.arena_len as usize
}

/// What the engine says of itself in the events region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum RingState {
    /// Events flow.
    #[default]
    Running = 0,
    /// No new work is begun; events of the old still come.
    Draining = 1,
    /// Nothing more is written.
    Closed = 2,
}

impl RingState {
    /// Anything unknown is taken as closed.
    pub(super) const fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Running,
            1 => Self::Draining,
            _ => Self::Closed,
        }
    }
}
