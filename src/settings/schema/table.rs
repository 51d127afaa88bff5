//! Reading the table of settings.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Key, Schema, Scope, Section, Who};

/// What a setting may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// One of these texts.
    Choice(Vec<String>),
    /// A list of such values.
    List(Box<Type>),
    /// An object with such values under any names.
    Map(Box<Type>),
    /// The object of this name in the table; other fields are kept.
    Object(String),
    /// Hooks, which have a form of their own.
    Hooks,
    /// Anything.
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    providers: Vec<String>,
    sections: Vec<SectionRow>,
    objects: BTreeMap<String, BTreeMap<String, Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionRow {
    title: String,
    who: Who,
    #[serde(default)]
    scope: Scope,
    keys: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    nullable: bool,
    min: Option<f64>,
    max: Option<f64>,
    usual: Option<[f64; 2]>,
    default: Option<Value>,
    who: Option<Who>,
    scope: Option<Scope>,
    #[serde(default)]
    project: bool,
    global: Option<bool>,
    providers: Option<Vec<String>>,
    doc: String,
}

/// Reads the table.
pub(super) fn read(text: &str) -> Result<Schema, toml::de::Error> {
    let file: File = toml::from_str(text)?;
    let section = |row: SectionRow| {
        let (who, scope) = (row.who, row.scope);
        Section {
            title: row.title,
            keys: row.keys.into_iter().map(|(name, row)| (name, key(row, who, scope))).collect(),
        }
    };
    let fields = |rows: BTreeMap<String, Row>| {
        rows.into_iter().map(|(name, row)| (name, key(row, Who::Engine, Scope::User))).collect()
    };
    Ok(Schema {
        sections: file.sections.into_iter().map(section).collect(),
        objects: file.objects.into_iter().map(|(name, rows)| (name, fields(rows))).collect(),
        providers: file.providers,
    })
}

fn key(row: Row, who: Who, scope: Scope) -> Key {
    let scope = row.scope.unwrap_or(scope);
    Key {
        kind: kind(&row.kind, row.values),
        nullable: row.nullable,
        min: row.min,
        max: row.max,
        usual: row.usual,
        default: row.default,
        who: row.who.unwrap_or(who),
        scope,
        project: row.project,
        global: row.global.unwrap_or(matches!(scope, Scope::User | Scope::Workspace)),
        providers: row.providers,
        doc: row.doc,
    }
}

fn kind(name: &str, values: Vec<String>) -> Type {
    if let Some(items) = name.strip_prefix("list of ") {
        return Type::List(Box::new(kind(items, values)));
    }
    if let Some(items) = name.strip_prefix("map of ") {
        return Type::Map(Box::new(kind(items, values)));
    }
    match name {
        "bool" => Type::Bool,
        "number" => Type::Number,
        "integer" => Type::Integer,
        "text" => Type::Text,
        "choice" => Type::Choice(values),
        "hooks" => Type::Hooks,
        "any" => Type::Any,
        object => Type::Object(object.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::secret::is_secret;
    use crate::settings::Settings;
    use crate::settings::schema::{check_key, schema};

    #[test]
    fn the_table_is_sound() {
        let schema = read(include_str!("keys.toml")).expect("a table");
        assert!(schema.keys().count() > 200);
        let mut names: Vec<&str> = schema.keys().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a key twice");
        for (name, key) in schema.keys() {
            let problems = key.default.as_ref().map(|value| check_key(name, value)).unwrap_or_default();
            assert!(problems.is_empty(), "{problems:?}");
            let owners = key.providers.iter().flatten();
            assert!(owners.clone().all(|owner| schema.providers.contains(owner)), "{name}");
            assert!(!(key.project && (is_secret(name) || key.scope == Scope::Profile)), "{name}");
            if let Type::Choice(values) = &key.kind {
                assert!(!values.is_empty(), "{name}");
            }
            assert!(key.doc.ends_with('.'), "{name}");
        }
        fn named(kind: &Type, objects: &BTreeMap<String, BTreeMap<String, Key>>) -> bool {
            match kind {
                Type::List(items) | Type::Map(items) => named(items, objects),
                Type::Object(name) => objects.contains_key(name),
                _ => true,
            }
        }
        let fields = schema.objects.values().flatten().map(|(name, key)| (name.as_str(), key));
        for (name, key) in schema.keys().chain(fields) {
            assert!(named(&key.kind, &schema.objects), "{name}: {:?}", key.kind);
        }
    }

    /// parity 04 §2: every typed setting stands in the table, with the default that the engine uses
    #[test]
    fn settings_and_table_agree() {
        let Ok(Value::Object(defaults)) = serde_json::to_value(Settings::default()) else { panic!("an object") };
        for (name, default) in defaults {
            let key = schema().key(&name).unwrap_or_else(|| panic!("`{name}` is not in the table"));
            let told = key.default.clone().unwrap_or(Value::Null);
            let same = match (told.as_f64(), default.as_f64()) {
                (Some(told), Some(default)) => told == default,
                _ => told == default,
            };
            // An address has the provider's default, and what is absent may be null.
            assert!(same, "{name}: the table says {told}, the engine {default}");
        }
    }
}
