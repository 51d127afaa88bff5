//! The UI conversation in memory. What a long task has said is on disk: of older messages only what is small is kept, so that
//! 500 turns of 100 KB are no more than their list.
//!
//! Read as a slice, an older large message has no text and no images; [`Conversation::whole`] reads it back. Every change goes
//! through a method, which knows what of the task's file is no longer true.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Deref;

use serde_json::json;

use super::store::{Piece, Place};
use super::todo;
use super::usage::{Share, task_usage};
use crate::protocol::message::{Say, TokenUsage, UiKind, UiMessage};

/// Messages at the end that are never put away: they may still change.
const RECENT: usize = 8;
/// Messages from this many bytes of JSON on are put away.
const LARGE: usize = 4096;

/// The messages, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<UiMessage>,
    /// One for each message.
    known: Vec<Known>,
    /// Changed since they were last handed out to be written.
    changed: BTreeSet<usize>,
    /// Messages were taken out: the file must be written whole.
    reordered: bool,
    /// How often that happened; places of an earlier arrangement mean nothing.
    arrangement: u64,
    /// Messages before this one were put away, if they were large and on disk.
    looked_at: usize,
    /// The usage of the messages from the second one up to this one, which will hardly change any more.
    settled: (usize, TokenUsage),
    /// Some requests are told in two messages, as old versions did.
    legacy: bool,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// On disk it stands here, as it is.
    place: Option<Place>,
    /// In memory it lacks its large parts.
    away: bool,
    /// These parts tell a todo list.
    todos: bool,
    share: Option<Share>,
    /// `share` is what the message says now.
    counted: bool,
}

/// Changes that are being written.
pub(super) struct Changes {
    /// What `written` is told.
    pub arrangement: u64,
    /// The changed messages as JSON, in order.
    pub fresh: Vec<(usize, Vec<u8>)>,
    /// The file must be written whole.
    pub whole: bool,
}

impl Conversation {
    /// Appends a message.
    pub fn push(&mut self, message: UiMessage) {
        self.changed.insert(self.messages.len());
        self.add(message, Known::default());
    }

    /// Appends or replaces a message that was read from disk; false when there are fewer before it.
    pub fn place(&mut self, index: usize, message: UiMessage, place: Place) -> bool {
        let known = Known { share: Share::of(&message), counted: true, place: Some(place), away: false, todos: false };
        if index == self.messages.len() {
            self.add(message, known);
        } else if let (Some(old), Some(old_known)) = (self.messages.get_mut(index), self.known.get_mut(index)) {
            self.legacy |= message.kind == UiKind::Say(Say::ApiReqFinished);
            (*old, *old_known) = (message, known);
            self.unsettle(index);
        } else {
            return false;
        }
        if let Some(older) = self.messages.len().checked_sub(RECENT + 1) {
            self.put_away(older);
            self.put_away(index.min(older));
        }
        true
    }

    /// Puts a message before the one at `index`.
    pub fn insert(&mut self, index: usize, message: UiMessage) {
        if index < self.messages.len() {
            self.legacy |= message.kind == UiKind::Say(Say::ApiReqFinished);
            self.messages.insert(index, message);
            self.known.insert(index, Known::default());
            self.rearranged();
        } else {
            self.push(message);
        }
    }

    fn add(&mut self, message: UiMessage, known: Known) {
        self.legacy |= message.kind == UiKind::Say(Say::ApiReqFinished);
        self.messages.push(message);
        self.known.push(known);
    }

    /// The message, to be changed. `None` when there is none such, or what was put away cannot be read back.
    pub fn edit(&mut self, index: usize) -> Option<&mut UiMessage> {
        let known = self.known.get_mut(index)?;
        if known.away {
            *self.messages.get_mut(index)? = read_back(known)?;
        }
        *known = Known::default();
        self.changed.insert(index);
        self.unsettle(index);
        self.messages.get_mut(index)
    }

    /// Puts another message in the place of this one.
    pub fn replace(&mut self, index: usize, message: UiMessage) {
        if let (Some(old), Some(known)) = (self.messages.get_mut(index), self.known.get_mut(index)) {
            (*old, *known) = (message, Known::default());
            self.changed.insert(index);
            self.unsettle(index);
        }
    }

    /// The last message, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut UiMessage> {
        self.edit(self.messages.len().checked_sub(1)?)
    }

    /// The message with all it has.
    pub fn whole(&self, index: usize) -> Option<Cow<'_, UiMessage>> {
        let message = self.messages.get(index)?;
        let away = self.known.get(index).filter(|known| known.away);
        // What cannot be read back is at least known to have been there.
        Some(away.and_then(read_back).map_or(Cow::Borrowed(message), Cow::Owned))
    }

    /// All messages with all they have, one at a time. Those for which `wanted` gives false are not read back, but come too.
    pub fn wholes(&self, wanted: impl Fn(&UiMessage) -> bool) -> impl DoubleEndedIterator<Item = Cow<'_, UiMessage>> {
        self.messages.iter().enumerate().filter_map(move |(index, message)| match wanted(message) {
            true => self.whole(index),
            false => Some(Cow::Borrowed(message)),
        })
    }

    /// The messages that tell todo lists, with all they have, newest first.
    pub fn todo_lists(&self) -> impl Iterator<Item = Cow<'_, UiMessage>> {
        let known = self.messages.iter().zip(&self.known).enumerate().rev();
        known
            .filter(|(_, (message, known))| known.todos || todo::may_tell(message))
            .filter_map(|(at, _)| self.whole(at))
    }

    /// Takes out the last message if `condition` holds.
    pub fn pop_if(&mut self, condition: impl FnOnce(&UiMessage) -> bool) -> bool {
        let pops = self.messages.last().is_some_and(condition);
        if pops {
            self.truncate(self.messages.len() - 1);
        }
        pops
    }

    /// Takes a message out.
    pub fn remove(&mut self, index: usize) {
        if index < self.messages.len() {
            self.messages.remove(index);
            self.known.remove(index);
            self.rearranged();
        }
    }

    /// Takes out all messages for which `keep` gives false.
    pub fn retain(&mut self, keep: impl Fn(&UiMessage) -> bool) {
        let keeps: Vec<bool> = self.messages.iter().map(keep).collect();
        if keeps.contains(&false) {
            let mut marks = keeps.iter();
            self.messages.retain(|_| marks.next() == Some(&true));
            let mut marks = keeps.iter();
            self.known.retain(|_| marks.next() == Some(&true));
            self.rearranged();
        }
    }

    /// Takes out all messages from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.messages.len() {
            self.messages.truncate(len);
            self.known.truncate(len);
            self.rearranged();
        }
    }

    /// Takes out all messages from `at` on and gives them whole.
    pub fn split_off(&mut self, at: usize) -> Vec<UiMessage> {
        let taken = (at..self.messages.len()).filter_map(|index| self.whole(index).map(Cow::into_owned)).collect();
        self.truncate(at);
        taken
    }

    /// The file must be written whole: it may hold something else.
    pub fn rearranged(&mut self) {
        self.reordered = true;
        self.arrangement += 1;
        self.looked_at = 0;
        self.changed =
            (0..self.known.len()).filter(|index| self.known.get(*index).is_some_and(|k| k.place.is_none())).collect();
        self.settled = Default::default();
    }

    /// Token usage of all messages but the first: [`task_usage`] without reading them again.
    pub fn usage(&mut self) -> TokenUsage {
        if self.legacy {
            return task_usage(&self.split_whole(1));
        }
        let (from, mut usage) = if self.settled.0 == 0 { (1, TokenUsage::default()) } else { self.settled.clone() };
        let stays = self.messages.len().saturating_sub(2 * RECENT).max(from);
        for index in from..stays {
            self.add_share(index, &mut usage);
        }
        self.settled = (stays, usage.clone());
        for index in stays..self.messages.len() {
            self.add_share(index, &mut usage);
        }
        usage
    }

    fn add_share(&mut self, index: usize, usage: &mut TokenUsage) {
        if let Some(share) = self.share(index) {
            share.add_to(usage);
        }
    }

    /// Token usage of all messages.
    pub fn usage_with_first(&mut self) -> TokenUsage {
        match self.share(0) {
            None if !self.legacy => self.usage(),
            _ => task_usage(&self.split_whole(0)),
        }
    }

    fn split_whole(&self, from: usize) -> Vec<UiMessage> {
        self.wholes(|_| true).skip(from).map(Cow::into_owned).collect()
    }

    fn share(&mut self, index: usize) -> Option<Share> {
        let known = self.known.get_mut(index)?;
        if !known.counted {
            known.share = Share::of(self.messages.get(index)?);
            known.counted = true;
        }
        known.share
    }

    fn unsettle(&mut self, index: usize) {
        if index < self.settled.0 {
            self.settled = Default::default();
        }
    }

    /// Takes what is to be written. [`written`](Self::written) or [`not_written`](Self::not_written) must follow.
    pub fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let json = |index: usize| Some((index, serde_json::to_vec(self.messages.get(index)?).ok()?));
        let fresh = changed.into_iter().filter_map(json).collect();
        Changes { arrangement: self.arrangement, fresh, whole: std::mem::take(&mut self.reordered) }
    }

    /// All messages, of which `fresh` are the changed ones.
    pub fn pieces(&self, fresh: Vec<(usize, Vec<u8>)>) -> Vec<Piece> {
        let mut fresh = fresh.into_iter().peekable();
        let pieces = self.known.iter().enumerate().filter_map(|(index, known)| match &known.place {
            Some(place) => Some(Piece::Stored(place.clone())),
            None => fresh.next_if(|(at, _)| *at == index).map(|(_, json)| Piece::Fresh(json)),
        });
        pieces.collect()
    }

    /// The messages of `indexes` stand at these places now, unless they have changed since.
    pub fn written(&mut self, arrangement: u64, places: impl IntoIterator<Item = (usize, Place)>) {
        if arrangement != self.arrangement {
            return;
        }
        let end = self.messages.len().saturating_sub(RECENT);
        for (index, place) in places {
            if self.changed.contains(&index) {
                continue;
            }
            if let Some(known) = self.known.get_mut(index) {
                known.place = Some(place);
            }
            if index < end {
                self.put_away(index);
            }
        }
        // Those that were recent when they were written.
        for index in std::mem::replace(&mut self.looked_at, end)..end {
            self.put_away(index);
        }
    }

    /// The changes did not reach the disk.
    pub fn not_written(&mut self) {
        self.rearranged();
    }

    /// Drops the large parts of a message that is on disk. The first one is the task's title.
    fn put_away(&mut self, index: usize) {
        let (Some(message), Some(known)) = (self.messages.get_mut(index), self.known.get_mut(index)) else { return };
        let large = known.place.as_ref().is_some_and(|place| place.len() >= LARGE);
        if index == 0 || known.away || !large {
            return;
        }
        if !known.counted {
            known.share = Share::of(message);
            known.counted = true;
        }
        known.away = true;
        known.todos = todo::may_tell(message);
        message.text = None;
        message.images = None;
        // A request may go on from the stored response that it names; the prompt beside it is large.
        let response = message.metadata.as_ref().and_then(|metadata| metadata.pointer("/gpt5/previous_response_id"));
        message.metadata = response.map(|id| json!({"gpt5": {"previous_response_id": id}}));
    }
}

fn read_back(known: &Known) -> Option<UiMessage> {
    serde_json::from_slice(&known.place.as_ref()?.read().ok()?).ok()
}

impl Deref for Conversation {
    type Target = [UiMessage];

    fn deref(&self) -> &[UiMessage] {
        &self.messages
    }
}

impl From<Vec<UiMessage>> for Conversation {
    fn from(messages: Vec<UiMessage>) -> Conversation {
        let mut conversation = Conversation::default();
        messages.into_iter().for_each(|message| conversation.push(message));
        conversation
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::message::Ask;
    use crate::task::store::TaskFolder;

    fn message(ts: i64, kind: usize, number: i64, size: usize) -> UiMessage {
        let filler = "x".repeat(size);
        let (kind, text) = match kind {
            0 => (UiKind::Say(Say::Text), filler),
            1 => {
                let text = json!({"request": filler, "tokensIn": number, "tokensOut": 2, "cost": number as f64 / 7.0, "cacheReads": 3});
                (UiKind::Say(Say::ApiReqStarted), text.to_string())
            }
            2 => (
                UiKind::Ask(Ask::Tool),
                json!({"fastApplyResult": {"cost": 0.1, "tokensIn": number}, "x": filler}).to_string(),
            ),
            3 => (UiKind::Say(Say::ApiReqStarted), json!({"request": filler}).to_string()),
            _ => (UiKind::Say(Say::CondenseContext), filler),
        };
        let mut message = UiMessage::new(ts, kind, Some(text));
        message.context_condense = Some(json!({"cost": 0.3, "newContextTokens": number}));
        message
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// parity 02 §13: whatever is appended, changed and taken out, memory, disk and usage tell the same as a plain list
        #[test]
        fn memory_and_disk_tell_the_same(
            steps in prop::collection::vec((0_usize..12, any::<prop::sample::Index>(), 0_usize..5, -5_i64..50, prop::bool::weighted(0.5)), 1..80),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let mut files = TaskFolder::new(folder.path());
            let (mut truth, mut conversation) = (Vec::new(), Conversation::default());
            for (ts, (what, at, kind, number, large)) in (0_i64..).zip(steps) {
                let size = if large { LARGE } else { 3 };
                let at = at.index(truth.len().max(1));
                match what {
                    0..=5 => {
                        truth.push(message(ts, kind, number, size));
                        conversation.push(message(ts, kind, number, size));
                    }
                    6 | 7 if at < truth.len() => {
                        truth[at].text = message(ts, 1, number, size).text;
                        conversation.edit(at).expect("it is there").text = message(ts, 1, number, size).text;
                    }
                    8 if at < truth.len() => {
                        truth.remove(at);
                        conversation.remove(at);
                    }
                    9 => {
                        let keep = truth.len() - truth.len() / 4;
                        prop_assert_eq!(conversation.split_off(keep), truth.split_off(keep));
                    }
                    _ => files.write(&mut conversation, what == 10),
                }
                prop_assert_eq!(conversation.usage(), task_usage(truth.get(1..).unwrap_or_default()));
                prop_assert_eq!(conversation.usage_with_first(), task_usage(&truth));
            }
            let whole: Vec<UiMessage> = conversation.wholes(|_| true).map(Cow::into_owned).collect();
            prop_assert_eq!(&whole, &truth);
            files.write(&mut conversation, false);
            let mut read = files.read();
            let again: Vec<UiMessage> = read.wholes(|_| true).map(Cow::into_owned).collect();
            prop_assert_eq!(&again, &truth);
            prop_assert_eq!(read.usage(), task_usage(truth.get(1..).unwrap_or_default()));
            files.write(&mut read, true);
            let file = std::fs::read(folder.path().join("ui_messages.json")).expect("written");
            prop_assert_eq!(String::from_utf8(file).expect("text"), serde_json::to_string(&truth).expect("JSON"));
            prop_assert_eq!(std::fs::read_dir(folder.path()).expect("listable").count(), 1);
        }
    }

    #[test]
    fn of_a_long_conversation_only_the_end_is_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = TaskFolder::new(folder.path());
        let mut conversation = Conversation::default();
        for ts in 0..150 {
            conversation.push(message(ts, 1, 1, 10_000));
            files.write(&mut conversation, false);
        }
        let held = |conversation: &Conversation| conversation.iter().filter(|message| message.text.is_some()).count();
        assert_eq!(held(&conversation), RECENT + 1);
        assert!(folder.path().join("ui_messages.delta").exists());
        let read = files.read();
        assert_eq!(held(&read), RECENT + 1);
        assert_eq!(read.whole(100).expect("there").text, message(100, 1, 1, 10_000).text);
    }

    #[test]
    fn what_cannot_be_read_back_is_not_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = TaskFolder::new(folder.path());
        let mut conversation = Conversation::default();
        (0..20).for_each(|ts| conversation.push(message(ts, 1, 1, 10_000)));
        files.write(&mut conversation, true);
        std::fs::write(folder.path().join("ui_messages.json"), "[]").expect("damaged");
        assert!(conversation.edit(3).is_none());
        assert_eq!(conversation.whole(3).expect("known").ts, 3);
    }
}
