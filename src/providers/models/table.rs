//! The built-in model tables, read from `models.json` at first use, one provider at a time.

use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::protocol::model::ModelInfo;

/// Facts of spec 08; generated, not typed.
const MODELS: &str = include_str!("models.json");

/// The models of one provider, in listing order.
#[derive(Debug, Default)]
pub struct ModelTable {
    /// Model used when the profile names none.
    pub default_model: String,
    /// Ids with their facts.
    pub models: Vec<(String, ModelInfo)>,
    /// Constants of the provider, such as `defaultTemperature`.
    pub other: Map<String, Value>,
}

impl ModelTable {
    /// Facts of this model.
    pub fn get(&self, id: &str) -> Option<&ModelInfo> {
        self.models.iter().find(|(known, _)| known == id).map(|(_, info)| info)
    }

    /// Facts of the default model.
    pub fn default_info(&self) -> &ModelInfo {
        static NOTHING: OnceLock<ModelInfo> = OnceLock::new();
        self.get(&self.default_model).unwrap_or_else(|| NOTHING.get_or_init(ModelInfo::default))
    }

    /// `id` with its facts if it is in the table, else the default model with its own.
    pub fn known_or_default(&self, id: Option<&str>) -> (&str, &ModelInfo) {
        let known = id.and_then(|id| self.models.iter().find(|(known, _)| known == id));
        known.map_or((self.default_model.as_str(), self.default_info()), |(id, info)| (id.as_str(), info))
    }
}

/// What is built in about a provider whose list is fetched.
#[derive(Debug, Default)]
pub struct DynamicTable {
    /// Model used when the profile names none.
    pub default_model: String,
    /// Its facts, also used for models that the fetched list does not have.
    pub default_info: ModelInfo,
    /// Sets of ids that parsing and caching rules use.
    pub other: Map<String, Value>,
}

struct Section<T: 'static> {
    name: String,
    text: &'static RawValue,
    parsed: OnceLock<T>,
}

struct Sections {
    providers: Vec<Section<ModelTable>>,
    dynamic: Vec<Section<DynamicTable>>,
}

/// The table of `provider`; names equal `apiProvider` but for `zai-international` and `zai-mainland`.
pub fn table(provider: &str) -> Option<&'static ModelTable> {
    let section = sections().providers.iter().find(|section| section.name == provider)?;
    Some(section.parsed.get_or_init(|| read_table(section.text)))
}

/// Names of all tables, in the file's order.
pub fn table_names() -> impl Iterator<Item = &'static str> {
    sections().providers.iter().map(|section| section.name.as_str())
}

/// What is built in about `provider`, whose list is fetched.
pub fn dynamic(provider: &str) -> Option<&'static DynamicTable> {
    let section = sections().dynamic.iter().find(|section| section.name == provider)?;
    Some(section.parsed.get_or_init(|| read_dynamic(section.text)))
}

/// Names of all providers whose list is fetched.
pub fn dynamic_names() -> impl Iterator<Item = &'static str> {
    sections().dynamic.iter().map(|section| section.name.as_str())
}

fn sections() -> &'static Sections {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct File<'a> {
        #[serde(borrow)]
        providers: Pairs<'a>,
        #[serde(borrow)]
        dynamic_providers: Pairs<'a>,
    }
    static SECTIONS: OnceLock<Sections> = OnceLock::new();
    SECTIONS.get_or_init(|| {
        // The file is part of the program; a test reads it whole.
        match serde_json::from_str::<File<'static>>(MODELS) {
            Ok(file) => Sections { providers: file.providers.sections(), dynamic: file.dynamic_providers.sections() },
            Err(_) => Sections { providers: Vec::new(), dynamic: Vec::new() },
        }
    })
}

/// The members of an object in their order, unread.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl Pairs<'static> {
    fn sections<T>(self) -> Vec<Section<T>> {
        self.0.into_iter().map(|(name, text)| Section { name, text, parsed: OnceLock::new() }).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Pairs<'a>, D::Error> {
        struct Members;
        impl<'de> serde::de::Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<String, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn read_table(text: &RawValue) -> ModelTable {
    let mut other: Map<String, Value> = serde_json::from_str(text.get()).unwrap_or_default();
    let models = match other.remove("models") {
        Some(Value::Object(models)) => models.into_iter().map(|(id, info)| (id, read_info(info))).collect(),
        _ => Vec::new(),
    };
    ModelTable { default_model: take_text(&mut other, "defaultModel"), models, other }
}

fn read_dynamic(text: &RawValue) -> DynamicTable {
    let mut other: Map<String, Value> = serde_json::from_str(text.get()).unwrap_or_default();
    let default_info = other.remove("defaultInfo").map(read_info).unwrap_or_default();
    DynamicTable { default_model: take_text(&mut other, "defaultModel"), default_info, other }
}

fn read_info(info: Value) -> ModelInfo {
    serde_json::from_value(info).unwrap_or_default()
}

fn take_text(map: &mut Map<String, Value>, key: &str) -> String {
    match map.remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec 08, checklist item 1.
    #[test]
    fn all_tables_are_read_whole() {
        let counts = [
            ("anthropic", 10),
            ("openai-native", 23),
            ("gemini", 24),
            ("vertex", 35),
            ("bedrock", 36),
            ("xai", 10),
            ("deepseek", 2),
            ("mistral", 11),
            ("groq", 12),
            ("cerebras", 7),
            ("moonshot", 3),
            ("zai-international", 4),
            ("zai-mainland", 4),
            ("chutes", 39),
            ("claude-code", 7),
            ("doubao", 3),
            ("featherless", 5),
            ("fireworks", 11),
            ("gemini-cli", 12),
            ("io-intelligence", 4),
            ("qwen-code", 2),
            ("roo", 2),
            ("sambanova", 10),
        ];
        for (name, count) in counts {
            let table = table(name).unwrap_or_else(|| panic!("no table {name}"));
            assert_eq!(table.models.len(), count, "{name}");
            assert!(table.get(&table.default_model).is_some(), "{name}: {}", table.default_model);
            assert!(table.models.iter().all(|(_, info)| info.context_window > 0), "{name}");
        }
        assert!(table_names().all(|name| table(name).is_some()));
        assert!(dynamic_names().count() > 5);
    }

    #[test]
    fn infos_that_serde_refuses_would_show() {
        let file: Value = serde_json::from_str(MODELS).expect("models.json is JSON");
        for (provider, section) in file["providers"].as_object().expect("an object") {
            for (id, info) in section["models"].as_object().into_iter().flatten() {
                let read: Result<ModelInfo, _> = serde_json::from_value(info.clone());
                assert!(read.is_ok(), "{provider} {id}: {read:?}");
            }
        }
    }
}
