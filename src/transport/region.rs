//! A mapped region and typed handles into it. The only place that turns an offset into a reference.

use super::layout::{EventsHead, RequestsHead, SLOTS, arena_offset, region_len};
use super::os::Mapping;
use super::slots::{Bounds, Slot};
use std::ops::Deref;
use std::ptr::{NonNull, slice_from_raw_parts_mut};
use std::sync::Arc;

/// One region inside of a mapping, with the bounds that this side decided on or checked.
#[derive(Clone, Debug)]
pub(super) struct Region {
    mapping: Arc<Mapping>,
    offset: usize,
    bounds: Bounds,
}

/// Words in a region, which stays mapped as long as this exists.
pub(super) struct Shared<T: ?Sized> {
    pointer: NonNull<T>,
    _mapping: Arc<Mapping>,
}

/// The record bytes of a region.
pub(super) struct Arena {
    base: NonNull<u8>,
    len: u32,
    _mapping: Arc<Mapping>,
}

impl Region {
    /// The region at `offset` (page aligned) of the mapping; `None` when it does not fit in there.
    pub(super) fn new(mapping: Arc<Mapping>, offset: usize, bounds: Bounds) -> Option<Self> {
        let end = offset.checked_add(region_len(&bounds))?;
        (offset.is_multiple_of(super::layout::PAGE) && end <= mapping.len()).then_some(Self { mapping, offset, bounds })
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(super) fn events_head(&self) -> Shared<EventsHead> {
        self.share(self.at(0).cast())
    }

    pub(super) fn requests_head(&self) -> Shared<RequestsHead> {
        self.share(self.at(0).cast())
    }

    pub(super) fn slots(&self) -> Shared<[Slot]> {
        let slots = slice_from_raw_parts_mut(self.at(SLOTS).cast().as_ptr(), self.bounds.slot_count as usize);
        // SAFETY: derived from a `NonNull`.
        self.share(unsafe { NonNull::new_unchecked(slots) })
    }

    pub(super) fn arena(&self) -> Arena {
        let base = self.at(arena_offset(&self.bounds));
        Arena { base, len: self.bounds.arena_len, _mapping: self.mapping.clone() }
    }

    /// `offset` is one of the layout's, below `region_len`.
    fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: `new` checked that the whole region lies in the mapping.
        unsafe { self.mapping.base().add(self.offset + offset) }
    }

    fn share<T: ?Sized>(&self, pointer: NonNull<T>) -> Shared<T> {
        Shared { pointer, _mapping: self.mapping.clone() }
    }
}

impl<T: ?Sized> Shared<T> {
    /// A handle to a part.
    pub(super) fn part<U>(&self, part: impl FnOnce(&T) -> &U) -> Shared<U> {
        Shared { pointer: NonNull::from(part(self)), _mapping: self._mapping.clone() }
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: inside of a mapping that we hold, aligned by the layout's asserts, and made of atomics only, for
        // which all bytes are valid and which others may write. A read-only map sees loads only: every load of at
        // most 64 bits is a plain load on the processors that we build for.
        unsafe { self.pointer.as_ref() }
    }
}

// SAFETY: gives shared references only, to what is itself `Sync`.
unsafe impl<T: ?Sized + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for Shared<T> {}

impl Arena {
    /// Whether `len` bytes from `first` on lie in the arena.
    pub(super) fn contains(&self, first: *const u8, len: usize) -> bool {
        let offset = first.addr().wrapping_sub(self.base.addr().get());
        offset <= self.len as usize && len <= self.len as usize - offset
    }

    /// Address of the byte at `offset`; the arena's end when it lies beyond.
    pub(super) fn at(&self, offset: u32) -> NonNull<u8> {
        // SAFETY: at most the arena's length, and `Region::new` checked that the arena lies in the mapping.
        unsafe { self.base.add(offset.min(self.len) as usize) }
    }
}

// SAFETY: an address; who reads or writes behind it says why it may.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}
