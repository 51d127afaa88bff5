//! Two real processes, one of which is killed.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Tells a process started by these tests what it is, and where.
const ROLE: &str = "LAPCE_AI_TEST_ATTACH";
const HEAD: RecordHead = RecordHead { kind: 7, flags: 0, session_index: 0, session_sequence: 0, correlation: 0 };

/// This test program once more, as `role`. Gives it when it printed its line.
fn start(role: &str, path: &std::path::Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "transport::attach::tests::processes::the_other_process", "--nocapture"])
        .env(ROLE, format!("{role}:{}", path.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("other process is ready")), "{role} ended early");
    child
}

/// Not a test by itself: what the other process does.
#[test]
#[allow(clippy::print_stdout)] // That is how the first process learns that it may go on.
fn the_other_process() {
    let Ok(given) = std::env::var(ROLE) else { return };
    let (role, path) = given.split_once(':').unwrap();
    let path = std::path::Path::new(path);
    let ready = || println!("the other process is ready");
    // Until the first process kills this one, or is gone itself.
    let stay = || drop(std::io::stdin().read_line(&mut String::new()));
    match role {
        "engine" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let end = runtime.block_on(async {
                let listener = Listener::bind(path).unwrap();
                ready();
                let (_, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
                waiting.welcome(&welcome(), 0, LIMIT).await.unwrap()
            });
            end.events.publish(HEAD, b"one", Priority::Normal).unwrap();
            let large = end.blobs_out.put(vec![9; 100_000]).unwrap();
            end.events.publish(HEAD, &large.to_le_bytes(), Priority::Normal).unwrap();
            stay();
        }
        _ => {
            let client = connect(path, &hello(), 0, LIMIT).unwrap();
            client.end.requests.submit(HEAD, b"one").unwrap();
            ready();
            stay();
        }
    }
}

#[test]
fn a_killed_engine_leaves_what_it_committed_and_is_noticed() {
    let (_folder, path) = place();
    let mut engine = start("engine", &path);
    let Connected { end: mut client, .. } = connect(&path, &hello(), 0, LIMIT).unwrap();
    let mut event = AlignedVec::new();
    let mut next = |client: &mut ClientEnd| {
        assert_eq!(client.events.wait(Some(LIMIT), Duration::ZERO), Waited::Ready);
        assert_eq!(client.events.receive(&mut event).unwrap(), Some(HEAD));
        event.to_vec()
    };
    assert_eq!(next(&mut client), b"one");
    // The second is committed when it is there; it is read only after the death.
    assert_eq!(client.events.wait(Some(LIMIT), Duration::ZERO), Waited::Ready);
    engine.kill().unwrap();
    engine.wait().unwrap();
    let number = u64::from_le_bytes(next(&mut client).try_into().unwrap());
    assert_eq!(*client.blobs_in.take(number).unwrap(), vec![9; 100_000]);
    assert_eq!(client.events.wait(Some(LIMIT), Duration::ZERO), Waited::Lost);
    assert!(matches!(client.events.next(&mut [crate::transport::RawEvent::EMPTY]), Err(TransportError::Lost)));
    assert!(matches!(connect(&path, &hello(), 0, LIMIT), Err(ConnectError::NoServer)));
    // What it left is no obstacle to the next.
    let engine = async |listener: Listener| {
        let (_, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
        waiting.welcome(&welcome(), 0, LIMIT).await.is_ok()
    };
    let (attached, again) = beside(&path, engine, || connect(&path, &hello(), 0, LIMIT).is_ok());
    assert!(attached && again);
}

#[test]
fn a_killed_client_is_noticed_by_a_task_that_waits() {
    let (_folder, path) = place();
    let (bound, listening) = std::sync::mpsc::channel();
    let (attached, kill) = std::sync::mpsc::channel();
    let there = path.clone();
    let engine = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::bind(&there).unwrap();
            bound.send(()).unwrap();
            let (_, waiting) = listener.accept().await.unwrap().hello(LIMIT).await.unwrap();
            let EngineEnd { requests, events, .. } = waiting.welcome(&welcome(), 0, LIMIT).await.unwrap();
            let (mut bell, mut body, mut got) = (requests.watch().unwrap(), AlignedVec::new(), 0);
            let error = loop {
                match bell.get_mut().receive(&mut body) {
                    Ok(Some(_)) => {
                        got += 1;
                        attached.send(()).unwrap();
                    }
                    Ok(None) => bell.readable_mut().await.unwrap().clear_ready(),
                    Err(error) => break error,
                }
            };
            (got, error, events.is_broken())
        })
    });
    listening.recv().unwrap();
    let mut client = start("client", &path);
    kill.recv().unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    let (got, error, gone) = engine.join().unwrap();
    assert!(got == 1 && gone && matches!(error, TransportError::Lost), "{got} {error}");
}
