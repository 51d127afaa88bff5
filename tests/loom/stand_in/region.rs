//! Memory that both ends see.

use super::slots::ALIGNMENT;
use loom::cell::UnsafeCell;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

pub struct Shared<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Who asks for an address.
#[derive(Clone, Copy)]
enum Role {
    Writer,
    Reader,
}

/// The arena as one end sees it. Asking for an address counts as using the bytes there: loom reports two ends that do so
/// without an order between them.
pub struct Arena {
    bytes: Arc<Bytes>,
    role: Role,
}

struct Bytes {
    words: std::cell::UnsafeCell<Box<[u64]>>,
    uses: Box<[UnsafeCell<()>]>,
}

// SAFETY: loom runs one thread at a time; whether the order of accesses is sound is what it finds out.
unsafe impl Sync for Bytes {}
// SAFETY: as above.
unsafe impl Send for Bytes {}

impl Arena {
    /// The writer's and the reader's.
    pub fn pair(len: u32) -> (Arena, Arena) {
        let words = 0..len / ALIGNMENT;
        let uses = words.clone().map(|_| UnsafeCell::new(())).collect();
        let bytes = Arc::new(Bytes { words: std::cell::UnsafeCell::new(words.map(|_| 0).collect()), uses });
        (Arena { bytes: bytes.clone(), role: Role::Writer }, Arena { bytes, role: Role::Reader })
    }

    pub fn contains(&self, first: *const u8, len: usize) -> bool {
        let base = self.at(0).addr().get();
        (base..=base + self.bytes.uses.len() * ALIGNMENT as usize - len).contains(&first.addr())
    }

    pub fn at(&self, offset: u32) -> NonNull<u8> {
        let index = (offset / ALIGNMENT) as usize;
        match self.role {
            Role::Writer => self.bytes.uses[index].with_mut(|_| ()),
            Role::Reader => self.bytes.uses[index].with(|_| ()),
        }
        // SAFETY: no reference to the words is kept by anybody.
        NonNull::from(unsafe { &mut (&mut *self.bytes.words.get())[index] }).cast()
    }
}
