//! What a journal says: one entry a change, and its bytes.

use std::borrow::Cow;

use rkyv::rancor;
use rkyv::with::AsOwned;

/// Most bytes of one encoded entry.
pub const MAX_ENTRY_BYTES: usize = 64 << 20;

/// One change of what outlives an engine. Texts and bodies may be borrowed, so that writing copies each byte once.
///
/// There is no `Debug` outside of tests: settings may hold keys, events what a user wrote.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Entry<'a> {
    /// The generation part of session ids.
    Engine {
        /// 1 to [`GENERATION_MAX`](crate::protocol::ids::GENERATION_MAX).
        generation: u32,
    },
    /// The highest numbers given so far, so that none names two things. Only a rewritten journal begins with it:
    /// otherwise they follow from the other entries.
    Numbers {
        /// Of clients.
        client: u32,
        /// Of sessions.
        session: u32,
        /// Index part of ask ids.
        ask: u32,
        /// Index part of host request ids.
        host_request: u32,
    },
    /// A client attached, or what it said of itself changed.
    Client {
        /// Its number, from 1.
        number: u32,
        /// The random id by which it is known again.
        #[rkyv(with = AsOwned)]
        id: Cow<'a, str>,
        /// What it calls itself.
        #[rkyv(with = AsOwned)]
        name: Cow<'a, str>,
        /// Its sessions are visible to observers.
        share: bool,
        /// Host request methods it answers.
        #[rkyv(with = AsOwned)]
        capabilities: Cow<'a, [String]>,
    },
    /// A client said goodbye: nothing of it is needed, nor of its sessions.
    ClientGone {
        /// Its number.
        number: u32,
    },
    /// A session was opened, or belongs to another client now.
    Session {
        /// Its number, from 1.
        number: u32,
        /// The client it belongs to.
        client: u32,
        /// Visible to observers.
        shared: bool,
        /// Its folder.
        #[rkyv(with = AsOwned)]
        cwd: Cow<'a, str>,
        /// Settings of its own: a JSON object.
        #[rkyv(with = AsOwned)]
        settings: Cow<'a, str>,
        /// The request that opened it.
        request: u64,
    },
    /// Settings of a session's own changed.
    SessionSettings {
        /// The session.
        number: u32,
        /// All of them: a JSON object.
        #[rkyv(with = AsOwned)]
        settings: Cow<'a, str>,
    },
    /// A session ended.
    SessionEnded {
        /// The session.
        number: u32,
    },
    /// A numbered event on its way to a client.
    Event {
        /// The client; of a session's event, its owner when the event came up.
        client: u32,
        /// The session; 0 for an event of none.
        session: u32,
        /// Its number in the session, or among the client's events of no session. 0 is no number.
        sequence: u32,
        /// Record kind.
        kind: u16,
        /// May use the ring's control reserve.
        control: bool,
        /// What it is about: the correlation of its slot.
        subject: u64,
        /// The encoded body.
        #[rkyv(with = AsOwned)]
        body: Cow<'a, [u8]>,
    },
    /// A client gave back everything up to here, which the writer has checked to have been given.
    Released {
        /// The client. Only a session's owner releases its events.
        client: u32,
        /// The session; 0 for events of none.
        session: u32,
        /// The last number given back.
        sequence: u32,
    },
    /// An ask waits for an answer.
    Ask {
        /// The session.
        session: u32,
        /// The ask's id.
        ask: u64,
        /// `ts` of the message that asks.
        ts: i64,
    },
    /// An ask waits no more.
    AskClosed {
        /// The session.
        session: u32,
        /// The ask's id.
        ask: u64,
    },
    /// A request took effect; its answer may not be here yet.
    Responded {
        /// The client.
        client: u32,
        /// The request's id.
        request: u64,
        /// The ask that it answers; while it waits, the request had no effect.
        ask: u64,
    },
    /// A step of a session's task.
    Note {
        /// The session.
        session: u32,
        /// The step as the task room writes it.
        #[rkyv(with = AsOwned)]
        note: Cow<'a, [u8]>,
    },
}

impl Entry<'_> {
    /// Appends the encoded entry to `to`. False, and `to` as it was, when it is longer than [`MAX_ENTRY_BYTES`].
    pub(super) fn encode(&self, to: &mut Vec<u8>) -> bool {
        let start = to.len();
        // The serializer owns its writer; taking the buffer keeps its memory in use.
        let buffer = std::mem::take(to);
        // Into memory, without shared pointers: nothing in it can fail.
        let Ok(buffer) = rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, buffer) else { return false };
        *to = buffer;
        let fits = to.len() - start <= MAX_ENTRY_BYTES;
        if !fits {
            to.truncate(start);
        }
        fits
    }

    /// The entry of these bytes, if they are one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Entry<'static>> {
        let archived = rkyv::access::<ArchivedEntry<'_>, rancor::Error>(bytes).ok()?;
        rkyv::deserialize::<Entry<'static>, rancor::Error>(archived).ok()
    }
}
