//! What must not show: which keys hold a secret (spec 04 §4.2, §9.4), and a text that is one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::record::{self, FieldView, View};

/// The keys that spec 04 §4.2 and §9.4 mark as secret, and those it keeps in clear although they hold keys.
pub const SECRET_KEYS: [&str; 44] = [
    "apiKey",
    "awsAccessKey",
    "awsApiKey",
    "awsSecretKey",
    "awsSessionToken",
    "cerebrasApiKey",
    "chutesApiKey",
    "codeIndexOpenAiKey",
    "codeIndexQdrantApiKey",
    "codebaseIndexGeminiApiKey",
    "codebaseIndexMistralApiKey",
    "codebaseIndexOpenAiCompatibleApiKey",
    "codebaseIndexVercelAiGatewayApiKey",
    "deepInfraApiKey",
    "deepSeekApiKey",
    "doubaoApiKey",
    "featherlessApiKey",
    "fireworksApiKey",
    "geminiApiKey",
    "glamaApiKey",
    "groqApiKey",
    "huggingFaceApiKey",
    "ioIntelligenceApiKey",
    "kiloCodeImageApiKey",
    "kilocodeToken",
    "litellmApiKey",
    "mistralApiKey",
    "moonshotApiKey",
    "morphApiKey",
    "ollamaApiKey",
    "openAiApiKey",
    "openAiHeaders",
    "openAiNativeApiKey",
    "openRouterApiKey",
    "openRouterImageApiKey",
    "requestyApiKey",
    "sambaNovaApiKey",
    "unboundApiKey",
    "vercelAiGatewayApiKey",
    "vertexJsonCredentials",
    "xaiApiKey",
    "zaiApiKey",
    PROFILES_KEY,
    // Ours: the address may hold a password.
    "httpProxy",
];

/// Holds whole profiles by name, each with keys of its own.
pub const PROFILES_KEY: &str = "apiConfigs";

/// Ends of names that mean a secret, whoever invented the name. Too much hidden is harmless, too little is not.
const SECRET_ENDINGS: [&str; 7] = ["key", "token", "secret", "password", "credentials", "authorization", "headers"];

/// Switches whose names end like those of secrets.
const PLAIN_KEYS: [&str; 2] = ["anthropicUseAuthToken", "awsUseApiKey"];

/// Stands where a secret is not shown.
pub const SHOWN: &str = "(set)";

/// Whether this key holds a secret.
pub fn is_secret(key: &str) -> bool {
    let ends = |end: &&str| {
        key.len() >= end.len() && key.as_bytes()[key.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
    };
    SECRET_KEYS.contains(&key) || SECRET_ENDINGS.iter().any(ends) && !PLAIN_KEYS.contains(&key)
}

/// Puts something in the place of every secret, at any depth, and of the login within an address. `key` is where the value
/// stands.
pub fn blot(key: &str, value: &mut Value, replacement: &impl Fn(&Value) -> Value) {
    match value {
        _ if is_secret(key) => *value = replacement(value),
        Value::Object(object) => object.iter_mut().for_each(|(key, value)| blot(key, value, replacement)),
        Value::Array(items) => items.iter_mut().for_each(|item| blot(key, item, replacement)),
        Value::String(text) => {
            if let Some(login) = login(text)
                && let Value::String(shown) = replacement(&Value::from(&text[login.clone()]))
            {
                text.replace_range(login, &shown);
            }
        }
        _ => {}
    }
}

/// Where the login of an address stands (`user:password` in `https://user:password@host/`), which is a secret wherever the
/// address itself is none.
pub fn login(text: &str) -> Option<Range<usize>> {
    let start = text.find("://")? + "://".len();
    let is_scheme = text.bytes().take(start - 3).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = text[start..].split(['/', '?', '#', '\\', ' ', '\n']).next()?;
    let end = authority.rfind('@').filter(|end| is_scheme && *end > 0)?;
    Some(start..start + end)
}

/// A text that shows in records and JSON alone, never in `Debug`.
#[derive(
    Clone,
    Default,
    PartialEq,
    Eq,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text, for whoever wipes it.
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl record::Value for Hidden {
    const LAYOUT: u64 = super::abi::word("hidden");
    fn tail(&self) -> usize {
        self.0.len()
    }
}

/// A host sees that there is one.
impl View for ArchivedHidden {
    fn view(&self) -> FieldView<'_> {
        FieldView::Str(SHOWN)
    }
}

impl schemars::JsonSchema for Hidden {
    fn schema_name() -> Cow<'static, str> {
        "Hidden".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(schemas: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(schemas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_keys_are_known_by_name_and_by_ending() {
        assert!(SECRET_KEYS[..42].is_sorted() && SECRET_KEYS.iter().all(|key| is_secret(key)));
        for (key, secret) in [
            ("customAPIKEY", true),
            ("x-token", true),
            ("Proxy-Authorization", true),
            ("key", true),
            ("vertexKeyFile", false),
            ("modelMaxTokens", false),
            ("openAiHostHeader", false),
            ("anthropicUseAuthToken", false),
            ("awsUseApiKey", false),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(is_secret(key), secret, "{key}");
        }
    }

    #[test]
    fn the_login_of_an_address_is_a_secret() {
        for (text, shown) in [
            ("https://user:sk-1@host/v1", "https://(set)@host/v1"),
            ("https://sk-1@host:80", "https://(set)@host:80"),
            ("http://a:b@c@host?x=1", "http://(set)@host?x=1"),
            ("https://host/@x", "https://host/@x"),
            ("https://host?a=b@c", "https://host?a=b@c"),
            ("https://@host", "https://@host"),
            ("see https://user:sk-1@host", "see https://user:sk-1@host"),
            ("user:sk-1@host", "user:sk-1@host"),
            ("://", "://"),
        ] {
            let mut value = serde_json::json!({"baseUrl": [text]});
            blot("", &mut value, &|_| SHOWN.into());
            assert_eq!(value["baseUrl"][0], shown, "{text}");
        }
    }
}
