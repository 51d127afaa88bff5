//! The ring: between two threads, and between two processes that attached to each other as a host and a serving engine do.
//! What the two sides do is the same.

use std::hint::black_box;
use std::time::{Duration, Instant};

use lapce_ai::transport::{
    ClientEnd, EngineEnd, PairOptions, Priority, RawEvent, RecordHead, TransportError, Waited, in_process,
};
use rkyv::util::AlignedVec;

use crate::BODY;
use crate::measure::figure;

/// A record that the other side sends back.
pub const HEAD: RecordHead = head(1);
/// Asks the engine's side for [`RECORDS`] records, or to end.
const FLOOD: RecordHead = head(2);
const END: RecordHead = head(3);
const RECORDS: usize = 1_000_000;
/// How long a side that is awake looks.
const SPIN: Duration = Duration::from_secs(1);

const fn head(kind: u16) -> RecordHead {
    RecordHead { kind, flags: 0, session_index: 0, session_sequence: 0, correlation: 0 }
}

pub fn figures() {
    figure("ring.write_64b", "ns", write);
    within_process(true, |client| {
        figure("ring.throughput_64b", "records/s", || throughput(client));
        figure("ring.round_trip_awake", "us", || round_trip(client, 20_000, true));
    });
    within_process(false, |client| {
        figure("ring.round_trip_asleep", "us", || round_trip(client, 3_000, false));
    });
}

fn within_process(is_awake: bool, measure: impl FnOnce(&mut ClientEnd)) {
    let (engine, mut client) = pair();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(engine, is_awake));
        measure(&mut client);
        client.requests.submit(END, &[]).unwrap();
    });
}

pub fn pair() -> (EngineEnd, ClientEnd) {
    in_process(&PairOptions::default()).unwrap()
}

/// One record into a ring with room; reading is not timed.
fn write() -> f64 {
    const BATCH: usize = 512;
    let (engine, mut client) = pair();
    let mut events = [RawEvent::EMPTY; BATCH];
    let mut spent = Duration::ZERO;
    for _ in 0..400 {
        let begin = Instant::now();
        for _ in 0..BATCH {
            engine.events.publish(HEAD, black_box(&BODY), Priority::Normal).unwrap();
        }
        spent += begin.elapsed();
        assert_eq!(client.events.next(&mut events).unwrap(), BATCH);
        client.events.release(BATCH);
    }
    spent.as_nanos() as f64 / (400 * BATCH) as f64
}

/// The engine's side, until the other ends. Awake, it looks for requests without sleeping.
pub fn serve(EngineEnd { events, mut requests, .. }: EngineEnd, is_awake: bool) {
    let mut body = AlignedVec::new();
    loop {
        if is_awake {
            requests.spin(SPIN);
        }
        match requests.receive(&mut body) {
            Ok(Some(FLOOD)) => {
                for _ in 0..RECORDS {
                    while let Err(TransportError::Full) = events.publish(HEAD, &BODY, Priority::Normal) {
                        std::thread::yield_now();
                    }
                }
            }
            Ok(Some(END)) | Err(TransportError::Closed { .. }) => return,
            Ok(Some(head)) => events.publish(head, &body, Priority::Normal).unwrap(),
            Ok(None) => sleep_on(&requests),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Records of the engine's side, read in batches of 64.
pub fn throughput(client: &mut ClientEnd) -> f64 {
    let begin = Instant::now();
    client.requests.submit(FLOOD, &[]).unwrap();
    let (mut seen, mut events) = (0, [RawEvent::EMPTY; 64]);
    while seen < RECORDS {
        let count = client.events.next(&mut events).unwrap();
        client.events.release(count);
        seen += count;
        if count == 0 {
            client.events.wait(None, Duration::from_micros(50));
        }
    }
    RECORDS as f64 / begin.elapsed().as_secs_f64()
}

/// Request out, event back. Awake, this side looks for it without sleeping.
pub fn round_trip(client: &mut ClientEnd, count: u32, is_awake: bool) -> f64 {
    let spin = if is_awake { SPIN } else { Duration::ZERO };
    let mut received = [RawEvent::EMPTY];
    let begin = Instant::now();
    for _ in 0..count {
        client.requests.submit(HEAD, &BODY).unwrap();
        assert_eq!(client.events.wait(None, spin), Waited::Ready);
        assert_eq!(client.events.next(&mut received).unwrap(), 1);
        client.events.release(1);
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

#[cfg(unix)]
fn sleep_on(bell: &impl std::os::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, poll};
    let _ = poll(&mut [PollFd::new(bell, PollFlags::IN)], None);
}

#[cfg(not(unix))]
fn sleep_on<T>(_bell: &T) {
    std::thread::yield_now();
}
