//! One row of the table, and what can be wrong with it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pattern::Pattern;
use super::rule::{AnswerRule, RequestRule};
use crate::providers::ModelInfo;
use crate::providers::http::HeaderName;
use crate::providers::models::{self, ModelTable};
use crate::settings::secrets::is_secret;

/// One provider. Keys and defaults are described at the top of `compatible.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    pub name: String,
    #[serde(default)]
    pub replaces: bool,
    #[serde(default)]
    pub family: Family,
    pub base_url: Option<String>,
    pub base_url_setting: Option<String>,
    pub base_url_env: Option<String>,
    #[serde(default)]
    pub base_url_checked: bool,
    pub variant: Option<Variant>,
    pub key_setting: Option<String>,
    pub key_env: Option<String>,
    pub key_default: Option<String>,
    #[serde(default = "yes")]
    pub key_required: bool,
    #[serde(default = "api_model_id")]
    pub model_setting: String,
    pub default_model: Option<String>,
    pub unknown_model: Option<UnknownModel>,
    pub table: Option<String>,
    pub list: Option<List>,
    #[serde(default)]
    pub models: BTreeMap<String, ModelInfo>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "yes")]
    pub default_headers: bool,
    #[serde(default)]
    pub user_headers: bool,
    #[serde(default = "an_hour")]
    pub timeout: f64,
    #[serde(default = "an_hour")]
    pub idle_timeout: f64,
    #[serde(default = "sdk_retries")]
    pub retries: u32,
    #[serde(default)]
    pub request: RequestRule,
    #[serde(default)]
    pub answer: AnswerRule,
    #[serde(default)]
    pub ids: Vec<IdRule>,
}

/// Whose code runs the row.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// This room's.
    #[default]
    Chat,
    /// The OpenAI-compatible provider's.
    OpenAi,
}

/// An option that chooses address and table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    pub setting: String,
    pub default: String,
    pub choices: BTreeMap<String, Choice>,
}

/// What one value of that option means.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Choice {
    pub base_url: String,
    pub table: String,
}

/// What becomes of an id that is not listed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownModel {
    Default,
    Keep,
}

/// A published list of models.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct List {
    pub of: String,
    #[serde(default = "yes")]
    pub key: bool,
    #[serde(default = "yes")]
    pub fetch: bool,
}

/// What is different for some models. [`super::rows`] lays it over the row's own rules when it reads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdRule {
    #[serde(rename = "match")]
    pub patterns: Vec<Pattern>,
    #[serde(default)]
    pub request: RequestRule,
    #[serde(default)]
    pub answer: AnswerRule,
}

fn yes() -> bool {
    true
}

fn an_hour() -> f64 {
    crate::providers::http::LONG_TIMEOUT.as_secs_f64()
}

fn sdk_retries() -> u32 {
    crate::providers::http::SDK_RETRIES
}

fn api_model_id() -> String {
    "apiModelId".to_owned()
}

impl Row {
    /// The rules for the model `id`.
    pub fn rules(&self, id: &str) -> (&RequestRule, &AnswerRule) {
        let fitting = self.ids.iter().find(|rule| rule.patterns.iter().any(|pattern| pattern.fits(id)));
        fitting.map_or((&self.request, &self.answer), |rule| (&rule.request, &rule.answer))
    }

    /// The model when the profile names none.
    pub fn default_model_id(&self) -> &str {
        let listed = self.known_table().map(|table| table.default_model.as_str());
        let list = self.list.as_ref().and_then(|list| models::dynamic(&list.of));
        let published = list.map(|list| list.default_model.as_str());
        let own = self.models.keys().next().map(String::as_str);
        self.default_model.as_deref().or(listed).or(published).or(own).unwrap_or("")
    }

    /// The built-in table of its models, where the profile does not choose another.
    pub fn known_table(&self) -> Option<&'static ModelTable> {
        let variant = self.variant.as_ref().and_then(|variant| variant.choices.get(&variant.default));
        self.table.as_ref().or(variant.map(|choice| &choice.table)).and_then(|table| models::table(table))
    }

    /// What becomes of an id that is not listed.
    pub fn unknown_model(&self) -> UnknownModel {
        let listed = self.table.is_some() || self.list.is_some() || self.variant.is_some();
        self.unknown_model.unwrap_or(if listed { UnknownModel::Default } else { UnknownModel::Keep })
    }

    /// The first key whose value makes no sense, and why.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let choices = || self.variant.iter().flat_map(|variant| variant.choices.values());
        let mut addresses = self.base_url.iter().chain(choices().map(|choice| &choice.base_url));
        let mut tables = self.table.iter().chain(choices().map(|choice| &choice.table));
        let named_model = self.default_model.is_some() || !self.models.is_empty();
        let limit = |seconds: f64| (1.0..=86_400.0).contains(&seconds);
        let mut bills =
            self.ids.iter().map(|rule| &rule.answer).chain([&self.answer]).filter_map(|answer| answer.bill.as_ref());
        let texts = self.ids.iter().map(|rule| &rule.answer).chain([&self.answer]);
        let mut texts = texts.flat_map(|answer| answer.error_text.iter().chain(&answer.complete_error_text));
        let checks = [
            (!addresses.all(|address| is_address(address)), "base-url", "not an http or https address"),
            (self.base_url.is_none() && self.variant.is_none(), "base-url", "missing"),
            (
                self.variant.as_ref().is_some_and(|variant| !variant.choices.contains_key(&variant.default)),
                "variant.default",
                "not one of the choices",
            ),
            (
                self.key_setting.as_deref().is_some_and(|key| !is_secret(key)),
                "key-setting",
                "the name must end in Key or Token, so that the value is kept as a secret",
            ),
            (
                self.key_required && self.key_setting.is_none() && self.key_env.is_none() && self.key_default.is_none(),
                "key-setting",
                "missing: say where the key comes from, or `key-required = false`",
            ),
            (!tables.all(|table| models::table(table).is_some()), "table", "not in models.json"),
            (self.list.as_ref().is_some_and(|list| models::dynamic(&list.of).is_none()), "list", "not in models.json"),
            (
                !named_model && self.table.is_none() && self.list.is_none() && self.variant.is_none(),
                "default-model",
                "missing",
            ),
            (
                !self.headers.keys().all(|name| HeaderName::from_bytes(name.as_bytes()).is_ok()),
                "headers",
                "not the name of a header",
            ),
            (
                !bills.all(|bill| is_address(&bill.url) && HeaderName::from_bytes(bill.header.as_bytes()).is_ok()),
                "answer.bill",
                "not the name of a header and an http or https address",
            ),
            (!limit(self.timeout), "timeout", "not between 1 and 86400"),
            (!limit(self.idle_timeout), "idle-timeout", "not between 1 and 86400"),
            (self.retries > 10, "retries", "more than 10"),
            (!texts.all(|id| id.starts_with("provider.")), "answer.error-text", "not the id of a provider's text"),
        ];
        checks.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, cause)| (key, cause))
    }
}

/// Whether this can be the beginning of a request's address.
pub fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
