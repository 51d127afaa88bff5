use super::client_end::ClientEnd;
use super::engine_end::EngineEnd;
use super::error::TransportError;
use super::header::Identity;
use super::layout::{RingSize, region_len};
use super::os::Mapping;
use super::pair::{self, Pair, Wires};
use super::region::Region;
use super::slots::Position;
use super::{bell, blobs};
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
    pair::begin_events(&pair.events, start, &options.identity);
    pair::begin_requests(&pair.requests, start, &options.identity);
    pair::check_events(&pair.events, &options.identity)?;
    pair::check_requests(&pair.requests, &options.identity)?;
    let (to_engine, engine_bell) = bell::local()?;
    let (to_client, client_bell) = bell::local()?;
    let (events_out, events_in) = blobs::local(usize::MAX);
    let (requests_out, requests_in) = blobs::local(blobs::REQUEST_LIMIT);
    let engine = Wires { ringer: to_client, bell: engine_bell, blobs_out: events_out, blobs_in: requests_in };
    let client = Wires { ringer: to_engine, bell: client_bell, blobs_out: requests_out, blobs_in: events_in };
    Ok((pair.engine_end(engine), pair.client_end(client)))
}
