//! A provider whose failures repeat no secret of its profile, whatever a service, a proxy or a library says.
//!
//! Each provider takes its own key out of what it reports; this stands above all of them, for all secrets of a profile, those
//! of headers and addresses included. Answers are passed on as they are.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{ChatRequest, ChunkStream, Model, Provider, ProviderError, StreamChunk, Usage};
use crate::protocol::message::ContentBlock;
use crate::protocol::secret::{is_secret, login};
use crate::settings::Settings;

/// Secrets shorter than this are not looked for: they would be found everywhere.
const SHORTEST: usize = 8;
/// Stands in the place of a secret.
const LEFT_OUT: &str = "…";

/// The secrets of a profile, to be taken out of texts. Cheap to clone.
#[derive(Clone)]
pub struct Discretion(Arc<[SecretString]>);

impl Discretion {
    /// The secrets of these settings.
    pub fn of(settings: &Settings) -> Discretion {
        let mut found = Vec::new();
        for (_, text) in settings.secrets.texts() {
            add(text, &mut found);
            // Credentials are a document in a text.
            if let Ok(document @ Value::Object(_)) = serde_json::from_str(text) {
                nested("", &document, &mut found);
            }
        }
        settings.other.iter().for_each(|(key, value)| nested(key, value, &mut found));
        // What is a part of another goes last.
        found.sort_by_key(|secret: &SecretString| std::cmp::Reverse(secret.expose_secret().len()));
        Discretion(found.into())
    }

    /// The error without secrets.
    pub fn error(&self, error: ProviderError) -> ProviderError {
        ProviderError {
            message: self.text(error.message),
            status: error.status,
            code: error.code.map(|code| self.text(code)),
            details: self.fields(error.details),
        }
    }

    /// The text without secrets.
    pub fn text(&self, mut text: String) -> String {
        for secret in self.0.iter() {
            text = without(text, secret.expose_secret());
        }
        text
    }

    fn fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        fields.into_iter().map(|(key, value)| (self.text(key), self.value(value))).collect()
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => Value::Object(self.fields(fields)),
            other => other,
        }
    }
}

fn nested(key: &str, value: &Value, found: &mut Vec<SecretString>) {
    match value {
        Value::String(text) if is_secret(key) => add(text, found),
        Value::String(text) => add_login(text, found),
        Value::Array(items) => items.iter().for_each(|item| nested(key, item, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| nested(key, value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn add(text: &str, found: &mut Vec<SecretString>) {
    if text.len() >= SHORTEST {
        found.push(text.into());
    }
    add_login(text, found);
}

/// Adds the login of an address, and its password alone.
fn add_login(text: &str, found: &mut Vec<SecretString>) {
    let Some(login) = login(text).map(|range| &text[range]) else { return };
    let password = login.split_once(':').map(|(_, password)| password);
    found.extend([Some(login), password].into_iter().flatten().filter(|text| text.len() >= SHORTEST).map(Into::into));
}

/// The text without `secret`, in whatever case a server wrote it.
fn without(text: String, secret: &str) -> String {
    let (lower, wanted) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    if !lower.contains(&wanted) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in lower.match_indices(&wanted) {
        kept.push_str(&text[end..at]);
        kept.push_str(LEFT_OUT);
        end = at + wanted.len();
    }
    kept.push_str(&text[end..]);
    kept
}

/// The provider; see the module.
pub struct Discreet {
    inner: Arc<dyn Provider>,
    secrets: Discretion,
}

impl Discreet {
    /// `inner`, unless there is nothing to hide.
    pub fn over(inner: Arc<dyn Provider>, secrets: Discretion) -> Arc<dyn Provider> {
        if secrets.0.is_empty() { inner } else { Arc::new(Discreet { inner, secrets }) }
    }
}

#[async_trait]
impl Provider for Discreet {
    fn model(&self) -> Model {
        self.inner.model()
    }

    async fn fetch_model(&self) -> Result<(), ProviderError> {
        self.inner.fetch_model().await.map_err(|error| self.secrets.error(error))
    }

    fn stream(&self, request: ChatRequest) -> ChunkStream {
        let secrets = self.secrets.clone();
        let chunk = move |item: Result<StreamChunk, ProviderError>| item.map_err(|error| secrets.error(error));
        self.inner.stream(request).map(chunk).boxed()
    }

    async fn count_tokens(&self, blocks: &[ContentBlock]) -> u64 {
        self.inner.count_tokens(blocks).await
    }

    async fn complete(&self, prompt: &str) -> Result<String, ProviderError> {
        self.inner.complete(prompt).await.map_err(|error| self.secrets.error(error))
    }

    fn cost(&self, usage: &Usage) -> f64 {
        self.inner.cost(usage)
    }

    fn last_response_id(&self) -> Option<String> {
        self.inner.last_response_id()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let credentials = json!({"private_key": "sk-private", "token_uri": "https://google.example"}).to_string();
        let settings = json!({
            "apiKey": "sk-12345678", "xaiApiKey": "short", "openAiHeaders": {"X": "sk-header"},
            "httpProxy": "http://me:sk-proxy-1@host", "openAiBaseUrl": "https://you:sk-address@host/v1",
            "vertexJsonCredentials": credentials, "profiles": [{"apiKey": "sk-nested-1"}],
        });
        let secrets = Discretion::of(&serde_json::from_value(settings).expect("settings"));
        for (said, shown) in [
            ("no sk-12345678, SK-12345678!", "no …, …!"),
            ("short sk-header", "short …"),
            ("sk-proxy-1 you:sk-address", "… …"),
            ("sk-address sk-private sk-nested-1", "… … …"),
            ("é https://google.example host", "é https://google.example host"),
        ] {
            assert_eq!(secrets.text(said.into()), shown);
            let details = json!({"error": [{said: said}]}).as_object().cloned().unwrap_or_default();
            let error = ProviderError { code: Some(said.into()), details, ..ProviderError::new(said) };
            let shown = json!({"error": [{shown: shown}]});
            assert_eq!(Value::Object(secrets.error(error).details), shown);
        }
    }
}
