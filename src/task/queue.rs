//! Messages the user sent while the task could not take them (spec 02 §3).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Messages that may wait; a further one is refused, so that a runaway host cannot fill the memory.
const LIMIT: usize = 1000;

/// One waiting message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Milliseconds since the Unix epoch when it was queued or last edited.
    pub timestamp: i64,
    /// UUID v4.
    pub id: String,
    /// Text.
    pub text: String,
    /// Images as data URLs.
    pub images: Vec<String>,
}

/// As many messages wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{LIMIT} messages wait already")]
pub struct Full;

/// First in, first out.
#[derive(Debug, Default)]
pub struct MessageQueue(VecDeque<QueuedMessage>);

impl MessageQueue {
    /// Appends a message; one that is empty is passed over (false).
    ///
    /// # Errors
    /// [`Full`].
    pub fn add(&mut self, message: QueuedMessage) -> Result<bool, Full> {
        if message.text.is_empty() && message.images.is_empty() {
            return Ok(false);
        }
        if self.0.len() >= LIMIT {
            return Err(Full);
        }
        self.0.push_back(message);
        Ok(true)
    }

    /// Removes a message by id.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|message| message.id != id);
        self.0.len() != before
    }

    /// Replaces text and images of a message and renews its timestamp.
    pub fn update(&mut self, id: &str, text: String, images: Vec<String>, now: i64) -> bool {
        let Some(message) = self.0.iter_mut().find(|message| message.id == id) else { return false };
        *message = QueuedMessage { timestamp: now, id: id.to_owned(), text, images };
        true
    }

    /// Takes the oldest message.
    pub fn dequeue(&mut self) -> Option<QueuedMessage> {
        self.0.pop_front()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Ids in order.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|message| message.id.clone()).collect()
    }

    /// All messages in order.
    pub fn messages(&self) -> Vec<QueuedMessage> {
        self.0.iter().cloned().collect()
    }

    /// Texts in order.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|message| message.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, text: &str) -> QueuedMessage {
        QueuedMessage { timestamp: 1, id: id.into(), text: text.into(), images: vec![] }
    }

    /// parity 02 §3: first in, first out; an empty message is none; changed and taken out by id
    #[test]
    fn messages_leave_in_the_order_they_came() {
        let mut queue = MessageQueue::default();
        assert_eq!((queue.add(message("a", "one")), queue.add(message("b", "two"))), (Ok(true), Ok(true)));
        assert_eq!(queue.add(message("c", "")), Ok(false));
        assert!(queue.update("b", "second".into(), vec![], 9));
        assert!(!queue.update("z", String::new(), vec![], 9));
        assert_eq!(queue.texts(), ["one", "second"]);
        assert!(queue.remove("a") && !queue.remove("a"));
        assert_eq!(queue.dequeue().map(|m| (m.text, m.timestamp)), Some(("second".into(), 9)));
        assert!(queue.dequeue().is_none());
    }

    #[test]
    fn an_image_alone_is_a_message() {
        let mut queue = MessageQueue::default();
        assert_eq!(queue.add(QueuedMessage { images: vec!["data:".into()], ..message("a", "") }), Ok(true));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = MessageQueue::default();
        assert!((0..LIMIT).all(|_| queue.add(message("a", "x")) == Ok(true)));
        assert_eq!((queue.add(message("b", "x")), queue.add(message("c", ""))), (Err(Full), Ok(false)));
    }
}
