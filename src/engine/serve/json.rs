//! Requests and events as lines of JSON over a Unix socket, for programs that have no shared memory: one line a request in its
//! JSON form, answered at once by `accepted` with the request's id or `refused` with the place; then events, one a line.
//!
//! A connection is a client like any other, with two threads: blocking writes are what slows the events of a slow reader.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::engine::core::Core;
use crate::engine::intake::Connection;
use crate::engine::link::Detached;
use crate::engine::{Client, ClientOptions, Received, SubmitError, in_process};
use crate::protocol::event::event_json;
use crate::protocol::failure::ErrorKind;
use crate::protocol::limits::MAX_JSON_BYTES;
use crate::protocol::request::Request;
use crate::transport::Waited;
use crate::transport::attach::Listener;

/// After a failure to accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the reader of a connection sleeps while the engine is behind.
const BEHIND: Duration = Duration::from_millis(1);

/// Takes connections, for ever; waits for ever without a listener.
pub async fn run(core: &Arc<Core>, listener: Option<&Listener>) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        let stream = match listener.accept().await {
            Ok(arriving) => arriving.into_stream(),
            Err(error) => Err(error),
        };
        let Ok(stream) = stream else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let core = core.clone();
        // A connection that cannot be served is closed, which says it all.
        let _ = std::thread::Builder::new().name("lapce-ai-json".into()).spawn(move || drop(serve(&core, stream)));
    }
}

/// Serves one connection until either side ends it.
fn serve(core: &Arc<Core>, stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let (lines, control) = (stream.try_clone()?, stream.try_clone()?);
    let out = Arc::new(Mutex::new(stream));
    let (client, connection) = match in_process(core, ClientOptions::default()) {
        Ok(client) => client,
        Err(error) => return write_line(&mut lock(&out), &refused(ErrorKind::Busy, "", &error.to_string())),
    };
    let client = Arc::new(client);
    let (events, writer) = (client.clone(), out.clone());
    let pump = std::thread::Builder::new().name("lapce-ai-json".into()).spawn(move || send_events(&events, &writer))?;
    let read = read_requests(&client, lines, &out);
    end(core, &connection);
    // Ends a write that waits for a reader who does not read.
    let _ = control.shutdown(std::net::Shutdown::Both);
    let _ = pump.join();
    read
}

fn lock(out: &Mutex<UnixStream>) -> MutexGuard<'_, UnixStream> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the client, which also ends the wait of its pump.
fn end(core: &Core, connection: &Connection) {
    core.detach(connection, Detached::Left);
    connection.link.ring().set_state(crate::transport::RingState::Closed, 0);
}

fn read_requests(client: &Client, stream: UnixStream, out: &Mutex<UnixStream>) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = MAX_JSON_BYTES as u64 + 1;
        if lines.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_JSON_BYTES {
            write_line(&mut lock(out), &refused(ErrorKind::TooLarge, "json", "the line is too long"))?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let request = std::str::from_utf8(&line)
            .map_err(|error| refused(ErrorKind::InvalidUtf8, "json", &error.to_string()))
            .and_then(|text| {
                Request::from_json(text)
                    .map_err(|error| refused(ErrorKind::InvalidRequest, &error.place, &error.message))
            });
        match request {
            Ok(request) => submit(client, &request, out)?,
            Err(refused) => write_line(&mut lock(out), &refused)?,
        }
    }
}

/// Submits one request. The other side is told its id before any event of it: no event is written meanwhile.
fn submit(client: &Client, request: &Request, out: &Mutex<UnixStream>) -> io::Result<()> {
    loop {
        let mut out = lock(out);
        let told = match client.submit(request) {
            Ok(id) => json!({"type": "accepted", "request": id.raw()}).to_string(),
            Err(SubmitError::Again) => {
                drop(out);
                std::thread::sleep(BEHIND);
                continue;
            }
            Err(error) => refused(ErrorKind::InvalidRequest, "", &error.to_string()),
        };
        return write_line(&mut out, &told);
    }
}

fn refused(kind: ErrorKind, place: &str, message: &str) -> String {
    json!({"type": "refused", "kind": kind.as_str(), "place": place, "message": message}).to_string()
}

/// Writes events as they come, until the client is over or the other side does not take them.
fn send_events(client: &Client, out: &Mutex<UnixStream>) {
    loop {
        match client.receive() {
            Ok(Some(Received { session, about, event, .. })) => {
                let text = event_json(session.map_or(0, |id| id.raw()), about, &event);
                if text.map_or(Ok(()), |text| write_line(&mut lock(out), &text)).is_err() {
                    return;
                }
            }
            Ok(None) => {
                if client.wait(None, Duration::ZERO) != Waited::Ready {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// One line, in one piece.
fn write_line(out: &mut UnixStream, line: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    out.write_all(&bytes)
}
