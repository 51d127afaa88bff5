//! The ring between two threads of one process.

use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lapce_ai::transport::{
    ClientEnd, EngineEnd, PairOptions, Priority, RawEvent, RecordHead, TransportError, Waited, in_process,
};
use rkyv::util::AlignedVec;

use crate::BODY;
use crate::measure::figure;

pub const HEAD: RecordHead = RecordHead { kind: 1, flags: 0, session_index: 0, session_sequence: 0, correlation: 0 };

pub fn figures() {
    figure("ring.write_64b", "ns", write);
    figure("ring.throughput_64b", "records/s", throughput);
    figure("ring.round_trip_awake", "us", || round_trip(50_000, true));
    figure("ring.round_trip_asleep", "us", || round_trip(3_000, false));
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

/// One producer and the consumer, each on a thread of its own, batches of 64.
fn throughput() -> f64 {
    const RECORDS: usize = 1_000_000;
    let (engine, mut client) = pair();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..RECORDS {
                while let Err(TransportError::Full) = engine.events.publish(HEAD, &BODY, Priority::Normal) {
                    std::thread::yield_now();
                }
            }
        });
        let (mut seen, mut events) = (0, [RawEvent::EMPTY; 64]);
        while seen < RECORDS {
            let count = client.events.next(&mut events).unwrap();
            client.events.release(count);
            seen += count;
            if count == 0 {
                client.events.wait(None, Duration::from_micros(50));
            }
        }
    });
    RECORDS as f64 / begin.elapsed().as_secs_f64()
}

/// Request out, event back: awake, both sides look without sleeping; asleep, both sleep on their bells.
fn round_trip(count: u32, awake: bool) -> f64 {
    let (EngineEnd { events, mut requests, .. }, mut client) = pair();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut body = AlignedVec::new();
            while !stop.load(Ordering::Relaxed) {
                match requests.receive(&mut body).unwrap() {
                    Some(head) => events.publish(head, &body, Priority::Normal).unwrap(),
                    None if awake => spin_loop(),
                    None => sleep_on(&requests),
                }
            }
        });
        let spin = if awake { Duration::from_secs(1) } else { Duration::ZERO };
        let mut received = [RawEvent::EMPTY];
        let begin = Instant::now();
        for _ in 0..count {
            client.requests.submit(HEAD, &BODY).unwrap();
            assert_eq!(client.events.wait(None, spin), Waited::Ready);
            assert_eq!(client.events.next(&mut received).unwrap(), 1);
            client.events.release(1);
        }
        let spent = begin.elapsed();
        stop.store(true, Ordering::Relaxed);
        client.requests.submit(HEAD, &BODY).unwrap();
        spent.as_secs_f64() * 1e6 / f64::from(count)
    })
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
