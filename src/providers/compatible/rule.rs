//! How one provider writes requests and reads answers: the `request` and `answer` of a row.

use serde::Deserialize;

use super::bill::BillRule;
use crate::providers::chat::body::MessageFormat;
use crate::providers::chat::{ChatReading, ReasoningFields, ThinkTags, UsageRule, UsageTime, Wrapping};

/// How a body is written. Keys and defaults are described at the top of `compatible.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RequestRule {
    pub temperature: f64,
    pub send_temperature: bool,
    pub max_tokens: MaxTokens,
    pub max_tokens_field: MaxTokensField,
    pub max_tokens_if_asked: bool,
    pub messages: MessageFormat,
    pub cache_marks: CacheMarks,
    pub cache_marks_unasked: bool,
    pub cache_marks_setting: Option<String>,
    pub cache_marks_list: Option<String>,
    pub cache_key_field: Option<String>,
    pub wire_model: WireModel,
    pub stream_usage: bool,
    pub params: Params,
    pub reasoning_effort: SendEffort,
    pub thinking: bool,
    pub extra: toml::Table,
    pub complete_role: PromptRole,
    pub complete_with_limits: bool,
}

impl Default for RequestRule {
    fn default() -> RequestRule {
        RequestRule {
            temperature: 0.0,
            send_temperature: true,
            max_tokens: MaxTokens::Info,
            max_tokens_field: MaxTokensField::MaxTokens,
            max_tokens_if_asked: false,
            messages: MessageFormat::OpenAi,
            cache_marks: CacheMarks::None,
            cache_marks_unasked: false,
            cache_marks_setting: None,
            cache_marks_list: None,
            cache_key_field: None,
            wire_model: WireModel::Whole,
            stream_usage: true,
            params: Params::Plain,
            reasoning_effort: SendEffort::Never,
            thinking: false,
            extra: toml::Table::new(),
            complete_role: PromptRole::User,
            complete_with_limits: false,
        }
    }
}

/// Where the limit of output tokens comes from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum MaxTokens {
    Info,
    Setting,
    SettingOrInfo,
    Derived,
    Never,
}

/// Name of the field with the limit of output tokens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    MaxTokens,
    MaxCompletionTokens,
}

impl MaxTokensField {
    /// As it goes out.
    pub const fn as_str(self) -> &'static str {
        match self {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// How the conversation is marked for caching (spec 07 §7).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CacheMarks {
    None,
    Claude,
    Gemini,
    Vercel,
    Litellm,
}

/// Which part of the id goes out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum WireModel {
    Whole,
    SecondSegment,
}

/// What else a parameter follows from than the profile.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Params {
    Plain,
    Anthropic,
}

/// When `reasoning_effort` goes out.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SendEffort {
    Never,
    Always,
    UnlessMinimal,
}

/// Who says a single prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PromptRole {
    User,
    System,
}

impl PromptRole {
    /// As it goes out.
    pub const fn as_str(self) -> &'static str {
        match self {
            PromptRole::User => "user",
            PromptRole::System => "system",
        }
    }
}

/// How an answer is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AnswerRule {
    pub finish_check: bool,
    pub reasoning: ReasoningFields,
    pub think_tags: ThinkTags,
    pub usage_time: UsageTime,
    pub usage: UsageRule,
    pub bill: Option<BillRule>,
    pub errors: Wrapping,
    pub complete_errors: Wrapping,
    pub error_text: Option<String>,
    pub complete_error_text: Option<String>,
}

impl Default for AnswerRule {
    fn default() -> AnswerRule {
        AnswerRule {
            finish_check: true,
            reasoning: ReasoningFields::Ignored,
            think_tags: ThinkTags::Text,
            usage_time: UsageTime::Each,
            usage: UsageRule::default(),
            bill: None,
            errors: Wrapping::Raw,
            complete_errors: Wrapping::Wrapped,
            error_text: None,
            complete_error_text: None,
        }
    }
}

impl AnswerRule {
    /// The part that the decoder needs.
    pub fn reading(&self) -> ChatReading {
        ChatReading {
            finish_check: self.finish_check,
            reasoning: self.reasoning,
            think_tags: self.think_tags,
            usage: self.usage_time,
            cumulative: false,
        }
    }
}
