//! The reading side of an attached client: what was committed before a loss first, then the ring; nothing twice, nothing
//! left out; and memory that stays in place until it is released.
//!
//! The engine's process can change the ring's bytes at any time. The library itself reads structured bodies from copies made
//! when they are handed out; only text, which nobody parses, is handed out where it lies. Large bodies are sealed.

use std::collections::VecDeque;

use rkyv::util::AlignedVec;

use super::seen::{Arrival, Seen};
use crate::protocol::event::EventKind;
use crate::transport::{Blob, BlobReader, Breach, EventReader, FLAG_BLOB, RawEvent, RecordHead, TransportError};

/// Copies kept for reuse.
const SPARE: usize = 64;
/// Longest copy kept for reuse, bytes.
const SPARE_LEN: usize = 16 << 10;

/// Events of one attached client.
pub(super) struct Reader {
    ring: EventReader,
    blobs: BlobReader,
    /// Generation part of the ids of the ring's sessions.
    pub generation: u32,
    /// What was got of each session.
    pub seen: Seen,
    /// Events of rings before, read and not yet handed out.
    backlog: VecDeque<Owned>,
    backlog_bytes: usize,
    /// One for each event handed out and not released, oldest first.
    held: VecDeque<Held>,
    /// Records of the ring that are to be released with those.
    records_held: usize,
    /// Events handed out, and those released of them.
    handed_out: u64,
    released: u64,
    /// Rings before, each with the number of events handed out when it was left: they may lie in it.
    left: Vec<(u64, EventReader)>,
    /// How the engine broke the ring; nothing more of it is believed.
    fault: Option<Breach>,
    spare: Vec<AlignedVec>,
}

/// An event in memory of our own.
struct Owned {
    generation: u32,
    head: RecordHead,
    body: Body,
}

/// What an event handed out holds on to.
struct Held {
    /// Records of the ring to release with it: its own and repeats behind it.
    records: usize,
    body: Body,
}

/// Where a body lies.
enum Body {
    /// In the ring.
    InPlace,
    /// In a copy.
    Copy(AlignedVec),
    /// Beside the ring.
    Large(Blob),
}

impl Body {
    /// Its bytes, when they are not in the ring.
    fn bytes(&self) -> &[u8] {
        match self {
            Body::InPlace => &[],
            Body::Copy(bytes) => bytes,
            Body::Large(blob) => blob,
        }
    }
}

/// Receives what is taken note of: the ids of requests that were answered.
pub(super) type Answered<'a> = &'a mut dyn FnMut(u64);

impl Reader {
    pub fn new(ring: EventReader, blobs: BlobReader, generation: u32) -> Reader {
        Reader {
            ring,
            blobs,
            generation,
            seen: Seen::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            held: VecDeque::new(),
            records_held: 0,
            handed_out: 0,
            released: 0,
            left: Vec::new(),
            fault: None,
            spare: Vec::new(),
        }
    }

    /// Fills `events`; gives their number and the generation of their sessions, the same for all.
    pub fn next(&mut self, events: &mut [RawEvent], answered: Answered<'_>) -> Result<(usize, u32), TransportError> {
        let count = self.next_of_backlog(events);
        if let Some((count, generation)) = count {
            return Ok((count, generation));
        }
        loop {
            self.check()?;
            let found = self.ring.next(events)?;
            let mut count = 0;
            for at in 0..found {
                let Some(event) = events.get(at).copied() else { break };
                match self.admit(event, answered) {
                    Ok(Some(event)) => {
                        if let Some(place) = events.get_mut(count) {
                            *place = event;
                        }
                        count += 1;
                    }
                    Ok(None) => {}
                    // What came before is good; the next call tells.
                    Err(_) => break,
                }
            }
            // All repeats: look on.
            if count > 0 || found == 0 {
                return Ok((count, self.generation));
            }
        }
    }

    fn next_of_backlog(&mut self, events: &mut [RawEvent]) -> Option<(usize, u32)> {
        let generation = self.backlog.front()?.generation;
        let mut count = 0;
        for place in events {
            if self.backlog.front().is_none_or(|owned| owned.generation != generation) {
                break;
            }
            let Some(Owned { head, body, .. }) = self.backlog.pop_front() else { break };
            let bytes = body.bytes();
            self.backlog_bytes -= bytes.len();
            let RecordHead { kind, flags, session_index, session_sequence, correlation } = head;
            let (ptr, len, sequence) = (bytes.as_ptr(), bytes.len(), self.handed_out + 1);
            *place = RawEvent { ptr, len, correlation, sequence, session_index, session_sequence, kind, flags };
            self.hand_out(Held { records: 0, body });
            count += 1;
        }
        Some((count, generation))
    }

    /// Takes note of an event of the ring and makes it fit to be handed out; `None` for a repeat.
    fn admit(&mut self, mut event: RawEvent, answered: Answered<'_>) -> Result<Option<RawEvent>, Breach> {
        if !self.note(event.head(), answered)? {
            self.pass_repeat();
            return Ok(None);
        }
        let body = self.body(&event)?;
        if !matches!(body, Body::InPlace) {
            let bytes = body.bytes();
            (event.ptr, event.len) = (bytes.as_ptr(), bytes.len());
        }
        event.flags &= !FLAG_BLOB;
        event.sequence = self.handed_out + 1;
        self.records_held += 1;
        self.hand_out(Held { records: 1, body });
        Ok(Some(event))
    }

    fn hand_out(&mut self, held: Held) {
        self.handed_out += 1;
        self.held.push_back(held);
    }

    /// Whether an event is a new one.
    fn note(&mut self, head: RecordHead, answered: Answered<'_>) -> Result<bool, Breach> {
        match self.seen.arrive(head.session_index, head.session_sequence) {
            Arrival::New => {}
            Arrival::Repeat => return Ok(false),
            Arrival::Gap => return Err(self.broken(Breach::Gap)),
        }
        if let Some(EventKind::RequestDone | EventKind::RequestFailed) = EventKind::from_number(head.kind) {
            answered(head.correlation);
        }
        Ok(true)
    }

    /// Where the body of an event of the ring can be read.
    fn body(&mut self, event: &RawEvent) -> Result<Body, Breach> {
        if event.flags & FLAG_BLOB != 0 {
            let blob = event.word().and_then(|number| self.blobs.take(number));
            return blob.map(Body::Large).ok_or_else(|| self.broken(Breach::Blob));
        }
        if EventKind::from_number(event.kind).is_some_and(EventKind::is_text) {
            return Ok(Body::InPlace);
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        self.ring.copy(event, &mut copy);
        Ok(Body::Copy(copy))
    }

    /// A repeat is released with the event handed out before it, or at once when there is none.
    fn pass_repeat(&mut self) {
        match self.held.back_mut() {
            Some(last) if self.records_held > 0 => {
                last.records += 1;
                self.records_held += 1;
            }
            _ => drop(self.ring.release(1)),
        }
    }

    /// Releases the oldest `count` events; gives how many there were.
    pub fn release(&mut self, count: usize) -> usize {
        let count = count.min(self.held.len());
        let mut records = 0;
        for held in self.held.drain(..count) {
            records += held.records;
            if let Body::Copy(mut copy) = held.body
                && copy.capacity() <= SPARE_LEN
                && self.spare.len() < SPARE
            {
                copy.clear();
                self.spare.push(copy);
            }
        }
        self.records_held -= records;
        if records > 0 {
            self.ring.release(records);
        }
        self.released += count as u64;
        let released = self.released;
        self.left.retain(|(until, _)| *until > released);
        count
    }

    /// Gives the oldest unread event, in memory of our own, to `read`; false when there is none.
    pub fn receive<E: From<TransportError>>(
        &mut self,
        answered: Answered<'_>,
        read: impl FnOnce(u32, RecordHead, &[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        if let Some(Owned { generation, head, body }) = self.backlog.pop_front() {
            self.backlog_bytes -= body.bytes().len();
            read(generation, head, body.bytes())?;
            return Ok(true);
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        let received = loop {
            self.check()?;
            let Some(head) = self.ring.receive(&mut copy)? else { break None };
            if self.note(head, answered).map_err(TransportError::Broken)? {
                break Some(head);
            }
        };
        let outcome = match received {
            None => Ok(false),
            Some(head) if head.flags & FLAG_BLOB != 0 => {
                let number = copy.as_slice().try_into().ok().map(u64::from_le_bytes);
                let blob = number.and_then(|number| self.blobs.take(number));
                let blob = blob.ok_or_else(|| TransportError::Broken(self.broken(Breach::Blob)))?;
                read(self.generation, head, &blob).map(|()| true)
            }
            Some(head) => read(self.generation, head, &copy).map(|()| true),
        };
        if self.spare.len() < SPARE && copy.capacity() <= SPARE_LEN {
            self.spare.push(copy);
        }
        outcome
    }

    /// Whether events of rings before wait.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Bytes of events of rings before.
    pub fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// The ring, to wait at.
    pub fn ring(&mut self) -> &mut EventReader {
        &mut self.ring
    }

    /// Whether nothing more will come of the ring, once it is read.
    pub fn is_over(&mut self) -> bool {
        self.has_fault() || self.ring.is_over()
    }

    /// Whether the engine broke the ring.
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Takes everything committed out of a ring that is over, into memory of our own.
    pub fn drain(&mut self, answered: Answered<'_>) {
        let mut event = RawEvent::EMPTY;
        while self.fault.is_none() && matches!(self.ring.next(std::slice::from_mut(&mut event)), Ok(1)) {
            // A fault ends it: what lies behind is sent again.
            let Ok(is_new) = self.note(event.head(), answered) else { return };
            if !is_new {
                continue;
            }
            let body = match self.body(&event) {
                Ok(Body::InPlace) => {
                    let mut copy = AlignedVec::new();
                    self.ring.copy(&event, &mut copy);
                    Body::Copy(copy)
                }
                Ok(body) => body,
                Err(_) => return,
            };
            self.keep(RecordHead { flags: event.flags & !FLAG_BLOB, ..event.head() }, body);
        }
    }

    /// Puts an event of our own behind what waits.
    pub fn append(&mut self, head: RecordHead, body: AlignedVec) {
        self.keep(head, Body::Copy(body));
    }

    fn keep(&mut self, head: RecordHead, body: Body) {
        self.backlog_bytes += body.bytes().len();
        self.backlog.push_back(Owned { generation: self.generation, head, body });
    }

    /// Goes on with another ring. What was handed out of the present one stays in place until it is released.
    pub fn replace(&mut self, ring: EventReader, blobs: BlobReader, generation: u32) {
        if generation != self.generation {
            self.seen = Seen::default();
        }
        let before = std::mem::replace(&mut self.ring, ring);
        if self.records_held > 0 {
            self.left.push((self.handed_out, before));
        }
        (self.blobs, self.generation, self.fault, self.records_held) = (blobs, generation, None, 0);
        self.held.iter_mut().for_each(|held| held.records = 0);
    }

    fn check(&self) -> Result<(), TransportError> {
        self.fault.map_or(Ok(()), |breach| Err(TransportError::Broken(breach)))
    }

    fn broken(&mut self, breach: Breach) -> Breach {
        *self.fault.insert(breach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ClientEnd, EngineEnd, PairOptions, Priority, in_process};

    const TEXT: EventKind = EventKind::MessageDelta;
    const RECORD: EventKind = EventKind::Mode;

    fn reader() -> (EngineEnd, Reader) {
        let (engine, ClientEnd { events, blobs_in, .. }) = in_process(&PairOptions::default()).unwrap();
        (engine, Reader::new(events, blobs_in, 7))
    }

    fn publish(engine: &EngineEnd, kind: EventKind, session_index: u32, session_sequence: u32) {
        let head = RecordHead { kind: kind.number(), session_index, session_sequence, ..RecordHead::default() };
        engine.events.publish(head, b"body", Priority::Normal).unwrap();
    }

    /// Reads once: the sequences handed out, with their generation.
    fn read(reader: &mut Reader) -> Result<(Vec<u32>, u32), TransportError> {
        let mut events = [RawEvent::EMPTY; 8];
        let (count, generation) = reader.next(&mut events, &mut |_| {})?;
        let events = &events[..count];
        assert!(events.iter().all(|event| event.len == 4 && event.flags == 0));
        Ok((events.iter().map(|event| event.session_sequence).collect(), generation))
    }

    #[test]
    fn repeats_are_passed_over_and_released_with_what_came_before_them() {
        let (engine, mut reader) = reader();
        for sequence in [1, 2, 2, 1, 3, 3] {
            publish(&engine, RECORD, 1, sequence);
        }
        assert_eq!(read(&mut reader).unwrap().0, [1, 2, 3]);
        for released in [1, 4, 6] {
            assert_eq!(reader.release(1), 1);
            assert_eq!(engine.events.released_slots(), released);
        }
        // With nothing held they are released at once.
        publish(&engine, RECORD, 1, 3);
        assert!(read(&mut reader).unwrap().0.is_empty());
        assert_eq!((engine.events.released_slots(), reader.release(1)), (7, 0));
    }

    #[test]
    fn what_is_left_out_breaks_the_ring_until_it_is_replaced() {
        let (engine, mut reader) = reader();
        for sequence in [1, 3, 4] {
            publish(&engine, RECORD, 1, sequence);
        }
        assert_eq!(read(&mut reader).unwrap().0, [1]);
        assert!(matches!(read(&mut reader), Err(TransportError::Broken(Breach::Gap))));
        assert!(reader.is_over());
        let (engine, ClientEnd { events, blobs_in, .. }) = in_process(&PairOptions::default()).unwrap();
        reader.drain(&mut |_| {});
        reader.replace(events, blobs_in, 7);
        for sequence in [1, 2, 3] {
            publish(&engine, RECORD, 1, sequence);
        }
        assert_eq!(read(&mut reader).unwrap().0, [2, 3]);
        // The one held before costs the new ring nothing; the repeat was released at once.
        assert_eq!((engine.events.released_slots(), reader.release(1)), (1, 1));
        assert_eq!((reader.release(9), engine.events.released_slots()), (2, 3));
    }

    #[test]
    fn what_was_committed_before_a_loss_comes_first_and_counts_as_got() {
        let (engine, mut reader) = reader();
        publish(&engine, TEXT, 1, 0);
        publish(&engine, RECORD, 1, 1);
        let mut first = [RawEvent::EMPTY];
        assert_eq!(reader.next(&mut first, &mut |_| {}).unwrap(), (1, 7));
        publish(&engine, TEXT, 1, 0);
        let head = RecordHead { kind: EventKind::RequestDone.number(), correlation: 55, ..RecordHead::default() };
        engine.events.publish(RecordHead { session_sequence: 1, ..head }, b"done", Priority::Control).unwrap();
        let mut answered = Vec::new();
        reader.drain(&mut |id| answered.push(id));
        assert_eq!((answered, reader.backlog_bytes(), reader.has_backlog()), (vec![55], 12, true));
        assert_eq!((reader.seen.sessions(), reader.seen.own()), (vec![(1, 1)], Some(1)));

        let (engine, ClientEnd { events, blobs_in, .. }) = in_process(&PairOptions::default()).unwrap();
        reader.replace(events, blobs_in, 8);
        publish(&engine, RECORD, 1, 1);
        assert_eq!(reader.left.len(), 1, "an event is held that lies in the ring before");
        assert_eq!(read(&mut reader).unwrap(), (vec![1, 0, 1], 7));
        // Another generation has other sessions: the same number is another event.
        assert_eq!(read(&mut reader).unwrap(), (vec![1], 8));
        assert_eq!((reader.release(1), reader.left.len()), (1, 0));
        assert_eq!(engine.events.released_slots(), 0);
        assert_eq!((reader.release(4), engine.events.released_slots()), (4, 1));
    }

    #[test]
    fn large_bodies_are_read_beside_the_ring() {
        let (engine, mut reader) = reader();
        let number = engine.blobs_out.put(vec![7; 100_000]).unwrap().to_le_bytes();
        let head = RecordHead { kind: RECORD.number(), flags: FLAG_BLOB, ..RecordHead::default() };
        engine.events.publish(head, &number, Priority::Normal).unwrap();
        let mut events = [RawEvent::EMPTY];
        reader.next(&mut events, &mut |_| {}).unwrap();
        assert_eq!((events[0].len, events[0].flags), (100_000, 0));
        // One that is not there is no event.
        engine.events.publish(head, &[9; 8], Priority::Normal).unwrap();
        assert!(matches!(reader.next(&mut events, &mut |_| {}), Err(TransportError::Broken(Breach::Blob))));
    }

    #[test]
    fn owned_events_come_in_the_same_order() {
        let (engine, mut reader) = reader();
        publish(&engine, RECORD, 1, 1);
        reader.drain(&mut |_| {});
        let (engine, ClientEnd { events, blobs_in, .. }) = in_process(&PairOptions::default()).unwrap();
        reader.replace(events, blobs_in, 7);
        [1, 2].into_iter().for_each(|sequence| publish(&engine, RECORD, 1, sequence));
        let number = engine.blobs_out.put(vec![7; 100_000]).unwrap().to_le_bytes();
        let head = RecordHead { kind: RECORD.number(), flags: FLAG_BLOB, ..RecordHead::default() };
        engine.events.publish(head, &number, Priority::Normal).unwrap();
        let mut received = Vec::new();
        while reader
            .receive::<TransportError>(&mut |_| {}, |generation, head, body| {
                received.push((generation, head.session_sequence, body.len()));
                Ok(())
            })
            .unwrap()
        {}
        assert_eq!(received, [(7, 1, 4), (7, 2, 4), (7, 0, 100_000)]);
        assert_eq!(engine.events.released_slots(), 3);
    }
}
