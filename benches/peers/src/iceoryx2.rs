//! iceoryx2: a publish-subscribe service each way, with an event service each way for the sides to sleep on.

use std::hint::spin_loop;
use std::process::Stdio;
use std::time::Instant;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::BODY;
use crate::far::Far;
use crate::measure::figure;

const RECORDS: u32 = 300_000;
/// As many slots as the ring of the same name has.
const BUFFER: usize = 1024;
/// First bytes that ask the far side for [`RECORDS`] records, or to end, instead of for one record.
const FLOOD: u8 = 1;
const END: u8 = 2;

type Record = [u8; 64];

pub fn figures() {
    let (awake, far) = open("awake");
    figure("iceoryx2.round_trip_awake", "us", || round_trip(&awake, 20_000));
    figure("iceoryx2.throughput_64b", "records/s", || throughput(&awake));
    end(&awake, far);
    let (asleep, far) = open("asleep");
    figure("iceoryx2.round_trip_asleep", "us", || round_trip(&asleep, 3_000));
    end(&asleep, far);
}

fn open(wake: &str) -> (Side, Far) {
    let name = format!("lapce-ai-bench-{}-{wake}", std::process::id());
    let near = Side::open(&format!("{name}-back"), &format!("{name}-out"), wake);
    let far = Far::spawn(&["iceoryx2", &name, wake], Stdio::null());
    // It says when it is connected.
    near.receive();
    (near, far)
}

/// It ends by itself, so that nothing of its stays in shared memory.
fn end(near: &Side, mut far: Far) {
    near.send([END; 64]);
    far.0.wait().unwrap();
}

fn round_trip(near: &Side, count: u32) -> f64 {
    let begin = Instant::now();
    for _ in 0..count {
        near.send(BODY);
        assert_eq!(near.receive(), BODY);
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn throughput(near: &Side) -> f64 {
    let begin = Instant::now();
    near.send([FLOOD; 64]);
    for _ in 0..RECORDS {
        near.receive();
    }
    f64::from(RECORDS) / begin.elapsed().as_secs_f64()
}

/// The far side.
pub fn far(name: &str, wake: &str) {
    let far = Side::open(&format!("{name}-out"), &format!("{name}-back"), wake);
    far.send(BODY);
    loop {
        match far.receive() {
            [END, ..] => return,
            [FLOOD, ..] => (0..RECORDS).for_each(|_| far.send(BODY)),
            body => far.send(body),
        }
    }
}

/// One side of the two services.
struct Side {
    subscriber: Subscriber<ipc::Service, Record, ()>,
    publisher: Publisher<ipc::Service, Record, ()>,
    /// What it sleeps on and what wakes the other.
    bells: Option<(Listener<ipc::Service>, Notifier<ipc::Service>)>,
    _node: Node<ipc::Service>,
}

impl Side {
    fn open(input: &str, output: &str, wake: &str) -> Side {
        // Else it says that nobody configured it.
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
        let records = |name: &str| {
            let service = node.service_builder(&name.try_into().unwrap()).publish_subscribe::<Record>();
            service.enable_safe_overflow(false).subscriber_max_buffer_size(BUFFER).open_or_create().unwrap()
        };
        let bell = |name: &str| node.service_builder(&name.try_into().unwrap()).event().open_or_create().unwrap();
        let bells = (wake == "asleep").then(|| {
            let listener = bell(input).listener_builder().create().unwrap();
            (listener, bell(output).notifier_builder().create().unwrap())
        });
        let subscriber = records(input).subscriber_builder().buffer_size(BUFFER).create().unwrap();
        // It waits for room, as it does unless told otherwise.
        let publisher = records(output).publisher_builder().create().unwrap();
        Side { subscriber, publisher, bells, _node: node }
    }

    fn send(&self, record: Record) {
        self.publisher.loan_uninit().unwrap().write_payload(record).send().unwrap();
        if let Some((_, notifier)) = &self.bells {
            notifier.notify().unwrap();
        }
    }

    fn receive(&self) -> Record {
        loop {
            match (self.subscriber.receive().unwrap(), &self.bells) {
                (Some(sample), _) => return *sample,
                (None, Some((listener, _))) => drop(listener.blocking_wait(|_| {}).unwrap()),
                (None, None) => spin_loop(),
            }
        }
    }
}
