//! What is on its way to one client: events that found no room in its ring wait here, in order, by session.
//!
//! Nothing is dropped and nobody blocks. While a client is slow, text that continues the text before it grows into one
//! event, and of the other coalescable events (class C of `docs/protocol.md`) only the latest of a target is kept. On
//! refill the sessions take turns, and none may hold more than half of the ring while another waits. Control events
//! (questions, results, state) may use the ring's reserve, so a full ring never hides a question. Pure: the ring is a [`Sink`].

use std::collections::{HashMap, VecDeque};

use crate::transport::SealedBlob;

/// Bytes of one session's backlog above which its provider stream is no longer read.
pub const BACKLOG_LIMIT: usize = 4 << 20;

/// How an event may be merged with an earlier one that still waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Never (class L).
    Never,
    /// Text of the same target that directly follows: appended.
    Append,
    /// State of the same target: replaces the earlier one.
    Replace,
}

/// One event before it is in the ring.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Record kind.
    pub kind: u16,
    /// Session it belongs to; 0 for the engine itself.
    pub session: u32,
    /// Correlation word of the slot (request, message or call id).
    pub correlation: u64,
    /// Number in the session, for events that are never merged; else 0.
    pub sequence: u32,
    /// Encoded body, or UTF-8 text when `merge` is [`Merge::Append`].
    pub body: Vec<u8>,
    /// Merging.
    pub merge: Merge,
    /// May use the control reserve.
    pub control: bool,
    /// Merged from several events.
    pub coalesced: bool,
    /// The body made ready to go beside the ring, once that was tried.
    pub blob: Option<SealedBlob>,
}

/// What became of an event that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the ring.
    Written,
    /// There is no room for it now.
    Full,
    /// There is no room for it now, and a record without meaning was written in its place.
    Wasted,
}

/// The ring as the outbox sees it.
pub trait Sink {
    /// Longest body the ring takes.
    fn max_record(&self) -> usize;
    /// Writes one event, or as much of its text as `len` says.
    fn push(&self, event: &mut Outgoing, len: usize) -> Pushed;
    /// Bytes of the ring's arena.
    fn capacity(&self) -> usize;
    /// Records the client has released since the ring was opened.
    fn released_records(&self) -> u64;
}

/// The backlog of one client.
#[derive(Default)]
pub struct Outbox {
    queues: HashMap<u32, Queue>,
    /// Sessions with a backlog, in turn.
    turns: VecDeque<u32>,
    /// Every record in the ring, oldest first.
    in_ring: VecDeque<InRing>,
    /// Bytes in the ring by session.
    held: HashMap<u32, usize>,
    /// Last numbered event that the client released, by session.
    released: HashMap<u32, u32>,
    /// Records taken off `in_ring`.
    settled: u64,
    /// Events merged into another one so far.
    coalesced: u64,
}

struct InRing {
    session: u32,
    bytes: usize,
    sequence: u32,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Outgoing>,
    bytes: usize,
}

impl Outbox {
    /// Sends `event`, or keeps it when its session has a backlog or the ring has no room.
    pub fn send(&mut self, event: Outgoing, sink: &impl Sink) {
        self.settle(sink);
        let behind =
            self.queues.contains_key(&event.session) || (!self.turns.is_empty() && self.over_credit(&event, sink));
        if !behind {
            match self.write(event, sink) {
                None => return,
                Some(rest) => self.keep(rest),
            }
            return;
        }
        self.keep(event);
    }

    /// Moves backlog into the ring as far as there is room. True when nothing is left.
    pub fn refill(&mut self, sink: &impl Sink) -> bool {
        self.settle(sink);
        let mut stuck = 0;
        while stuck < self.turns.len() {
            let Some(session) = self.turns.pop_front() else { break };
            let event = self.queues.get_mut(&session).and_then(|queue| {
                let event = queue.events.pop_front();
                queue.bytes -= event.as_ref().map_or(0, |e| e.body.len());
                event
            });
            let Some(event) = event else {
                self.queues.remove(&session);
                continue;
            };
            let waiting = self.turns.iter().any(|s| *s != session);
            let blocked = waiting && self.over_credit(&event, sink);
            let left = if blocked { Some(event) } else { self.write(event, sink) };
            match left {
                Some(event) => {
                    stuck += 1;
                    let queue = self.queues.entry(session).or_default();
                    queue.bytes += event.body.len();
                    queue.events.push_front(event);
                    self.turns.push_back(session);
                }
                None if self.queues.get(&session).is_some_and(|queue| queue.events.is_empty()) => {
                    self.queues.remove(&session);
                }
                None => {
                    stuck = 0;
                    self.turns.push_back(session);
                }
            }
        }
        self.turns.is_empty()
    }

    /// Bytes of this session that wait outside the ring.
    pub fn backlog(&self, session: u32) -> usize {
        self.queues.get(&session).map_or(0, |queue| queue.bytes)
    }

    /// Bytes of all sessions that wait outside the ring.
    pub fn total_backlog(&self) -> usize {
        self.queues.values().map(|queue| queue.bytes).sum()
    }

    /// Number of the last event of this session that the client has released; 0 for none yet.
    pub fn released(&self, session: u32) -> u32 {
        self.released.get(&session).copied().unwrap_or(0)
    }

    /// The client is gone: its backlog with it, what it released stays known. What is still sent to it never counts as released.
    pub fn abandon(&mut self, sink: &impl Sink) {
        self.settle(sink);
        let released = std::mem::take(&mut self.released);
        *self = Outbox { released, settled: u64::MAX, ..Outbox::default() };
    }

    /// The session is over: nothing more is asked about it.
    pub fn forget(&mut self, session: u32) {
        self.released.remove(&session);
    }

    /// Events merged into another one so far.
    pub fn coalesced(&self) -> u64 {
        self.coalesced
    }

    /// Writes `event`, in pieces when its text is longer than a record. Returns what did not fit.
    fn write(&mut self, mut event: Outgoing, sink: &impl Sink) -> Option<Outgoing> {
        let limit = sink.max_record();
        while event.merge == Merge::Append && event.body.len() > limit {
            let cut = char_boundary(&event.body, limit);
            if !self.push(&mut event, cut, sink) {
                return Some(event);
            }
            event.body.drain(..cut);
        }
        let len = event.body.len();
        let written = self.push(&mut event, len, sink);
        (!written).then_some(event)
    }

    /// Writes a record and puts it on the books. False when it did not fit.
    fn push(&mut self, event: &mut Outgoing, bytes: usize, sink: &impl Sink) -> bool {
        match sink.push(event, bytes) {
            Pushed::Written => {
                self.in_ring.push_back(InRing { session: event.session, bytes, sequence: event.sequence });
                *self.held.entry(event.session).or_default() += bytes;
                true
            }
            Pushed::Full => false,
            Pushed::Wasted => {
                self.in_ring.push_back(InRing { session: event.session, bytes: 0, sequence: 0 });
                false
            }
        }
    }

    fn keep(&mut self, event: Outgoing) {
        let queue = self.queues.entry(event.session).or_insert_with(|| {
            self.turns.push_back(event.session);
            Queue::default()
        });
        let same = |e: &Outgoing| e.kind == event.kind && e.correlation == event.correlation && e.merge == event.merge;
        let earlier = match event.merge {
            Merge::Never => None,
            Merge::Append => queue.events.back_mut().filter(|e| same(e)),
            Merge::Replace => queue.events.iter_mut().rev().find(|e| same(e)),
        };
        match earlier {
            Some(earlier) => {
                self.coalesced += 1;
                earlier.coalesced = true;
                if event.merge == Merge::Append {
                    queue.bytes += event.body.len();
                    earlier.body.extend_from_slice(&event.body);
                } else {
                    queue.bytes = queue.bytes - earlier.body.len() + event.body.len();
                    (earlier.body, earlier.blob) = (event.body, None);
                }
            }
            None => {
                queue.bytes += event.body.len();
                queue.events.push_back(event);
            }
        }
    }

    /// Whether this session already holds half of the ring. Control events are never held back by credit.
    fn over_credit(&self, event: &Outgoing, sink: &impl Sink) -> bool {
        let held = self.held.get(&event.session).copied().unwrap_or(0);
        !event.control && held > 0 && held + event.body.len() > sink.capacity() / 2
    }

    /// Takes what the client has released off the books.
    pub fn settle(&mut self, sink: &impl Sink) {
        let released = sink.released_records();
        while self.settled < released {
            let Some(InRing { session, bytes, sequence }) = self.in_ring.pop_front() else { break };
            self.settled += 1;
            if sequence != 0 {
                self.released.insert(session, sequence);
            }
            if let Some(held) = self.held.get_mut(&session) {
                *held -= bytes;
                if *held == 0 {
                    self.held.remove(&session);
                }
            }
        }
    }
}

/// The last character boundary of UTF-8 `text` at or before `limit`.
fn char_boundary(text: &[u8], limit: usize) -> usize {
    let mut cut = limit.min(text.len());
    while cut > 0 && cut < text.len() && text[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    if cut == 0 { limit.min(text.len()) } else { cut }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A ring of a few records.
    struct Ring {
        room: RefCell<usize>,
        got: RefCell<Vec<(u32, u16, String)>>,
        released: RefCell<u64>,
        /// The next record becomes one without meaning.
        wastes: RefCell<bool>,
    }

    impl Ring {
        fn new(room: usize) -> Ring {
            let (got, released, wastes) = Default::default();
            Ring { room: RefCell::new(room), got, released, wastes }
        }

        fn release(&self, records: usize) {
            *self.released.borrow_mut() += records as u64;
            *self.room.borrow_mut() += records;
        }

        fn texts(&self) -> Vec<String> {
            self.got.borrow().iter().map(|(s, k, t)| format!("{s}:{k}:{t}")).collect()
        }
    }

    impl Sink for Ring {
        fn max_record(&self) -> usize {
            8
        }
        fn push(&self, event: &mut Outgoing, len: usize) -> Pushed {
            let body = &event.body[..len];
            let mut room = self.room.borrow_mut();
            if *room == 0 {
                return Pushed::Full;
            }
            *room -= 1;
            if self.wastes.replace(false) {
                return Pushed::Wasted;
            }
            self.got.borrow_mut().push((event.session, event.kind, String::from_utf8_lossy(body).into_owned()));
            Pushed::Written
        }
        fn capacity(&self) -> usize {
            16
        }
        fn released_records(&self) -> u64 {
            *self.released.borrow()
        }
    }

    fn text(session: u32, body: &str) -> Outgoing {
        event(session, 1, body, Merge::Append)
    }

    fn event(session: u32, kind: u16, body: &str, merge: Merge) -> Outgoing {
        let (control, coalesced, sequence, blob) = Default::default();
        Outgoing { kind, session, correlation: 7, body: body.into(), merge, control, coalesced, sequence, blob }
    }

    fn numbered(sequence: u32) -> Outgoing {
        Outgoing { sequence, ..event(1, 3, "x", Merge::Never) }
    }

    #[test]
    fn only_what_was_released_counts_as_released() {
        let (ring, mut outbox) = (Ring::new(10), Outbox::default());
        outbox.send(numbered(1), &ring);
        // Something that took a record and is not there comes again, behind it.
        ring.wastes.replace(true);
        outbox.send(numbered(2), &ring);
        assert_eq!(outbox.backlog(1), 1);
        assert!(outbox.refill(&ring));
        for (records, released) in [(1, 1), (1, 1), (1, 2)] {
            ring.release(records);
            outbox.settle(&ring);
            assert_eq!(outbox.released(1), released);
        }
        // The client is gone; who did not know yet sends on.
        outbox.abandon(&ring);
        outbox.send(numbered(3), &ring);
        outbox.settle(&ring);
        assert_eq!(outbox.released(1), 2);
    }

    #[test]
    fn text_grows_and_state_is_replaced_while_the_ring_is_full() {
        let (ring, mut outbox) = (Ring::new(1), Outbox::default());
        outbox.send(text(1, "a"), &ring);
        outbox.send(text(1, "b"), &ring);
        outbox.send(text(1, "c"), &ring);
        outbox.send(event(1, 2, "use1", Merge::Replace), &ring);
        outbox.send(event(1, 3, "L", Merge::Never), &ring);
        outbox.send(event(1, 2, "use2", Merge::Replace), &ring);
        outbox.send(text(1, "d"), &ring);
        assert_eq!(outbox.coalesced(), 2);
        assert_eq!(outbox.backlog(1), 2 + 4 + 1 + 1);
        ring.release(1);
        assert!(!outbox.refill(&ring));
        ring.release(9);
        assert!(outbox.refill(&ring));
        assert_eq!(ring.texts(), ["1:1:a", "1:1:bc", "1:2:use2", "1:3:L", "1:1:d"]);
        assert_eq!(outbox.total_backlog(), 0);
    }

    #[test]
    fn long_text_goes_out_in_pieces_at_character_borders() {
        let (ring, mut outbox) = (Ring::new(2), Outbox::default());
        outbox.send(text(1, "1234567é890123456"), &ring);
        ring.release(2);
        assert!(outbox.refill(&ring));
        assert_eq!(ring.texts(), ["1:1:1234567", "1:1:é890123", "1:1:456"]);
    }

    #[test]
    fn sessions_take_turns_and_none_holds_more_than_half_while_another_waits() {
        let (ring, mut outbox) = (Ring::new(2), Outbox::default());
        outbox.send(event(1, 9, "aaaa", Merge::Never), &ring);
        outbox.send(event(1, 9, "bbbb", Merge::Never), &ring);
        outbox.send(event(1, 9, "cccc", Merge::Never), &ring);
        outbox.send(event(2, 9, "dddd", Merge::Never), &ring);
        *ring.room.borrow_mut() += 1;
        outbox.refill(&ring);
        assert_eq!(ring.texts().last().map(String::as_str), Some("2:9:dddd"));
        ring.release(3);
        assert!(outbox.refill(&ring));
        assert_eq!(ring.texts().last().map(String::as_str), Some("1:9:cccc"));
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn every_byte_arrives_in_order(
                sends in prop::collection::vec((1u32..4, "[a-zé]{0,12}", any::<bool>()), 1..60),
                releases in prop::collection::vec(0usize..4, 1..60),
            ) {
                let (ring, mut outbox) = (Ring::new(3), Outbox::default());
                let mut expected: HashMap<u32, String> = HashMap::new();
                let mut releases = releases.into_iter().cycle();
                for (session, body, refill) in sends {
                    expected.entry(session).or_default().push_str(&body);
                    outbox.send(text(session, &body), &ring);
                    if refill {
                        let free = releases.next().unwrap_or(0).min(3 - *ring.room.borrow());
                        ring.release(free);
                        outbox.refill(&ring);
                    }
                }
                for _ in 0..1000 {
                    let used = 3 - *ring.room.borrow();
                    ring.release(used);
                    if outbox.refill(&ring) {
                        break;
                    }
                }
                prop_assert_eq!(outbox.total_backlog(), 0);
                for (session, text) in expected {
                    let got: String = ring.got.borrow().iter().filter(|(s, ..)| *s == session).map(|(.., t)| t.as_str()).collect();
                    prop_assert_eq!(got, text);
                }
            }
        }
    }
}
