//! The field's plain single-producer ring between two threads, both sides looking.

use std::hint::{black_box, spin_loop};
use std::time::Instant;

use rtrb::{Consumer, RingBuffer};

use crate::BODY;
use crate::measure::figure;

const ROUND_TRIPS: u32 = 20_000;

pub fn figures() {
    figure("rtrb.round_trip_awake", "us", round_trip);
}

fn round_trip() -> f64 {
    let (mut out, mut out_reader) = RingBuffer::new(1024);
    let (mut back, mut back_reader) = RingBuffer::new(1024);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..ROUND_TRIPS {
                back.push(pop(&mut out_reader)).unwrap();
            }
        });
        let begin = Instant::now();
        for _ in 0..ROUND_TRIPS {
            out.push(black_box(BODY)).unwrap();
            pop(&mut back_reader);
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS)
    })
}

fn pop(reader: &mut Consumer<[u8; 64]>) -> [u8; 64] {
    loop {
        match reader.pop() {
            Ok(body) => return body,
            Err(_) => spin_loop(),
        }
    }
}
