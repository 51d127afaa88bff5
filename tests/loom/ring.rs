//! One ring with its two ends, and what the two sides do with them.

use super::bell::{Ringer, bell};
use super::consumer::{Consumer, Cursor, RawEvent};
use super::doorbell;
use super::error::TransportError;
use super::producer::{Claim, Private, Producer, RecordHead};
use super::region::{Arena, Shared};
use super::slots::{Bounds, Position, Priority, Slot};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// Two slots, and an arena of two records of 8 bytes.
const BOUNDS: Bounds = Bounds { slot_count: 2, arena_len: 16, max_record: 8 };

/// Just below the wrap of both counters.
pub const WRAP: Position = Position { slot: u32::MAX, byte: u32::MAX - 7 };

/// The side that writes, in any number of threads.
pub struct Engine {
    pub producer: Producer,
    pub want_room: Shared<AtomicU32>,
    /// Not 0: nothing more is written.
    pub closed: Shared<AtomicU32>,
}

/// The side that reads.
pub struct Client {
    pub consumer: Consumer,
    pub want_room: Shared<AtomicU32>,
    pub closed: Shared<AtomicU32>,
    /// Rings the engine.
    pub engine: Ringer,
}

/// The two sides; `engine` is how the client rings the engine.
pub fn ring(engine: Ringer) -> (Arc<Engine>, Client) {
    let zero = || Shared(Arc::new(AtomicU32::new(0)));
    let word = || Shared(Arc::new(AtomicU64::new(WRAP.to_word())));
    let slot = |_| Slot {
        head: AtomicU64::new(WRAP.slot.into()),
        size: AtomicU64::new(0),
        session: AtomicU64::new(0),
        correlation: AtomicU64::new(0),
    };
    let slots: Shared<[Slot]> = Shared((0..BOUNDS.slot_count).map(slot).collect());
    let (reserved, released) = (word(), word());
    let (sleep_epoch, want_room, closed) = (zero(), zero(), zero());
    let (written, read) = Arena::pair(BOUNDS.arena_len);
    let (ringer, bell) = bell();
    let producer = Producer {
        bounds: BOUNDS,
        reserved,
        slots: slots.clone(),
        arena: written,
        released: released.clone(),
        sleep_epoch: sleep_epoch.clone(),
        counters: None,
        private: Private::new(WRAP.to_word()),
        ringer,
    };
    let consumer = Consumer {
        bounds: BOUNDS,
        slots,
        arena: read,
        released_word: released,
        sleep_epoch,
        bell,
        cursor: Cursor::new(&BOUNDS, WRAP),
    };
    let client = Client { consumer, want_room: want_room.clone(), closed: closed.clone(), engine };
    (Arc::new(Engine { producer, want_room, closed }), client)
}

/// A record that says the same in all of its places.
fn head(value: u32) -> RecordHead {
    let correlation = u64::from(value) << 32;
    RecordHead { kind: 1, flags: 2, session_index: value, session_sequence: !value, correlation }
}

impl Engine {
    /// Writes one record. False when there is no room.
    pub fn publish(&self, value: u32) -> bool {
        match self.producer.publish(head(value), &u64::from(value).to_ne_bytes(), Priority::Control) {
            Ok(()) => true,
            Err(TransportError::Full) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Claims room and does not use it: an abandoned claim becomes padding.
    pub fn abandon(&self) {
        drop(self.claim());
    }

    pub fn claim(&self) -> Claim<'_> {
        self.producer.claim(head(0), 8, Priority::Control).unwrap()
    }
}

impl Client {
    /// The next record, checked and released.
    pub fn take(&mut self) -> Option<u32> {
        self.read::<1>().unwrap().pop()
    }

    /// Up to `N` records, checked and released at once.
    pub fn read<const N: usize>(&mut self) -> Result<Vec<u32>, TransportError> {
        let mut events = [RawEvent::EMPTY; N];
        let count = self.consumer.next(&mut events)?;
        let values = events[..count].iter().map(|event| {
            let value = event.session_index;
            assert_eq!((event.head(), event.len, event.word()), (head(value), 8, Some(value.into())));
            value
        });
        let values = values.collect();
        if self.consumer.release(count) > 0 && doorbell::is_room_wanted(&self.want_room) {
            self.engine.ring();
        }
        Ok(values)
    }

    /// What the sequence word of slot `number` behind the start says.
    pub fn is_committed(&self, number: u32) -> bool {
        let number = WRAP.slot.wrapping_add(number);
        self.consumer.slots[BOUNDS.slot_index(number)].head.load(Ordering::SeqCst) as u32 == number.wrapping_add(1)
    }
}
