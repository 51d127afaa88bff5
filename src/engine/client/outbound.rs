//! The sending side of an attached client: every request is kept until it is answered.

use super::outstanding::{BYTES_LIMIT, Outstanding, Sendable};
use super::{SubmitError, too_large};
use crate::protocol::request::Request;
use crate::transport::{BlobWriter, FLAG_BLOB, RecordHead, RequestWriter, TransportError};

/// Requests on their way, and the connection they take.
pub(super) struct Outbound {
    outstanding: Outstanding,
    requests: RequestWriter,
    blobs: BlobWriter,
}

impl Outbound {
    pub fn new(requests: RequestWriter, blobs: BlobWriter) -> Outbound {
        Outbound { outstanding: Outstanding::default(), requests, blobs }
    }

    /// Sends a request, or keeps it for the next connection when this one is lost.
    pub fn submit(&mut self, request: &Request, id: u64) -> Result<(), SubmitError> {
        let bound = request.encoded_upper_bound();
        if bound > BYTES_LIMIT {
            return Err(too_large(bound, BYTES_LIMIT));
        }
        let mut body = vec![0; bound];
        let len = request.encode_into(&mut body).map_err(|_| too_large(bound, bound))?;
        body.truncate(len);
        // Those of the connection before go first.
        self.send_on();
        let is_first = self.outstanding.unsent().is_none();
        self.outstanding.push(Sendable { id, kind: request.kind().number(), body: body.into() })?;
        let outcome = if is_first { self.send_next() } else { Err(TransportError::Full) };
        match outcome {
            // A connection that is gone takes nothing, and the next one takes what is kept.
            Ok(()) | Err(TransportError::Lost | TransportError::Closed { .. } | TransportError::Broken(_)) => Ok(()),
            Err(error) => {
                self.outstanding.withdraw();
                Err(super::refused(error))
            }
        }
    }

    /// Forgets a request that was answered.
    pub fn answered(&mut self, id: u64) {
        self.outstanding.answered(id);
        self.send_on();
    }

    /// Takes a new connection, which gets all unanswered requests.
    pub fn reconnect(&mut self, requests: RequestWriter, blobs: BlobWriter) {
        (self.requests, self.blobs) = (requests, blobs);
        self.outstanding.reconnected();
        self.send_on();
    }

    /// Gives up all unanswered requests; gives their ids.
    pub fn abandon(&mut self) -> Vec<u64> {
        self.outstanding.abandon()
    }

    /// Tells the engine that this client leaves.
    pub fn goodbye(&self, reason: u32) {
        self.requests.goodbye(reason);
    }

    /// Sends what the ring takes. What it does not is tried again when answers come, which free room.
    fn send_on(&mut self) {
        while self.outstanding.unsent().is_some() && self.send_next().is_ok() {}
    }

    fn send_next(&mut self) -> Result<(), TransportError> {
        let Some(Sendable { id, kind, body }) = self.outstanding.unsent() else { return Ok(()) };
        let head = RecordHead { kind: *kind, correlation: *id, ..RecordHead::default() };
        if body.len() <= self.requests.max_record() {
            self.requests.submit(head, body)?;
        } else {
            // Sealed before the claim and placed under it: nothing is sent that no record will name.
            let blob = self.blobs.seal(body.to_vec())?;
            let mut claim = self.requests.claim(RecordHead { flags: FLAG_BLOB, ..head }, 8)?;
            let number = self.blobs.place(&blob)?.to_le_bytes();
            claim.copy_from_slice(&number);
            claim.commit(number.len())?;
        }
        self.outstanding.mark_sent();
        Ok(())
    }
}
