//! The ring between two processes: shared regions, and a socket as the bell.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lapce_ai::protocol::hello::{Hello, Welcome};
use lapce_ai::transport::attach::{ConnectError, Listener, connect};
use lapce_ai::transport::{ClientEnd, EngineEnd, RingSize};

use crate::far::Far;
use crate::measure::figure;
use crate::ring::{self, round_trip, throughput};

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

pub fn figures() {
    let (mut client, _far) = open("awake");
    figure("serve.throughput_64b", "records/s", || throughput(&mut client));
    figure("serve.round_trip_awake", "us", || round_trip(&mut client, 20_000, true));
    let (mut client, _far) = open("asleep");
    figure("serve.round_trip_asleep", "us", || round_trip(&mut client, 3_000, false));
}

fn open(wake: &str) -> (ClientEnd, Far) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("lapce-ai/engine.sock");
    let far = Far::spawn(&["serve", socket.to_str().unwrap(), wake], Stdio::null());
    let begin = Instant::now();
    loop {
        match connect(&socket, &hello(), 0, LIMIT) {
            Ok(connected) => return (connected.end, far),
            Err(ConnectError::NoServer) if begin.elapsed() < LIMIT => std::thread::sleep(PAUSE),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The engine's side, for one client.
pub fn far(socket: &str, wake: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let end = runtime.block_on(admit(Path::new(socket)));
    ring::serve(end, wake == "awake");
}

async fn admit(socket: &Path) -> EngineEnd {
    let listener = Listener::bind(socket).unwrap();
    let (hello, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
    let pid = std::process::id();
    let welcome =
        Welcome { number: 1, generation: 1, engine_generation: 1, pid, events: hello.events, sessions: Vec::new() };
    waiting.welcome(&welcome, 0, LIMIT).await.unwrap()
}

fn hello() -> Hello {
    Hello {
        client: "0123456789abcdef0123456789abcdef".into(),
        name: "bench".into(),
        number: 0,
        capabilities: Vec::new(),
        share: false,
        observe: false,
        events: RingSize::EVENTS.into(),
        requests: RingSize::REQUESTS.into(),
        seen: Vec::new(),
        seen_own: None,
    }
}
