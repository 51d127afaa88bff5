//! An end of the rings whose peer writes what it likes into the region that is the peer's.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use rkyv::util::AlignedVec;

use super::super::consumer::{Consumer, RawEvent};
use super::super::error::TransportError;
use super::super::header;
use super::super::in_process::{PairOptions, in_process_from};
use super::super::layout::*;
use super::super::producer::{Producer, RecordHead};
use super::super::slots::{Position, Priority};
use super::super::sync::Ordering;
use super::Script;

const SMALL: RingSize = RingSize { slots: 8, arena_bytes: 4096 };
const REGION_LEN: usize = SLOTS + PAGE + SMALL.arena_bytes as usize;
/// Bytes of the header that each side fills in for itself.
const FREE_HEADER: [Range<usize>; 2] = [HEADER_CREATED_UNIX_NS..HEADER_CREATED_UNIX_NS + 8, HEADER_PID..HEADER_PID + 4];

/// What the bytes of a script mean; each is followed by its operands, missing ones are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The peer overwrites its region: offset (2 bytes), count (1 byte), that many bytes.
    Overwrite = 0,
    /// We read up to so many records (1 byte).
    Next = 1,
    /// We release so many (1 byte).
    Release = 2,
    /// We take one record out, after giving back those we hold.
    Receive = 3,
    /// We claim so many bytes and commit so many (2 bytes each).
    Publish = 4,
    /// We look whether there is something to wait for.
    Wait = 5,
    /// We check the peer's header.
    CheckHeader = 6,
    /// The peer does as it should: publishes a record of so many bytes (2 bytes).
    PeerPublishes = 7,
    /// The peer does as it should: reads and releases everything.
    PeerReads = 8,
}

impl Step {
    fn next(script: &mut Script) -> Option<Step> {
        (!script.is_over()).then(|| Step::ALL[usize::from(script.byte()) % Step::ALL.len()])
    }

    const ALL: [Step; 9] = [
        Step::Overwrite,
        Step::Next,
        Step::Release,
        Step::Receive,
        Step::Publish,
        Step::Wait,
        Step::CheckHeader,
        Step::PeerPublishes,
        Step::PeerReads,
    ];
}

/// Bit of a script's first byte: the engine is the end under test, not the client.
pub const ENGINE: u8 = 1;
/// Bit of a script's first byte: the rings begin just below the wrap of their numbers.
pub const WRAPPING: u8 = 2;

/// A pair of rings, one end of which may write into its region as it likes, at any time, and the other is under test: a byte
/// that chooses ([`ENGINE`], [`WRAPPING`]), then [`Step`]s.
///
/// The end under test hands out only records inside of the peer's arena, of allowed length, that do not overlap; claims
/// only inside of its own; stays broken once it found the peer lying; takes a header only when it is the one expected.
pub fn ring(input: &[u8]) {
    let mut script = Script(input);
    let (choice, start) = (script.byte(), Position { slot: 0u32.wrapping_sub(5), byte: 0u32.wrapping_sub(4096 - 64) });
    let start = if choice & WRAPPING == 0 { Position::default() } else { start };
    let options = PairOptions { events: SMALL, requests: SMALL, ..PairOptions::default() };
    let (mut engine, mut client) = in_process_from(&options, start).unwrap();
    let (events_out, events_in) = (&engine.events.producer, &mut client.events.consumer);
    let (requests_out, requests_in) = (&client.requests.producer, &mut engine.requests.consumer);
    if choice & ENGINE == 0 {
        UnderTest::new(events_in, requests_out, REGION_EVENTS).follow(&mut script, requests_in, events_out);
    } else {
        UnderTest::new(requests_in, events_out, REGION_REQUESTS).follow(&mut script, events_in, requests_out);
    }
}

/// The end under test, with what it holds.
struct UnderTest<'a> {
    consumer: &'a mut Consumer,
    producer: &'a Producer,
    /// Of the peer's region.
    role: u32,
    honest_header: [u8; HEADER_LEN],
    held: VecDeque<Range<usize>>,
    is_broken: bool,
}

impl<'a> UnderTest<'a> {
    fn new(consumer: &'a mut Consumer, producer: &'a Producer, role: u32) -> Self {
        let honest_header = std::array::from_fn(|at| peer_byte(consumer, at).load(Ordering::Relaxed));
        Self { consumer, producer, role, honest_header, held: VecDeque::new(), is_broken: false }
    }

    fn follow(&mut self, script: &mut Script, peer_in: &mut Consumer, peer_out: &Producer) {
        while let Some(step) = Step::next(script) {
            match step {
                Step::Overwrite => {
                    let (offset, count) = (script.word(), script.byte());
                    for (at, byte) in script.bytes(count.into()).iter().enumerate() {
                        peer_byte(self.consumer, (offset + at) % REGION_LEN).store(*byte, Ordering::Relaxed);
                    }
                }
                Step::Next => self.next(script.byte()),
                Step::Release => {
                    let count = usize::from(script.byte());
                    assert_eq!(self.consumer.release(count), count.min(self.held.len()));
                    self.held.drain(..count.min(self.held.len()));
                }
                Step::Receive => self.receive(),
                Step::Publish => self.publish(script.word(), script.word()),
                Step::Wait => {
                    let _ = self.consumer.wait(Some(Duration::ZERO), Duration::ZERO, || false);
                }
                Step::CheckHeader => self.check_header(),
                Step::PeerPublishes => {
                    let body = vec![0xa5; script.word() % 2048];
                    let _ = peer_out.publish(RecordHead { kind: 1, ..RecordHead::default() }, &body, Priority::Control);
                }
                Step::PeerReads => {
                    let mut events = [RawEvent::EMPTY; SMALL.slots as usize];
                    let _ = peer_in.next(&mut events);
                    peer_in.release(events.len());
                }
            }
        }
    }

    fn next(&mut self, most: u8) {
        let mut events = [RawEvent::EMPTY; 16];
        let events = &mut events[..usize::from(most % 17)];
        let Ok(count) = self.consumer.next(events) else {
            self.is_broken = true;
            return;
        };
        assert!(count == 0 || !self.is_broken, "a broken ring gave a record");
        for event in &events[..count] {
            let range = self.range_in_arena(event.ptr, event.len);
            assert!(event.len <= self.consumer.bounds.max_record as usize);
            assert!(self.held.iter().all(|held| range.end <= held.start || held.end <= range.start), "overlap");
            read_all(event);
            self.held.push_back(range);
        }
        assert!(self.held.len() <= SMALL.slots as usize);
    }

    fn receive(&mut self) {
        self.consumer.release(self.held.len());
        self.held.clear();
        let mut body = AlignedVec::new();
        match self.consumer.receive(&mut body) {
            Ok(head) => {
                assert!(head.is_none() || !self.is_broken, "a broken ring gave a record");
                assert!(body.len() <= self.consumer.bounds.max_record as usize);
            }
            Err(_) => self.is_broken = true,
        }
    }

    fn publish(&mut self, len: usize, used: usize) {
        let was_broken = self.producer.is_broken();
        let claim = self.producer.claim(RecordHead { kind: 2, ..RecordHead::default() }, len, Priority::Control);
        match claim {
            Ok(mut claim) => {
                assert!(!was_broken && claim.len() == len);
                let (bounds, first) = (self.producer.bounds, self.producer.arena.at(0).as_ptr() as usize);
                let start = claim.as_ptr() as usize;
                assert!(start >= first && start + len <= first + bounds.arena_len as usize);
                claim.fill(0x5a);
                assert_eq!(claim.commit(used).is_ok(), used <= len);
            }
            Err(TransportError::TooLarge { .. }) => assert!(len > self.producer.bounds.max_record as usize),
            Err(TransportError::Broken(_)) => assert!(self.producer.is_broken()),
            Err(error) => assert!(matches!(error, TransportError::Full), "{error}"),
        }
    }

    fn check_header(&self) {
        // SAFETY: a region begins with its header; it is mapped while the consumer lives, and made of atomics.
        let words = unsafe { &*peer_base(self.consumer).cast::<HeaderWords>() };
        let identity = PairOptions::default().identity;
        let is_expected = self.honest_header.iter().enumerate().all(|(at, honest)| {
            FREE_HEADER.iter().any(|free| free.contains(&at))
                || peer_byte(self.consumer, at).load(Ordering::Relaxed) == *honest
        });
        let taken = header::check(words, self.role, &self.consumer.bounds, &identity);
        assert_eq!(taken.is_ok(), is_expected, "{taken:?}");
    }

    /// The offsets in the peer's arena of a record that was handed out.
    fn range_in_arena(&self, first: *const u8, len: usize) -> Range<usize> {
        let arena = self.consumer.arena.at(0).as_ptr() as usize;
        let start = (first as usize).checked_sub(arena).unwrap();
        assert!(start + len <= self.consumer.bounds.arena_len as usize, "outside of the arena");
        start..start + len
    }
}

/// Where the region that `consumer` reads begins.
fn peer_base(consumer: &Consumer) -> *mut u8 {
    // SAFETY: the arena stands this far behind the beginning of its region, in one mapping.
    unsafe { consumer.arena.at(0).as_ptr().sub(arena_offset(&consumer.bounds)) }
}

fn peer_byte(consumer: &Consumer, offset: usize) -> &AtomicU8 {
    assert!(offset < region_len(&consumer.bounds));
    // SAFETY: inside of the region, which is mapped while the consumer lives; others reach these bytes as atomics, or as
    // record bytes that this thread alone uses.
    unsafe { &*peer_base(consumer).add(offset).cast::<AtomicU8>() }
}

fn read_all(event: &RawEvent) -> u8 {
    // SAFETY: a record that was just handed out; nobody writes while this runs.
    unsafe { std::slice::from_raw_parts(event.ptr, event.len) }.iter().fold(0, |sum, byte| sum ^ byte)
}
