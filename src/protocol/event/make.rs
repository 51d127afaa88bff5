//! Events made from the records of the agent loop.

use serde_json::{Map, Value};

use super::{
    Ask, Form, MessageBegin, MessageEnd, RequestFailed, Suggestion, TaskCompleted, TodoChanged, TodoEntry, Usage,
};
use crate::protocol::failure::ErrorKind;
use crate::protocol::json::Json;
use crate::protocol::message::{TodoItem, TokenUsage, UiKind, UiMessage};

impl RequestFailed {
    /// A failure with its kind and message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> RequestFailed {
        RequestFailed {
            code: kind.code(),
            kind: kind.as_str().to_owned(),
            message: message.into(),
            ..RequestFailed::default()
        }
    }
}

impl MessageBegin {
    /// The beginning of a UI message.
    pub fn new(task: &str, message: &UiMessage) -> MessageBegin {
        let (form, kind) = form_and_kind(message.kind);
        MessageBegin { task: task.to_owned(), form, kind: kind.to_owned() }
    }
}

impl MessageEnd {
    /// A complete UI message.
    pub fn new(task: &str, message: &UiMessage) -> MessageEnd {
        let (form, kind) = form_and_kind(message.kind);
        let details = UiMessage { text: None, images: None, partial: None, ..message.clone() };
        let details = match serde_json::to_value(details) {
            Ok(Value::Object(mut all)) => {
                ["ts", "type", "ask", "say"].iter().for_each(|key| drop(all.shift_remove(*key)));
                (!all.is_empty()).then(|| Json::from(Value::Object(all)))
            }
            _ => None,
        };
        MessageEnd {
            task: task.to_owned(),
            form,
            kind: kind.to_owned(),
            text: message.text.clone(),
            images: message.images.clone().unwrap_or_default(),
            details,
        }
    }
}

impl Ask {
    /// The question of a UI message: what a tool ask is about and the suggested answers are taken from its JSON text.
    pub fn new(task: &str, message: &UiMessage) -> Ask {
        let (_, kind) = form_and_kind(message.kind);
        let text = message.text.clone().unwrap_or_default();
        let payload: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let word = |key: &str| payload.get(key).and_then(Value::as_str).map(str::to_owned);
        Ask {
            task: task.to_owned(),
            message: u64::try_from(message.ts).unwrap_or(0),
            kind: kind.to_owned(),
            tool: word("tool"),
            path: word("path"),
            protected: message.is_protected.unwrap_or(false),
            suggestions: payload
                .get("suggest")
                .and_then(Value::as_array)
                .map_or_else(Vec::new, |all| all.iter().filter_map(suggestion).collect()),
            expires_ms: None,
            text,
        }
    }
}

impl TodoChanged {
    /// The todo list of a task.
    pub fn new(task: &str, items: &[TodoItem]) -> TodoChanged {
        let entry = |item: &TodoItem| TodoEntry {
            id: item.id.clone(),
            content: item.content.clone(),
            status: item.status.clone(),
        };
        TodoChanged { task: task.to_owned(), items: items.iter().map(entry).collect() }
    }
}

impl Usage {
    /// The totals of a task.
    pub fn new(task: &str, usage: &TokenUsage, context_window: u64) -> Usage {
        Usage {
            task: task.to_owned(),
            tokens_in: shown(usage.total_tokens_in),
            tokens_out: shown(usage.total_tokens_out),
            cache_read_tokens: shown(usage.total_cache_reads.unwrap_or(0)),
            cache_write_tokens: shown(usage.total_cache_writes.unwrap_or(0)),
            reasoning_tokens: 0,
            cost: usage.total_cost,
            context_tokens: shown(usage.context_tokens),
            context_window,
        }
    }
}

impl TaskCompleted {
    /// The result of a task with its totals.
    pub fn new(task: &str, result: &str, usage: &TokenUsage) -> TaskCompleted {
        TaskCompleted {
            task: task.to_owned(),
            result: result.to_owned(),
            tokens_in: shown(usage.total_tokens_in),
            tokens_out: shown(usage.total_tokens_out),
            cost: usage.total_cost,
        }
    }
}

/// A count as hosts see it: a negative one, from a damaged record, is none.
fn shown(tokens: i64) -> u64 {
    tokens.max(0).unsigned_abs()
}

fn form_and_kind(kind: UiKind) -> (Form, &'static str) {
    match kind {
        UiKind::Ask(ask) => (Form::Ask, ask.as_str()),
        UiKind::Say(say) => (Form::Say, say.as_str()),
    }
}

/// A suggested answer of a follow-up question: a text, or an object with `answer` and `mode`.
fn suggestion(value: &Value) -> Option<Suggestion> {
    let word = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::String(text) => Some(Suggestion { text: text.clone(), mode: None }),
        _ => word("answer").map(|text| Suggestion { text, mode: word("mode") }),
    }
}
