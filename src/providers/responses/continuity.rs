//! Which response a request goes on from (spec 07 §10.1).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::protocol::message::Role;
use crate::providers::ChatRequest;

/// How long a request waits for the id of the one before it.
const WAIT: Duration = Duration::from_millis(100);

/// The last response of a provider, and the one that is under way.
#[derive(Debug, Default)]
pub struct Continuity {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<String>,
    /// Gets the id of the latest request's response when it is known.
    pending: Option<watch::Receiver<Option<String>>>,
}

/// Where a request goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Response to name in the request.
    pub previous: Option<String>,
    /// Whether the whole conversation is sent, and not only its last message.
    pub whole: bool,
}

/// Announces the id of one request's response.
#[derive(Clone, Debug)]
pub struct Announcer {
    continuity: Arc<Continuity>,
    to_next: watch::Sender<Option<String>>,
}

impl Announcer {
    /// The response has this id.
    pub fn announce(&self, id: &str) {
        let mut state = self.continuity.lock();
        if state.last.as_deref() != Some(id) {
            state.last = Some(id.to_owned());
        }
        drop(state);
        self.to_next.send_if_modified(|announced| {
            let first = announced.is_none();
            if first {
                *announced = Some(id.to_owned());
            }
            first
        });
    }

    /// The server does not know the response that the request went on from.
    pub fn forget(&self) {
        self.continuity.forget();
    }
}

impl Continuity {
    /// Where `request` goes on, and by what it announces its response to the next one.
    pub async fn start(self: &Arc<Self>, request: &ChatRequest) -> (Start, Announcer) {
        let metadata = request.metadata.as_ref();
        let given = metadata.and_then(|metadata| metadata.previous_response_id.clone());
        let previous = match metadata.is_some_and(|metadata| metadata.suppress_previous_response_id) {
            true => {
                self.forget();
                None
            }
            false => match given.clone().filter(|id| !id.is_empty()) {
                Some(id) => Some(id),
                None => self.pending().await.or_else(|| self.last()),
            },
        };
        let only_question = matches!(&request.messages[..], [message] if message.role == Role::User);
        let shape = given.or_else(|| if only_question { None } else { self.last() }).filter(|id| !id.is_empty());
        let (to_next, pending) = watch::channel(None);
        self.lock().pending = Some(pending);
        let start = Start { whole: shape.is_none(), previous: previous.or(shape) };
        (start, Announcer { continuity: self.clone(), to_next })
    }

    fn forget(&self) {
        self.lock().last = None;
    }

    /// Id of the last response.
    pub fn last(&self) -> Option<String> {
        self.lock().last.clone()
    }

    /// Id of the latest request's response, when it comes within [`WAIT`].
    async fn pending(&self) -> Option<String> {
        let mut pending = self.lock().pending.clone()?;
        let announced = tokio::time::timeout(WAIT, pending.wait_for(Option::is_some)).await;
        announced.ok()?.ok()?.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::{ApiMessage, MessageContent};
    use crate::providers::RequestMetadata;

    fn request(messages: usize, previous: Option<&str>, suppress: bool) -> ChatRequest {
        let message = |role| ApiMessage { role, content: MessageContent::Text("m".into()), ts: None, is_summary: None };
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        ChatRequest {
            messages: Arc::new(roles.take(messages).map(message).collect()),
            metadata: Some(RequestMetadata {
                previous_response_id: previous.map(str::to_owned),
                suppress_previous_response_id: suppress,
                ..RequestMetadata::default()
            }),
            ..ChatRequest::default()
        }
    }

    /// Whether the whole conversation is sent, and which response is named, after an answer `r1` or none.
    async fn started(answered: bool, request: ChatRequest) -> (bool, Option<String>) {
        let continuity = Arc::new(Continuity::default());
        if answered {
            continuity.start(&ChatRequest::default()).await.1.announce("r1");
        }
        let (start, _) = continuity.start(&request).await;
        (start.whole, start.previous)
    }

    #[tokio::test]
    async fn a_request_goes_on_from_the_last_response() {
        let id = |id: &str| Some(id.to_owned());
        for (answered, request, expected) in [
            (false, request(3, None, false), (true, None)),
            (true, request(3, None, false), (false, id("r1"))),
            // A single question is sent whole even where it names a response.
            (true, request(1, None, false), (true, id("r1"))),
            (true, request(3, None, true), (true, None)),
            (false, request(1, Some("given"), false), (false, id("given"))),
            // Suppressing loses against a response that is named.
            (true, request(3, Some("given"), true), (false, id("given"))),
            (true, request(3, Some(""), false), (true, id("r1"))),
        ] {
            assert_eq!(started(answered, request.clone()).await, expected, "{answered} {request:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_a_moment_for_the_id_of_the_one_before() {
        let continuity = Arc::new(Continuity::default());
        let (_, announcer) = continuity.start(&request(1, None, false)).await;
        let later = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(90)).await;
            announcer.announce("soon");
        });
        let (second, _silent) = continuity.start(&request(1, None, false)).await;
        assert_eq!(second.previous.as_deref(), Some("soon"));
        // The second announces nothing in time: the third takes what was last known.
        let (third, _) = continuity.start(&request(1, None, false)).await;
        assert_eq!(third.previous.as_deref(), Some("soon"));
        later.await.expect("no panic");
    }
}
