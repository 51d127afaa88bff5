//! Sleeping and waking, ends and deaths: nothing that was committed is missed, and nobody waits for ever (loom reports a
//! thread that does).

#[path = "stand_in/bell.rs"]
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
#[path = "stand_in/fenced.rs"]
mod sync;

use super::model;
use bell::{Bell, bell};
use consumer::Waited;
use loom::thread::spawn;
use ring::{Client, Engine, ring};
use std::time::Duration;
use sync::Ordering;

impl Engine {
    /// Publishes all, waiting for room as often as needed; gives up when the client is gone.
    fn publish_all(&self, values: impl IntoIterator<Item = u32>, bell: &Bell) {
        for value in values {
            while !self.publish(value) {
                doorbell::set_want_room(&self.want_room, true);
                if self.publish(value) {
                    break;
                }
                bell.wait(None);
                if bell.gone().is_some() {
                    return;
                }
                bell.drain();
            }
        }
    }
}

impl Client {
    /// As a host with a poll loop of its own: reads until nothing is left, then sleeps on the bell. Ends when the engine
    /// is gone.
    fn poll(&mut self, count: usize) -> Vec<u32> {
        let mut values = Vec::new();
        while values.len() < count {
            match self.read::<2>() {
                Ok(read) if read.is_empty() => self.consumer.bell.wait(None),
                Ok(read) => values.extend(read),
                Err(_) => break,
            }
        }
        values
    }

    /// As a host that waits: reads until the engine has closed the ring or is gone.
    fn read_to_the_end(&mut self) -> Vec<u32> {
        let closed = self.closed.clone();
        let is_over = || closed.load(Ordering::SeqCst) != 0;
        let mut values = Vec::new();
        while self.consumer.wait(None, Duration::ZERO, is_over) == Waited::Ready {
            values.extend(self.take());
        }
        values
    }
}

#[test]
fn two_producers_and_a_sleeping_consumer() {
    model(3, || {
        let (engine, mut client) = ring(bell().0);
        let other = engine.clone();
        let threads = [spawn(move || assert!(engine.publish(1))), spawn(move || other.abandon())];
        assert_eq!(client.poll(1), [1]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(client.take(), None);
    });
}

#[test]
fn a_full_ring_hears_of_room() {
    model(3, || {
        let (ringer, bell) = bell();
        let (engine, mut client) = ring(ringer);
        let thread = spawn(move || engine.publish_all(1..=3, &bell));
        assert_eq!(client.poll(3), [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn two_producers_over_a_full_ring() {
    model(3, || {
        let (engine, mut client) = ring(bell().0);
        assert!(engine.publish(1));
        let threads = [2, 3].map(|value| {
            let engine = engine.clone();
            spawn(move || usize::from(engine.publish(value)))
        });
        assert_eq!(client.take(), Some(1));
        let written: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let mut rest = client.poll(written);
        rest.sort_unstable();
        assert!(written >= 1 && rest.windows(2).all(|pair| pair[0] < pair[1]), "{rest:?}");
    });
}

/// The state word goes the way of `EventWriter::set_state`: stored behind the last record, then the bell.
#[test]
fn the_last_record_is_read_before_the_end() {
    model(3, || {
        let (engine, mut client) = ring(bell().0);
        let thread = spawn(move || {
            assert!(engine.publish(1) && engine.publish(2));
            engine.closed.store(1, Ordering::SeqCst);
            engine.producer.ringer.ring();
        });
        assert_eq!(client.read_to_the_end(), [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn what_was_committed_before_death_is_read() {
    for read in [Client::read_to_the_end, |client: &mut Client| client.poll(3)] {
        model(3, move || {
            let (engine, mut client) = ring(bell().0);
            let thread = spawn(move || {
                assert!(engine.publish(1) && engine.publish(2));
                engine.producer.ringer.hang_up();
            });
            assert_eq!(read(&mut client), [1, 2]);
            thread.join().unwrap();
        });
    }
}

/// One thread of the engine dies in the middle of a record, another has just written one.
#[test]
fn a_claim_left_open_by_death_ends_the_ring_there() {
    model(2, || {
        let (engine, mut client) = ring(bell().0);
        assert!(engine.publish(1));
        assert_eq!(client.poll(1), [1]);
        let other = engine.clone();
        let dying = spawn(move || std::mem::forget(other.claim()));
        let thread = spawn(move || {
            assert!(engine.publish(2));
            dying.join().unwrap();
            engine.producer.ringer.hang_up();
        });
        let values = client.read_to_the_end();
        thread.join().unwrap();
        assert_eq!(values, if client.is_committed(1) { vec![2] } else { vec![] });
    });
}

/// The engine sees a full ring, waits for room at most until the system says that the client is gone, and never blocks
/// in the ring itself.
#[test]
fn a_client_that_dies_holds_nobody() {
    model(3, || {
        let (ringer, bell) = bell();
        let (engine, mut client) = ring(ringer);
        let thread = spawn(move || {
            client.take();
            client.engine.hang_up();
        });
        engine.publish_all(1..=4, &bell);
        thread.join().unwrap();
        assert!(!engine.producer.is_broken());
    });
}
