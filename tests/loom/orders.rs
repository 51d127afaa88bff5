//! Each store and load is as strong as it must be: what one side wrote or read before is done when the other sees it.

#[path = "stand_in/silence.rs"]
mod bell;
#[path = "../../src/transport/consumer.rs"]
mod consumer;
#[path = "../../src/transport/doorbell.rs"]
mod doorbell;
#[path = "../../src/transport/error.rs"]
mod error;
#[path = "stand_in/layout.rs"]
mod layout;
#[path = "../../src/transport/producer.rs"]
mod producer;
#[path = "stand_in/region.rs"]
mod region;
#[path = "ring.rs"]
mod ring;
#[path = "../../src/transport/slots.rs"]
mod slots;
#[path = "stand_in/unfenced.rs"]
mod sync;

use super::model;
use bell::Ringer;
use loom::thread::{spawn, yield_now};
use ring::ring;

#[test]
fn a_record_that_is_seen_is_whole() {
    model(3, || {
        let (engine, mut client) = ring(Ringer);
        let thread = spawn(move || assert!(engine.publish(1) && engine.publish(2)));
        let seen: Vec<u32> = (0..3).filter_map(|_| client.take()).collect();
        thread.join().unwrap();
        let rest = std::iter::from_fn(|| client.take());
        assert_eq!(seen.into_iter().chain(rest).collect::<Vec<_>>(), [1, 2]);
    });
}

#[test]
fn room_is_used_again_only_when_its_record_was_read() {
    model(3, || {
        let (engine, mut client) = ring(Ringer);
        assert!(engine.publish(1) && engine.publish(2));
        let thread = spawn(move || (3..=5).filter(|value| engine.publish(*value)).collect::<Vec<_>>());
        assert_eq!((client.take(), client.take()), (Some(1), Some(2)));
        let seen = client.take();
        let written = thread.join().unwrap();
        let rest = std::iter::from_fn(|| client.take());
        assert_eq!(seen.into_iter().chain(rest).collect::<Vec<_>>(), written);
    });
}

/// The one producer may learn of the room from the other, which saw it first.
#[test]
fn room_that_another_producer_saw_is_free() {
    model(3, || {
        let (engine, mut client) = ring(Ringer);
        assert!(engine.publish(1) && engine.publish(2));
        let threads = [3, 4].map(|value| {
            let engine = engine.clone();
            spawn(move || usize::from(engine.publish(value)))
        });
        assert_eq!((client.take(), client.take()), (Some(1), Some(2)));
        let written: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let mut rest: Vec<u32> = std::iter::from_fn(|| client.take()).collect();
        rest.dedup();
        assert!(rest.len() == written && rest.iter().all(|value| [3, 4].contains(value)), "{rest:?}");
    });
}

/// The reader gives back what it passes over, and with it the record before.
#[test]
fn padding_is_room_again() {
    model(3, || {
        let (engine, mut client) = ring(Ringer);
        assert!(engine.publish(1));
        engine.abandon();
        let thread = spawn(move || usize::from(engine.publish(2)) + usize::from(engine.publish(3)));
        assert_eq!(client.take(), Some(1));
        let seen = usize::from(client.take().is_some());
        let written = thread.join().unwrap();
        assert_eq!(seen + std::iter::from_fn(|| client.take()).count(), written);
    });
}

/// There is room at all times, whatever a producer remembers of the ring.
#[test]
fn a_ring_with_room_is_never_full() {
    model(3, || {
        let (engine, mut client) = ring(Ringer);
        assert!(engine.publish(1) && client.take() == Some(1));
        let other = engine.clone();
        let thread = spawn(move || assert!(other.publish(9)));
        let mut taken = Vec::new();
        for value in 2..=4 {
            assert!(engine.publish(value));
            while !taken.contains(&value) {
                match client.take() {
                    Some(value) => taken.push(value),
                    None => yield_now(),
                }
            }
        }
        thread.join().unwrap();
        taken.extend(client.take());
        taken.sort_unstable();
        assert_eq!(taken, [2, 3, 4, 9]);
    });
}
