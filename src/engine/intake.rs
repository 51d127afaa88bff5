//! Requests of one client: received, decoded, handed on to be carried out, answered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use rkyv::util::AlignedVec;

use super::attachment::{Arrival, Attachment};
use super::core::Core;
use super::link::{Detached, Link};
use super::router::{Execution, Outcome, execute, internal};
use crate::protocol::event::{Event, RequestDone, RequestFailed};
use crate::protocol::failure::ErrorKind;
use crate::protocol::json::Json;
use crate::protocol::record::DecodeError;
use crate::protocol::request::Request;
use crate::transport::{FLAG_BLOB, RecordHead, RequestReader, TransportError};

/// One connection of a client, as its requests are read.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Arc<Attachment>,
    /// Its ring of events.
    pub link: Arc<Link>,
}

/// Reads a client's requests until it is gone or breaks its ring.
#[cfg(unix)]
pub fn serve(core: Arc<Core>, connection: Connection, requests: RequestReader) {
    let runtime = core.runtime.clone();
    runtime.spawn(async move {
        let Ok(mut bell) = requests.watch() else { return core.detach(&connection, Detached::Gone) };
        let mut body = AlignedVec::new();
        // Receive first: a request may have come before the bell was watched.
        loop {
            match drain(&core, &connection, bell.get_mut(), &mut body) {
                Drained::Dry => {}
                Drained::More => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Drained::Over => return,
            }
            tokio::select! {
                ready = bell.readable_mut() => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => return core.detach(&connection, Detached::Gone),
                },
                () = connection.link.until_gone() => return core.detach(&connection, Detached::Gone),
                () = connection.link.until_broken() => return core.detach(&connection, Detached::Protocol),
            }
        }
    });
}

/// Reads a client's requests until it is gone or breaks its ring: in a thread that waits for the bell's event.
#[cfg(windows)]
pub fn serve(core: Arc<Core>, connection: Connection, mut requests: RequestReader) {
    let waker = requests.waker();
    let (watching, watched) = (core.clone(), connection.clone());
    core.runtime.spawn(async move {
        tokio::select! {
            () = watched.link.until_gone() => {}
            () = watched.link.until_broken() => watching.detach(&watched, Detached::Protocol),
        }
        waker.wake();
    });
    std::thread::spawn(move || {
        let mut body = AlignedVec::new();
        while !connection.link.is_gone() {
            match drain(&core, &connection, &mut requests, &mut body) {
                Drained::Dry => requests.wait(),
                Drained::More => {}
                Drained::Over => return,
            }
        }
        core.detach(&connection, Detached::Gone);
    });
}

/// Requests of one client that are taken before others have their turn: one that submits without end must not hold a
/// worker.
const TURN: usize = 256;

/// What a turn has left.
enum Drained {
    /// Nothing; the bell rings for what comes.
    Dry,
    /// More requests, perhaps.
    More,
    /// The client is detached.
    Over,
}

/// Takes the requests that are there and makes use of room that was freed.
fn drain(core: &Arc<Core>, connection: &Connection, requests: &mut RequestReader, body: &mut AlignedVec) -> Drained {
    let mut left = Drained::More;
    for _ in 0..TURN {
        match requests.receive(body) {
            Ok(Some(head)) => received(core, connection, head, body),
            Ok(None) => {
                left = Drained::Dry;
                break;
            }
            Err(error) => {
                let why = match error {
                    TransportError::Lost => Detached::Gone,
                    TransportError::Closed { .. } => Detached::Left,
                    _ => Detached::Protocol,
                };
                core.detach(connection, why);
                return Drained::Over;
            }
        }
    }
    connection.link.refill();
    left
}

/// Takes one request and sees to its answer.
fn received(core: &Arc<Core>, connection: &Connection, head: RecordHead, body: &[u8]) {
    let Connection { client, link } = connection;
    let id = head.correlation;
    core.counters.requests.fetch_add(1, Ordering::Relaxed);
    let blob = if head.flags & FLAG_BLOB != 0 {
        body.try_into().ok().and_then(|number| link.blobs_in.take(u64::from_le_bytes(number)))
    } else {
        None
    };
    match client.arrives(id) {
        Arrival::New => {}
        Arrival::Known => return,
        Arrival::Owed(result) => return answer(core, client, id, Ok(result)),
    }
    let request = match Request::decode(head.kind, blob.as_deref().unwrap_or(body)) {
        Ok(request) => request,
        Err(error) => return answer(core, client, id, Err(malformed(&error))),
    };
    if core.is_closed() {
        let closed = RequestFailed::new(ErrorKind::Closed, "the engine is closed");
        return answer(core, client, id, Err(closed));
    }
    let ends = matches!(request, Request::EngineShutdown(_));
    match execute(core, client, id, request) {
        Execution::Now(outcome) => {
            answer(core, client, id, outcome);
            // Not before its answer is on its way.
            if ends {
                core.shut_down();
            }
        }
        Execution::Later(future) => {
            let (core, client) = (core.clone(), client.clone());
            let runtime = core.runtime.clone();
            runtime.spawn(async move {
                // A panic is a bug of ours; the request is answered all the same.
                let guarded = AssertUnwindSafe(future).catch_unwind();
                tokio::select! {
                    () = client.until_left() => {}
                    outcome = guarded => {
                        let outcome = outcome.unwrap_or_else(|_| Err(internal()));
                        answer(&core, &client, id, outcome);
                    }
                }
            });
        }
    }
}

fn answer(core: &Core, client: &Attachment, request: u64, outcome: Outcome) {
    let event = match outcome {
        Ok(result) => Event::RequestDone(RequestDone { result: Json::from(result) }),
        Err(failed) => {
            core.counters.failed.fetch_add(1, Ordering::Relaxed);
            Event::RequestFailed(failed)
        }
    };
    client.channel.send(request, event);
    client.answered(request);
}

fn malformed(error: &DecodeError) -> RequestFailed {
    let place = match error {
        DecodeError::Refused(refused) => Some(refused.place.clone()),
        _ => None,
    };
    RequestFailed { place, ..RequestFailed::new(ErrorKind::InvalidRequest, error.to_string()) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::time::Duration;

    use serde_json::Map;

    use super::*;
    use crate::engine::settings::EngineSettings;
    use crate::protocol::request::RequestKind;
    use crate::transport::{ClientEnd, PairOptions, in_process};

    /// An engine that serves a client which has nothing but its ring.
    struct Served {
        runtime: tokio::runtime::Runtime,
        _folder: tempfile::TempDir,
        link: Arc<Link>,
        client: ClientEnd,
    }

    #[allow(clippy::unwrap_used)] // A test may fail where it stands.
    fn served() -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_owned();
        let settings = EngineSettings::new(Map::new().into()).unwrap();
        let core = Core::new(1, None, settings, home.join("storage"), home, runtime.handle().clone());
        let (engine, client) = in_process(&PairOptions::default()).unwrap();
        let link = Arc::new(Link::new(1, engine.events, engine.blobs_out, engine.blobs_in, 1 << 20));
        let attachment = Attachment::new(1, String::new(), String::new(), false, None);
        let connection = Connection { client: attachment, link: link.clone() };
        core.admit(connection.client.clone());
        core.connect(&connection, Vec::new(), false, |_| None);
        serve(core, connection, engine.requests);
        Served { runtime, _folder: folder, link, client }
    }

    #[test]
    fn a_client_that_lies_about_what_it_released_is_let_go() {
        let served = served();
        served.client.events.lie_about_released(u64::MAX);
        let info = RequestKind::EngineInfo.number();
        served.client.requests.submit(RecordHead { kind: info, ..RecordHead::default() }, b"").unwrap();
        served.runtime.block_on(served.link.until_gone());
        assert_eq!(served.link.why(), Some(Detached::Protocol));
    }

    /// A client that writes whatever it likes into its ring.
    #[test]
    fn garbage_records_are_answered_and_the_client_goes_on() {
        let mut served = served();
        let client = &mut served.client;
        let start = RequestKind::TaskStart.number();
        let info = RequestKind::EngineInfo.number();
        let records: [(u16, u16, &[u8]); 5] = [
            (60_000, 0, b"no such kind"),
            (start, 0, b""),
            (start, 0, &[0xff; 64]),
            (start, FLAG_BLOB, &[7; 8]), // a large body that was never handed over
            (info, 0, b""),
        ];
        for (number, (kind, flags, body)) in (1..).zip(records) {
            let head = RecordHead { kind, flags, session_index: 9, session_sequence: 0, correlation: number };
            client.requests.submit(head, body).unwrap();
        }
        let mut answers = Vec::new();
        let mut body = AlignedVec::new();
        while answers.len() < records.len() {
            match client.events.receive(&mut body).unwrap() {
                Some(head) => {
                    let event = Event::decode(head.kind, &body).unwrap();
                    answers.push((head.correlation, matches!(event, Event::RequestDone(_))));
                }
                None => drop(client.events.wait(Some(Duration::from_secs(10)), Duration::ZERO)),
            }
        }
        answers.sort_unstable();
        assert_eq!(answers, [(1, false), (2, false), (3, false), (4, false), (5, true)]);
    }
}
