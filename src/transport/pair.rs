//! The two regions of an attached client as one process sees them, and the ends made of them.

use super::bell::{Bell, Ringer};
use super::blobs::{BlobReader, BlobWriter};
use super::client_end::{ClientEnd, EventReader, RequestWriter};
use super::consumer::{Consumer, Cursor};
use super::engine_end::{EngineEnd, EventWriter, RequestReader};
use super::error::TransportError;
use super::header::{self, Identity};
use super::layout::{REGION_EVENTS, REGION_REQUESTS};
use super::producer::{Private, Producer};
use super::region::Region;
use super::slots::Position;
use super::sync::Ordering;

/// Both regions, either of which this process may only be able to read.
pub(super) struct Pair {
    pub events: Region,
    pub requests: Region,
    /// Where both rings begin.
    pub start: Position,
}

/// What an end has beside the regions.
pub(super) struct Wires {
    /// Wakes the other side.
    pub ringer: Ringer,
    /// Wakes this one.
    pub bell: Bell,
    pub blobs_out: BlobWriter,
    pub blobs_in: BlobReader,
}

/// Brings a zeroed events region of ours to its first state; the header, with `ready`, last.
pub(super) fn begin_events(events: &Region, start: Position, identity: &Identity) {
    let head = events.events_head();
    if start != Position::default() {
        head.reserved.0.store(start.to_word(), Ordering::Relaxed);
        head.requests_released.0.store(start.to_word(), Ordering::Relaxed);
        begin_slots(events, start);
    }
    header::write(&head.header, REGION_EVENTS, &events.bounds(), identity);
}

/// As [`begin_events`], for a requests region.
pub(super) fn begin_requests(requests: &Region, start: Position, identity: &Identity) {
    let head = requests.requests_head();
    if start != Position::default() {
        head.reserved.0.store(start.to_word(), Ordering::Relaxed);
        head.released.0.store(start.to_word(), Ordering::Relaxed);
        begin_slots(requests, start);
    }
    header::write(&head.header, REGION_REQUESTS, &requests.bounds(), identity);
}

fn begin_slots(region: &Region, start: Position) {
    // A zero would mean "committed" to the reader of number 2^32 - 1.
    for slot in region.slots().iter() {
        slot.head.store(start.slot.into(), Ordering::Relaxed);
    }
}

/// Checks an events region that the engine filled.
pub(super) fn check_events(events: &Region, identity: &Identity) -> Result<(), TransportError> {
    header::check(&events.events_head().header, REGION_EVENTS, &events.bounds(), identity)
}

/// Checks a requests region that the client filled.
pub(super) fn check_requests(requests: &Region, identity: &Identity) -> Result<(), TransportError> {
    header::check(&requests.requests_head().header, REGION_REQUESTS, &requests.bounds(), identity)
}

impl Pair {
    /// The engine's end; both regions were checked or made by this process.
    pub(super) fn engine_end(&self, wires: Wires) -> EngineEnd {
        let Wires { ringer, bell, blobs_out, blobs_in } = wires;
        let (events, requests) = (self.events.events_head(), self.requests.requests_head());
        let producer = Producer {
            bounds: self.events.bounds(),
            reserved: events.part(|head| &head.reserved.0),
            slots: self.events.slots(),
            arena: self.events.arena(),
            released: requests.part(|head| &head.released.0),
            sleep_epoch: requests.part(|head| &head.sleep_epoch.0),
            counters: Some(events.part(|head| &head.counters.0)),
            private: Private::new(self.start.to_word()),
            ringer,
        };
        let consumer = Consumer {
            bounds: self.requests.bounds(),
            slots: self.requests.slots(),
            arena: self.requests.arena(),
            released_word: events.part(|head| &head.requests_released.0),
            sleep_epoch: events.part(|head| &head.engine_sleep_epoch.0),
            bell,
            cursor: Cursor::new(&self.requests.bounds(), self.start),
        };
        let events = EventWriter { producer, head: events };
        EngineEnd { events, requests: RequestReader { consumer }, blobs_out, blobs_in }
    }

    /// The client's end; as [`engine_end`](Self::engine_end).
    pub(super) fn client_end(&self, wires: Wires) -> ClientEnd {
        let Wires { ringer, bell, blobs_out, blobs_in } = wires;
        let (events, requests) = (self.events.events_head(), self.requests.requests_head());
        let producer = Producer {
            bounds: self.requests.bounds(),
            reserved: requests.part(|head| &head.reserved.0),
            slots: self.requests.slots(),
            arena: self.requests.arena(),
            released: events.part(|head| &head.requests_released.0),
            sleep_epoch: events.part(|head| &head.engine_sleep_epoch.0),
            counters: None,
            private: Private::new(self.start.to_word()),
            ringer: ringer.clone(),
        };
        let consumer = Consumer {
            bounds: self.events.bounds(),
            slots: self.events.slots(),
            arena: self.events.arena(),
            released_word: requests.part(|head| &head.released.0),
            sleep_epoch: requests.part(|head| &head.sleep_epoch.0),
            bell,
            cursor: Cursor::new(&self.events.bounds(), self.start),
        };
        let events = EventReader { consumer, head: events, engine: ringer };
        ClientEnd { events, requests: RequestWriter { producer }, blobs_out, blobs_in }
    }
}
