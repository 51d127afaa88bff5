//! Threads against each other over small rings: records of all sizes, abandoned claims, readers and writers that sleep and
//! wake. About a second by itself, `LAPCE_AI_STRESS_SECONDS` for longer; under ThreadSanitizer and Valgrind as
//! CONTRIBUTING.md says. Its own threads share atomics only: locks of a standard library that is not instrumented would be
//! reported, and would order what the ring itself must order.
#![allow(clippy::unwrap_used)] // A test may fail where it stands.

use lapce_ai::transport::{
    ClientEnd, EngineEnd, EventReader, EventWriter, PairOptions, Priority, RawEvent, RecordHead, RequestReader,
    RequestWriter, RingSize, TransportError, Waited, in_process,
};
use rkyv::util::AlignedVec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: u32 = 3;
/// Records of one thread in one round.
const RECORDS: u32 = 1500;
/// The last request.
const END: u16 = 9;
/// So much longer than any round takes that somebody was not woken.
const STUCK: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_lost_torn_or_out_of_order() {
    let sizes = [(8, 4096), (64, 4096), (8, 1 << 16), (16, 8192)];
    let seconds = std::env::var("LAPCE_AI_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (begin, mut round) = (Instant::now(), 0);
    while round < sizes.len() || begin.elapsed() < Duration::from_secs(seconds) {
        let (slots, arena_bytes) = sizes[round % sizes.len()];
        exchange(RingSize { slots, arena_bytes }, round as u64);
        round += 1;
    }
}

/// One pair of rings, both ways at once.
fn exchange(size: RingSize, seed: u64) {
    let (engine, client) = in_process(&PairOptions { events: size, requests: size, ..PairOptions::default() }).unwrap();
    let (EngineEnd { events, requests, .. }, ClientEnd { events: mut reader, requests: submit, .. }) = (engine, client);
    let room = Room::default();
    let abandoned: u64 = thread::scope(|scope| {
        let (events, room, submit) = (&events, &room, &submit);
        let engine = scope.spawn(move || serve(requests, events, room));
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer, seed, events, room))).collect();
        let askers: Vec<_> = (0..WRITERS).map(|asker| scope.spawn(move || ask(asker, seed, submit))).collect();
        let reader = &mut reader;
        scope.spawn(move || read(reader, seed)).join().unwrap();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        until(|| submit.submit(RecordHead { kind: END, ..RecordHead::default() }, &[]));
        engine.join().unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(events.counters().records, u64::from(WRITERS * RECORDS) + abandoned);
    drop(events);
    assert_eq!(reader.wait(Some(STUCK), Duration::ZERO), Waited::Closed);
}

/// Writes this thread's events, with some abandoned claims between them; gives how many those were.
fn write(writer: u32, seed: u64, events: &EventWriter, room: &Room) -> u64 {
    let (mut random, mut abandoned) = (Random::new(seed, writer, 0), 0);
    for number in 1..=RECORDS {
        if random.below(8) == 0 && events.claim(head(writer, 0), random.below(64), Priority::Control).is_ok() {
            abandoned += 1;
        }
        let bytes = body(writer, number);
        let claimed = (bytes.len() + random.below(16)).min(events.max_record());
        room.attempt(events, || {
            let mut claim = events.claim(head(writer, number), claimed, Priority::Normal)?;
            claim[..bytes.len()].copy_from_slice(&bytes);
            claim.commit(bytes.len())
        });
    }
    abandoned
}

/// Reads all events, in every way that there is.
fn read(events: &mut EventReader, seed: u64) {
    let (mut random, mut order) = (Random::new(seed, WRITERS, 0), Order::default());
    let (mut batch, mut copy) = ([RawEvent::EMPTY; 8], AlignedVec::new());
    let mut held = VecDeque::<RawEvent>::new();
    while !order.is_complete() {
        if held.is_empty() && random.below(4) == 0 {
            if let Some(head) = events.receive(&mut copy).unwrap() {
                order.check(&head, &copy);
            }
            continue;
        }
        let count = events.next(&mut batch[..1 + random.below(8)]).unwrap();
        held.extend(&batch[..count]);
        // Everything, before a sleep: it may be what the writers wait for.
        let released = if count == 0 { held.len() } else { random.below(held.len() + 1) };
        for event in held.drain(..released) {
            // SAFETY: not released yet, and in process nobody changes the bytes.
            let bytes = unsafe { std::slice::from_raw_parts(event.ptr, event.len) };
            order.check(&event.head(), bytes);
        }
        assert_eq!(events.release(released), released);
        if count == 0 && !order.is_complete() {
            match random.below(3) {
                0 => assert_eq!(events.wait(Some(STUCK), Duration::ZERO), Waited::Ready),
                1 => assert_eq!(events.wait(Some(STUCK), Duration::from_micros(5)), Waited::Ready),
                _ => sleep(events),
            }
        }
    }
}

/// Submits this thread's requests.
fn ask(asker: u32, seed: u64, requests: &RequestWriter) {
    let mut random = Random::new(seed, asker, 1);
    for number in 1..=RECORDS {
        if random.below(8) == 0 {
            drop(requests.claim(head(asker, 0), random.below(64)));
        }
        let bytes = body(asker, number);
        until(|| requests.submit(head(asker, number), &bytes));
    }
}

/// The engine's task: sleeps on its bell, reads requests, and tells writers of room.
fn serve(mut requests: RequestReader, events: &EventWriter, room: &Room) {
    let (mut order, mut body) = (Order::default(), AlignedVec::new());
    loop {
        match requests.receive(&mut body).unwrap() {
            Some(RecordHead { kind: END, .. }) => break,
            Some(head) => order.check(&head, &body),
            None => {
                room.came(events);
                sleep(&mut requests);
            }
        }
    }
    assert!(order.is_complete());
}

#[cfg(unix)]
fn sleep(reader: &mut impl std::os::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stuck = Timespec { tv_sec: STUCK.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&stuck)), Ok(1), "nobody rang");
}

#[cfg(windows)]
fn sleep<T>(_: &mut T) {
    thread::yield_now();
}

/// Writers that wait for room.
#[derive(Default)]
struct Room {
    waiting: AtomicU32,
    epoch: AtomicU64,
}

impl Room {
    /// Tries until there is room, as the engine does: say that it is wanted, try once more, wait.
    fn attempt(&self, events: &EventWriter, mut write: impl FnMut() -> Result<(), TransportError>) {
        if is_written(write()) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        events.set_want_room(true);
        let begin = Instant::now();
        loop {
            let seen = self.epoch.load(Ordering::SeqCst);
            if is_written(write()) {
                break;
            }
            while self.epoch.load(Ordering::SeqCst) == seen {
                assert!(begin.elapsed() < STUCK, "nobody told of room");
                thread::yield_now();
            }
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// The bell rang.
    fn came(&self, events: &EventWriter) {
        events.set_want_room(false);
        if self.waiting.load(Ordering::SeqCst) != 0 {
            events.set_want_room(true);
        }
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

fn is_written(result: Result<(), TransportError>) -> bool {
    match result {
        Err(TransportError::Full) => false,
        other => other.map(|()| true).unwrap(),
    }
}

fn until(mut write: impl FnMut() -> Result<(), TransportError>) {
    let begin = Instant::now();
    while !is_written(write()) {
        assert!(begin.elapsed() < STUCK, "never any room");
        thread::yield_now();
    }
}

/// How far the records of each thread have come.
#[derive(Default)]
struct Order([u32; WRITERS as usize]);

impl Order {
    fn check(&mut self, found: &RecordHead, bytes: &[u8]) {
        let last = &mut self.0[found.session_index as usize];
        *last += 1;
        assert_eq!(*found, head(found.session_index, *last));
        assert!(bytes == body(found.session_index, *last), "record {last} of {} is torn", found.session_index);
    }

    fn is_complete(&self) -> bool {
        self.0 == [RECORDS; WRITERS as usize]
    }
}

fn head(writer: u32, number: u32) -> RecordHead {
    let correlation = u64::from(number) << 32 | u64::from(writer);
    RecordHead { kind: 1, flags: number as u16 & !1, session_index: writer, session_sequence: number, correlation }
}

/// Bytes that follow from the record's number; mostly few.
fn body(writer: u32, number: u32) -> Vec<u8> {
    let mut random = Random::new(u64::from(number), writer, 2);
    let most = [8, 64, 64, 1024][random.below(4)];
    (0..random.below(most + 1)).map(|_| random.below(256) as u8).collect()
}

struct Random(u64);

impl Random {
    fn new(seed: u64, thread: u32, purpose: u64) -> Self {
        Self((seed << 8 | u64::from(thread) << 4 | purpose).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Xorshift.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}
