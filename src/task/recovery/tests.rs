//! Folding of notes.

use proptest::prelude::*;

use super::*;
use crate::protocol::message::{
    ApiMessage, AskResponse, ContentBlock, MessageContent, Role, Say, TodoItem, UiKind, UiMessage,
};
use crate::task::stored::Stored;
use crate::tools::context::Answer;

fn ui(ts: i64, text: &str) -> UiMessage {
    UiMessage::new(ts, UiKind::Say(Say::Text), Some(text.into()))
}

fn api(text: &str) -> ApiMessage {
    let role = if text.len().is_multiple_of(2) { Role::User } else { Role::Assistant };
    ApiMessage { role, content: MessageContent::Text(text.into()), ts: Some(1), is_summary: None }
}

fn entry(id: &str, child: bool) -> Entry {
    Entry {
        id: id.into(),
        cwd: "/w".into(),
        mode: "code".into(),
        session_mode: "code".into(),
        child,
        pauses: child.then(|| "ask".into()),
        parent_id: None,
        root_id: None,
        number: 1,
        origin: Origin::New { text: "t".into(), images: vec![], todos: None },
    }
}

/// Any note about a few tasks, messages and places.
fn note() -> impl Strategy<Value = Note> {
    let task = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let text = || "[a-c]{0,3}";
    let ts = || 0_i64..6;
    prop_oneof![
        Just(Note::Restored),
        text().prop_map(Note::Mode),
        (task(), any::<bool>()).prop_map(|(id, child)| Note::Pushed(entry(&id, child))),
        (task(), proptest::option::of(text())).prop_map(|(task, result)| Note::Popped { task, result }),
        task().prop_map(|task| Note::Stopped { task }),
        (task(), ts(), proptest::collection::vec(ts(), 0..3)).prop_map(|(task, after, removed)| Note::Resuming {
            kept: None,
            said: None,
            task,
            after,
            removed
        }),
        (task(), text(), 0_usize..4, ts()).prop_map(|(task, text, kept, after)| Note::Content {
            task,
            content: vec![ContentBlock::text(text)],
            kept,
            after
        }),
        (task(), ts(), 0_usize..4, text()).prop_map(|(task, record, index, text)| Note::Sent {
            task,
            record,
            index,
            message: api(&text),
            facts: Box::new(Facts { mistakes: record, ..Facts::default() }),
        }),
        (task(), 0_usize..6, text()).prop_map(|(task, at, text)| Note::Text { task, at, text }),
        (task(), 0_usize..6, text()).prop_map(|(task, at, text)| Note::Read { task, at, text, suffix: "s".into() }),
        (task(), 0_usize..3, ts(), text(), any::<bool>()).prop_map(|(task, index, after, text, used)| Note::Block {
            task,
            index,
            after,
            results: vec![ContentBlock::text(text)],
            rejected: false,
            used,
            facts: Box::default(),
        }),
        (task(), 0_u64..3).prop_map(|(task, number)| Note::Call { task, number, tool: "read_file".into() }),
        (task(), ts()).prop_map(|(task, after)| Note::Again { task, after }),
        (task(), ts(), text()).prop_map(|(task, ts, text)| Note::Ui { task, message: ui(ts, &text) }),
        (task(), 0_usize..4, text()).prop_map(|(task, index, text)| Note::Api { task, index, message: api(&text) }),
        (task(), text()).prop_map(|(task, text)| Note::ApiReplaced { task, messages: vec![api(&text)] }),
        (task(), any::<bool>(), any::<bool>()).prop_map(|(task, ui, api)| Note::Saving { task, ui, api }),
        (task(), any::<bool>(), any::<bool>()).prop_map(|(task, ui, api)| Note::Saved { task, ui, api }),
        (task(), ts()).prop_map(|(task, ts)| Note::Opened { task, ts }),
        (task(), ts()).prop_map(|(task, ts)| Note::Closed { task, ts }),
        (task(), ts(), text()).prop_map(|(task, ts, text)| Note::Answered {
            task,
            ts,
            how: "answered".into(),
            answer: Answer { response: AskResponse::Yes, text: Some(text), images: vec![] },
            queued: Some("id".into()),
        }),
        (task(), text()).prop_map(|(task, text)| Note::Queue {
            task,
            messages: vec![QueuedMessage { timestamp: 1, id: "id".into(), text, images: vec![] }],
        }),
        (task(), text()).prop_map(|(task, content)| Note::PendingTodos {
            task,
            todos: vec![TodoItem { id: "1".into(), content, status: "pending".into() }],
        }),
        (task(), text()).prop_map(|(task, path)| Note::Creating { task, paths: vec![path.into()] }),
        task().prop_map(|task| Note::Created { task }),
        task().prop_map(|task| Note::Returned { task }),
    ]
}

fn fold(notes: &[Vec<u8>]) -> Progress {
    let mut progress = Progress::default();
    notes.iter().for_each(|note| progress.apply(note));
    progress
}

proptest! {
    #[test]
    fn the_fewest_notes_rebuild_the_same(notes in proptest::collection::vec(note(), 0..60)) {
        let bytes: Vec<Vec<u8>> = notes.iter().map(Note::to_bytes).collect();
        let mut folded = Progress::default();
        notes.into_iter().for_each(|note| folded.take(note));
        prop_assert_eq!(&fold(&bytes), &folded);
        prop_assert_eq!(fold(&folded.notes()), folded);
    }

    /// Files written at any moment, and the notes from any moment before that on, give the same conversation.
    #[test]
    fn files_may_be_newer_than_the_notes_tell(
        changes in proptest::collection::vec((0_usize..3, 0_usize..5, "[a-c]{0,3}"), 1..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut truth = (Vec::<UiMessage>::new(), Vec::<ApiMessage>::new());
        let mut folded = Progress::default();
        folded.take(Note::Pushed(entry("a", false)));
        let task = || "a".to_owned();
        let cut = cut.index(changes.len());
        let mut files = None;
        for (at, (kind, place, text)) in changes.into_iter().enumerate() {
            match kind {
                0 => {
                    let message = ui(place as i64, &text);
                    match truth.0.iter_mut().find(|known| known.ts == message.ts) {
                        Some(known) => *known = message.clone(),
                        None => truth.0.push(message.clone()),
                    }
                    folded.take(Note::Ui { task: task(), message });
                }
                1 => {
                    let index = place.min(truth.1.len());
                    truth.1.truncate(index);
                    truth.1.push(api(&text));
                    folded.take(Note::Api { task: task(), index, message: api(&text) });
                }
                _ => {
                    truth.1 = vec![api(&text), api("x")];
                    folded.take(Note::ApiReplaced { task: task(), messages: truth.1.clone() });
                }
            }
            if at == cut {
                folded.take(Note::Saving { task: task(), ui: true, api: true });
                files = Some(truth.clone());
            }
        }
        let copy = || {
            let (ui, api) = files.clone().unwrap_or_default();
            Stored { ui: ui.into(), api, ..Stored::default() }
        };
        let told = |progress: &Progress| {
            let stored = progress.tasks[0].later.clone().over(copy());
            let mut ui = stored.ui.to_vec();
            ui.sort_by_key(|message| message.ts);
            (ui, stored.api)
        };
        truth.0.sort_by_key(|message| message.ts);
        prop_assert_eq!(told(&folded), (truth.0.clone(), truth.1.clone()));
        folded.take(Note::Saved { task: task(), ui: true, api: true });
        prop_assert_eq!(told(&folded), (truth.0, truth.1));
    }

    #[test]
    fn bytes_that_are_no_note_change_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut progress = fold(&[Note::Pushed(entry("a", false)).to_bytes()]);
        let before = progress.clone();
        progress.apply(&bytes);
        prop_assert_eq!(progress, before);
    }
}

#[test]
fn what_the_files_hold_is_not_kept() {
    let mut progress = Progress::default();
    progress.take(Note::Pushed(entry("a", false)));
    let empty = progress.notes();
    for ts in 0..100 {
        progress.take(Note::Ui { task: "a".into(), message: ui(ts, "message") });
    }
    progress.take(Note::Saving { task: "a".into(), ui: true, api: true });
    progress.take(Note::Saved { task: "a".into(), ui: true, api: true });
    progress.told_message(99, true);
    progress.take(Note::Saving { task: "a".into(), ui: true, api: true });
    progress.take(Note::Saved { task: "a".into(), ui: true, api: true });
    assert_eq!(progress.notes(), empty);
}

/// Files are written and users answer while a message is about to be told.
#[test]
fn only_an_event_says_that_the_host_was_told() {
    let mut progress = Progress::default();
    progress.take(Note::Pushed(entry("a", false)));
    progress.take(Note::Ui { task: "a".into(), message: ui(7, "message") });
    for ui in [true, false, true] {
        progress.take(Note::Saving { task: "a".into(), ui, api: true });
        progress.take(Note::Saved { task: "a".into(), ui, api: true });
    }
    progress.take(Note::Queue { task: "a".into(), messages: Vec::new() });
    let untold = |progress: &Progress| progress.untold_message().map(|(_, message)| message.ts);
    assert_eq!(untold(&progress), Some(7));
    assert_eq!(untold(&fold(&progress.notes())), Some(7));
    progress.told_message(6, true);
    progress.told_message(7, false);
    assert_eq!(untold(&progress), Some(7), "complete, and only said to begin");
    progress.told_message(7, true);
    assert_eq!(untold(&progress), None);

    progress.tasks[0].call = Some((3, "read_file".into()));
    progress.take(Note::Queue { task: "a".into(), messages: Vec::new() });
    progress.tasks[0].ended = progress.tasks[0].call.take();
    progress.take(Note::Queue { task: "a".into(), messages: Vec::new() });
    assert!(progress.tasks[0].ended.is_some());
    progress.told_end(3);
    assert_eq!(progress.tasks[0].ended, None);
}

#[test]
fn a_subtask_pauses_its_parent_and_leaves_it_its_result() {
    let mut progress = Progress::default();
    progress.take(Note::Pushed(entry("a", false)));
    progress.take(Note::Pushed(entry("b", true)));
    assert_eq!((progress.tasks[0].paused, progress.tasks[0].paused_mode.as_deref()), (true, Some("ask")));
    progress.take(Note::Popped { task: "b".into(), result: Some("done".into()) });
    assert_eq!((progress.task(), progress.tasks[0].paused), (Some("a"), false));
    assert_eq!(progress.tasks[0].result.as_deref(), Some("done"));
}
