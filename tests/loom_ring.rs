//! Every interleaving (up to a bound of preemptions) of the slot ring and the doorbell, searched by loom. The two
//! sources are compiled here with loom's atomics in place of the standard ones.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A failed step is a failed model.

// Types and helpers of the two files which the model does not need are used by the library.
#[path = "../src/transport/doorbell.rs"]
pub mod doorbell;
#[path = "../src/transport/slots.rs"]
pub mod slots;

/// Loom treats SeqCst accesses as acquire and release only; fences give them their order.
mod sync {
    pub(super) use loom::sync::atomic::Ordering;
    use loom::sync::atomic::fence;

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub struct $name(loom::sync::atomic::$name);

            impl $name {
                pub fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $value {
                    if order == Ordering::SeqCst {
                        fence(Ordering::SeqCst);
                        return self.0.load(Ordering::Acquire);
                    }
                    self.0.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    if order == Ordering::SeqCst {
                        self.0.store(value, Ordering::Release);
                        return fence(Ordering::SeqCst);
                    }
                    self.0.store(value, order);
                }
            }
        };
    }
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);

    impl AtomicU32 {
        pub fn swap(&self, value: u32, order: Ordering) -> u32 {
            self.0.swap(value, order)
        }
    }

    impl AtomicU64 {
        /// Never fails without reason, which would only repeat states.
        pub fn compare_exchange_weak(&self, old: u64, new: u64, ok: Ordering, no: Ordering) -> Result<u64, u64> {
            self.0.compare_exchange(old, new, ok, no)
        }
    }
}

use doorbell::{LastRung, Sleeper};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use slots::{Bounds, Entry, KIND_PAD, Position, Priority, Refusal, Slot};
use sync::{AtomicU32, AtomicU64, Ordering};

const BOUNDS: Bounds = Bounds { slot_count: 2, arena_len: 32, max_record: 8 };

/// A bell as the system gives it: stays rung until drained.
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn drain(&self) {
        *self.rung.lock().unwrap() = false;
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
    }
}

struct Ring {
    reserved: AtomicU64,
    released: AtomicU64,
    known_released: AtomicU64,
    slots: [Slot; 2],
    /// The arena in units of 8 bytes; loom reports two threads that touch one at once.
    arena: [UnsafeCell<u64>; 4],
    sleep_epoch: AtomicU32,
    want_room: AtomicU32,
    last_rung: LastRung,
    client: Bell,
    engine: Bell,
}

// SAFETY: the arena is guarded by the protocol under test; loom checks it.
unsafe impl Sync for Ring {}

impl Ring {
    fn new(start: Position) -> Arc<Self> {
        let slot = || Slot {
            head: AtomicU64::new(start.slot.into()),
            size: AtomicU64::new(0),
            session: AtomicU64::new(0),
            correlation: AtomicU64::new(0),
        };
        let bell = || Bell { rung: Mutex::new(false), changed: Condvar::new() };
        let word = || AtomicU64::new(start.to_word());
        Arc::new(Self {
            reserved: word(),
            released: word(),
            known_released: word(),
            slots: [slot(), slot()],
            arena: std::array::from_fn(|_| UnsafeCell::new(0)),
            sleep_epoch: AtomicU32::new(0),
            want_room: AtomicU32::new(0),
            last_rung: LastRung::new(),
            client: bell(),
            engine: bell(),
        })
    }

    /// A record with this value, or padding for none.
    fn publish(&self, value: Option<u64>) -> Result<(), Refusal> {
        let claim = BOUNDS.claim(&self.reserved, &self.released, &self.known_released, 8, Priority::Control)?;
        let cell = &self.arena[BOUNDS.offset(claim.start) as usize / 8];
        // SAFETY: the claim makes the span ours.
        cell.with_mut(|place| unsafe { *place = value.unwrap_or(0) });
        let kind = if value.is_some() { 1 } else { KIND_PAD };
        let entry = Entry { kind, span: claim.span, len: 8, ..Entry::default() };
        self.slots[BOUNDS.slot_index(claim.number)].commit(claim.number, &entry);
        self.last_rung.wake(&self.sleep_epoch, || self.client.ring());
        Ok(())
    }

    fn publish_when_there_is_room(&self, value: u64) {
        while self.publish(Some(value)).is_err() {
            doorbell::set_want_room(&self.want_room, true);
            if self.publish(Some(value)).is_ok() {
                break;
            }
            self.engine.wait();
            self.engine.drain();
        }
    }

    /// Reads, checks and releases the next record; `None` when none is committed.
    fn take(&self, read: &mut Position) -> Option<Option<u64>> {
        let slot = &self.slots[BOUNDS.slot_index(read.slot)];
        if !slot.is_committed(read.slot) {
            return None;
        }
        let entry = slot.committed(read.slot).expect("a committed record stays");
        let (offset, next) = BOUNDS.locate(&entry, *read, *read).expect("an honest record");
        // SAFETY: committed and not released, so ours to read.
        let value = self.arena[offset as usize / 8].with(|place| unsafe { *place });
        *read = next;
        self.released.store(read.to_word(), Ordering::SeqCst);
        if doorbell::is_room_wanted(&self.want_room) {
            self.engine.ring();
        }
        Some((entry.kind != KIND_PAD).then_some(value))
    }

    /// Takes `count` records, padding included, sleeping whenever there is none.
    fn take_all(&self, start: Position, count: usize) -> Vec<u64> {
        let (mut read, mut sleeper, mut values) = (start, Sleeper::default(), Vec::new());
        for _ in 0..count {
            let value = loop {
                if let Some(value) = self.take(&mut read) {
                    sleeper.disarm(&self.sleep_epoch, || self.client.drain());
                    break value;
                }
                sleeper.arm(&self.sleep_epoch, || self.client.drain());
                if let Some(value) = self.take(&mut read) {
                    sleeper.disarm(&self.sleep_epoch, || self.client.drain());
                    break value;
                }
                assert!(sleeper.is_armed());
                self.client.wait();
            };
            values.extend(value);
        }
        values
    }
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_duration = Some(std::time::Duration::from_secs(15));
    builder.check(test);
}

/// Just below the wrap of both counters.
const WRAP: Position = Position { slot: u32::MAX, byte: u32::MAX - 7 };

#[test]
fn two_producers_and_a_sleeping_consumer() {
    model(|| {
        let ring = Ring::new(WRAP);
        let threads = [Some(1), None].map(|value| {
            let ring = ring.clone();
            loom::thread::spawn(move || assert_eq!(ring.publish(value), Ok(())))
        });
        assert_eq!(ring.take_all(WRAP, 2), [1]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_full_ring_hears_of_room() {
    model(|| {
        let ring = Ring::new(WRAP);
        let producer = ring.clone();
        let thread = loom::thread::spawn(move || (1..=3).for_each(|value| producer.publish_when_there_is_room(value)));
        assert_eq!(ring.take_all(WRAP, 3), [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn two_producers_over_a_full_ring() {
    model(|| {
        let ring = Ring::new(WRAP);
        assert_eq!(ring.publish(Some(1)), Ok(()));
        let threads = [2, 3].map(|value| {
            let ring = ring.clone();
            loom::thread::spawn(move || match ring.publish(Some(value)) {
                Ok(()) => 1,
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Full);
                    0
                }
            })
        });
        let first = ring.take_all(WRAP, 1);
        assert_eq!(first, [1]);
        let written: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let mut rest = ring.take_all(Position { slot: 0, byte: 0 }, written);
        rest.sort_unstable();
        assert!(written >= 1 && rest.windows(2).all(|pair| pair[0] < pair[1]), "{rest:?}");
    });
}
