//! The records of a conversation (spec 01 §2): API messages as providers get them and `api_conversation_history.json`
//! stores them, UI messages as hosts see them and `ui_messages.json` stores them, and the small records around them.
//! Field names and key order of the JSON forms are those of the specification; absent values are left out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks in an API message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The user, or the engine on the user's side (tool results, environment details).
    User,
    /// The model.
    Assistant,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ImageSource {
    /// The image itself.
    Base64 {
        /// MIME type, such as `image/png`.
        #[serde(default)]
        media_type: String,
        /// Base64 text.
        data: String,
    },
    /// A link the provider fetches.
    Url {
        /// Address of the image.
        url: String,
    },
}

/// One block of an API message (spec 01 §2.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// Its data or address.
        source: ImageSource,
    },
    /// Legacy native tool call (read from old histories only).
    ToolUse {
        /// Call id.
        id: String,
        /// Tool name as stored.
        name: String,
        /// Arguments; null when absent.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        input: Value,
    },
    /// Legacy native tool result (read from old histories only).
    ToolResult {
        /// The call it answers.
        tool_use_id: String,
        /// Text or blocks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<MessageContent>,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
        /// What some old histories have in place of `content`; only Bedrock's format looks at it (spec 07 §6.5).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
    },
    /// A block of another kind (thinking, …), kept as it stands in the history; no provider format knows it.
    #[serde(untagged)]
    Other(Value),
}

impl ContentBlock {
    /// A text block.
    pub fn text(text: impl Into<String>) -> ContentBlock {
        ContentBlock::Text { text: text.into() }
    }

    /// The image block of a data URL `data:<mime>;base64,<data>` (spec 01 §2.2): split at the first comma, the MIME
    /// type stands between the first colon and the next semicolon. Missing parts are empty.
    pub fn image_from_data_url(url: &str) -> ContentBlock {
        let (head, data) = url.split_once(',').unwrap_or((url, ""));
        let mime = head.split_once(':').map_or("", |(_, rest)| rest.split(';').next().unwrap_or(""));
        ContentBlock::Image { source: ImageSource::Base64 { media_type: mime.to_owned(), data: data.to_owned() } }
    }
}

/// Content of an API message: a plain string or blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MessageContent {
    /// A plain string.
    Text(String),
    /// Blocks.
    Blocks(Vec<ContentBlock>),
}

/// One message of the API conversation (spec 01 §2.2). Providers get only role and content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: MessageContent,
    /// Milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// True for the summary that condensing puts in place of older messages.
    #[serde(rename = "isSummary", default, skip_serializing_if = "Option::is_none")]
    pub is_summary: Option<bool>,
}

/// What a tool gives back to the model: text, or text and images (spec 01 §2.2).
#[derive(Clone, Debug, PartialEq)]
pub enum ToolResponse {
    /// Plain text; empty text is replaced by the catalogue's `present.empty_result` when pushed.
    Text(String),
    /// Blocks as they are.
    Blocks(Vec<ContentBlock>),
}

impl ToolResponse {
    /// *tool-result(text, images)* of spec 01 §9: without images the string, else the text followed by the images.
    pub fn with_images(text: String, images: &[String]) -> ToolResponse {
        if images.is_empty() {
            return ToolResponse::Text(text);
        }
        let mut blocks = vec![ContentBlock::Text { text }];
        blocks.extend(images.iter().map(|url| ContentBlock::image_from_data_url(url)));
        ToolResponse::Blocks(blocks)
    }
}

impl From<String> for ToolResponse {
    fn from(text: String) -> ToolResponse {
        ToolResponse::Text(text)
    }
}

macro_rules! kinds {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type { $(#[doc = concat!("`", $text, "`")] #[serde(rename = $text)] $variant,)* }

        impl $type {
            /// All of them in the order of the specification.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The name in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    /// Kinds of questions to the user (spec 01 §2.5).
    Ask {
        Followup = "followup",
        Command = "command",
        CommandOutput = "command_output",
        CompletionResult = "completion_result",
        Tool = "tool",
        ApiReqFailed = "api_req_failed",
        ResumeTask = "resume_task",
        ResumeCompletedTask = "resume_completed_task",
        MistakeLimitReached = "mistake_limit_reached",
        BrowserActionLaunch = "browser_action_launch",
        UseMcpServer = "use_mcp_server",
        AutoApprovalMaxReqReached = "auto_approval_max_req_reached",
        PaymentRequiredPrompt = "payment_required_prompt",
        InvalidModel = "invalid_model",
        ReportBug = "report_bug",
        Condense = "condense",
    }
}

kinds! {
    /// Kinds of statements to the user (spec 01 §2.6).
    Say {
        Error = "error",
        ApiReqStarted = "api_req_started",
        ApiReqFinished = "api_req_finished",
        ApiReqRetried = "api_req_retried",
        ApiReqRetryDelayed = "api_req_retry_delayed",
        ApiReqDeleted = "api_req_deleted",
        Text = "text",
        Image = "image",
        Reasoning = "reasoning",
        CompletionResult = "completion_result",
        UserFeedback = "user_feedback",
        UserFeedbackDiff = "user_feedback_diff",
        CommandOutput = "command_output",
        ShellIntegrationWarning = "shell_integration_warning",
        BrowserAction = "browser_action",
        BrowserActionResult = "browser_action_result",
        McpServerRequestStarted = "mcp_server_request_started",
        McpServerResponse = "mcp_server_response",
        SubtaskResult = "subtask_result",
        CheckpointSaved = "checkpoint_saved",
        RooignoreError = "rooignore_error",
        DiffError = "diff_error",
        CondenseContext = "condense_context",
        CondenseContextError = "condense_context_error",
        CodebaseSearchResult = "codebase_search_result",
        UserEditTodos = "user_edit_todos",
    }
}

kinds! {
    /// Answers to an ask (spec 01 §2.5).
    AskResponse {
        Yes = "yesButtonClicked",
        No = "noButtonClicked",
        Message = "messageResponse",
        Object = "objectResponse",
        Retry = "retry_clicked",
    }
}

/// Whether a UI message asks or says, and what kind it is. Serialises as the pair `type` and `ask` or `say`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiKind {
    /// A question.
    Ask(Ask),
    /// A statement.
    Say(Say),
}

/// Icon and text of a tool's progress (spec 01 §2.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgressStatus {
    /// Icon name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Short text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// One message of the UI conversation (spec 01 §2.4).
#[derive(Clone, Debug, PartialEq)]
pub struct UiMessage {
    /// Milliseconds since the Unix epoch: the message's identity, never changed once set.
    pub ts: i64,
    /// Ask or say, and its kind.
    pub kind: UiKind,
    /// Text, often JSON.
    pub text: Option<String>,
    /// Images as data URLs.
    pub images: Option<Vec<String>>,
    /// `Some(true)` while streaming, `Some(false)` completed after having been partial, `None` born complete.
    pub partial: Option<bool>,
    /// Tool progress.
    pub progress_status: Option<ProgressStatus>,
    /// Whether the ask concerns a write-protected file.
    pub is_protected: Option<bool>,
    /// Set on an answered follow-up question.
    pub is_answered: Option<bool>,
    /// `{from,to,suppressMessage}` of a saved checkpoint.
    pub checkpoint: Option<Value>,
    /// Outcome of a condensing (spec 01 §2.9).
    pub context_condense: Option<Value>,
    /// Free metadata.
    pub metadata: Option<Value>,
    /// Keys of a stored message that are not among the above; kept as they were.
    pub other: serde_json::Map<String, Value>,
}

impl UiMessage {
    /// A message with nothing but its identity, kind and text.
    pub fn new(ts: i64, kind: UiKind, text: Option<String>) -> UiMessage {
        UiMessage {
            ts,
            kind,
            text,
            images: None,
            partial: None,
            progress_status: None,
            is_protected: None,
            is_answered: None,
            checkpoint: None,
            context_condense: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }
}

/// Wire form of [`UiMessage`]: the field order is that of the stored file.
#[derive(Serialize, Deserialize)]
struct UiMessageJson {
    ts: i64,
    #[serde(rename = "type")]
    kind: UiType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ask: Option<Ask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    say: Option<Say>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    images: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    #[serde(rename = "progressStatus", default, skip_serializing_if = "Option::is_none")]
    progress_status: Option<ProgressStatus>,
    #[serde(rename = "isProtected", default, skip_serializing_if = "Option::is_none")]
    is_protected: Option<bool>,
    #[serde(rename = "isAnswered", default, skip_serializing_if = "Option::is_none")]
    is_answered: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<Value>,
    #[serde(rename = "contextCondense", default, skip_serializing_if = "Option::is_none")]
    context_condense: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UiType {
    Ask,
    Say,
}

impl Serialize for UiMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let m = self.clone();
        let (kind, ask, say) = match m.kind {
            UiKind::Ask(ask) => (UiType::Ask, Some(ask), None),
            UiKind::Say(say) => (UiType::Say, None, Some(say)),
        };
        UiMessageJson {
            ts: m.ts,
            kind,
            ask,
            say,
            text: m.text,
            images: m.images,
            partial: m.partial,
            progress_status: m.progress_status,
            is_protected: m.is_protected,
            is_answered: m.is_answered,
            checkpoint: m.checkpoint,
            context_condense: m.context_condense,
            metadata: m.metadata,
            other: m.other,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UiMessage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<UiMessage, D::Error> {
        let m = UiMessageJson::deserialize(deserializer)?;
        let kind = match (m.kind, m.ask, m.say) {
            (UiType::Ask, Some(ask), _) => UiKind::Ask(ask),
            (UiType::Say, _, Some(say)) => UiKind::Say(say),
            _ => return Err(serde::de::Error::custom("a message needs `ask` or `say` as its `type` tells")),
        };
        Ok(UiMessage {
            ts: m.ts,
            kind,
            text: m.text,
            images: m.images,
            partial: m.partial,
            progress_status: m.progress_status,
            is_protected: m.is_protected,
            is_answered: m.is_answered,
            checkpoint: m.checkpoint,
            context_condense: m.context_condense,
            metadata: m.metadata,
            other: m.other,
        })
    }
}

/// One item of a todo list (spec 01 §2.9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TodoItem {
    /// Hex MD5 of content and status.
    pub id: String,
    /// What is to be done.
    pub content: String,
    /// `pending`, `in_progress` or `completed`.
    pub status: String,
}

/// Token usage of a task (spec 01 §2.9).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    /// Input tokens.
    pub total_tokens_in: i64,
    /// Output tokens.
    pub total_tokens_out: i64,
    /// Tokens written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_cache_writes: Option<i64>,
    /// Tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_cache_reads: Option<i64>,
    /// US dollars.
    pub total_cost: f64,
    /// Tokens in the context of the last request.
    pub context_tokens: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_needs_what_its_type_names() {
        for (text, is_read) in [
            (r#"{"ts":1,"type":"ask","ask":"followup"}"#, true),
            (r#"{"ts":1,"type":"say","say":"text","text":"x","later":{"a":1}}"#, true),
            (r#"{"ts":1,"type":"ask","say":"text"}"#, false),
            (r#"{"ts":1,"type":"say"}"#, false),
            (r#"{"ts":1,"type":"ask","ask":"what"}"#, false),
        ] {
            let read = serde_json::from_str::<UiMessage>(text);
            assert_eq!(read.is_ok(), is_read, "{text}");
            if let Ok(message) = read {
                assert_eq!(serde_json::to_string(&message).unwrap(), text);
            }
        }
    }

    #[test]
    fn images_are_taken_apart_and_missing_parts_are_empty() {
        for (url, mime, bytes) in [
            ("data:image/png;base64,AA==", "image/png", "AA=="),
            ("data:image/png,AA", "image/png", "AA"),
            ("image/png", "", ""),
            ("", "", ""),
        ] {
            let source = ImageSource::Base64 { media_type: mime.to_owned(), data: bytes.to_owned() };
            assert_eq!(ContentBlock::image_from_data_url(url), ContentBlock::Image { source });
        }
    }
}
