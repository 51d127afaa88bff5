//! Requests that were not answered: kept until they are, so that another engine can be given them under the same ids.

use std::collections::VecDeque;

use super::SubmitError;

/// Requests kept.
const COUNT_LIMIT: usize = 1024;
/// Bytes of their bodies.
pub(super) const BYTES_LIMIT: usize = 64 << 20;

/// A request as it travels.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sendable {
    pub id: u64,
    pub kind: u16,
    pub body: Box<[u8]>,
}

/// Unanswered requests in the order of their submission. Those of the present connection come first.
#[derive(Default)]
pub(super) struct Outstanding {
    requests: VecDeque<Sendable>,
    bytes: usize,
    /// How many, from the front, the present connection has taken.
    sent: usize,
}

impl Outstanding {
    /// Keeps a request, unsent.
    ///
    /// # Errors
    /// [`SubmitError::Again`] while too many are unanswered.
    pub fn push(&mut self, request: Sendable) -> Result<(), SubmitError> {
        if self.requests.len() >= COUNT_LIMIT || request.body.len() > BYTES_LIMIT - self.bytes {
            return Err(SubmitError::Again);
        }
        self.bytes += request.body.len();
        self.requests.push_back(request);
        Ok(())
    }

    /// Takes back the request that was kept last, which was not sent.
    pub fn withdraw(&mut self) {
        if self.sent < self.requests.len()
            && let Some(request) = self.requests.pop_back()
        {
            self.bytes -= request.body.len();
        }
    }

    /// Forgets a request that was answered; nothing for an id that is not kept.
    pub fn answered(&mut self, id: u64) {
        let Some(at) = self.requests.iter().position(|request| request.id == id) else { return };
        if let Some(request) = self.requests.remove(at) {
            self.bytes -= request.body.len();
            self.sent -= usize::from(at < self.sent);
        }
    }

    /// The oldest request that the present connection has not taken.
    pub fn unsent(&self) -> Option<&Sendable> {
        self.requests.get(self.sent)
    }

    /// The connection took it.
    pub fn mark_sent(&mut self) {
        self.sent = (self.sent + 1).min(self.requests.len());
    }

    /// A new connection has taken none.
    pub fn reconnected(&mut self) {
        self.sent = 0;
    }

    /// Gives up all requests; gives their ids.
    pub fn abandon(&mut self) -> Vec<u64> {
        let ids = self.requests.drain(..).map(|request| request.id).collect();
        (self.bytes, self.sent) = (0, 0);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: u64, len: usize) -> Sendable {
        Sendable { id, kind: 1, body: vec![0; len].into() }
    }

    /// Sends all that is unsent; gives the ids.
    fn send(outstanding: &mut Outstanding) -> Vec<u64> {
        let mut ids = Vec::new();
        while let Some(request) = outstanding.unsent() {
            ids.push(request.id);
            outstanding.mark_sent();
        }
        ids
    }

    #[test]
    fn unanswered_requests_are_sent_again_in_their_order() {
        let mut outstanding = Outstanding::default();
        (1..=4).for_each(|id| outstanding.push(request(id, 8)).unwrap());
        assert_eq!(send(&mut outstanding), [1, 2, 3, 4]);
        outstanding.answered(2);
        outstanding.answered(2);
        outstanding.push(request(5, 8)).unwrap();
        outstanding.answered(9);
        assert_eq!(send(&mut outstanding), [5]);
        outstanding.reconnected();
        outstanding.mark_sent();
        // Answered before it was sent: by the journal.
        outstanding.answered(4);
        assert_eq!(send(&mut outstanding), [3, 5]);
        assert_eq!(outstanding.abandon(), [1, 3, 5]);
        assert!(outstanding.unsent().is_none() && outstanding.bytes == 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut outstanding = Outstanding::default();
        outstanding.push(request(1, BYTES_LIMIT - 10)).unwrap();
        assert!(matches!(outstanding.push(request(2, 11)), Err(SubmitError::Again)));
        outstanding.push(request(2, 10)).unwrap();
        assert_eq!(send(&mut outstanding), [1, 2]);
        // What was sent is not taken back.
        outstanding.withdraw();
        assert!(matches!(outstanding.push(request(3, 1)), Err(SubmitError::Again)));
        [1, 2].into_iter().for_each(|id| outstanding.answered(id));
        (0..COUNT_LIMIT as u64).for_each(|id| outstanding.push(request(id, 0)).unwrap());
        assert!(matches!(outstanding.push(request(9999, 0)), Err(SubmitError::Again)));
    }
}
