//! Attaching over a real socket: both sides as they should be, and clients and engines that are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile_client;
mod hostile_engine;
mod places;
mod processes;

use super::*;
use crate::protocol::hello::{Refusal, Welcome};
use crate::transport::{Priority, RecordHead, TransportError, Waited};
use rkyv::util::AlignedVec;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const SIZES: RingSizes = RingSizes { slots: 8, bytes: 4096 };

fn hello() -> Hello {
    Hello {
        client: "0123456789abcdef0123456789abcdef".into(),
        name: "test".into(),
        number: 0,
        capabilities: Vec::new(),
        share: false,
        observe: false,
        events: SIZES,
        requests: SIZES,
        seen: Vec::new(),
        seen_own: None,
    }
}

fn welcome() -> Welcome {
    Welcome { number: 3, generation: 77, engine_generation: 1, pid: 4711, events: SIZES, sessions: Vec::new() }
}

/// A folder as closed as a runtime folder, and a path for the socket in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lapce-ai/engine.sock");
    (folder, path)
}

/// Runs an engine's side on a runtime of its own while `client` runs here.
fn beside<T, E: Send + 'static>(
    path: &std::path::Path,
    engine: impl AsyncFnOnce(Listener) -> E + Send + 'static,
    client: impl FnOnce() -> T,
) -> (E, T) {
    let (bound, listening) = std::sync::mpsc::channel();
    let path = path.to_owned();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::bind(&path).unwrap();
            bound.send(()).unwrap();
            engine(listener).await
        })
    });
    listening.recv().unwrap();
    let there = client();
    (thread.join().unwrap(), there)
}

#[test]
fn a_client_attaches_and_both_directions_flow() {
    let (_folder, path) = place();
    let engine = async |listener: Listener| {
        let (hello, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
        (hello, waiting.welcome(&welcome(), 5, LIMIT).await.unwrap())
    };
    let ((said, mut engine), client) = beside(&path, engine, || connect(&path, &hello(), 6, LIMIT).unwrap());
    assert_eq!((said, client.welcome), (hello(), welcome()));
    let mut client = client.end;
    let mut body = AlignedVec::new();
    let head = RecordHead { kind: 7, ..RecordHead::default() };
    client.requests.submit(head, b"question").unwrap();
    assert_eq!(engine.requests.receive(&mut body).unwrap(), Some(head));
    assert_eq!(&*body, b"question");
    let large = vec![b'x'; 100_000];
    let number = engine.blobs_out.put(large.clone()).unwrap();
    engine.events.publish(head, &number.to_le_bytes(), Priority::Normal).unwrap();
    assert_eq!(client.events.wait(Some(LIMIT), Duration::ZERO), Waited::Ready);
    assert_eq!(client.events.receive(&mut body).unwrap(), Some(head));
    assert_eq!(*client.blobs_in.take(number).unwrap(), large);
    engine.events.publish(head, b"last", Priority::Normal).unwrap();
    engine.events.goodbye(9);
    drop(engine);
    assert_eq!(client.events.receive(&mut body).unwrap(), Some(head));
    assert_eq!(client.events.wait(Some(LIMIT), Duration::ZERO), Waited::Closed);
    assert!(matches!(client.events.receive(&mut body), Err(TransportError::Closed { reason: 9 })));
}

#[test]
fn a_refusal_arrives_as_said() {
    let (_folder, path) = place();
    let refusal = Refusal { kind: "busy".into(), message: "too many clients".into() };
    let told = refusal.clone();
    let engine = async move |listener: Listener| {
        let (_, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
        waiting.refuse(&told);
    };
    let ((), answer) = beside(&path, engine, || connect(&path, &hello(), 0, LIMIT));
    assert!(matches!(answer, Err(ConnectError::Refused(told)) if told == refusal));
}

#[test]
fn where_nobody_listens_there_is_no_server() {
    let (_folder, path) = place();
    let absent = |path: &std::path::Path| matches!(connect(path, &hello(), 0, LIMIT), Err(ConnectError::NoServer));
    assert!(absent(&path));
    super::place::make_folder(path.parent().unwrap()).unwrap();
    assert!(absent(&path));
    // As a killed engine leaves it.
    let left = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    drop(left);
    assert!(path.exists() && absent(&path));
}

#[test]
fn a_connection_can_speak_another_protocol() {
    use std::io::{Read, Write};
    let (_folder, path) = place();
    let engine = async |listener: Listener| listener.accept().await.unwrap().into_stream().unwrap();
    let (mut stream, mut client) = beside(&path, engine, || std::os::unix::net::UnixStream::connect(&path).unwrap());
    client.write_all(b"{}\n").unwrap();
    drop(client);
    stream.set_nonblocking(false).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said, "{}\n");
}

#[test]
fn sizes_are_told_as_they_are() {
    let size = RingSize { slots: 64, arena_bytes: 1 << 14 };
    let told = RingSizes::from(size);
    assert_eq!((told, RingSize::from(told)), (RingSizes { slots: 64, bytes: 1 << 14 }, size));
}
