//! What the ring costs, with its peers in the same run: `figure <name> <value> <unit>`, the middle of all rounds; the
//! quietest round stands in a comment. Figures of a busy machine are marked by its load.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use lapce_ai::transport::{
    ClientEnd, EngineEnd, PairOptions, Priority, RawEvent, RecordHead, TransportError, Waited, in_process,
};
use rkyv::util::AlignedVec;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: the system's allocator, with a count of the calls.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 9;
const HEAD: RecordHead = RecordHead { kind: 1, flags: 0, session_index: 0, session_sequence: 0, correlation: 0 };
const BODY: [u8; 64] = [7; 64];

fn main() {
    load();
    figure("ring.write_64b", "ns", write);
    figure("ring.throughput_64b", "records/s", throughput);
    figure("ring.round_trip_awake", "us", || ring_round_trip(50_000, true));
    figure("rtrb.round_trip_awake", "us", rtrb_round_trip);
    figure("ring.round_trip_asleep", "us", || ring_round_trip(3_000, false));
    #[cfg(unix)]
    figure("unix_socket.round_trip", "us", socket_round_trip);
    println!("figure ring.allocations {} allocations", allocations());
    load();
}

fn load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# load {} cpus {cpus} rounds {ROUNDS}", load.trim());
}

fn figure(name: &str, unit: &str, round: impl Fn() -> f64) {
    let mut values: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    values.sort_by(f64::total_cmp);
    let quietest = if unit.ends_with("/s") { values[ROUNDS - 1] } else { values[0] };
    println!("figure {name} {:.3} {unit}", values[ROUNDS / 2]);
    println!("# {name} quietest {quietest:.3} {unit}");
}

fn pair() -> (EngineEnd, ClientEnd) {
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
fn ring_round_trip(count: u32, awake: bool) -> f64 {
    let (EngineEnd { events, mut requests }, mut client) = pair();
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

/// The field's plain single-producer ring, both sides looking.
fn rtrb_round_trip() -> f64 {
    const COUNT: u32 = 50_000;
    let (mut out, mut out_reader) = rtrb::RingBuffer::<[u8; 64]>::new(1024);
    let (mut back, mut back_reader) = rtrb::RingBuffer::<[u8; 64]>::new(1024);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..COUNT {
                let body = loop {
                    match out_reader.pop() {
                        Ok(body) => break body,
                        Err(_) => spin_loop(),
                    }
                };
                back.push(body).unwrap();
            }
        });
        let begin = Instant::now();
        for _ in 0..COUNT {
            out.push(black_box(BODY)).unwrap();
            while back_reader.pop().is_err() {
                spin_loop();
            }
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(COUNT)
    })
}

/// What agents beside the editor use: a connected stream socket.
#[cfg(unix)]
fn socket_round_trip() -> f64 {
    use std::io::{Read, Write};
    const COUNT: u32 = 3_000;
    let (mut near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut body = [0; 64];
            while far.read_exact(&mut body).is_ok() {
                far.write_all(&body).unwrap();
            }
        });
        let mut body = [0; 64];
        let begin = Instant::now();
        for _ in 0..COUNT {
            near.write_all(&BODY).unwrap();
            near.read_exact(&mut body).unwrap();
        }
        let spent = begin.elapsed();
        drop(near);
        spent.as_secs_f64() * 1e6 / f64::from(COUNT)
    })
}

fn allocations() -> u64 {
    let (engine, mut client) = pair();
    let mut events = [RawEvent::EMPTY; 4];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..100_000 {
        engine.events.publish(HEAD, &BODY, Priority::Normal).unwrap();
        client.events.next(&mut events).unwrap();
        client.events.release(1);
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}
