//! The writing end of a ring: claim, fill, commit. Any number of threads.

use super::bell::Ringer;
use super::doorbell::LastRung;
use super::error::{Breach, TransportError};
use super::layout::{Counters, Line};
use super::region::{Arena, Shared};
use super::slots::{Bounds, Entry, KIND_PAD, Position, Priority, Refusal, Reservation, Slot, released_checked};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicBool;

/// Flag of a record that stands for several merged ones; counted.
pub const FLAG_COALESCED: u16 = 1;

/// What a record is about: everything but its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHead {
    /// Type of the event or request; 0 ([`KIND_PAD`]) is not handed out.
    pub kind: u16,
    /// Bits that qualify it, such as [`FLAG_COALESCED`].
    pub flags: u16,
    /// Session, as an index that the reader looks up.
    pub session_index: u32,
    /// Number in the session, without gaps; 0: not numbered.
    pub session_sequence: u32,
    /// Ties an answer to its request.
    pub correlation: u64,
}

/// A producer's view of its ring: its own words writable, the consumer's only read.
pub(super) struct Producer {
    pub bounds: Bounds,
    pub reserved: Shared<AtomicU64>,
    pub slots: Shared<[Slot]>,
    pub arena: Arena,
    /// Of the consumer.
    pub released: Shared<AtomicU64>,
    /// Of the consumer.
    pub sleep_epoch: Shared<AtomicU32>,
    pub counters: Option<Shared<Counters>>,
    pub private: Line<Private>,
    pub ringer: Ringer,
}

/// What the producers of a ring share among themselves, in no region.
pub(super) struct Private {
    pub known_released: AtomicU64,
    pub last_rung: LastRung,
    pub broken: AtomicBool,
}

impl Private {
    pub(super) fn new(released: u64) -> Line<Self> {
        let (known_released, last_rung) = (AtomicU64::new(released), LastRung::new());
        Line(Self { known_released, last_rung, broken: AtomicBool::new(false) })
    }
}

impl Producer {
    pub(super) fn claim(
        &self,
        head: RecordHead,
        max_len: usize,
        priority: Priority,
    ) -> Result<Claim<'_>, TransportError> {
        let private = &self.private.0;
        if private.broken.load(Ordering::Relaxed) {
            return Err(TransportError::Broken(Breach::Released));
        }
        if let Some(gone) = self.ringer.gone() {
            return Err(gone.into());
        }
        let max = self.bounds.max_record;
        let len = u32::try_from(max_len).ok().filter(|len| *len <= max);
        let len = len.ok_or(TransportError::TooLarge { len: max_len, max: max as usize })?;
        match self.bounds.claim(&self.reserved, &self.released, &private.known_released, len, priority) {
            Ok(reservation) => {
                Ok(Claim { producer: self, head, reservation, len, committed: false, _not_send: PhantomData })
            }
            Err(Refusal::Full) => {
                if let Some(counters) = &self.counters {
                    counters.full.fetch_add(1, Ordering::Relaxed);
                }
                Err(TransportError::Full)
            }
            Err(Refusal::ReleasedOutOfRange) => Err(self.breach()),
        }
    }

    pub(super) fn publish(&self, head: RecordHead, bytes: &[u8], priority: Priority) -> Result<(), TransportError> {
        let mut claim = self.claim(head, bytes.len(), priority)?;
        claim.copy_from_slice(bytes);
        claim.commit(bytes.len())
    }

    /// How far the consumer has released, as far as that can be true.
    pub(super) fn released(&self) -> Position {
        let known = &self.private.0.known_released;
        match released_checked(&self.reserved, &self.released, known) {
            Ok((released, _)) => released,
            Err(_) => {
                self.breach();
                Position::from_word(known.load(Ordering::Acquire))
            }
        }
    }

    fn breach(&self) -> TransportError {
        self.private.0.broken.store(true, Ordering::Relaxed);
        TransportError::Broken(Breach::Released)
    }

    /// Whether the consumer was caught lying or is gone; the pair must then be detached.
    pub(super) fn is_broken(&self) -> bool {
        self.private.0.broken.load(Ordering::Relaxed) || self.ringer.gone().is_some()
    }

    fn commit(&self, reservation: Reservation, head: RecordHead, len: u32) {
        let Reservation { number, span, .. } = reservation;
        let RecordHead { kind, flags, session_index, session_sequence, correlation } = head;
        if let Some(slot) = self.slots.get(self.bounds.slot_index(number)) {
            slot.commit(number, &Entry { kind, flags, span, len, session_index, session_sequence, correlation });
        }
        if let Some(counters) = &self.counters {
            counters.records.fetch_add(1, Ordering::Relaxed);
            counters.bytes.fetch_add(len.into(), Ordering::Relaxed);
            if flags & FLAG_COALESCED != 0 {
                counters.coalesced.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.private.0.last_rung.wake(&self.sleep_epoch, || self.ringer.ring());
    }
}

/// A claimed span of the arena: fill it as a byte slice, then [`commit`](Claim::commit) what was used.
///
/// Dropped without commit (error, panic, cancelled) it becomes padding that the consumer passes over. Not `Send`, so
/// it cannot be held over an `.await`: an open claim holds up every record behind it.
pub struct Claim<'a> {
    producer: &'a Producer,
    head: RecordHead,
    reservation: Reservation,
    len: u32,
    committed: bool,
    _not_send: PhantomData<*const ()>,
}

impl Claim<'_> {
    /// Makes the first `len` bytes visible to the consumer and rings when it sleeps.
    ///
    /// # Errors
    /// [`TransportError::TooLarge`] when more was used than claimed; the record is then dropped.
    pub fn commit(mut self, len: usize) -> Result<(), TransportError> {
        let max = self.len;
        let Some(len) = u32::try_from(len).ok().filter(|len| *len <= max) else {
            return Err(TransportError::TooLarge { len, max: max as usize });
        };
        self.committed = true;
        self.producer.commit(self.reservation, self.head, len);
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let pad = RecordHead { kind: KIND_PAD, ..RecordHead::default() };
            self.producer.commit(self.reservation, pad, 0);
        }
    }
}

impl Deref for Claim<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let offset = self.producer.bounds.offset(self.reservation.start);
        // SAFETY: the claim owns its span, which is contiguous in the arena: no producer gets these bytes before
        // the consumer releases them, and the consumer reads them only once they are committed.
        unsafe { std::slice::from_raw_parts(self.producer.arena.at(offset).as_ptr(), self.len as usize) }
    }
}

impl DerefMut for Claim<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let offset = self.producer.bounds.offset(self.reservation.start);
        // SAFETY: as for `deref`; `&mut self` makes the slice unique.
        unsafe { std::slice::from_raw_parts_mut(self.producer.arena.at(offset).as_ptr(), self.len as usize) }
    }
}
