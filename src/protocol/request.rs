//! Requests: what a host asks of the engine.
//!
//! A request is known by its type (`task.start` → [`TaskStart`], [`RequestKind::TaskStart`]). It arrives as JSON text or as a
//! record; both are checked by the same limits. Types of the vocabulary that are not built yet parse too, as
//! [`Request::Unbuilt`], so that they can be answered by `not_supported` and never by "unknown".

mod bodies;
mod limits;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as JsonValue};

pub use self::bodies::*;
use super::json::Json;
use super::limits::{MAX_JSON_BYTES, MAX_NAME_BYTES, quoted};
use super::record::{DecodeError, Record, TooLarge, Value};

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct RequestError {
    /// Where, such as `task.start.images[2]`.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl RequestError {
    pub(super) fn new(place: impl Into<String>, message: impl Into<String>) -> RequestError {
        RequestError { place: quoted(place.into()), message: quoted(message.into()) }
    }
}

macro_rules! requests {
    (built { $($number:literal $variant:ident = $name:literal,)* }
     unbuilt { $($later_number:literal $later:ident = $later_name:literal,)* }) => {
        /// The type of a request. The number is part of the ABI: never changed, never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum RequestKind {
            $(#[doc = concat!("`", $name, "`")] $variant = $number,)*
            $(#[doc = concat!("`", $later_name, "`, not built yet")] $later = $later_number,)*
        }

        impl RequestKind {
            /// All kinds: the built ones, then the others.
            pub const ALL: &'static [RequestKind] = &[$(RequestKind::$variant,)* $(RequestKind::$later,)*];

            /// The `type` in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(RequestKind::$variant => $name,)* $(RequestKind::$later => $later_name,)* }
            }

            /// The kind of this `type`.
            pub fn parse(name: &str) -> Option<RequestKind> {
                match name {
                    $($name => Some(RequestKind::$variant),)*
                    $($later_name => Some(RequestKind::$later),)*
                    _ => None,
                }
            }

            /// The kind of this number.
            pub const fn from_number(number: u16) -> Option<RequestKind> {
                match number {
                    $($number => Some(RequestKind::$variant),)*
                    $($later_number => Some(RequestKind::$later),)*
                    _ => None,
                }
            }

            /// Whether its body is typed here.
            pub const fn is_built(self) -> bool {
                matches!(self, $(RequestKind::$variant)|*)
            }

            pub(super) const fn layout(self) -> u64 {
                match self { $(RequestKind::$variant => $variant::LAYOUT,)* _ => Unbuilt::LAYOUT }
            }

            pub(super) fn schema(self, schemas: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self {
                    $(RequestKind::$variant => <$variant as schemars::JsonSchema>::json_schema(schemas),)*
                    _ => schemars::json_schema!({ "type": "object", "description": "Not built yet." }),
                }
            }
        }

        /// A request, valid by the limits of [`super::limits`].
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(#[doc = concat!("`", $name, "`")] $variant($variant),)*
            /// A known type that is not built yet.
            Unbuilt(RequestKind, Unbuilt),
        }

        impl Request {
            /// The type.
            pub const fn kind(&self) -> RequestKind {
                match self { $(Request::$variant(_) => RequestKind::$variant,)* Request::Unbuilt(kind, _) => *kind }
            }

            /// Most bytes [`Request::encode_into`] writes.
            pub fn encoded_upper_bound(&self) -> usize {
                match self {
                    $(Request::$variant(body) => body.encoded_upper_bound(),)*
                    Request::Unbuilt(_, body) => body.encoded_upper_bound(),
                }
            }

            /// Writes the record's body and returns its length.
            ///
            /// # Errors
            /// [`TooLarge`] when it does not fit.
            pub fn encode_into(&self, to: &mut [u8]) -> Result<usize, TooLarge> {
                match self {
                    $(Request::$variant(body) => body.encode_into(to),)*
                    Request::Unbuilt(_, body) => body.encode_into(to),
                }
            }

            /// Checks the limits of every field.
            ///
            /// # Errors
            /// The first place beyond a limit.
            pub fn validate(&self) -> Result<(), RequestError> {
                let place = self.kind().as_str();
                match self {
                    $(Request::$variant(body) => limits::Checked::check(body, place),)*
                    Request::Unbuilt(_, body) => limits::Checked::check(body, place),
                }
            }

            fn decode_kind(kind: RequestKind, bytes: &[u8]) -> Result<Request, String> {
                Ok(match kind {
                    $(RequestKind::$variant => Request::$variant($variant::decode(bytes)?),)*
                    _ => Request::Unbuilt(kind, Unbuilt::decode(bytes)?),
                })
            }

            fn from_fields(kind: RequestKind, fields: Map<String, JsonValue>) -> Result<Request, RequestError> {
                Ok(match kind {
                    $(RequestKind::$variant => Request::$variant(body(kind, fields)?),)*
                    _ => Request::Unbuilt(kind, Unbuilt { fields: Json::from(JsonValue::Object(fields)) }),
                })
            }

            fn fields(&self) -> serde_json::Result<JsonValue> {
                match self {
                    $(Request::$variant(body) => serde_json::to_value(body),)*
                    Request::Unbuilt(_, body) => Ok(body.fields.value()),
                }
            }
        }
    };
}

requests! {
    built {
        1 EngineInfo = "engine.info",
        2 EngineStats = "engine.stats",
        5 EngineShutdown = "engine.shutdown",
        20 SettingsGet = "settings.get",
        21 SettingsSet = "settings.set",
        22 SettingsSchema = "settings.schema",
        23 SettingsImport = "settings.import",
        24 SettingsExport = "settings.export",
        25 ProfileList = "profile.list",
        26 ProfileGet = "profile.get",
        27 ProfileSet = "profile.set",
        28 ProfileDelete = "profile.delete",
        29 ProfileActivate = "profile.activate",
        30 SecretSet = "secret.set",
        31 SecretDelete = "secret.delete",
        32 ModeList = "mode.list",
        33 ModeGet = "mode.get",
        34 ModeSet = "mode.set",
        35 ModeDelete = "mode.delete",
        36 RulesList = "rules.list",
        37 RulesToggle = "rules.toggle",
        38 SettingsReset = "settings.reset",
        60 ProviderList = "provider.list",
        61 ProviderTest = "provider.test",
        62 CompletionCreate = "completion.create",
        63 ModelList = "model.list",
        64 TokensCount = "tokens.count",
        80 TaskStart = "task.start",
        81 TaskResume = "task.resume",
        82 TaskMessage = "task.message",
        83 TaskRespond = "task.respond",
        84 TaskCancel = "task.cancel",
        85 TaskClear = "task.clear",
        86 TaskDelete = "task.delete",
        87 TaskList = "task.list",
        88 TaskGet = "task.get",
        89 TaskExport = "task.export",
        90 TaskSetMode = "task.set_mode",
        91 TaskSetProfile = "task.set_profile",
        92 TaskEditMessage = "task.edit_message",
        93 TaskDeleteMessage = "task.delete_message",
        94 TaskCondense = "task.condense",
        95 TaskQueue = "task.queue",
        96 TaskSetTodos = "task.set_todos",
        97 TaskTerminal = "task.terminal",
        110 TaskDiff = "task.diff",
        111 DryRunApply = "dry_run.apply",
        112 DryRunDrop = "dry_run.drop",
        113 CheckpointList = "checkpoint.list",
        114 CheckpointDiff = "checkpoint.diff",
        115 CheckpointRestore = "checkpoint.restore",
        116 CheckpointUndo = "checkpoint.undo",
        140 PromptPreview = "prompt.preview",
        141 PromptEnhance = "prompt.enhance",
        142 CommitMessageCreate = "commit_message.create",
        143 CommandList = "command.list",
        144 MentionComplete = "mention.complete",
        145 FileSearch = "file.search",
        250 HostRespond = "host.respond",
    }
    unbuilt {
        3 EngineHealth = "engine.health",
        4 EngineTrim = "engine.trim",
        130 ToolList = "tool.list",
        131 ToolCall = "tool.call",
        132 ToolRegister = "tool.register",
        160 DefinitionsList = "definitions.list",
        161 SymbolsSearch = "symbols.search",
        162 SymbolsOutline = "symbols.outline",
        163 IndexStart = "index.start",
        164 IndexStop = "index.stop",
        165 IndexClear = "index.clear",
        166 IndexStatus = "index.status",
        167 IndexSearch = "index.search",
        180 BufferOpened = "buffer.opened",
        181 BufferChanged = "buffer.changed",
        182 BufferSaved = "buffer.saved",
        183 BufferClosed = "buffer.closed",
        184 BufferFocused = "buffer.focused",
        185 InlineRequest = "inline.request",
        186 InlineAccept = "inline.accept",
        187 InlineReject = "inline.reject",
        188 InlineNext = "inline.next",
        189 InlinePrevious = "inline.previous",
        190 InlineCancel = "inline.cancel",
        200 McpList = "mcp.list",
        201 McpRestart = "mcp.restart",
        202 McpEnable = "mcp.enable",
        203 McpDisable = "mcp.disable",
        204 McpCall = "mcp.call",
        205 McpRead = "mcp.read",
        206 McpSet = "mcp.set",
        220 UpdateCheck = "update.check",
        221 UpdateDownload = "update.download",
        222 UpdateApply = "update.apply",
        223 UpdateRollback = "update.rollback",
        224 CrashList = "crash.list",
        225 CrashShow = "crash.show",
        226 CrashDelete = "crash.delete",
        227 TelemetryShow = "telemetry.show",
        228 TelemetrySet = "telemetry.set",
        229 LogLevel = "log.level",
    }
}

impl RequestKind {
    /// The number in a record.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl Request {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// The exact place: `json` (no JSON at all), `type`, or a field such as `task.start.images[2]`.
    pub fn from_json(text: &str) -> Result<Request, RequestError> {
        if text.len() > MAX_JSON_BYTES {
            return Err(RequestError::new("json", format!("more than {MAX_JSON_BYTES} bytes")));
        }
        let value: JsonValue =
            serde_json::from_str(text).map_err(|error| RequestError::new("json", error.to_string()))?;
        let JsonValue::Object(mut fields) = value else {
            return Err(RequestError::new("json", "a request is an object with a `type`"));
        };
        let name = match fields.shift_remove("type") {
            Some(JsonValue::String(name)) => name,
            Some(_) => return Err(RequestError::new("type", "must be a text")),
            None => return Err(RequestError::new("type", "missing")),
        };
        let Some(kind) = RequestKind::parse(&name) else {
            let shown: String = name.chars().take(MAX_NAME_BYTES).collect();
            return Err(RequestError::new("type", format!("unknown request type `{shown}`")));
        };
        let request = Request::from_fields(kind, fields)?;
        request.validate()?;
        Ok(request)
    }

    /// The JSON form.
    ///
    /// # Errors
    /// Only if a [`Json`] field holds no JSON, which [`Request::validate`] refuses.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut object = Map::new();
        object.insert("type".to_owned(), self.kind().as_str().into());
        if let JsonValue::Object(fields) = self.fields()? {
            for (name, value) in fields {
                // The free-form fields of a record that is not built may hold another `type`.
                object.entry(name).or_insert(value);
            }
        }
        serde_json::to_string(&object)
    }

    /// Reads a record that was copied into private memory.
    ///
    /// # Errors
    /// An unknown kind, a malformed archive, or a value beyond a limit.
    pub fn decode(kind: u16, bytes: &[u8]) -> Result<Request, DecodeError> {
        let kind = RequestKind::from_number(kind).ok_or(DecodeError::UnknownKind(kind))?;
        let request = Request::decode_kind(kind, bytes)
            .map_err(|reason| DecodeError::Malformed { kind: kind.as_str(), reason })?;
        request.validate()?;
        Ok(request)
    }
}

/// Reads a body from its fields, naming the place of what is wrong.
fn body<T: DeserializeOwned>(kind: RequestKind, fields: Map<String, JsonValue>) -> Result<T, RequestError> {
    serde_path_to_error::deserialize(JsonValue::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { kind.as_str().to_owned() } else { format!("{}.{path}", kind.as_str()) };
        RequestError::new(place, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests;
