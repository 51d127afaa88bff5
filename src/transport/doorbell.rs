//! When to ring: a consumer says in a shared word that it is about to sleep, and only then does a producer pay for
//! a system call (ring §4). The bell itself is in `os`.
//!
//! Consumer: store an odd epoch, look again, sleep; awake: store an even epoch. Producer: commit, read the epoch, ring
//! once for each odd value. All four are SeqCst, so either the consumer's second look sees the commit or the
//! producer sees the odd epoch; a wake cannot be lost.
//!
//! Uses only `super::sync`, so that loom can search its interleavings.

use super::sync::{AtomicU32, Ordering};

/// The producers' memory of the last sleep they ended, private to their process: it is never written into the
/// consumer's region.
#[derive(Debug)]
pub struct LastRung(AtomicU32);

#[allow(clippy::new_without_default)] // Made once a ring; a default would hide that it is private to one.
impl LastRung {
    /// Nothing was rung for yet; epoch 0 is even.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// After a commit: rings when the consumer sleeps and nobody has rung for this sleep.
    pub fn wake(&self, sleep_epoch: &AtomicU32, ring: impl FnOnce()) {
        let epoch = sleep_epoch.load(Ordering::SeqCst);
        // Relaxed: who loses the swap relies only on the winner's ring, which follows it.
        if epoch % 2 == 1 && self.0.swap(epoch, Ordering::Relaxed) != epoch {
            ring();
        }
    }
}

/// The consumer's side: its own copy of the epoch that it shows.
#[derive(Debug, Default)]
pub struct Sleeper {
    epoch: u32,
    /// The bell may ring for a sleep that was given up.
    may_ring: bool,
}

impl Sleeper {
    /// Whether producers have been told to ring.
    pub const fn is_armed(&self) -> bool {
        self.epoch % 2 == 1
    }

    /// Announces a sleep. The caller must look for records once more before it sleeps. Armed already, it begins a
    /// new sleep: the bell may have rung for a record behind one that is not committed yet, and that one's producer
    /// must ring again.
    pub fn arm(&mut self, sleep_epoch: &AtomicU32, drain: impl FnOnce()) {
        if self.is_armed() || std::mem::take(&mut self.may_ring) {
            drain();
        }
        self.epoch = self.epoch.wrapping_add(if self.is_armed() { 2 } else { 1 });
        sleep_epoch.store(self.epoch, Ordering::SeqCst);
    }

    /// Ends the sleep, when there is one, for a consumer that looks on without sleeping: producers stop paying for the bell.
    /// It may have rung already, and is silenced when the consumer sleeps after all.
    pub fn pause(&mut self, sleep_epoch: &AtomicU32) {
        if self.is_armed() {
            self.may_ring = true;
            self.epoch = self.epoch.wrapping_add(1);
            sleep_epoch.store(self.epoch, Ordering::SeqCst);
        }
    }

    /// Ends the sleep, when there is one, and silences the bell.
    pub fn disarm(&mut self, sleep_epoch: &AtomicU32, drain: impl FnOnce()) {
        if self.is_armed() {
            self.epoch = self.epoch.wrapping_add(1);
            self.may_ring = false;
            sleep_epoch.store(self.epoch, Ordering::SeqCst);
            drain();
        }
    }
}

/// The producer asks to be told when the consumer frees room. It must try its claim once more afterwards.
pub fn set_want_room(want_room: &AtomicU32, wanted: bool) {
    want_room.store(u32::from(wanted), Ordering::SeqCst);
}

/// After storing `released` (SeqCst): whether the producer waits for room.
pub fn is_room_wanted(want_room: &AtomicU32) -> bool {
    want_room.load(Ordering::SeqCst) != 0
}
