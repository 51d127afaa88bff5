//! The slot ring: pure words, no memory of its own, no system call (ring §4).
//!
//! A producer claims a slot and a span of the byte arena with one compare-and-swap of `reserved`, fills the span,
//! and commits by storing the slot's first word. The consumer reads slots in order and hands room back by
//! storing `released`. Both words hold a [`Position`].
//!
//! Uses only `super::sync`, so that loom can search its interleavings.

use super::sync::{AtomicU64, Ordering};

/// Kind of a record that carries nothing: an abandoned claim. Consumers pass over it.
pub const KIND_PAD: u16 = 0;

/// Spans begin at multiples of this many bytes, so that archives can be read in place.
pub const ALIGNMENT: u32 = 8;

/// A place in the ring: how many slots and how many arena bytes lie before it. Both count on and wrap at 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Number of the slot; its index is this modulo the slot count.
    pub slot: u32,
    /// Arena position; its offset is this modulo the arena length.
    pub byte: u32,
}

impl Position {
    /// As stored in shared memory: the slot number in the upper half, the arena position in the lower.
    pub const fn to_word(self) -> u64 {
        (self.slot as u64) << 32 | self.byte as u64
    }

    /// The inverse of [`Position::to_word`].
    pub const fn from_word(word: u64) -> Self {
        Self { slot: (word >> 32) as u32, byte: word as u32 }
    }

    /// How far `self` is beyond `earlier`, in slots and bytes.
    const fn beyond(self, earlier: Self) -> (u32, u32) {
        (self.slot.wrapping_sub(earlier.slot), self.byte.wrapping_sub(earlier.byte))
    }
}

/// One record's description: a slot's fields, copied to locals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What the record is; [`KIND_PAD`] for none.
    pub kind: u16,
    /// Bits that qualify the kind.
    pub flags: u16,
    /// Bytes claimed, a multiple of [`ALIGNMENT`]. Where they begin follows from the record before.
    pub span: u32,
    /// Bytes used of the span.
    pub len: u32,
    /// Which session the record concerns, as an index that the reader looks up.
    pub session_index: u32,
    /// Number of the record in its session; 0: not numbered.
    pub session_sequence: u32,
    /// Ties an answer to its request.
    pub correlation: u64,
}

/// A slot in shared memory: 32 bytes, four words. The first holds the sequence (number + 1 once committed), the
/// kind and the flags, so that one store commits.
#[repr(C)]
#[derive(Debug)]
pub struct Slot {
    pub(crate) head: AtomicU64,
    pub(crate) size: AtomicU64,
    pub(crate) session: AtomicU64,
    pub(crate) correlation: AtomicU64,
}

impl Slot {
    /// Fills the slot and commits it as record `number`. The caller holds the claim to that number.
    pub fn commit(&self, number: u32, entry: &Entry) {
        self.size.store(low_high(entry.span, entry.len), Ordering::Relaxed);
        self.session.store(low_high(entry.session_index, entry.session_sequence), Ordering::Relaxed);
        self.correlation.store(entry.correlation, Ordering::Relaxed);
        let qualifiers = u32::from(entry.kind) | u32::from(entry.flags) << 16;
        // Pairs with the load in `committed`: the record's bytes are visible to whoever sees the sequence. SeqCst
        // because the producer next reads whether the consumer sleeps (`doorbell`).
        self.head.store(low_high(number.wrapping_add(1), qualifiers), Ordering::SeqCst);
    }

    /// Whether record `number` is committed.
    pub fn is_committed(&self, number: u32) -> bool {
        self.head.load(Ordering::SeqCst) as u32 == number.wrapping_add(1)
    }

    /// Record `number`, when it is committed. Every word is read once; nothing of it is checked yet.
    pub fn committed(&self, number: u32) -> Option<Entry> {
        // SeqCst: the second look before sleeping must be ordered behind the sleep word's store (`doorbell`).
        let head = self.head.load(Ordering::SeqCst);
        if head as u32 != number.wrapping_add(1) {
            return None;
        }
        let size = self.size.load(Ordering::Relaxed);
        let session = self.session.load(Ordering::Relaxed);
        Some(Entry {
            kind: (head >> 32) as u16,
            flags: (head >> 48) as u16,
            span: size as u32,
            len: (size >> 32) as u32,
            session_index: session as u32,
            session_sequence: (session >> 32) as u32,
            correlation: self.correlation.load(Ordering::Relaxed),
        })
    }
}

const fn low_high(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// Which part of the ring a claim may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// All but the last eighth of slots and arena.
    #[default]
    Normal,
    /// Everything: questions to the user and answers to requests find room in a ring full of text.
    Control,
}

impl Priority {
    const fn share_of(self, total: u32) -> u32 {
        match self {
            Self::Normal => total - total / 8,
            Self::Control => total,
        }
    }
}

/// The numbers of a ring that never change. Each end keeps its own copy and never reads them from the region again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Slots, a power of two.
    pub slot_count: u32,
    /// Bytes of the arena, a power of two.
    pub arena_len: u32,
    /// Largest record in bytes.
    pub max_record: u32,
}

/// What a claim was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Number of the slot.
    pub number: u32,
    /// Arena position of the first byte.
    pub start: u32,
    /// Bytes, a multiple of [`ALIGNMENT`].
    pub span: u32,
}

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No room until the consumer releases.
    Full,
    /// `released` lies outside of what was released before and what is reserved: the consumer lies.
    ReleasedOutOfRange,
}

impl Bounds {
    /// Index of slot `number`.
    pub const fn slot_index(&self, number: u32) -> usize {
        (number & (self.slot_count - 1)) as usize
    }

    /// Offset of an arena position.
    pub const fn offset(&self, byte: u32) -> u32 {
        byte & (self.arena_len - 1)
    }

    /// Claims a slot and `len` contiguous bytes (at most `max_record`). Lock-free, any number of threads.
    ///
    /// `known_released` is the producers' own last sight of `released`; it spares reading the consumer's cache line
    /// while there is room.
    pub fn claim(
        &self,
        reserved: &AtomicU64,
        released: &AtomicU64,
        known_released: &AtomicU64,
        len: u32,
        priority: Priority,
    ) -> Result<Reservation, Refusal> {
        let mut seen = reserved.load(Ordering::Acquire);
        loop {
            let (reservation, next) = self.place(Position::from_word(seen), len);
            // Acquire pairs with the store below: the consumer's last reads of the room happened before.
            let known = Position::from_word(known_released.load(Ordering::Acquire));
            if !self.fits(known, next, priority) {
                let (freed, newest) = released_checked(reserved, released, known_released)?;
                if newest != seen {
                    // A stale `reserved` behind a fresh `released` looks full.
                    seen = newest;
                    continue;
                }
                if !self.fits(freed, next, priority) {
                    return Err(Refusal::Full);
                }
            }
            match reserved.compare_exchange_weak(seen, next.to_word(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(reservation),
                Err(now) => seen = now,
            }
        }
    }

    /// Where a record of `len` bytes goes when `at` is the ring's end. A record is contiguous: one that would cross
    /// the end of the arena begins at its start instead.
    const fn place(&self, at: Position, len: u32) -> (Reservation, Position) {
        let span = align(len);
        let left = self.arena_len - self.offset(at.byte);
        let start = if span <= left { at.byte } else { at.byte.wrapping_add(left) };
        let next = Position { slot: at.slot.wrapping_add(1), byte: start.wrapping_add(span) };
        (Reservation { number: at.slot, start, span }, next)
    }

    fn fits(&self, released: Position, end: Position, priority: Priority) -> bool {
        let (slots, bytes) = end.beyond(released);
        slots <= priority.share_of(self.slot_count) && bytes <= priority.share_of(self.arena_len)
    }

    /// Where the bytes of `entry` lie, which was read as the record at `read` while the ring is released up to
    /// `released`: the offset of the first, and the position behind the record. `None` when its producer cannot have
    /// claimed such a record there. The place is computed as the producer must have done, so that it cannot lie about it.
    pub fn locate(&self, entry: &Entry, read: Position, released: Position) -> Option<(u32, Position)> {
        let Entry { span, len, .. } = *entry;
        // First the size: `place` is sound for what a producer may claim.
        if span > align(self.max_record) || !span.is_multiple_of(ALIGNMENT) || len > span {
            return None;
        }
        let (reservation, next) = self.place(read, span);
        let (slots, bytes) = next.beyond(released);
        (slots <= self.slot_count && bytes <= self.arena_len).then(|| (self.offset(reservation.start), next))
    }
}

/// What the consumer has released, and what is reserved. It may have released no less than the producers knew before and
/// no more than they reserved.
pub fn released_checked(
    reserved: &AtomicU64,
    released: &AtomicU64,
    known_released: &AtomicU64,
) -> Result<(Position, u64), Refusal> {
    let known = known_released.load(Ordering::Acquire);
    // Behind `known`, so an honest value is not before it. SeqCst pairs with the consumer's store: the second try after
    // `want_room` must see its release.
    let freed = released.load(Ordering::SeqCst);
    // Behind `freed`, so an honest `freed` is not beyond it.
    let newest = reserved.load(Ordering::SeqCst);
    let position = Position::from_word(freed);
    if !is_between(Position::from_word(known), position, Position::from_word(newest)) {
        return Err(Refusal::ReleasedOutOfRange);
    }
    if freed != known {
        // Two producers may store in the wrong order: the older value only makes the next look sooner.
        known_released.store(freed, Ordering::Release);
    }
    Ok((position, newest))
}

const fn align(len: u32) -> u32 {
    len.next_multiple_of(ALIGNMENT)
}

/// Whether `position` lies in `first ..= last`, slots and bytes each.
fn is_between(first: Position, position: Position, last: Position) -> bool {
    let (slots, bytes) = position.beyond(first);
    let (all_slots, all_bytes) = last.beyond(first);
    slots <= all_slots && bytes <= all_bytes
}
