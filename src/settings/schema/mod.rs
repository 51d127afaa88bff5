//! Every setting there is (spec 04 §2 to §4), from one table (`keys.toml`): what a key may hold, what counts without it, who acts on
//! it. Checks, the JSON schema and the reference for people come from it; nothing else lists keys.

mod check;
mod document;
mod place;
mod table;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

pub use self::check::{Problem, check, check_key, make_whole};
pub use self::document::json_schema;
pub use self::place::line_of;
pub use self::table::Type;

/// Who acts on a setting (spec 04, column “who”).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The engine.
    Engine,
    /// The host; the engine keeps it.
    Host,
    /// Both.
    Both,
}

/// Where a setting belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The user's settings.
    #[default]
    User,
    /// The user's settings for one workspace.
    Workspace,
    /// The editor's own configuration.
    Host,
    /// A provider profile.
    Profile,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// What it may hold.
    pub kind: Type,
    /// Whether null is a value of its own.
    pub nullable: bool,
    /// Least number.
    pub min: Option<f64>,
    /// Greatest number.
    pub max: Option<f64>,
    /// What a form should offer; other numbers are taken.
    pub usual: Option<[f64; 2]>,
    /// What counts when it is absent.
    pub default: Option<Value>,
    /// Who acts on it.
    pub who: Who,
    /// Where it belongs.
    pub scope: Scope,
    /// Whether the workspace's own settings file may set it.
    pub project: bool,
    /// Whether a settings file holds it among its `globalSettings` (spec 04 §6.3).
    pub global: bool,
    /// The providers whose profile holds it; `None`: all that hold keys of profiles at all.
    pub providers: Option<Vec<String>>,
    /// One line for people.
    pub doc: String,
}

/// Settings of one subject.
#[derive(Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its settings by key.
    pub keys: BTreeMap<String, Key>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Schema {
    /// Settings by subject.
    pub sections: Vec<Section>,
    /// Fields of objects, by the object's name.
    pub objects: BTreeMap<String, BTreeMap<String, Key>>,
    /// Providers a profile can be saved for.
    pub providers: Vec<String>,
}

impl Schema {
    /// All settings.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.sections.iter().flat_map(|section| section.keys.iter().map(|(name, key)| (name.as_str(), key)))
    }

    /// The setting of this name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.sections.iter().find_map(|section| section.keys.get(name))
    }
}

/// The table, read at first use.
pub fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    // A table that cannot be read has no keys, and tests say so.
    SCHEMA.get_or_init(|| table::read(include_str!("keys.toml")).unwrap_or_default())
}

/// Whether a profile may hold this key. `provider` narrows it to the profiles of one provider.
pub fn is_of_profile(name: &str, provider: Option<&str>) -> bool {
    let Some(key) = schema().key(name).filter(|key| key.scope == Scope::Profile) else { return false };
    match (&key.providers, provider) {
        (Some(owners), Some(provider)) => owners.iter().any(|owner| owner == provider),
        _ => true,
    }
}
