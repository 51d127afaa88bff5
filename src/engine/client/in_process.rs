//! A client whose engine runs in the same process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rkyv::util::AlignedVec;

use super::{Delivery, Read, ReceiveError, SubmitError, refused, too_large};
use crate::engine::core::Core;
use crate::engine::intake::Connection;
use crate::engine::link::Detached;
use crate::protocol::request::Request;
use crate::transport::{
    Blob, BlobReader, BlobWriter, ClientEnd, EventReader, FLAG_BLOB, RawEvent, RecordHead, RequestWriter,
    TransportError, Waited,
};

/// The ends of the rings, with the engine behind them.
pub(super) struct InProcess {
    connection: Connection,
    reader: Mutex<Reader>,
    requests: RequestWriter,
    blobs: BlobWriter,
    core: Arc<Core>,
    /// The reader's descriptor, beside it: asking for it must not wait for a thread that reads.
    #[cfg(unix)]
    fd: std::os::fd::RawFd,
}

struct Reader {
    events: EventReader,
    blobs: BlobReader,
    /// Large bodies handed out, each with the number of events handed out before its own.
    held: VecDeque<(u64, Blob)>,
    handed_out: u64,
    released: u64,
    /// Scratch of [`InProcess::receive`].
    body: AlignedVec,
}

impl InProcess {
    pub fn new(connection: Connection, end: ClientEnd, core: Arc<Core>) -> InProcess {
        let ClientEnd { events, requests, blobs_out, blobs_in } = end;
        #[cfg(unix)]
        let fd = std::os::fd::AsRawFd::as_raw_fd(&events);
        let (held, body) = (VecDeque::new(), AlignedVec::new());
        InProcess {
            connection,
            reader: Mutex::new(Reader { events, blobs: blobs_in, held, handed_out: 0, released: 0, body }),
            requests,
            blobs: blobs_out,
            core,
            #[cfg(unix)]
            fd,
        }
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery for InProcess {
    fn number(&self) -> u32 {
        self.connection.client.number
    }

    fn generation(&self) -> u32 {
        self.core.generation
    }

    fn submit(&self, request: &Request, id: u64) -> Result<(), SubmitError> {
        if self.core.is_closed() {
            return Err(SubmitError::Closed);
        }
        let head = RecordHead { kind: request.kind().number(), correlation: id, ..RecordHead::default() };
        let bound = request.encoded_upper_bound();
        if bound <= self.requests.max_record() {
            let mut claim = self.requests.claim(head, bound).map_err(refused)?;
            let len = request.encode_into(&mut claim).map_err(|_| too_large(bound, bound))?;
            return claim.commit(len).map_err(refused);
        }
        if bound > self.blobs.limit() {
            return Err(too_large(bound, self.blobs.limit()));
        }
        let mut body = vec![0; bound];
        let len = request.encode_into(&mut body).map_err(|_| too_large(bound, bound))?;
        body.truncate(len);
        let blob = self.blobs.seal(body).map_err(refused)?;
        // The record before the body: one that no record names would never be taken.
        let mut claim = self.requests.claim(RecordHead { flags: FLAG_BLOB, ..head }, 8).map_err(refused)?;
        claim.copy_from_slice(&self.blobs.place(&blob).map_err(refused)?.to_le_bytes());
        claim.commit(8).map_err(refused)
    }

    fn next(&self, events: &mut [RawEvent]) -> Result<usize, TransportError> {
        let mut reader = self.reader();
        let count = reader.events.next(events)?;
        for event in events.iter_mut().take(count) {
            let at = reader.handed_out;
            reader.handed_out += 1;
            if event.flags & FLAG_BLOB == 0 {
                continue;
            }
            event.flags &= !FLAG_BLOB;
            if let Some(body) = event.word().and_then(|number| reader.blobs.take(number)) {
                (event.ptr, event.len) = (body.as_ptr(), body.len());
                reader.held.push_back((at, body));
            }
        }
        Ok(count)
    }

    fn release(&self, count: usize) -> usize {
        let mut reader = self.reader();
        let released = reader.events.release(count);
        reader.released += released as u64;
        while reader.held.front().is_some_and(|(at, _)| *at < reader.released) {
            reader.held.pop_front();
        }
        released
    }

    fn receive(&self, read: Read<'_>) -> Result<bool, ReceiveError> {
        let mut reader = self.reader();
        let reader = &mut *reader;
        let Some(head) = reader.events.receive(&mut reader.body)? else { return Ok(false) };
        let large = if head.flags & FLAG_BLOB == 0 {
            None
        } else {
            reader.body.as_slice().try_into().ok().and_then(|number| reader.blobs.take(u64::from_le_bytes(number)))
        };
        read(head, large.as_deref().unwrap_or(&reader.body))?;
        Ok(true)
    }

    fn wait(&self, timeout: Option<Duration>, spin: Duration) -> Waited {
        self.reader().events.wait(timeout, spin)
    }

    #[cfg(unix)]
    fn fd(&self) -> std::os::fd::RawFd {
        self.fd
    }

    #[cfg(windows)]
    fn handle(&self) -> std::os::windows::io::RawHandle {
        use std::os::windows::io::{AsHandle, AsRawHandle};
        self.reader().events.as_handle().as_raw_handle()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.core.detach(&self.connection, Detached::Left);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::engine::{ClientOptions, Engine, EngineOptions};

    #[test]
    fn the_descriptor_and_requests_do_not_wait_for_a_thread_that_reads() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Some(folder.path().to_owned());
        let engine = Engine::open(EngineOptions { storage, ..EngineOptions::default() }).unwrap();
        let client = engine.client(ClientOptions::default()).unwrap();
        let (reading, started) = mpsc::channel();
        std::thread::scope(|scope| {
            let client = &client;
            scope.spawn(move || {
                reading.send(()).unwrap();
                client.wait(None, Duration::ZERO)
            });
            started.recv().unwrap();
            // The reader is locked now or soon, for as long as it takes; the answer to this request ends its wait.
            assert!(client.fd() >= 0);
            client.submit(&Request::from_json(r#"{"type":"engine.info"}"#).unwrap()).unwrap();
        });
        engine.close(Duration::from_secs(10));
    }
}
