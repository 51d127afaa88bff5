//! The reading end of a ring: next, check, release, sleep. One thread at a time.

use super::bell::Bell;
use super::doorbell::Sleeper;
use super::error::{Breach, TransportError};
use super::layout;
use super::producer::RecordHead;
use super::region::{Arena, Shared};
use super::slots::{Bounds, KIND_PAD, Position, Slot};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use rkyv::util::AlignedVec;
use std::time::{Duration, Instant};

/// Padding on end that a reader passes over in one call. A correct producer pads for an abandoned claim, so it stays far
/// below; a hostile one that writes padding as fast as it is passed over would hold the reader for ever.
const PADDING_LIMIT: u32 = layout::MAX_SLOTS;

/// A record in the arena. The bytes stay in place until it is released.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawEvent {
    /// First byte, a multiple of 8. In serve mode another process can change the bytes: form no reference to them.
    pub ptr: *const u8,
    /// Bytes.
    pub len: usize,
    /// Ties an answer to its request.
    pub correlation: u64,
    /// Number of the record in its ring, growing by one or (over padding) more.
    pub sequence: u64,
    /// Session, as an index.
    pub session_index: u32,
    /// Number in the session, without gaps; 0: not numbered.
    pub session_sequence: u32,
    /// Type of the event.
    pub kind: u16,
    /// Bits that qualify it.
    pub flags: u16,
}

impl RawEvent {
    /// Nothing; what an array of events begins as.
    pub const EMPTY: Self = Self {
        ptr: std::ptr::null(),
        len: 0,
        correlation: 0,
        sequence: 0,
        session_index: 0,
        session_sequence: 0,
        kind: KIND_PAD,
        flags: 0,
    };

    /// Everything but the bytes.
    pub fn head(&self) -> RecordHead {
        let RawEvent { kind, flags, session_index, session_sequence, correlation, .. } = *self;
        RecordHead { kind, flags, session_index, session_sequence, correlation }
    }

    /// A body that is one little-endian 64-bit number, such as that of a large body kept beside the ring. Only between
    /// the `next` that gave this event and its release.
    pub(crate) fn word(&self) -> Option<u64> {
        if self.len != 8 || self.ptr.is_null() {
            return None;
        }
        let mut bytes = [0; 8];
        // SAFETY: `ptr` and `len` come from a checked slot and the record is not released (the caller's condition); the
        // bytes are copied, so a peer that changes them meanwhile changes the value and nothing else.
        unsafe { std::ptr::copy_nonoverlapping(self.ptr, bytes.as_mut_ptr(), 8) };
        Some(u64::from_le_bytes(bytes))
    }
}

// SAFETY: a description; reading behind `ptr` is unsafe and has its own conditions.
unsafe impl Send for RawEvent {}

/// A consumer's view of its ring: its own words writable, everything of the producer only read.
pub(super) struct Consumer {
    pub bounds: Bounds,
    pub slots: Shared<[Slot]>,
    pub arena: Arena,
    pub released_word: Shared<AtomicU64>,
    pub sleep_epoch: Shared<AtomicU32>,
    pub bell: Bell,
    pub cursor: Cursor,
}

/// How far a consumer has come, in no region.
pub(super) struct Cursor {
    /// Behind the last record read.
    read: Position,
    /// As stored in the region.
    released: Position,
    /// Behind each record handed out and not yet released; a ring of its own, indexed by the count of records.
    marks: Box<[Position]>,
    handed_out: u32,
    given_back: u32,
    sequence: u64,
    sleeper: Sleeper,
    breach: Option<Breach>,
}

impl Cursor {
    pub(super) fn new(bounds: &Bounds, start: Position) -> Self {
        let marks = vec![Position::default(); bounds.slot_count as usize].into_boxed_slice();
        let (read, released, sleeper) = (start, start, Sleeper::default());
        Self { read, released, marks, handed_out: 0, given_back: 0, sequence: 0, sleeper, breach: None }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The next read has something to give.
    Ready,
    /// The time is past.
    TimedOut,
    /// The other side closed the ring or said goodbye, and everything was read.
    Closed,
    /// The other process is gone without a goodbye, or was cut off for breaking the protocol, and everything was read.
    Lost,
}

impl Consumer {
    /// Fills `events` from the front. When there is nothing, says so to the producers (they ring from then on) and
    /// looks once more.
    pub(super) fn next(&mut self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        if events.is_empty() {
            return Ok(0);
        }
        let mut count = self.fill(events)?;
        if count == 0 {
            self.cursor.sleeper.arm(&self.sleep_epoch, || self.bell.drain());
            // Asked before the last look: what the other side committed before it went is read first.
            let gone = self.bell.gone();
            count = self.fill(events)?;
            if let Some(gone) = gone.filter(|_| count == 0) {
                return Err(gone.into());
            }
        }
        if count > 0 {
            self.cursor.sleeper.disarm(&self.sleep_epoch, || self.bell.drain());
        }
        Ok(count)
    }

    fn fill(&mut self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        let mut count = 0;
        for event in events {
            match self.take() {
                Ok(Some(next)) => *event = next,
                Ok(None) => break,
                // What came before is good; the next call tells.
                Err(_) if count > 0 => break,
                Err(breach) => return Err(TransportError::Broken(breach)),
            }
            count += 1;
        }
        Ok(count)
    }

    /// The next record that is not padding.
    fn take(&mut self) -> Result<Option<RawEvent>, Breach> {
        let taken = match self.cursor.breach {
            Some(breach) => Err(breach),
            None => self.take_unbroken(),
        };
        self.cursor.breach = taken.as_ref().err().copied();
        taken
    }

    fn take_unbroken(&mut self) -> Result<Option<RawEvent>, Breach> {
        for _ in 0..PADDING_LIMIT {
            let cursor = &mut self.cursor;
            let number = cursor.read.slot;
            let slot = self.slots.get(self.bounds.slot_index(number));
            let Some(entry) = slot.and_then(|slot| slot.committed(number)) else { return Ok(None) };
            let (offset, next) = self.bounds.locate(&entry, cursor.read, cursor.released).ok_or(Breach::Slot)?;
            cursor.read = next;
            cursor.sequence += 1;
            if entry.kind == KIND_PAD {
                self.pass_padding();
                continue;
            }
            let index = self.bounds.slot_index(cursor.handed_out);
            if let Some(mark) = cursor.marks.get_mut(index) {
                *mark = cursor.read;
            }
            cursor.handed_out = cursor.handed_out.wrapping_add(1);
            return Ok(Some(RawEvent {
                ptr: self.arena.at(offset).as_ptr(),
                len: entry.len as usize,
                correlation: entry.correlation,
                sequence: cursor.sequence,
                session_index: entry.session_index,
                session_sequence: entry.session_sequence,
                kind: entry.kind,
                flags: entry.flags,
            }));
        }
        Err(Breach::Padding)
    }

    /// Padding is released with the record before it, or at once when there is none.
    fn pass_padding(&mut self) {
        let cursor = &mut self.cursor;
        if cursor.handed_out == cursor.given_back {
            cursor.released = cursor.read;
            self.released_word.store(cursor.released.to_word(), Ordering::SeqCst);
        } else {
            let last = self.bounds.slot_index(cursor.handed_out.wrapping_sub(1));
            if let Some(mark) = cursor.marks.get_mut(last) {
                *mark = cursor.read;
            }
        }
    }

    /// Gives back the oldest `count` records handed out, at most all of them; one store, whatever the count.
    pub(super) fn release(&mut self, count: usize) -> usize {
        let cursor = &mut self.cursor;
        let held = cursor.handed_out.wrapping_sub(cursor.given_back);
        let count = u32::try_from(count).map_or(held, |count| count.min(held));
        if count > 0 {
            cursor.given_back = cursor.given_back.wrapping_add(count);
            let last = self.bounds.slot_index(cursor.given_back.wrapping_sub(1));
            if let Some(mark) = cursor.marks.get(last) {
                cursor.released = *mark;
            }
            // SeqCst pairs with the producer's load: our last reads happened before it reuses the room, and a
            // producer that asked for room either sees this or is seen asking (`doorbell`).
            self.released_word.store(cursor.released.to_word(), Ordering::SeqCst);
        }
        count as usize
    }

    /// Copies the bytes of a record that was handed out and not released. `body` stays empty for one of another ring.
    pub(super) fn copy(&self, event: &RawEvent, body: &mut AlignedVec) {
        body.clear();
        let RawEvent { ptr, len, .. } = *event;
        if !self.arena.contains(ptr, len) {
            return;
        }
        body.reserve(len);
        // SAFETY: `ptr .. ptr + len` lies in the arena, which is mapped while `self` lives; `body` has the capacity, and all of
        // it is written. A peer that still writes, or a record that was released, changes only which bytes we get: they are
        // validated in `body`, after the copy.
        unsafe {
            std::ptr::copy_nonoverlapping(ptr, body.as_mut_ptr(), len);
            body.set_len(len);
        }
    }

    /// The next record, copied into `body` and released; `None` as for [`Consumer::next`].
    pub(super) fn receive(&mut self, body: &mut AlignedVec) -> Result<Option<RecordHead>, TransportError> {
        let mut event = RawEvent::EMPTY;
        body.clear();
        if self.next(std::slice::from_mut(&mut event))? == 0 {
            return Ok(None);
        }
        self.copy(&event, body);
        self.release(1);
        Ok(Some(event.head()))
    }

    fn has_next(&self) -> bool {
        let number = self.cursor.read.slot;
        let slot = self.slots.get(self.bounds.slot_index(number));
        self.cursor.breach.is_some() || slot.is_some_and(|slot| slot.is_committed(number))
    }

    /// Looks for a record, at least once and for `limit`, without asking for the bell.
    pub(super) fn spin(&self, limit: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if self.has_next() {
                return true;
            }
            if limit.is_zero() || begin.elapsed() >= limit {
                return false;
            }
            std::hint::spin_loop();
        }
    }

    /// Sleeps until a record is there, `is_over` says that none will come, or `timeout` is past; looks without sleeping
    /// for `spin` first.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, spin: Duration, is_over: impl Fn() -> bool) -> Waited {
        let begin = Instant::now();
        if !spin.is_zero() {
            self.cursor.sleeper.pause(&self.sleep_epoch);
        }
        if self.spin(timeout.map_or(spin, |timeout| spin.min(timeout))) {
            return Waited::Ready;
        }
        loop {
            self.cursor.sleeper.arm(&self.sleep_epoch, || self.bell.drain());
            // The end first, then the records: what was committed before the end is seen.
            let over = if is_over() { Some(Waited::Closed) } else { self.bell.gone().map(Waited::from) };
            if self.has_next() {
                return Waited::Ready;
            }
            if let Some(over) = over {
                return over;
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(begin.elapsed()));
            if left == Some(Duration::ZERO) {
                return Waited::TimedOut;
            }
            self.bell.wait(left);
            if self.has_next() {
                return Waited::Ready;
            }
        }
    }
}
