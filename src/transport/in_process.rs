use super::client_end::{ClientEnd, EventReader, RequestWriter};
use super::consumer::{Consumer, Cursor};
use super::engine_end::{EngineEnd, EventWriter, RequestReader};
use super::error::TransportError;
use super::header::{self, Identity};
use super::layout::{REGION_EVENTS, REGION_REQUESTS, RingSize, region_len};
use super::os::{Bell, Mapping, Ringer, bell};
use super::producer::{Private, Producer};
use super::region::Region;
use super::slots::Position;
use super::sync::Ordering;
use std::io;
use std::sync::Arc;

/// What a pair of rings is made of.
#[derive(Clone, Copy, Debug)]
pub struct PairOptions {
    /// Engine to client.
    pub events: RingSize,
    /// Client to engine.
    pub requests: RingSize,
    /// Written into both headers.
    pub identity: Identity,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self { events: RingSize::EVENTS, requests: RingSize::REQUESTS, identity: Identity::default() }
    }
}

/// Makes both regions in one anonymous mapping and gives the two ends. Memory is touched as the rings fill.
///
/// # Errors
/// [`TransportError::Size`] for sizes outside of their limits, [`TransportError::System`] for want of memory or handles.
pub fn in_process(options: &PairOptions) -> Result<(EngineEnd, ClientEnd), TransportError> {
    in_process_from(options, Position::default())
}

/// As [`in_process`], with both rings beginning at `start`.
pub(super) fn in_process_from(
    options: &PairOptions,
    start: Position,
) -> Result<(EngineEnd, ClientEnd), TransportError> {
    let (events, requests) = (options.events.bounds()?, options.requests.bounds()?);
    let events_len = region_len(&events);
    let unmapped = |source| TransportError::System { what: "memory for the rings", source };
    let mapping = Arc::new(Mapping::anonymous(events_len + region_len(&requests)).map_err(unmapped)?);
    let region = |offset, bounds| {
        Region::new(mapping.clone(), offset, bounds).ok_or_else(|| unmapped(io::ErrorKind::OutOfMemory.into()))
    };
    let pair = Pair { events: region(0, events)?, requests: region(events_len, requests)?, start };
    pair.begin(&options.identity);
    let (to_engine, engine_bell) = bell()?;
    let (to_client, client_bell) = bell()?;
    let engine = pair.engine_end(&options.identity, to_client, engine_bell)?;
    let client = pair.client_end(&options.identity, to_engine, client_bell)?;
    Ok((engine, client))
}

/// Both regions as one process sees them.
struct Pair {
    events: Region,
    requests: Region,
    start: Position,
}

impl Pair {
    /// Brings two zeroed regions to their first state; the headers, with `ready`, last.
    fn begin(&self, identity: &Identity) {
        let (events, requests) = (self.events.events_head(), self.requests.requests_head());
        let start = self.start.to_word();
        if start != 0 {
            for word in [&events.reserved.0, &events.requests_released.0, &requests.reserved.0, &requests.released.0] {
                word.store(start, Ordering::Relaxed);
            }
            // A zero would mean "committed" to the reader of number 2^32 - 1.
            for slot in self.events.slots().iter().chain(self.requests.slots().iter()) {
                slot.head.store(self.start.slot.into(), Ordering::Relaxed);
            }
        }
        header::write(&events.header, REGION_EVENTS, &self.events.bounds(), identity);
        header::write(&requests.header, REGION_REQUESTS, &self.requests.bounds(), identity);
    }

    fn check(&self, identity: &Identity) -> Result<(), TransportError> {
        header::check(&self.events.events_head().header, REGION_EVENTS, &self.events.bounds(), identity)?;
        header::check(&self.requests.requests_head().header, REGION_REQUESTS, &self.requests.bounds(), identity)
    }

    fn engine_end(&self, identity: &Identity, client: Ringer, bell: Bell) -> Result<EngineEnd, TransportError> {
        self.check(identity)?;
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
            ringer: client,
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
        Ok(EngineEnd { events: EventWriter { producer, head: events }, requests: RequestReader { consumer } })
    }

    fn client_end(&self, identity: &Identity, engine: Ringer, bell: Bell) -> Result<ClientEnd, TransportError> {
        self.check(identity)?;
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
            ringer: engine.clone(),
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
        let events = EventReader { consumer, head: events, engine };
        Ok(ClientEnd { events, requests: RequestWriter { producer } })
    }
}
