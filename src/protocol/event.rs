//! Events: what the engine reports to a host.
//!
//! An event is a slot of the ring (kind, session, correlation) with a body: plain UTF-8 for streamed text, an archive for
//! everything else. The correlation is the number of what the event is about ([`EventKind::subject`]).

mod bodies;
mod make;

use serde_json::{Map, Value as JsonValue};

pub use self::bodies::*;
use super::field::Field;
use super::record::{DecodeError, FieldView, Fields, Record, TooLarge, Value};

/// How an event may be treated while a host is slow. Nothing is ever dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Delivered one by one.
    Lossless = 0,
    /// Consecutive ones of the same kind, session and correlation may be merged: texts are joined, of records the latest stays.
    Coalescable = 1,
}

macro_rules! events {
    (records { $($number:literal $variant:ident($body:ident) = $name:literal $class:ident $control:literal $subject:expr,)* }
     texts { $($text_number:literal $text:ident = $text_name:literal $text_subject:expr,)* }) => {
        /// The type of an event. The number is part of the ABI: never changed, never used again; 0 is none.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum EventKind {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
            $(#[doc = concat!("`", $text_name, "`, plain text")] $text = $text_number,)*
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)* $(EventKind::$text,)*];

            /// The `type` in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $name,)* $(EventKind::$text => $text_name,)* }
            }

            /// The kind of this `type`.
            pub fn parse(name: &str) -> Option<EventKind> {
                match name {
                    $($name => Some(EventKind::$variant),)*
                    $($text_name => Some(EventKind::$text),)*
                    _ => None,
                }
            }

            /// The kind of this number.
            pub const fn from_number(number: u16) -> Option<EventKind> {
                match number {
                    $($number => Some(EventKind::$variant),)*
                    $($text_number => Some(EventKind::$text),)*
                    _ => None,
                }
            }

            /// Whether it may be merged.
            pub const fn class(self) -> Class {
                match self { $(EventKind::$variant => Class::$class,)* $(EventKind::$text => Class::Coalescable,)* }
            }

            /// Whether it may use the part of the ring that is kept free so that a full ring cannot hide it.
            pub const fn is_control(self) -> bool {
                match self { $(EventKind::$variant => $control,)* $(EventKind::$text => false,)* }
            }

            /// Whether the body is plain UTF-8.
            pub const fn is_text(self) -> bool {
                matches!(self, $(EventKind::$text)|*)
            }

            /// What the correlation names: `request`, `message`, `call`, `ask`, `host_request`, or nothing.
            pub const fn subject(self) -> Option<&'static str> {
                match self { $(EventKind::$variant => $subject,)* $(EventKind::$text => $text_subject,)* }
            }

            pub(super) const fn layout(self) -> u64 {
                match self {
                    $(EventKind::$variant => $body::LAYOUT,)*
                    $(EventKind::$text => super::abi::word("text"),)*
                }
            }

            pub(super) fn schema(self, schemas: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self {
                    $(EventKind::$variant => <$body as schemars::JsonSchema>::json_schema(schemas),)*
                    _ => schemars::json_schema!({
                        "type": "object",
                        "description": "Text that was added.",
                        "properties": { "text": { "type": "string" } },
                        "required": ["text"],
                    }),
                }
            }

            /// A field of an encoded body, without copying.
            ///
            /// # Errors
            /// A malformed body.
            pub fn field(self, bytes: &[u8], field: Field) -> Result<FieldView<'_>, DecodeError> {
                match self {
                    $(EventKind::$variant => {
                        let body = rkyv::access::<rkyv::Archived<$body>, rkyv::rancor::Error>(bytes).map_err(
                            |error| DecodeError::Malformed { kind: $name, reason: error.to_string() },
                        )?;
                        Ok(body.field(field))
                    })*
                    _ if field == Field::Text => Ok(FieldView::Str(utf8(self, bytes)?)),
                    _ => Ok(FieldView::Unknown),
                }
            }

            /// Names of the body's fields.
            pub const fn fields(self) -> &'static [&'static str] {
                match self { $(EventKind::$variant => $body::FIELDS,)* _ => &["text"] }
            }
        }

        /// The body of an event.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $(#[doc = concat!("`", $name, "`")] $variant($body),)*
            $(#[doc = concat!("`", $text_name, "`")] $text(String),)*
        }

        impl Event {
            /// The type.
            pub const fn kind(&self) -> EventKind {
                match self {
                    $(Event::$variant(_) => EventKind::$variant,)*
                    $(Event::$text(_) => EventKind::$text,)*
                }
            }

            /// Most bytes [`Event::encode_into`] writes.
            pub fn encoded_upper_bound(&self) -> usize {
                match self {
                    $(Event::$variant(body) => body.encoded_upper_bound(),)*
                    $(Event::$text(text) => text.len(),)*
                }
            }

            /// Writes the body to the beginning of `to` and returns its length.
            ///
            /// # Errors
            /// [`TooLarge`] when it does not fit.
            pub fn encode_into(&self, to: &mut [u8]) -> Result<usize, TooLarge> {
                match self {
                    $(Event::$variant(body) => body.encode_into(to),)*
                    $(Event::$text(text) => write_text(text, to),)*
                }
            }

            /// Checks and reads a body.
            ///
            /// # Errors
            /// An unknown kind or a malformed body.
            pub fn decode(kind: u16, bytes: &[u8]) -> Result<Event, DecodeError> {
                match EventKind::from_number(kind).ok_or(DecodeError::UnknownKind(kind))? {
                    $(EventKind::$variant => $body::decode(bytes)
                        .map(Event::$variant)
                        .map_err(|reason| DecodeError::Malformed { kind: $name, reason }),)*
                    $(kind @ EventKind::$text => Ok(Event::$text(utf8(kind, bytes)?.to_owned())),)*
                }
            }

            fn fields(&self) -> serde_json::Result<JsonValue> {
                match self {
                    $(Event::$variant(body) => serde_json::to_value(body),)*
                    $(Event::$text(text) => Ok(serde_json::json!({ "text": text })),)*
                }
            }

            fn from_fields(kind: EventKind, fields: Map<String, JsonValue>) -> serde_json::Result<Event> {
                Ok(match kind {
                    $(EventKind::$variant => Event::$variant(serde_json::from_value(JsonValue::Object(fields))?),)*
                    $(EventKind::$text => {
                        #[derive(serde::Deserialize)]
                        struct Body { text: String }
                        Event::$text(serde_json::from_value::<Body>(JsonValue::Object(fields))?.text)
                    })*
                })
            }
        }
    };
}

const REQUEST: Option<&str> = Some("request");
const MESSAGE: Option<&str> = Some("message");
const CALL: Option<&str> = Some("call");
const ASK: Option<&str> = Some("ask");
const HOST_REQUEST: Option<&str> = Some("host_request");

// Number, variant (body), type, class, control, subject.
events! {
    records {
        1 RequestDone(RequestDone) = "request.done" Lossless true REQUEST,
        2 RequestFailed(RequestFailed) = "request.failed" Lossless true REQUEST,
        3 SessionState(SessionChanged) = "session.state" Lossless true None,
        10 MessageBegin(MessageBegin) = "message.begin" Lossless false MESSAGE,
        12 MessageEnd(MessageEnd) = "message.end" Lossless false MESSAGE,
        20 ToolBegin(ToolBegin) = "tool.begin" Lossless false CALL,
        23 ToolEnd(ToolEnd) = "tool.end" Lossless false CALL,
        24 Hook(HookRun) = "hook" Lossless false CALL,
        30 Ask(Ask) = "ask" Lossless true ASK,
        31 AskResolved(AskResolved) = "ask.resolved" Lossless false ASK,
        32 HostRequest(HostRequest) = "host.request" Lossless true HOST_REQUEST,
        40 Usage(Usage) = "usage" Coalescable false None,
        41 Todo(TodoChanged) = "todo" Lossless false None,
        42 Mode(ModeChanged) = "mode" Lossless false None,
        43 Profile(ProfileChanged) = "profile" Lossless false None,
        44 Checkpoint(Checkpoint) = "checkpoint" Lossless false None,
        45 Condense(Condensed) = "condense" Lossless false None,
        46 Retry(Retry) = "retry" Lossless false None,
        47 Subtask(Subtask) = "subtask" Lossless false None,
        48 Queue(Queue) = "queue" Lossless false None,
        50 Diff(Diff) = "diff" Coalescable false None,
        51 TaskCompleted(TaskCompleted) = "task.completed" Lossless false None,
        60 IndexProgress(Progress) = "index.progress" Coalescable false None,
        61 McpStatus(McpStatus) = "mcp.status" Coalescable false None,
        62 UpdateProgress(Progress) = "update.progress" Coalescable false None,
        70 InlineSuggestion(InlineSuggestion) = "inline.suggestion" Lossless false None,
        80 SettingsChanged(SettingsChanged) = "settings.changed" Coalescable false None,
        81 Log(Log) = "log" Coalescable false None,
        82 Stats(Stats) = "stats" Coalescable false None,
    }
    texts {
        11 MessageDelta = "message.delta" MESSAGE,
        13 ReasoningDelta = "reasoning.delta" MESSAGE,
        21 ToolDelta = "tool.delta" CALL,
        22 ToolOutput = "tool.output" CALL,
    }
}

impl EventKind {
    /// The number in a slot.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// The event of a slot as one JSON object: `type`, `session` and the subject where there is one (not 0), then the fields.
///
/// # Errors
/// An unknown kind or a malformed body.
pub fn event_to_json(kind: u16, session: u64, correlation: u64, bytes: &[u8]) -> Result<String, DecodeError> {
    let event = Event::decode(kind, bytes)?;
    event_json(session, correlation, &event)
        .map_err(|error| DecodeError::Malformed { kind: event.kind().as_str(), reason: error.to_string() })
}

/// The JSON form of a decoded event, as of [`event_to_json`].
///
/// # Errors
/// Only if a [`Json`](super::json::Json) field holds no JSON.
pub fn event_json(session: u64, correlation: u64, event: &Event) -> serde_json::Result<String> {
    let mut object = Map::new();
    object.insert("type".to_owned(), event.kind().as_str().into());
    if session != 0 {
        object.insert("session".to_owned(), session.into());
    }
    if let Some(subject) = event.kind().subject() {
        object.insert(subject.to_owned(), correlation.into());
    }
    if let JsonValue::Object(fields) = event.fields()? {
        for (name, value) in fields {
            object.entry(name).or_insert(value);
        }
    }
    serde_json::to_string(&object)
}

/// Reads the JSON form back: session, correlation (0 where there is none) and body.
///
/// # Errors
/// What is malformed. Unknown fields are skipped.
pub fn event_from_json(text: &str) -> Result<(u64, u64, Event), serde_json::Error> {
    use serde::de::Error as _;
    let mut fields: Map<String, JsonValue> = serde_json::from_str(text)?;
    let kind = fields.get("type").and_then(JsonValue::as_str).and_then(EventKind::parse);
    let kind = kind.ok_or_else(|| serde_json::Error::custom("unknown event type"))?;
    let session = fields.get("session").and_then(JsonValue::as_u64).unwrap_or(0);
    let correlation =
        kind.subject().and_then(|subject| fields.shift_remove(subject)).and_then(|id| id.as_u64()).unwrap_or(0);
    Ok((session, correlation, Event::from_fields(kind, fields)?))
}

fn utf8(kind: EventKind, bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|error| DecodeError::Utf8 { kind: kind.as_str(), at: error.valid_up_to() })
}

fn write_text(text: &str, to: &mut [u8]) -> Result<usize, TooLarge> {
    let room = to.len();
    to.get_mut(..text.len()).ok_or(TooLarge { room })?.copy_from_slice(text.as_bytes());
    Ok(text.len())
}

#[cfg(test)]
mod tests;
