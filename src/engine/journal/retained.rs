//! Events that their client has not given back yet.

use std::collections::VecDeque;

use bytes::Bytes;

use super::entry::Entry;
use crate::protocol::event::EventKind;

/// One numbered event.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number, never 0.
    pub sequence: u32,
    /// Record kind.
    pub kind: u16,
    /// May use the ring's control reserve.
    pub control: bool,
    /// What it is about: the correlation of its slot.
    pub subject: u64,
    /// The encoded body.
    pub body: Bytes,
}

impl Event {
    /// Whether it answers a request.
    pub fn is_answer(&self) -> bool {
        [EventKind::RequestDone.number(), EventKind::RequestFailed.number()].contains(&self.kind)
    }

    /// The entry that says that it is on its way.
    pub fn entry(&self, client: u32, session: u32) -> Entry<'_> {
        let Event { sequence, kind, control, subject, body } = self;
        let (sequence, kind, control, subject, body) = (*sequence, *kind, *control, *subject, body.as_ref().into());
        Entry::Event { client, session, sequence, kind, control, subject, body }
    }
}

/// Events of one numbering that are kept until they are released, in order.
///
/// Numbers go 1, 2, 3 and so on, and from the highest back to 1. Of two numbers the later one is that which is less than
/// half of all numbers ahead.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// What was not released, oldest first.
    pub events: VecDeque<Event>,
    /// The last number given; 0 before the first.
    pub last: u32,
}

impl Retained {
    /// Keeps the next event. False, and nothing changes, for one that has no number or does not come after the last.
    pub fn push(&mut self, event: Event) -> bool {
        let follows = event.sequence != 0 && is_after(event.sequence, self.last);
        if follows {
            self.last = event.sequence;
            self.events.push_back(event);
        }
        follows
    }

    /// Lets go of everything up to `sequence`, which counts as given.
    pub fn release(&mut self, sequence: u32) {
        if sequence == 0 {
            return;
        }
        while self.events.front().is_some_and(|event| !is_after(event.sequence, sequence)) {
            self.events.pop_front();
        }
        if is_after(sequence, self.last) {
            self.last = sequence;
        }
    }

    /// Whether the event of this number was given and released.
    pub fn is_released(&self, sequence: u32) -> bool {
        match self.events.front() {
            Some(first) => is_after(first.sequence, sequence),
            None => !is_after(sequence, self.last),
        }
    }

    /// The entries that lead here when events up to `before` (0 for none) stand before them and are released.
    pub(super) fn entries(&self, client: u32, session: u32, before: u32) -> impl Iterator<Item = Entry<'_>> {
        let sequence = if self.events.is_empty() { self.last } else { before };
        let released = (sequence != 0).then_some(Entry::Released { client, session, sequence });
        released.into_iter().chain(self.events.iter().map(move |event| event.entry(client, session)))
    }
}

/// Whether `sequence` comes after `last`; everything comes after 0.
fn is_after(sequence: u32, last: u32) -> bool {
    last == 0 || sequence.wrapping_sub(last).cast_signed() > 0
}
