//! Bodies and headers as a row's rules say.

use serde_json::{Map, Value, json};

use super::profile::{Chosen, Profile};
use super::rule::{CacheMarks, MaxTokens, Params, RequestRule, SendEffort, WireModel};
use super::template;
use crate::providers::chat::{body as chat, overlay_headers, sdk_headers};
use crate::providers::convert;
use crate::providers::http::{HeaderMap, InvalidHeader, set_header};
use crate::providers::params::{ModelParams, ParamsFormat, json_number, model_params};
use crate::providers::{ChatRequest, Environment, RequestMetadata, models};

/// One body to write.
pub struct Writer<'a> {
    pub profile: &'a Profile,
    pub model: &'a Chosen,
    pub rule: &'a RequestRule,
}

impl Writer<'_> {
    /// The body for a conversation.
    pub fn streamed(&self, request: &ChatRequest, image_placeholder: &str) -> Value {
        let rule = self.rule;
        let mut messages = chat::messages(rule.messages, &request.system, &request.messages, image_placeholder);
        self.mark(&request.system, &mut messages);
        let params = self.params();
        let mut body = Map::from_iter([("model".to_owned(), json!(self.wire_model()))]);
        self.add_limits(&mut body, &params);
        body.insert("messages".into(), json!(messages));
        chat::ask_for_stream(&mut body, rule.stream_usage);
        self.add_reasoning(&mut body, &params);
        let metadata = request.metadata.as_ref();
        let task = metadata.map(|metadata| metadata.task_id.as_str()).filter(|task| !task.is_empty());
        if let (Some(field), Some(task), Some(true)) =
            (&rule.cache_key_field, task, self.model.info.supports_prompt_cache)
        {
            body.insert(field.clone(), json!(task));
        }
        body.extend(template::object(&rule.extra, metadata));
        Value::Object(body)
    }

    /// The body for a single prompt.
    pub fn single_prompt(&self, prompt: &str) -> Value {
        let mut body = chat::single_prompt(self.wire_model(), self.rule.complete_role.as_str(), prompt);
        if self.rule.complete_with_limits {
            self.add_limits(&mut body, &self.params());
        }
        Value::Object(body)
    }

    fn params(&self) -> ModelParams {
        let format = match self.rule.params {
            Params::Plain => ParamsFormat::OpenAi,
            Params::Anthropic => ParamsFormat::Anthropic,
        };
        let (model, options) = (self.model, &self.profile.options);
        let mut params = model_params(format, &model.id, &model.info, options, self.rule.temperature);
        if self.rule.params == Params::Plain {
            params.temperature =
                options.get("modelTemperature").and_then(Value::as_f64).or(Some(self.rule.temperature));
        }
        params
    }

    fn wire_model(&self) -> &str {
        match self.rule.wire_model {
            WireModel::Whole => &self.model.id,
            WireModel::SecondSegment => self.model.id.split('/').nth(1).unwrap_or(""),
        }
    }

    /// Temperature and most output tokens.
    fn add_limits(&self, body: &mut Map<String, Value>, params: &ModelParams) {
        if let Some(temperature) = params.temperature.filter(|_| self.rule.send_temperature) {
            body.insert("temperature".into(), json_number(temperature));
        }
        let options = &self.profile.options;
        if self.rule.max_tokens_if_asked && options.get("includeMaxTokens") != Some(&Value::Bool(true)) {
            return;
        }
        let set = || options.get("modelMaxTokens").filter(|n| n.as_f64().is_some_and(|n| n != 0.0)).cloned();
        let known = self.model.info.max_tokens;
        let tokens = match self.rule.max_tokens {
            MaxTokens::Info => known.map(Value::from),
            MaxTokens::Setting => set(),
            MaxTokens::SettingOrInfo => {
                known.filter(|tokens| *tokens != 0).map(|tokens| set().unwrap_or(json!(tokens)))
            }
            MaxTokens::Derived => params.max_tokens.map(Value::from),
            MaxTokens::Never => None,
        };
        if let Some(tokens) = tokens {
            body.insert(self.rule.max_tokens_field.as_str().into(), tokens);
        }
    }

    fn add_reasoning(&self, body: &mut Map<String, Value>, params: &ModelParams) {
        let sent = |effort: &&String| match self.rule.reasoning_effort {
            SendEffort::Never => false,
            SendEffort::Always => true,
            SendEffort::UnlessMinimal => *effort != "minimal",
        };
        if let Some(effort) = params.reasoning_effort.as_ref().filter(sent) {
            body.insert("reasoning_effort".into(), json!(effort));
        }
        if let Some(thinking) = params.reasoning.as_ref().filter(|_| self.rule.thinking) {
            body.insert("thinking".into(), thinking.clone());
        }
    }

    fn mark(&self, system: &str, messages: &mut Vec<Value>) {
        if !self.may_mark() {
            return;
        }
        match self.rule.cache_marks {
            CacheMarks::None => {}
            CacheMarks::Claude => convert::mark_for_claude(system, messages),
            CacheMarks::Gemini => convert::mark_for_gemini(system, messages, convert::GEMINI_FREQUENCY),
            CacheMarks::Vercel => convert::mark_for_vercel(system, messages),
            CacheMarks::Litellm => convert::mark_for_litellm(system, messages),
        }
    }

    fn may_mark(&self) -> bool {
        let Writer { profile, model, rule } = self;
        let asked = |setting: &String| profile.options.get(setting) == Some(&Value::Bool(true));
        let listed = |name: &String| {
            let list = profile.row.list.as_ref().and_then(|list| models::dynamic(&list.of));
            let ids = list.and_then(|list| list.other.get(name)).and_then(Value::as_array);
            ids.is_some_and(|ids| ids.iter().any(|id| *id == model.id))
        };
        (rule.cache_marks_unasked || model.info.supports_prompt_cache == Some(true))
            && rule.cache_marks_setting.as_ref().is_none_or(asked)
            && rule.cache_marks_list.as_ref().is_none_or(listed)
    }
}

/// Headers of every request: the client library's, the profile's over them, the row's over both.
pub fn headers(
    profile: &Profile,
    environment: &Environment,
    metadata: Option<&RequestMetadata>,
) -> Result<HeaderMap, InvalidHeader> {
    let mut headers = sdk_headers(&profile.key, environment, profile.row.default_headers)?;
    overlay_headers(&mut headers, &profile.headers)?;
    for (name, value) in &profile.row.headers {
        if let Some(value) = template::text(value, metadata) {
            set_header(&mut headers, name, &value)?;
        }
    }
    Ok(headers)
}
